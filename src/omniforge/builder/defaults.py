"""Which details are still open, and what is proposed for them. Pure."""

from __future__ import annotations

from omniforge.builder.generator import cadence
from omniforge.builder.state import ConversationState
from omniforge.builder.understanding.fields import find_fields
from omniforge.builder.understanding.mentions import Format
from omniforge.builder.understanding.references import is_archive
from omniforge.builder.understanding.schedule import Schedule, suggested
from omniforge.builder.understanding.slots import Slots, Source

DETAILS = ("fields", "format", "schedule")

MOST_DEFAULT_FIELDS = 4


def open_details(state: ConversationState) -> list[str]:
    return [slot for slot in DETAILS if not state.slots.said(slot)]


def with_defaults(state: ConversationState) -> Slots:
    """Every slot that is still open takes what was proposed, marked as our suggestion."""
    slots = state.slots
    if not slots.fields:
        slots = slots.having("default", fields=default_fields(state))
    if slots.format is None:
        slots = slots.having("default", format=Format.BULLETS)
    if slots.schedule is None:
        slots = slots.having("default", schedule=default_schedule(slots))
    if slots.window is None:
        slots = slots.having("default", window=default_window(slots))
    if slots.destination is None:
        slots = slots.having("default", destination="inbox")
    return slots


def default_fields(state: ConversationState) -> tuple[str, ...]:
    """Those that tell how things stand; else the first ones there are."""
    fields = [f for f in state.fields if f.type not in ("title", "files", "relation", "button")]
    telling = find_fields("status, update, blocker, owner", fields)
    return tuple((telling or [f.name for f in fields])[:MOST_DEFAULT_FIELDS])


def default_schedule(slots: Slots) -> Schedule:
    match cadence(slots):
        case "daily":
            return suggested("MON-FRI")
        case "monthly":
            return Schedule(cron="0 9 1 * *", origin="default", time_said=False)
        case "quarterly":
            return Schedule(cron="0 9 1 1,4,7,10 *", origin="default", time_said=False)
        case _:
            return suggested()


def default_window(slots: Slots) -> str:
    spans = {"daily": "yesterday", "hourly": "today", "monthly": "last_month", "quarterly": "last_90_days"}
    return spans.get(cadence(slots) or "weekly", "last_week")


def default_sources(state: ConversationState) -> tuple[Source, ...]:
    """All of them but archives, at most two."""
    live = [r for r in state.resources if not is_archive(r.name)] or list(state.resources)
    return tuple(Source(id=r.id, name=r.name) for r in live[:2])
