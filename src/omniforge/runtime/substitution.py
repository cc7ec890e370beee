"""Variables in a skill's text: filled in once, from a fixed list, never read again (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ARGUMENTS = "ARGUMENTS"
ALIASES: Mapping[str, str] = {"CLAUDE_SESSION_ID": "SESSION_ID", "CLAUDE_SKILL_DIR": "SKILL_DIR"}
NAMES = frozenset({ARGUMENTS, "SESSION_ID", "SKILL_DIR", "WORKSPACE", "USER", "DATE", *ALIASES})
_SLOT = re.compile(
    r"(?P<escaped>\\\$)"
    r"|\$ARGUMENTS\[(?P<index>\d{1,3})\]"
    r"|\$\{(?P<braced>[A-Z][A-Z0-9_]*)\}"
    r"|\$(?P<plain>[A-Z][A-Z0-9_]*)(?!\w)"
    r"|\$(?P<place>\d{1,3})(?!\w)"
    r"|\$(?P<named>[a-z][a-z0-9_-]*)"
)


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a skill is started with. positional: how files written for Claude Code see it, with `names`.

    text: how `$ARGUMENTS` is shown, when that is not the plain text of the value.
    """

    value: Any
    positional: bool = False
    names: Sequence[str] = ()
    text: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any], config: Mapping[str, Any], **more: Any) -> Arguments:
        """Input merged with config, config wins. A lone text stays a text."""
        merged = {**given, **config}
        values = list(merged.values())
        lone = len(values) == 1 and isinstance(values[0], str)
        return cls(values[0] if lone else merged, **more)

    @property
    def is_empty(self) -> bool:
        return self.value in ({}, "", None)

    def plain(self) -> str:
        if self.is_empty:
            return ""
        return self.value if isinstance(self.value, str) else json.dumps(self.value, ensure_ascii=False)

    def shown(self) -> str:
        return self.plain() if self.text is None else self.text

    def words(self) -> list[str]:
        """By place: the values of an object in their order, the words of a text."""
        if isinstance(self.value, str):
            return self.value.split()
        if isinstance(self.value, Mapping):
            values: list[Any] = list(self.value.values())  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
            return [
                each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in values
            ]
        return []

    def at(self, place: int) -> str | None:
        words = self.words()
        return words[place] if place < len(words) else None

    def called(self, name: str) -> str | None:
        return self.at(list(self.names).index(name)) if name in self.names else None


@dataclass(slots=True)
class Filling:
    """One pass over the pieces of one text. `unknown` names stay as they are."""

    values: Mapping[str, str]
    arguments: Arguments
    used: bool = False
    unknown: dict[str, None] = field(default_factory=dict[str, None])

    def fill(self, piece: str) -> str:
        return _SLOT.sub(self._value, piece)

    def _value(self, found: re.Match[str]) -> str:
        if found["escaped"]:
            return "$"
        name = found["braced"] or found["plain"]
        if name is None:
            return self._positional(found)
        if name == ARGUMENTS:
            self.used = True
            return self.arguments.shown()
        value = self.values.get(ALIASES.get(name, name))
        if value is None:
            self.unknown[name] = None
            return found[0]
        return value

    def _positional(self, found: re.Match[str]) -> str:
        if not self.arguments.positional:
            return found[0]
        place = found["index"] or found["place"]
        value = self.arguments.at(int(place)) if place else self.arguments.called(found["named"])
        if value is None:
            return found[0]
        self.used = True
        return value


@dataclass(frozen=True, slots=True)
class Filled:
    """The text with its variables filled in, and what should be told about it."""

    text: str
    warnings: tuple[str, ...] = ()


def substitute(pieces: Sequence[tuple[str, bool]], values: Mapping[str, str], arguments: Arguments) -> Filled:
    """Fill in the variables of a text. pieces: the text in order, each with whether it is the author's own;
    what is not, such as the output of a command, is passed through as it is.

    values: by name, from SESSION_ID, SKILL_DIR, WORKSPACE, USER, DATE. `\\$` is a plain `$`. Arguments that
    the text does not use stand at its end.
    """
    filling = Filling(values, arguments)
    text = "".join(filling.fill(piece) if own else piece for piece, own in pieces)
    if not filling.used and not arguments.is_empty:
        text = f"{text.rstrip()}\n\nARGUMENTS: {arguments.shown()}\n"
    if not filling.unknown:
        return Filled(text)
    names = ", ".join(f"${name}" for name in filling.unknown)
    return Filled(text, (f"Not known, and left as written: {names}.",))
