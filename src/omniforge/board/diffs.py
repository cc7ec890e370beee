"""What git says of the difference between two trees, read. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from omniforge.board.trees import shown

Action = Literal["created", "modified", "deleted"]
ACTIONS: dict[str, Action] = {"A": "created", "D": "deleted"}
_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_ESCAPE = re.compile(rb'\\([0-7]{3}|[abtnvfr"\\])')
_LETTERS = {b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r"}


@dataclass(frozen=True, slots=True)
class Change:
    """One file. Lines are 0 for what is no text."""

    path: str
    action: Action
    lines_added: int
    lines_removed: int

    def shown(self) -> dict[str, str | int]:
        """As results and artifacts hold it."""
        return {
            "path": self.path,
            "action": self.action,
            "lines_added": self.lines_added,
            "lines_removed": self.lines_removed,
        }


def read_changes(fields: Sequence[str]) -> list[Change]:
    """Of `diff-tree --raw --numstat -z` without renames: raw pairs first, then the counted lines."""
    actions: dict[str, Action] = {}
    changes: list[Change] = []
    rest = iter(fields)
    for field in rest:
        if field.startswith(":"):
            actions[next(rest)] = ACTIONS.get(field.rpartition(" ")[2], "modified")
            continue
        added, removed, path = field.split("\t", 2)
        lines = [int(number) if number.isdigit() else 0 for number in (added, removed)]
        changes.append(Change(shown(path), actions.get(path, "modified"), *lines))
    return sorted(changes, key=lambda change: change.path)


def read_added_lines(patch: bytes) -> Iterator[tuple[str, str]]:
    """(path, line) of every added line of a patch without context, in its order."""
    path, removed, added = "", 0, 0
    for line in patch.split(b"\n"):
        if added and line.startswith(b"+"):
            added -= 1
            yield path, line[1:].decode("utf-8", "replace")
        elif removed and line.startswith(b"-"):
            removed -= 1
        elif line.startswith(b"+++ "):
            path = _path(line[4:])
        elif found := _HUNK.match(line):
            removed, added = (1 if count is None else int(count) for count in found.groups())


def _path(named: bytes) -> str:
    """Of `b/name`, which git quotes as C does where a name is odd, and ends by a tab where it has spaces."""
    named = named.removesuffix(b"\t")
    if named.startswith(b'"'):
        named = _ESCAPE.sub(lambda found: _unescaped(found[1]), named[1:-1])
    return shown(named.removeprefix(b"b/").decode("utf-8", "surrogateescape"))


def _unescaped(code: bytes) -> bytes:
    return bytes([int(code, 8)]) if code.isdigit() else _LETTERS.get(code, code)
