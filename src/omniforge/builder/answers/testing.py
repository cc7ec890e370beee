"""Answers around the test and switching on. Pure."""

from __future__ import annotations

from omniforge.builder import wording as say
from omniforge.builder.answers.intake import answer_change, read_update
from omniforge.builder.draft import title_of
from omniforge.builder.exchange import Activate, Facts, RunTest, Turn
from omniforge.builder.phases import SessionStatus, Signal
from omniforge.builder.problems import FAILURES
from omniforge.builder.progress import ask_for
from omniforge.builder.questions import pose
from omniforge.builder.state import ConversationState, Pending
from omniforge.builder.understanding import intent
from omniforge.builder.understanding.stance import Act, Reading, Stance


def start_test(state: ConversationState, mode: str | None = None) -> Turn:
    mode = mode or ("dry" if state.sample else "preview")
    return ask_for(state, RunTest(state.draft_agent_id or "", mode), "Testing …")


def _wants_test(state: ConversationState, text: str, reading: Reading, facts: Facts) -> bool:
    """A test and nothing else; "put At Risk first and test it" is a change to begin with."""
    return reading.act in (Act.TEST, Act.RETRY) and (
        reading.stance is Stance.YES or not read_update(state, text, reading, facts).touched
    )


def answer_test(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    if reading.act is Act.ACTIVATE:
        return pose(state.noted(FAILURES["not_tested"]), facts)
    if (
        _wants_test(state, text, reading, facts)
        or (reading.stance is Stance.YES and reading.act is None)
        or (
            intent.says_it(text.partition(" ")[2])
            and reading.stance is Stance.NONE
            and text.lower().startswith("run")
        )
    ):
        return start_test(state)
    if reading.stance is Stance.NO:
        return pose(state.on(Signal.TEST_DECLINED).noted(say.test_declined()), facts)
    return answer_change(state, text, reading, facts)


def answer_sample_test(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    if reading.stance is Stance.YES and reading.act in (None, Act.TEST):
        return start_test(state, "dry")
    return answer_test(state, text, reading, facts)


def answer_accept(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    if _wants_test(state, text, reading, facts):
        return start_test(state)
    if reading.stance is Stance.YES and reading.act in (None, Act.ACTIVATE, Act.CREATE):
        if state.test is None or not state.test.passed:
            return pose(state.noted(FAILURES["not_tested"]).but(pending=Pending.TEST), facts)
        if state.sample and not state.connection_id:
            note = (
                f"It works with sample data. To run on your own, {title_of(state, facts)} must be connected."
            )
            return pose(state.noted(note).but(pending=Pending.CONNECT), facts)
        return pose(state.on(Signal.TEST_ACCEPTED, pending=Pending.ACTIVATE), facts)
    if reading.stance is Stance.NO:
        return pose(state.noted("What shall I change?"), facts)
    return answer_change(state, text, reading, facts)


def answer_activate(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    if (
        reading.stance is Stance.YES
        and reading.act in (None, Act.ACTIVATE)
        and state.test
        and state.draft_agent_id
    ):
        return ask_for(state, Activate(state.draft_agent_id, state.test.test_id), "Switching it on …")
    if reading.stance in (Stance.NO, Stance.PAUSE):
        done = state.on(Signal.NOT_NOW, pending=Pending.NONE, status=SessionStatus.COMPLETE)
        return pose(done.noted(say.not_now_text(state.draft_name or "the agent", state.active)), facts)
    if _wants_test(state, text, reading, facts):
        return start_test(state.on(Signal.BACK))
    return answer_change(state, text, reading, facts)
