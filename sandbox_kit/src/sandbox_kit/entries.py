"""Entries of services in one form: read, put in order, told on to the next step.

An entry is `{"id", "title", "url", "at", "place", "fields"}`: `at` is when it was last changed, as the
service wrote it, `place` the id of where it lies, and `fields` holds plain values by name.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, Sequence, cast  # noqa: UP035 - Python 3.9 reads this too

from sandbox_kit.skill import ToolError, call
from sandbox_kit.windows import Span, moment_of

__all__ = ["Json", "counted", "entry_of", "in_order", "is_empty", "read", "told", "value_of"]

Json = dict[str, Any]

LONGEST_TITLE = 200
LONGEST_VALUE = 100
LONGEST_TOLD = 600
"""Characters of one value in an answer."""
ROOM = 200_000
"""Characters of all entries in an answer."""
LIMITS = (1_000, 100, 20)
"""Entries that are asked for, one after the other, when more are too much at once."""
BESIDE = ("id", "url", "edited_at")


def read(
    readings: Sequence[Mapping[str, Any]], places: Sequence[Mapping[str, Any]], span: Span
) -> tuple[list[Json], list[str]]:
    """Entries of all places in a stretch of time, and the names of places that were not read to the end.

    A reading says which `tool` to call, the name of the argument for the `place` (or one for each kind of
    place) and for `after` and `before`, under which name the `list` is in the answer, and what its entries
    have as `title` and `at`. `kind` becomes a field of its entries, `with` are further arguments, and a
    `limited` tool takes a `limit`.
    """
    found: list[Json] = []
    cut: dict[str, None] = {}
    for place in places:
        for reading in readings:
            answer = _read(reading, _arguments(reading, place, span))
            rows = rows_of(answer, str(reading["list"]))
            entries = [entry_of(row, reading, place) for row in rows]
            found += [entry for entry in entries if span.holds(moment_of(entry["at"]))]
            if isinstance(answer, dict) and cast("Json", answer).get("truncated"):
                cut[str(place.get("name") or place.get("id"))] = None
    return found, list(cut)


def _read(reading: Mapping[str, Any], arguments: Json, limits: Sequence[int] = LIMITS) -> Any:
    """The answer of a tool; with fewer entries when all of them are too much to be handed over at once."""
    try:
        return call(str(reading["tool"]), **arguments)
    except ToolError as error:
        smaller = [limit for limit in limits if limit < arguments.get("limit", limit + 1)]
        if error.code != "result_too_large" or not smaller or not reading.get("limited"):
            raise
        return _read(reading, {**arguments, "limit": smaller[0]}, smaller[1:])


def _arguments(reading: Mapping[str, Any], place: Mapping[str, Any], span: Span) -> Json:
    named: Any = reading["place"]
    if isinstance(named, dict):
        kinds = cast("dict[str, str]", named)
        named = kinds.get(str(place.get("kind"))) or next(iter(kinds.values()))
    arguments: Json = {str(named): place.get("id") or place.get("name"), **(reading.get("with") or {})}
    for name, bound in (("after", span.after), ("before", span.before)):
        if bound is not None and reading.get(name):
            arguments[str(reading[name])] = bound.isoformat()
    return arguments


def rows_of(answer: Any, name: str) -> list[Json]:
    """The objects under a name; of free data the first list of objects there is, else the thing itself."""
    found: Any = cast("Json", answer).get(name) if isinstance(answer, dict) else answer
    if isinstance(found, dict):
        inside = [cast("list[Any]", one) for one in cast("Json", found).values() if isinstance(one, list)]
        objects = [one for one in inside if one and isinstance(one[0], dict)]
        found = objects[0] if objects else [] if any(not one for one in inside) else [found]
    if isinstance(found, list):
        return [cast("Json", one) for one in cast("list[Any]", found) if isinstance(one, dict)]
    said = cast("Json", answer).get("text") if isinstance(answer, dict) else None
    return [{"text": said}] if isinstance(said, str) and said.strip() else []


def entry_of(row: Mapping[str, Any], reading: Mapping[str, Any] = {}, place: Mapping[str, Any] = {}) -> Json:
    """A thing as a service gave it, as an entry."""
    inside: Any = row.get("fields")
    own = (
        cast("Json", inside)
        if isinstance(inside, dict)
        else {k: v for k, v in row.items() if k not in BESIDE}
    )
    fields = {name: _plain(value) for name, value in own.items()}
    if reading.get("kind"):
        fields = {"kind": reading["kind"], **fields}
    at = (
        row.get(str(reading.get("at") or ""))
        or row.get("edited_at")
        or row.get("updated_at")
        or row.get("at")
    )
    return {
        "id": str(row.get("id") or ""),
        "title": _title(row, fields, reading),
        "url": str(row.get("url") or ""),
        "at": str(at or ""),
        "place": str(row.get("place") or place.get("id") or place.get("name") or ""),
        "fields": fields,
    }


def _title(row: Mapping[str, Any], fields: Json, reading: Mapping[str, Any]) -> str:
    names = [str(reading.get("title") or ""), "title", "name", "subject", "message", "text"]
    given = [row.get(name) or fields.get(name) for name in names if name]
    texts = [one for one in [*given, *fields.values()] if isinstance(one, str) and one.strip()]
    title = texts[0].strip().splitlines()[0] if texts else ""
    return title if len(title) <= LONGEST_TITLE else title[:LONGEST_TITLE].rsplit(" ", 1)[0] + " …"


def _plain(value: Any) -> Any:
    """People and things by their names; what is nested deeper as text."""
    if isinstance(value, list):
        return [_plain(one) for one in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    thing = cast("Json", value)
    names = (thing.get(name) for name in ("name", "title", "identifier", "message"))
    named = next((one for one in names if isinstance(one, str) and one.strip()), None)
    if named is not None:
        return named.strip().splitlines()[0]
    return ", ".join(f"{name}: {one}" for name, one in thing.items() if not is_empty(one))


# --- values and ordering ----------------------------------------------------------------------------------


def value_of(entry: Mapping[str, Any], field: str) -> Any:
    """A field, however its name is written; `edited_at` and `title` are those of the entry."""
    if field == "edited_at":
        return entry.get("at")
    fields: Json = entry.get("fields") or {}
    if field in fields:
        return fields[field]
    if field == "title":
        return entry.get("title")
    same = [value for name, value in fields.items() if _key(name) == _key(field)]
    return same[0] if same else None


def _key(name: str) -> str:
    return name.casefold().replace("_", " ").replace("-", " ").strip()


def is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {})


def _texts_of(entry: Mapping[str, Any], field: str) -> list[str]:
    """A value as a list of texts, lower case."""
    value = value_of(entry, field)
    values = cast("list[Any]", value) if isinstance(value, list) else [] if value is None else [value]
    return [str(one).casefold() for one in values]


def in_order(entries: Sequence[Json], rules: Sequence[Mapping[str, Any]]) -> list[Json]:
    """By the rules, the first one weighing most; equal entries by title.

    A rule names a `field` and either the values that come `first` or `last`, or `filled`, or `descending`.
    """
    ordered = sorted(entries, key=lambda entry: (str(entry["title"]).casefold(), str(entry["id"])))
    for rule in reversed(rules):
        ordered = _by_rule(ordered, rule)
    return ordered


def _by_rule(entries: list[Json], rule: Mapping[str, Any]) -> list[Json]:
    field = str(rule["field"])
    if rule.get("first") or rule.get("last"):
        first = _folded(rule.get("first"))
        last = _folded(rule.get("last"))

        def place(entry: Json) -> int:
            texts = _texts_of(entry, field)
            if any(text in last for text in texts):
                return len(first) + 1
            return min([first.index(text) for text in texts if text in first], default=len(first))

        return sorted(entries, key=place)
    if rule.get("filled"):
        return sorted(entries, key=lambda entry: is_empty(value_of(entry, field)))
    filled = [entry for entry in entries if not is_empty(value_of(entry, field))]
    empty = [entry for entry in entries if is_empty(value_of(entry, field))]
    filled.sort(key=lambda entry: _comparable(value_of(entry, field)), reverse=bool(rule.get("descending")))
    return filled + empty


def _folded(values: Any) -> list[str]:
    return [str(value).casefold() for value in values or ()]


def _comparable(value: Any) -> tuple[int, float, str]:
    if isinstance(value, (bool, int, float)):
        return (0, float(value), "")
    return (1, 0.0, ", ".join(map(str, _listed(value))).casefold())


def _listed(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]


# --- telling on ---------------------------------------------------------------------------------------------


def told(entries: Sequence[Json]) -> list[Json]:
    """The entries for the steps that follow: long texts cut, and as many as there is room for.

    Each has its short fields once more under `values`, by names such as `due_date`, for conditions.
    """
    kept: list[Json] = []
    room = ROOM
    for entry in entries:
        own = cast("Json", entry["fields"])
        fields = {name: _cut(value) for name, value in own.items() if not is_empty(value)}
        room -= sum(len(str(part)) for part in (entry["title"], entry["url"], fields)) + 80
        if room < 0:
            break
        kept.append({**entry, "fields": fields, "values": _values(fields)})
    return kept


def _values(fields: Json) -> Json:
    plain = {
        name: ", ".join(map(str, _listed(v))) if isinstance(v, list) else v for name, v in fields.items()
    }
    return {
        re.sub(r"\W+", "_", name.casefold()).strip("_"): value
        for name, value in plain.items()
        if len(str(value)) <= LONGEST_VALUE
    }


def _cut(value: Any) -> Any:
    return value[:LONGEST_TOLD] if isinstance(value, str) else value


def counted(things: int | Sequence[Any], one: str = "entry", more: str = "entries") -> str:
    """`1 entry`, `12 entries`."""
    number = things if isinstance(things, int) else len(things)
    return f"{number} {one if number == 1 else more}"
