"""HTTP of the board: columns, cards, moves, figures, phases."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from omniforge.board.endpoints.projects import Board
from omniforge.board.shapes.board import (
    AutoTransition,
    BoardStats,
    BoardView,
    Column,
    ColumnChanges,
    Columns,
    Moved,
    MoveGiven,
    PhaseCounts,
    Phases,
    ViewQuery,
    Violations,
)
from omniforge.board.shapes.words import Id
from omniforge.tenants import CurrentActor

InProject = Annotated[Id, Query()]
MaybeProject = Annotated[Id | None, Query()]

router = APIRouter(prefix="/api/v1", tags=["board"])
phases_by_id = APIRouter(prefix="/api/v1", tags=["board"])


@router.get("/board/view")
async def view_board(actor: CurrentActor, board: Board, query: Annotated[ViewQuery, Query()]) -> BoardView:
    """Without a project: the tickets of all projects by status, without limits."""
    return await board.views.view(actor, query)


@router.post("/board/move")
async def move_card(body: MoveGiven, actor: CurrentActor, board: Board) -> Moved:
    """To a column, or to another place in its own."""
    return await board.tickets.move(actor, body)


@router.get("/board/column/{phase_id}")
async def get_column(phase_id: str, actor: CurrentActor, board: Board, project_id: InProject) -> Column:
    """By phase or by status."""
    return await board.columns.one(actor, project_id, phase_id)


@router.get("/board/columns")
async def list_columns(actor: CurrentActor, board: Board, project_id: InProject) -> Columns:
    return await board.columns.all(actor, project_id)


@router.patch("/board/columns/{status}")
async def change_column(status: str, body: ColumnChanges, actor: CurrentActor, board: Board) -> Column:
    return await board.columns.change(actor, status, body)


@router.get("/board/stats")
async def board_stats(actor: CurrentActor, board: Board, project_id: MaybeProject = None) -> BoardStats:
    return await board.columns.stats(actor, project_id)


@router.get("/board/wip-violations")
async def wip_violations(actor: CurrentActor, board: Board, project_id: MaybeProject = None) -> Violations:
    return await board.columns.violations(actor, project_id)


@router.post("/board/auto-transition/{ticket_id}")
async def auto_transition(ticket_id: str, actor: CurrentActor, board: Board) -> AutoTransition:
    """As many steps on as its state allows; it is no error when that is none."""
    return await board.tickets.auto_transition(actor, ticket_id)


@router.get("/phases")
async def list_phases(actor: CurrentActor, board: Board) -> Phases:
    return board.phases.all(actor)


@phases_by_id.get("/phases/{phase_id}")
async def get_phase(
    phase_id: str, actor: CurrentActor, board: Board, project_id: MaybeProject = None
) -> PhaseCounts:
    return await board.phases.one(actor, phase_id, project_id)
