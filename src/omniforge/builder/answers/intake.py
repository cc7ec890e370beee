"""What a message says about the agent, taken into the state. Pure."""

from __future__ import annotations

import re

from omniforge.builder import wording as say
from omniforge.builder.answers.wishes import added_parts, marked, with_start
from omniforge.builder.assistant.meeting import met
from omniforge.builder.defaults import with_defaults
from omniforge.builder.design import place_of
from omniforge.builder.draft import integration_of, known, title_of
from omniforge.builder.exchange import Facts, Turn
from omniforge.builder.outline import Part, Post, Report
from omniforge.builder.problems import link_fields, problem_words
from omniforge.builder.progress import advance
from omniforge.builder.questions import pose
from omniforge.builder.rows import zone_of
from omniforge.builder.state import ConversationState, Pending
from omniforge.builder.understanding.slots import Slots, Update, read_slots
from omniforge.builder.understanding.stance import Reading, Stance
from omniforge.builder.understanding.text import has_phrase

MOST_HEARD = 5

EXPECTED: dict[Pending, tuple[str, ...]] = {
    Pending.DETAILS: ("fields", "format", "schedule", "group", "window"),
    Pending.OFFER: ("schedule",),
}
_ENDS = re.compile(
    r"\b(?:no|don't|do not|stop|remove|without|drop|not|never|forget)\b(?: \w+){0,3}? "
    r"(?:post\w*|send\w*|messag\w*|slack|e-?mail\w*|linear|github|notion)\b",
    re.IGNORECASE,
)


def read_update(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Update:
    there = known(state, facts)
    expected = EXPECTED.get(state.pending, ())
    update = read_slots(text, state.slots, there, stance=reading.stance, expected=expected)
    return met(update, facts.proposal, state.slots, there, zone_of(state, facts))


def take_in(state: ConversationState, update: Update, facts: Facts, text: str = "") -> ConversationState:
    """The state with an update taken in; problems become notes, an unclear time becomes the open question."""
    part = state.part
    design = state.design.taking(part.key if part else None, update.slots)
    if "schedule" in update.touched:
        if not design.reads_by_events:
            design = design.model_copy(update={"outline": design.outline.model_copy(update={"starts": None})})
        elif design.outline.starts is None:
            design = with_start(design, text, facts)
    title = title_of(state, facts)
    state = state.but(design=design)
    for problem in update.problems:
        state = state.noted(problem_words(problem, state, title))
        if problem.kind == "service":
            state = state.but(offered=tuple(f"Add {name}" for name in link_fields(state)[:2]))
        if problem.unclear:
            state = state.but(offer=problem.unclear.offer, pending=Pending.OFFER)
    return state


def hear(state: ConversationState, text: str, reading: Reading, facts: Facts) -> ConversationState:
    """What can be used before the fields are known; the rest is kept for later."""
    update = read_update(state, text, reading, facts)
    problems = tuple(p for p in update.problems if p.kind not in ("schedule", "field"))
    unclear = next((p.unclear for p in update.problems if p.unclear), None)
    if unclear is not None or "schedule" in update.touched:
        state = state.but(unclear=unclear)
    slots = update.slots
    plan = slots.schedule
    if "schedule" in update.touched and plan and plan.event == "scheduled" and not plan.time_said:
        slots = slots.having("default", schedule=plan.model_copy(update={"origin": "default", "notes": ()}))
    state = take_in(state, Update(slots, update.touched, problems), facts, text)
    return state.but(heard=(*state.heard, text)[-MOST_HEARD:])


def answer_change(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    """A message taken as information: merged, then on to whatever is next."""
    grown = with_parts(state, text, reading, facts)
    if grown is not None:
        rest = grown
        update = _wide_only(state, read_update(state, text, reading, facts))
        return advance(take_in(rest, update, facts, text), facts)
    update = read_update(state, text, reading, facts)
    state = take_in(state, update, facts, text)
    if state.pending is Pending.OFFER:
        return pose(state, facts)
    if not update.touched and not update.problems:
        note = say.NO_YES if reading.stance is Stance.UNSURE else say.NOT_UNDERSTOOD
        return pose(state.noted(note), facts)
    if not update.touched:
        return pose(state, facts)
    if state.draft_agent_id:
        return advance(state, facts)
    if state.pending is Pending.SUMMARY and _is_described(state):
        return pose(state.but(design=with_defaults(state)), facts, revised=True)
    return advance(state, facts)


def _is_described(state: ConversationState) -> bool:
    described = {r.id for found in state.resources.values() for r in found if r.fields is not None}
    reports = [part for part in state.design.parts if isinstance(part.does, Report)]
    starts = state.outline.starts
    started = starts is None or (starts.place is not None and bool(starts.place.id))
    return started and all(place.id in described for part in reports for place in place_of(part))


def _wide_only(state: ConversationState, update: Update) -> Update:
    """Of a sentence that adds a step only what holds for the whole agent; its other words are the step's."""
    touched = tuple(slot for slot in update.touched if slot in ("schedule", "name"))
    kept = {slot: getattr(update.slots, slot) for slot in touched}
    slots: Slots = state.slots.having("said", **kept) if kept else state.slots
    problems = tuple(p for p in update.problems if p.kind == "service")
    return Update(slots, touched, problems)


# --- steps that come and go -----------------------------------------------------------------------


def with_parts(
    state: ConversationState, text: str, reading: Reading, facts: Facts
) -> ConversationState | None:
    """The state with the steps that a sentence adds, moves to another place, or takes away; None when it
    speaks of none."""
    if not state.design.parts:
        return None
    if (gone := _ended(state, text)) is not None:
        return state.but(design=state.design.without(gone.key), focus=None)
    added = added_parts(state, text, facts)
    if not added:
        return None
    design = state.design
    for part in added:
        twin = _twin(state, part, text, reading)
        if twin is not None and (places := place_of(part)):
            design = design.doing(twin.key, "said", place=places[0])
        elif twin is None:
            design = design.with_part(part)
    return None if design == state.design else state.but(design=marked(design), focus=None)


def _ended(state: ConversationState, text: str) -> Part | None:
    """The step outside that shall no longer be done."""
    if not _ENDS.search(text) or has_phrase(text, ("instead",)):
        return None
    outward = [p for p in state.design.parts if p.service and not isinstance(p.does, Report)]
    named = [p for p in outward if p.service and has_phrase(text, (p.service,))]
    posts = [p for p in outward if isinstance(p.does, Post)]
    found = named or posts
    return found[0] if len(found) == 1 and len(state.design.parts) > 1 else None


def _twin(state: ConversationState, part: Part, text: str, reading: Reading) -> Part | None:
    """A step of the same kind at the same service, where the sentence moves it instead of adding one."""
    if (
        has_phrase(text, ("also", "too", "as well", "additionally", "and"))
        and reading.stance is not Stance.REPLACE
    ):
        same = [p for p in state.design.parts if p.service == part.service and place_of(p) == place_of(part)]
        return next((p for p in same if type(p.does) is type(part.does)), None) if place_of(part) else None
    alike = (p for p in state.design.parts if p.service == part.service and type(p.does) is type(part.does))
    return next(alike, None)


def is_here(name: str, facts: Facts) -> bool:
    return integration_of(facts, name) is not None
