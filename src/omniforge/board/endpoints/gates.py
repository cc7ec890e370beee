"""HTTP of gates: a project's checks, how they stand before a ticket, decisions, failures set aside."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Body, Depends, Query, Request, Response

from omniforge.board.judging import Judging
from omniforge.board.shapes.gates import (
    DecisionList,
    DecisionQuery,
    Gate,
    GateGiven,
    Gates,
    GateStatus,
    Standpoint,
    Validated,
    Waive,
)
from omniforge.board.shapes.tickets import Decision
from omniforge.board.shapes.words import Id
from omniforge.tenants import CurrentActor


def judging(request: Request) -> Judging:
    return cast("Judging", request.app.state.judging)


Judge = Annotated[Judging, Depends(judging)]
InProject = Annotated[Id, Query()]
router = APIRouter(prefix="/api/v1", tags=["gates"])


@router.get("/phases/gates")
async def list_gates(actor: CurrentActor, judge: Judge, project_id: InProject) -> Gates:
    """In the order of the board. A check with `applies` holds only for such tickets."""
    return await judge.views.all(actor, project_id)


@router.put("/phases/gates/{from_status}")
async def replace_gate(from_status: str, body: GateGiven, actor: CurrentActor, judge: Judge) -> Gate:
    """Behind testing a question to a maintainer stays when nothing else would be proved."""
    return await judge.views.replace(actor, from_status, body)


@router.delete("/phases/gates/{from_status}")
async def reset_gate(from_status: str, actor: CurrentActor, judge: Judge, project_id: InProject) -> Gate:
    """Back to the defaults."""
    return await judge.views.reset(actor, from_status, project_id)


@router.get("/phases/decisions")
async def list_decisions(
    actor: CurrentActor, judge: Judge, query: Annotated[DecisionQuery, Query()]
) -> DecisionList:
    return await judge.views.decisions(actor, query)


@router.get("/phases/decisions/{decision_id}")
async def get_decision(decision_id: str, actor: CurrentActor, judge: Judge) -> Decision:
    return await judge.views.decision(actor, decision_id)


@router.post("/tickets/{ticket_id}/validate-gate", responses={202: {"model": Validated}})
async def validate_gate(
    ticket_id: str,
    actor: CurrentActor,
    judge: Judge,
    response: Response,
    body: Annotated[Standpoint | None, Body()] = None,
) -> Validated:
    """202 while commands run. Nothing moves by it; decisions are kept."""
    found = await judge.views.validate(actor, ticket_id, body or Standpoint())
    response.status_code = 202 if found.run_id else 200
    return found


@router.get("/tickets/{ticket_id}/gate-status")
async def gate_status(
    ticket_id: str, actor: CurrentActor, judge: Judge, at: Annotated[Standpoint, Query()]
) -> GateStatus:
    return await judge.views.status(actor, ticket_id, at)


@router.post("/tickets/{ticket_id}/waive")
async def waive_check(ticket_id: str, body: Waive, actor: CurrentActor, judge: Judge) -> GateStatus:
    """Set one failed check aside for as long as the ticket stands there; it goes on if nothing else fails."""
    return await judge.waive(actor, ticket_id, body)
