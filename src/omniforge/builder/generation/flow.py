"""How parts hang together: what each one is given, where it works, and the condition it runs under. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from omniforge.builder.outline import Operation, Outline, Part, Place, Report
from omniforge.builder.understanding.shaping import Only
from omniforge.core.errors import Invalid

Json = dict[str, Any]

LONGEST_CONDITION = 1_000
_KNOWN: Mapping[Operation, tuple[str, ...]] = {
    Operation.REPORT: ("text", "title", "items", "entries", "read", "truncated", "marks"),
    Operation.BRIEF: ("id", "url", "text", "title", "items", "entries"),
    Operation.POST: ("text", "sent", "to", "posted"),
    Operation.CREATE: ("id", "url", "text", "title", "items", "entries"),
    Operation.UPDATE: ("text", "items", "entries"),
    Operation.SUMMARISE: ("text", "title", "items", "summary", "entries"),
    Operation.COMPARE: ("left", "right", "difference", "variance_percent", "equal"),
    Operation.CHECK: ("missing", "unknown", "complete", "problems"),
    Operation.DECIDE: ("verdict", "reason", "decision"),
}
"""What a part tells whatever it finds; the others tell whatever they find."""
_ENTRIES = (Operation.REPORT, Operation.BRIEF, Operation.CREATE, Operation.UPDATE)
_LITERAL = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
_NAME = re.compile(rf"({_LITERAL})|(?<![\w.])(?:prev\s*\.\s*)?([A-Za-z_]\w*)(?!\w|\s*\()")
_PREVIOUS = re.compile(r"(?<![\w.])prev\s*\[\s*(" + _LITERAL + r")\s*\]")
_BOUND = re.compile(r"\.\s*(?:all|exists|exists_one|filter|map)\s*\(\s*([A-Za-z_]\w*)\s*,")
_ALIASES = {"linear": {"status": "state"}, "github": {"status": "state"}}
"""What people call a field, and what a service does."""
_OWN = frozenset({"input", "steps", "true", "false", "null", "in", "prev"})


def before(part: Part, outline: Outline) -> tuple[Part, ...]:
    """Everything that is over when the part starts: what it needs itself last, the farthest first."""
    found: dict[str, Part] = {}
    rest = [part]
    while rest:
        needs = [need for one in rest for key in reversed(one.needs) if (need := outline.part(key))]
        for need in needs:
            found.pop(need.key, None)
            found[need.key] = need
        rest = needs
    return tuple(reversed(found.values()))


def inputs_of(part: Part, outline: Outline, about: str | None = None) -> Json | None:
    """The inputs of its reference; None where what it needs, or the run's own input, says everything.

    `results`: what it needs gave; `earlier`: what the parts before that gave; `run`: the run's input.
    """
    if not part.needs:
        return None
    direct = [key for key in part.needs if outline.part(key)]
    farther = [one.key for one in before(part, outline) if one.key not in direct]
    alone = len(direct) == 1 and not farther and outline.starts is None and about is None
    if alone and "{" not in str(part.does.model_dump(include={"text", "title", "values"}).values()):
        return None  # words with names in braces may name what the run was started with
    inputs: Json = {"results": [_output(key) for key in direct], "run": "${input}"}
    if farther:
        inputs["earlier"] = [_output(key) for key in farther]
    return {**inputs, "about": about} if about else inputs


def _output(key: str) -> str:
    return f"${{{key}.output}}"


def about(part: Part, outline: Outline) -> tuple[str | None, Part | None]:
    """What a part that changes or comments on things is about: as `inputs_of` takes it, and the part that
    found them. Invalid when nothing before it found anything of its service."""
    earlier = before(part, outline)
    for one in reversed(earlier):
        if one.does.operation in _ENTRIES and one.service == part.service:
            return _output(one.key), one
    if outline.starts is not None and outline.starts.service == part.service:
        return ("event" if part.needs else None), None
    for one in reversed(earlier):
        if one.does.operation in (Operation.MATCH, Operation.KEEP):
            return _output(one.key), one
    if not earlier and outline.starts is None:
        return None, None  # the run is started with it
    raise Invalid(
        "Nothing before this step finds an entry there that could be meant.",
        code="nothing_to_change",
        fields=[{"field": part.key, "value": part.service, "rule": "needs a step that finds entries there"}],
    )


def place_for(part: Part, outline: Outline, found_by: Part | None = None) -> Place:
    """Where it works: as it says, or where the thing is that it is about. Invalid when that says nothing."""
    said: Place | None = getattr(part.does, "place", None)
    if said is not None and (said.id or said.name):
        return said
    if found_by is not None and isinstance(found_by.does, Report) and len(found_by.does.places) == 1:
        return found_by.does.places[0]
    starts = outline.starts
    if starts is not None and starts.place is not None and starts.service == part.service:
        return starts.place
    raise Invalid(
        "Where this step sends or writes is still open.",
        code="place_missing",
        fields=[{"field": part.key, "value": None, "rule": "a place at the service"}],
    )


def condition_of(part: Part, outline: Outline) -> str | None:
    """The CEL condition of its reference: bare names are put as results of the parts that tell them."""
    condition = part.condition
    if condition is None:
        return None
    written, expression = "", condition.expression.strip()
    if condition.only:
        written = _marked(part, outline)
    elif condition.otherwise and (marked := _marked_siblings(part, outline)):
        written = f"!({' || '.join(marked)})"
    elif expression:
        written = _written(expression, part, outline)
    elif condition.otherwise:
        others = [_written(one, part, outline) for one in _of_siblings(part, outline)]
        either = others[0] if len(others) == 1 else " || ".join(f"({one})" for one in others)
        written = f"!({either})" if others else ""
    if not written or len(written) > LONGEST_CONDITION:
        rule = f"a condition of at most {LONGEST_CONDITION} characters over what was found"
        raise Invalid(
            f"When this step is to be done is not clear enough: {condition.words[:200]!r}.",
            code="condition_unclear",
            fields=[{"field": part.key, "value": condition.words[:200], "rule": rule}],
        )
    return written


def marks_of(report: Part, outline: Outline) -> dict[str, tuple[Only, ...]]:
    """What a report counts for the conditions of later parts: a name → the rules an entry has to pass."""
    return {
        _mark(part): part.condition.only
        for part in outline.parts
        if part.condition and part.condition.only and _report_before(part, outline) == report
    }


def _mark(part: Part) -> str:
    return _slug(part.condition.words if part.condition else "")[:60] or "wanted"


def _report_before(part: Part, outline: Outline) -> Part | None:
    return next((one for one in reversed(before(part, outline)) if isinstance(one.does, Report)), None)


def _marked(part: Part, outline: Outline) -> str:
    report = _report_before(part, outline)
    return f"{_at(report)}.marks.{_mark(part)} > 0" if report else ""


def _marked_siblings(part: Part, outline: Outline) -> list[str]:
    """Conditions over entries, of the other branches that hang on the same parts."""
    others = [one for one in outline.parts if one.key != part.key and set(one.needs) == set(part.needs)]
    found = (_marked(one, outline) for one in others if one.condition and one.condition.only)
    return [marked for marked in found if marked]


def _of_siblings(part: Part, outline: Outline) -> Iterator[str]:
    """Conditions of the other branches that hang on the same parts."""
    for one in outline.parts:
        said = one.condition
        if one.key != part.key and set(one.needs) == set(part.needs) and said and said.expression.strip():
            yield said.expression.strip()


def _written(expression: str, part: Part, outline: Outline) -> str:
    """Names that no part tells are fields of the entries that were found: one of them has to be so."""
    earlier = tuple(reversed(before(part, outline)))
    bound = {*_BOUND.findall(expression), *_OWN}
    of_entries: dict[str, None] = {}

    def exchanged(found: re.Match[str]) -> str:
        name = found[2]
        if name is None or name in bound:
            return found[0]
        teller = _teller(name, earlier, outline)
        if teller is not None:
            return teller
        field = _ALIASES.get(_entries_of(earlier).service or "", {}).get(name, name)
        of_entries[_slug(field)] = None
        return f"entry.values.{_slug(field)}"

    def previous(found: re.Match[str]) -> str:
        return f"prev.{_slug(found[1][1:-1]) or found[1]}"

    written = _NAME.sub(exchanged, _PREVIOUS.sub(previous, expression))
    if not of_entries:
        return written
    there = " && ".join(f'"{field}" in entry.values' for field in of_entries)
    return f"{_at(_entries_of(earlier))}.entries.exists(entry, {there} && ({written}))"


def _entries_of(earlier: tuple[Part, ...]) -> Part:
    return next(one for one in earlier if one.does.operation in _ENTRIES)


def _at(part: Part) -> str:
    return f'steps["{part.key}"].output'


def _teller(name: str, earlier: tuple[Part, ...], outline: Outline) -> str | None:
    """The expression for a name: of the nearest part that tells it, else of what started the run; None for
    a field of the entries that were found."""
    for one in earlier:
        if _is_same(name, _told_by(one)):
            return f"{_at(one)}.{name}"
    free = [one for one in earlier if _told_by(one) is None]
    if free:
        return f"{_at(free[0])}.{name}"
    if any(one.does.operation in _ENTRIES for one in earlier):
        return None
    if outline.starts is not None:
        return _of_event(name, outline.starts.service)
    return f"{_at(earlier[0])}.{name}" if earlier else f"input.{name}"


def _of_event(name: str, service: str) -> str:
    """A field of what started the run. Names there are written as people wrote them, in one of a few ways."""
    item = "input.event.item"
    if service != "notion" or name in ("id", "title", "url"):
        return f"{item}.{_ALIASES.get(service, {}).get(name, name)}"
    spaced = name.replace("_", " ")
    variants = dict.fromkeys((name, spaced, spaced.capitalize(), spaced.title()))
    tried = [f'"{one}" in {item}.fields ? {item}.fields["{one}"]' for one in variants]
    return f"({' : '.join(tried)} : null)"


def _told_by(part: Part) -> tuple[str, ...] | None:
    """Names of what a part tells; None when that depends on what it finds."""
    fixed = _KNOWN.get(part.does.operation)
    fields: tuple[str, ...] = getattr(part.does, "fields", ())
    if part.does.operation in (Operation.EXTRACT, Operation.FILL) and fields:
        return (*fields, "missing")
    return fixed


def _is_same(name: str, told: tuple[str, ...] | None) -> bool:
    return told is not None and _slug(name) in {_slug(one) for one in told}


def _slug(name: str) -> str:
    return re.sub(r"[\W_]+", "_", name.casefold()).strip("_")
