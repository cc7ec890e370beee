"""The agent in plain words: its numbered steps, and rows of label, value and origin."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from omniforge.builder.design import Design
from omniforge.builder.exchange import Facts
from omniforge.builder.happenings import happening_words
from omniforge.builder.outline import (
    Brief,
    Check,
    Compare,
    Condition,
    Content,
    Create,
    Decide,
    Extract,
    Fetch,
    Fill,
    Follow,
    Keep,
    Match,
    Part,
    Post,
    Report,
    Summarise,
    Transform,
    Update,
)
from omniforge.builder.parts import MADE
from omniforge.builder.state import ConversationState
from omniforge.builder.understanding.cron_words import moment_words, next_times, read_back
from omniforge.builder.understanding.shaping import ANYWHERE, EDITED, How, Only, OrderRule
from omniforge.builder.understanding.text import listed
from omniforge.builder.understanding.windows import day_words, window_words

Row = tuple[str, str, str]
"""Label, value in words, origin."""

SUGGESTED = {"default": " *(my suggestion)*", "found": " *(found)*"}

FORMATS = {"bullets": "bullets", "table": "a table", "plain": "plain sentences"}
CONTENTS = {
    Content.FULL: "everything",
    Content.SUMMARY: "a summary",
    Content.SUMMARY_AND_LINK: "a summary with a link to the whole",
    Content.TEXT: "this text",
}
MOST_NAMED = 8
TIMES = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One part in words: what it does, and its details."""

    number: int
    key: str
    text: str
    rows: tuple[Row, ...] = ()


def titles_of(facts: Facts) -> dict[str, str]:
    return {integration.name: integration.title for integration in facts.integrations}


def order_words(rules: Sequence[OrderRule]) -> str:
    return ", then ".join(_order_rule(rule) for rule in rules)


def _order_rule(rule: OrderRule) -> str:
    if rule.field == EDITED:
        return "latest change first" if rule.descending else "oldest change first"
    if rule.first:
        return (
            f"{', '.join(rule.first)} first"
            if len(rule.first) == 1
            else f"{rule.field}: {', '.join(rule.first)}"
        )
    if rule.last:
        return f"{', '.join(rule.last)} last"
    if rule.filled:
        return f"entries with something in {rule.field} first"
    return f"by {rule.field}{', highest first' if rule.descending else ''}"


def only_words(rules: Sequence[Only]) -> str:
    return "; ".join(_only_rule(rule) for rule in rules)


def _only_rule(rule: Only) -> str:
    which, values = "only" if rule.keep else "without", listed(rule.values, "or")
    field = "last change" if rule.field == EDITED else rule.field.replace("_", " ")
    match rule.how:
        case How.IS if rule.values in (("true",), ("false",)):
            return f"only {field} {'yes' if (rule.values == ('true',)) is rule.keep else 'no'}"
        case How.IS:
            return f"{which} {field} {values}"
        case How.EMPTY:
            return f"only those {'without' if rule.keep else 'with'} {field}"
        case How.HOLDS if rule.field == ANYWHERE:
            return f"{which} entries with “{values}” in them"
        case How.HOLDS:
            return f"{which} {field} with “{values}”"
        case How.BEFORE | How.WITHIN:
            when = listed(map(day_words, rule.values), "or")
            return f"{which} {field} {'before' if rule.how is How.BEFORE else 'in'} {when}"
        case How.ABOVE | How.BELOW:
            return f"{which} {field} {rule.how.value} {values}"


def zone_of(state: ConversationState, facts: Facts) -> str:
    return zone_in(state.design, facts)


def zone_in(design: Design, facts: Facts) -> str:
    return (design.schedule.timezone if design.schedule else None) or facts.timezone


# --- the parts ------------------------------------------------------------------------------------


def steps_of(design: Design, titles: Mapping[str, str]) -> list[Step]:
    """Every part with its number, what it waits for, and when it is left out."""
    numbers = {part.key: at for at, part in enumerate(design.parts, 1)}
    return [
        Step(
            numbers[part.key],
            part.key,
            _sentence(design, part, numbers, titles),
            tuple(_details(design, part)),
        )
        for part in design.parts
    ]


def _sentence(design: Design, part: Part, numbers: Mapping[str, int], titles: Mapping[str, str]) -> str:
    text = does_words(design, part, titles)
    if part.condition:
        when = "in every other case" if part.condition.otherwise else f"only if {_condition(part.condition)}"
        text = f"{text} — {when}"
    beside = [
        numbers[p.key]
        for p in design.parts
        if p.key != part.key and set(p.needs) == set(part.needs) and not p.condition and not part.condition
    ]
    if len(part.needs) > 1:
        text = f"{text}, after {listed(str(numbers[n]) for n in part.needs if n in numbers)}"
    if beside:
        text = f"{text} (at the same time as {listed(map(str, beside))})"
    return text


def _condition(condition: Condition) -> str:
    """As it was said; a plain comparison names what is compared where the person said "it"."""
    told = re.fullmatch(r"\s*([a-z_]\w*)\s*==\s*['\"]([^'\"]+)['\"]\s*", condition.expression)
    return f"the {_value(told[1])} is {told[2]}" if told else _plain(condition.words)


def _plain(words: str) -> str:
    return words.strip().removeprefix("if ").removeprefix("when ").strip() or "it applies"


def does_words(  # noqa: C901, PLR0912 - one line for each operation
    design: Design, part: Part, titles: Mapping[str, str]
) -> str:
    """What a part does, in a few words."""
    title = titles.get(part.service or "", (part.service or "").title())
    used = design.uses.get(part.key)
    by = f" (with the public skill {used.title})" if used else ""
    match part.does:
        case Report(places=places):
            return f"Read {_named([p.name for p in places], f'{title}')} in {title} and write a report{by}"
        case Brief():
            return f"Write a briefing about the new entry{by}"
        case Fetch(url=url):
            return f"Read {url or 'a web address'}{by}"
        case Post(place=place, urgent=urgent):
            what = "an urgent message" if urgent else "a message"
            return f"Post {what} to {place.name if place else 'a place'} in {title}{by}"
        case Create(place=place):
            made = MADE.get(part.service or "", "entry")
            return f"Create {_article(made)} in {f'{place.name} ({title})' if place else title}{by}"
        case Update(place=place):
            return (
                f"Change the {MADE.get(part.service or '', 'entry')} in {place.name if place else title}{by}"
            )
        case Summarise():
            return f"Put what was found into one summary{by}"
        case Transform():
            return f"Work out the values that are needed{by}"
        case Compare(left=left, right=right) if not (left and right):
            return f"Compare what was read{by}"
        case Compare(left=left, right=right):
            return f"Compare {_value(left)} with {_value(right)}{by}"
        case Extract(source=source):
            return f"Read the {source.replace('_', ' ')}{by}"
        case Fill(form=form):
            return f"Fill the {form} form{by}".replace("form form", "form")
        case Match(by=names):
            return f"Find the one that belongs to it by {listed(map(_value, names)) or 'its number'}{by}"
        case Check():
            return f"Check that everything is there, and mark what is not{by}"
        case Decide(verdict=verdict):
            return f"Decide: {verdict}{by}"
        case Follow(instructions=told):
            return f"Do this: {told}"
        case Keep(skill=skill, source=source):
            whose = "public skill" if source == "public" else "skill"
            return f"Use the {whose} {skill}"


def _details(design: Design, part: Part) -> list[Row]:
    origin = {slot: o for slot, o in design.origins.items() if slot.startswith(f"{part.key}.")}

    def row(label: str, value: str, slot: str) -> Row:
        return (label, value, origin.get(f"{part.key}.{slot}", "said"))

    match part.does:
        case Report():
            return _report_rows(part.does, row)
        case Brief(include=include) if include:
            return [row("Includes", _named(include), "include")]
        case Post(content=content, text=text, place=place):
            rows = [row("Place", place.name, "place")] if place else []
            said = f"“{text}”" if content is Content.TEXT else CONTENTS[content]
            return [*rows, row("What is posted", said, "content")]
        case Create(title=title, values=values):
            shown = [f"{name}: {value}" for name, value in values.items()]
            rows = [row("Title", title, "title")] if title else []
            return [*rows, *([row("Holds", "; ".join(shown), "values")] if shown else [])]
        case Update(values=values) if values:
            return [row("Sets", "; ".join(f"{name}: {value}" for name, value in values.items()), "values")]
        case Extract(fields=fields) if fields:
            return [row("Information", ", ".join(map(_value, fields)), "fields")]
        case Fill(fields=fields) if fields:
            return [row("Fields", ", ".join(map(_value, fields)), "fields")]
        case Match(missing=missing):
            return [row("If there is none", f"stop with “{missing}”", "missing")] if missing else []
        case Check(required=required, known=known):
            rows = [row("Must be there", ", ".join(map(_value, required)), "required")] if required else []
            told = [f"{_value(name)}: {listed(values, 'or')}" for name, values in known.items()]
            return [*rows, *([row("Must be one of", "; ".join(told), "known")] if told else [])]
        case _:
            return []


def _report_rows(report: Report, row: Callable[[str, str, str], Row]) -> list[Row]:
    found = [
        ("Reads", listed(p.name for p in report.places), "places"),
        ("What of it", listed(thing.replace("_", " ") for thing in report.things), "things"),
        ("Time covered", window_words(report.window) if report.window else "", "window"),
        ("Information", ", ".join(report.fields), "fields"),
        ("Entries", only_words(report.only), "only"),
        ("Format", FORMATS[report.format] if report.format else "", "format"),
        ("Grouped by", report.group or "", "group"),
        ("Order", order_words(report.order), "order"),
    ]
    return [row(label, value, slot) for label, value, slot in found if value]


def _named(names: Sequence[str], nothing: str = "") -> str:
    if len(names) > MOST_NAMED:
        return f"{', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} more"
    return listed(names) or nothing


def _value(name: str) -> str:
    """`insurance_provider` and `extract-invoice.total` as people read them."""
    side, dot, field = name.rpartition(".")
    own = field.replace("_", " ")
    return f"the {own} of {side.removeprefix('extract-').replace('-', ' ')}" if dot else own


def _article(noun: str) -> str:
    return f"an {noun}" if noun[:1] in "aeiou" else f"a {noun}"


# --- the whole agent ------------------------------------------------------------------------------


def when_words(design: Design, zone: str, titles: Mapping[str, str]) -> str:
    plan = design.schedule
    if design.outline.starts is not None and design.outline.starts.service:
        return happening_words(design.outline.starts, titles.get(design.outline.starts.service, ""))
    if plan is None or plan.event != "scheduled":
        return "whenever you ask"
    notes = f" — {'; '.join(plan.notes)}" if plan.notes and plan.origin == "derived" else ""
    return f"{read_back(plan.cron, zone)}{notes}"


def wide_rows(design: Design, zone: str, titles: Mapping[str, str], name: str | None) -> list[Row]:
    """When it runs, where its result goes, what it is called."""
    rows: list[Row] = []
    if design.schedule:
        origin = design.schedule.origin if design.said("schedule") else "default"
        rows.append(("When", when_words(design, zone, titles), origin))
    if design.destination:
        rows.append(("Goes to", "your inbox here", design.origins.get("destination", "default")))
    if name:
        rows.append(("Name", name, design.origins.get("name", "derived")))
    return rows


def rows_of(design: Design, zone: str, titles: Mapping[str, str], name: str | None) -> list[Row]:
    """Everything as rows; details of a part carry its number when there are several."""
    steps = steps_of(design, titles)
    several = len(steps) > 1
    rows: list[Row] = []
    for step in steps:
        rows += [(f"{step.number}", step.text, "said")] if several else []
        rows += [(f"{step.number}. {a}" if several else a, b, c) for a, b, c in step.rows]
    return [*rows, *wide_rows(design, zone, titles, name)]


def told(design: Design, zone: str, titles: Mapping[str, str], name: str | None) -> str:
    """The numbered list of what happens, each step with its details, and what holds for all of it."""
    lines: list[str] = []
    for step in steps_of(design, titles):
        lines.append(f"{step.number}. {step.text}")
        lines += [
            f"    - **{label}:** {value}{SUGGESTED.get(origin, '')}" for label, value, origin in step.rows
        ]
    numbered = "\n".join(lines)
    wide = bullets(wide_rows(design, zone, titles, name))
    return "\n\n".join(part for part in (numbered, wide) if part)


def bullets(rows: Sequence[Row]) -> str:
    return "\n".join(f"- **{label}:** {value}{SUGGESTED.get(origin, '')}" for label, value, origin in rows)


def next_words(design: Design, zone: str, facts: Facts) -> str:
    """The next three times of a plan, in words."""
    plan = design.schedule
    if plan is None or plan.event != "scheduled":
        return ""
    told = [moment_words(moment, zone) for moment in next_times(plan.cron, zone, facts.now, TIMES)]
    times = [words.removesuffix(f" ({zone})") for words in told]
    assumed = (
        ""
        if plan.timezone or facts.zone_known
        else " I don't know your time zone, so I took this one; a city is enough to change it."
    )
    return f"The next three times would be {listed(times)} ({zone}).{assumed}"
