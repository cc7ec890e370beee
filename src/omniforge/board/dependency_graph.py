"""Graphs of what waits for what: of one ticket, of a project, around one task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.graphs import longest_chain
from omniforge.board.shapes.graph import (
    BlockedTasks,
    BlockingTask,
    BlockingTasks,
    Graph,
    GraphEdge,
    GraphFigures,
    GraphNode,
)
from omniforge.board.shapes.tasks import TaskBrief
from omniforge.board.store import projects as project_rows
from omniforge.board.store import tasks as store
from omniforge.board.store.tasks import TaskEdgeRow, TaskRow
from omniforge.board.store.tickets import TicketEdgeRow, TicketRow, get_ticket
from omniforge.board.vocabulary import PhaseId, Priority, TaskStatus, TaskType, TicketStatus
from omniforge.board.workflow import phase_of
from omniforge.core.actor import Actor
from omniforge.db import Database

Pairs = Sequence[tuple[str, str]]
"""(what waits, what it waits for)."""


class DependencyGraphs:
    def __init__(self, db: Database) -> None:
        self.db = db

    async def of_ticket(self, actor: Actor, ticket_id: str, *, include_resolved: bool) -> Graph:
        """Its tasks, and those of other tickets that they wait for."""
        actor.require("board:view")
        async with self.db.read() as session:
            ticket = await get_ticket(session, actor, ticket_id)
            own = select(TaskRow.id).where(TaskRow.ticket_id == ticket.id)
            awaited = select(TaskEdgeRow.depends_on_task_id).where(TaskEdgeRow.task_id.in_(own))
            query = select(TaskRow).where(
                TaskRow.tenant_id == actor.tenant_id,
                or_(TaskRow.ticket_id == ticket.id, TaskRow.id.in_(awaited)),
            )
            tasks = list(await session.scalars(query.order_by(TaskRow.created_at, TaskRow.id)))
            pairs = await _pairs(session, actor, TaskEdgeRow.task_id.in_(own))
        return _graph(tasks, pairs, (), (), include_resolved=include_resolved)

    async def of_project(self, actor: Actor, project_id: str, *, include_resolved: bool) -> Graph:
        """Tickets that stand on the board, and every task of theirs."""
        actor.require("board:view")
        async with self.db.read() as session:
            project = await project_rows.get_project(session, actor, project_id)
            standing = (TicketRow.project_id == project.id, TicketRow.archived.is_(False))
            query = select(TicketRow).where(*standing).order_by(TicketRow.created_at, TicketRow.id)
            tickets = list(await session.scalars(query))
            mine = select(TicketRow.id).where(*standing)
            own = select(TaskRow).where(TaskRow.project_id == project.id, TaskRow.ticket_id.in_(mine))
            tasks = list(await session.scalars(own.order_by(TaskRow.created_at, TaskRow.id)))
            ids = select(TaskRow.id).where(TaskRow.project_id == project.id)
            pairs = await _pairs(session, actor, TaskEdgeRow.task_id.in_(ids))
            waiting = (TicketEdgeRow.ticket_id, TicketEdgeRow.depends_on_ticket_id)
            found = await session.execute(select(*waiting).where(TicketEdgeRow.ticket_id.in_(mine)))
            ticket_pairs = [(one, other) for one, other in found]
        return _graph(tasks, pairs, tickets, ticket_pairs, include_resolved=include_resolved)

    async def blocked_by(self, actor: Actor, task_id: str) -> BlockedTasks:
        """What waits for this task."""
        actor.require("board:view")
        async with self.db.read() as session:
            task = await store.get_task(session, actor, task_id)
            rows = await store.dependents_of(session, task.id)
        waiting = [TaskBrief.model_validate(row) for row in rows]
        return BlockedTasks(task_id=task.id, blocked_tasks=waiting, blocked_count=len(waiting))

    async def blocking(self, actor: Actor, task_id: str) -> BlockingTasks:
        """What this task waits for."""
        actor.require("board:view")
        async with self.db.read() as session:
            task = await store.get_task(session, actor, task_id)
            rows = await store.awaited_by(session, task.id)
        awaited = [
            BlockingTask(
                **dict(TaskBrief.model_validate(row)), is_complete=row.status == TaskStatus.COMPLETED
            )
            for row in rows
        ]
        complete = task.remaining == 0
        return BlockingTasks(task_id=task.id, blocking_tasks=awaited, all_dependencies_complete=complete)


async def _pairs(session: AsyncSession, actor: Actor, where: ColumnElement[bool]) -> list[tuple[str, str]]:
    columns = (TaskEdgeRow.task_id, TaskEdgeRow.depends_on_task_id)
    query = select(*columns).where(TaskEdgeRow.tenant_id == actor.tenant_id, where)
    return [(one, other) for one, other in await session.execute(query)]


def _graph(
    tasks: Iterable[TaskRow],
    pairs: Pairs,
    tickets: Sequence[TicketRow],
    ticket_pairs: Pairs,
    *,
    include_resolved: bool,
) -> Graph:
    shown = [task for task in tasks if include_resolved or task.status != TaskStatus.COMPLETED]
    cards = [one for one in tickets if include_resolved or one.status != TicketStatus.DONE]
    nodes = [*_ticket_nodes(cards, tickets, ticket_pairs), *map(_task_node, shown)]
    edges = _edges(shown, pairs, {one.id for one in cards}, ticket_pairs)
    path = _critical_path(shown, pairs)
    figures = GraphFigures(
        total_tasks=len(shown),
        blocked_count=sum(node.is_blocked for node in nodes if node.type == "task"),
        resolved_count=sum(task.status == TaskStatus.COMPLETED for task in shown),
        total_edges=len(edges),
        critical_path=path,
        critical_path_length=len(path),
    )
    return Graph(nodes=nodes, edges=edges, metadata=figures)


def _edges(
    shown: Sequence[TaskRow], pairs: Pairs, cards: Collection[str], ticket_pairs: Pairs
) -> list[GraphEdge]:
    """Those of which both ends are shown."""
    ids = {task.id for task in shown}
    edges = [
        GraphEdge(source=awaited, target=waiting, type="depends_on")
        for waiting, awaited in sorted(pairs)
        if waiting in ids and awaited in ids
    ]
    edges += [
        GraphEdge(source=awaited, target=waiting, type="ticket_depends_on")
        for waiting, awaited in sorted(ticket_pairs)
        if waiting in cards and awaited in cards
    ]
    edges += [
        GraphEdge(source=task.parent_task_id, target=task.id, type="parent_child")
        for task in shown
        if task.parent_task_id in ids
    ]
    edges += [
        GraphEdge(source=task.ticket_id, target=task.id, type="ticket_contains")
        for task in shown
        if task.ticket_id in cards
    ]
    return edges


def _task_node(task: TaskRow) -> GraphNode:
    return GraphNode(
        id=task.id,
        type="task",
        ref=task.ref,
        label=task.title,
        status=task.status,
        phase_id=PhaseId(task.phase_id),
        priority=Priority(task.priority),
        task_type=TaskType(task.task_type),
        is_blocked=task.remaining > 0 and not TaskStatus(task.status).is_finished,
        blocks_count=task.dependents_open,
        ticket_id=task.ticket_id,
        sandbox_id=task.sandbox_id,
        created_at=task.created_at,
        started_at=task.started_at,
        completed_at=task.completed_at,
    )


def _ticket_nodes(cards: Sequence[TicketRow], tickets: Sequence[TicketRow], pairs: Pairs) -> list[GraphNode]:
    done = {ticket.id for ticket in tickets if ticket.status == TicketStatus.DONE}
    waiting = Counter(awaited for ticket_id, awaited in pairs if ticket_id not in done)
    return [
        GraphNode(
            id=ticket.id,
            type="ticket",
            ref=ticket.ref,
            label=ticket.title,
            status=ticket.status,
            phase_id=phase_of(TicketStatus(ticket.status)),
            priority=Priority(ticket.priority),
            is_blocked=ticket.is_blocked or ticket.open_dependencies > 0,
            blocks_count=waiting[ticket.id],
            created_at=ticket.created_at,
            completed_at=ticket.status_since if ticket.id in done else None,
        )
        for ticket in cards
    ]


def _critical_path(shown: Sequence[TaskRow], pairs: Pairs) -> list[str]:
    """The longest chain of what is not finished."""
    unfinished = {task.id for task in shown if not TaskStatus(task.status).is_finished}
    needs: dict[str, list[str]] = {task_id: [] for task_id in unfinished}
    for waiting, awaited in pairs:
        if waiting in unfinished and awaited in unfinished:
            needs[waiting].append(awaited)
    return longest_chain(needs)
