"""HTTP of workers: who of them calls, and what they say while they work.

No token 401; one that is nobody's, has expired or was revoked 401; a person's 403; the id of another sandbox
or of another task 403, whether there is one or not; too many calls 429. `worker` is what others build on.
"""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.requests import HTTPConnection

from omniforge.board.errors import UseResults, UseReview
from omniforge.board.shapes.workers import (
    ProgressGiven,
    ProgressKept,
    StatusGiven,
    StatusKept,
    WorkerWish,
)
from omniforge.board.vocabulary import TaskStatus
from omniforge.board.workshop import Workshop
from omniforge.core.actor import Actor, Role
from omniforge.core.errors import Forbidden, Unauthenticated
from omniforge.engine.envelopes import event_id
from omniforge.sandboxes.schemas import (
    EventsGiven,
    EventsTaken,
    EventTaken,
    Heard,
    HeartbeatGiven,
    Message,
    MessageList,
    MessageQuery,
)
from omniforge.sandboxes.store import SandboxMessageRow
from omniforge.sandboxes.telemetry import Kept
from omniforge.sandboxes.tokens import PREFIX, WorkerCall
from omniforge.sandboxes.vocabulary import MessageType
from omniforge.tenants.endpoints import current_actor, facts_of, tenants_of

log = logging.getLogger(__name__)


class ForeignSandbox(Forbidden):
    """A worker named a sandbox that is not its own."""

    code = "foreign_sandbox"


class ForeignTask(Forbidden):
    """A worker named a task that is not its own."""

    code = "foreign_task"


def workshop_of(connection: HTTPConnection) -> Workshop:
    workshop: Workshop = connection.app.state.workshop
    return workshop


WorkshopOf = Annotated[Workshop, Depends(workshop_of)]


def token_in(connection: HTTPConnection) -> str | None:
    """The token of a sandbox that a request shows; None when it shows none."""
    scheme, _, shown = connection.headers.get("authorization", "").partition(" ")
    shown = shown.strip()
    return shown if scheme.lower() == "bearer" and shown.startswith(PREFIX) else None


async def known_worker(request: Request, workshop: WorkshopOf) -> WorkerCall:
    """Who calls, about nothing that is not its own. Not counted, and no lease is renewed yet."""
    return await _known(request, workshop, also_lapsed=False)


async def worker(request: Request, workshop: WorkshopOf) -> WorkerCall:
    """Who calls; the call is counted, its lease renewed, and its work has started."""
    call = await known_worker(request, workshop)
    await workshop.calls.hear(call)
    return call


async def late_worker(request: Request, workshop: WorkshopOf) -> WorkerCall:
    """As `worker`, but a token that was good once is let through with `lapsed` set: for results, which are
    told that they come too late."""
    call = await _known(request, workshop, also_lapsed=True)
    await workshop.calls.hear(call)
    return call


async def person_or_worker(request: Request) -> Actor:
    """Who calls, where a person may do for any task what a worker may do for its own."""
    if token_in(request) is None:
        return await current_actor(request, tenants_of(request))
    call = await worker(request, workshop_of(request))
    return Actor(call.tenant_id, call.sandbox.id, Role.OPERATOR, call.by, frozenset({"board:edit"}))


KnownWorker = Annotated[WorkerCall, Depends(known_worker)]
Worker = Annotated[WorkerCall, Depends(worker)]
LateWorker = Annotated[WorkerCall, Depends(late_worker)]

router = APIRouter(prefix="/api/v1", tags=["workers"])


@router.patch("/sandbox/task/{task_id}/status")
async def report_status(task_id: str, body: StatusGiven, call: Worker, workshop: WorkshopOf) -> StatusKept:
    match body.status:
        case WorkerWish.IN_PROGRESS:
            task = await workshop.calls.work_on(call, body.message)
        case WorkerWish.COMPLETED | WorkerWish.FAILED:
            message = "A task ends with its results only."
            raise UseResults(message, next=f"POST /api/v1/sandbox/task/{task_id}/results")
        case WorkerWish.BLOCKED:
            message = "Whoever cannot go on alone asks for a review."
            raise UseReview(message, next=f"POST /api/v1/sandbox/task/{task_id}/review")
    return StatusKept(task_id=task.id, status=TaskStatus(task.status), updated_at=task.updated_at)


@router.post("/sandbox/task/{task_id}/progress")
async def report_progress(
    task_id: str,
    body: ProgressGiven,
    call: Worker,
    workshop: WorkshopOf,
) -> ProgressKept:
    kept = await workshop.calls.progress(call, body)
    return ProgressKept(event_id=event_id(kept.seq))


@router.post("/sandbox/heartbeat")
async def beat(body: HeartbeatGiven, call: KnownWorker, workshop: WorkshopOf) -> Heard:
    _check_own(call, body.sandbox_id, body.task_id)
    return await workshop.calls.heartbeat(call, body)


@router.post("/sandboxes/{sandbox_id}/events", status_code=201)
async def tell(
    sandbox_id: str, body: EventsGiven, call: KnownWorker, workshop: WorkshopOf, response: Response
) -> EventTaken | EventsTaken:
    """One event, or `events` that are taken all or not at all. 200 when every one was told before."""
    kept = await workshop.calls.tell(call, body.each())
    if all(one.is_duplicate for one in kept):
        response.status_code = 200
    shown = [_taken(sandbox_id, one) for one in kept]
    if body.events is None:
        return shown[0]
    received = [one for one in shown if one.status == "received"]
    return EventsTaken(received=received, duplicates=[one for one in shown if one.status == "duplicate"])


@router.get("/sandboxes/{sandbox_id}/messages")
async def read_messages(
    sandbox_id: str, request: Request, workshop: WorkshopOf, query: Annotated[MessageQuery, Query()]
) -> MessageList:
    """Its worker acknowledges what lies before `after`; people only look. `wait`: seconds until somebody says
    something."""
    if token_in(request) is not None:
        call = await known_worker(request, workshop)
        found = await workshop.calls.poll(call, query.after, query.wait)
    else:
        actor = await current_actor(request, tenants_of(request))
        found = await workshop.messages(actor, sandbox_id, query)
    shown = [_message(row) for row in found]
    return MessageList(messages=shown, total=len(shown), limit=200, offset=0)


async def _known(request: Request, workshop: Workshop, *, also_lapsed: bool) -> WorkerCall:
    token = token_in(request)
    if token is None:
        await _refuse_person(request)
        raise Unauthenticated("This needs the token of a sandbox, as `Authorization: Bearer …`.")
    call = await workshop.sandboxes.authenticate(token, also_lapsed=also_lapsed)
    named = request.path_params
    log.info("sandbox %s calls %s %s", call.sandbox.id, request.method, request.url.path)
    _check_own(call, named.get("sandbox_id"), named.get("task_id"))
    return call


async def _refuse_person(request: Request) -> None:
    """Whoever shows a credential that holds learns that it is the wrong one."""
    if "authorization" not in request.headers:
        return
    tenants = tenants_of(request)
    await tenants.authenticate(facts_of(request, tenants.settings))
    raise Forbidden("Only the worker of a sandbox may do this, with the token of its sandbox.")


def _check_own(call: WorkerCall, sandbox_id: str | None, task_id: str | None) -> None:
    if sandbox_id is not None and sandbox_id != call.sandbox.id:
        message = "This token is of another sandbox."
        raise ForeignSandbox(message, sandbox_id=call.sandbox.id)
    if task_id is not None and task_id != call.task_id:
        raise ForeignTask("This token is for another task.", task_id=call.task_id)


def _taken(sandbox_id: str, one: Kept) -> EventTaken:
    return EventTaken(
        status="duplicate" if one.is_duplicate else "received",
        sandbox_id=sandbox_id,
        event_type=one.type,
        event_id=event_id(one.seq),
        seq=one.seq,
        client_seq=one.client_seq,
        timestamp=one.at,
    )


def _message(row: SandboxMessageRow) -> Message:
    type_ = MessageType(row.message_type)
    return Message(id=row.id, seq=row.seq, content=row.content, message_type=type_, timestamp=row.created_at)
