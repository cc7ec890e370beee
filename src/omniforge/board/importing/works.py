"""What is to be run for a task that needs no agent: commands, or a skill with its inputs. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, cast

from omniforge.board.importing.documents import Json
from omniforge.board.importing.values import Wrong, anything, text
from omniforge.board.vocabulary import WorkKind

MAX_COMMANDS, MAX_COMMAND, MAX_INPUTS = 200, 20_000, 64_000
PARTS = {WorkKind.COMMANDS: frozenset({"commands"}), WorkKind.SKILL: frozenset({"name", "inputs"})}
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_HERE = re.compile(r"""<<(-?)[ \t]*(["']?)([A-Za-z_]\w*)\2""")


def read_work(given: Any) -> Json:
    """`{kind: commands, commands}` or `{kind: skill, name, inputs}` with every field; `Wrong` names the part
    that is refused."""
    if not isinstance(given, dict):
        raise Wrong("{kind: commands, commands: [...]}, or {kind: skill, name, inputs}")
    values = {name: value for name, value in cast("Json", given).items() if value is not None}
    marks = {"commands": WorkKind.COMMANDS, "name": WorkKind.SKILL}
    kind = values.pop("kind", None) or next((kind for mark, kind in marks.items() if mark in values), None)
    if kind not in PARTS:
        raise Wrong(f"one of {', '.join(PARTS)}", field="kind")
    known = PARTS[WorkKind(kind)]
    if unknown := sorted(values.keys() - known):
        raise Wrong(f"work of kind {kind} has {' and '.join(sorted(known))}", field=unknown[0][:100])
    if kind == WorkKind.COMMANDS:
        return {"kind": kind, "commands": _commands(values.get("commands"))}
    return {"kind": kind, "name": _name(values.get("name")), "inputs": _inputs(values.get("inputs", {}))}


def _commands(given: Any) -> list[str]:
    if not isinstance(given, list) or not given:
        raise Wrong("a list of command lines", field="commands")
    lines = cast("list[Any]", given)
    if len(lines) > MAX_COMMANDS:
        raise Wrong(f"at most {MAX_COMMANDS}, not {len(lines)}", field="commands")
    return [_command(number, line) for number, line in enumerate(lines)]


def _command(number: int, given: Any) -> str:
    try:
        line = text(given, MAX_COMMAND)
    except Wrong as wrong:
        raise Wrong(str(wrong), field=f"commands[{number}]") from None
    if not line:
        raise Wrong("a command line that is not empty", field=f"commands[{number}]")
    return line


def _name(given: Any) -> str:
    if not isinstance(given, str) or len(given) > 64 or not _NAME.fullmatch(given.strip()):
        raise Wrong("the name of a skill, such as make-report", field="name")
    return given.strip()


def _inputs(given: Any) -> Json:
    if not isinstance(given, dict):
        raise Wrong('an object, such as {"path": "src"}', field="inputs")
    try:
        kept = anything(cast("Json", given))
    except Wrong as wrong:
        raise Wrong(str(wrong), field="inputs") from None
    if len(json.dumps(kept)) > MAX_INPUTS:
        raise Wrong(f"at most {MAX_INPUTS} characters", field="inputs")
    return kept


def work_of_lines(fields: Json) -> None:
    """The parts that Markdown says one by one (`commands`, `skill`, `inputs`) become the work of a task."""
    commands, skill, inputs = (fields.pop(name, None) for name in ("commands", "skill", "inputs"))
    if skill is None and inputs is None:
        if commands is not None:
            fields["work"] = {"kind": WorkKind.COMMANDS.value, "commands": commands_in(commands)}
        return
    said: Json = {"kind": WorkKind.SKILL.value, "name": skill, "commands": commands}
    if inputs is not None:
        try:
            said["inputs"] = json.loads(inputs)
        except (ValueError, RecursionError):
            said["inputs"] = inputs  # what is no JSON is refused with its line
    fields["work"] = said


def commands_in(lines: Iterable[str]) -> list[str]:
    """One command per line; a line that ends in a backslash goes on in the next, and a text that a command
    reads (`<<END`) belongs to it. Empty lines and comments are none."""
    found: list[str] = []
    open_lines: list[str] = []
    ends: list[str] = []
    for line in lines:
        if not open_lines and (not line.strip() or line.lstrip().startswith("#")):
            continue
        open_lines.append(line)
        if ends:
            if line.strip() == ends[0]:
                ends.pop(0)
        else:
            ends = [here[3] for here in _HERE.finditer(line)]
        if not ends and not line.rstrip().endswith("\\"):
            found.append("\n".join(open_lines).strip())
            open_lines = []
    if open_lines:
        found.append("\n".join(open_lines).strip())
    return found


def lines_of(commands: Sequence[str]) -> str:
    """A block of commands, as `commands_in` reads it."""
    return "\n".join(commands)
