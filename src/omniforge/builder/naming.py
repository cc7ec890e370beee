"""What an agent and its skills are called, and how often it does its work. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from omniforge.builder.design import Design, place_of
from omniforge.builder.exchange import AgentSeen
from omniforge.builder.outline import (
    Brief,
    Check,
    Compare,
    Decide,
    Extract,
    Fetch,
    Fill,
    Match,
    Part,
    Post,
    Report,
)
from omniforge.builder.understanding.text import singular, words

STATUS_WORDS = {
    "active": "switched on",
    "paused": "paused",
    "draft": "a draft, not switched on yet",
    "archived": "deleted",
}
OFTEN = ("daily", "weekly", "monthly", "hourly", "quarterly")
_ACTIONS = ("Extract", "Match", "Check", "Fill", "Decide", "Compare", "Post", "Create", "Update", "Fetch")


def told_apart(agents: Sequence[AgentSeen]) -> list[str]:
    """Their names; those of the same name with what tells them apart."""
    found: list[str] = []
    for agent in agents:
        alike = [one for one in agents if one.name == agent.name]
        name = agent.name
        if len({one.own for one in alike}) > 1:
            name += " (your own)" if agent.own else " (shared with you)"
        alike = [one for one in alike if one.own == agent.own]
        if len({one.status for one in alike}) > 1:
            name += f" ({STATUS_WORDS.get(agent.status, agent.status).partition(',')[0]})"
        if len([one for one in alike if one.status == agent.status]) > 1:
            name += f" ({agent.id})"
        found.append(name)
    return found


def cadence(design: Design) -> str | None:
    """daily, weekly, monthly, hourly: as said in the wish, else as the plan or the time span has it."""
    if design.reads_by_events:
        return None
    said = next((word for word in words(design.goal or "") if word in OFTEN), None)
    if said:
        return said
    if design.schedule and design.schedule.cron:
        _, hour, day, _, weekday = design.schedule.cron.split()
        if not hour.replace(",", "").isdecimal():
            return "hourly"
        if day != "*":
            return "monthly"
        return "daily" if weekday == "*" or "-" in weekday else "weekly"
    window = next((part.does.window for part in design.parts if isinstance(part.does, Report)), None) or ""
    spans = {"yesterday": "daily", "today": "daily", "last_1_days": "daily", "last_7_days": "weekly"}
    return spans.get(window) or ("weekly" if "week" in window else "monthly" if "month" in window else None)


def agent_name(design: Design) -> str:
    """`Weekly Project Report`: how often, what about, what it is."""
    if any(isinstance(part.does, Report) for part in design.parts):
        kind = "Summary" if "summary" in words(design.goal or "") else "Report"
        return " ".join(part for part in (cadence(design), _subject(design), kind) if part).title()
    if any(isinstance(part.does, Brief) for part in design.parts):
        place = design.outline.starts.place if design.outline.starts else None
        return f"{_tidy(place.name)} Briefing" if place else "Entry Briefing"
    if _is_about_records(design):
        return _flow_name(design)
    first = design.parts[0] if design.parts else None
    if first is None:
        return "Agent"
    if isinstance(first.does, Post) and first.does.place:
        what = "reminder" if first.does.text.startswith("Reminder") else "message"
        where = " ".join(re.findall(r"[^\W_]+", first.does.place.name.partition("@")[0]))
        return " ".join(part for part in (cadence(design), where, what) if part).title()[:60]
    if isinstance(first.does, Fetch) and first.does.url:
        return f"{_called(first.does.url).title()} {'Watch' if len(design.parts) > 1 else 'Page'}"[:60]
    return " ".join(word.capitalize() for word in first.key.split("-"))[:60]


def _is_about_records(design: Design) -> bool:
    return any(isinstance(p.does, (Extract, Match, Fill, Check, Compare, Decide)) for p in design.parts)


def _flow_name(design: Design) -> str:
    sources = {part.does.source for part in design.parts if isinstance(part.does, Extract)}
    if {"invoice", "purchase_order"} <= sources:
        return "Purchase Order Check"
    if sources == {"invoice"}:
        return "Invoice Check"
    if any(isinstance(part.does, Fill) for part in design.parts):
        return "Form Filling"
    return "Document Check" if sources else "Record Check"


def _subject(design: Design) -> str:
    """The thing the first resource is about: Client Projects → Project."""
    if design.subject:
        return design.subject
    report = next((part for part in design.parts if isinstance(part.does, Report)), None)
    places = place_of(report) if report else ()
    named = [w for w in words(_called(places[0].name) if places else "") if w.isascii() and w.isalpha()]
    return singular(named[-1])[:30] if named else "Project"


def _called(place: str) -> str:
    """What tells of a place in its name: the site of an address, a file without its ending."""
    if site := re.match(r"https?://(?:www\.|blog\.|feeds?\.)?([\w-]+)", place):
        return site[1]
    return re.sub(r"\.(?:csv|tsv|xlsx?|json)$", "", place, flags=re.IGNORECASE)


def _tidy(name: str) -> str:
    return singular(" ".join(name.split()))[:60]


def final_key(part: Part, design: Design) -> str:
    """The name of the skill once everything is known."""
    if isinstance(part.does, Report) and part.service:
        return "-".join(piece for piece in (part.service, cadence(design), "report") if piece)
    if (
        isinstance(part.does, Post)
        and part.service
        and part.does.place
        and part.key.startswith(f"{part.service}-post-")
    ):
        where = "-".join(re.findall(r"[a-z0-9]+", part.does.place.name.casefold()))
        return f"{part.service}-post-{where}"[:60].strip("-") if where else part.key
    return part.key
