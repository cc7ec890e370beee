"""What comes next in a conversation: a request that has to be done first, or the open question. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from omniforge.builder.defaults import MOST_ASKED, asked_as, has_places, open_details, with_defaults
from omniforge.builder.design import place_of
from omniforge.builder.draft import connections_of, differences, draft_of, finished, integration_of, known
from omniforge.builder.exchange import (
    CheckConnection,
    CreateAgent,
    DescribeResources,
    Facts,
    ListResources,
    Request,
    RewriteAgent,
    SearchLibrary,
    Turn,
)
from omniforge.builder.generation.records import sample_input
from omniforge.builder.inputs import sample_values
from omniforge.builder.outline import Brief, Create, Extract, Match, Post, Report, Update
from omniforge.builder.parts import free_key
from omniforge.builder.phases import Phase, Signal
from omniforge.builder.placing import (
    BY_ADDRESS,
    find_place,
    is_listed,
    is_typed,
    typed,
    works_somewhere,
)
from omniforge.builder.problems import unfit_words
from omniforge.builder.questions import pose
from omniforge.builder.state import ConversationState, Link, ListItem, Pending, Resource
from omniforge.builder.understanding.filters import take_filters
from omniforge.builder.understanding.shaping import Only
from omniforge.builder.understanding.slots import read_slots
from omniforge.builder.understanding.things import without_things
from omniforge.builder.wanted import filtered
from omniforge.core.errors import OmniForgeError

_SHAPE_CUE = re.compile(
    r"\b(?:with|including|includes?|show(?:ing|s)?|cover(?:ing|s)?|contain(?:ing|s)?|list(?:ing|s)?|"
    r"group(?:ed|ing)?|sort(?:ed|ing)?|order(?:ed|ing)?|rank(?:ed|ing)?)\b(?P<rest>.+)$",
    re.IGNORECASE,
)


def advance(state: ConversationState, facts: Facts) -> Turn:
    """Go on with the build: the next request, else the next open question."""
    for step in _STEPS:
        found = step(state, facts)
        if isinstance(found, Turn):
            return found
        state = found
    if state.draft_agent_id and state.built is not None:
        return _rewritten(state, facts)
    return to_summary(state, facts)


def ask_for(state: ConversationState, request: Request, progress: str) -> Turn:
    return Turn(state, request=request, progress=progress)


# --- what is wanted -------------------------------------------------------------------------------


def _wished(state: ConversationState, facts: Facts) -> ConversationState | Turn:
    if not state.design.parts:
        return pose(state.but(pending=Pending.WISH), facts)
    if state.unsure:
        return pose(state.but(pending=Pending.UNSURE), facts)
    return state


def _served(state: ConversationState, facts: Facts) -> ConversationState | Turn:
    """Every part that needs a service has one, and so has what starts the agent."""
    starts = state.outline.starts
    if starts is not None and not starts.service:
        return pose(state.but(pending=Pending.SERVICE, focus=None), facts)
    state = _briefed(state)
    for part in state.design.parts:
        if part.service is None and isinstance(part.does, (Report, Post, Create, Update)):
            return pose(state.but(pending=Pending.SERVICE, focus=part.key), facts)
    return state


def _briefed(state: ConversationState) -> ConversationState:
    """A briefing is about what starts the agent, so it reads at the same service."""
    starts = state.outline.starts
    design = state.design
    for part in design.parts:
        if (
            starts is not None
            and starts.service
            and isinstance(part.does, Brief)
            and part.service != starts.service
        ):
            key = free_key(f"{starts.service}-{part.key}", [p.key for p in design.parts])
            design = design.with_part(part.model_copy(update={"service": starts.service})).renamed(
                part.key, key
            )
    return state.but(design=design)


# --- connections ----------------------------------------------------------------------------------


def _linked(state: ConversationState, facts: Facts) -> ConversationState | Turn:
    """Every service is connected, and what it has is listed: one service after the other."""
    for service in state.outline.services:
        link = state.links.get(service)
        integration = integration_of(facts, service)
        if link is None and integration is not None and integration.sign_in == "none":
            state = state.linked(service, Link(connection_id=service, workspace=integration.title))
            link = state.links[service]
        if link is None:
            return _connected(state.but(service=service), facts)
        listable = integration is not None and bool(integration.kinds) and is_listed(state, service)
        if listable and service not in state.resources and _needs_places(state, service):
            request = ListResources(service, link.connection_id, link.sample)
            return ask_for(state.but(service=service), request, "Looking at what is there …")
    return state.on(Signal.READY_TO_ASK) if state.phase is Phase.DISCOVERY else state


def _connected(state: ConversationState, facts: Facts) -> Turn:
    service = state.service or ""
    there = connections_of(facts, service)
    if not there:
        integration = integration_of(facts, service)
        typed = integration is not None and integration.sign_in == "key"
        return pose(state.but(pending=Pending.KEY if typed else Pending.CONNECT), facts)
    if len(there) > 1:
        items = tuple(ListItem(id=c.id, name=c.workspace_name) for c in there)
        return pose(state.but(pending=Pending.WORKSPACE, last_list=items), facts)
    return ask_for(state, CheckConnection(there[0].integration, there[0].id), "Checking the connection …")


def _needs_places(state: ConversationState, service: str) -> bool:
    """Whether something at a service is still to be chosen; what a loaded agent has needs no list."""
    starts = state.outline.starts
    if starts is not None and starts.service == service and not (starts.place and starts.place.id):
        return True
    return any(
        p.service == service and isinstance(p.does, (Report, Post, Create)) and not has_places(p)
        for p in state.design.parts
    )


# --- public skills --------------------------------------------------------------------------------


def _suggested(state: ConversationState, facts: Facts) -> ConversationState | Turn:
    """Before a step is written the library is looked through; reports are made to measure anyway."""
    for part in state.design.parts:
        built = state.built is not None and state.built.outline.part(part.key) is not None
        if part.key in state.searched or built or not isinstance(part.does, (Post, Extract, Match)):
            continue
        words = f"{part.does.operation} {part.service or ''} {part.words}".strip()
        state = state.but(searched=(*state.searched, part.key), focus=part.key)
        request = SearchLibrary(words, (part.service,) if part.service else ())
        return ask_for(state, request, "Looking for something that exists already …")
    return state


# --- places ---------------------------------------------------------------------------------------


def _placed(state: ConversationState, facts: Facts) -> ConversationState | Turn:
    """What starts the agent, and every part that works somewhere, has its place."""
    starts = state.outline.starts
    if starts is not None and (starts.place is None or not starts.place.id):
        state = find_place(state, None, starts.service)
        starts = state.outline.starts
        if (
            starts is not None
            and starts.service in state.resources
            and not (starts.place and starts.place.id)
        ):
            return pose(state.but(pending=Pending.RESOURCES, focus=None, service=starts.service), facts)
    for part in state.design.parts:
        if has_places(part) or not works_somewhere(state, part):
            continue
        if is_typed(part):
            found = typed(state, part)
            if found is None:
                return pose(state.but(pending=Pending.ADDRESS, focus=part.key), facts)
            state = found
            continue
        state = find_place(state, part, part.service)
        again = state.outline.part(part.key)
        if again is not None and not has_places(again):
            return pose(state.but(pending=Pending.RESOURCES, focus=part.key, service=part.service), facts)
    return state


def described(state: ConversationState, facts: Facts) -> ConversationState | Turn:
    """The fields of every chosen place that has some are read."""
    spots = [
        (p.service, place)
        for p in state.design.parts
        for place in place_of(p)
        if isinstance(p.does, (Report, Create, Update))
    ]
    starts = state.outline.starts
    if starts is not None and starts.place is not None:
        spots.insert(0, (starts.service, starts.place))
    for service, _ in spots:
        if service is None or service in BY_ADDRESS:
            continue
        wanted = {place.id for name, place in spots if name == service}
        read = {r.id for r in state.seen_at(service) if r.fields is not None}
        unread = tuple(sorted(wanted - read - {""}))
        if unread:
            link = state.links.get(service) or Link()
            request = DescribeResources(service, link.connection_id, unread, link.sample)
            return ask_for(state, request, "Reading which information there is …")
    return state


# --- details --------------------------------------------------------------------------------------


def _recalled(state: ConversationState, facts: Facts) -> ConversationState | Turn:
    """Words about the report that were said before its fields were known."""
    part = state.part
    if part is None or not isinstance(part.does, (Report, Brief)) or not state.fields:
        return state.but(heard=()) if state.design.parts and part is None else state
    names = [r.name for found in state.resources.values() for r in found]
    for message in state.heard:
        match = _SHAPE_CUE.search(message)
        if match is None:
            continue
        text = match["rest"]
        for name in names:
            text = re.sub(re.escape(name), ",", text, flags=re.IGNORECASE)
        text = take_filters(without_things(text, part.service), state.fields, loose=True).text
        update = read_slots(text, state.slots, known(state, facts))
        kept = {
            s: getattr(update.slots, s) for s in update.touched if s in ("fields", "group", "order", "only")
        }
        if kept:
            state = state.but(design=state.design.taking(part.key, state.slots.having("said", **kept)))
    return state.but(heard=())


def _detailed(state: ConversationState, facts: Facts) -> ConversationState | Turn:
    """The questions still open, part by part, at most twice; then what was proposed, for the summary to
    show."""
    for part in state.design.parts:
        still = open_details(state, part)
        often = max((state.asked.get(asked_as(part, slot), 0) for slot in still), default=0)
        if not still or not (often == 0 or (often < MOST_ASKED and set(still) - {"format"})):
            continue
        asked = {(name := asked_as(part, slot)): state.asked.get(name, 0) + 1 for slot in still}
        state = state.but(asked={**state.asked, **asked}, focus=part.key, pending=_question_for(still))
        return pose(state, facts)
    return state


def _timed(state: ConversationState, facts: Facts) -> ConversationState | Turn:
    """A time that was said and is not clear is asked about before anything is suggested in its place."""
    unclear = state.unclear
    if unclear is None:
        return state
    state = state.but(unclear=None)
    if state.slots.said("schedule"):
        return state
    return pose(state.but(pending=Pending.OFFER, offer=unclear.offer).noted(unclear.question), facts)


def _question_for(still: list[str]) -> Pending:
    match still[0]:
        case "content":
            return Pending.CONTENT
        case "url":
            return Pending.ADDRESS
        case "text" | "title" | "values":
            return Pending.VALUES
        case _:
            return Pending.DETAILS


_STEPS: tuple[Callable[[ConversationState, Facts], ConversationState | Turn], ...] = (
    _wished,
    _served,
    _linked,
    _suggested,
    _placed,
    described,
    filtered,
    _recalled,
    _timed,
    _detailed,
)


# --- writing it down ------------------------------------------------------------------------------


def to_summary(state: ConversationState, facts: Facts) -> Turn:
    filled = state.but(design=with_defaults(state), pending=Pending.SUMMARY, focus=None)
    return pose(filled, facts)


def places_known(state: ConversationState) -> tuple[Resource, ...]:
    """Places whose fields were read, so that sample data can take their shape, with the rules that some
    sample entry has to pass."""
    rules: dict[str, tuple[Only, ...]] = {}
    for part in state.design.parts:
        if isinstance(part.does, Report):
            rules |= {place.id: part.does.only for place in place_of(part)}
    read = (r for found in state.resources.values() for r in found if r.fields is not None)
    return tuple(r.model_copy(update={"only": rules.get(r.id, ())}) for r in read)


def given(state: ConversationState) -> dict[str, Any] | None:
    """What it is tried on before anybody gave something: sample documents, for what works on documents."""
    return state.example or {**sample_values(state.outline), **sample_input(state.outline)} or None


def create(state: ConversationState, facts: Facts) -> Turn:
    if state.draft_agent_id:
        if differences(state, facts):
            return _rewritten(state, facts)
        return pose(state.on(Signal.CONFIRMED).on(Signal.DRAFT_READY, pending=Pending.TEST), facts)
    state = state.but(design=finished(with_defaults(state)), focus=None)
    try:
        draft = draft_of(state, facts)
    except OmniForgeError as error:
        return _unfit(state, error, facts)
    state = state.on(Signal.CONFIRMED, pending=Pending.NONE)
    request = CreateAgent(draft, state.design, state.connection_ids, places_known(state), given(state))
    return ask_for(state, request, "Writing the agent …")


def _unfit(state: ConversationState, error: OmniForgeError, facts: Facts) -> Turn:
    """What was understood cannot be written down: say it, and leave the person where it can be changed."""
    note = unfit_words(error.code, [str(one.get("field")) for one in error.details.get("fields", ())], state)
    return pose(state.noted(note), facts)


def _rewritten(state: ConversationState, facts: Facts) -> Turn:
    """A change of a draft that exists: write only when something is different."""
    state = state.but(design=with_defaults(state))
    changes = differences(state, facts)
    if not changes or state.draft_agent_id is None:
        return pose(state, facts)
    try:
        draft = draft_of(state, facts)
    except OmniForgeError as error:
        return _unfit(state.but(design=state.built or state.design), error, facts)
    if state.phase is Phase.COMPLETE:
        state = state.on(Signal.EDIT, intent="edit")
    elif state.phase is Phase.ACTIVATION:
        state = state.on(Signal.CHANGE)
    state = state.on(Signal.REWRITE, pending=Pending.NONE)
    request = RewriteAgent(
        state.draft_agent_id or "",
        draft,
        state.design,
        state.connection_ids,
        tuple(f"{a}: {b} → {c}" for a, b, c in changes),
        places_known(state),
        given(state),
    )
    return ask_for(state, request, "Changing the agent …")
