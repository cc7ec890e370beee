"""Scripts: what a model of tests and demonstrations says, turn by turn."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

import yaml

from omniforge.core.errors import Invalid

Json = dict[str, Any]


class FaultKind(StrEnum):
    """What can go wrong with one request."""

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    UNAUTHORIZED = "unauthorized"
    NO_CREDIT = "no_credit"
    NOT_FOUND = "not_found"
    BAD_REQUEST = "bad_request"
    CONTEXT_TOO_LONG = "context_too_long"
    SLOW = "slow"
    """The turn is answered as it stands, after `seconds`."""
    GARBAGE = "garbage"
    HALF_JSON = "half_json"
    CUT = "cut"
    """The connection ends in the middle of the answer."""
    FAILING = "failing"
    """A stream that tells of an error of the service after its first words; a server error otherwise."""
    EMPTY = "empty"
    REFUSED = "refused"
    """The model declines to answer."""


@dataclass(frozen=True, slots=True)
class ToolUse:
    """One call of a tool. `args` as text is sent as it stands, also when it is no JSON."""

    name: str
    args: Json | str = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer of the model.

    `value` is the typed answer, given in whichever way the request asks for one. `when`: only requests that
    hold these words anywhere; `times`: how many requests it answers (0: all). `usage` is any of
    `{"in", "out", "cached"}`; what is missing is counted roughly. `pause` are seconds between two pieces of a
    stream; `seconds` is the delay of SLOW and the Retry-After of RATE_LIMITED.
    """

    text: str | None = None
    value: Json | None = None
    tools: tuple[ToolUse, ...] = ()
    thinking: str = ""
    fault: FaultKind | None = None
    seconds: float = 1.0
    pause: float = 0.0
    usage: Mapping[str, int] = field(default_factory=dict[str, int])
    is_cut_short: bool = False
    """Stopped by the limit on the length of an answer."""
    when: str = ""
    times: int = 1


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as every protocol has it. `text` is all of it, `turn` counts the answers before."""

    model: str
    text: str
    turn: int = 0
    tools: tuple[str, ...] = ()
    forced: str | None = None
    """The tool that has to be called."""
    wants_json: bool = False
    """The answer is asked for as JSON text."""
    stream: bool = False


Writer = Callable[[Asked], Turn]


class Script:
    """The turns still to come, or a function that writes each of them from what was asked."""

    def __init__(self, turns: Sequence[Turn] | Writer = ()) -> None:
        self._writer = turns if callable(turns) else None
        self._turns = () if callable(turns) else tuple(turns)
        self._played = [0] * len(self._turns)

    def next(self, asked: Asked) -> Turn | None:
        """The first turn left whose `when` is met; None when there is none."""
        if self._writer is not None:
            return self._writer(asked)
        for number, turn in enumerate(self._turns):
            if turn.when in asked.text and not 0 < turn.times <= self._played[number]:
                self._played[number] += 1
                return turn
        return None


def given(turn: Turn, asked: Asked) -> Turn:
    """The turn with its `value` as text or as a tool call, whichever the request asks for."""
    if turn.value is None:
        return turn
    tool = asked.forced or (asked.tools[-1] if asked.tools else None)
    if tool is None or asked.wants_json:
        return replace(turn, text=json.dumps(turn.value, ensure_ascii=False), value=None)
    return replace(turn, tools=(*turn.tools, ToolUse(tool, turn.value)), value=None)


def words(text: str) -> list[str]:
    """Text as it comes in a stream: word by word, nothing lost."""
    return re.findall(r"\s*\S+\s*|\s+", text)


def parse_turns(entries: Sequence[Any]) -> list[Turn]:
    """Turns from plain data: `[{"tools": [{"name", "args"}]}, {"value": {}}, {"fault": "cut"}]`."""
    return [_parsed(entry, number) for number, entry in enumerate(entries, start=1)]


def load_script(path: Path) -> Script:
    """A script file: JSON or YAML, a list of turns."""
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Invalid(f"The script {path} cannot be read: {error.strerror}.", path=str(path)) from None
    except yaml.YAMLError as error:
        raise Invalid(f"The script {path} is neither JSON nor YAML: {error}", path=str(path)) from None
    if not isinstance(entries, list):
        raise Invalid(f"The script {path} is not a list of turns.", path=str(path))
    return Script(parse_turns(cast("list[Any]", entries)))


def _parsed(entry: Any, number: int) -> Turn:
    known = {part.name for part in fields(Turn)}
    data: Json = dict(cast("Json", entry)) if isinstance(entry, dict) else {repr(entry)[:100]: None}
    if unknown := set(data) - known:
        names = ", ".join(sorted(unknown))
        raise Invalid(f"Turn {number} of the script is not understood: {names}.", known=sorted(known))
    try:
        if fault := data.get("fault"):
            data["fault"] = FaultKind(fault)
        data["tools"] = tuple(
            ToolUse(str(tool["name"]), tool.get("args") or {}) for tool in data.get("tools") or ()
        )
        return Turn(**data)
    except (KeyError, TypeError, ValueError) as error:
        kinds = [kind.value for kind in FaultKind]
        raise Invalid(f"Turn {number} of the script is not understood: {error}.", faults=kinds) from None
