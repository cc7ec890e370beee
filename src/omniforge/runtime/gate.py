"""The gate that every write or send of a step passes: history, effect lock, journal, and then the tool."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from omniforge.core.errors import OmniForgeError
from omniforge.engine.active import StepCall
from omniforge.engine.recovery.policy import classify
from omniforge.integrations.manifest import Lookup
from omniforge.runs.service import Mode
from omniforge.runtime import effects
from omniforge.runtime.effects import EffectHistory, OutcomeUnknown
from omniforge.runtime.tools.origins import Origin
from omniforge.runtime.tools.policy import EffectLock, EffectNotApproved
from omniforge.runtime.tools.protocol import CallScope, Json, Target, Tool

SETTLING = 2.0
"""Seconds after which a service that did not answer is asked once more whether it did what it was told."""


class EffectAsked(EffectNotApproved):
    """A call that nobody approved yet and that a person may still allow; it was not sent."""


@dataclass(slots=True)
class EffectGate:
    """The effects of one attempt of one step. `tried` numbers them, `done` counts those that happened.

    asks: whether a person is asked about what the manifest does not list.
    """

    call: StepCall
    tools: Mapping[str, Tool]
    lock: EffectLock
    mode: Mode
    asks: bool = False
    history: EffectHistory = field(default_factory=EffectHistory)
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    tried: int = 0
    done: int = 0

    def take_up(self, history: EffectHistory) -> None:
        """Go on after earlier attempts: what they did counts against the caps, and is not done again."""
        self.history = history
        for payload in history.all():
            place: Json | None = payload["destination"]
            origin: Json = payload.get("origin") or {}
            if origin.get("from") == Origin.WITHIN and place is not None:
                self.lock.origins.remember(str(origin["container"]), str(place["resource"]))
            if not payload.get("granted"):
                self.lock.count(str(payload["tool"]), Target(**place) if place else None)

    async def do(self, tool: Tool, args: Json, scope: CallScope, number: int) -> Json:
        """Do it, or give back what an earlier attempt's same effect gave. number: of the call in the step."""
        self.tried += 1
        told = self._told(tool, args, scope, number)
        if self.mode is Mode.PREVIEW:
            result = await tool.hold(args, scope)
            await self.call.emit(effects.RECORDED, told)
        else:
            result = await self._do(tool, args, scope, told)
        self.done += 1
        return result

    def _told(self, tool: Tool, args: Json, scope: CallScope, number: int) -> Json:
        target = tool.target(args, scope)
        key, held = self.call.idempotency_key, self.mode is not Mode.LIVE
        told = effects.told(tool, args, target, number=self.tried, key=key, held=held)
        origin = self.lock.origins.of(target)
        return {**told, "attempt": self.call.attempt, "call": number, "origin": origin}

    async def _do(self, tool: Tool, args: Json, scope: CallScope, told: Json) -> Json:
        earlier = self.history.take(tool, args)
        if earlier is not None:
            return earlier
        doubtful = self.history.doubtful(tool, args)
        if doubtful is not None:
            found = await self._found_since(tool, args, scope, doubtful)
            if found is not None:
                return found
            return await self._send(tool, args, scope, told, None)
        ticket = self._admit(tool, args, scope, told)
        return await self._send(tool, args, scope, told, ticket)

    def _admit(self, tool: Tool, args: Json, scope: CallScope, told: Json) -> int | None:
        """The lock's ticket; None for a call that a person allowed, or that only meets sample data."""
        if self.mode is Mode.DRY:
            return None
        try:
            return self.lock.pass_through(tool.name, tool.target(args, scope))
        except EffectNotApproved as error:
            same = (tool.name, effects.digest(args))
            if self.history.approvals[same] > 0:
                self.history.approvals[same] -= 1
                told["granted"] = True
                return None
            if self.asks:
                exact = {name: told[name] for name in ("summary", "content", "content_digest")}
                asked = EffectAsked(f"{error.message} May it do this once?")
                asked.details = {**error.details, **exact}
                raise asked from None
            raise

    async def _send(self, tool: Tool, args: Json, scope: CallScope, told: Json, ticket: int | None) -> Json:
        """Told before and after: a crash in between leaves a question to the service, or to a person."""
        sent = effects.marked(tool, args, told["key"])
        for last in (False, True):
            await self.call.emit(effects.INTENDED, told)
            try:
                result = await (tool.hold if self.mode is Mode.DRY else tool.call)(sent, scope)
            except OmniForgeError as error:
                unknown = bool(error.details.get("outcome_unknown"))
                failed = {**told, "code": error.code, "outcome_unknown": unknown}
                failed["requests"] = scope.terms.requests
                await self.call.emit(effects.FAILED, failed)
                if not unknown:
                    if ticket is not None:
                        self.lock.give_back(ticket)
                    raise
                self.history.doubt(told)
                if last or tool.lookup(sent) is None:
                    raise
                found = await self._settle(tool, args, scope, told, error)
                if found is not None:
                    return found
            else:
                kept = {"result": effects.kept_result(result), "requests": scope.terms.requests}
                await self.call.emit(effects.RECORDED, {**told, **kept})
                return result
        raise AssertionError("the second try answers or raises")

    async def _settle(
        self, tool: Tool, args: Json, scope: CallScope, told: Json, error: OmniForgeError
    ) -> Json | None:
        """Whether an effect happened whose answer was lost just now; raises that loss if nobody can tell."""
        try:
            if self.mode is Mode.LIVE:  # a late arrival must not be taken for none
                await self.pause(SETTLING)
            return await self._find(tool, args, scope, told)
        except OmniForgeError:
            raise error from None

    async def _found_since(self, tool: Tool, args: Json, scope: CallScope, doubtful: Json) -> Json | None:
        """`_find` for what an earlier attempt left in doubt: a service that does not tell leaves it there."""
        try:
            return await self._find(tool, args, scope, doubtful)
        except OmniForgeError as error:
            if classify(error).retryable or isinstance(error, OutcomeUnknown):
                raise
            raise effects.stopped(doubtful, f"The answer was lost. {error.message}") from error

    async def _find(self, tool: Tool, args: Json, scope: CallScope, doubtful: Json) -> Json | None:
        """What the effect gave, when the service shows that it happened; None when it shows that it did not.

        Both are told, so that the doubt is over. `OutcomeUnknown` when there is no way to see it.
        """
        lookup = tool.lookup(effects.marked(tool, args, doubtful["key"]))
        asked = None if lookup is None else self.tools.get(lookup.tool)
        if lookup is None or asked is None:
            raise effects.stopped(doubtful, "The answer was lost, so it may or may not have happened.")
        shown = await asked.call(lookup.args, scope.without_fault())
        await self.call.emit("tool.called", {"tool": asked.name, "summary": asked.summary(lookup.args)})
        found = _found(lookup, shown)
        if found is None:
            not_done = {**doubtful, "code": "not_there", "outcome_unknown": False}
            await self.call.emit(effects.FAILED, not_done)
        else:
            await self.call.emit(effects.RECORDED, {**doubtful, "result": effects.kept_result(found)})
        self.history.settle(doubtful)
        return found


def _found(lookup: Lookup, shown: Json) -> Json | None:
    value: Any = shown.get(lookup.found)
    if value is None:
        return None
    return cast("Json", value) if isinstance(value, dict) else {lookup.found: value}
