"""Answers when an agent is finished or one of several has to be named. Pure."""

from __future__ import annotations

from omniforge.builder.answers.discovery import answer_wish
from omniforge.builder.answers.intake import answer_change, read_update, with_parts
from omniforge.builder.answers.testing import start_test
from omniforge.builder.answers.wishes import compose
from omniforge.builder.changing import begin_change, is_edit, meant
from omniforge.builder.exchange import Facts, RunAgent, Turn
from omniforge.builder.phases import Phase, Signal
from omniforge.builder.progress import ask_for
from omniforge.builder.questions import pose
from omniforge.builder.state import ConversationState, Pending
from omniforge.builder.understanding import intent
from omniforge.builder.understanding.references import resolve
from omniforge.builder.understanding.stance import Act, Reading, Stance
from omniforge.builder.understanding.text import has_phrase


def answer_agent(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    positions = resolve(text, [item.name for item in state.last_list]).positions
    if len(positions) != 1:
        return pose(state.noted("Please name one of them."), facts)
    state = state.but(pending=Pending.NONE if state.phase is Phase.COMPLETE else Pending.WISH)
    return ask_for(state, RunAgent(state.last_list[positions[0]].id), "Running it …")


def answer_idle(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    """Nothing is open: a change of the agent just made, a new wish, or politeness."""
    if state.draft_agent_id is None or intent.is_new_wish(text) or _is_another(state, text, facts):
        return answer_wish(_fresh(state), text, reading, facts)
    if (
        is_edit(text, facts)
        and (others := meant(state, text, facts))
        and state.draft_agent_id not in {a.id for a in others}
    ):
        return begin_change(state, text, facts)
    if not state.active and reading.act is Act.ACTIVATE:
        if state.test and state.test.will_do and state.built == state.design:
            return pose(state.on(Signal.FINISH, pending=Pending.ACTIVATE), facts)
        return pose(state.on(Signal.RETEST, pending=Pending.TEST), facts)
    if (
        state.active
        and reading.act is Act.TEST
        and has_phrase(text, ("run",))
        and not has_phrase(text, ("test",))
    ):
        return ask_for(state, RunAgent(state.draft_agent_id), "Running it …")
    if reading.act in (Act.TEST, Act.RETRY) and reading.stance is not Stance.NO:
        return start_test(state.on(Signal.RETEST))
    update = read_update(state, text, reading, facts)
    if update.touched or update.problems:
        return answer_change(state, text, reading, facts)
    if with_parts(state, text, reading, facts) is not None:
        return answer_change(state, text, reading, facts)
    if intent.read_wish(text).goal:
        return answer_wish(_fresh(state), text, reading, facts)
    return pose(state, facts)


def _is_another(state: ConversationState, text: str, facts: Facts) -> bool:
    """Words that read at a service the finished agent has nothing to do with, and do not add to it."""
    if is_edit(text, facts) or has_phrase(
        text, ("also", "too", "as well", "instead", "it", "its", "additionally")
    ):
        return False
    reads = [c.service for c in compose(text, facts).clauses if c.operation == "report" and c.service]
    return bool(reads) and not set(reads) & set(state.outline.services)


def _fresh(state: ConversationState) -> ConversationState:
    return ConversationState(phase=Phase.COMPLETE, parked=state.parked).on(
        Signal.NEW_WISH, intent="create", pending=Pending.WISH, quoted=state.quoted
    )
