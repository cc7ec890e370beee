"""The conversation, as two pure functions: `respond` to a message, `resume` after a request was done."""

from __future__ import annotations

from typing import Any

from omniforge.builder import telling
from omniforge.builder import wording as say
from omniforge.builder.answers import ANSWERS
from omniforge.builder.answers.intake import read_update
from omniforge.builder.answers.parking import may_park, restored
from omniforge.builder.answers.reshaping import reshaped
from omniforge.builder.answers.testing import start_test
from omniforge.builder.assistant.proposal import agreed_stance
from omniforge.builder.draft import summary_rows, title_of
from omniforge.builder.exchange import (
    Facts,
    RunAgent,
    Turn,
)
from omniforge.builder.inputs import read_example
from omniforge.builder.outcomes import resume
from omniforge.builder.phases import Phase, SessionStatus, Signal
from omniforge.builder.progress import advance, ask_for
from omniforge.builder.questions import pose
from omniforge.builder.replies import make_reply, texts_of
from omniforge.builder.rows import bullets, zone_of
from omniforge.builder.state import ConversationState, Pending
from omniforge.builder.understanding import intent
from omniforge.builder.understanding.fields import find_fields
from omniforge.builder.understanding.intent import Command
from omniforge.builder.understanding.stance import Act, Reading, Stance, read_stance
from omniforge.builder.understanding.text import LONGEST_MESSAGE, normalise
from omniforge.builder.upkeep import respond as upkeep


def begin(facts: Facts) -> Turn:
    """A fresh session: a greeting and the first question."""
    state = ConversationState().on(Signal.START, pending=Pending.WISH, intent="create", notes=(say.HELLO,))
    return pose(state, facts)


def respond(state: ConversationState, message: str, facts: Facts) -> Turn:
    """Answer one message. Total: any text gives a turn, and nothing that was known is lost."""
    said = normalise(message)
    text = normalise(facts.proposal.heard(said)) if facts.proposal else said
    if state.phase is Phase.IDLE:
        state = state.on(Signal.START, pending=Pending.WISH, intent="create")
    if facts.away:
        state = state.but(notes=(*state.notes, recap(state, facts)), status=SessionStatus.OPEN)
    if len(text) > LONGEST_MESSAGE:
        return pose(state.noted(say.TOO_LONG), facts)
    if not text:
        return pose(state, facts)
    state = state.but(quoted=(said, text), status=SessionStatus.OPEN)
    if (given := read_example(message, state.outline)) and state.draft_agent_id:
        return _on_example(state, given, facts)
    reading = agreed_stance(read_stance(said), facts.proposal)
    if state.pending is Pending.UPKEEP and (turn := upkeep.answer(state, text, reading, facts)):
        return turn
    turn = _anywhere(state, text, reading, facts) or may_park(state, text, facts)
    turn = turn or reshaped(state, text, reading, facts)
    return turn or ANSWERS[state.pending](state, text, reading, facts)


def _on_example(state: ConversationState, given: tuple[str, dict[str, Any]], facts: Facts) -> Turn:
    """Work on what the person gave: a run of what is switched on, else a test."""
    verb, example = given
    state = state.but(example=example, quoted=(*state.quoted, *texts_of(example)))
    changed = state.built != state.running
    if state.active and verb == "run" and not changed:
        return ask_for(state, RunAgent(state.draft_agent_id or "", example), "Running it …")
    if state.phase is Phase.COMPLETE:
        state = state.on(Signal.RETEST)
    elif state.phase is Phase.ACTIVATION:
        state = state.on(Signal.BACK)
    if state.phase is not Phase.TESTING:
        return pose(state.noted("I keep it for the test."), facts)
    return start_test(state)


def recap(state: ConversationState, facts: Facts) -> str:
    """What is known, for somebody who comes back; a function of the state alone."""
    found = summary_rows(state, facts)
    known_words = bullets(found) if found else "Nothing is decided yet."
    made = (
        f"**{state.draft_name}** is {'switched on' if state.active else 'a draft'}.\n\n"
        if state.draft_name
        else ""
    )
    aside = telling.put_aside(state)
    return f"Welcome back. {made}This is where we were:\n\n{known_words}" + (f"\n\n{aside}" if aside else "")


# --- what can be said at any time -----------------------------------------------------------------


def _anywhere(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn | None:
    command = intent.read_command(text)
    if not (command and _answers(state, command, text, reading)) and (
        turn := upkeep.take(state, text, reading, facts)
    ):
        return turn
    match reading.stance:
        case Stance.CANCEL:
            kept = f"**{state.draft_name}** is kept. " if state.draft_name else ""
            ended = state.on(Signal.CANCEL, pending=Pending.NONE)
            return Turn(
                ended.but(notes=(), quoted=(), cards=()),
                reply=make_reply(ended, [say.CANCELLED.format(draft=kept)]),
            )
        case Stance.RESTART:
            return _restart(state, facts)
        case Stance.BACK:
            return _back(state, facts)
        case Stance.PAUSE if state.pending is not Pending.ACTIVATE:
            paused = state.but(status=SessionStatus.WAITING, notes=(), quoted=(), cards=())
            return Turn(paused, reply=make_reply(paused, [say.PAUSED]))
        case Stance.RESUME:
            return restored(state, text, facts) or pose(state.noted(recap(state, facts)), facts)
        case Stance.QUESTION:
            return _asked(state, text, reading, facts)
        case _:
            pass
    side = intent.read_side(text) if reading.stance is Stance.NONE else None
    if side is intent.Side.HELP or side is intent.Side.SO_FAR:
        return _side(state, side, facts)
    if (
        reading.stance in (Stance.AMEND, Stance.DELEGATE)
        and text.endswith("?")
        and (side := intent.read_side(text))
        and not read_update(state, text, reading, facts).touched
    ):
        return _side(state, side, facts)
    if command and command[0] is Command.PUBLISH:
        return pose(state.noted(say.NO_PUBLISH), facts)
    return None


def _answers(state: ConversationState, command: tuple[Command, str], text: str, reading: Reading) -> bool:
    """Words of a command that answer the open question: "run it" to a test, "status" to which fields."""
    match state.pending:
        case Pending.TEST | Pending.ACCEPT:
            return intent.says_it(command[1])
        case Pending.ACTIVATE:
            return reading.act is Act.ACTIVATE
        case Pending.DETAILS:
            return command[0] is Command.STATUS and bool(find_fields(text, state.fields))
        case _:
            return reading.act is Act.ACTIVATE


def _restart(state: ConversationState, facts: Facts) -> Turn:
    kept = f"**{state.draft_name}** is kept as it is." if state.draft_name else ""
    fresh = ConversationState(phase=state.phase, parked=state.parked).on(
        Signal.RESTART, pending=Pending.WISH, intent="create", quoted=state.quoted
    )
    return pose(
        fresh.but(draft_name=None).noted(say.STARTED_OVER.format(draft=kept)).but(quoted=(kept,)), facts
    )


_BACK_TO = {
    Phase.DISCOVERY: Pending.WISH,
    Phase.OAUTH_FLOW: Pending.SIGN_IN,
    Phase.REQUIREMENTS: Pending.SUMMARY,
    Phase.TESTING: Pending.TEST,
    Phase.ACTIVATION: Pending.ACTIVATE,
}


def _back(state: ConversationState, facts: Facts) -> Turn:
    """The previous phase in which a person decides something, with everything that is known."""
    before = state.phase
    state = state.on(Signal.BACK)
    while state.phase_stack and (
        state.phase is Phase.GENERATION
        or (state.phase is Phase.OAUTH_FLOW and (state.service in state.links or state.pending_oauth is None))
    ):
        state = state.on(Signal.BACK)
    if state.phase is before:
        return pose(state.noted("This is the beginning, there is nothing before it."), facts)
    pending = _BACK_TO.get(state.phase, Pending.NONE)
    state = state.noted("One step back; everything you said is kept.")
    if pending is Pending.SUMMARY and state.draft_agent_id is None:
        return advance(state.but(pending=pending), facts)
    return pose(state.but(pending=pending), facts)


def _asked(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn | None:
    # "what changed last week, by client" is no question when it answers which information
    told = state.pending in (Pending.DETAILS, Pending.VALUES) and not text.endswith("?")
    if told and read_update(state, text, reading, facts).touched:
        return None
    if side := intent.read_side(text):
        return _side(state, side, facts)
    if state.phase is Phase.DISCOVERY and state.pending in (Pending.WISH, Pending.SERVICE):
        return None
    return pose(state.noted("I can't answer that one, so I changed nothing."), facts)


def _side(state: ConversationState, side: intent.Side, facts: Facts) -> Turn:
    answer = say.side_answer(
        side, title_of(state, facts), summary_rows(state, facts), facts, zone_of(state, facts)
    )
    return pose(state.noted(answer), facts)


__all__ = ["begin", "recap", "respond", "resume"]
