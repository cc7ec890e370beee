"""The host's end of a skill's bridge: policy, schema, the gate of effects, then the tool; the log is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from omniforge.core.errors import Invalid, OmniForgeError, ProviderError, Retryable
from omniforge.core.network import NetworkDisabled
from omniforge.engine.active import StepCall
from omniforge.integrations.errors import (
    ConflictThere,
    ConnectionExpired,
    ConnectionMissing,
    PermissionDeniedThere,
    RefusedThere,
    ResourceNotFound,
)
from omniforge.integrations.manifest import Access
from omniforge.runtime.effects import OutcomeUnknown
from omniforge.runtime.gate import EffectGate
from omniforge.runtime.memory import SkillMemory
from omniforge.runtime.rehearsal import Rehearsal
from omniforge.runtime.tools.policy import EffectNotApproved, ToolPolicy
from omniforge.runtime.tools.protocol import CallScope, Json, Tool
from omniforge.sandboxes import Bridge

MAX_CALLS = 1_000
MAX_LOG_EVENTS = 200
MAX_TEXT = 2_000
STOPPING = EffectNotApproved | OutcomeUnknown
"""Stops the step, whatever its script makes of it."""
WAITED_FOR = ConnectionMissing | ConnectionExpired
GIVEN_UP_FOR = (
    ProviderError
    | Retryable
    | ConflictThere
    | NetworkDisabled
    | PermissionDeniedThere
    | RefusedThere
    | ResourceNotFound
)
"""When a script gives up after one of these, this is why, and not the script."""


@dataclass(slots=True)
class SkillBridge:
    """Serves one attempt of one skill step. What the step itself must know of is kept in `trouble`."""

    call: StepCall
    skill: str
    tools: Mapping[str, Tool]
    policy: ToolPolicy
    gate: EffectGate
    scope: CallScope
    memory: SkillMemory
    rehearsal: Rehearsal | None = None
    trouble: OmniForgeError | None = None
    calls: int = 0
    went_out: int = 0
    logged: int = 0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def serve(self) -> Bridge:
        return self._answer

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            result = await self._dispatch(request)
        except OmniForgeError as error:
            if _matters(error) and not isinstance(self.trouble, STOPPING):
                self.trouble = error  # what stops the run stays, whatever the script provokes after it
            raise
        if request.get("op") == "tool" and not isinstance(self.trouble, STOPPING | WAITED_FOR):
            self.trouble = None  # the script got over it
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
                return await use_state(self.memory, request)
            case "model":
                raise Invalid("No language model is set up here.", code="model_not_configured")
            case "ask":
                raise Invalid("A script cannot put questions to people here.", code="not_supported")
            case unknown:
                raise Invalid(f"The bridge has no operation {_text(unknown)!r}.", code="unknown_operation")

    async def _call_tool(self, name: str, args: Any) -> Json:
        if not isinstance(args, dict):
            raise Invalid("Arguments of a tool are an object.", code="bad_arguments")
        given: Json = args  # pyright: ignore[reportUnknownVariableType]
        tool = self.tools.get(name)
        if tool is None:
            raise Invalid(f"There is no tool {_text(name)!r}.", code="tool_not_found")
        return await self.use(tool, given, self.skill, self.policy)

    async def use(self, tool: Tool, args: Json, skill: str, policy: ToolPolicy) -> Json:
        """One call of a tool, whoever makes it: policy, schema, the gate of effects, then the tool.

        skill: that calls, under its policy.
        """
        self.calls += 1
        if self.calls > MAX_CALLS:
            raise Invalid(f"More than {MAX_CALLS} tool calls in one step.", code="budget_exceeded")
        policy.check(skill, tool.name, tool.subject(args))
        checked = tool.check(args)
        number = 0
        if tool.outward:
            self.went_out += 1
            number = self.went_out
        scope = self._scope(number)
        if tool.access is Access.READ:
            return await self._read(tool, checked, scope, number)
        async with self._turn:  # effects happen one after the other, in the order they are told
            return await self.gate.do(tool, checked, scope, number)

    def _scope(self, number: int) -> CallScope:
        if self.rehearsal is None or not number:
            return self.scope
        return replace(self.scope, terms=self.rehearsal.terms(number))

    async def _read(self, tool: Tool, args: Json, scope: CallScope, number: int) -> Json:
        told: Json = {"tool": tool.name, "summary": tool.summary(args)[:MAX_TEXT]}
        if number:
            told |= {"call": number, "host": urlsplit(tool.subject(args)).hostname}
        begun = time.perf_counter()
        try:
            result = await tool.call(args, scope)
        except OmniForgeError as error:
            told["code"] = error.code
            raise
        else:
            self.gate.lock.origins.note_read(tool.container(args), result)
            return result
        finally:
            told |= {"seconds": round(time.perf_counter() - begun, 4), "requests": scope.terms.requests}
            await self.call.emit("tool.called", told)

    async def _log(self, type_: str, payload: Json, request: dict[str, Any]) -> None:
        self.logged += 1
        if self.logged <= MAX_LOG_EVENTS:
            await self.call.emit(type_, {**payload, "text": _text(request.get("text", ""))})


async def use_state(memory: SkillMemory, request: Mapping[str, Any]) -> Any:
    """`{"action": get|set|delete, "key", "value"?}` on what a skill remembers."""
    key = request.get("key")
    if not isinstance(key, str) or not 1 <= len(key) <= 200:
        raise Invalid("State needs a key of 1 to 200 characters.", code="bad_arguments")
    match request.get("action"):
        case "get":
            return await memory.get(key)
        case "set":
            return await memory.set(key, request.get("value"))
        case "delete":
            return await memory.delete(key)
        case unknown:
            raise Invalid(f"State can get, set and delete, not {_text(unknown)!r}.", code="bad_arguments")


def _matters(error: OmniForgeError) -> bool:
    return isinstance(error, STOPPING | WAITED_FOR | GIVEN_UP_FOR)


def _text(value: Any) -> str:
    return str(value)[:MAX_TEXT]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
