"""The host's end of a skill's bridge: policy, schema, effect lock, then the tool; the log is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from omniforge.core.errors import Invalid, OmniForgeError, ProviderError, Retryable
from omniforge.engine.active import StepCall
from omniforge.integrations.errors import ConnectionExpired, ConnectionMissing
from omniforge.integrations.manifest import Access
from omniforge.runs.service import Mode
from omniforge.runtime import effects
from omniforge.runtime.effects import EffectHistory, OutcomeUnknown
from omniforge.runtime.memory import SkillMemory
from omniforge.runtime.tools.policy import EffectLock, EffectNotApproved, ToolPolicy
from omniforge.runtime.tools.protocol import CallScope, Json, Target, Tool
from omniforge.sandboxes import Bridge

MAX_CALLS = 1_000
MAX_LOG_EVENTS = 200
MAX_TEXT = 2_000


@dataclass(slots=True)
class SkillBridge:
    """Serves one attempt of one skill step. What the step itself must know of is kept in `trouble`."""

    call: StepCall
    skill: str
    tools: Mapping[str, Tool]
    policy: ToolPolicy
    lock: EffectLock
    scope: CallScope
    memory: SkillMemory
    history: EffectHistory = field(default_factory=EffectHistory)
    effects: int = 0
    effects_tried: int = 0
    trouble: OmniForgeError | None = None
    calls: int = 0
    logged: int = 0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def take_up(self, history: EffectHistory) -> None:
        """Go on after earlier attempts: what they did counts against the caps, and is not done again."""
        self.history = history
        for tool, place in history.places():
            self.lock.count(tool, Target(**place) if place else None)

    def serve(self) -> Bridge:
        return self._answer

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            result = await self._dispatch(request)
        except OmniForgeError as error:
            if _matters(error) and not isinstance(self.trouble, EffectNotApproved | OutcomeUnknown):
                self.trouble = error  # what stops the run stays, whatever the script provokes after it
            raise
        return {"ok": True, "result": result}

    async def _dispatch(self, request: dict[str, Any]) -> Any:
        match request.get("op"):
            case "tool":
                return await self._call_tool(str(request.get("tool", "")), request.get("args") or {})
            case "log":
                return await self._log("log.written", {"level": _text(request.get("level", "info"))}, request)
            case "progress":
                numbers = {
                    name: request.get(name) for name in ("done", "total") if _is_number(request.get(name))
                }
                return await self._log("step.progressed", numbers, request)
            case "state":
                return await self._state(request)
            case "model":
                raise Invalid("No language model is set up here.", code="model_not_configured")
            case "ask":
                raise Invalid("A script cannot put questions to people here.", code="not_supported")
            case unknown:
                raise Invalid(f"The bridge has no operation {_text(unknown)!r}.", code="unknown_operation")

    async def _call_tool(self, name: str, args: Any) -> Json:
        self.calls += 1
        if self.calls > MAX_CALLS:
            raise Invalid(f"More than {MAX_CALLS} tool calls in one step.", code="budget_exceeded")
        if not isinstance(args, dict):
            raise Invalid("Arguments of a tool are an object.", code="bad_arguments")
        tool = self.tools.get(name)
        if tool is None:
            raise Invalid(f"There is no tool {_text(name)!r}.", code="tool_not_found")
        given: Json = args  # pyright: ignore[reportUnknownVariableType]
        self.policy.check(self.skill, name, tool.subject(given))
        checked = tool.check(given)
        if tool.access is Access.READ:
            return await self._read(tool, checked)
        async with self._turn:  # effects happen one after the other, in the order they are told
            return await self._effect(tool, checked)

    async def _read(self, tool: Tool, args: Json) -> Json:
        told: Json = {"tool": tool.name, "summary": tool.summary(args)[:MAX_TEXT]}
        begun = time.perf_counter()
        try:
            return await tool.call(args, self.scope)
        except OmniForgeError as error:
            told["code"] = error.code
            raise
        finally:
            told["seconds"] = round(time.perf_counter() - begun, 4)
            await self.call.emit("tool.called", told)

    async def _effect(self, tool: Tool, args: Json) -> Json:
        target = tool.target(args, self.scope)
        held = self.scope.mode is not Mode.LIVE
        self.effects_tried += 1
        told = effects.told(
            tool, args, target, number=self.effects_tried, key=self.call.idempotency_key, held=held
        )
        told["attempt"] = self.call.attempt
        if held:
            result = await tool.hold(args, self.scope)
            await self.call.emit(effects.RECORDED, told)
        else:
            result = self.history.take(tool, args)
            if result is None:
                ticket = self.lock.pass_through(tool.name, target)
                result = await self._do_effect(tool, args, told, ticket)
        self.effects += 1
        return result

    async def _do_effect(self, tool: Tool, args: Json, told: Json, ticket: int) -> Json:
        """Told before and after: a crash in between leaves a question to a person, not a second effect."""
        await self.call.emit(effects.INTENDED, told)
        try:
            result = await tool.call(args, self.scope)
        except OmniForgeError as error:
            unknown = bool(error.details.get("outcome_unknown"))
            await self.call.emit(effects.FAILED, {**told, "code": error.code, "outcome_unknown": unknown})
            if unknown:
                self.history.doubt(told)
            else:
                self.lock.give_back(ticket)
            raise
        await self.call.emit(effects.RECORDED, {**told, "result": effects.kept_result(result)})
        return result

    async def _log(self, type_: str, payload: Json, request: dict[str, Any]) -> None:
        self.logged += 1
        if self.logged <= MAX_LOG_EVENTS:
            await self.call.emit(type_, {**payload, "text": _text(request.get("text", ""))})

    async def _state(self, request: dict[str, Any]) -> Any:
        key = request.get("key")
        if not isinstance(key, str) or not 1 <= len(key) <= 200:
            raise Invalid("State needs a key of 1 to 200 characters.", code="bad_arguments")
        match request.get("action"):
            case "get":
                return await self.memory.get(key)
            case "set":
                return await self.memory.set(key, request.get("value"))
            case "delete":
                return await self.memory.delete(key)
            case unknown:
                raise Invalid(f"State can get, set and delete, not {_text(unknown)!r}.", code="bad_arguments")


def _matters(error: OmniForgeError) -> bool:
    return isinstance(
        error,
        EffectNotApproved
        | OutcomeUnknown
        | ConnectionMissing
        | ConnectionExpired
        | ProviderError
        | Retryable,
    )


def _text(value: Any) -> str:
    return str(value)[:MAX_TEXT]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
