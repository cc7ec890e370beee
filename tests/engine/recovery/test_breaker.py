"""The breaker's states: when it opens, who may probe, when it closes, when somebody is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.engine.recovery import breaker
from omniforge.engine.recovery.breaker import (
    CLOSED,
    BreakerState,
    Change,
    Status,
    Verdict,
    alert_if_long,
    ask,
    give_back_probe,
    record_failure,
    record_success,
    without_future,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def failed(*minutes: float) -> BreakerState:
    state = CLOSED
    for minute in minutes:
        state, _ = record_failure(state, at(minute))
    return state


@pytest.mark.parametrize(
    ("minutes", "status"),
    [
        ((), Status.CLOSED),
        ((0, 1), Status.CLOSED),
        ((0, 1, 2), Status.OPEN),
        ((0, 0, 0), Status.OPEN),
        ((0, 2.5, 4.9), Status.OPEN),
        ((0, 2.5, 5), Status.CLOSED),
        ((0, 4, 6, 8.5), Status.OPEN),
        ((0, 10, 20, 30), Status.CLOSED),
    ],
)
def test_three_failures_within_five_minutes_open_it(minutes: tuple[float, ...], status: Status) -> None:
    assert failed(*minutes).status(at(minutes[-1] if minutes else 0)) is status


def test_it_is_open_for_fifteen_minutes_then_exactly_one_probe_passes() -> None:
    state = failed(0, 0, 0)
    assert ask(state, at(14.99)) == (state, Verdict.REFUSE)
    assert state.retry_at(at(1)) == at(15)
    state, verdict = ask(state, at(15))
    assert verdict is Verdict.PROBE
    assert ask(state, at(15.1)) == (state, Verdict.REFUSE)
    assert at(15.1) < state.retry_at(at(15.1)) <= at(16)


def test_a_good_probe_closes_it_and_forgets_a_bad_one_opens_it_again_for_as_long() -> None:
    probing, _ = ask(failed(0, 0, 0), at(15))
    assert record_success(probing, at(15.5)) == (CLOSED, [Change.CLOSED])
    again, changes = record_failure(probing, at(15.5))
    assert changes == [Change.OPENED]
    assert (again.since, again.opened_at) == (at(0), at(15.5))
    assert ask(again, at(30))[1] is Verdict.REFUSE
    assert ask(again, at(30.5))[1] is Verdict.PROBE


def test_calls_that_were_under_way_when_it_opened_change_nothing() -> None:
    state = failed(0, 0, 0)
    assert record_failure(state, at(1)) == (state, [])
    assert record_success(state, at(1)) == (state, [])
    probing, _ = ask(state, at(15))
    assert record_failure(probing, at(15), probe=False) == (probing, [])


def test_a_success_forgives_no_failure() -> None:
    state, changes = record_success(failed(0, 1), at(1.5))
    assert (len(state.failures), changes) == (2, [])
    assert record_failure(state, at(2))[1] == [Change.OPENED]


def test_a_probe_that_died_or_was_given_back_makes_way_for_another() -> None:
    probing, _ = ask(failed(0, 0, 0), at(15))
    assert ask(probing, at(16.9))[1] is Verdict.REFUSE
    assert ask(probing, at(17))[1] is Verdict.PROBE
    assert ask(give_back_probe(probing), at(15.1))[1] is Verdict.PROBE


def test_open_for_over_an_hour_is_told_once_also_over_failed_probes() -> None:
    state = failed(0, 0, 0)
    for minute in (15, 30, 45, 60):
        state, verdict = ask(state, at(minute))
        assert verdict is Verdict.PROBE
        state, _ = record_failure(state, at(minute))
        assert alert_if_long(state, at(minute)) == (state, [])
    state, changes = alert_if_long(state, at(60.1))
    assert changes == [Change.ALERTED]
    assert alert_if_long(state, at(90)) == (state, [])
    assert alert_if_long(CLOSED, at(90)) == (CLOSED, [])


def test_a_clock_that_was_set_back_does_not_keep_it_open_for_good() -> None:
    state = failed(600, 600, 600)
    assert without_future(state, at(600)) is state
    moved = without_future(state, at(0))
    assert moved.retry_at(at(0)) == at(15)
    assert ask(moved, at(15))[1] is Verdict.PROBE


@given(st.lists(st.tuples(st.sampled_from(["fail", "succeed", "ask", "give", "alert"]), st.floats(0, 40))))
def test_every_history_keeps_its_promises_and_survives_storing(moves: list[tuple[str, float]]) -> None:
    state, now, probing = CLOSED, NOON, False
    for move, minutes in moves:
        now += timedelta(minutes=minutes)
        lease_over = state.probe_at is not None and now >= state.probe_at + breaker.PROBE_LEASE
        match move:
            case "fail":
                state, _ = record_failure(state, now)
                probing = False
            case "succeed":
                state, changes = record_success(state, now)
                assert changes == ([Change.CLOSED] if probing else [])
                probing = False
            case "give":
                state, probing = give_back_probe(state), False
            case "alert":
                state, _ = alert_if_long(state, now)
            case _:
                opened = state.opened_at
                state, verdict = ask(state, now)
                assert (verdict is Verdict.PASS) == (opened is None)
                if verdict is Verdict.PROBE:
                    assert not probing or lease_over
                    assert opened is not None
                    assert now - opened >= breaker.OPEN_FOR
                    probing = True
        assert len(state.failures) < breaker.FAILURES
        assert state.retry_at(now) >= now
        assert BreakerState.from_json(json.loads(json.dumps(state.to_json()))) == state
    assert BreakerState.from_json({}) == CLOSED
