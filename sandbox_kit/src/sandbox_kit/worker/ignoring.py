"""Which files are not part of the work: what .gitignore names, and what tools leave behind.

In doubt a file is left out: the host finds what is missing in a report, but not what is not there.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

LEFT_BEHIND = frozenset(
    {".git", ".hg", "__pycache__", "node_modules", ".venv", ".pytest_cache", ".mypy_cache", ".ruff_cache"}
)
"""Names of folders."""


class Ignored:
    """The rules of the .gitignore files of a tree, read as its folders are walked through."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._rules: dict[str, list[tuple[re.Pattern[str], bool, bool]]] = {}

    def holds(self, path: str, *, is_folder: bool) -> bool:
        """Whether a path relative to the root, with `/`, is ignored. Ask for its folders first."""
        *folders, name = path.split("/")
        if is_folder and name in LEFT_BEHIND:
            return True
        answer = False
        for depth in range(len(folders) + 1):
            place = "/".join(folders[:depth])
            within = "/".join([*folders[depth:], name])
            for pattern, only_folders, is_taken_back in self._of(place):
                if (is_folder or not only_folders) and pattern.match(within):
                    answer = not is_taken_back
        return answer

    def _of(self, folder: str) -> list[tuple[re.Pattern[str], bool, bool]]:
        if folder not in self._rules:
            try:
                text = (self._root / folder / ".gitignore").read_text(encoding="utf-8", errors="replace")
            except OSError:
                text = ""
            rules = (rule_of(line) for line in text.splitlines())
            self._rules[folder] = [rule for rule in rules if rule is not None]
        return self._rules[folder]


def rule_of(line: str) -> tuple[re.Pattern[str], bool, bool] | None:
    """Pattern, whether it is for folders only, whether it takes an earlier rule back; None for no rule."""
    line = re.sub(r"(?<!\\)\s+$", "", line)
    if not line or line.startswith("#"):
        return None
    is_taken_back = line.startswith("!")
    line = line.removeprefix("!")
    only_folders = line.endswith("/")
    line = line.rstrip("/")
    anchored = "/" in line
    line = line.removeprefix("/")
    if not line:
        return None
    return _pattern(line if anchored else f"**/{line}"), only_folders, is_taken_back


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    """A glob with `**` as a pattern over a whole path."""
    parts = re.findall(r"\*\*/|/\*\*$|\*+|\?|\[[^]]+\]|\\.|.", glob)
    meant = {"**/": "(?:.*/)?", "/**": "/.*", "?": "[^/]"}
    written: list[str] = []
    for part in parts:
        if part in meant:
            written.append(meant[part])
        elif set(part) == {"*"}:
            written.append("[^/]*")
        elif part.startswith("[") and len(part) > 2:
            inner = part[1:-1].replace("\\", "\\\\")
            written.append(f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]")
        else:
            written.append(re.escape(part[-1] if part.startswith("\\") else part))
    try:
        return re.compile("".join(written) + r"\Z", re.DOTALL)
    except re.error:
        return re.compile(r".*\Z", re.DOTALL)


def matches(glob: str, path: str) -> bool:
    """Whether a path is what a glob such as `src/**/*.py` names; one of a folder names all below it."""
    glob = glob.removeprefix("./").rstrip("/")
    return bool(_pattern(glob).match(path) or _pattern(f"{glob}/**").match(path))
