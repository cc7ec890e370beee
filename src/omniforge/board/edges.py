"""What tasks and tickets wait for: one graph over both, its counters, and no way round in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from omniforge.board.admission import admit, task_event
from omniforge.board.errors import DependencyCycle
from omniforge.board.graphs import find_cycle
from omniforge.board.store import tasks as store
from omniforge.board.store.tasks import TaskEdgeRow, TaskRow
from omniforge.board.store.tickets import TicketEdgeRow
from omniforge.board.vocabulary import TaskStatus
from omniforge.engine.events import Event

AT_ONCE = 500
"""Ids in one question to the database."""


@dataclass(frozen=True, slots=True)
class Edge:
    """`waiting` waits for `awaited`: both are tasks, or both are tickets."""

    waiting: str
    awaited: str
    of_tickets: bool = False


# --- no way round ------------------------------------------------------------------------------------------


async def check_cycle(session: AsyncSession, tenant_id: str, project_id: str, added: Sequence[Edge]) -> None:
    """Refuse with `DependencyCycle` what would make something wait for itself. Ask after the rows of new
    tasks and tickets are written, in the transaction that writes the edges."""
    cycle = await find_way_round(session, tenant_id, added)
    if cycle is not None:
        message = "This would make something wait for itself: " + " waits for ".join(cycle[:8])
        raise DependencyCycle(message + (" …" if len(cycle) > 8 else ""), cycle=cycle, project_id=project_id)


async def find_way_round(session: AsyncSession, tenant_id: str, added: Sequence[Edge]) -> list[str] | None:
    """The ids on a cycle that these edges would close, as `[a, …, a]`; None when there is none.

    A ticket starts and ends: its start waits for the ends of the tickets it depends on, its tasks wait for
    its start, and its end for its tasks. So it is found when a task waits for a ticket that waits for it.
    """
    graph = _Graph(session, tenant_id)
    for edge in added:
        graph.add(edge)
    await graph.walk()
    starts = [_start(edge.waiting) if edge.of_tickets else _task(edge.waiting) for edge in added]
    # Straight from a ticket's end to its start, where it is all the same whether through one of its tasks.
    nodes = find_cycle(starts, lambda node: sorted(graph.needs[node], reverse=True))
    return None if nodes is None else _named(nodes, {edge.waiting for edge in added})


Node = tuple[str, str]
"""What it is (`task`, `start` or `end` of a ticket), and its id."""


def _task(task_id: str) -> Node:
    return ("task", task_id)


def _start(ticket_id: str) -> Node:
    return ("start", ticket_id)


def _end(ticket_id: str) -> Node:
    return ("end", ticket_id)


class _Graph:
    """What can be reached from some edges. Reads only that, however large the board is."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self.session, self.tenant_id = session, tenant_id
        self.needs: defaultdict[Node, set[Node]] = defaultdict(set)
        self._tasks: set[str] = set()
        self._tickets: set[str] = set()
        self._seen_tasks: set[str] = set()
        self._seen_tickets: set[str] = set()
        self._ended: set[str] = set()

    def add(self, edge: Edge) -> None:
        if edge.of_tickets:
            self.needs[_start(edge.waiting)].add(_end(edge.awaited))
            self._tickets |= {edge.waiting, edge.awaited}
            self._ends([edge.awaited])
        else:
            self.needs[_task(edge.waiting)].add(_task(edge.awaited))
            self._tasks |= {edge.waiting, edge.awaited}

    def _ends(self, ticket_ids: Iterable[str]) -> None:
        for ticket_id in ticket_ids:
            self.needs[_end(ticket_id)].add(_start(ticket_id))

    async def walk(self) -> None:
        """Follow everything to its end. Ends are followed into their tasks only where somebody waits for
        them."""
        while self._tasks or self._tickets:
            tasks, self._tasks = self._tasks - self._seen_tasks, set()
            self._seen_tasks |= tasks
            for part in _parts(tasks):
                await self._follow_tasks(part)
            tickets, self._tickets = self._tickets - self._seen_tickets, set()
            self._seen_tickets |= tickets
            for part in _parts(tickets):
                await self._follow_tickets(part)

    async def _follow_tasks(self, ids: Collection[str]) -> None:
        found = await _closure(self.session, _TASKS, self.tenant_id, ids)
        for waiting, awaited in found:
            self.needs[_task(waiting)].add(_task(awaited))
        reached = {*ids, *(awaited for _, awaited in found)}
        self._seen_tasks |= reached
        for task_id, ticket_id in await self._placed(TaskRow.id, reached):
            self.needs[_task(task_id)].add(_start(ticket_id))
            self._tickets.add(ticket_id)

    async def _follow_tickets(self, ids: Collection[str]) -> None:
        awaited = {ticket_id for ticket_id in ids if _end(ticket_id) in self.needs}
        for waiting, needed in await _closure(self.session, _TICKETS, self.tenant_id, ids):
            self.needs[_start(waiting)].add(_end(needed))
            awaited.add(needed)
        self._ends(awaited)
        self._seen_tickets |= awaited
        for task_id, ticket_id in await self._placed(TaskRow.ticket_id, awaited - self._ended):
            self.needs[_end(ticket_id)].add(_task(task_id))
            self._tasks.add(task_id)
        self._ended |= awaited

    async def _placed(
        self, column: InstrumentedAttribute[str], ids: Collection[str]
    ) -> list[tuple[str, str]]:
        """Tasks with their tickets, where `column` is one of the ids."""
        found: list[tuple[str, str]] = []
        for part in _parts(ids):
            query = select(TaskRow.id, TaskRow.ticket_id).where(
                column.in_(part), TaskRow.tenant_id == self.tenant_id
            )
            found += [(task_id, ticket_id) for task_id, ticket_id in await self.session.execute(query)]
        return found


_Columns = tuple[InstrumentedAttribute[str], InstrumentedAttribute[str], InstrumentedAttribute[str]]
_TASKS: _Columns = (TaskEdgeRow.task_id, TaskEdgeRow.depends_on_task_id, TaskEdgeRow.tenant_id)
_TICKETS: _Columns = (TicketEdgeRow.ticket_id, TicketEdgeRow.depends_on_ticket_id, TicketEdgeRow.tenant_id)


async def _closure(
    session: AsyncSession, columns: _Columns, tenant_id: str, ids: Collection[str]
) -> list[tuple[str, str]]:
    """Every edge that can be reached from these, in one question however long the chains are."""
    waiting, awaited, tenant = columns
    first = select(waiting.label("waiting"), awaited.label("awaited"))
    reached = first.where(waiting.in_(ids), tenant == tenant_id).cte(recursive=True)
    further = first.join(reached, waiting == reached.c.awaited).where(tenant == tenant_id)
    rows = await session.execute(select(reached.union(further)))
    return [(one, other) for one, other in rows]


def _parts(ids: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(ids)
    for begin in range(0, len(ordered), AT_ONCE):
        yield ordered[begin : begin + AT_ONCE]


def _named(nodes: Sequence[Node], preferred: Collection[str]) -> list[str]:
    """The ids on a cycle; a ticket that ends and starts is named once. Begins with a preferred one."""
    faces = (("end", node_id) for _, node_id in nodes)
    ids = [nodes[0][1]]
    for before, node, face in zip(nodes, nodes[1:], faces, strict=False):
        if not (before == face and node == _start(before[1])):
            ids.append(node[1])
    body = ids[:-1]
    begin = next((place for place, name in enumerate(body) if name in preferred), 0)
    return [*body[begin:], *body[:begin], body[begin]]


# --- edges and their counters ------------------------------------------------------------------------------


async def link(
    session: AsyncSession, task: TaskRow, added: Collection[str], removed: Collection[str] = ()
) -> None:
    """Write and take away edges of a task that is written and locked. NotFound for a task nobody knows,
    `DependencyCycle` for a way round."""
    if added:
        awaited = await store.known_tasks(session, task.tenant_id, added, lock=True)
        await check_cycle(
            session, task.tenant_id, task.project_id, [Edge(task.id, one) for one in sorted(added)]
        )
        for other in awaited:
            session.add(TaskEdgeRow(task_id=task.id, depends_on_task_id=other.id, tenant_id=task.tenant_id))
            other.dependents_open += 1
            task.remaining += _counts(other)
    for other in await store.known_tasks(session, task.tenant_id, removed, lock=True):
        await session.delete(await session.get_one(TaskEdgeRow, (task.id, other.id)))
        other.dependents_open -= 1
        task.remaining -= _counts(other)
    await session.flush()


def _counts(awaited: TaskRow) -> int:
    """Only what is completed is waited for no longer; what is cancelled is waited for in vain."""
    return 0 if awaited.status == TaskStatus.COMPLETED else 1


async def let_go(session: AsyncSession, task: TaskRow, now: datetime, by: str) -> list[Event]:
    """Call once when a task is completed or cancelled: what it waited for has one less behind it, and what
    waited for a completed one goes on, in the order of ids."""
    for awaited in await store.awaited_by(session, task.id, lock=True):
        awaited.dependents_open -= 1
    events: list[Event] = []
    if task.status == TaskStatus.COMPLETED:
        for waiting in await store.dependents_of(session, task.id, lock=True):
            waiting.remaining -= 1
            if waiting.remaining == 0 and waiting.status == TaskStatus.PENDING:
                waiting.updated_at = now
                events.append(task_event("task.unblocked", waiting, now, by, by_task_id=task.id))
                events += admit(waiting, *await store.home_of(session, waiting), now, by)
    await session.flush()
    return events
