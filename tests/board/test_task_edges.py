"""What waits for what: no way round of any length, over tasks and tickets, also when two ask at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.board.task_stage import OWNER, Stage

from omniforge.board import edges
from omniforge.board.edges import Edge
from omniforge.board.errors import DependencyCycle
from omniforge.board.task_edits import TaskEdits
from omniforge.board.vocabulary import TicketStatus
from omniforge.db import Database


@pytest.fixture
def stage(database: Database) -> Stage:
    return Stage(database)


@pytest.fixture
def edits(stage: Stage) -> TaskEdits:
    return TaskEdits(stage.db, stage.tasks)


@pytest.fixture
async def elsewhere(database: Database) -> AsyncIterator[TaskEdits]:
    """Another process: a connection of its own to the same database."""
    db = Database(database.url)
    stage = Stage(db)
    yield TaskEdits(db, stage.tasks)
    await db.close()


@pytest.mark.parametrize("length", [1, 2, 3, 7, 40])
async def test_a_cycle_of_any_length_is_refused_with_its_way(
    stage: Stage, edits: TaskEdits, length: int
) -> None:
    ticket = await stage.ticket(await stage.project())
    chain = [await stage.task(ticket)]
    for _ in range(length - 1):
        chain.append(await stage.task(ticket, chain[-1]))
    with pytest.raises(DependencyCycle) as refused:
        await edits.add_dependencies(OWNER, chain[0], [chain[-1]])
    assert refused.value.details["cycle"] == [chain[0], *chain[:0:-1], chain[0]]
    assert len(await stage.edges()) == length - 1
    first = await stage.get(chain[0])
    assert (first.remaining, first.status) == (0, "queued")


@pytest.mark.both_stores
async def test_a_task_may_not_wait_for_a_ticket_that_waits_for_it(stage: Stage, edits: TaskEdits) -> None:
    project = await stage.project()
    early, late = await stage.ticket(project), await stage.ticket(project, TicketStatus.BACKLOG)
    await stage.tickets_wait(late, early)
    needed, later = await stage.task(early), await stage.task(late)
    with pytest.raises(DependencyCycle) as refused:
        await edits.add_dependencies(OWNER, needed, [later])
    cycle = refused.value.details["cycle"]
    assert (cycle[0], cycle[-1], set(cycle)) == (needed, needed, {needed, later, late, early})
    await edits.add_dependencies(OWNER, later, [needed])


async def test_tickets_may_not_wait_for_each_other_however_far(stage: Stage, edits: TaskEdits) -> None:
    project = await stage.project()
    a, b, c = [await stage.ticket(project, TicketStatus.BACKLOG) for _ in range(3)]
    await stage.tickets_wait(b, a)
    in_b, in_c = await stage.task(b), await stage.task(c)
    await edits.add_dependencies(OWNER, in_c, [in_b])

    async def refused(waiting: str, awaited: str) -> list[str]:
        with pytest.raises(DependencyCycle) as cycle:
            async with stage.db.transaction() as session:
                await edges.check_cycle(
                    session, "default", project, [Edge(waiting, awaited, of_tickets=True)]
                )
        return cycle.value.details["cycle"]

    assert await refused(a, a) == [a, a]
    assert await refused(a, b) == [a, b, a]
    assert set(await refused(a, c)) == {a, b, c, in_b, in_c}
    async with stage.db.transaction() as session:
        await edges.check_cycle(session, "default", project, [Edge(c, a, of_tickets=True)])


async def test_edges_that_only_together_close_a_cycle_are_refused_together(stage: Stage) -> None:
    project = await stage.project()
    ticket = await stage.ticket(project)
    a, b, c = [await stage.task(ticket) for _ in range(3)]
    async with stage.db.read() as session:
        assert await edges.find_way_round(session, "default", [Edge(a, b), Edge(b, c)]) is None
        cycle = await edges.find_way_round(session, "default", [Edge(a, b), Edge(b, c), Edge(c, a)])
    assert cycle == [a, b, c, a]


async def test_a_wide_web_without_a_cycle_is_taken(stage: Stage, edits: TaskEdits) -> None:
    ticket = await stage.ticket(await stage.project())
    layer = [await stage.task(ticket) for _ in range(6)]
    for _ in range(3):
        layer = [await stage.task(ticket, *layer) for _ in range(6)]
    assert {(await stage.get(task)).remaining for task in layer} == {6}
    await edits.set_dependencies(OWNER, layer[0], [])
    assert await stage.status(layer[0]) == ["queued"]


@pytest.mark.both_stores
async def test_of_two_that_only_together_close_a_cycle_one_wins(
    stage: Stage, edits: TaskEdits, elsewhere: TaskEdits
) -> None:
    ticket = await stage.ticket(await stage.project())
    for _ in range(8):
        a, b, c = [await stage.task(ticket) for _ in range(3)]
        await edits.add_dependencies(OWNER, b, [c])
        done = await asyncio.gather(
            edits.add_dependencies(OWNER, a, [b]),
            elsewhere.add_dependencies(OWNER, c, [a]),
            return_exceptions=True,
        )
        refused = [one for one in done if one is not None]
        assert [type(one) for one in refused] == [DependencyCycle]
        assert len({(a, b), (c, a)} & await stage.edges()) == 1


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=14))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_edges_stay_without_cycles_whatever_is_asked_for(
    stage: Stage, edits: TaskEdits, wanted: list[tuple[int, int]]
) -> None:
    ticket = await stage.ticket(await stage.project())
    tasks = [await stage.task(ticket) for _ in range(7)]
    kept: set[tuple[int, int]] = set()
    for waiting, awaited in wanted:
        would_close = _reaches(kept, awaited, waiting)
        try:
            await edits.add_dependencies(OWNER, tasks[waiting], [tasks[awaited]])
        except DependencyCycle as refused:
            assert would_close
            cycle = refused.details["cycle"]
            numbers = [tasks.index(name) for name in cycle]
            steps = set(pairwise(numbers))
            assert steps <= kept | {(waiting, awaited)}
        else:
            assert not would_close
            kept.add((waiting, awaited))
    for number, task in enumerate(tasks):
        row = await stage.get(task)
        assert row.remaining == sum(one == number for one, _ in kept)
        assert row.dependents_open == sum(other == number for _, other in kept)


def _reaches(kept: set[tuple[int, int]], start: int, goal: int) -> bool:
    seen, todo = set[int](), [start]
    while todo:
        node = todo.pop()
        if node == goal:
            return True
        if node not in seen:
            seen.add(node)
            todo += [awaited for waiting, awaited in kept if waiting == node]
    return False
