"""Templates and what is put into them: one pass of filling, and texts from elsewhere made harmless."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any

from omniforge.builder.understanding.text import listed, normalise

LONGEST_SHOWN = 60
MOST_SHOWN = 12
LONGEST_LINE = 108

KIT = {
    "choosing": ("chosen",),
    "entries": ("counted", "in_order", "read", "told"),
    "found": ("entries_of", "filled", "known", "nothing_found"),
    "layout": ("report_text", "saved"),
    "messages": ("message_of", "one_line", "said", "subject_of"),
    "reading": ("brief_text", "brief_title", "fetched", "if_there"),
    "skill": ("call", "run"),
    "targets": ("listed", "located", "number_of", "place_of", "things_of"),
    "windows": ("span_of",),
    "writing": ("body_of", "changed", "made", "rows_found", "typed", "types_of", "unneeded", "with_title"),
}
"""Module of `sandbox_kit` → the names that generated scripts take from it."""

_MEANS_SOMETHING = re.compile(r"[`\"*_\[\]<>#|$!\\{}~^=]+|@{2,}")


def filled(path: str, **values: str) -> str:
    """The template with every `@@NAME@@` put in, in one pass: inserted text is not looked at again."""
    return re.sub(r"@@([A-Z]+)@@", lambda match: values[match[1]], _template(path))


def script(path: str, **values: str) -> bytes:
    """A filled template of a script; its `@@IMPORTS@@` become what the code uses of `sandbox_kit`."""
    nodes = ast.walk(ast.parse(filled(path, IMPORTS="", **values)))
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    lines = [
        f"from sandbox_kit.{module} import {', '.join(sorted(used.intersection(names)))}"
        for module, names in KIT.items()
        if used.intersection(names)
    ]
    return filled(path, IMPORTS="\n".join(lines), **values).encode()


def tools_in(code: bytes) -> tuple[str, ...]:
    """The tools that a generated script calls: those it reads with (`READ`), then those of its calls."""
    tree = ast.parse(code)
    found: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "READ":
            found += [reading["tool"] for reading in ast.literal_eval(node.value)]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    for node in sorted(calls, key=lambda one: (one.lineno, one.col_offset)):
        first = node.args[0]
        if isinstance(node.func, ast.Name) and node.func.id == "call" and isinstance(first, ast.Constant):
            found.append(str(first.value))
    return tuple(dict.fromkeys(found))


def constants(values: Mapping[str, Any]) -> str:
    """A block of assignments, one literal each."""
    return "\n".join(f"{name} = {literal(value)}" for name, value in values.items())


def literal(value: Any) -> str:
    """Lists, objects and plain values as Python has them: readable where a text is harmless, escaped where it
    is not, and over several lines where one would be too long."""
    flat = _flat(value)
    if len(flat) <= LONGEST_LINE:
        return flat
    if isinstance(value, dict):
        pairs = [f"{_flat(key)}: {_nested(one)}" for key, one in value.items()]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        return _block("{", pairs, "}")
    if isinstance(value, list):
        return _block("[", [_nested(one) for one in value], "]")  # pyright: ignore[reportUnknownVariableType]
    return flat


def quoted(name: str) -> str:
    return f'"{short(name)}"'


def quoted_list(names: Iterable[str], last: str = "and") -> str:
    """`"Status", "Owner" and 3 more`: at most a dozen names are spelled out."""
    every = list(names)
    shown = [quoted(name) for name in every[:MOST_SHOWN]]
    if len(every) > MOST_SHOWN:
        return f"{', '.join(shown)} {last} {len(every) - MOST_SHOWN} more"
    return listed(shown, last)


def short(name: str, longest: int = LONGEST_SHOWN) -> str:
    """A text from elsewhere inside our instructions: one line, no marks that mean something there."""
    plain = " ".join(_MEANS_SOMETHING.sub(" ", normalise(name)).split())
    return plain if len(plain) <= longest else plain[: longest - 1].rsplit(" ", 1)[0] + "…"


def _flat(value: Any) -> str:
    match value:
        case str():
            return _text(value)
        case dict():
            return f"{{{', '.join(f'{_flat(key)}: {_flat(one)}' for key, one in value.items())}}}"  # pyright: ignore[reportUnknownVariableType]
        case list():
            return f"[{', '.join(map(_flat, value))}]"  # pyright: ignore[reportUnknownArgumentType]
        case tuple():
            return f"({''.join(f'{_flat(one)}, ' for one in value).rstrip()})"  # pyright: ignore[reportUnknownVariableType]
        case _:
            return repr(value)


def _text(value: str) -> str:
    plain = value.isprintable() and "\\" not in value
    if plain and '"' not in value:
        return f'"{value}"'
    return repr(value) if plain else ascii(value)


def _nested(value: Any) -> str:
    return literal(value).replace("\n", "\n    ")


def _block(opening: str, items: Iterable[str], closing: str) -> str:
    return "\n".join([opening, *(f"    {item}," for item in items), closing])


@cache
def _template(path: str) -> str:
    return (resources.files("omniforge.builder") / "templates" / path).read_text(encoding="utf-8")
