"""What a step on data is given: a document, records, results of the steps before it, fields in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from sandbox_kit.documents import TEXT_KEYS, is_empty, read_document
from sandbox_kit.fields import label_score
from sandbox_kit.labels import label_words
from sandbox_kit.skill import Refused
from sandbox_kit.values import key_of, named

Json = dict[str, Any]

SURE = 0.85
"""From here on a name that is not the same is taken for one that means the same."""
TOLD = frozenset(
    named(
        "report text message summary missing confidence units unclear rows entries items results run earlier "
        "about problems complete form candidates matches found by event"
    )
)
"""Names that results of steps use for other things than fields."""
HOLDERS = ("record", "filled", "fields", "item", "data")
"""Names under which a result holds a whole set of fields."""
LISTS = ("rows", "records", "entries", "items", "candidates")


def results_of(given: Mapping[str, Any], names: Sequence[str] = ()) -> list[tuple[str, Json]]:
    """What each step before this one gave, with its name; what was left out is left out here as well."""
    results: Any = given.get("results")
    if not isinstance(results, list):
        own = {name: value for name, value in given.items() if name not in ("run", "earlier")}
        return [(names[0] if len(names) == 1 else "", own)] if own else []
    told = cast("list[Any]", results)
    padded = [*names, *[""] * len(told)]
    return [(name, cast("Json", one)) for name, one in zip(padded, told) if isinstance(one, dict)]  # noqa: B905


def merged(given: Mapping[str, Any]) -> Json:
    """All results in one object; of two values under one name that of the nearer, or later, step."""
    together: Json = {}
    earlier: Any = given.get("earlier")
    farther = cast("list[Any]", earlier) if isinstance(earlier, list) else []
    results = [cast("Json", one) for one in farther if isinstance(one, dict)]
    for result in [*results, *(result for _, result in results_of(given))]:
        together.update(
            {name: value for name, value in result.items() if value is not None or name not in together}
        )
    return together


def document_of(given: Mapping[str, Any], source: str) -> Any:
    """The document called `source`, or else the one text there is; `Refused` when there is none."""
    run: Any = given.get("run")
    everything = {**_event(given), **merged(given)}
    for place in (run, everything):
        held = cast("Json", place) if isinstance(place, dict) else {}
        named = next((value for name, value in held.items() if key_of(name) == key_of(source)), None)
        if not is_empty(named):
            return named
    texts = {name: value for name, value in everything.items() if name in TEXT_KEYS and not is_empty(value)}
    if texts:
        return next(iter(texts.values()))
    own = {name: value for name, value in everything.items() if not is_empty(value) and name not in TOLD}
    if len(own) == 1 and isinstance(next(iter(own.values())), (str, dict, list)):
        return next(iter(own.values()))
    if _event(given):
        return own
    there = ", ".join(sorted(map(str, own))[:20]) or "nothing"
    raise Refused(f"There is no document: give its text, or its fields, as `{source}`. Given was: {there}.")


def _event(given: Mapping[str, Any]) -> Json:
    """The fields of the entry that started the run."""
    run: Any = given.get("run") if isinstance(given.get("run"), dict) else given
    event: Any = cast("Json", run).get("event")
    item: Any = cast("Json", event).get("item") if isinstance(event, dict) else None
    if not isinstance(item, dict):
        return {}
    found = dict(cast("Json", item))
    for holder in ("data", "fields"):
        inner: Any = found.pop(holder, None)
        found.update(cast("Json", inner) if isinstance(inner, dict) else {})
    return found


def records_of(given: Any) -> list[Json]:
    """Records out of a list, of an object that holds a list or is one itself, or of the tables of a text."""
    if isinstance(given, Mapping):
        thing = cast("Mapping[str, Any]", given)
        held = next(
            (thing[name] for name in LISTS if isinstance(thing.get(name), list) and thing[name]), None
        )
        return records_of(held) if held is not None else [flat(thing)] if thing else []
    if isinstance(given, (list, tuple)):
        items = cast("list[Any]", given)
        return [flat(cast("Json", item)) for item in items if isinstance(item, dict)]
    if isinstance(given, str) and given.strip():
        document = read_document(given)
        if document.tables:
            return [dict(row) for row in max(document.tables, key=len)]
        return [{pair.label: pair.value for pair in document.pairs}] if document.pairs else []
    return []


def flat(record: Mapping[str, Any]) -> Json:
    """A record with the object `fields` spread out."""
    fields: Any = record.get("fields")
    if not isinstance(fields, dict):
        return dict(record)
    return {**{name: value for name, value in record.items() if name != "fields"}, **cast("Json", fields)}


def value_of(record: Mapping[str, Any], name: str) -> Any:
    """A field of a record, however it is called there; None when it has none, or an empty one.

    The nearest name wins; two that are equally near and differ are none.
    """
    if not is_empty(record.get(name)) and not isinstance(record[name], dict):
        return record[name]
    best, found = 0.0, list[Any]()
    for own, value in _named(record):
        if is_empty(value):
            continue
        score = 1.1 if key_of(own) == key_of(name) else label_score(own, name)
        if score > best + 0.001:
            best, found = score, [value]
        elif score == best and value not in found:
            found.append(value)
    return found[0] if best >= SURE and len(found) == 1 else None


def _named(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if name in HOLDERS and isinstance(value, dict):
            yield from ((str(own), inner) for own, inner in cast("Json", value).items())
        elif name not in TOLD and not isinstance(value, dict):
            yield str(name), value


def carried(given: Mapping[str, Any]) -> Json:
    """The plain values of a result, for the steps after this one."""
    return {
        name: value
        for name, value in given.items()
        if name not in TOLD and (value is None or isinstance(value, (str, int, float, bool)))
    }


def label_of(name: str) -> str:
    """A name as people read it: `po_number` becomes Po number, one with capitals stays."""
    plain = name.replace("_", " ").strip()
    if plain != plain.lower():
        return plain
    short = {"po": "PO", "id": "ID", "vat": "VAT", "iban": "IBAN"}
    words = [short.get(word, word) for word in plain.split()]
    text = " ".join(words)
    return text[:1].upper() + text[1:] if label_words(text) else plain
