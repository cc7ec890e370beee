"""What follows from what happened: freed places are filled, tickets whose hindrance is gone go on."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select

from omniforge.board.moves import Moves, system_actor
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import MoveCause, TicketStatus
from omniforge.core.errors import NotFound
from omniforge.db import Database
from omniforge.engine.events import EventRow

FREES = ("ticket.transitioned", "ticket.updated", "column.updated")
"""After these a place in a column may be free."""
FILLS = (
    "ticket.created",
    "ticket.dependencies_changed",
    "ticket.approved",
    "ticket.unblocked",
    "task.created",
    "project.updated",
    "spec.design_approved",
    "spec.imported",
)
"""After these a ticket of the backlog may be ready."""
GOES_ON = (
    "ticket.unblocked",
    "ticket.approved",
    "task.completed",
    "task.cancelled",
    "approval.decided",
    "spec.design_approved",
    "gate.updated",
)
"""After these a ticket may go on from where it stands."""


class Following:
    """A reader of the log. Everything it does is a function of state, so hearing a thing twice is no harm."""

    types = tuple(dict.fromkeys((*FREES, *FILLS, *GOES_ON)))

    def __init__(self, db: Database, moves: Moves) -> None:
        self.db, self.moves = db, moves

    async def hear(self, row: EventRow, tenant_id: str) -> None:
        payload: dict[str, Any] = json.loads(row.payload)
        ids: dict[str, str] = payload.get("ids", {})
        actor = system_actor(tenant_id, "advance")
        project_id = ids.get("project_id")
        if project_id is None:
            return
        try:
            if row.type in GOES_ON:
                for ticket_id in await self._meant(row, payload, ids):
                    await self.moves.advance_ticket(actor, ticket_id, cause=_cause(row))
            for status in self._freed(row, payload):
                await self.moves.release_held(project_id, status)
            if row.type in FILLS or payload.get("to_status") == TicketStatus.DONE:
                await self.moves.pull(actor, project_id)
        except NotFound:
            pass  # what it was about is gone by now

    @staticmethod
    def _freed(row: EventRow, payload: dict[str, Any]) -> list[TicketStatus]:
        """Columns in which a place may be free."""
        match row.type:
            case "ticket.transitioned":
                return [TicketStatus(payload["from_status"])]
            case "column.updated" if "wip_limit" in payload["changes"]:
                return [TicketStatus(payload["status"])]
            case "ticket.updated" if payload["changes"].keys() & {"archived", "start", "spec_id"}:
                return list(TicketStatus)
            case _:
                return []

    async def _meant(self, row: EventRow, payload: dict[str, Any], ids: dict[str, str]) -> list[str]:
        """Tickets that may go on."""
        if (ticket_id := ids.get("ticket_id")) is not None:
            return [ticket_id]
        query = select(TicketRow.id).where(
            TicketRow.project_id == ids["project_id"],
            TicketRow.archived.is_(False),
            TicketRow.status.not_in((TicketStatus.BACKLOG, TicketStatus.DONE)),
        )
        match row.type:
            case "gate.updated":
                query = query.where(TicketRow.status == payload["from_status"])
            case "spec.design_approved":
                query = query.where(TicketRow.spec_id == row.entity.partition(":")[2])
            case _:
                return []
        async with self.db.read() as session:
            return list(await session.scalars(query.order_by(TicketRow.id)))


def _cause(row: EventRow) -> MoveCause:
    """Work that was completed moves a ticket as its result does, whoever of them comes first."""
    return MoveCause.RESULTS if row.type == "task.completed" else MoveCause.AUTO
