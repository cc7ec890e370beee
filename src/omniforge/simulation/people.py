"""People and programs around the engine: they start runs, ask twice, change their minds, and answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from omniforge.core.actor import Actor, Role
from omniforge.core.errors import OmniForgeError
from omniforge.engine.plan import Plan
from omniforge.runs.service import RunService, StartRequest
from omniforge.simulation.house import House
from omniforge.simulation.places import every_step, step_at
from omniforge.simulation.plans import random_input
from omniforge.simulation.reference import Meaning, interpret
from omniforge.tenants.roles import permissions_of

VERBS = ("cancel", "pause", "pause", "resume", "retry", "retry", "fork", "nudge")
EVERYTHING = permissions_of(Role.OWNER)


def actor_of(tenant_id: str) -> Actor:
    return Actor(tenant_id, "maya", Role.OWNER, "user:maya", EVERYTHING)


@dataclass(slots=True)
class Errand:
    """One run that somebody wants. verbs: what they do to it: (seconds later, verb, how often at once)."""

    name: str
    tenant_id: str
    plan: Plan
    input: dict[str, Any]
    at: float
    verbs: list[tuple[float, str, int]] = field(default_factory=list[tuple[float, str, int]])
    twice: bool = False
    run_id: str = ""


@dataclass(slots=True)
class Known:
    """A run whose id was handed out. `meaning` is None where what comes of it depends on timing."""

    tenant_id: str
    plan: Plan
    meaning: Meaning | None
    forked: bool = False


class People:
    """Everybody outside. Whatever they are told by the engine must hold in the end."""

    def __init__(self, house: House, rng: random.Random) -> None:
        self.house, self.rng, self.trace = house, rng, house.trace
        self.runs: dict[str, Known] = {}
        self._fork_inputs: dict[str, dict[str, Any] | None] = {}

    async def run_errand(self, errand: Errand) -> None:
        await asyncio.sleep(errand.at)
        actor = actor_of(errand.tenant_id)
        request = StartRequest(
            errand.plan,
            "simulation:1",
            errand.input,
            idempotency_key=errand.name,
            priority=self.rng.randint(0, 2),
        )
        start = [self.house.insist(lambda runs: runs.start_run(actor, request))]
        start += [self.house.insist(lambda runs: runs.start_run(actor, request))] if errand.twice else []
        ids = await asyncio.gather(*start)
        self.trace.tell(f"{errand.name} is run {ids[0]}")
        if len(set(ids)) > 1:
            self.trace.blame(f"one idempotency key, two runs: {ids}")
        errand.run_id = ids[0]
        self.know(ids[0], errand.tenant_id, errand.plan, errand.input)
        for delay, verb, times in errand.verbs:
            await asyncio.sleep(delay)
            await asyncio.gather(*(self._do(verb, actor, errand) for _ in range(times)))

    def know(
        self, run_id: str, tenant_id: str, plan: Plan, given: dict[str, Any] | None, *, forked: bool = False
    ) -> None:
        loose = (
            given is None
            or plan.budget.tokens is not None
            or any(step.args.get("stop") for step in every_step(plan))
        )
        self.runs[run_id] = Known(tenant_id, plan, None if loose else interpret(plan, given or {}), forked)

    async def _do(self, verb: str, actor: Actor, errand: Errand) -> None:
        run_id = errand.run_id
        acts: dict[str, Callable[[RunService], Awaitable[Any]]] = {
            "cancel": lambda runs: runs.cancel_run(actor, run_id),
            "pause": lambda runs: runs.pause_run(actor, run_id),
            "resume": lambda runs: runs.resume_run(actor, run_id),
            "retry": lambda runs: runs.retry_run(actor, run_id),
        }
        self.trace.tell(f"somebody wants to {verb} {run_id}")
        try:
            if verb == "fork":
                await self._fork(actor, errand)
            elif verb == "nudge":
                await self._nudge(run_id)
            else:
                await self.house.ask(acts[verb])
        except OmniForgeError as error:
            self.trace.tell(f"{verb} {run_id}: {error.code}")

    async def _nudge(self, run_id: str) -> None:
        engine, life = self.house.engine, self.house.life
        if engine is not None and life is not None and life.alive:
            await life.call(engine.worker.nudge(run_id))

    async def _fork(self, actor: Actor, errand: Errand) -> None:
        other = random_input(self.rng) if self.rng.random() < 0.3 else None
        given = self._fork_inputs.setdefault(errand.name, other)  # one key, one fork, one input
        from_step = self.rng.choice([None, *(step.key for step in errand.plan.steps)])
        made = await self.house.insist(
            lambda runs: runs.fork_run(
                actor, errand.run_id, from_step=from_step, input=given, idempotency_key=f"{errand.name}:fork"
            )
        )
        if made not in self.runs:
            known = None if given is not None else errand.input
            self.know(made, errand.tenant_id, errand.plan, known, forked=True)
        self.trace.tell(f"{errand.run_id} is forked from {from_step} as {made}")

    # --- those who answer ----------------------------------------------------------------------------------

    async def answer_and_resume(self) -> None:
        """Without end: somebody looks now and then at what waits and what is paused."""
        pause = 5.0
        while True:
            await asyncio.sleep(pause * self.rng.uniform(0.5, 1.5))
            busy = await self._look_round()
            pause = 5.0 if busy else min(pause * 2, 7200.0)

    async def _look_round(self) -> bool:
        stored = self.house.world.stored
        waiting = stored.execute(
            "SELECT r.id, r.tenant_id, s.key, s.reason FROM run_steps s JOIN runs r ON r.id = s.run_id WHERE"
            " s.status = 'waiting' AND s.reason != 'time' AND r.status IN ('running', 'waiting', 'paused')"
            " ORDER BY 1, 3"
        ).fetchall()
        paused = stored.execute(
            "SELECT id, tenant_id FROM runs WHERE status = 'paused' ORDER BY 1"
        ).fetchall()
        for run_id, tenant_id, key, reason in waiting:
            if self.rng.random() < 0.7:
                times = 2 if self.rng.random() < 0.2 else 1
                done = await asyncio.gather(
                    *(self._answer(actor_of(tenant_id), run_id, key, reason) for _ in range(times))
                )
                if done.count(True) > 1:
                    self.trace.blame(f"{run_id}/{key} was answered twice")
        for run_id, tenant_id in paused:
            if self.rng.random() < 0.7:
                await self._resume(actor_of(tenant_id), run_id)
        return bool(waiting or paused)

    async def _answer(self, actor: Actor, run_id: str, key: str, reason: str) -> bool:
        """Whether this answer was the one that counts."""
        plan = self.runs[run_id].plan if run_id in self.runs else None
        if plan is None:
            return False  # whoever started it does not know its id yet
        says = step_at(plan, key).args.get("says")
        again = reason == "connection" or self.rng.random() < 0.1
        if reason == "connection":
            self.house.world.connected.add((run_id, key))
        self.trace.tell(f"somebody answers {run_id}/{key}")
        try:
            if again:
                await self.house.ask(lambda runs: runs.answer_step(actor, run_id, key, None))
            elif says == "no":
                await self.house.ask(lambda runs: runs.reject_step(actor, run_id, key, "not now"))
            else:
                output = {"n": 1, "list": [1, 2]}
                await self.house.ask(lambda runs: runs.answer_step(actor, run_id, key, output))
        except OmniForgeError as error:
            self.trace.tell(f"answer {run_id}/{key}: {error.code}")
            return False
        return not again

    async def _resume(self, actor: Actor, run_id: str) -> None:
        try:
            await self.house.ask(lambda runs: runs.resume_run(actor, run_id))
        except OmniForgeError as error:
            self.trace.tell(f"resume {run_id}: {error.code}")
