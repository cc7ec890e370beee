"""HTTP of sandboxes for people: what there is, what is done in them, and what they are told."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from omniforge.board.endpoints.workers import WorkshopOf
from omniforge.board.shapes.sandboxes import CapacityView, Removed
from omniforge.board.shapes.tasks import ProjectQuery, Task
from omniforge.board.spawning import TaskThen
from omniforge.sandboxes.schemas import (
    EventList,
    EventQuery,
    Health,
    MessageGiven,
    MessageQueued,
    Sandbox,
    SandboxList,
    SandboxQuery,
    SpawnedSandbox,
    SpawnGiven,
    Trajectory,
    TrajectoryQuery,
)
from omniforge.tenants import CurrentActor

router = APIRouter(prefix="/api/v1", tags=["sandboxes"])


@router.get("/sandboxes/health")
async def get_health(actor: CurrentActor, workshop: WorkshopOf) -> Health:
    """Every provider, asked within the last ten seconds."""
    return await workshop.health(actor)


@router.get("/sandboxes/capacity")
async def get_capacity(
    actor: CurrentActor, workshop: WorkshopOf, query: Annotated[ProjectQuery, Query()]
) -> CapacityView:
    return await workshop.places.look(actor, query.project_id)


@router.get("/sandboxes")
async def list_sandboxes(
    actor: CurrentActor, workshop: WorkshopOf, query: Annotated[SandboxQuery, Query()]
) -> SandboxList:
    return await workshop.find(actor, query)


@router.post("/sandboxes", status_code=201)
async def spawn_sandbox(body: SpawnGiven, actor: CurrentActor, workshop: WorkshopOf) -> SpawnedSandbox:
    """Claim that task now. The answer holds a token for a worker from outside, and only this once."""
    row, token = await workshop.spawning.spawn(actor, body)
    shown = Sandbox.model_validate(row)
    return SpawnedSandbox(**shown.model_dump(), token=token)


@router.get("/sandboxes/{sandbox_id}")
async def get_sandbox(sandbox_id: str, actor: CurrentActor, workshop: WorkshopOf) -> Sandbox:
    return Sandbox.model_validate(await workshop.get(actor, sandbox_id))


@router.delete("/sandboxes/{sandbox_id}")
async def remove_sandbox(
    sandbox_id: str, actor: CurrentActor, workshop: WorkshopOf, task: TaskThen = TaskThen.REQUEUE
) -> Removed:
    """Take it down, with what runs in there; `task` says what becomes of its task."""
    return Removed(task_status=await workshop.spawning.remove(actor, sandbox_id, task))


@router.get("/sandboxes/{sandbox_id}/events")
async def list_events(
    sandbox_id: str, actor: CurrentActor, workshop: WorkshopOf, query: Annotated[EventQuery, Query()]
) -> EventList:
    return await workshop.events(actor, sandbox_id, query)


@router.get("/sandboxes/{sandbox_id}/trajectory")
async def get_trajectory(
    sandbox_id: str, actor: CurrentActor, workshop: WorkshopOf, query: Annotated[TrajectoryQuery, Query()]
) -> Trajectory:
    """What was done in there, the latest last, without the signs that it was alive."""
    return await workshop.trajectory(actor, sandbox_id, query)


@router.get("/sandboxes/{sandbox_id}/task")
async def get_task(sandbox_id: str, actor: CurrentActor, workshop: WorkshopOf) -> Task:
    return await workshop.task(actor, sandbox_id)


@router.post("/sandboxes/{sandbox_id}/messages", status_code=201)
async def send_message(
    sandbox_id: str, body: MessageGiven, actor: CurrentActor, workshop: WorkshopOf
) -> MessageQueued:
    """Say something to its worker, who hears it within a second."""
    given = (body.content, body.message_type.value)
    row = await workshop.sandboxes.messages.send(actor, sandbox_id, *given)
    return MessageQueued(message_id=row.id, seq=row.seq, sandbox_id=row.sandbox_id)
