"""Undoing: the order, what is due, what a failing compensation leads to, what is left for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.core.errors import Fatal, ProviderError, Retryable
from omniforge.engine.plan import Retry
from omniforge.engine.recovery.compensate import (
    Effect,
    Outcome,
    Undo,
    decide_undoing,
    order_of_undoing,
    read_probe,
    seconds_to_undo,
    undoings_due,
    what_stands,
)
from omniforge.engine.recovery.decision import Again, AskPerson, Probe
from omniforge.engine.recovery.history import History
from omniforge.engine.recovery.policy import classify, timed_out

DIAMOND = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}
ONCE, THRICE = Retry(), Retry(attempts=3)


def test_what_was_done_last_is_undone_first_and_nothing_before_what_was_built_on_it() -> None:
    assert order_of_undoing(DIAMOND, ["a", "b", "c", "d"]) == ["d", "c", "b", "a"]
    assert order_of_undoing(DIAMOND, ["a", "c", "b"]) == ["b", "c", "a"]
    assert order_of_undoing({"x": (), "y": ()}, ["y", "x"]) == ["x", "y"]
    assert order_of_undoing({"x": (), "y": ()}, {"x", "y"}) == order_of_undoing(
        {"x": (), "y": ()}, {"y", "x"}
    )
    assert order_of_undoing({}, []) == []


def test_a_step_in_between_that_was_skipped_still_tells_who_built_on_whom() -> None:
    needs = {"first": (), "skipped": ("first",), "last": ("skipped",)}
    assert order_of_undoing(needs, ["last", "first"]) == ["last", "first"]


def test_a_circle_is_refused_rather_than_half_undone() -> None:
    with pytest.raises(Fatal, match="circle"):
        order_of_undoing({"a": ("b",), "b": ("a",)}, ["a", "b"])


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, list[str]], list[str]]:
    names = [f"s{number}" for number in range(draw(st.integers(1, 12)))]
    needs = {
        name: draw(st.lists(st.sampled_from(names[:index]), unique=True)) if index else []
        for index, name in enumerate(names)
    }
    completed = draw(st.lists(st.sampled_from(names), unique=True))
    return needs, completed


def built_on(needs: dict[str, list[str]], key: str) -> set[str]:
    found: set[str] = set()
    for need in needs[key]:
        found |= {need} | built_on(needs, need)
    return found


@given(graphs())
def test_in_every_graph_all_that_completed_is_undone_dependants_first(
    graph: tuple[dict[str, list[str]], list[str]],
) -> None:
    needs, completed = graph
    order = order_of_undoing(needs, completed)
    assert sorted(order) == sorted(completed)
    for index, key in enumerate(order):
        assert built_on(needs, key).isdisjoint(order[:index])


def test_due_is_what_may_stand_and_can_be_undone_and_doubt_is_asked_about_first() -> None:
    effects = [
        Effect("a", Outcome.HAPPENED, undoable=True),
        Effect("b", Outcome.UNKNOWN, undoable=True),
        Effect("c", Outcome.HAPPENED),
        Effect("d", Outcome.UNDONE, undoable=True),
        Effect("e", Outcome.NOT_HAPPENED, undoable=True),
    ]
    needs = {"a": (), "b": ("a",), "c": ("b",), "d": (), "e": ()}
    assert undoings_due(needs, effects) == [Undo("b", ask_first=True), Undo("a", ask_first=False)]


def test_what_stands_is_listed_exactly_with_why() -> None:
    effects = [
        Effect("page", Outcome.HAPPENED, ("notion.create",), undoable=True, problem="Notion is down."),
        Effect("mail", Outcome.HAPPENED, ("mail.send",)),
        Effect("post", Outcome.UNKNOWN, ("slack.post",), undoable=True),
        Effect("count", Outcome.HAPPENED),
        Effect("undone", Outcome.UNDONE, ("x",), undoable=True),
        Effect("never", Outcome.NOT_HAPPENED, ("x",), undoable=True),
    ]
    assert [stands.shown() for stands in what_stands(effects)] == [
        {"step": "page", "effects": ["notion.create"], "certain": True, "reason": "Notion is down."},
        {
            "step": "mail",
            "effects": ["mail.send"],
            "certain": True,
            "reason": "This step does not say how it is undone.",
        },
        {
            "step": "post",
            "effects": ["slack.post"],
            "certain": False,
            "reason": "It is not known whether this happened.",
        },
    ]
    assert what_stands([Effect("a", Outcome.UNDONE, undoable=True)]) == []


@pytest.mark.parametrize(
    ("output", "outcome"),
    [
        ({"happened": True}, Outcome.HAPPENED),
        ({"happened": False}, Outcome.NOT_HAPPENED),
        ({"happened": "yes"}, Outcome.UNKNOWN),
        ({"happened": 1}, Outcome.UNKNOWN),
        ({}, Outcome.UNKNOWN),
        (True, Outcome.UNKNOWN),
        (None, Outcome.UNKNOWN),
    ],
)
def test_only_a_clear_answer_of_a_probe_counts(output: object, outcome: Outcome) -> None:
    assert read_probe(output) is outcome


def test_a_failing_compensation_has_its_own_retry_and_then_goes_to_a_person() -> None:
    failure = classify(Retryable("Busy."))
    first = decide_undoing(failure, History(), THRICE, "s", spent=1)
    assert isinstance(first, Again)
    history = History().after(failure, first)
    history = history.after(failure, first)
    assert isinstance(decide_undoing(failure, history, THRICE, "s", spent=5), AskPerson)
    assert isinstance(decide_undoing(classify(Fatal("No.")), History(), THRICE, "s", spent=0), AskPerson)


def test_a_service_that_is_busy_is_waited_for_unless_that_takes_too_long() -> None:
    def busy(after: float) -> ProviderError:
        return ProviderError("Busy.", retryable=True, retry_after=after, code="rate_limited")

    waiting = decide_undoing(classify(busy(20)), History(), ONCE, "s", spent=0)
    assert isinstance(waiting, Again)
    assert 20 <= waiting.delay <= 24
    for failure, spent in ((busy(20), 45.0), (busy(59.9), 1.0), (busy(600), 0.0)):
        assert isinstance(decide_undoing(classify(failure), History(), ONCE, "s", spent=spent), AskPerson)


def test_where_nobody_knows_whether_it_was_undone_the_service_is_asked_first() -> None:
    lost = classify(ProviderError("Lost.", retryable=True, outcome_unknown=True))
    for failure in (lost, timed_out(5)):
        assert isinstance(decide_undoing(failure, History(), THRICE, "s", spent=1, has_probe=True), Probe)
        assert isinstance(decide_undoing(failure, History(), THRICE, "s", spent=1), AskPerson)


def test_asking_the_service_ends_even_when_no_time_passes() -> None:
    history, lost = History(), classify(ProviderError("Lost.", retryable=True, outcome_unknown=True))
    probes = 0
    while isinstance(decision := decide_undoing(lost, history, ONCE, "s", spent=0, has_probe=True), Probe):
        history = history.after(lost, decision)
        probes += 1
    assert (probes, type(decision)) == (3, AskPerson)


def test_a_compensation_that_is_stuck_for_a_minute_goes_to_a_person() -> None:
    decision = decide_undoing(classify(Retryable("x")), History(), Retry(attempts=99), "s", spent=60)
    assert isinstance(decision, AskPerson)
    assert "60 s" in decision.reason
    assert (seconds_to_undo(45), seconds_to_undo(70)) == (15, 0)
