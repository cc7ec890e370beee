"""HTTP of what surrounds a ticket: blocks, dependencies, comments, commits, context."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from omniforge.board.endpoints.projects import Board
from omniforge.board.shapes.blocking import BlockGiven
from omniforge.board.shapes.surroundings import (
    Comment,
    CommentGiven,
    CommentList,
    Commit,
    CommitGiven,
    CommitList,
    ContextGiven,
    ContextUpdated,
    TicketContext,
    Waits,
    WaitsGiven,
)
from omniforge.board.shapes.tickets import Ticket
from omniforge.core.paging import Paging
from omniforge.tenants import CurrentActor

Page = Annotated[Paging, Query()]

router = APIRouter(prefix="/api/v1/tickets/{ticket_id}", tags=["tickets"])


@router.post("/block")
async def block_ticket(ticket_id: str, body: BlockGiven, actor: CurrentActor, board: Board) -> Ticket:
    await board.hindrances.block(actor, ticket_id, body)
    return await board.tickets.get(actor, ticket_id)


@router.post("/unblock")
async def unblock_ticket(ticket_id: str, actor: CurrentActor, board: Board) -> Ticket:
    """It goes on as far as its state allows; nothing happens to one that is not blocked."""
    await board.hindrances.unblock(actor, ticket_id)
    return await board.tickets.get(actor, ticket_id)


@router.get("/dependencies")
async def get_dependencies(ticket_id: str, actor: CurrentActor, board: Board) -> Waits:
    return await board.dependencies.get(actor, ticket_id)


@router.put("/dependencies")
async def set_dependencies(ticket_id: str, body: WaitsGiven, actor: CurrentActor, board: Board) -> Waits:
    """Wait for exactly these."""
    return await board.dependencies.put(actor, ticket_id, body.depends_on)


@router.get("/comments")
async def list_comments(ticket_id: str, actor: CurrentActor, board: Board, paging: Page) -> CommentList:
    return await board.conversation.page(actor, ticket_id, paging)


@router.post("/comments", status_code=201)
async def comment_ticket(ticket_id: str, body: CommentGiven, actor: CurrentActor, board: Board) -> Comment:
    return await board.conversation.say(actor, ticket_id, body)


@router.get("/commits")
async def list_commits(ticket_id: str, actor: CurrentActor, board: Board, paging: Page) -> CommitList:
    return await board.commits.page(actor, ticket_id, paging)


@router.post("/commits", status_code=201)
async def link_commit(
    ticket_id: str, body: CommitGiven, actor: CurrentActor, board: Board, response: Response
) -> Commit:
    """200 with the one that is linked already."""
    commit, is_first = await board.commits.add(actor, ticket_id, body)
    response.status_code = 201 if is_first else 200
    return commit


@router.get("/context")
async def get_context(ticket_id: str, actor: CurrentActor, board: Board) -> TicketContext:
    return await board.contexts.get(actor, ticket_id)


@router.post("/update-context")
async def update_context(
    ticket_id: str, body: ContextGiven, actor: CurrentActor, board: Board
) -> ContextUpdated:
    """Fold the completed work of a phase into the context."""
    return ContextUpdated(summary=await board.contexts.fold(actor, ticket_id, body.phase_id))
