"""The small forms in an item of a Markdown spec: keys and values, criteria, EARS sentences. Pure."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from omniforge.board.importing.documents import Json
from omniforge.board.vocabulary import ApproverRole

KEYS: dict[str, dict[str, str]] = {
    "requirements": {"priority": "priority", "category": "category", "design": "linked_design"},
    "tickets": {
        "priority": "priority",
        "estimate": "estimate",
        "type": "ticket_type",
        "requirements": "requirements",
        "depends on": "depends_on",
        "blocks": "blocks",
        "tags": "tags",
        "files": "key_files",
    },
    "tasks": {
        "priority": "priority",
        "estimate": "estimate",
        "type": "task_type",
        "phase": "phase_id",
        "ticket": "ticket",
        "depends on": "depends_on",
        "blocks": "blocks",
        "files": "owned_files",
        "deliverables": "deliverables",
        "capabilities": "required_capabilities",
        "timeout": "timeout_seconds",
        "parent": "parent",
        "skill": "skill",
        "inputs": "inputs",
    },
}
"""As it is written before the colon, in any case → the field."""
REFS = frozenset({"requirements", "depends_on", "blocks"})
LISTS = REFS | {"tags", "key_files", "owned_files", "deliverables", "required_capabilities"}

_NOTHING = frozenset({"", "-", "none", "n/a"})
_COMMAND = re.compile(r"`\$[ \t]*([^`]+)`[ \t]*")
_APPROVAL = re.compile(rf"(?i)\(approval:[ \t]*({'|'.join(ApproverRole)})[ \t]*\)[ \t]*")
_SHALL = re.compile(r"\bSHALL\b", re.IGNORECASE)
_CAPITALS = re.compile(r"\bSHALL\b")
_THE = re.compile(r"\bTHE\b")
_ANY_THE = re.compile(r"\bTHE\b", re.IGNORECASE)
OPENS = re.compile(r"(?:WHEN|WHILE|WHERE|IF)\b", re.IGNORECASE)


def value_of(name: str, value: str) -> Any:
    """What stands behind `Key:`, as the field wants it; what it may be is checked later."""
    value = value.strip()
    if name in LISTS:
        if value.lower().strip("`") in _NOTHING:
            return []
        parts = re.split(r"[,;\s]+", value) if name in REFS else _outside_braces(value)
        found = [part.strip().strip("`").strip() for part in parts]
        return [part for part in found if part]
    bare = value.strip("`").strip() if name != "inputs" or value.startswith("`") else value
    if name == "timeout_seconds":
        return int(bare) if bare.isascii() and bare.isdigit() and len(bare) < 10 else bare
    return bare


def _outside_braces(value: str) -> list[str]:
    """Parts between commas; those of `{a,b}` separate nothing."""
    cuts, depth = [-1], 0
    for at, char in enumerate(value):
        depth = max(depth + (char == "{") - (char == "}"), 0)
        if char == "," and not depth:
            cuts.append(at)
    return [value[a + 1 : b] for a, b in pairwise([*cuts, len(value)])]


def criterion_of(said: str) -> Json:
    """`text`, with a trailing `` `$ command` `` or `(approval: role)` as its check."""
    said = said.strip()
    start = said.rfind("`$")
    if start >= 0 and (command := _COMMAND.fullmatch(said, start)):
        check = {"command": command[1].strip()}
        return {"text": said[:start].strip() or check["command"], "kind": "command", "check": check}
    start = said.rfind("(")
    if start >= 0 and (approval := _APPROVAL.fullmatch(said, start)):
        role = approval[1].lower()
        return {"text": said[:start].strip() or f"{role} agrees", "kind": "approval", "check": {"role": role}}
    return {"text": said}


def shall_at(sentence: str) -> int | None:
    """Where the SHALL clause begins: at the THE before it."""
    shall = _SHALL.search(sentence)
    if shall is None:
        return None
    for form in (_THE, _ANY_THE):
        before = [found.start() for found in form.finditer(sentence, 0, shall.start())]
        if before:
            return before[-1]
    return None


def shalls(sentence: str) -> int:
    """How many SHALL clauses there are; in small letters it is a word like others beside one in capitals."""
    return len(_CAPITALS.findall(sentence)) or len(_SHALL.findall(sentence))


def ears_of(text: str) -> tuple[str, str]:
    """Condition and action of a requirement's text. Paragraphs that are neither come after the action."""
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n[ \t]*\n", text)]
    place = next((n for n, part in enumerate(paragraphs) if shall_at(part) is not None), None)
    if place is None:
        return "", ""
    first = place
    while first and OPENS.match(paragraphs[first - 1].lstrip("*_- ")):
        first -= 1
    sentence = " ".join(paragraphs[first : place + 1]).lstrip("*_- ")
    start = shall_at(sentence) or 0
    condition, action = sentence[:start].strip(" ,*_"), sentence[start:].strip()
    if condition.upper().endswith(" THEN"):
        condition = condition[:-5].rstrip(" ,")
    others = [part for n, part in enumerate(paragraphs) if part and not first <= n <= place]
    if condition and not OPENS.match(condition):
        others.insert(0, condition)
        condition = ""
    return condition, "\n\n".join([action, *others])


def ref_of(given: str) -> str:
    """A ref as it is shown beside a problem, whatever stood in its place."""
    return given.strip()[:64]
