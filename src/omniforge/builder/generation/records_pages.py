"""The SKILL.md of the operations on data: what is done, step by step, and what happens in trouble. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from omniforge.builder.generation.page import Page
from omniforge.builder.generation.templates import quoted
from omniforge.builder.outline import Operation
from omniforge.builder.understanding.text import listed

Json = Mapping[str, Any]

MOST_LISTED = 3
"""Steps of one sort that are spelled out."""
ROOM = 400
"""Bytes of a list of names."""
DESCRIPTIONS = {
    Operation.SUMMARISE: "Sums up what was found in its own telling sentences.",
    Operation.TRANSFORM: "Works out, renames and keeps fields of records.",
    Operation.COMPARE: "Compares two values and tells how far they are apart.",
    Operation.EXTRACT: "Reads fields out of the text of a document.",
    Operation.FILL: "Fills in a form from what was found and names what is missing.",
    Operation.MATCH: "Finds the one record that fits what was found.",
    Operation.CHECK: "Checks that everything needed was found and is known.",
    Operation.DECIDE: "Notes a decision with its reason and its numbers.",
}
WHEN = {
    Operation.SUMMARISE: "Use this when the steps before found more text than somebody wants to read.",
    Operation.TRANSFORM: "Use this when records are needed with other fields, or with sums of them.",
    Operation.COMPARE: "Use this when it matters whether, and by how much, two values differ.",
    Operation.EXTRACT: "Use this when values stand in a document: an invoice, an order, a form, a letter.",
    Operation.FILL: "Use this when what was found has to go into a form with fixed fields.",
    Operation.MATCH: "Use this when the record that belongs to something has to be found in a list.",
    Operation.CHECK: "Use this when a person should only look at what is incomplete or not known.",
    Operation.DECIDE: "Use this when a rule says what follows from what was found.",
}
INTRO = "`scripts/main.py` does exactly the steps below. It uses no tools and reaches nothing outside."


def page_of(name: str, does: Any, values: Json) -> Page:
    """`values`: the constants of its script."""
    operation = does.operation
    prerequisites, steps, trouble = _WRITERS[operation](values)
    return Page(
        name=name,
        description=DESCRIPTIONS[operation],
        tools=(),
        intro=INTRO,
        prerequisites=prerequisites,
        when=WHEN[operation],
        steps=steps,
        trouble=trouble,
    )


def spelled(names: Iterable[str], last: str = "and") -> str:
    """`"Item", "Amount" and 3 more`: as many as there is room for, and always one."""
    every = [quoted(name) for name in names]
    shown: list[str] = []
    room = ROOM
    for name in every:
        room -= len(name.encode()) + 2
        if room < 0:
            break
        shown.append(name)
    rest = len(every) - len(shown)
    return f"{', '.join(shown)} {last} {rest} more" if rest else listed(shown, last)


Parts = tuple[Sequence[str], list[str], Sequence[str]]


def _extract(values: Json) -> Parts:
    fields, known = list(values["FIELDS"].values()), values["KNOWN"]
    steps = [
        f"Take the document from the input {quoted(values['SOURCE'])}: a text, HTML, CSV or an object.",
        "Take it apart into labels with the values beside or below them, and into tables.",
        f"Look up {spelled(fields)} by their labels, or by labels that mean the same."
        if fields
        else "Take every label of the document as a field.",
        "Write amounts as numbers, dates as year, month and day, everything else as it stands there.",
    ]
    if known:
        steps.append(f"Write known values of {spelled(known)} as they are known.")
    steps.append("Give back each field, `missing`, and the `confidence` of each from 0 to 1.")
    return (
        [f"A document as the input {quoted(values['SOURCE'])}, or as the text of a step before."],
        steps,
        [
            "A field that is not there, or is there in different ways, stays empty; nothing is guessed.",
            "Without a document the run stops and says how to give one.",
        ],
    )


def _fill(values: Json) -> Parts:
    return (
        ["The fields that the steps before found."],
        [
            f"Take the form {quoted(values['FORM'])}: {spelled(values['FIELDS'].values())}.",
            "Fill each field with what was found under its name, or one that means the same.",
            "Give back `form`, `filled`, `missing`, and the form as `text`.",
        ],
        [
            "A field without a value stays open and is named in `missing`."
            + (" The run is marked for a person to look at." if values["IS_LAST"] else "")
        ],
    )


def _match(values: Json) -> Parts:
    by = spelled(values["BY"].values())
    said = quoted(values["MISSING"]) if values["MISSING"] else "that nothing fits"
    return (
        [f"A list of records as {quoted(values['RECORDS'])}, and what is looked for."],
        [
            f"Take the records {quoted(values['RECORDS'])}; without any, the first result before this step.",
            f"Keep those whose {by} is equal; case, spaces and marks do not count.",
            "Give back the fields of the one record that is left, and the `record` itself.",
        ],
        [
            f"When no record fits, the run ends here without failure and says {said}.",
            "When several fit, none is taken: they are listed, and a person is asked to look.",
        ],
    )


def _compare(values: Json) -> Parts:
    left, right = (quoted(name) for name in values["NAMES"])
    return (
        ["Both values, from the steps before or from the input."],
        [
            f"Take {left} as the left value and {right} as the right one.",
            "Work out `difference` (right less left), `variance_percent` (of the left value, without sign) "
            "and `equal`. Dates differ by days; texts are equal or not.",
            "Give these back with `left`, `right` and one sentence about them.",
        ],
        [
            "A value that is missing, or two different currencies, stop the run and are named.",
            "When the left value is 0 there is no percentage, and a person is asked to look.",
        ],
    )


def _check(values: Json) -> Parts:
    steps: list[str] = []
    if values["REQUIRED"]:
        steps.append(f"Look whether {spelled(values['REQUIRED'].values())} were found.")
    known = list(values["KNOWN"].items())
    steps += [
        f"Look whether {quoted(key)} is one of {spelled(them, 'or')}." for key, them in known[:MOST_LISTED]
    ]
    if known[MOST_LISTED:]:
        steps.append(f"Look likewise at {spelled(key for key, _ in known[MOST_LISTED:])}.")
    if values["FORMS"]:
        steps.append(f"Look whether one of the forms of {spelled(values['FORMS'])} was filled.")
    steps += [
        "Look whether any form that was filled has gaps.",
        "Give back `complete`, `missing`, `unknown`, and every problem in words as `problems`.",
    ]
    return (
        ["The results of the steps before; some of them may have been left out."],
        steps,
        ["When something is wrong, it is listed, and the run is marked for a person to look at."],
    )


def _decide(values: Json) -> Parts:
    own = f"{quoted(values['REASON'])} and " if values["REASON"] else ""
    rule = f" The rule is {quoted(values['ONLY_IF'])}." if values["ONLY_IF"] else ""
    return (
        ["The results of the steps before that the decision rests on."],
        [
            f"Note the decision {quoted(values['VERDICT'])}.",
            f"Give {own}what the steps before found as its reason, with the numbers.{rule}",
            "Give back `verdict`, `reason`, the numbers, and all of it as `text`.",
        ],
        ["When the reason names something that nobody found, the run stops and says what is missing."],
    )


def _transform(values: Json) -> Parts:
    steps = ["Take the records of the steps before, or of the input."]
    computed, renamed = list(values["COMPUTE"].items()), list(values["RENAME"].items())
    steps += [f"Work out {quoted(name)} as {quoted(text)}." for name, text in computed[:MOST_LISTED]]
    if computed[MOST_LISTED:]:
        steps.append(f"Work out {spelled(name for name, _ in computed[MOST_LISTED:])} as in the script.")
    steps += [f"Call {quoted(name)} {quoted(other)}." for name, other in renamed[:MOST_LISTED]]
    if renamed[MOST_LISTED:]:
        steps.append(f"Call {spelled(name for name, _ in renamed[MOST_LISTED:])} as in the script.")
    if values["KEEP"]:
        steps.append(f"Keep only {spelled(values['KEEP'])}.")
    steps.append("Give back the records as `rows`, their number as `items`, and a table of them.")
    return (
        ["Records of a step before, or of the input."],
        steps,
        [
            "What cannot be worked out for a record stays empty and is named in `missing`.",
            "Without any record the run counts as having nothing to do.",
        ],
    )


def _summarise(values: Json) -> Parts:
    sources = spelled(values["PARTS"]) if values["PARTS"] else "the input"
    return (
        ["Texts, entries or fields from the steps before, or from the input."],
        [
            f"Take the text of {sources}; entries and rows count as sentences.",
            "Weigh each sentence: words that come back, its place, names, dates and numbers.",
            f"Keep the {values['SENTENCES']} that weigh most of each source, word for word, in their order.",
            "Give them back as `report`, each source under its own heading when there are several.",
        ],
        ["When there is nothing to sum up, the result says so and the run counts as having nothing to do."],
    )


_WRITERS = {
    Operation.EXTRACT: _extract,
    Operation.FILL: _fill,
    Operation.MATCH: _match,
    Operation.COMPARE: _compare,
    Operation.CHECK: _check,
    Operation.DECIDE: _decide,
    Operation.TRANSFORM: _transform,
    Operation.SUMMARISE: _summarise,
}
