"""Slots to an agent: its settings and the files of its skill. Equal slots give equal bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from omniforge.builder.understanding.schedule import Schedule
from omniforge.builder.understanding.shaping import EDITED, TITLE, OrderRule
from omniforge.builder.understanding.slots import Slots
from omniforge.builder.understanding.text import listed, normalise, singular, words
from omniforge.core.errors import Invalid

Json = dict[str, Any]

LONGEST_NAME = 80
LONGEST_SHOWN = 60
MOST_SHOWN = 12
QUERY_TOOLS = {"notion": "notion.query_database"}
TITLES = {"notion": "Notion"}


@dataclass(frozen=True, slots=True)
class AgentDraft:
    """Everything needed to save a draft agent. `skill_files`: skill name → path in its folder → bytes."""

    name: str
    description: str
    trigger_type: str
    schedule: str | None
    timezone: str
    integrations: tuple[str, ...]
    skills: tuple[Json, ...]
    skill_files: dict[str, dict[str, bytes]] = field(default_factory=dict[str, dict[str, bytes]])


def build_draft(
    slots: Slots, *, timezone: str, name: str | None = None, skill: str | None = None
) -> AgentDraft:
    """The draft for complete slots. `name` and `skill` keep what an agent is called already.

    Invalid when a required slot is missing.
    """
    missing = [slot for slot in ("service", "sources", "fields", "format") if not getattr(slots, slot)]
    if missing or slots.service not in QUERY_TOOLS:
        raise Invalid(
            "Something needed for this agent is still open.",
            fields=[{"field": m} for m in missing or ["service"]],
        )
    title = name or slots.name or agent_name(slots)
    skill_name = skill or derived_skill_name(slots)
    plan = slots.schedule or Schedule(event="on_demand")
    scheduled = plan.event == "scheduled"
    reference: Json = {
        "name": skill_name,
        "source": "custom",
        "version": "latest",
        "order": 1,
        "config": {
            "databases": [{"id": source.id, "name": source.name} for source in slots.sources],
            "window": slots.window or "last_week",
        },
        "error_strategy": "retry",
        "max_retries": 3,
        "timeout_seconds": 300,
    }
    return AgentDraft(
        name=title,
        description=_agent_description(slots),
        trigger_type="scheduled" if scheduled else "on_demand",
        schedule=plan.cron if scheduled else None,
        timezone=timezone,
        integrations=(slots.service or "",),
        skills=(reference,),
        skill_files={skill_name: skill_files(slots, skill_name, title)},
    )


def skill_files(slots: Slots, skill: str, title: str) -> dict[str, bytes]:
    """SKILL.md and scripts/main.py of a report."""
    service = slots.service or ""
    document = _filled(
        "report/SKILL.md.template",
        NAME=skill,
        DESCRIPTION=_skill_description(slots),
        TOOL=QUERY_TOOLS[service],
        HEADING=skill.replace("-", " ").title(),
        SERVICE=TITLES[service],
        STEPS="\n".join(f"{n}. {step}" for n, step in enumerate(_steps(slots), 1)),
    )
    script = _filled("report/main.py.template", CONSTANTS=_constants(slots, title))
    return {"SKILL.md": document.encode(), "scripts/main.py": script.encode()}


def cadence(slots: Slots) -> str | None:
    """daily, weekly, monthly, hourly: as said in the wish, else as the plan or the time span has it."""
    said = next(
        (w for w in words(slots.goal or "") if w in ("daily", "weekly", "monthly", "hourly", "quarterly")),
        None,
    )
    if said:
        return said
    if slots.schedule and slots.schedule.cron:
        _, hour, day, _, weekday = slots.schedule.cron.split()
        if not hour.replace(",", "").isdecimal():
            return "hourly"
        if day != "*":
            return "monthly"
        return "daily" if weekday == "*" or "-" in weekday else "weekly"
    window = slots.window or ""
    spans = {"yesterday": "daily", "today": "daily", "last_1_days": "daily", "last_7_days": "weekly"}
    return spans.get(window) or ("weekly" if "week" in window else "monthly" if "month" in window else None)


def agent_name(slots: Slots) -> str:
    """`Weekly Project Report`: how often, what about, what it is."""
    subject = slots.subject or _subject(slots)
    kind = "Summary" if "summary" in words(slots.goal or "") else "Report"
    return " ".join(part for part in (cadence(slots), subject, kind) if part).title()


def derived_skill_name(slots: Slots) -> str:
    return "-".join(part for part in (slots.service, cadence(slots), "report") if part)


def _subject(slots: Slots) -> str:
    """The thing the first resource is about: Client Projects → Project."""
    named = [w for w in words(slots.sources[0].name if slots.sources else "") if w.isascii() and w.isalpha()]
    return singular(named[-1])[:30] if named else "Project"


def _agent_description(slots: Slots) -> str:
    places = listed(_short(source.name) for source in slots.sources[:MOST_SHOWN])
    return f"Reports what changed in {places} ({TITLES[slots.service or '']}), for the owner's inbox."[:1000]


def _skill_description(slots: Slots) -> str:
    """Of fixed words only, so that it is always one valid line of at most 80 characters."""
    shape = {"bullets": "as bullets", "table": "as a table", "plain": "in sentences"}[
        slots.format or "bullets"
    ]
    how = " in groups" if slots.group else ""
    return f"Reports what changed in chosen {TITLES[slots.service or '']} databases, {shape}{how}."


def _steps(slots: Slots) -> list[str]:
    tool = QUERY_TOOLS[slots.service or ""]
    steps = [f"Query each database of `databases` with `{tool}` for entries edited within `window`."]
    for rule in slots.only:
        verb = "Keep only" if rule.keep else "Leave out"
        steps.append(f"{verb} entries whose {_quoted(rule.field)} is {_values(rule.values, 'or')}.")
    steps += [_order_step(rule) for rule in slots.order] or ["Order the entries by title."]
    if slots.group:
        steps.append(f"Group the entries by {_quoted(slots.group)}.")
    shape = {"bullets": "one bullet", "table": "one table row", "plain": "one paragraph"}[
        slots.format or "bullets"
    ]
    shown = listed(map(_quoted, slots.fields[:MOST_SHOWN]))
    more = f" and {len(slots.fields) - MOST_SHOWN} more" if len(slots.fields) > MOST_SHOWN else ""
    steps.append(f"Write each entry as {shape} with its title, {shown}{more}.")
    steps.append("Save the report as `report.md` and return it.")
    return steps


def _order_step(rule: OrderRule) -> str:
    if rule.field in (EDITED, TITLE):
        what = "last change" if rule.field == EDITED else "title"
        return f"Order the entries by {what}{', descending' if rule.descending else ''}."
    if rule.first:
        return f"Put entries first whose {_quoted(rule.field)} is {_values(rule.first)}."
    if rule.last:
        return f"Put entries last whose {_quoted(rule.field)} is {_values(rule.last)}."
    if rule.filled:
        return f"Put entries first that have something in {_quoted(rule.field)}."
    return f"Order the entries by {_quoted(rule.field)}{', descending' if rule.descending else ''}."


def _constants(slots: Slots, title: str) -> str:
    """A block of literals; `ascii` keeps every text on one line and inside its quotes."""
    order = [rule.model_dump(exclude_defaults=True) for rule in slots.order]
    only = [{"field": rule.field, "values": list(rule.values), "keep": rule.keep} for rule in slots.only]
    values: dict[str, Any] = {
        "TITLE": title,
        "QUERY_TOOL": QUERY_TOOLS[slots.service or ""],
        "FIELDS": list(slots.fields),
        "GROUP": slots.group,
        "ORDER": [{k: list(v) if isinstance(v, tuple) else v for k, v in rule.items()} for rule in order],  # pyright: ignore[reportUnknownArgumentType]
        "ONLY": only,
        "FORMAT": str(slots.format),
    }
    return "\n".join(f"{name} = {_literal(value)}" for name, value in values.items())


def _literal(value: Any) -> str:
    """Readable where the text is harmless, escaped where it is not."""
    text = repr(value)
    return text if text.isprintable() and "\\" not in text else ascii(value)


def _values(values: tuple[str, ...], last: str = "and") -> str:
    return listed(map(_quoted, values[:MOST_SHOWN]), last)


def _quoted(name: str) -> str:
    return f'"{_short(name)}"'


def _short(name: str) -> str:
    """A name from elsewhere inside our instructions: one line, no marks that mean something there."""
    plain = re.sub(r"[`\"*_\[\]<>#|$!\\{}]+", " ", normalise(name))
    plain = " ".join(plain.split())
    return plain if len(plain) <= LONGEST_SHOWN else plain[: LONGEST_SHOWN - 1].rsplit(" ", 1)[0] + "…"


@cache
def _template(path: str) -> str:
    return (resources.files("omniforge.builder") / "templates" / path).read_text(encoding="utf-8")


def _filled(path: str, **values: str) -> str:
    """The template with every `@@NAME@@` put in, in one pass: inserted text is not looked at again."""
    return re.sub(r"@@([A-Z]+)@@", lambda match: values[match[1]], _template(path))
