"""HTTP of the inbox of approvals."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from omniforge.board.endpoints.gates import Judge
from omniforge.board.shapes.approvals import AnswerGiven, Approval, ApprovalList, ApprovalQuery
from omniforge.tenants import CurrentActor

router = APIRouter(prefix="/api/v1", tags=["approvals"])


@router.get("/approvals")
async def list_approvals(
    actor: CurrentActor, judge: Judge, query: Annotated[ApprovalQuery, Query()]
) -> ApprovalList:
    """Newest first."""
    return await judge.approvals.find(actor, query)


@router.post("/approvals/{approval_id}/decide")
async def decide_approval(approval_id: str, body: AnswerGiven, actor: CurrentActor, judge: Judge) -> Approval:
    """Once, by a person who may; what depends on it goes on at once."""
    return await judge.approvals.decide(actor, approval_id, body)
