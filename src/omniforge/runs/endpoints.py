"""HTTP of runs and of the event log."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from omniforge.core.paging import LARGEST
from omniforge.engine.events import EventRow
from omniforge.runs.schemas import (
    EventJson,
    ForkRequest,
    Rejection,
    RetryRequest,
    RunJson,
    RunList,
    RunQuery,
    StepAnswer,
    StepOutput,
)
from omniforge.runs.service import RunService
from omniforge.runs.shown import may_see, run_json
from omniforge.tenants import CurrentActor

router = APIRouter(prefix="/api/v1", tags=["runs"])


def runs_of(request: Request) -> RunService:
    service: RunService = request.app.state.runs
    return service


Runs = Annotated[RunService, Depends(runs_of)]
After = Annotated[int, Query(ge=0, le=LARGEST, description="Only events with a larger seq.")]
LastEventId = Annotated[str | None, Header(description="What a browser sends when it reconnects.")]


@router.get("/runs")
async def list_runs(actor: CurrentActor, runs: Runs, query: Annotated[RunQuery, Query()]) -> RunList:
    """Newest first."""
    views, total = await runs.list_runs(
        actor,
        subject=query.subject,
        status=[status.value for status in query.status],
        limit=query.limit,
        offset=query.offset,
    )
    items = [RunJson(**run_json(view)) for view in views]
    return RunList(runs=items, total=total, limit=query.limit, offset=query.offset)


@router.get("/runs/{run_id}")
async def get_run(run_id: str, actor: CurrentActor, runs: Runs) -> RunJson:
    return RunJson(**run_json(await runs.get_run(actor, run_id)))


@router.post("/runs/{run_id}/cancel")
async def cancel_run(run_id: str, actor: CurrentActor, runs: Runs) -> RunJson:
    return RunJson(**run_json(await runs.cancel_run(actor, run_id)))


@router.post("/runs/{run_id}/pause")
async def pause_run(run_id: str, actor: CurrentActor, runs: Runs) -> RunJson:
    return RunJson(**run_json(await runs.pause_run(actor, run_id)))


@router.post("/runs/{run_id}/resume")
async def resume_run(run_id: str, actor: CurrentActor, runs: Runs) -> RunJson:
    return RunJson(**run_json(await runs.resume_run(actor, run_id)))


@router.post("/runs/{run_id}/retry")
async def retry_run(run_id: str, body: RetryRequest, actor: CurrentActor, runs: Runs) -> RunJson:
    """Do what failed again, in the same run; finished steps stay as they are."""
    return RunJson(**run_json(await runs.retry_run(actor, run_id, body.step)))


@router.post("/runs/{run_id}/fork", status_code=201)
async def fork_run(run_id: str, body: ForkRequest, actor: CurrentActor, runs: Runs) -> RunJson:
    made = await runs.fork_run(
        actor, run_id, from_step=body.from_step, input=body.input, idempotency_key=body.idempotency_key
    )
    return RunJson(**run_json(await runs.get_run(actor, made)))


@router.post("/runs/{run_id}/steps/{key:path}/reject")
async def reject_step(run_id: str, key: str, body: Rejection, actor: CurrentActor, runs: Runs) -> RunJson:
    return RunJson(**run_json(await runs.reject_step(actor, run_id, key, body.why)))


@router.post("/runs/{run_id}/steps/{key:path}/answer")
async def answer_step(run_id: str, key: str, body: StepAnswer, actor: CurrentActor, runs: Runs) -> RunJson:
    return RunJson(**run_json(await runs.answer_step(actor, run_id, key, body.output)))


@router.get("/runs/{run_id}/steps/{key:path}/output")
async def get_output(run_id: str, key: str, actor: CurrentActor, runs: Runs) -> StepOutput:
    """A step's whole output, also where the run shows only that it is stored."""
    return StepOutput(output=await runs.get_output(actor, run_id, key))


async def known_run(run_id: str, actor: CurrentActor, runs: Runs) -> str:
    """Answers 404 before a stream begins; once it has begun, the status cannot change."""
    await runs.get_run(actor, run_id)
    return run_id


@router.get("/runs/{run_id}/events", response_class=EventSourceResponse)
async def follow_run(
    run_id: Annotated[str, Depends(known_run)],
    actor: CurrentActor,
    runs: Runs,
    after: After = 0,
    last_event_id: LastEventId = None,
) -> AsyncIterable[ServerSentEvent]:
    async for row in runs.follow(actor, run_id, resume_after(after, last_event_id)):
        if may_see(actor.role, row.type):
            yield sent(row)


def resume_after(after: int, last_event_id: str | None) -> int:
    """Where a stream goes on: the larger of `after` and Last-Event-ID, garbage in the header ignored."""
    known = last_event_id is not None and last_event_id.isascii() and last_event_id.isdecimal()
    return max(after, min(int(last_event_id[:18]), LARGEST) if known and last_event_id else 0)


def sent(row: EventRow) -> ServerSentEvent:
    return ServerSentEvent(data=EventJson(**row.shown()), event=row.type, id=str(row.seq))
