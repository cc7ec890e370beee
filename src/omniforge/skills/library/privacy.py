"""What must not be published with a skill (secrets, addresses, names, ids), and settings made blank."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from omniforge.core.scan import Hit, addresses_in, ids_in, secrets_in, words_in
from omniforge.skills.findings import MAX_IN_ALL, Finding, Weight, texts

_HOLDS_SETTINGS = re.compile(r"(?i)(?:^|/)(?:[\w.-]*config[\w.-]*|settings[\w.-]*)\.json$")
_MAX_DEPTH = 20
_ADVICE = {
    "secret": "Take it out: a skill gets its access from a connection.",
    "address": "Take it out, or make it a setting.",
    "name": "Write it without the name.",
    "id": "Make it a setting.",
}


def private_parts(
    files: Mapping[str, bytes], names: Iterable[tuple[str, str]] = (), ids: Iterable[tuple[str, str]] = ()
) -> list[Finding]:
    """Everything that must not be seen by others, each with its line; empty when it may be published.

    names, ids: `(text, what it is)`: people and customers, connections and resources of whoever publishes.
    """
    names, ids = list(names), list(ids)
    found: list[Finding] = []
    for path, text in texts({**files, "names of the files": "\n".join(sorted(files)).encode()}):
        for code, hits in (
            ("secret", secrets_in(text)),
            ("address", addresses_in(text)),
            ("name", words_in(text, names)),
            ("id", [*words_in(text, ids), *ids_in(text)]),
        ):
            found += [_finding(code, path, hit) for hit in hits]
    binaries = sorted(path for path, data in files.items() if b"\0" in data[:8192])
    found += [
        Finding("not_text", path, 1, f"{path} is not text, so nobody can see what it holds. Leave it out.")
        for path in binaries
    ]
    return found[:MAX_IN_ALL]


def _finding(code: str, path: str, hit: Hit) -> Finding:
    what = f"{hit.kind[0].upper()}{hit.kind[1:]}"
    return Finding(code, path, hit.line, f"{what} ({hit.shown}). {_ADVICE[code]}", Weight.HIGH)


def anonymised(files: Mapping[str, bytes]) -> tuple[dict[str, bytes], list[str]]:
    """The files with the values of settings taken out, and the paths of those that were changed.

    Settings are JSON files that are named so. Keys and the kinds of values stay: `""`, 0, false, [], {}.
    """
    made, changed = dict(files), list[str]()
    for path in sorted(files):
        if _HOLDS_SETTINGS.search(path):
            try:
                value: Any = json.loads(files[path])
                blank = (json.dumps(_blank(value, 0), indent=2, ensure_ascii=False) + "\n").encode()
            except (ValueError, RecursionError):
                continue  # what cannot be read as settings is looked at like every other text
            if blank != files[path]:
                made[path] = blank
                changed.append(path)
    return made, changed


def _blank(value: Any, depth: int) -> Any:
    match value:
        case bool():
            return False
        case int() | float():
            return 0
        case str():
            return ""
        case dict() if depth < _MAX_DEPTH:
            return {key: _blank(item, depth + 1) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        case dict():
            return {}
        case list():
            return []
        case _:
            return None
