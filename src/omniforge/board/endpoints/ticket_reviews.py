"""HTTP of tickets before work on them begins: reviews by people, and their likes. Fixed paths only."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from omniforge.board.endpoints.projects import Board
from omniforge.board.shapes.blocking import Detected, DetectGiven
from omniforge.board.shapes.reviews import (
    ApprovalState,
    Approved,
    ApproveGiven,
    Likeness,
    LikenessGiven,
    OfProject,
    OfTicket,
    PendingCount,
    Rejected,
    RejectGiven,
)
from omniforge.tenants import CurrentActor

router = APIRouter(prefix="/api/v1", tags=["tickets"])


@router.get("/tickets/pending-review-count")
async def count_pending_reviews(
    actor: CurrentActor, board: Board, query: Annotated[OfProject, Query()]
) -> PendingCount:
    return PendingCount(pending_count=await board.reviews.count_pending(actor, query.project_id))


@router.get("/tickets/approval-status")
async def get_approval_status(
    actor: CurrentActor, board: Board, query: Annotated[OfTicket, Query()]
) -> ApprovalState:
    """A review whose deadline has passed is timed out from that second on."""
    return await board.reviews.state(actor, query.ticket_id)


@router.post("/tickets/approve")
async def approve_ticket(body: ApproveGiven, actor: CurrentActor, board: Board) -> Approved:
    await board.reviews.approve(actor, body.ticket_id)
    return Approved(ticket_id=body.ticket_id)


@router.post("/tickets/reject")
async def reject_ticket(body: RejectGiven, actor: CurrentActor, board: Board) -> Rejected:
    disposition = await board.reviews.reject(actor, body.ticket_id, body.rejection_reason)
    return Rejected(ticket_id=body.ticket_id, disposition=disposition)


@router.post("/tickets/check-duplicates")
async def check_duplicates(body: LikenessGiven, actor: CurrentActor, board: Board) -> Likeness:
    """Which tickets are much like one that could be made; nothing is made."""
    return await board.duplicates.check(actor, body)


@router.post("/tickets/detect-blocking")
async def detect_blocking(actor: CurrentActor, board: Board, body: DetectGiven | None = None) -> Detected:
    """Which tickets stand still, and what is in their way; those for which that is known are blocked."""
    wanted = body or DetectGiven()
    return await board.detection.detect(actor, wanted.project_id, dry_run=wanted.dry_run)
