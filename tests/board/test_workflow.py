"""The workflow's table, the order of the queue, and questions about graphs."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.board.graphs import find_cycle, longest_chain
from omniforge.board.scoring import score
from omniforge.board.vocabulary import PhaseId, Priority, TaskType, TicketStatus
from omniforge.board.workflow import (
    GATED,
    STAGES,
    STATUS_OF_PHASE,
    TASK_PHASES,
    admits,
    has_gate,
    is_legal,
    is_open_for,
    is_regress,
    phase_of,
    phase_of_task_type,
    stage_of,
    statuses_of,
    targets_of,
)

S, P = TicketStatus, PhaseId


def test_every_status_has_one_stage_and_every_phase_one_status() -> None:
    assert [stage.status for stage in STAGES] == list(S)
    assert set(STATUS_OF_PHASE) == set(P)


def test_the_way_leads_from_backlog_to_done_and_only_testing_goes_back() -> None:
    way = [S.BACKLOG]
    while (after := stage_of(way[-1]).forward) is not None:
        way.append(after)
    assert way == list(S)
    legal = {(a, b) for a, b in itertools.product(S, S) if is_legal(a, b)}
    assert legal == {*itertools.pairwise(S), (S.TESTING, S.BUILDING)}
    assert [pair for pair in legal if is_regress(*pair)] == [(S.TESTING, S.BUILDING)]
    assert targets_of(S.DONE) == ()


def test_every_edge_forward_but_the_first_has_a_gate() -> None:
    assert GATED == (S.ANALYZING, S.BUILDING, S.BUILDING_DONE, S.TESTING)
    assert not has_gate(S.BACKLOG, S.ANALYZING)
    assert not has_gate(S.TESTING, S.BUILDING)
    assert all(has_gate(status, stage_of(status).forward or S.DONE) for status in GATED)


def test_a_phase_selects_the_statuses_that_show_it() -> None:
    assert statuses_of(P.IMPLEMENTATION) == (S.BUILDING, S.BUILDING_DONE)
    assert statuses_of(P.DESIGN) == (S.ANALYZING,)
    assert phase_of(S.BUILDING_DONE) is P.IMPLEMENTATION


def test_tasks_are_admitted_where_their_phase_maps_and_never_made_behind_the_ticket() -> None:
    for status, phase in itertools.product(S, TASK_PHASES):
        assert admits(status, phase) == (STATUS_OF_PHASE[phase] is status)
    assert is_open_for(S.BUILDING, P.TESTING)
    assert not is_open_for(S.TESTING, P.IMPLEMENTATION)
    assert not any(is_open_for(status, P.BACKLOG) for status in S)
    assert phase_of_task_type(TaskType.FIX_BUG) is P.IMPLEMENTATION
    assert phase_of_task_type(TaskType.DEPLOY) is P.DEPLOYMENT


# --- score ----------------------------------------------------------------------------------------

CALM = {"waited": 0.0, "slack": None, "dependents_open": 0, "retry_count": 0, "max_retries": 3}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 0.45 * 0.5 + 0.05),
        ({"priority": Priority.CRITICAL}, 0.45 + 0.05),
        ({"waited": 1800.0}, 0.45 * 0.5 + 0.20 * 0.5 + 0.05),
        ({"slack": 450.0}, (0.45 * 0.5 + 0.15 * 0.5 + 0.05) * 1.25),
        ({"slack": -1.0}, 0.45 * 0.5 + 0.15 + 0.05),
        ({"slack": 5000.0}, 0.45 * 0.5 + 0.05),
        ({"dependents_open": 5}, 0.45 * 0.5 + 0.15 * 0.5 + 0.05),
        ({"retry_count": 3}, 0.45 * 0.5),
        ({"waited": 7200.0, "priority": Priority.LOW}, 0.6),
    ],
)
def test_a_score_is_what_the_formula_says(change: dict[str, object], expected: float) -> None:
    given_: dict[str, object] = {"priority": Priority.MEDIUM, **CALM, **change}
    assert score(**given_) == pytest.approx(expected)  # pyright: ignore[reportArgumentType]


@given(
    waited=st.floats(0, 1e6),
    more=st.floats(0, 1e6),
    slack=st.none() | st.floats(-1e5, 1e5),
    dependents=st.integers(0, 50),
    retries=st.integers(0, 10),
)
def test_waiting_longer_never_lowers_a_score(
    waited: float, more: float, slack: float | None, dependents: int, retries: int
) -> None:
    def at(seconds: float) -> float:
        return score(
            priority=Priority.LOW,
            waited=seconds,
            slack=slack,
            dependents_open=dependents,
            retry_count=retries,
            max_retries=3,
        )

    assert at(waited + more) >= at(waited)


# --- graphs ---------------------------------------------------------------------------------------

edges = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=40)


@given(edges)
def test_a_cycle_is_found_exactly_when_there_is_one(pairs: list[tuple[int, int]]) -> None:
    needs: dict[str, list[str]] = {}
    for a, b in pairs:
        needs.setdefault(str(a), []).append(str(b))
    cycle = find_cycle(list(needs), lambda node: needs.get(node, ()))
    if cycle is not None:
        assert cycle[0] == cycle[-1]
        assert all(b in needs[a] for a, b in itertools.pairwise(cycle))
    else:
        chain = longest_chain({str(n): needs.get(str(n), []) for n in range(13)})
        assert len(chain) == len(set(chain))
        assert all(a in needs[b] for a, b in itertools.pairwise(chain))


def test_a_very_long_chain_is_no_trouble() -> None:
    needs = {str(n): [str(n + 1)] for n in range(50_000)}
    assert find_cycle(["0"], lambda node: needs.get(node, ())) is None
    assert len(longest_chain(needs)) == 50_000
    needs["49999"] = ["0"]
    assert find_cycle(["7"], lambda node: needs.get(node, ())) is not None
