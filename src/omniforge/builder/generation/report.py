"""The skill of a report: entries of one service, chosen, put in order, grouped and laid out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omniforge.builder.generation.folder import SkillFiles
from omniforge.builder.generation.page import Page
from omniforge.builder.generation.services import READINGS, TITLES, Readings
from omniforge.builder.generation.templates import constants, quoted, quoted_list, script
from omniforge.builder.outline import Part, Place, Report
from omniforge.builder.understanding.shaping import ANYWHERE, EDITED, TITLE, How, Only, OrderRule

MARKED = ', "marks": {name: len(chosen(entries, rules, request)) for name, rules in MARKS.items()}'
DONE = "`scripts/main.py` does exactly the steps below."
_SHAPES = {"bullets": "as bullets", "table": "as a table", "plain": "in sentences"}
_ENTRY = {"bullets": "one bullet", "table": "one table row", "plain": "one paragraph"}


def write_report(
    part: Part, does: Report, title: str, marks: Mapping[str, Sequence[Only]] | None = None
) -> SkillFiles:
    """`marks`: what is counted besides, as a name → rules that an entry has to pass."""
    service, reads = part.service or "", READINGS[part.service or ""]
    things = _things(does, reads)
    tools = tuple(dict.fromkeys(reads.things[thing].tool for thing in things))
    values: dict[str, Any] = {
        "READ": [reads.things[t].constant(_kind(t) if len(things) > 1 else "") for t in things],
        "ONLY": [_only(rule) for rule in does.only],
        "ORDER": [_order(rule) for rule in does.order],
        "LAYOUT": {
            "fields": list(does.fields),
            "group": does.group,
            "format": str(does.format or "bullets"),
            "ordered": bool(does.order),
        },
    }
    if marks:
        values["MARKS"] = {name: [_only(rule) for rule in rules] for name, rules in marks.items()}
    one, many = reads.noun
    main = script(
        "parts/report.py.template",
        CONSTANTS=constants(values),
        NOUNS=f"'{one}', '{many}'",
        MARKED=MARKED if marks else "",
    )
    page = Page(
        name=part.key,
        description=_description(does, service, reads),
        tools=tools,
        intro=f"Writes a report about what {TITLES[service]} holds. {DONE}",
        prerequisites=[
            f"{TITLES[service]}, from where the chosen {many} can be read.",
            "The settings `places` (a list of `id` and `name`), `window` (`last_week`, `all` …), `title`.",
        ],
        when=f"Use this when somebody wants to know what happened in these {many} over a stretch of time.",
        steps=_steps(does, reads, tools, marks or {}),
        trouble=[
            f"A {one} that cannot be read stops the run; nothing is delivered half.",
            f"When {TITLES[service]} hands out only part of the entries, the report says so at its end.",
            "When there is nothing, the report says so and the run counts as having nothing to do.",
        ],
    )
    config = {
        "title": title,
        "places": [place_of(one) for one in does.places],
        "window": does.window or "all",
    }
    return SkillFiles({"SKILL.md": page.written(), "scripts/main.py": main}, tools, config)


def place_of(place: Place) -> dict[str, str]:
    """A place as the settings of a skill have it."""
    given = {"id": place.id, "name": place.name, "kind": place.kind}
    return {name: value for name, value in given.items() if value or name == "name"}


def _things(does: Report, reads: Readings) -> list[str]:
    """Kinds of entries: those named, by the part or by the kind of its places; else the usual one."""
    named = [*does.things, *(place.kind for place in does.places)]
    known = list(dict.fromkeys(thing for thing in named if thing in reads.things))
    return known or [next(iter(reads.things))]


def _kind(thing: str) -> str:
    return thing.removesuffix("s").replace("_", " ").capitalize()


def _order(rule: OrderRule) -> dict[str, Any]:
    given = rule.model_dump(exclude_defaults=True)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}  # pyright: ignore[reportUnknownArgumentType]


def _description(does: Report, service: str, reads: Readings) -> str:
    """Of fixed words only, so that it is always one valid line of at most 80 characters."""
    shape = _SHAPES[str(does.format or "bullets")]
    how = " in groups" if does.group else ""
    return f"Reports {reads.entries} of chosen {TITLES[service]} {reads.noun[1]}, {shape}{how}."


def _steps(
    does: Report, reads: Readings, tools: tuple[str, ...], marks: Mapping[str, Sequence[Only]]
) -> list[str]:
    called = " and ".join(f"`{tool}`" for tool in tools)
    steps = [f"Read each {reads.noun[0]} of `places` with {called}, as far as `window` reaches."]
    steps += [_only_step(rule) for rule in does.only]
    steps += [_order_step(rule) for rule in does.order] or ["Order the entries by title."]
    if does.group:
        steps.append(f"Group the entries by {quoted(does.group)}.")
    shown = f"its title, {quoted_list(does.fields)}" if does.fields else "its title"
    steps.append(f"Write each entry as {_ENTRY[str(does.format or 'bullets')]} with {shown}.")
    for name, rules in marks.items():
        told = " ".join(_only_step(rule).replace("Keep only", "count") for rule in rules)
        steps.append(f"As `marks.{name}`: {told}")
    steps.append("Save the report as `report.md` and return it as `text`, with the `entries` it is made of.")
    return steps


def _only(rule: Only) -> dict[str, Any]:
    given: dict[str, Any] = {"field": rule.field, "values": list(rule.values), "keep": rule.keep}
    return given if rule.how is How.IS else {**given, "how": rule.how.value}


def _only_step(rule: Only) -> str:
    verb = "Keep only" if rule.keep else "Leave out"
    field, values = quoted(rule.field), quoted_list(rule.values, "or")
    match rule.how:
        case How.EMPTY:
            return f"{verb} entries with nothing in {field}."
        case How.HOLDS if rule.field == ANYWHERE:
            return f"{verb} entries with {values} in their title or in any value."
        case How.HOLDS:
            return f"{verb} entries with {values} in {field}."
        case How.IS:
            return f"{verb} entries whose {field} is {values}."
        case _:
            return f"{verb} entries whose {field} is {rule.how.value} {values}."


def _order_step(rule: OrderRule) -> str:
    descending = ", descending" if rule.descending else ""
    if rule.field in (EDITED, TITLE):
        return f"Order the entries by {'last change' if rule.field == EDITED else 'title'}{descending}."
    if rule.first:
        return f"Put entries first whose {quoted(rule.field)} is {quoted_list(rule.first)}."
    if rule.last:
        return f"Put entries last whose {quoted(rule.field)} is {quoted_list(rule.last)}."
    if rule.filled:
        return f"Put entries first that have something in {quoted(rule.field)}."
    return f"Order the entries by {quoted(rule.field)}{descending}."
