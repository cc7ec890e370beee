"""HTTP of specs that a model makes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from omniforge.board.generation.service import Generation
from omniforge.board.shapes.generation import Generated, GenerationGiven
from omniforge.tenants import CurrentActor


def generation_of(request: Request) -> Generation:
    service: Generation = request.app.state.generation
    return service


router = APIRouter(prefix="/api/v1", tags=["specs"])


@router.post("/specs/{spec_id}/generate", status_code=202)
async def generate_spec(
    spec_id: str,
    actor: CurrentActor,
    generation: Annotated[Generation, Depends(generation_of)],
    body: GenerationGiven | None = None,
) -> Generated:
    """From a line to requirements, design, tickets and tasks, in a run; or answers to what that asked. How it
    goes is told by `GET /specs/{spec_id}/phases`."""
    return await generation.generate(actor, spec_id, body or GenerationGiven())
