"""Answers about what the agent shall do, up to the yes that creates it. Pure."""

from __future__ import annotations

from omniforge.builder import wording as say
from omniforge.builder.answers.intake import answer_change, hear, read_update, take_in
from omniforge.builder.defaults import default_sources, open_details
from omniforge.builder.draft import known
from omniforge.builder.exchange import Facts, Turn
from omniforge.builder.progress import advance, create, to_summary
from omniforge.builder.questions import pose
from omniforge.builder.state import ConversationState, Pending
from omniforge.builder.understanding.references import resolve
from omniforge.builder.understanding.schedule import Schedule, Unclear, read_schedule
from omniforge.builder.understanding.slots import Source, read_slots
from omniforge.builder.understanding.stance import Act, Reading, Stance
from omniforge.builder.understanding.text import has_phrase, listed


def answer_resources(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    names = [item.name for item in state.last_list]
    if reading.stance in (Stance.DELEGATE, Stance.YES):
        chosen = default_sources(state)
        state = state.noted(f"I take {listed(s.name for s in chosen)}.")
        return advance(state.but(slots=state.slots.having("default", sources=chosen)), facts)
    picked = resolve(text.partition(" with ")[0] if " with " in text else text, names)
    if not picked.positions:
        picked = resolve(text, names)
    if picked.positions:
        chosen = tuple(
            Source(id=state.last_list[i].id, name=state.last_list[i].name) for i in picked.positions
        )
        state = hear(state, text, reading, facts)
        return advance(
            state.but(slots=state.slots.having("said", sources=chosen), pending=Pending.RESOURCES), facts
        )
    before = state.slots
    state = hear(state, text, reading, facts)
    if state.slots != before or state.notes:
        return pose(state.but(pending=Pending.RESOURCES), facts)
    near = f" Did you mean {listed(picked.close, 'or')}?" if picked.close else ""
    return pose(state.noted(f"I couldn't tell which of them you mean.{near}"), facts)


def answer_details(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    update = read_update(state, text, reading, facts)
    left_to_us = reading.stance in (Stance.DELEGATE, Stance.YES) or has_phrase(
        text,
        (
            "you choose",
            "you decide",
            "you pick",
            "whatever",
            "skip",
            "up to you",
            "default",
            "defaults",
            "your choice",
            "the rest",
        ),
    )
    if left_to_us and not any(p.unclear for p in update.problems):
        state = take_in(state, update, facts)
        taken = [
            {"fields": "the information", "format": "the format", "schedule": "the time"}[s]
            for s in open_details(state)
        ]
        return to_summary(state.noted(f"I take my suggestion for {listed(taken)}." if taken else ""), facts)
    if not update.touched and not update.problems:
        return pose(
            state.noted(
                f"{say.NOT_UNDERSTOOD} For example: *status and owner, as bullets, every Monday at 8:30*.",
            ),
            facts,
        )
    state = take_in(state, update, facts)
    return pose(state, facts) if state.pending is Pending.OFFER else advance(state, facts)


def answer_offer(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    """An unclear time: our offer with a yes, else a fresh sentence."""
    plan: Schedule | Unclear | None = None
    if reading.stance in (Stance.YES, Stance.DELEGATE) and state.offer:
        plan = state.offer
    elif reading.stance is not Stance.UNSURE:
        plan = read_schedule(text, base=state.slots.schedule or state.offer, expected=True)
    if isinstance(plan, Schedule) and plan.event != "event_driven":
        zone = plan.timezone or (state.slots.schedule.timezone if state.slots.schedule else None)
        origin = "said" if plan.origin == "default" else plan.origin
        plan = plan.model_copy(update={"timezone": zone, "origin": origin})
        slots = state.slots.having(origin, schedule=plan)
        update = (
            read_slots(text, slots, known(state, facts), stance=Stance.AMEND)
            if reading.stance is not Stance.YES
            else None
        )
        state = state.but(slots=update.slots.having(origin, schedule=plan) if update else slots, offer=None)
        return advance(
            state.but(pending=Pending.DETAILS if not state.draft_agent_id else Pending.ACCEPT), facts
        )
    if isinstance(plan, Unclear):
        return pose(state.noted(plan.question).but(offer=plan.offer), facts)
    if reading.stance is Stance.NO or reading.stance is Stance.DELEGATE:
        slots = state.slots.having("said", schedule=Schedule(event="on_demand", time_said=False))
        return advance(state.noted("Then it runs whenever you ask.").but(slots=slots, offer=None), facts)
    return pose(state.noted("I'm not sure about the time. For example: *every Monday at 8:30*."), facts)


def answer_summary(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    if reading.stance is Stance.YES and reading.act in (None, Act.CREATE):
        return create(state, facts)
    if reading.stance is Stance.NO:
        return pose(
            state.noted(
                "What shall I change? For example: *add the owner*, *make it a table*, *Tuesdays at 10*.",
            ),
            facts,
        )
    if reading.act in (Act.TEST, Act.ACTIVATE) and reading.stance is Stance.YES:
        return pose(
            state.noted("First it has to be created; that comes before testing and switching on."), facts
        )
    return answer_change(state, text, reading, facts)
