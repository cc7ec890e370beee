"""A change of an agent that was just read: what it does now, and what the message makes of it. Pure."""

from __future__ import annotations

from omniforge.builder import telling
from omniforge.builder.answers.intake import answer_change
from omniforge.builder.changing import begin_change, names_only
from omniforge.builder.exchange import Facts, LoadAgent, Turn
from omniforge.builder.progress import ask_for, described
from omniforge.builder.questions import pose
from omniforge.builder.rows import titles_of, told, zone_of
from omniforge.builder.state import ConversationState, Pending
from omniforge.builder.understanding.references import resolve
from omniforge.builder.understanding.stance import Reading, Stance, read_stance


def changed_agent(state: ConversationState, facts: Facts) -> Turn:
    """Say what it does now and take the change in, once its fields were read."""
    read = described(state, facts)
    if isinstance(read, Turn):
        return read
    wish = state.waiting_wish
    now = told(state.design, zone_of(state, facts), titles_of(facts), None)
    state = state.noted(telling.does_now(state.draft_name or "it", now)).but(waiting_wish=None)
    if not wish or names_only(wish, state):
        return pose(state, facts)
    return answer_change(state, wish, read_stance(wish), facts)


def answer_edit_which(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    positions = resolve(text, [item.name for item in state.last_list]).positions
    if len(positions) != 1:
        if reading.stance is Stance.NO:
            return pose(
                state.but(pending=Pending.NONE, waiting_wish=None).noted("Nothing is changed."), facts
            )
        return pose(state.noted("Please name one of them."), facts)
    chosen = state.last_list[positions[0]]
    return ask_for(state, LoadAgent(chosen.id), f"Looking at {chosen.name} …")


def answer_edit_what(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    if reading.stance is Stance.NO:
        return pose(state.but(pending=Pending.NONE).noted("All right, it stays as it is."), facts)
    return answer_change(state, text, reading, facts)


__all__ = ["answer_edit_what", "answer_edit_which", "begin_change", "changed_agent"]
