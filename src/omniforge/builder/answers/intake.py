"""What a message says about the agent, taken into the state. Pure."""

from __future__ import annotations

from omniforge.builder import wording as say
from omniforge.builder.defaults import with_defaults
from omniforge.builder.draft import known, title_of
from omniforge.builder.exchange import Facts, Turn
from omniforge.builder.problems import problem_words
from omniforge.builder.progress import advance
from omniforge.builder.questions import pose
from omniforge.builder.state import ConversationState, Pending
from omniforge.builder.understanding.slots import Update, read_slots
from omniforge.builder.understanding.stance import Reading, Stance

MOST_HEARD = 5

EXPECTED: dict[Pending, tuple[str, ...]] = {
    Pending.DETAILS: ("fields", "format", "schedule", "group", "window"),
    Pending.OFFER: ("schedule",),
}


def read_update(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Update:
    return read_slots(
        text,
        state.slots,
        known(state, facts),
        stance=reading.stance,
        expected=EXPECTED.get(state.pending, ()),
    )


def take_in(state: ConversationState, update: Update, facts: Facts) -> ConversationState:
    """The state with an update taken in; problems become notes, an unclear time becomes the open question."""
    title = title_of(state, facts)
    state = state.but(slots=update.slots)
    for problem in update.problems:
        state = state.noted(problem_words(problem, state, title))
        if problem.unclear:
            state = state.but(offer=problem.unclear.offer, pending=Pending.OFFER)
    return state


def hear(state: ConversationState, text: str, reading: Reading, facts: Facts) -> ConversationState:
    """What can be used before the fields are known; the rest is kept for later."""
    update = read_update(state, text, reading, facts)
    problems = tuple(p for p in update.problems if p.kind not in ("schedule", "field"))
    slots = update.slots
    plan = slots.schedule
    if "schedule" in update.touched and plan and plan.event == "scheduled" and not plan.time_said:
        slots = slots.having("default", schedule=plan.model_copy(update={"origin": "default", "notes": ()}))
    state = take_in(state, Update(slots, update.touched, problems), facts)
    return state.but(heard=(*state.heard, text)[-MOST_HEARD:])


def answer_change(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    """A message taken as information: merged, then on to whatever is next."""
    update = read_update(state, text, reading, facts)
    state = take_in(state, update, facts)
    if state.pending is Pending.OFFER:
        return pose(state, facts)
    if not update.touched and not update.problems:
        note = say.NO_YES if reading.stance is Stance.UNSURE else say.NOT_UNDERSTOOD
        return pose(state.noted(note), facts)
    if not update.touched:
        return pose(state, facts)
    if state.draft_agent_id:
        return advance(state, facts)
    if state.pending is Pending.SUMMARY:
        described = {r.id for r in state.resources if r.fields is not None}
        if all(source.id in described for source in state.slots.sources):
            return pose(state.but(slots=with_defaults(state)), facts, revised=True)
    return advance(state, facts)
