"""What people let tickets wait for."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.errors import PreconditionFailed
from omniforge.board.shapes.surroundings import Waits
from omniforge.board.store.tickets import TicketRow, get_ticket
from omniforge.board.ticket_edges import TicketEdges, awaited_by, waiting_for
from omniforge.board.vocabulary import TicketStatus
from omniforge.core.actor import Actor
from omniforge.db import Database
from omniforge.engine.events import EventLog


class Dependencies:
    def __init__(self, db: Database, events: EventLog, edges: TicketEdges) -> None:
        self.db, self.events, self.edges = db, events, edges

    async def get(self, actor: Actor, ticket_id: str) -> Waits:
        actor.require("board:view")
        async with self.db.read() as session:
            return await _shown(session, await get_ticket(session, actor, ticket_id))

    async def put(self, actor: Actor, ticket_id: str, depends_on: Collection[str]) -> Waits:
        """Wait for exactly these tickets of the project. `DependencyCycle` where it would wait for itself,
        also through its tasks; `PreconditionFailed` once it is done."""
        actor.require("board:edit")
        async with self.db.transaction() as session:
            ticket = await get_ticket(session, actor, ticket_id, lock=True)
            if ticket.status == TicketStatus.DONE or ticket.archived:
                state = "archived" if ticket.archived else "done"
                message = f"This ticket is {state}; what it waits for is not changed any more."
                raise PreconditionFailed(message, status=ticket.status)
            events = await self.edges.set_in(session, actor, ticket, depends_on)
            await self.events.append(session, actor.tenant_id, *events)
            return await _shown(session, ticket)


async def _shown(session: AsyncSession, ticket: TicketRow) -> Waits:
    return Waits(
        ticket_id=ticket.id,
        depends_on=await awaited_by(session, ticket.id),
        blocks=await waiting_for(session, ticket.id),
        dependencies_complete=ticket.open_dependencies == 0,
    )
