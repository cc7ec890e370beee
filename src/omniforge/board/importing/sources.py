"""Documents of any format put together to one source: ours, and folders that other programs wrote. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn, cast

from omniforge.board.importing import folders
from omniforge.board.importing.documents import MAX_BYTES, Flaw, Json, Place, Problem, Source
from omniforge.board.importing.markdown import read_markdown

Document = tuple[str, str]
"""Path and text."""


def read_json(content: Any) -> Source:
    """A spec in its JSON form; `options` and `documents` are not part of it."""
    if not isinstance(content, dict):
        return Source(problems=[Problem(Flaw.BAD_VALUE, "", "the body is an object")])
    return Source(dict(cast("Json", content)))


def read_documents(documents: Sequence[Document]) -> Source:
    """All documents as one; which format they have is seen by their paths."""
    size = sum(len(path) + len(text.encode("utf-8", "replace")) for path, text in documents)
    if size > MAX_BYTES:
        return Source(problems=[too_large(size)])
    found = folders.read_folder(documents)
    if found is not None:
        return found
    return merged([read_document(path, text) for path, text in documents])


def too_large(size: int) -> Problem:
    return Problem(Flaw.TOO_LARGE, "", f"{size} bytes: at most {MAX_BYTES} at once")


def read_document(path: str, text: str) -> Source:
    """One document: JSON when its name ends so, else Markdown."""
    if "\0" in text:
        return Source(problems=[_unreadable(path, "it holds a character that no text has")])
    if not path.lower().endswith(".json"):
        return read_markdown(text, path or None)
    try:
        content = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        place = Place(path, error.lineno)
        return Source(problems=[replace(_unreadable(path, f"this is no JSON: {error.msg}"), place=place)])
    except (ValueError, RecursionError):
        return Source(problems=[_unreadable(path, "this is no JSON that can be read")])
    source = read_json(content)
    for name in ("requirements", "tickets", "tasks"):
        items = source.content.get(name)
        for index in range(len(cast("list[Any]", items)) if isinstance(items, list) else 0):
            source.places[name, index] = Place(path)
    return source


def _unreadable(path: str, message: str) -> Problem:
    return Problem(Flaw.BAD_VALUE, "", message, "content", Place(path))


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def merged(sources: Sequence[Source]) -> Source:
    """One source of several, in their order. What a spec has once may be said in one of them only."""
    if len(sources) == 1:
        return sources[0]
    whole = Source()
    for source in sources:
        whole.problems += source.problems
        whole.warnings += source.warnings
        for name, given in source.content.items():
            if name in ("spec", "design") and isinstance(given, dict):
                _merge_single(whole, source, name, cast("Json", given))
            elif isinstance(given, list):
                _merge_list(whole, source, name, cast("list[Any]", given))
            else:
                whole.content.setdefault(name, given)
    return whole


def _merge_single(whole: Source, source: Source, name: str, given: Mapping[str, Any]) -> None:
    place = source.places.get((name, 0), Place())
    fields: Json = whole.content.setdefault(name, {})
    whole.places.setdefault((name, 0), place)
    for field, value in given.items():
        if fields.setdefault(field, value) != value and name == "design":
            where = Place(place.path, source.lines.get((name, 0, field), place.line))
            whole.problems.append(Problem(Flaw.BAD_VALUE, "", "this is said in two documents", field, where))


def _merge_list(whole: Source, source: Source, name: str, given: list[Any]) -> None:
    items: list[Any] = whole.content.setdefault(name, [])
    first = len(items)
    items += given
    for (kind, index), place in source.places.items():
        if kind == name:
            whole.places[name, first + index] = place
    for (kind, index, field), line in source.lines.items():
        if kind == name:
            whole.lines[name, first + index, field] = line
