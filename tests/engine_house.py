"""A house for tests of runs: an engine over one database whose steps do what a script says."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from any_engine import make_engine
from omniforge.core.actor import Actor, Role
from omniforge.core.clock import Clock
from omniforge.db import Database
from omniforge.engine.active import StepCall
from omniforge.engine.distributed import DistributedEngine
from omniforge.engine.embedded import EmbeddedEngine
from omniforge.engine.plan import Plan, Step
from omniforge.engine.state import StepResult, Waiting
from omniforge.runs.service import RunService, StartRequest
from omniforge.runs.shown import RunView, run_json
from omniforge.runtime.steps.approval import ask_for_approval
from omniforge.tenants.roles import permissions_of

Act = Callable[[StepCall], Awaitable[Any]]
PATIENCE = 30
"""Seconds after which a test that waits for a run has failed."""


class HastyClock:
    """Time that passes `speed` times as fast as on the wall; deadlines of attempts stay real."""

    def __init__(self, speed: float = 1000.0) -> None:
        self.speed = speed
        self._began, self._zero = datetime.now(UTC), time.monotonic()

    def now(self) -> datetime:
        return self._began + timedelta(seconds=(time.monotonic() - self._zero) * self.speed)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)


class House:
    """An engine over one database; `script` says what each step does, `calls` what was called.

    A step such as `key[3]` without a script of its own follows that of `key`.
    """

    def __init__(self, db: Database, home: Path, slots: int = 64, clock: Clock | None = None) -> None:
        self.db, self.home, self.slots, self.clock = db, home, slots, clock
        self.script: dict[str, Act] = {}
        self.calls: list[tuple[str, int]] = []
        self.engine = self._engine()
        self.runs = RunService(self.engine, max_unfinished=1000)

    def _engine(self) -> EmbeddedEngine | DistributedEngine:
        handlers = {"do": self._do, "approval": ask_for_approval}
        return make_engine(self.db, handlers, self.home, slots=self.slots, clock=self.clock)

    async def _do(self, call: StepCall) -> Any:
        key = call.step.key
        self.calls.append((key, call.attempt))
        act = self.script.get(key) or self.script.get(re.sub(r"\[\d+\]", "", key))
        return StepResult(output={"key": key}) if act is None else await act(call)

    def times(self, key: str) -> int:
        """How often a step was called."""
        return sum(called == key for called, _ in self.calls)

    async def restart(self) -> None:
        await self.engine.close()
        self.engine = self._engine()
        self.runs = RunService(self.engine, max_unfinished=1000)
        await self.engine.open()

    async def start(self, actor: Actor, *steps: Step, fail_fast: bool = False, **request: Any) -> str:
        return await self.start_plan(actor, Plan(steps, fail_fast=fail_fast), **request)

    async def start_plan(self, actor: Actor, plan: Plan, **request: Any) -> str:
        return await self.runs.start_run(actor, StartRequest(plan=plan, subject="test:1", **request))

    async def settled(self, actor: Actor, run_id: str) -> RunView:
        """The run once it is over or parked."""
        async with asyncio.timeout(PATIENCE):
            return await self.runs.wait_for(actor, run_id)

    async def finish(self, actor: Actor, *steps: Step, **request: Any) -> RunView:
        return await self.settled(actor, await self.start(actor, *steps, **request))

    async def finish_plan(self, actor: Actor, plan: Plan, **request: Any) -> RunView:
        return await self.settled(actor, await self.start_plan(actor, plan, **request))

    async def reaches(self, actor: Actor, run_id: str, *wanted: str) -> RunView:
        """The run once it has one of these statuses."""
        async with asyncio.timeout(PATIENCE):
            while (view := await self.runs.get_run(actor, run_id)).run.status not in wanted:
                await asyncio.sleep(0.005)
        return view

    async def step_reaches(self, actor: Actor, run_id: str, key: str, wanted: str) -> RunView:
        async with asyncio.timeout(PATIENCE):
            while statuses(view := await self.runs.get_run(actor, run_id)).get(key) != wanted:
                await asyncio.sleep(0.005)
        return view

    async def is_noticed(self, run_id: str) -> None:
        """Return once the driver of a run knows that it is to be paused."""
        async with asyncio.timeout(PATIENCE):
            while not any(run.record.id == run_id and run.pausing for run in self.engine.executor.runs):
                await asyncio.sleep(0.005)

    async def told(self, actor: Actor, run_id: str, *types: str) -> list[dict[str, Any]]:
        """Payloads of a run's events of these types, with who was the actor of each."""
        rows = await self.engine.events.read(actor.tenant_id, run_id=run_id, types=list(types))
        return [{**json.loads(row.payload), "actor": row.actor, "type": row.type} for row in rows]


def person(user_id: str = "local") -> Actor:
    """An owner of the default tenant."""
    return Actor("default", user_id, Role.OWNER, f"user:{user_id}", permissions_of(Role.OWNER))


def step(key: str, *needs: str, **more: Any) -> Step:
    return Step(key=key, kind="do", needs=needs, **more)


def statuses(view: RunView) -> dict[str, str]:
    return {item["key"]: item["status"] for item in run_json(view)["steps"]}


def output_of(view: RunView, key: str) -> Any:
    """A step's output as its row shows it."""
    (found,) = [item for item in run_json(view)["steps"] if item["key"] == key]
    return found["result"]["output"]


def error_of(view: RunView) -> dict[str, Any]:
    return run_json(view)["error"]


def returning(result: Any) -> Act:
    async def act(call: StepCall) -> Any:
        return result

    return act


def failing(error: BaseException) -> Act:
    async def act(call: StepCall) -> Any:
        raise error

    return act


class Gate:
    """A step that stands still at its first `held` attempts until the gate opens."""

    def __init__(self, result: Any = None, held: int = 1) -> None:
        self.begun, self.open = asyncio.Event(), asyncio.Event()
        self.result = StepResult(output="through") if result is None else result
        self.held = held

    async def __call__(self, call: StepCall) -> StepResult | Waiting:
        if call.attempt <= self.held:
            self.begun.set()
            await self.open.wait()
        return self.result
