"""HTTP of projects; and where the endpoints of the board find its service."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from omniforge.board.service import BoardService
from omniforge.board.shapes.projects import (
    Archived,
    Project,
    ProjectChanges,
    ProjectGiven,
    ProjectList,
    ProjectQuery,
    ProjectStats,
)
from omniforge.tenants import CurrentActor


def board_of(request: Request) -> BoardService:
    service: BoardService = request.app.state.board
    return service


Board = Annotated[BoardService, Depends(board_of)]

router = APIRouter(prefix="/api/v1", tags=["projects"])


@router.post("/projects", status_code=201)
async def create_project(body: ProjectGiven, actor: CurrentActor, board: Board) -> Project:
    return await board.projects.create(actor, body)


@router.get("/projects")
async def list_projects(
    actor: CurrentActor, board: Board, query: Annotated[ProjectQuery, Query()]
) -> ProjectList:
    return await board.projects.find(actor, query)


@router.get("/projects/{project_id}")
async def get_project(project_id: str, actor: CurrentActor, board: Board) -> Project:
    return await board.projects.get(actor, project_id)


@router.patch("/projects/{project_id}")
async def change_project(project_id: str, body: ProjectChanges, actor: CurrentActor, board: Board) -> Project:
    return await board.projects.change(actor, project_id, body)


@router.delete("/projects/{project_id}")
async def archive_project(project_id: str, actor: CurrentActor, board: Board) -> Archived:
    await board.projects.archive(actor, project_id)
    return Archived(message="The project is archived and its open tasks are cancelled. Its tickets are kept.")


@router.get("/projects/{project_id}/stats")
async def project_stats(project_id: str, actor: CurrentActor, board: Board) -> ProjectStats:
    return await board.projects.stats(actor, project_id)
