"""Answers from the first wish to a service that is connected. Pure."""

from __future__ import annotations

from omniforge.builder import wording as say
from omniforge.builder.answers.intake import hear
from omniforge.builder.draft import connections_of, readable
from omniforge.builder.exchange import CheckConnection, Facts, ListResources, StartSignIn, Turn
from omniforge.builder.phases import Signal
from omniforge.builder.progress import advance, ask_for
from omniforge.builder.questions import pose
from omniforge.builder.state import ConversationState, Pending
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
    wish = intent.read_wish(text)
    service = _service_named(text, facts)
    agreed = reading.stance in (Stance.YES, Stance.DELEGATE) and state.slots.service is not None
    goal = wish.goal or (state.slots.goal or "report" if agreed else None)
    if goal is None and service is None and not wish.pain and state.slots.goal is None:
        state = hear(state, text, reading, facts) if reading.stance is Stance.NONE else state
        greeting = (
            "" if state.notes else say.NOT_UNDERSTOOD if reading.stance is not Stance.NONE else say.HELLO
        )
        return pose(state.noted(greeting), facts)
    slots = state.slots
    goal = goal or slots.goal
    if goal is None and wish.pain and service:
        goal = f"{_often(text)}report"
    slots = slots.having("said", goal=goal) if goal else slots
    slots = slots.having("said", subject=wish.subject) if wish.subject else slots
    slots = slots.having("said", service=service) if service else slots
    state = hear(state.but(slots=slots, intent="create"), text, reading, facts)
    if slots.goal is None:
        return pose(state.but(pending=Pending.WISH), facts)
    if state.pending is Pending.OFFER:
        state = state.but(pending=Pending.WISH)
    return advance(state, facts)


def _often(text: str) -> str:
    wish = intent.read_wish(f"{text} report").goal or "report"
    return wish.removesuffix("report")


def _service_named(text: str, facts: Facts) -> str | None:
    for integration in readable(facts):
        if has_phrase(text, (integration.name, integration.title)):
            return integration.name
    return None


def answer_service(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    named = _service_named(text, facts)
    first = readable(facts)
    if named is None and reading.stance in (Stance.YES, Stance.DELEGATE) and first:
        named = first[0].name
    if named:
        state = state.but(slots=state.slots.having("said", service=named))
        return advance(hear(state, text, reading, facts), facts)
    if reading.stance is Stance.NO:
        return pose(state.noted("Other services can't be read yet."), facts)
    return pose(hear(state, text, reading, facts), facts)


def answer_connect(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    if reading.stance in (Stance.YES, Stance.DELEGATE):
        if connections_of(state, facts):
            return advance(state, facts)
        return ask_for(state, StartSignIn(state.slots.service or ""), "Preparing the sign-in …")
    if reading.stance is Stance.NO:
        return pose(state.but(pending=Pending.SAMPLE), facts)
    if reading.stance is Stance.UNSURE:
        return pose(state.noted(say.NO_YES), facts)
    if wish := intent.read_wish(text).goal:
        state = state.but(slots=state.slots.having("said", goal=wish))
    heard = hear(state, text, reading, facts)
    understood = heard.slots != state.slots or heard.notes
    return pose(heard if understood else heard.noted(say.NO_YES), facts)


def answer_sign_in(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    service = state.slots.service or ""
    arrived = bool(connections_of(state, facts))  # then "try again" means looking, not signing in
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


def answer_sample(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    if reading.act is Act.CONNECT:
        return ask_for(state, StartSignIn(state.slots.service or ""), "Preparing the sign-in …")
    if reading.stance in (Stance.YES, Stance.DELEGATE) or has_phrase(text, ("sample data", "sample")):
        state = state.on(Signal.DECLINED, sample=True, pending_oauth=None, oauth_url=None)
        return ask_for(
            state, ListResources(state.slots.service or "", None, True), "Getting the sample data …"
        )
    if reading.stance is Stance.NO:
        return pose(
            state.noted("All right, nothing is connected and nothing is built.").but(pending=Pending.CONNECT),
            facts,
        )
    return pose(hear(state, text, reading, facts), facts)


def answer_workspace(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    names = [item.name for item in state.last_list]
    positions = resolve(text, names).positions
    if reading.stance in (Stance.DELEGATE, Stance.YES):
        positions = (0,)
    if len(positions) != 1:
        return pose(state.noted("Please name one of them."), facts)
    return ask_for(
        state,
        CheckConnection(state.slots.service or "", state.last_list[positions[0]].id),
        "Checking the connection …",
    )
