"""What the rules read in a message, met with what a model proposed for it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from omniforge.builder.assistant.proposal import Proposal, agreed_schedule
from omniforge.builder.understanding.plan import Schedule
from omniforge.builder.understanding.slots import Known, Problem, Slots, Update, read_slots
from omniforge.builder.understanding.stance import Stance

DETAILS = ("fields", "window", "group", "order", "only", "format")


def met(update: Update, proposal: Proposal | None, before: Slots, known: Known, zone: str) -> Update:
    """The update with what the model adds to it: a time, and wishes about the layout that the rules left
    open. Where the two read different times, the rules' one is only proposed: the time becomes a question."""
    if proposal is None:
        return update
    return _with_details(_with_schedule(update, proposal, before, zone), proposal.details, known)


def _with_schedule(update: Update, proposal: Proposal, before: Slots, zone: str) -> Update:
    unclear = next((p.unclear for p in update.problems if p.unclear), None)
    rules = unclear or (update.slots.schedule if "schedule" in update.touched else None)
    agreed = agreed_schedule(rules, proposal, zone)
    if agreed is rules or agreed is None:
        return update
    others = tuple(p for p in update.problems if p.unclear is None)
    if isinstance(agreed, Schedule):
        slots = update.slots.having(agreed.origin, schedule=agreed)
        return Update(slots, (*update.touched, "schedule"), others)
    plan = rules if isinstance(rules, Schedule) else before.schedule
    kept = update.slots.having("default", schedule=plan)
    touched = tuple(slot for slot in update.touched if slot != "schedule")
    return Update(kept, touched, (*others, Problem("schedule", "", unclear=agreed)))


def _with_details(update: Update, details: Sequence[str], known: Known) -> Update:
    """Slots the rules have not touched may be filled from the sentences in which a model said them again."""
    for detail in details:
        found = read_slots(detail, update.slots, known, stance=Stance.AMEND, expected=DETAILS)
        fresh = {
            slot: getattr(found.slots, slot)
            for slot in found.touched
            if slot in DETAILS and slot not in update.touched
        }
        if fresh:
            slots = update.slots.having("derived", **fresh)
            left = tuple(p for p in update.problems if p.kind not in ("field", "group", "order"))
            update = replace(update, slots=slots, problems=left)
    touched = tuple(slot for slot in DETAILS if update.slots.origins.get(slot) == "derived")
    return replace(update, touched=tuple(dict.fromkeys((*update.touched, *touched))))
