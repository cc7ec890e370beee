"""HTTP of tickets: make, find, change and move them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from omniforge.board.endpoints.projects import Board
from omniforge.board.shapes.tickets import (
    History,
    Progressed,
    Regress,
    Ticket,
    TicketChanges,
    TicketDetail,
    TicketGiven,
    TicketList,
    TicketQuery,
    Transition,
)
from omniforge.core.paging import Paging
from omniforge.tenants import CurrentActor

router = APIRouter(prefix="/api/v1", tags=["tickets"])


@router.get("/tickets")
async def list_tickets(
    actor: CurrentActor, board: Board, query: Annotated[TicketQuery, Query()]
) -> TicketList:
    """Newest first. Their legal targets are told without asking each one's gate."""
    return await board.tickets.find(actor, query)


@router.post("/tickets", status_code=201)
async def create_ticket(body: TicketGiven, actor: CurrentActor, board: Board) -> Ticket:
    return await board.tickets.create(actor, body)


@router.get("/tickets/{ticket_id}")
async def get_ticket(ticket_id: str, actor: CurrentActor, board: Board) -> TicketDetail:
    return await board.tickets.detail(actor, ticket_id)


@router.patch("/tickets/{ticket_id}")
async def change_ticket(ticket_id: str, body: TicketChanges, actor: CurrentActor, board: Board) -> Ticket:
    return await board.tickets.change(actor, ticket_id, body)


@router.post("/tickets/{ticket_id}/transition")
async def move_ticket(ticket_id: str, body: Transition, actor: CurrentActor, board: Board) -> Ticket:
    """A refusal tells where it may go instead, and starts checks that the gate still lacks."""
    return await board.tickets.transition(actor, ticket_id, body)


@router.post("/tickets/{ticket_id}/progress")
async def progress_ticket(ticket_id: str, actor: CurrentActor, board: Board) -> Progressed:
    """One step on, if its state allows; it is no error when it does not."""
    return await board.tickets.progress(actor, ticket_id)


@router.post("/tickets/{ticket_id}/regress")
async def regress_ticket(ticket_id: str, body: Regress, actor: CurrentActor, board: Board) -> Ticket:
    return await board.tickets.regress(actor, ticket_id, body)


@router.get("/tickets/{ticket_id}/history")
async def ticket_history(
    ticket_id: str, actor: CurrentActor, board: Board, paging: Annotated[Paging, Query()]
) -> History:
    return await board.tickets.history(actor, ticket_id, paging)
