"""The tools a model is offered, and what becomes of each call: the bridge's one path, told, shown as data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from omniforge.core.errors import Invalid, OmniForgeError
from omniforge.core.network import no_network
from omniforge.core.redaction import redact
from omniforge.engine.active import Fenced, NotWritten
from omniforge.engine.recovery.policy import classify
from omniforge.integrations.errors import ConnectionExpired, ConnectionMissing
from omniforge.integrations.manifest import Access
from omniforge.llm.protocol import (
    AnswerInvalid,
    BudgetExceeded,
    ModelNotConfigured,
    ModelUnavailable,
    ToolOffer,
)
from omniforge.runtime.bridge import SkillBridge
from omniforge.runtime.effects import OutcomeUnknown, digest
from omniforge.runtime.guards import Source, signs_of, spotlight
from omniforge.runtime.handles import Handles
from omniforge.runtime.telling import TOOL_RESULT, TOOL_USED, Telling, shown
from omniforge.runtime.tools.own import QuestionAsked
from omniforge.runtime.tools.policy import EffectNotApproved, ToolPolicy
from omniforge.runtime.tools.protocol import Json, Tool

MAX_SAME = 3
"""How often one tool may be called with the same arguments."""
RESULT_SHOWN = 6_000
"""Characters of a result that a model is shown at once; of a larger one it gets a digest and a handle."""
OPEN = "Open"
PROCEDURES = frozenset({"Skill"})
"""Tools whose result is a procedure to follow, and no data."""
_SOURCES = {
    **dict.fromkeys(("WebFetch", "Http"), Source.WEB),
    **dict.fromkeys(("Read", "Glob", "Grep", "Document", "Bash"), Source.FILE),
    **dict.fromkeys(("Ask",), Source.USER),
    **dict.fromkeys(("Agent",), Source.MODEL),
}
ENDING = (
    *(EffectNotApproved, OutcomeUnknown, ConnectionMissing, ConnectionExpired, QuestionAsked),
    *(Fenced, NotWritten, BudgetExceeded, ModelNotConfigured, ModelUnavailable, AnswerInvalid),
)
"""What ends the work of the model, whatever it would make of it; every other error is an answer to it."""

_OPENING: Json = {
    "type": "object",
    "properties": {
        "handle": {"type": "string", "description": "as it was given"},
        "first": {"type": "integer", "minimum": 1, "description": "line to begin with"},
        "lines": {"type": "integer", "minimum": 1, "maximum": 1000},
        "find": {"type": "string", "description": "only lines that hold this text"},
    },
    "required": ["handle"],
    "additionalProperties": False,
}


@dataclass(slots=True)
class Desk:
    """What the asks of one attempt share, those of sub-agents included.

    own: tools of this step alone, by name. transcript: every call that was made, in order of their ends;
    is_recordable: whether it holds everything that happened.
    """

    bridge: SkillBridge
    telling: Telling
    own: Mapping[str, Tool] = field(default_factory=dict[str, Tool])
    handles: Handles = field(default_factory=Handles)
    transcript: list[Json] = field(default_factory=list[Json])
    same: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    number: int = 0
    is_recordable: bool = True

    def tools(self) -> dict[str, Tool]:
        return {**self.bridge.tools, **self.own}


@dataclass(frozen=True, slots=True)
class Active:
    """A skill that is being followed, with what it may use."""

    skill: str
    policy: ToolPolicy


@dataclass(slots=True)
class Offers:
    """The tools of one ask. `stack`: the skill at work last, those it was called from before it.

    more: tools that only this ask has. usable: what else a tool must be to be offered.
    """

    desk: Desk
    stack: list[Active]
    more: Mapping[str, Tool] = field(default_factory=dict[str, Tool])
    usable: Callable[[Tool], bool] = lambda _: True

    @property
    def active(self) -> Active:
        return self.stack[-1]

    def offered(self) -> list[ToolOffer]:
        """In a stable order: what a model is told first stays the same from run to run."""
        tools = {**self.desk.tools(), **self.more}
        policy = self.active.policy
        offers = [
            ToolOffer(wire_name(name), _described(tool), tool.input_schema, partial(self.call, tool))
            for name, tool in sorted(tools.items())
            if policy.is_usable(name) and self.usable(tool)
        ]
        return [*offers, ToolOffer(OPEN, "Open a part of a value that has a handle.", _OPENING, self.open)]

    async def call(self, tool: Tool, args: Json) -> str:
        """One call by the model. A refusal is an answer to it; only what ends the step is raised."""
        self.desk.number += 1
        told: Json = {"n": self.desk.number, "tool": tool.name, "skill": self.active.skill}
        await self.desk.telling.flush()
        await self.desk.telling.tell(TOOL_USED, {**told, "args": shown(args)})
        try:
            self._check_repeated(tool, args)
            with no_network() if self.desk.bridge.rehearsal is not None else nullcontext():
                result: Any = await self.desk.bridge.use(tool, args, self.active.skill, self.active.policy)
        except ENDING as error:
            await self.desk.telling.tell(TOOL_RESULT, {**told, "ok": False, "code": error.code, "ends": True})
            raise
        except OmniForgeError as error:
            return await self._refused(tool, args, error, told)
        self._note(tool, args, ok=True)
        return await self._answered(tool, result, told)

    def _check_repeated(self, tool: Tool, args: Json) -> None:
        same = (tool.name, digest(args))
        self.desk.same[same] += 1
        if self.desk.same[same] > MAX_SAME:
            raise Invalid(
                f"{tool.name} was called {MAX_SAME} times with exactly this already, so it was not done. "
                "Change the call, take another way, or go without and say what is missing.",
                code="repeated",
            )

    async def _refused(self, tool: Tool, args: Json, error: OmniForgeError, told: Json) -> str:
        self._note(tool, args, ok=False)
        details = {name: value for name, value in error.details.items() if name in _USEFUL}
        answer = {
            "code": error.code,
            "message": error.message,
            "retryable": classify(error).retryable,
            **details,
        }
        await self.desk.telling.tell(
            TOOL_RESULT, {**told, "ok": False, "code": error.code, "shown": shown(answer)}
        )
        text = json.dumps({"error": redact(answer)}, ensure_ascii=False, default=str)
        return spotlight(text, Source.TOOL, tool.name, limit=RESULT_SHOWN)

    async def _answered(self, tool: Tool, result: Any, told: Json) -> str:
        if tool.name in PROCEDURES and "procedure" in result:
            await self.desk.telling.tell(TOOL_RESULT, {**told, "ok": True, "shown": shown(result, 500)})
            return str(result["procedure"])
        source = _SOURCES.get(tool.name, Source.TOOL)
        safe = redact(_plain(result))
        text, whole = self.desk.handles.put(f"result-{self.desk.number}", safe, whole=RESULT_SHOWN)
        signs = signs_of(json.dumps(safe, ensure_ascii=False))
        told |= {"ok": True, "characters": len(text), "whole": whole, "shown": shown(text)}
        await self.desk.telling.tell(TOOL_RESULT, told | ({"signs": list(signs)} if signs else {}))
        if signs:
            flagged = {"tool": tool.name, "source": source.value, "signs": list(signs)}
            await self.desk.telling.emit("guard.flagged", flagged)
        return spotlight(text, source, tool.name)

    async def open(self, args: Json) -> str:
        """A part of something large. It can only be what this step was given or has read."""
        self.desk.number += 1
        told: Json = {"n": self.desk.number, "tool": OPEN, "skill": self.active.skill}
        await self.desk.telling.tell(TOOL_USED, {**told, "args": shown(args)})
        try:
            found = self.desk.handles.open(
                str(args.get("handle", "")),
                first=int(args.get("first") or 1),
                lines=int(args.get("lines") or 200),
                find=str(args.get("find") or ""),
            )
        except (OmniForgeError, ValueError, TypeError) as error:
            message = error.message if isinstance(error, OmniForgeError) else "first and lines are numbers"
            await self.desk.telling.tell(TOOL_RESULT, {**told, "ok": False, "shown": message})
            return json.dumps({"error": {"code": "no_such_handle", "message": message}}, ensure_ascii=False)
        text = str(found.pop("text"))
        await self.desk.telling.tell(TOOL_RESULT, {**told, "ok": True, "characters": len(text)})
        facts = json.dumps(found, ensure_ascii=False)
        return f"{facts}\n{spotlight(text, Source.STEP, str(found['handle']))}"

    def _note(self, tool: Tool, args: Json, *, ok: bool) -> None:
        if tool.name in self.desk.bridge.tools:
            self.desk.transcript.append({"tool": tool.name, "args": args, "ok": ok})


_USEFUL = frozenset({"allowed", "granted", "disallowed", "near", "path", "fields", "retry_after"})
"""Details of an error that help a model to do it differently."""


def wire_name(name: str) -> str:
    """A tool's name as every provider takes it: letters, digits, `_` and `-`."""
    return name.replace(".", "__")


def only_reads(tool: Tool) -> bool:
    return tool.access is Access.READ


def only_looks(tool: Tool) -> bool:
    """Reads, and leaves the working folder as it is, too."""
    return only_reads(tool) and tool.name not in ("Write", "Edit", "Bash", "State", "Inbox")


def _described(tool: Tool) -> str:
    return tool.description if tool.access is Access.READ else f"{tool.description} ({tool.access.value}s)"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        parts = cast("Mapping[str, Any]", value)
        return {str(name): _plain(part) for name, part in parts.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(part) for part in cast("Sequence[Any]", value)]
    return value
