"""HTTP of the model for workers, one turn a call."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from omniforge.board.endpoints.workers import Worker
from omniforge.board.shapes.worker_model import Turn, TurnGiven
from omniforge.board.worker_models import WorkerModels


def models_of(request: Request) -> WorkerModels:
    models: WorkerModels = request.app.state.worker_models
    return models


router = APIRouter(prefix="/api/v1", tags=["workers"])


@router.post("/sandbox/model")
async def ask_model(
    body: TurnGiven, call: Worker, models: Annotated[WorkerModels, Depends(models_of)]
) -> Turn:
    """The worker does what the model calls for, and asks again with what came of it."""
    return await models.turn(call, body)
