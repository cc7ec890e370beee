"""What the fields of a place are for: who has to do it, who wrote it, when it is due, whether it is over."""

from __future__ import annotations

import re
from collections.abc import Sequence

from omniforge.builder.understanding.fields import Field
from omniforge.builder.understanding.shaping import Only
from omniforge.builder.understanding.text import words

_DATES = ("date", "datetime", "created_time", "last_edited_time", "time", "timestamp")
_NUMBERS = ("number", "currency", "integer", "float", "formula", "rollup")
_FLAGS = ("checkbox", "boolean", "bool")
_CHOICES = ("status", "select")
_ROLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "assignee": (r"\b(?:assignees?|owners?|responsible|assigned(?: to)?|leads?|dri|manager)\b", ()),
    "author": (r"\b(?:author|from name|from|sender|creator|created by|reporter|opened by|by)\b", ()),
    "due": (r"\b(?:due|deadline|target|end)\b", _DATES),
    "created": (r"\b(?:created|opened|added|received|published|sent|submitted|at)\b", _DATES),
    "started": (r"\b(?:start|started|begin|kickoff)\b", _DATES),
    "closed": (r"\b(?:closed|completed|finished|resolved|done)\b", _DATES),
    "merged": (r"\bmerged\b", _DATES),
    "labels": (r"\b(?:labels?|tags?|categor(?:y|ies)|topics?)\b", ()),
}
DONE: dict[str, frozenset[str]] = {
    word: frozenset(words(row))
    for word, row in {
        "closed": "closed close complete completed done resolved",
        "done": "done complete completed closed finished shipped resolved merged",
        "completed": "completed complete done finished closed",
        "finished": "finished done complete completed closed",
        "resolved": "resolved done complete completed closed",
        "merged": "merged",
        "cancelled": "cancelled canceled",
        "canceled": "cancelled canceled",
    }.items()
}
OVER = frozenset(
    words("done complete completed closed cancelled canceled resolved finished archived merged shipped")
)
"""Words of a value that tell that an entry is over."""


def role_of(role: str, fields: Sequence[Field]) -> Field | None:
    """The field that plays a role, by its name; one whose name begins with it before others."""
    pattern, types = _ROLES[role]
    named = [
        (found.start(), at, one)
        for at, one in enumerate(fields)
        if (not types or one.type in types)
        and (found := re.search(pattern, " ".join(words(one.name.replace("_", " ")))))
    ]
    prefer = "from_name" if role == "author" else ""
    return min(named, key=lambda item: (item[2].name != prefer, item[0], item[1]))[2] if named else None


def number_fields(fields: Sequence[Field]) -> list[Field]:
    return [one for one in fields if one.type in _NUMBERS]


def _states(fields: Sequence[Field]) -> list[Field]:
    """Fields that tell how far an entry is; the coarsest first, as its values are the same everywhere."""
    states = [
        one
        for one in fields
        if one.type in _CHOICES
        and one.options
        and {*words(one.name.replace("_", " "))} & {"state", "status", "stage", "phase", "progress"}
    ]
    return sorted(states, key=lambda one: one.name != "state_type")


def open_rule(fields: Sequence[Field]) -> Only | None:
    """Entries that are not over."""
    for one in _states(fields):
        if plain := [option for option in one.options if option.casefold() == "open"]:
            return Only(field=one.name, values=tuple(plain))
        if over := tuple(option for option in one.options if OVER & set(words(option))):
            return Only(field=one.name, values=over, keep=False)
    ticked = next((one for one in fields if one.type in _FLAGS and OVER & set(words(one.name))), None)
    return Only(field=ticked.name, values=("true",), keep=False) if ticked else None


def done_values(fields: Sequence[Field], word: str) -> Only | None:
    """Entries that are over in the way a word tells."""
    for one in _states(fields):
        plain = tuple(option for option in one.options if option.casefold() == word)
        alike = plain or tuple(option for option in one.options if DONE[word] & set(words(option)))
        if alike:
            return Only(field=one.name, values=alike)
    ticked = next((one for one in fields if one.type in _FLAGS and DONE[word] & set(words(one.name))), None)
    return Only(field=ticked.name, values=("true",)) if ticked else None


def flag_of(word: str, fields: Sequence[Field]) -> Only | None:
    """ "Paid" and "unpaid", "unread", "draft": a field that is ticked or not."""
    bare = word.removeprefix("un").removesuffix("s")
    wanted = {"read": {"seen", "read"}}.get(bare, {bare, word})
    one = next(
        (f for f in fields if f.type in _FLAGS and wanted & set(words(f.name.replace("_", " ")))), None
    )
    no = word.startswith("un") and word != "un"
    return Only(field=one.name, values=("false" if no else "true",)) if one else None
