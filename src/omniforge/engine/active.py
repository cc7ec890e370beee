"""A run that is driven, a step that is called: what the executor and the handlers hand each other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from omniforge.core.errors import OmniForgeError
from omniforge.engine.plan import Plan, Step
from omniforge.engine.recovery.policy import Failure
from omniforge.engine.state import RunProgress, RunStatus, StepResult, Waiting
from omniforge.engine.store import RunRecord


@dataclass(frozen=True, slots=True)
class StepCall:
    """What a handler is given. `idempotency_key` stays the same over all attempts of the step."""

    run: RunRecord
    step: Step
    attempt: int
    inputs: dict[str, Any]
    outputs: Mapping[str, Mapping[str, Any]]
    emit: Callable[[str, dict[str, Any]], Awaitable[None]]
    """Write an event of this step, e.g. `emit("step.progressed", {...})`; durable when it returns."""

    @property
    def idempotency_key(self) -> str:
        return f"{self.run.id}/{self.step.key}"


Handler = Callable[[StepCall], Awaitable[StepResult | Waiting]]


@dataclass(slots=True)
class ActiveRun:
    """A run that this process drives."""

    record: RunRecord
    plan: Plan
    progress: RunProgress
    status: RunStatus
    started: dict[str, str] = field(default_factory=dict[str, str])
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict[str, asyncio.Task[None]])
    failure: tuple[str, Failure] | None = None
    stopped: str | None = None
    cancelled_by: str | None = None
    problem: BaseException | None = None
    slots: set[str] = field(default_factory=set[str])
    answers: list[tuple[str, StepResult | None]] = field(default_factory=list[tuple[str, StepResult | None]])
    """Answers to waiting steps: durable already, not yet acted upon."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def ending(self) -> bool:
        """Whether nothing more may start."""
        return self.failure is not None or self.stopped is not None or self.cancelled_by is not None


class Fenced(OmniForgeError):
    """A late writer was refused: the run moved on without it."""

    status = 409
    code = "fenced"
