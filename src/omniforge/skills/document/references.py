"""Links from a SKILL.md to files of its folder: relative, one level deep, existing, inside (pure)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from urllib.parse import unquote

from omniforge.skills.document.reading import Diagnostic, Document, Severity

MAX_CHECKED = 1_000
_TARGET = re.compile(r"\]\([ \t]?<?([^()\s<>]{1,300})")
_CODE_SPAN = re.compile(r"`[^`\n]*`")
_ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:|//|#")
_WINDOWS_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def references(document: Document) -> Iterator[tuple[str, int]]:
    """Targets of Markdown links that mean a file, each once, with the line; code is left out."""
    seen: set[str] = set()
    fence = ""
    body = document.body.replace("\r\n", "\n").replace("\r", "\n")
    for number, line in enumerate(body.split("\n"), document.body_line):
        mark = line.lstrip()[:3]
        if mark in {"```", "~~~"}:
            fence = "" if fence == mark else fence or mark
            continue
        if fence or "](" not in line:
            continue
        for match in _TARGET.finditer(_CODE_SPAN.sub("", line)):
            target = match[1]
            if _ELSEWHERE.match(target) and not _WINDOWS_DRIVE.match(target):
                continue
            path = unquote(target.partition("#")[0].partition("?")[0]).removeprefix("./")
            if path and path not in seen:
                seen.add(path)
                yield path, number
                if len(seen) >= MAX_CHECKED:
                    return


def check_references(
    document: Document, files: Collection[str] | None, severity: Severity
) -> Iterator[Diagnostic]:
    """Existence is checked only when `files` (paths in the folder) are given."""
    folders = {path.rpartition("/")[0] for path in files or ()}
    for path, line in references(document):
        steps = path.replace("\\", "/").split("/")
        if steps[0] == "" or ".." in steps or _WINDOWS_DRIVE.match(path):
            message = f"The link {path[:80]!r} leads out of the skill's folder."
            yield Diagnostic("reference_outside", "body", line, message, severity)
        elif len([step for step in steps if step]) > 2:
            message = f"The link {path[:80]!r} is more than one level deep."
            yield Diagnostic("reference_deep", "body", line, message, severity)
        elif files is not None and path not in files and path.rstrip("/") not in folders:
            message = f"The link {path[:80]!r} leads to a file that is not there."
            yield Diagnostic("reference_missing", "body", line, message, severity)
