"""Globs as git reads those of a .gitignore. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import regex

SECONDS = 2.0
"""For one path and one glob; what takes longer counts as touched, for nobody could show that it is not."""


NOTHING = "(?!)"
_PART = r"(?:\[:[a-z]+:\]|\\.|[^\]\\])"
_CLASS = re.compile(rf"\[([!^]?)((?:\]|{_PART}){_PART}*)\]", re.DOTALL)
_RANGE = re.compile(r"\[:([a-z]+):\]|(\\.|.)(?:-(\\.|[^\]]))?", re.DOTALL)


class Globs:
    """A list of globs of which the last that matches counts; `!` takes back what an earlier one named.

    `*` and `?` stay within a name, `**` goes over any number of folders, a glob without `/` but at its end
    means any depth, and a folder stands for all that is in it.
    """

    def __init__(self, globs: Sequence[str]) -> None:
        self._wanted = [pattern for pattern in map(translated, globs) if pattern is not None]

    def among(self, paths: Iterable[str]) -> list[str]:
        return [path for path in paths if self.match(path)]

    def match(self, path: str) -> bool:
        for takes_back, pattern in reversed(self._wanted):
            try:
                found = pattern.fullmatch(path, timeout=SECONDS)
            except TimeoutError:
                found = not takes_back
            if found:
                return not takes_back
        return False


def translated(glob: str) -> tuple[bool, regex.Pattern[str]] | None:
    """(takes back, pattern over whole paths); None for an empty line or a comment."""
    glob = glob.strip()
    takes_back = glob.startswith("!")
    glob = glob[1:] if takes_back else glob
    if not glob or glob.startswith("#"):
        return None
    only_inside = glob.endswith("/")
    glob = glob.rstrip("/")
    is_anchored = "/" in glob
    body = _body(glob.lstrip("/"))
    start = "" if is_anchored else "(?:.*/)?"
    end = "/.*" if only_inside else "(?:/.*)?"
    try:
        return takes_back, regex.compile(f"(?s){start}{body}{end}")
    except regex.error:  # a class of a name that is none
        return takes_back, regex.compile(NOTHING)


def _range(found: re.Match[str]) -> str:
    """A part of a class. A range that runs backwards is its first character, as with git."""
    named, first, last = found.groups()
    if named is not None:
        return f"[:{named}:]"
    start, end = first[-1], (last or first)[-1]
    return re.escape(start) if end <= start else f"{re.escape(start)}-{re.escape(end)}"


def _body(glob: str) -> str:
    made, at = "", 0
    while at < len(glob):
        rest = glob[at:]
        if rest.startswith("**/") and (at == 0 or glob[at - 1] == "/"):
            made, at = made + "(?:.*/)?", at + 3
        elif rest == "**" and (at == 0 or glob[at - 1] == "/"):
            made, at = made + ".+", at + 2
        elif found := re.match(r"\*+", rest):
            made, at = made + "[^/]*", at + found.end()
        elif rest[0] == "?":
            made, at = made + "[^/]", at + 1
        elif found := _CLASS.match(rest):
            inside = _RANGE.sub(_range, found[2])
            made, at = made + f"(?!/)[{'^' * bool(found[1])}{inside}]", at + found.end()
        elif rest[0] == "[":
            return NOTHING  # git finds no end of the class, and nothing that matches
        elif rest[0] == "\\" and len(rest) > 1:
            made, at = made + re.escape(rest[1]), at + 2
        else:
            made, at = made + re.escape(rest[0]), at + 1
    return made
