"""What an agent on data is tried with before it has seen any: documents and records made up for it, and only
for that. Pure; equal outlines give equal samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from omniforge.builder.generation.flow import before
from omniforge.builder.generation.records_fields import (
    Side,
    field_key,
    fields_of,
    keyed,
    known_values,
    sides_of,
)
from omniforge.builder.generation.records_formulas import names_of
from omniforge.builder.outline import (
    Check,
    Compare,
    Decide,
    Extract,
    Fill,
    Match,
    Outline,
    Part,
    Summarise,
    Transform,
)
from omniforge.builder.understanding.text import normalise

Json = dict[str, Any]

LEFT, RIGHT = 85, 90
"""An amount on both sides of a comparison: different, so that the branch for that is seen."""
LONGEST = 200
PARAGRAPH = (
    "The project is on track for its launch on 12 January 2026. Two of five milestones are complete, and the "
    "third is due on 28 November. The budget stands at 48,000 of 60,000 euros. One risk remains: a supplier "
    "has not confirmed the delivery of 300 devices. Maria Lopez decided to order 50 more from a second "
    "supplier. The next review takes place on Monday."
)
_WORDS: tuple[tuple[str, str], ...] = (
    ("email", "maria.lopez@example.com"),
    ("mail", "maria.lopez@example.com"),
    ("phone", "+1 555 010 2030"),
    ("mobile", "+1 555 010 2030"),
    ("birth", "1984-03-12"),
    ("dob", "1984-03-12"),
    ("due", "2026-12-01"),
    ("start", "2026-12-01"),
    ("date", "2026-11-02"),
    ("deadline", "2026-12-01"),
    ("quantity", "1"),
    ("qty", "1"),
    ("count", "1"),
    ("diagnosis", "Sprained ankle"),
    ("item", "Keyboard"),
    ("product", "Keyboard"),
    ("description", "Keyboard"),
    ("provider", "Aetna"),
    ("insurer", "Aetna"),
    ("vendor", "Northwind Supplies"),
    ("supplier", "Northwind Supplies"),
    ("company", "Acme Ltd"),
    ("customer", "Acme Ltd"),
    ("client", "Acme Ltd"),
    ("address", "1 Example Street, Springfield"),
    ("currency", "USD"),
    ("plan", "Standard"),
    ("name", "Maria Lopez"),
    ("patient", "Maria Lopez"),
    ("contact", "Maria Lopez"),
)
_AMOUNTS = frozenset(
    {"amount", "price", "total", "cost", "fee", "balance", "sum", "tax", "salary", "value", "rate"}
)
_NUMBERED = frozenset({"number", "no", "id", "code", "reference", "ref", "po"})


def sample_input(outline: Outline) -> Json:
    """The run's input for a test of this outline: what each of its parts on data reads from it."""
    given: Json = {}
    for part in outline.parts:
        for name, value in sample_of(part, outline).items():
            given.setdefault(name, value)
    return given


def sample_of(part: Part, outline: Outline) -> Json:
    """The share of one part: empty when it reads nothing of the run's input."""
    does, known = part.does, known_values(outline)
    begins = not part.needs and outline.starts is None
    match does:
        case Extract() if begins:
            return {field_key(does.source): _document(does.source, outline, known)}
        case Match() if not any(_names_it(does, one) for one in before(part, outline)):
            return _records_for(part, does, outline, known)
        case Compare() if begins:
            left, right = sides_of(part, does, outline)
            return {_plain(left.field): LEFT, _plain(right.field): RIGHT}
        case Fill() if begins:
            return {key: _value(name, known, {}) for key, name in keyed(does.fields).items()}
        case Check() if begins:
            named = {**keyed(does.required), **keyed(list(does.known))}
            return {key: _value(name, known, {}) for key, name in named.items()}
        case Transform() if begins:
            return {"records": _records_of(does, known)}
        case Summarise() if begins:
            return {"document": PARAGRAPH}
        case Decide() if begins:
            return {"reason": "There is nothing against it."}
        case _:
            return {}


def _document(source: str, outline: Outline, known: Mapping[str, tuple[str, ...]]) -> str:
    """A text with everything that is read from this input, by whichever part."""
    lines: dict[str, str] = {}
    for part in outline.parts:
        if isinstance(part.does, Extract) and field_key(part.does.source) == field_key(source):
            sides = _sides_at(part.key, outline)
            for key, name in fields_of(part, outline).items():
                lines.setdefault(key, f"{_plain(name)}: {_value(name, known, sides)}")
    given = list(lines.values()) or ["Name: Maria Lopez", "Date: 2026-11-02", "Amount: 85.00"]
    title = _plain(source).replace("_", " ").capitalize()
    return "\n".join([title, "", *given, ""])


def _names_it(does: Match, document: Part) -> bool:
    if not isinstance(document.does, Extract):
        return False
    source = field_key(document.does.source)
    return field_key(does.records) in (source, f"{source}s", field_key(document.key))


def _records_for(part: Part, does: Match, outline: Outline, known: Mapping[str, tuple[str, ...]]) -> Json:
    """A list with the record that fits and one that does not; nothing where two documents are matched."""
    documents = [one for one in before(part, outline) if isinstance(one.does, Extract)]
    if len(documents) > 1 and does.records == "records":
        return {}
    sides = _sides_at(part.key, outline)
    compared = {side: side for one in outline.parts for side in _fields_compared(one, part.key, outline)}
    names = keyed([*does.by, *compared])
    fitting = {key: _value(name, known, sides) for key, name in names.items()}
    other = {key: f"{value} (another)" if key in keyed(does.by) else value for key, value in fitting.items()}
    given: Json = {field_key(does.records): [other, fitting]}
    if not part.needs and outline.starts is None:
        given |= {key: fitting[key] for key in keyed(does.by)}
    return given


def _fields_compared(part: Part, key: str, outline: Outline) -> Iterable[str]:
    if not isinstance(part.does, Compare):
        return ()
    return (side.field for side in sides_of(part, part.does, outline) if side.part == key)


def _sides_at(key: str, outline: Outline) -> dict[str, str]:
    """Field key → value, of the fields of a part that are compared with another one's."""
    found: dict[str, str] = {}
    for part in outline.parts:
        if isinstance(part.does, Compare):
            for side, number in zip(sides_of(part, part.does, outline), (LEFT, RIGHT), strict=True):
                if side.part == key:
                    found[field_key(side.field)] = _side_value(side, number)
    return found


def _side_value(side: Side, number: int) -> str:
    """Numbers differ; what is no number is the same on both sides."""
    plain = _value(side.field, {}, {})
    is_number = plain.replace(".", "").isdigit() or not _is_told(side.field)
    return f"{number}.00" if is_number else plain


def _is_told(name: str) -> bool:
    words = field_key(name).split("_")
    return any(word in words for word, _ in _WORDS) or bool(_NUMBERED.intersection(words))


def _value(name: str, known: Mapping[str, tuple[str, ...]], sides: Mapping[str, str]) -> str:
    """A likely value for a field of this name; the same wherever it is asked for."""
    key = field_key(name)
    if key in sides:
        return sides[key]
    if known.get(key):
        return _plain(known[key][0])
    words = key.split("_")
    if _AMOUNTS.intersection(words):
        return f"{LEFT}.00"
    if _NUMBERED.intersection(words) and "phone" not in words:
        letters = "".join(word[0] for word in words if word not in ("number", "no")).upper() or "N"
        return f"{letters}-1042"
    return next((value for word, value in _WORDS if word in words), f"Example of {_plain(name)}")


def _records_of(does: Transform, known: Mapping[str, tuple[str, ...]]) -> list[Json]:
    computed = [name for text in does.compute.values() for name in names_of(text)]
    kept = [name for name in does.keep if name not in does.compute and name not in does.rename.values()]
    first: Json = {_plain(name): 12 for name in computed if name not in does.compute}
    first |= {
        _plain(name): _value(name, known, {}) for name in [*does.rename, *kept] if _plain(name) not in first
    }
    return (
        [first, {name: 7 if value == 12 else value for name, value in first.items()}]
        if first
        else [{"name": "A"}]
    )


def _plain(text: str) -> str:
    return " ".join(normalise(text).split())[:LONGEST]
