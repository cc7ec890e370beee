"""Which fields a part on data reads, finds and passes on, as the whole outline tells it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from omniforge.builder.generation.flow import before
from omniforge.builder.outline import Check, Compare, Extract, Fill, Match, Outline, Part, Transform
from omniforge.builder.understanding.text import normalise

LONGEST_NAME = 120
DEFAULT_SIDE = "amount"
OWN = frozenset({"true", "false", "null", "in", "input", "steps", "prev", "size", "has", "output", "status"})
TOLD = frozenset(
    {"left", "right", "difference", "variance_percent", "equal", "verdict", "reason", "decision"}
    | {"missing", "unknown", "complete", "problems", "found", "matches", "items", "form", "text", "report"}
)
"""Names that parts tell by themselves: no field of a document."""

_LITERAL = r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'"
_ANY_LITERAL = re.compile(_LITERAL)
_STEP = re.compile(r"steps\s*(?:\[[^\]]*\]|\.\w+)\s*\.\s*(?:output|status)\s*\.?\s*|\bprev\s*\.\s*")
_NAME = re.compile(r"(?<![\w.])([A-Za-z_]\w*)(?!\w|\s*\()")
_EQUAL = re.compile(rf"(?<![\w])([A-Za-z_]\w*)\s*==\s*(?:{_LITERAL})")
_LISTED = re.compile(r"(?<![\w])([A-Za-z_]\w*)\s+in\s+\[([^\]]*)\]")


def field_key(name: str) -> str:
    """A field's name in results: `Date of birth` becomes date_of_birth."""
    key = re.sub(r"[\W_]+", "_", normalise(name).casefold()).strip("_")[:LONGEST_NAME]
    return key if key and not key[0].isdigit() else f"field_{key}".rstrip("_")


def keyed(names: Iterator[str] | tuple[str, ...] | list[str]) -> dict[str, str]:
    """Key → name of each field; of two that are called alike the first."""
    found: dict[str, str] = {}
    for name in names:
        plain = normalise(name)[:LONGEST_NAME]
        if plain:
            found.setdefault(field_key(plain), plain)
    return found


def fields_of(part: Part, outline: Outline) -> dict[str, str]:
    """Key → name of what a document is read for: the fields said, and those that later parts cannot do
    without. Of the only document, or without any said, also those of the forms that are filled from it."""
    does = part.does
    if not isinstance(does, Extract):
        return {}
    named = keyed(does.fields)
    others = [one for one in outline.parts if isinstance(one.does, Extract) and one.key != part.key]
    elsewhere = {key for one in others if isinstance(one.does, Extract) for key in keyed(one.does.fields)}
    elsewhere |= {
        key
        for one in outline.parts
        if isinstance(one.does, Transform)
        for key in keyed(list(one.does.compute))
    }
    wanted = [name for name in _needed_after(part, outline) if field_key(name) not in elsewhere]
    if not named or not others:
        wanted += _filled_after(part, outline)
    for later in _after(part, outline):
        if isinstance(later.does, Match):
            wanted += later.does.by
        if isinstance(later.does, Compare):
            sides = sides_of(later, later.does, outline)
            wanted += [side.field for side in sides if side.part == part.key]
    return {**named, **{key: name for key, name in keyed(wanted).items() if key not in named}}


def _after(part: Part, outline: Outline) -> list[Part]:
    return [one for one in outline.parts if any(earlier.key == part.key for earlier in before(one, outline))]


def _needed_after(part: Part, outline: Outline) -> list[str]:
    found: list[str] = []
    for later in _after(part, outline):
        if later.condition is not None:
            found += names_in(later.condition.expression)
        if isinstance(later.does, Check):
            found += later.does.known
    return [name for name in found if name not in TOLD]


def _filled_after(part: Part, outline: Outline) -> list[str]:
    found: list[str] = []
    for later in _after(part, outline):
        if isinstance(later.does, Fill):
            found += later.does.fields
        if isinstance(later.does, Check):
            found += later.does.required
    return found


def names_in(expression: str) -> list[str]:
    """The fields that a condition reads."""
    plain = _STEP.sub("", _ANY_LITERAL.sub("0", _without_keys(expression)))
    return list(dict.fromkeys(name for name in _NAME.findall(plain) if name not in OWN))


def _without_keys(expression: str) -> str:
    """`steps["a"].output.b` as `b`: the literal in it names a part."""
    return _STEP.sub("", expression)


def known_values(outline: Outline) -> dict[str, tuple[str, ...]]:
    """Field key → the values that conditions and checks know of it, in the order they are told."""
    found: dict[str, dict[str, None]] = {}
    for part in outline.parts:
        if part.condition is not None:
            for name, value in _compared_with(part.condition.expression):
                found.setdefault(field_key(name), {})[value] = None
        if isinstance(part.does, Check):
            for name, values in part.does.known.items():
                found.setdefault(field_key(name), {}).update(dict.fromkeys(values))
    return {key: tuple(values) for key, values in found.items() if key not in TOLD}


def _compared_with(expression: str) -> Iterator[tuple[str, str]]:
    plain = _without_keys(expression)
    for name, double, single in _EQUAL.findall(plain):
        if double or single:
            yield name, _unescaped(double or single)
    for name, listed in _LISTED.findall(plain):
        for double, single in _ANY_LITERAL.findall(listed):
            yield name, _unescaped(double or single)


def _unescaped(literal: str) -> str:
    return re.sub(r"\\(.)", r"\1", literal)


# --- sides of a comparison ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Side:
    """One value of a comparison: where it comes from, its field, and what people call it. `part` is empty for
    the run's input, or when nobody knows."""

    field: str
    words: str
    part: str = ""
    source: str = ""
    """`${…}` of the object that the field is in; empty means all that was given."""


def sides_of(part: Part, does: Compare, outline: Outline) -> tuple[Side, Side]:
    """Both values that a part compares. Of a field that several parts tell, the left one is that of the first
    of them and the right one that of the last."""
    said = (does.left or does.right or DEFAULT_SIDE, does.right or does.left or DEFAULT_SIDE)
    left, right = _side(said[0], part, outline, last=False), _side(said[1], part, outline, last=True)
    if left == right and left.part:
        tellers = _tellers(left.field, part, outline)
        other = next((one for one in tellers if one.key != left.part), None)
        if other is not None:
            left = _told_by(other, left.field, outline)
    return left, right


def _side(said: str, part: Part, outline: Outline, *, last: bool) -> Side:
    name = normalise(said)
    head, dot, field = name.partition(".")
    if dot and head == "input":
        return Side(field, words=_label(field))
    named = outline.part(head) if dot else None
    named = named or _meant(head if dot else name, part, outline)
    if named is not None:
        return _told_by(named, field if dot else _without_source(name, named), outline)
    name = field if dot else name
    tellers = _tellers(name, part, outline)
    if not tellers:
        return Side(name, words=_label(name))
    return _told_by(tellers[-1 if last else 0], name, outline)


def _meant(words: str, part: Part, outline: Outline) -> Part | None:
    """The document that a side names by what it is: `invoice.amount`, `amount of the invoice`."""
    told = field_key(words).split("_")
    fitting = [
        one
        for one in before(part, outline)
        if isinstance(one.does, Extract)
        and one.does.source != "document"
        and set(field_key(one.does.source).split("_")) <= set(told)
    ]
    return fitting[0] if len(fitting) == 1 else None


def _without_source(name: str, part: Part) -> str:
    """`invoice amount` where only the invoice is read: amount, unless it has a field of the whole name."""
    does = part.does
    if not isinstance(does, Extract) or field_key(name) in keyed(does.fields):
        return name
    source = [*field_key(does.source).split("_"), "of", "the", "on"]
    left = [word for word in field_key(name).split("_") if word not in source]
    return " ".join(left) or name


def _tellers(name: str, part: Part, outline: Outline) -> list[Part]:
    """Parts that may tell a field, in the order of the outline: those that name it, else any that might."""
    key, earlier = field_key(name), {one.key for one in before(part, outline)}
    those = [one for one in outline.parts if one.key in earlier]
    surely = [one for one in those if key in _named(one)]
    might = [
        one for one in those if isinstance(one.does, Match) or (isinstance(one.does, Extract) and not surely)
    ]
    documents = [one for one in surely or might if not isinstance(one.does, Match)]
    if len(documents) > 1:
        return documents
    return [*(one for one in might if isinstance(one.does, Match)), *documents]


def _named(part: Part) -> Mapping[str, str]:
    match part.does:
        case Extract() | Fill():
            return keyed(part.does.fields)
        case Transform():
            return keyed([*part.does.compute, *part.does.rename.values(), *part.does.keep])
        case _:
            return {}


def _told_by(part: Part, field: str, outline: Outline) -> Side:
    output = f"${{{part.key}.output}}"
    match part.does:
        case Match():
            return Side(field, f"{_label(field)} (record found)", part.key, f"${{{part.key}.output.record}}")
        case Extract() if part.does.source != "document" and _several_documents(outline):
            return Side(field, f"{_label(field)} ({_label(part.does.source).lower()})", part.key, output)
        case _:
            return Side(field, _label(field), part.key, output)


def _several_documents(outline: Outline) -> bool:
    return sum(isinstance(one.does, Extract) for one in outline.parts) > 1


def _label(name: str) -> str:
    plain = " ".join(normalise(name).replace("_", " ").split())[:LONGEST_NAME]
    return plain[:1].upper() + plain[1:]
