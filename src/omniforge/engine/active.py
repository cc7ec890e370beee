"""A run that is driven, a step that is called: what the executor and the handlers hand each other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from omniforge.core.errors import OmniForgeError
from omniforge.engine.plan import NO_BUDGET, Budget, Plan, Step
from omniforge.engine.records import RunRecord, StoredRun
from omniforge.engine.recovery.policy import Failure
from omniforge.engine.slots import SlotRequest
from omniforge.engine.state import RunProgress, RunStatus, StepResult, Waiting

NO_HINTS: Mapping[str, Any] = {}


@dataclass(slots=True)
class StepCall:
    """What a handler is given. `idempotency_key` stays the same over all attempts of the step.

    hints: what recovery changed for this attempt, e.g. `{"context": "minimal", "feedback": "…"}`.
    woken: whether the moment came that an earlier call waited for.
    stopping: set when the run is being cancelled: finish or leave soon, or be stopped.
    budget: what may still be used.
    purpose: `undo` and `probe` when a step is being compensated.
    """

    run: RunRecord
    step: Step
    attempt: int
    inputs: dict[str, Any]
    outputs: Mapping[str, Mapping[str, Any]]
    emit: Callable[[str, dict[str, Any]], Awaitable[None]]
    """Write an event of this step, e.g. `emit("step.progressed", {...})`; durable when it returns."""
    stopping: asyncio.Event
    hints: Mapping[str, Any] = field(default_factory=lambda: NO_HINTS)
    woken: bool = False
    budget: Budget = NO_BUDGET
    purpose: Literal["do", "undo", "probe"] = "do"

    @property
    def idempotency_key(self) -> str:
        return f"{self.run.id}/{self.step.key}"


Handler = Callable[[StepCall], Awaitable[StepResult | Waiting]]


@dataclass(slots=True, eq=False)
class ActiveRun:
    """A run that this process drives.

    launched: steps whose start is durable and whose tasks are yet to be made.
    idle: steps that only wait, for a slot or for their next attempt.
    texts: outputs that are about to be written, as JSON.
    again: taken up anew by the process that drove it, which did not end.
    backlog: ready steps that wait for a task; a fan of thousands does not become thousands of tasks.
    """

    record: RunRecord
    plan: Plan
    progress: RunProgress
    status: RunStatus
    request: str | None = None
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict[str, asyncio.Task[None]])
    slots: dict[str, SlotRequest] = field(default_factory=dict[str, SlotRequest])
    launched: list[str] = field(default_factory=list[str])
    backlog: deque[str] = field(default_factory=deque[str])
    loaded: dict[str, Any] = field(default_factory=dict[str, Any])
    alarms: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])
    idle: set[str] = field(default_factory=set[str])
    texts: dict[str, str] = field(default_factory=dict[str, str])
    woken: set[str] = field(default_factory=set[str])
    failure: tuple[str, Failure] | None = None
    stopped: str | None = None
    cancelled_by: str | None = None
    pausing: str | None = None
    problem: BaseException | None = None
    plain_slot: SlotRequest | None = None
    begun: bool = False
    again: bool = False
    poked: bool = False
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def of(cls, stored: StoredRun) -> ActiveRun:
        progress = RunProgress(stored.plan, stored.steps, stored.record.input)
        return cls(stored.record, stored.plan, progress, stored.status, stored.request)

    @property
    def ending(self) -> bool:
        """Whether nothing more may start."""
        return (
            self.failure is not None
            or self.stopped is not None
            or self.cancelled_by is not None
            or self.pausing is not None
        )

    @property
    def is_to_pause(self) -> bool:
        """Whether it stops only to go on later."""
        over = self.failure is not None or self.cancelled_by is not None or self.stopped is not None
        return self.pausing is not None and not over

    def poke(self) -> None:
        """Make the driver look at the stored run again: somebody asked for something, or answered."""
        self.poked = True
        self.wake.set()


class Fenced(OmniForgeError):
    """A late writer was refused: the run moved on without it."""

    status = 409
    code = "fenced"


class NotWritten(OmniForgeError):
    """The journal could not write just now: the drive ends, and is taken up again. No fault of the step."""

    status = 503
    code = "not_written"
