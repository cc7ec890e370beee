"""What comes next in a conversation: a request that has to be done first, or the open question. Pure."""

from __future__ import annotations

import re

from omniforge.builder.defaults import open_details, with_defaults
from omniforge.builder.draft import connections_of, differences, draft_of, known
from omniforge.builder.exchange import (
    CheckConnection,
    CreateAgent,
    DescribeResources,
    Facts,
    ListResources,
    Request,
    RewriteAgent,
    Turn,
)
from omniforge.builder.generator import derived_skill_name
from omniforge.builder.phases import Phase, Signal
from omniforge.builder.questions import pose
from omniforge.builder.state import ConversationState, ListItem, Pending
from omniforge.builder.understanding.slots import read_slots

MOST_ASKED = 2

_SHAPE_CUE = re.compile(
    r"\b(?:with|including|includes?|show(?:ing|s)?|cover(?:ing|s)?|contain(?:ing|s)?|list(?:ing|s)?|"
    r"grouped|sorted)\b(?P<rest>.+)$",
    re.IGNORECASE,
)


def advance(state: ConversationState, facts: Facts) -> Turn:
    """Go on with the build: the next request, else the next open question."""
    slots = state.slots
    if slots.goal is None:
        return pose(state.but(pending=Pending.WISH), facts)
    if slots.service is None:
        return pose(state.but(pending=Pending.SERVICE), facts)
    if not state.sample and state.connection_id is None:
        return _connected(state, facts)
    if not state.resources:
        return ask_for(
            state,
            ListResources(slots.service, state.connection_id, state.sample),
            "Looking at what is there …",
        )
    if not slots.sources:
        return pose(state.but(pending=Pending.RESOURCES), facts)
    chosen = {source.id for source in slots.sources}
    undescribed = tuple(r.id for r in state.resources if r.id in chosen and r.fields is None)
    if undescribed:
        request = DescribeResources(slots.service, state.connection_id, undescribed, state.sample)
        return ask_for(state, request, "Reading which information there is …")
    state = _use_heard(state, facts)
    if state.draft_agent_id and state.built is not None:
        return _rewritten(state, facts)
    return _details(state, facts)


def ask_for(state: ConversationState, request: Request, progress: str) -> Turn:
    return Turn(state, request=request, progress=progress)


def _connected(state: ConversationState, facts: Facts) -> Turn:
    there = connections_of(state, facts)
    if not there:
        return pose(state.but(pending=Pending.CONNECT), facts)
    if len(there) > 1:
        items = tuple(ListItem(id=c.id, name=c.workspace_name) for c in there)
        return pose(state.but(pending=Pending.WORKSPACE, last_list=items), facts)
    return ask_for(state, CheckConnection(there[0].integration, there[0].id), "Checking the connection …")


def _use_heard(state: ConversationState, facts: Facts) -> ConversationState:
    """Words about the report that were said before its fields were known."""
    for message in state.heard:
        match = _SHAPE_CUE.search(message)
        if match is None:
            continue
        text = match["rest"]
        for resource in state.resources:
            text = re.sub(re.escape(resource.name), ",", text, flags=re.IGNORECASE)
        update = read_slots(text, state.slots, known(state, facts))
        kept = {
            slot: getattr(update.slots, slot)
            for slot in update.touched
            if slot in ("fields", "group", "order", "only")
        }
        state = state.but(slots=state.slots.having("said", **kept)) if kept else state
    return state.but(heard=())


def _details(state: ConversationState, facts: Facts) -> Turn:
    """The questions still open, at most twice; then what was proposed, for the summary to show."""
    still = open_details(state)
    often = max((state.asked.get(slot, 0) for slot in still), default=0)
    if still and (often == 0 or (often < MOST_ASKED and set(still) - {"format"})):
        asked = {**state.asked, **{slot: state.asked.get(slot, 0) + 1 for slot in still}}
        return pose(state.but(pending=Pending.DETAILS, asked=asked), facts)
    return to_summary(state, facts)


def to_summary(state: ConversationState, facts: Facts) -> Turn:
    filled = state.but(slots=with_defaults(state), pending=Pending.SUMMARY)
    return pose(filled, facts)


def create(state: ConversationState, facts: Facts) -> Turn:
    if state.draft_agent_id:
        if differences(state, facts):
            return _rewritten(state, facts)
        return pose(state.on(Signal.CONFIRMED).on(Signal.DRAFT_READY, pending=Pending.TEST), facts)
    state = state.but(slots=with_defaults(state)).on(Signal.CONFIRMED, pending=Pending.NONE)
    state = state.but(draft_skill=derived_skill_name(state.slots))
    return ask_for(state, CreateAgent(draft_of(state, facts), state.connection_id), "Writing the agent …")


def _rewritten(state: ConversationState, facts: Facts) -> Turn:
    """A change of a draft that exists: write only when something is different."""
    changes = differences(state, facts)
    if not changes or state.draft_agent_id is None:
        return pose(state, facts)
    if state.phase is Phase.COMPLETE:
        state = state.on(Signal.EDIT, intent="edit")
    elif state.phase is Phase.ACTIVATION:
        state = state.on(Signal.CHANGE)
    state = state.on(Signal.REWRITE, pending=Pending.NONE)
    request = RewriteAgent(
        state.draft_agent_id or "", draft_of(state, facts), tuple(f"{a}: {b} → {c}" for a, b, c in changes)
    )
    return ask_for(state, request, "Changing the agent …")
