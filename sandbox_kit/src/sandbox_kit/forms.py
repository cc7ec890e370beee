"""Fields of documents told, forms filled from them, and what is missing or wrong in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sandbox_kit.fields import Found, canonical
from sandbox_kit.given import Json, carried, label_of, merged, results_of, value_of
from sandbox_kit.layout import escaped
from sandbox_kit.values import is_same, normal, shown

MOST_ROWS = 200
MOST_PROBLEMS = 50
TAKEN = ("missing", "confidence", "units", "unclear", "rows", "report")


def free_key(key: str) -> str:
    """A name for a field that is not one of the result's own."""
    return f"{key}_field" if key in TAKEN else key


def extraction(found: Found, fields: Mapping[str, str], title: str = "Fields") -> Json:
    """The result of reading a document: each field under its key, None where it was not found."""
    values = {free_key(key): value for key, value in found.values.items()}
    known = [key for key in found.values if found.values[key] is not None]
    told = {key: shown(found.values[key], found.units.get(key, "")) for key in known}
    lines = [f"- **{escaped(label_of(fields[key]))}**: {escaped(text)}" for key, text in told.items()]
    notes = [f"Not found: {', '.join(map(label_of, found.missing))}."] if found.missing else []
    notes += [
        f"{label_of(fields[key])} is given in different ways: {', '.join(values)}."
        for key, values in found.unclear.items()
    ]
    report = "\n".join([f"## {escaped(title)}", "", *lines, "", *(f"*{escaped(note)}*" for note in notes)])
    counted = f"Found {len(known)} of {len(found.values)} fields."
    return {
        "output": {
            **values,
            "missing": found.missing,
            "confidence": {free_key(key): sure for key, sure in found.confidence.items()},
            "units": found.units,
            "unclear": found.unclear,
            "rows": found.rows[:MOST_ROWS],
            "report": f"{report.strip()}\n",
        },
        "message": " ".join([counted, *notes]),
    }


def filled_form(
    given: Mapping[str, Any], form: str, fields: Mapping[str, str], *, is_last: bool = False
) -> Json:
    """A form with its fields (key → name; none: all there are) filled from what was found.

    is_last: nobody looks at it afterwards, so that a gap is pointed out here.
    """
    found = merged(given)
    fields = fields or {name: name for name, value in carried(found).items() if value is not None}
    values = {key: value_of(found, name) for key, name in fields.items()}
    held: Any = found.get("units")
    units = cast("Json", held) if isinstance(held, dict) else {}
    filled = {key: value for key, value in values.items() if value is not None}
    missing = [name for key, name in fields.items() if values[key] is None]
    shown_values = {
        key: shown(value, str(units.get(key, ""))) if value is not None else None
        for key, value in values.items()
    }
    lines = [f"{label_of(name)}: {shown_values[key] or '________'}" for key, name in fields.items()]
    marked = [
        f"- **{escaped(label_of(name))}**: {escaped(shown_values[key] or 'missing')}"
        for key, name in fields.items()
    ]
    told = f"{form}: {len(filled)} of {len(fields)} fields filled."
    if missing:
        told = f"{told} Missing: {', '.join(map(label_of, missing))}."
    return {
        "output": {
            "form": form,
            "filled": filled,
            "missing": missing,
            "complete": not missing,
            "text": "\n".join([form, "", *lines]) + "\n",
            "report": "\n".join([f"## {escaped(form)}", "", *marked]) + "\n",
        },
        "message": told,
        "status": "flag" if missing and is_last else "ok",
    }


def checked(
    given: Mapping[str, Any],
    required: Mapping[str, str],
    known: Mapping[str, Sequence[str]],
    *,
    parts: Sequence[str] = (),
    forms: Sequence[str] = (),
) -> Json:
    """What is missing or not known in all that was found. `parts`: names of the results in their order,
    `forms`: those of them that fill forms, one of which has to be there."""
    results = results_of(given, parts)
    together = merged(given)
    missing = [name for name in required.values() if value_of(together, name) is None]
    unknown: Json = {}
    for key, values in known.items():
        value = value_of(together, key)
        if value is None and key not in required:
            missing.append(key)
        elif value is not None and not _is_known(value, values):
            unknown[key] = value
    problems = [f"{label_of(name)} is missing." for name in missing]
    problems += [
        f"{label_of(key)} {shown(value)!r} is not known here: it can be {', '.join(known[key])}."
        for key, value in unknown.items()
    ]
    for _, result in results:
        if result.get("form") and isinstance(result.get("missing"), list):
            gaps = [str(one) for one in result["missing"] if not any(is_same(one, name) for name in missing)]
            missing += gaps
            problems += [f"{result['form']}: {label_of(name)} is missing." for name in gaps]
    if forms and not any(result.get("form") for _, result in results):
        problems.append("No form was filled: there is none for this case.")
    problems = problems[:MOST_PROBLEMS]
    lines = [f"- {escaped(problem)}" for problem in problems]
    head = "Please look at this:" if problems else "Everything is there."
    return {
        "output": {
            "complete": not problems,
            "problems": problems,
            "missing": missing,
            "unknown": unknown,
            "report": "\n".join([f"## {head}" if problems else head, "", *lines]).strip()
            + _forms_of(results),
        },
        "message": " ".join(["Please look at this:", *problems]) if problems else head,
        "status": "flag" if problems else "ok",
    }


def _is_known(value: Any, values: Sequence[str]) -> bool:
    each = cast("list[Any]", value) if isinstance(value, list) else [value]
    return all(normal(canonical(one, values)) in map(normal, values) for one in each)


def _forms_of(results: Sequence[tuple[str, Json]]) -> str:
    """The forms themselves, below what was found about them."""
    texts = [str(result.get("report") or "") for _, result in results if result.get("form")]
    return "".join(f"\n\n{text.strip()}" for text in texts if text.strip()) + "\n"
