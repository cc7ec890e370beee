"""Answers from the first wish to a service that is connected. Pure."""

from __future__ import annotations

from omniforge.builder import wording as say
from omniforge.builder.answers.intake import hear, with_parts
from omniforge.builder.answers.wishes import with_start, with_wish
from omniforge.builder.changing import begin_change, is_edit
from omniforge.builder.design import Used
from omniforge.builder.draft import connections_of, integration_of, readable
from omniforge.builder.exchange import CheckConnection, Facts, StartSignIn, Turn
from omniforge.builder.outline import Happening, Part, Report
from omniforge.builder.parts import free_key, without_quotes
from omniforge.builder.phases import Signal
from omniforge.builder.progress import advance, ask_for
from omniforge.builder.questions import pose
from omniforge.builder.state import ConversationState, Link, Pending
from omniforge.builder.understanding import intent
from omniforge.builder.understanding.references import resolve
from omniforge.builder.understanding.stance import Act, Reading, Stance
from omniforge.builder.understanding.text import has_phrase

CLAIMS = (
    "done",
    "connected",
    "finished",
    "did it",
    "did everything",
    "signed in",
    "allowed",
    "ready",
    "complete",
)


def answer_wish(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    """The first sentence of what shall be done; it may change an agent that exists instead."""
    if is_edit(text, facts) and not state.design.parts and not intent.is_new_wish(text):
        return begin_change(state, text, facts)
    wish = intent.read_wish(text)
    service = _service_named(text, facts)
    agreed = reading.stance in (Stance.YES, Stance.DELEGATE) and state.service is not None
    goal = wish.goal or (state.design.goal or "report" if agreed else None)
    if goal is None and wish.pain and service:
        goal = f"{_often(text)}report"
    service = service or state.service
    wished = with_wish(state, text, facts, goal=goal or state.design.goal, service=service)
    if not wished.design.parts:
        return _no_wish(state, text, reading, facts, service if service != state.service else None)
    design = wished.design.having("said", goal=goal or wished.design.goal or "agent")
    design = design.having("said", subject=wish.subject) if wish.subject else design
    state = hear(
        wished.but(design=design, intent="create", service=None), without_quotes(text), reading, facts
    )
    if state.pending is Pending.OFFER:
        state = state.but(pending=Pending.WISH)
    return advance(state, facts)


def _no_wish(
    state: ConversationState, text: str, reading: Reading, facts: Facts, service: str | None
) -> Turn:
    """Nothing to build was said yet: what it tells is kept, and the wish asked for."""
    if service is not None:
        heard = hear(state.but(service=service, intent="create"), text, reading, facts)
        return pose(heard.but(pending=Pending.WISH, service=service), facts)
    state = hear(state, text, reading, facts) if reading.stance is Stance.NONE else state
    greeting = "" if state.notes else say.NOT_UNDERSTOOD if reading.stance is not Stance.NONE else say.HELLO
    return pose(state.noted(greeting).but(pending=Pending.WISH), facts)


def _often(text: str) -> str:
    wish = intent.read_wish(f"{text} report").goal or "report"
    return wish.removesuffix("report")


def _service_named(text: str, facts: Facts) -> str | None:
    for integration in readable(facts):
        if has_phrase(text, (integration.name, integration.title)):
            return integration.name
    return None


def _any_service(text: str, facts: Facts) -> str | None:
    named = [i for i in facts.integrations if has_phrase(text, (i.name, i.title))]
    return named[0].name if len(named) == 1 else None


def answer_service(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    """Which service a part, or what starts the agent, is about."""
    part = state.outline.part(state.focus or "")
    named = _any_service(text, facts)
    offered = _first_offered(state, facts)
    if named is None and reading.stance in (Stance.YES, Stance.DELEGATE):
        named = offered
    if named is None:
        if reading.stance is Stance.NO:
            return pose(state.noted("Other services can't be used here yet."), facts)
        return pose(hear(state, text, reading, facts), facts)
    if part is None:
        return advance(hear(_started_at(state, named, facts), text, reading, facts), facts)
    other = free_key(f"{named}-{part.key}", [p.key for p in state.design.parts])
    design = state.design.with_part(part.model_copy(update={"service": named})).renamed(part.key, other)
    return advance(hear(state.but(design=design, focus=None), text, reading, facts), facts)


def _first_offered(state: ConversationState, facts: Facts) -> str | None:
    pose_text = pose(state, facts).reply
    title = pose_text.actions[0].removeprefix("Yes, ") if pose_text and pose_text.actions else ""
    return next((i.name for i in facts.integrations if i.title == title), None)


def _started_at(state: ConversationState, service: str, facts: Facts) -> ConversationState:
    """What starts it happens at this service: as it was said, read with the service named."""
    said = " ".join([*state.heard, *(part.words for part in state.design.parts)])
    told = [(i.name, i.words) for i in facts.integrations if i.name == service]
    found = with_start(
        state.design,
        said,
        Facts(facts.now, integrations=tuple(i for i in facts.integrations if i.name == service)),
    )
    starts = found.outline.starts or Happening()
    if not starts.service and told:
        found = with_start(state.design, f"when something new in {service}", facts)
    return state.but(design=found)


def _left_out(state: ConversationState, words: str) -> ConversationState:
    """Without the step that these words asked for, where something else is left to be done."""
    for part in state.design.parts:
        if part.words and part.words.strip() == words.strip() and not isinstance(part.does, Report):
            state = state.but(design=state.design.without(part.key))
    return state


def answer_unsure(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    """A part of the wish that no rule understood: said anew, or left out."""
    rest = state.but(unsure=state.unsure[1:])
    if reading.stance in (Stance.NO, Stance.DELEGATE, Stance.YES) or has_phrase(
        text, ("leave it out", "skip", "forget it")
    ):
        return advance(
            _left_out(rest, state.unsure[0] if state.unsure else "").noted("I leave it out."), facts
        )
    grown = with_parts(rest, text, reading, facts)
    if grown is None:
        return advance(rest.noted("I can't do that one, so I leave it out."), facts)
    return advance(grown, facts)


# --- connecting -----------------------------------------------------------------------------------


def answer_connect(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    service = state.service or ""
    claims = has_phrase(text, ("already connected", "connected it", "have connected", "connected already"))
    if reading.stance in (Stance.YES, Stance.DELEGATE) or reading.act is Act.CONNECT or claims:
        if claims and not connections_of(facts, service):
            return ask_for(state, CheckConnection(service), "Checking the connection …")
        if there := connections_of(facts, service):
            if len(there) == 1 and service in state.links:  # sample data stood in for it until now
                return ask_for(state, CheckConnection(service, there[0].id), "Checking the connection …")
            return advance(state, facts)
        return ask_for(state, StartSignIn(service), "Preparing the sign-in …")
    if reading.stance is Stance.NO:
        return pose(state.but(pending=Pending.SAMPLE), facts)
    if reading.stance is Stance.UNSURE:
        return pose(state.noted(say.NO_YES), facts)
    if wish := intent.read_wish(text).goal:
        state = state.but(design=state.design.having("said", goal=wish))
    heard = hear(state, text, reading, facts)
    understood = heard.design != state.design or heard.notes
    return pose(heard if understood else heard.noted(say.NO_YES), facts)


def answer_sign_in(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    service = state.pending_oauth or state.service or ""
    arrived = bool(connections_of(facts, service))  # then "try again" means looking, not signing in
    if (reading.act is Act.RETRY and not arrived) or has_phrase(
        text, ("new link", "new address", "expired", "another link", "link doesn't work")
    ):
        return ask_for(state, StartSignIn(service), "Preparing the sign-in …")
    if reading.stance is not Stance.NO and (
        reading.stance is Stance.YES
        or reading.act is Act.CONNECT
        or has_phrase(text, CLAIMS)  # looking costs nothing, so a hedged claim is checked too
        or arrived
    ):
        heard = hear(state, text, reading, facts)
        return ask_for(heard, CheckConnection(service), "Checking the connection …")
    if reading.stance is Stance.NO:
        if has_phrase(text, ("not yet", "yet", "not connected", "still", "didn't", "not done")):
            return pose(state.noted("No hurry; I'll wait."), facts)
        return pose(state.but(pending=Pending.SAMPLE), facts)
    return pose(hear(state, text, reading, facts), facts)


def answer_key(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    """A service that is connected by typing in its data, elsewhere."""
    service = state.service or ""
    if has_phrase(text, ("sample data", "sample", "without it")) or reading.stance is Stance.NO:
        return _on_samples(state, facts)
    if reading.stance is Stance.YES or has_phrase(text, CLAIMS) or connections_of(facts, service):
        if connections_of(facts, service):
            return advance(state, facts)
        title = next((i.title for i in facts.integrations if i.name == service), service)
        return pose(state.noted(f"{title} isn't connected yet."), facts)
    return pose(hear(state, text, reading, facts), facts)


def answer_sample(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    if reading.act is Act.CONNECT:
        return ask_for(state, StartSignIn(state.service or ""), "Preparing the sign-in …")
    if reading.stance in (Stance.YES, Stance.DELEGATE) or has_phrase(text, ("sample data", "sample")):
        return _on_samples(state, facts)
    if reading.stance is Stance.NO:
        return pose(
            state.noted("All right, nothing is connected and nothing is built.").but(pending=Pending.CONNECT),
            facts,
        )
    return pose(hear(state, text, reading, facts), facts)


def _on_samples(state: ConversationState, facts: Facts) -> Turn:
    service = state.service or ""
    state = state.on(Signal.DECLINED, pending_oauth=None, oauth_url=None).linked(service, Link(sample=True))
    integration = integration_of(facts, service)
    if integration is None or not integration.kinds:
        state = state.noted(
            f"We go on with **sample data** for {integration.title if integration else service}."
        )
    return advance(state, facts)


def answer_workspace(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    names = [item.name for item in state.last_list]
    positions = resolve(text, names).positions
    if reading.stance in (Stance.DELEGATE, Stance.YES):
        positions = (0,)
    if len(positions) != 1:
        return pose(state.noted("Please name one of them."), facts)
    return ask_for(
        state,
        CheckConnection(state.service or "", state.last_list[positions[0]].id),
        "Checking the connection …",
    )


# --- a skill that exists --------------------------------------------------------------------------


def answer_library(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    """A: the public skill does the part; B: one of its own is written."""
    found = state.suggestion
    part = state.outline.part(found.part) if found else None
    own = (
        reading.choice == 2 or reading.stance is Stance.NO or has_phrase(text, ("own", "my own", "make one"))
    )
    taken = (
        reading.choice == 1
        or reading.stance in (Stance.YES, Stance.DELEGATE)
        or has_phrase(text, ("use it", "use that", "the public one"))
    )
    if found is None or part is None or (own and not taken):
        return advance(state.but(suggestion=None), facts)
    if not taken and not has_phrase(text, (found.title,)):
        return pose(state.noted("Please say A or B."), facts)
    used = Used(skill=found.skill, title=found.title, author=found.author, version=found.version)
    return advance(_using(state, part, used), facts)


def _using(state: ConversationState, part: Part, used: Used) -> ConversationState:
    key = free_key(used.skill, [p.key for p in state.design.parts])
    design = state.design.renamed(part.key, key)
    design = design.model_copy(update={"uses": {**design.uses, key: used}})
    return state.but(design=design, suggestion=None, searched=(*state.searched, key), focus=None)
