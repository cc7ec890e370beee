"""The conversation, as two pure functions: `respond` to a message, `resume` after a request was done."""

from __future__ import annotations

from omniforge.builder import wording as say
from omniforge.builder.answers import ANSWERS
from omniforge.builder.answers.intake import read_update
from omniforge.builder.draft import summary_rows, title_of
from omniforge.builder.exchange import (
    Facts,
    RunAgent,
    Turn,
)
from omniforge.builder.outcomes import resume
from omniforge.builder.phases import Phase, SessionStatus, Signal
from omniforge.builder.progress import ask_for
from omniforge.builder.questions import pose
from omniforge.builder.replies import make_reply
from omniforge.builder.rows import bullets, zone_of
from omniforge.builder.state import ConversationState, ListItem, Pending
from omniforge.builder.understanding import intent
from omniforge.builder.understanding.cron_words import moment_words
from omniforge.builder.understanding.fields import find_fields
from omniforge.builder.understanding.intent import Command
from omniforge.builder.understanding.references import resolve
from omniforge.builder.understanding.stance import Act, Reading, Stance, read_stance
from omniforge.builder.understanding.text import LONGEST_MESSAGE, listed, normalise


def begin(facts: Facts) -> Turn:
    """A fresh session: a greeting and the first question."""
    state = ConversationState().on(Signal.START, pending=Pending.WISH, intent="create", notes=(say.HELLO,))
    return pose(state, facts)


def respond(state: ConversationState, message: str, facts: Facts) -> Turn:
    """Answer one message. Total: any text gives a turn, and nothing that was known is lost."""
    text = normalise(message)
    if state.phase is Phase.IDLE:
        state = state.on(Signal.START, pending=Pending.WISH, intent="create")
    if facts.away:
        state = state.but(notes=(*state.notes, recap(state, facts)), status=SessionStatus.OPEN)
    if len(text) > LONGEST_MESSAGE:
        return pose(state.noted(say.TOO_LONG), facts)
    if not text:
        return pose(state, facts)
    state = state.but(quoted=(text,), status=SessionStatus.OPEN)
    reading = read_stance(text)
    turn = _anywhere(state, text, reading, facts)
    return turn or ANSWERS[state.pending](state, text, reading, facts)


def recap(state: ConversationState, facts: Facts) -> str:
    """What is known, for somebody who comes back; a function of the state alone."""
    found = summary_rows(state, facts)
    known_words = bullets(found) if found else "Nothing is decided yet."
    made = (
        f"**{state.draft_name}** is {'switched on' if state.active else 'a draft'}.\n\n"
        if state.draft_name
        else ""
    )
    return f"Welcome back. {made}This is where we were:\n\n{known_words}"


# --- what can be said at any time -----------------------------------------------------------------


def _anywhere(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn | None:
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
            return pose(state.noted(recap(state, facts)), facts)
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
    command = intent.read_command(text)
    if command and not _answers(state, command, text, reading):
        return _command(state, *command, facts)
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
            return False


def _restart(state: ConversationState, facts: Facts) -> Turn:
    kept = f"**{state.draft_name}** is kept as it is." if state.draft_name else ""
    fresh = ConversationState(phase=state.phase).on(
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
        or (state.phase is Phase.OAUTH_FLOW and (state.connection_id or state.sample))
    ):
        state = state.on(Signal.BACK)
    if state.phase is before:
        return pose(state.noted("This is the beginning, there is nothing before it."), facts)
    pending = _BACK_TO.get(state.phase, Pending.NONE)
    if pending is Pending.SUMMARY and not state.slots.sources:
        pending = Pending.RESOURCES
    return pose(state.noted("One step back; everything you said is kept.").but(pending=pending), facts)


def _asked(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn | None:
    # "what changed last week, by client" is no question when it answers which information
    told = state.pending is Pending.DETAILS and not text.endswith("?")
    if told and read_update(state, text, reading, facts).touched:
        return None
    command = intent.read_command(text)
    if command and command[0] is not Command.RUN:
        return _command(state, *command, facts)
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


def _command(state: ConversationState, command: Command, target: str, facts: Facts) -> Turn:
    match command:
        case Command.RUN:
            return _run(state, target, facts)
        case Command.STATUS:
            return _status(state, facts)
        case _:
            what = {"share": "share", "publish": "publish", "undo": "roll back"}[command.value]
            return pose(state.noted(say.NO_SHARE.format(what=what)), facts)


def _run(state: ConversationState, target: str, facts: Facts) -> Turn:
    agents = list(facts.agents)
    if not agents:
        return pose(state.noted("You have no agent yet that I could run."), facts)
    own = next((a for a in agents if a.id == state.draft_agent_id), None)
    if own and intent.says_it(target):
        found = [own]
    elif (
        state.last_list
        and not state.pending
        and (picked := resolve(target, [i.name for i in state.last_list]).positions)
    ):
        found = [a for a in agents if a.id in {state.last_list[i].id for i in picked}]
    else:
        found = [agents[i] for i in intent.match_agents(target, [a.name for a in agents])]
    if not found:
        return pose(
            state.noted(f"I know no agent of that name. There is: {listed(a.name for a in agents[:5])}.").but(
                quoted=(target, *(a.name for a in agents))
            ),
            facts,
        )
    live = [a for a in found if a.status == "active"]
    if len(live or found) > 1:
        items = tuple(ListItem(id=a.id, name=a.name) for a in (live or found)[:6])
        return pose(state.but(pending=Pending.AGENT, last_list=items), facts)
    agent = (live or found)[0]
    if agent.status != "active":
        note = (
            f"**{agent.name}** is not switched on, so it can't run yet. I can test it, or we finish it first."
        )
        return pose(state.noted(note).but(quoted=(agent.name,)), facts)
    return ask_for(state, RunAgent(agent.id), f"Running {agent.name} …")


def _status(state: ConversationState, facts: Facts) -> Turn:
    lines = [
        f"- **{a.name}**: {'switched on' if a.status == 'active' else a.status}"
        + (f"; next run {moment_words(a.next_run, a.timezone)}" if a.next_run else "")
        + (f"; last run {a.last_run}" if a.last_run else "")
        for a in facts.agents[:10]
    ]
    note = "Your agents:\n\n" + "\n".join(lines) if lines else "You have no agents yet."
    items = tuple(ListItem(id=a.id, name=a.name) for a in facts.agents[:10])
    quoted = (*state.quoted, *(a.name for a in facts.agents))
    if state.pending is Pending.NONE:
        state = state.but(last_list=items)
    return pose(state.noted(note).but(quoted=quoted), facts)


__all__ = ["begin", "recap", "respond", "resume"]
