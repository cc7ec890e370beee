"""One build at a time: for a further wish the first is put aside, on a yes, and taken up again. Pure."""

from __future__ import annotations

import re

from omniforge.builder import wording as say
from omniforge.builder.answers.discovery import answer_wish
from omniforge.builder.exchange import Facts, Turn
from omniforge.builder.phases import Phase, SessionStatus, Signal
from omniforge.builder.questions import pose, what_is_built
from omniforge.builder.state import ConversationState, ListItem, Parked, Pending
from omniforge.builder.understanding.references import resolve
from omniforge.builder.understanding.stance import Reading, Stance, read_stance

_ANOTHER = re.compile(
    r"\b(?:another|a second|a new|one more|a different|a separate|a further)\b (?:[\w-]+ ){0,3}?"
    r"(?:agent|report|summary|digest|briefing|automation|one)\b|"
    r"^\W*(?:now |please |can you )?(?:build|create|set up) (?:me )?(?:a|an|another) \w+",
    re.IGNORECASE,
)
_GO_ON = re.compile(
    r"\b(?:go on|continue|carry on|back to|return to|resume|pick up|finish)\b(?: with)?(?P<what>.*)$",
    re.IGNORECASE,
)
_OPEN = frozenset({Phase.DISCOVERY, Phase.OAUTH_FLOW, Phase.REQUIREMENTS, Phase.TESTING, Phase.ACTIVATION})


def may_park(state: ConversationState, text: str, facts: Facts) -> Turn | None:
    """The question whether to put the open build aside, when a message wants a further agent."""
    if state.parked and (turn := restored(state, text, facts)):
        return turn
    open_build = state.phase in _OPEN and bool(state.design.parts) and state.pending is not Pending.PARK
    if not open_build or not _ANOTHER.search(text):
        return None
    return pose(state.but(pending=Pending.PARK, waiting_wish=text, asked_before=state.pending), facts)


def answer_park(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    wish = state.waiting_wish
    kept = state.but(pending=state.asked_before, waiting_wish=None)
    if reading.stance is Stance.YES and wish:
        parked = (*state.parked, put_aside(kept))
        fresh = ConversationState(phase=Phase.IDLE, parked=parked).on(
            Signal.START, intent="create", pending=Pending.WISH, quoted=(wish,)
        )
        return answer_wish(
            fresh.noted(say.PARKED.format(title=what_is_built(state))), wish, read_stance(wish), facts
        )
    if reading.stance in (Stance.NO, Stance.DELEGATE):
        return pose(kept.noted("Then we go on with this one."), facts)
    return pose(state.noted(say.NO_YES), facts)


def put_aside(state: ConversationState) -> Parked:
    return Parked(title=what_is_built(state), state=state.but(parked=()).model_dump(mode="json"))


def restored(state: ConversationState, text: str, facts: Facts) -> Turn | None:
    """ "Go on with …" and the name of a build that was put aside; the only one there is needs no name."""
    match = _GO_ON.search(text)
    if match is None or not state.parked:
        return None
    titles = [one.title for one in state.parked]
    positions = resolve(match["what"], titles).positions or ((0,) if len(titles) == 1 else ())
    if len(positions) != 1:
        items = tuple(ListItem(id=str(at), name=title) for at, title in enumerate(titles))
        return pose(state.but(pending=Pending.PARKED, last_list=items), facts)
    return take_up(state, positions[0], facts)


def take_up(state: ConversationState, position: int, facts: Facts) -> Turn:
    chosen = state.parked[position]
    left = tuple(one for at, one in enumerate(state.parked) if at != position)
    if state.phase in _OPEN and state.design.parts:
        left = (*left, put_aside(state))
    back = ConversationState.model_validate(chosen.state).but(
        parked=left, status=SessionStatus.OPEN, quoted=(*state.quoted, chosen.title)
    )
    return pose(back.noted(f"We go on with **{chosen.title}**."), facts)


def answer_parked(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    positions = resolve(text, [item.name for item in state.last_list]).positions
    if len(positions) == 1:
        return take_up(state, positions[0], facts)
    return pose(state.but(pending=Pending.NONE), facts)
