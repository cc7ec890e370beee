"""Which tickets a text of a commit, or the name of a branch, speaks of. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_REF = re.compile(r"\bTKT-(?:[A-Z0-9]+-)?[0-9]{3,}\b")
_SHORT = re.compile(r"TKT-[0-9]{3,}\b")
_ID = re.compile(
    r"(?<![A-Za-z0-9_-])"
    r"(?:ticket_[0-9a-f]{28}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
    r"(?![A-Za-z0-9_])"
)
MOST = 200
"""Names looked up for one commit; whoever names more tickets names none."""


def names_in(*texts: str | None) -> list[tuple[str, ...]]:
    """Refs and full ids, in their order, each once. Where a ref may end earlier (`TKT-001` in
    `TKT-001-2024`), both readings stand together, the longer first."""
    found: dict[tuple[str, ...], None] = {}
    for text in texts:
        for match in _REF.finditer(text or ""):
            short = _SHORT.match(match.group())
            both = (match.group(), short.group()) if short else (match.group(),)
            found[tuple(dict.fromkeys(both))] = None
        for match in _ID.finditer(text or ""):
            found[(match.group(),)] = None
    return list(found)


def chosen(names: Iterable[tuple[str, ...]], known: Mapping[str, str]) -> list[str]:
    """The tickets that are named, each once: `known` are refs and ids of a project, with the ids of their
    tickets."""
    hits = (next((known[name] for name in readings if name in known), None) for readings in names)
    return list(dict.fromkeys(hit for hit in hits if hit is not None))
