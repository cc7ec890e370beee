"""The world outside the engine: what steps do there, and what of it stands. It sees when a rule is broken."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from omniforge.core.errors import Fatal, NeedsHuman, ProviderError, Retryable
from omniforge.engine.active import Fenced, Handler, StepCall
from omniforge.engine.state import Signal, StepResult, StepStatus, Waiting
from omniforge.simulation.faults import Promised
from omniforge.simulation.life import Life
from omniforge.simulation.places import needs_of
from omniforge.simulation.reference import output_of
from omniforge.simulation.trace import Trace

DAMAGED = "no JSON"
"""What is left of a row's result in which bits fell over."""
Place = tuple[str, str]
"""Run id and step key."""
_WITHOUT_EFFECT = {"slow_down", "busy", "fatal", "person"}
"""Ends in which the handler says itself that nothing happened."""
_OVER = {status.value for status in StepStatus if status.is_over}


@dataclass(slots=True)
class Effect:
    """Something a step wrote outside. `undone` stays set: an effect after its undoing is a mistake."""

    key: str
    stands: bool = True
    undone: bool = False


@dataclass(slots=True)
class World:
    """Everything that outlives the engine's process, but its own database."""

    trace: Trace
    stored: sqlite3.Connection
    plans: Mapping[str, Any]
    promised: Promised = field(default_factory=Promised)
    effects: dict[Place, Effect] = field(default_factory=dict[Place, Effect])
    tries: dict[tuple[str, str, str], int] = field(default_factory=dict[tuple[str, str, str], int])
    attempts: dict[Place, int] = field(default_factory=dict[Place, int])
    connected: set[Place] = field(default_factory=set[Place])
    damaged: set[Place] = field(default_factory=set[Place])
    calls: int = 0

    def handlers(self, life: Life) -> dict[str, Handler]:
        """What the engine of one life is given."""
        acts: dict[str, Callable[[StepCall, Life], Awaitable[Any]]] = {
            "do": self.do,
            "ask": self.ask,
            "connect": self.connect,
            "undo": self.undo,
            "probe": self.probe,
        }

        def bound(act: Callable[[StepCall, Life], Awaitable[Any]]) -> Handler:
            async def handler(call: StepCall) -> Any:
                await _while_alive(life)
                self.calls += 1
                return await act(call, life)

            return handler

        return {kind: bound(act) for kind, act in acts.items()}

    # --- what steps do -------------------------------------------------------------------------------------

    async def do(self, call: StepCall, life: Life) -> Any:
        self._check_start(call)
        args, place = call.step.args, (call.run.id, call.step.key)
        await asyncio.sleep(args["took"] / 2)
        await _while_alive(life)
        ending = self._ending(place, "do", args)
        if args["effect"] and ending not in _WITHOUT_EFFECT:
            self._take_effect(call)
        for number in range(args["emits"]):
            await call.emit("step.progressed", {"number": number})
            await _while_alive(life)
        if args.get("late"):
            asyncio.get_running_loop().create_task(self._speak_late(call, life))
        await self._rest(call, life)
        if ending != "ok":
            return await self._end_badly(call, life, ending)
        signal = Signal.STOP if args.get("stop") else Signal.EMPTY if args.get("empty") else Signal.OK
        return StepResult(
            output_of(call.step, call.inputs),
            signal=signal,
            effects=int(args["effect"]),
            usage={"tokens": 1},
        )

    async def ask(self, call: StepCall, life: Life) -> Waiting:
        self._check_start(call)
        return Waiting("approval", {"question": "go on?"})

    async def connect(self, call: StepCall, life: Life) -> StepResult | Waiting:
        self._check_start(call)
        if (call.run.id, call.step.key) not in self.connected:
            return Waiting("connection")
        return StepResult(output_of(call.step, call.inputs))

    async def undo(self, call: StepCall, life: Life) -> StepResult:
        place = (call.run.id, call.step.key.removesuffix("~undo"))
        self.trace.tell(f"undo {call.idempotency_key}")
        await self._pass(place, "undo", call.step.args)
        await _while_alive(life)
        match call.step.args["end"]:
            case "fatal":
                raise Fatal("It cannot be undone.")
            case "hang":
                await asyncio.Event().wait()
            case _:
                pass
        effect = self.effects.setdefault(place, Effect(call.idempotency_key, stands=False))
        effect.stands, effect.undone = False, True
        return StepResult({})

    async def probe(self, call: StepCall, life: Life) -> StepResult:
        place = (call.run.id, call.step.key.removesuffix("~probe"))
        await self._pass(place, "probe", call.step.args)
        await _while_alive(life)
        match call.step.args["says"]:
            case "fatal":
                raise Fatal("Nobody can tell.")
            case "nonsense":
                return StepResult({"happened": "perhaps"})
            case _:
                effect = self.effects.get(place)
                return StepResult({"happened": effect is not None and effect.stands})

    # --- parts of that -------------------------------------------------------------------------------------

    async def _pass(self, place: Place, what: str, args: Mapping[str, Any]) -> None:
        tried = self.tries.get((*place, what), 0)
        self.tries[(*place, what)] = tried + 1
        await asyncio.sleep(0.5)
        if tried < args["transient"]:
            raise Retryable("not now")

    def _ending(self, place: Place, what: str, args: Mapping[str, Any]) -> str:
        """How this call ends: what passes by itself is over after so many calls, whoever made them."""
        tried = self.tries.get((*place, what), 0)
        self.tries[(*place, what)] = tried + 1
        return args["transient"][tried] if tried < len(args["transient"]) else args["end"]

    async def _rest(self, call: StepCall, life: Life) -> None:
        half = call.step.args["took"] / 2
        try:
            await asyncio.sleep(half)
        except asyncio.CancelledError:
            if not call.step.args.get("rude") or not life.alive:
                raise
            self.trace.tell(f"{call.idempotency_key} does not want to be cancelled")
            await asyncio.sleep(half)
        await _while_alive(life)

    async def _end_badly(self, call: StepCall, life: Life, ending: str) -> Any:
        match ending:
            case "busy":
                raise Retryable("busy", code="busy")
            case "slow_down":
                raise ProviderError("slower", retryable=True, retry_after=5, code="rate_limited_there")
            case "fatal":
                raise Fatal("no", code="no")
            case "person":
                raise NeedsHuman("who?", code="who")
            case "bad_output":
                return StepResult(output={1, 2})
            case "wrong_type":
                return "a text"
            case "hang":
                await asyncio.Event().wait()
            case _:
                pass
        raise ValueError("a fault of the handler's own")

    def _take_effect(self, call: StepCall) -> None:
        """An outside service that knows its callers' idempotency keys."""
        place = (call.run.id, call.step.key)
        known = self.effects.get(place)
        if known is None:
            self.effects[place] = Effect(call.idempotency_key)
        elif known.key != call.idempotency_key:
            self.trace.blame(f"{place} has two keys: {known.key}, {call.idempotency_key}")
        elif known.undone:
            self.trace.blame(f"{place} takes effect after it was undone")

    async def _speak_late(self, call: StepCall, life: Life) -> None:
        """A task that a handler left behind says something when the run may be over."""
        await asyncio.sleep(50)
        await _while_alive(life)
        try:
            await call.emit("step.progressed", {"late": True})
        except Fenced:
            return
        if self.promised.runs.get(call.run.id) not in ("running", "waiting", "paused"):
            self.trace.blame(f"{call.idempotency_key} spoke after its run was over")

    # --- what must hold when a step starts -----------------------------------------------------------------

    def _check_start(self, call: StepCall) -> None:
        run_id, key = place = call.run.id, call.step.key
        self.trace.tell(f"do {call.idempotency_key} #{call.attempt}")
        before = self.attempts.get(place, 0)
        if call.attempt <= before:
            self.trace.blame(f"{place} starts with attempt {call.attempt} after attempt {before}")
        self.attempts[place] = call.attempt
        durable = {name: row[2:4] for name, row in self.promised.steps.get(run_id, {}).items()}
        if durable.get(key) != ("running", call.attempt):
            self.trace.blame(f"{place} runs as attempt {call.attempt}; stored is {durable.get(key)}")
        for need in needs_of(self.plans[call.run.plan_hash], key):
            if durable.get(need, ("nothing",))[0] not in _OVER and (run_id, need) not in self.damaged:
                self.trace.blame(f"{place} starts though {need} is stored as {durable.get(need)}")
        status = self.promised.runs.get(run_id)
        if status not in ("running", "paused", "waiting"):
            self.trace.blame(f"{place} starts in a run that is {status}")


async def _while_alive(life: Life) -> None:
    if not life.alive:
        await asyncio.Event().wait()
