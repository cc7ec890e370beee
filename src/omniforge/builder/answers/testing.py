"""Answers around the test and switching on. Pure."""

from __future__ import annotations

from omniforge.builder import telling
from omniforge.builder.answers.intake import answer_change, read_update
from omniforge.builder.draft import title_of
from omniforge.builder.exchange import Activate, Facts, RunTest, Turn
from omniforge.builder.phases import SessionStatus, Signal
from omniforge.builder.problems import FAILURES
from omniforge.builder.progress import ask_for, given, places_known
from omniforge.builder.questions import pose
from omniforge.builder.state import ConversationState, Pending
from omniforge.builder.understanding import intent
from omniforge.builder.understanding.stance import Act, Reading, Stance
from omniforge.builder.understanding.text import has_phrase


def test_mode(state: ConversationState) -> str:
    """What reads and writes nowhere is tried on sample data as well: there is nothing else."""
    return "dry" if state.sample or not state.outline.services else "preview"


def start_test(state: ConversationState, mode: str | None = None, *, full: bool = False) -> Turn:
    """On real data where everything is connected; documents that nobody gave are sample ones."""
    if mode is None:
        mode = test_mode(state)
    waits = state.under_way if full else None
    request = RunTest(state.draft_agent_id or "", mode, full, given(state), places_known(state), waits)
    return ask_for(state, request, "Testing it, also with services that fail …" if full else "Testing …")


def _wants_test(state: ConversationState, text: str, reading: Reading, facts: Facts) -> bool:
    """A test and nothing else; "put At Risk first and test it" is a change to begin with."""
    return reading.act in (Act.TEST, Act.RETRY) and (
        reading.stance is Stance.YES or not read_update(state, text, reading, facts).touched
    )


def answer_test(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    if state.outline.starts is not None and (turn := _event_test(state, text, reading, facts)):
        return turn
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
        return pose(state.on(Signal.TEST_DECLINED).noted(telling.test_declined()), facts)
    return answer_change(state, text, reading, facts)


def _event_test(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn | None:
    """A: on the latest entry, without effects; B: for real, once it went well without."""
    if reading.choice == 1 or has_phrase(text, ("latest entry", "without effects")):
        return start_test(state)
    if _wants_real(text, reading):
        if state.test is None or not state.test.passed:
            note = "Before anything is done for real I test it without effects, so first A."
            return start_test(state.noted(note))
        return start_test(state, "live")
    return None


def _wants_real(text: str, reading: Reading) -> bool:
    return reading.choice == 2 or has_phrase(text, ("real test", "for real"))


def answer_sample_test(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    if reading.stance is Stance.YES and reading.act in (None, Act.TEST):
        return start_test(state, "dry")
    return answer_test(state, text, reading, facts)


def answer_accept(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    if state.outline.starts is not None and _wants_real(text, reading) and reading.stance is not Stance.NO:
        return pose(state.but(pending=Pending.TEST).noted(telling.real_test_text(state.test)), facts)
    if _wants_test(state, text, reading, facts):
        return start_test(state)
    if reading.stance is Stance.YES and reading.act in (None, Act.ACTIVATE, Act.CREATE):
        if state.test is None or not state.test.will_do:
            return pose(state.noted(FAILURES["not_tested"]).but(pending=Pending.TEST), facts)
        if state.sample:
            service = next(name for name in state.outline.services if state.links[name].sample)
            title = title_of(state, facts, service)
            note = f"It works with sample data. To run on your own, {title} must be connected."
            return pose(state.noted(note).but(pending=Pending.CONNECT, service=service), facts)
        if not state.test.full:
            return start_test(state, "dry" if state.test.mode == "dry" else "preview", full=True)
        return pose(state.on(Signal.TEST_ACCEPTED, pending=Pending.ACTIVATE), facts)
    if reading.stance is Stance.NO:
        return pose(state.noted("What shall I change?"), facts)
    return answer_change(state, text, reading, facts)


def _saves(state: ConversationState, text: str) -> bool:
    """ "Save it" answers "Save it?" and nothing else."""
    return state.active and text.strip(" .!").casefold() in (
        "save",
        "save it",
        "yes, save it",
        "yes save it",
        "save it please",
    )


def answer_activate(state: ConversationState, text: str, reading: Reading, facts: Facts) -> Turn:
    if (
        ((reading.stance is Stance.YES and reading.act in (None, Act.ACTIVATE)) or _saves(state, text))
        and state.test
        and state.draft_agent_id
    ):
        return ask_for(state, Activate(state.draft_agent_id, state.test.test_id), "Switching it on …")
    if reading.stance in (Stance.NO, Stance.PAUSE):
        done = state.on(Signal.NOT_NOW, pending=Pending.NONE, status=SessionStatus.COMPLETE)
        return pose(done.noted(telling.not_now_text(state.draft_name or "the agent", state.active)), facts)
    if _wants_test(state, text, reading, facts):
        return start_test(state.on(Signal.BACK))
    return answer_change(state, text, reading, facts)
