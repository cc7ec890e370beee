"""What holds for every sequence of failures, whatever its order and policy."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from omniforge.engine.plan import Retry
from omniforge.engine.recovery.decide import decide
from omniforge.engine.recovery.decision import Again, Later, Move, told
from omniforge.engine.recovery.history import History
from omniforge.engine.recovery.policy import CODES, Failure, FailureKind, classify
from omniforge.engine.recovery.retry import retry

MOST_MOVES = 70
"""Moves of all ladders of one step together, with at most three fallbacks, beyond the policy's attempts."""

codes = st.sampled_from([code for codes in CODES.values() for code in codes] + ["odd", "unknown"])
waits = st.none() | st.floats(allow_nan=True, allow_infinity=True) | st.floats(0, 10_000)
details = st.fixed_dictionaries(
    {}, optional={"check": st.sampled_from(["types", "tests", "", "x"]), "outcome_unknown": st.booleans()}
)
failures = st.builds(
    Failure,
    code=codes,
    message=st.just("It failed."),
    retryable=st.booleans(),
    needs_person=st.sampled_from([False] * 19 + [True]),
    retry_after=waits,
    details=details,
    outside=st.booleans(),
)
policies = st.builds(
    Retry,
    attempts=st.integers(1, 6),
    delay=st.floats(0, 100),
    factor=st.floats(1, 10),
    max_delay=st.floats(0, 1000),
    jitter=st.floats(0, 1),
    ladder=st.booleans(),
)
terms = st.fixed_dictionaries({"fallbacks": st.integers(0, 3), "allows_partial": st.booleans()})


@given(st.lists(failures, min_size=1, max_size=12), policies, terms, st.text(max_size=10))
def test_every_sequence_of_failures_ends_and_waits_are_never_too_short(
    given_failures: list[Failure], policy: Retry, given_terms: dict[str, Any], seed: str
) -> None:
    history = History()
    for number in range(MOST_MOVES + policy.attempts + 1):
        failure = given_failures[number % len(given_failures)]
        decision = decide(failure, history, policy, seed, **given_terms)
        assert decision == decide(failure, history, policy, seed, **given_terms)
        assert decision.reason
        json.dumps(told(decision), allow_nan=False)
        if not isinstance(decision, Again | Later):
            return
        assert math.isfinite(decision.delay)
        assert decision.delay >= 0
        if not (isinstance(decision, Again) and decision.move is Move.NEXT_PROVIDER):
            assert decision.delay >= failure.named_wait
        before, history = history, history.after(failure, decision)
        assert history.attempts == before.attempts + 1
        assert History.from_json(json.loads(json.dumps(history.to_json()))) == history
    raise AssertionError("it never ends")


@given(
    st.lists(failures, min_size=1, max_size=12),
    st.builds(Retry, attempts=st.integers(1, 6)),
)
def test_without_the_ladder_fatal_failures_are_never_repeated(
    given_failures: list[Failure], policy: Retry
) -> None:
    for failure in given_failures:
        decision = decide(failure, History(), policy, "s")
        if not failure.retryable and failure.kind is not FailureKind.CORRUPTED:
            assert not isinstance(decision, Again | Later)


@given(failures, st.integers(1, 10_000), policies)
def test_no_policy_breaks_the_back_off(failure: Failure, count: int, policy: Retry) -> None:
    again = retry(failure, count, Retry(10_001, policy.delay, policy.factor, policy.max_delay), "s")
    if again is not None:
        assert 0 <= again.delay <= max(policy.max_delay * 1.2, failure.named_wait)


@given(
    st.dictionaries(st.sampled_from(["failures", "moves", "fixes", "hints", "tokens", "money"]), st.none())
)
def test_a_history_with_missing_parts_reads_as_empty(stored: dict[str, Any]) -> None:
    assert History.from_json(stored) == History()
    assert History.from_json(None) == History()
    assert History().to_json() == {}


def test_a_history_of_a_later_version_keeps_what_is_known() -> None:
    stored = {
        "failures": {"timeout": 2, "novel": 1},
        "moves": {"leap": 1},
        "hints": {"context": "odd"},
        "x": 1,
    }
    history = History.from_json(stored)
    assert history.failures == {FailureKind.TIMEOUT: 2}
    assert history.moves == {}
    assert history.context == "full"


def test_what_an_attempt_cost_adds_up_and_survives_storing() -> None:
    history = History().spend(100, 0.25).spend(tokens=20).spend(money=-1)
    assert (history.tokens, history.money) == (120, 0.25)
    assert History.from_json(history.to_json()) == history


def test_a_history_does_not_change_and_unfinished_answers_count_as_failures() -> None:
    history = History()
    failure = classify(ValueError("x"))
    after = history.after(failure, decide(failure, history, Retry(), "s"))
    assert (history.attempts, after.attempts, after.moves) == (0, 1, {})
