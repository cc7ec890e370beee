"""The agent as rows of plain words: label, value, origin."""

from __future__ import annotations

from collections.abc import Sequence

from omniforge.builder.exchange import Facts
from omniforge.builder.state import ConversationState
from omniforge.builder.understanding.cron_words import moment_words, next_times, read_back
from omniforge.builder.understanding.shaping import EDITED, Only, OrderRule
from omniforge.builder.understanding.slots import Slots
from omniforge.builder.understanding.text import listed
from omniforge.builder.understanding.windows import window_words

Row = tuple[str, str, str]
"""Label, value in words, origin."""

SUGGESTED = {"default": " *(my suggestion)*", "found": " *(found)*"}

FORMATS = {"bullets": "bullets", "table": "a table", "plain": "plain sentences"}


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
    return ", ".join(f"{'only' if r.keep else 'without'} {r.field} {listed(r.values, 'or')}" for r in rules)


def zone_of(state: ConversationState, facts: Facts) -> str:
    plan = state.slots.schedule
    return (plan.timezone if plan else None) or facts.timezone


def when_words(slots: Slots, zone: str) -> str:
    plan = slots.schedule
    if plan is None or plan.event == "on_demand":
        return "whenever you ask"
    notes = f" — {'; '.join(plan.notes)}" if plan.notes and plan.origin == "derived" else ""
    return f"{read_back(plan.cron, zone)}{notes}"


def rows_of(slots: Slots, zone: str, name: str | None) -> list[Row]:
    """The agent in words, one row per slot that is filled."""
    origin = slots.origins
    rows: list[Row] = []
    if slots.sources:
        rows.append(("Reads", listed(s.name for s in slots.sources), origin.get("sources", "said")))
    if slots.window:
        rows.append(("Time covered", window_words(slots.window), origin.get("window", "said")))
    if slots.fields:
        rows.append(("Information", ", ".join(slots.fields), origin.get("fields", "said")))
    if slots.only:
        rows.append(("Entries", only_words(slots.only), origin.get("only", "said")))
    if slots.format:
        rows.append(("Format", FORMATS[slots.format], origin.get("format", "said")))
    if slots.group:
        rows.append(("Grouped by", slots.group, origin.get("group", "said")))
    if slots.order:
        rows.append(("Order", order_words(slots.order), origin.get("order", "said")))
    if slots.schedule:
        rows.append(
            ("When", when_words(slots, zone), slots.schedule.origin if slots.said("schedule") else "default")
        )
    if slots.destination:
        rows.append(("Goes to", "your inbox here", origin.get("destination", "default")))
    if name:
        rows.append(("Name", name, origin.get("name", "derived")))
    return rows


def bullets(rows: Sequence[Row]) -> str:
    return "\n".join(f"- **{label}:** {value}{SUGGESTED.get(origin, '')}" for label, value, origin in rows)


def next_words(slots: Slots, zone: str, facts: Facts) -> str:
    """The next two times of a plan, in words."""
    plan = slots.schedule
    if plan is None or plan.event != "scheduled":
        return ""
    times = [moment_words(moment, zone) for moment in next_times(plan.cron, zone, facts.now)]
    assumed = (
        ""
        if plan.timezone or facts.zone_known
        else " I don't know your time zone, so I took this one; a city is enough to change it."
    )
    return f"The next two times would be {listed(times)}.{assumed}"
