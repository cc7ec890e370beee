"""The operations of `queries.graphql` by name, each with the fragments it uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

SPREAD = re.compile(r"\.\.\.(\w+)")


@cache
def operations() -> Mapping[str, str]:
    """Operation texts by name, as they are sent."""
    text = (Path(__file__).parent / "queries.graphql").read_text(encoding="utf-8")
    fragments: dict[str, str] = {}
    found: dict[str, str] = {}
    for kind, name, body in _definitions(text):
        (fragments if kind == "fragment" else found)[name] = body
    return MappingProxyType(
        {name: "\n".join([body, *_used(body, fragments)]) for name, body in found.items()}
    )


def _definitions(text: str) -> list[tuple[str, str, str]]:
    """(kind, name, text) of each definition; a blank line ends one."""
    parts = [part.strip() for part in re.split(r"\n\s*\n", text)]
    split = [(part.split(maxsplit=2), part) for part in parts if not part.startswith("#")]
    return [(words[0], re.split(r"\W", words[1], maxsplit=1)[0], part) for words, part in split if words]


def _used(body: str, fragments: Mapping[str, str]) -> list[str]:
    """The fragments a text spreads, and those they spread, each once."""
    names: list[str] = []
    waiting = SPREAD.findall(body)
    for name in waiting:
        if name not in names:
            names.append(name)
            waiting += SPREAD.findall(fragments[name])
    return [fragments[name] for name in names]
