"""What tickets wait for: edges between them, counted where they are made."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import unblocking
from omniforge.board.edges import Edge, check_cycle
from omniforge.board.moving import ticket_event
from omniforge.board.ports import Tasks
from omniforge.board.store.tickets import TicketEdgeRow, TicketRow
from omniforge.board.vocabulary import TicketStatus
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock
from omniforge.core.errors import NotFound
from omniforge.engine.events import Event

Pair = tuple[str, str]
"""(who waits, for whom)."""


class TicketEdges:
    def __init__(self, tasks: Tasks, clock: Clock) -> None:
        self.tasks, self.clock = tasks, clock

    async def link_in(
        self,
        session: AsyncSession,
        actor: Actor,
        ticket: TicketRow,
        depends_on: Sequence[str],
        blocks: Sequence[str],
    ) -> list[Event]:
        """Edges of a ticket in both directions, beside those it has. NotFound for tickets of other projects,
        `DependencyCycle` where somebody would wait for himself. The events are the caller's to write."""
        wanted = {(ticket.id, other) for other in depends_on} | {(other, ticket.id) for other in blocks}
        known = await self._known(session, ticket, {one for pair in wanted for one in pair})
        kept = select(TicketEdgeRow.ticket_id, TicketEdgeRow.depends_on_ticket_id)
        kept = kept.where(TicketEdgeRow.ticket_id.in_(known), TicketEdgeRow.depends_on_ticket_id.in_(known))
        added = sorted(wanted - {(row[0], row[1]) for row in await session.execute(kept)})
        if not added:
            return []
        edges = [Edge(waiting, awaited, of_tickets=True) for waiting, awaited in added]
        await check_cycle(session, ticket.tenant_id, ticket.project_id, edges)
        session.add_all(
            TicketEdgeRow(ticket_id=waiting, depends_on_ticket_id=awaited, tenant_id=ticket.tenant_id)
            for waiting, awaited in added
        )
        return await self._count(session, actor, known, added)

    async def set_in(
        self, session: AsyncSession, actor: Actor, ticket: TicketRow, depends_on: Collection[str]
    ) -> list[Event]:
        """A ticket that is locked waits for exactly these. Refuses as `link_in` does; the events are the
        caller's to write."""
        kept = set(await awaited_by(session, ticket.id))
        added, removed = sorted(set(depends_on) - kept), sorted(kept - set(depends_on))
        if not added and not removed:
            return []
        known = await self._known(session, ticket, {ticket.id, *added, *removed})
        gone = TicketEdgeRow.depends_on_ticket_id.in_(removed)
        await session.execute(delete(TicketEdgeRow).where(TicketEdgeRow.ticket_id == ticket.id, gone))
        if added:
            edges = [Edge(ticket.id, one, of_tickets=True) for one in added]
            await check_cycle(session, ticket.tenant_id, ticket.project_id, edges)
        session.add_all(
            TicketEdgeRow(ticket_id=ticket.id, depends_on_ticket_id=one, tenant_id=ticket.tenant_id)
            for one in added
        )
        is_open = {one: row.status != TicketStatus.DONE for one, row in known.items()}
        ticket.open_dependencies += sum(is_open[one] for one in added) - sum(is_open[one] for one in removed)
        ticket.updated_at = now = self.clock.now()
        told = {"added": added, "removed": removed}
        events = [ticket_event("ticket.dependencies_changed", ticket, now, actor.by, **told)]
        events += await self.tasks.readmit_ticket(session, ticket)
        return events + await unblocking.drop(
            session,
            ticket,
            lambda one: one.get("kind") == "ticket" and one.get("id") in removed,
            self.tasks,
            now,
            actor.by,
            "ticket",
        )

    async def _known(self, session: AsyncSession, ticket: TicketRow, ids: set[str]) -> dict[str, TicketRow]:
        query = (
            select(TicketRow)
            .where(
                TicketRow.id.in_(ids),
                TicketRow.tenant_id == ticket.tenant_id,
                TicketRow.project_id == ticket.project_id,
            )
            .order_by(TicketRow.id)
            .with_for_update()
        )
        found = {row.id: row for row in await session.scalars(query)}
        if missing := ids - found.keys():
            raise NotFound("There is no such ticket in this project.", ticket_ids=sorted(missing))
        return found

    async def _count(
        self, session: AsyncSession, actor: Actor, known: dict[str, TicketRow], added: Sequence[Pair]
    ) -> list[Event]:
        events: list[Event] = []
        for waiting in dict.fromkeys(waiting for waiting, _ in added):
            awaited = [other for one, other in added if one == waiting]
            row = known[waiting]
            row.open_dependencies += sum(known[one].status != TicketStatus.DONE for one in awaited)
            told = {"added": awaited, "removed": list[str]()}
            name = "ticket.dependencies_changed"
            events.append(ticket_event(name, row, self.clock.now(), actor.by, **told))
        await session.flush()
        for waiting in dict.fromkeys(waiting for waiting, _ in added):
            events += await self.tasks.readmit_ticket(session, known[waiting])
        return events


async def awaited_by(session: AsyncSession, ticket_id: str) -> list[str]:
    """Ids of what a ticket waits for, done or not."""
    edge = TicketEdgeRow
    query = select(edge.depends_on_ticket_id).where(edge.ticket_id == ticket_id)
    return list(await session.scalars(query.order_by(edge.depends_on_ticket_id)))


async def waiting_for(session: AsyncSession, ticket_id: str) -> list[str]:
    """Ids of what waits for a ticket."""
    edge = TicketEdgeRow
    query = select(edge.ticket_id).where(edge.depends_on_ticket_id == ticket_id)
    return list(await session.scalars(query.order_by(edge.ticket_id)))
