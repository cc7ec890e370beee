"""HTTP of results, receipts, reports and artifacts; and where their endpoints find their service."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from omniforge.board.proofs import Proofs
from omniforge.board.shapes.results import (
    Artifact,
    ArtifactGiven,
    ArtifactList,
    ReceiptDetail,
    ReceiptList,
    ReceiptQuery,
    Report,
    ReportGiven,
    ResultList,
    ResultQuery,
    Told,
    ToldList,
    Verdict,
)
from omniforge.core.paging import Paging
from omniforge.tenants import CurrentActor


def proofs_of(request: Request) -> Proofs:
    service: Proofs = request.app.state.proofs
    return service


Proven = Annotated[Proofs, Depends(proofs_of)]
Page = Annotated[Paging, Query()]

router = APIRouter(prefix="/api/v1", tags=["results"])


@router.get("/results")
async def list_results(
    actor: CurrentActor, proofs: Proven, query: Annotated[ResultQuery, Query()]
) -> ResultList:
    """What workers said they did: claims, which prove nothing by themselves."""
    return await proofs.reports.find(actor, query)


@router.post("/results", status_code=201)
async def attach_report(body: ReportGiven, actor: CurrentActor, proofs: Proven) -> Report:
    """A report on a ticket or a task. It informs; nothing moves by it."""
    return await proofs.reports.attach(actor, body)


@router.get("/results/receipts")
async def list_receipts(
    actor: CurrentActor, proofs: Proven, query: Annotated[ReceiptQuery, Query()]
) -> ReceiptList:
    return await proofs.receipts.find(actor, query)


@router.get("/results/receipts/{receipt_id}")
async def get_receipt(
    receipt_id: str, actor: CurrentActor, proofs: Proven, output: bool = False
) -> ReceiptDetail:
    """With `output`, everything that was kept of what the command printed."""
    return await proofs.receipts.get(actor, receipt_id, output=output)


@router.get("/results/{result_id}")
async def get_result(result_id: str, actor: CurrentActor, proofs: Proven) -> Told:
    """A worker's result with its receipts, or a report."""
    return await proofs.reports.get(actor, result_id)


@router.post("/results/{result_id}/verify")
async def verify_report(result_id: str, body: Verdict, actor: CurrentActor, proofs: Proven) -> Report:
    """Say that a report is right, or dispute it: once, and not its author."""
    return await proofs.reports.verify(actor, result_id, body)


@router.get("/tickets/{ticket_id}/results")
async def ticket_results(ticket_id: str, actor: CurrentActor, proofs: Proven, paging: Page) -> ToldList:
    return await proofs.reports.of_ticket(actor, ticket_id, paging)


@router.get("/tickets/{ticket_id}/artifacts")
async def list_artifacts(ticket_id: str, actor: CurrentActor, proofs: Proven, paging: Page) -> ArtifactList:
    return await proofs.artifacts.find(actor, ticket_id, paging)


@router.post("/tickets/{ticket_id}/artifacts", status_code=201)
async def upload_artifact(
    ticket_id: str, body: ArtifactGiven, actor: CurrentActor, proofs: Proven, response: Response
) -> Artifact:
    """200 where an equal one is there already."""
    artifact, is_first = await proofs.artifacts.upload(actor, ticket_id, body)
    response.status_code = 201 if is_first else 200
    return artifact
