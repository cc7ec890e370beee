"""HTTP of tasks; and where the endpoints of tasks find their service."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from omniforge.board.endpoints.workers import person_or_worker
from omniforge.board.shapes.results import CheckedResultList
from omniforge.board.shapes.tasks import (
    AttemptList,
    CancelGiven,
    CancellableTaskList,
    CancelledTask,
    Circular,
    CleanedUp,
    ConversationGiven,
    ConversationKept,
    Dependencies,
    DependenciesGiven,
    LateTaskList,
    OfProject,
    ProjectQuery,
    RetryGiven,
    Task,
    TaskChanges,
    TaskDetail,
    TaskGiven,
    TaskList,
    TaskQuery,
    TimeoutGiven,
    TimeoutSet,
    TimeoutStatus,
    TitleGiven,
    TitleMade,
    TitleOfOne,
    TitlesGiven,
    TitlesMade,
)
from omniforge.board.vocabulary import TaskStatus
from omniforge.board.work import WorkService
from omniforge.core.actor import Actor
from omniforge.core.paging import Paging
from omniforge.tenants import CurrentActor


def work_of(request: Request) -> WorkService:
    service: WorkService = request.app.state.work
    return service


Work = Annotated[WorkService, Depends(work_of)]
OneProject = Annotated[ProjectQuery, Query()]
Page = Annotated[Paging, Query()]

router = APIRouter(prefix="/api/v1", tags=["tasks"])


@router.get("/tasks")
async def list_tasks(actor: CurrentActor, work: Work, query: Annotated[TaskQuery, Query()]) -> TaskList:
    return await work.views.find(actor, query)


@router.post("/tasks", status_code=201)
async def create_task(body: TaskGiven, actor: CurrentActor, work: Work) -> Task:
    return await work.views.show(actor, await work.edits.create(actor, body))


@router.get("/tasks/timed-out")
async def list_timed_out(actor: CurrentActor, work: Work, query: OneProject) -> LateTaskList:
    """Running for longer than they may."""
    return await work.views.late(actor, query)


@router.get("/tasks/cancellable")
async def list_cancellable(actor: CurrentActor, work: Work, query: OneProject) -> CancellableTaskList:
    return await work.views.cancellable(actor, query)


@router.post("/tasks/cleanup-timed-out")
async def clean_up_timed_out(actor: CurrentActor, work: Work, body: OfProject | None = None) -> CleanedUp:
    """End now what runs for longer than it may; it is tried anew where tries are left."""
    cleaned, total = await work.leases.clean_up(actor, body.project_id if body else None)
    return CleanedUp(cleaned_count=cleaned, total_timed_out=total)


@router.post("/tasks/generate-titles")
async def generate_titles(actor: CurrentActor, work: Work, body: TitlesGiven | None = None) -> TitlesMade:
    """For tasks that nobody gave a title."""
    wanted = body or TitlesGiven()
    done = await work.titles.name_untitled(actor, wanted.project_id, wanted.limit)
    failed = sum(one.error is not None for one in done)
    return TitlesMade(
        processed=len(done),
        succeeded=len(done) - failed,
        failed=failed,
        tasks=[TitleOfOne.model_validate(one) for one in done],
    )


@router.get("/tasks/{task_id}")
async def get_task(task_id: str, actor: CurrentActor, work: Work) -> TaskDetail:
    return await work.views.get(actor, task_id)


@router.patch("/tasks/{task_id}")
async def change_task(task_id: str, body: TaskChanges, actor: CurrentActor, work: Work) -> Task:
    await work.edits.change(actor, task_id, body)
    return await work.views.show(actor, task_id)


@router.get("/tasks/{task_id}/dependencies")
async def get_dependencies(task_id: str, actor: CurrentActor, work: Work) -> Dependencies:
    return await work.views.dependencies(actor, task_id)


@router.post("/tasks/{task_id}/dependencies")
async def add_dependencies(
    task_id: str, body: DependenciesGiven, actor: CurrentActor, work: Work
) -> Dependencies:
    """Also wait for these."""
    await work.edits.add_dependencies(actor, task_id, body.depends_on)
    return await work.views.dependencies(actor, task_id)


@router.put("/tasks/{task_id}/dependencies")
async def set_dependencies(
    task_id: str, body: DependenciesGiven, actor: CurrentActor, work: Work
) -> Dependencies:
    """Wait for exactly these."""
    await work.edits.set_dependencies(actor, task_id, body.depends_on)
    return await work.views.dependencies(actor, task_id)


@router.delete("/tasks/{task_id}/dependencies/{depends_on_id}")
async def remove_dependency(
    task_id: str, depends_on_id: str, actor: CurrentActor, work: Work
) -> Dependencies:
    await work.edits.remove_dependency(actor, task_id, depends_on_id)
    return await work.views.dependencies(actor, task_id)


@router.post("/tasks/{task_id}/check-circular")
async def check_circular(task_id: str, body: DependenciesGiven, actor: CurrentActor, work: Work) -> Circular:
    """Whether waiting for these would make something wait for itself; nothing is changed."""
    cycle = await work.edits.check_circular(actor, task_id, body.depends_on)
    return Circular(has_circular_dependency=cycle is not None, cycle=cycle)


@router.post("/tasks/{task_id}/cancel")
async def cancel_task(
    task_id: str, actor: CurrentActor, work: Work, body: CancelGiven | None = None
) -> CancelledTask:
    reason = (body or CancelGiven()).reason
    task = await work.edits.cancel(actor, task_id, reason)
    return CancelledTask(task_id=task.id, status=TaskStatus(task.status), reason=reason)


@router.post("/tasks/{task_id}/retry")
async def retry_task(task_id: str, actor: CurrentActor, work: Work, body: RetryGiven | None = None) -> Task:
    """A failed task, as if it had never been tried."""
    await work.attempts.retry(actor, task_id, body.feedback if body else None)
    return await work.views.show(actor, task_id)


@router.get("/tasks/{task_id}/timeout-status")
async def get_timeout_status(task_id: str, actor: CurrentActor, work: Work) -> TimeoutStatus:
    return await work.views.timeout_status(actor, task_id)


@router.post("/tasks/{task_id}/set-timeout")
async def set_timeout(task_id: str, body: TimeoutGiven, actor: CurrentActor, work: Work) -> TimeoutSet:
    task = await work.edits.set_timeout(actor, task_id, body.timeout_seconds)
    return TimeoutSet(task_id=task.id, timeout_seconds=task.timeout_seconds, status=TaskStatus(task.status))


@router.post("/tasks/{task_id}/generate-title")
async def generate_title(
    task_id: str, actor: CurrentActor, work: Work, body: TitleGiven | None = None
) -> TitleMade:
    """By a model where one is set up; else the first sentence of the description, or of the context."""
    named = await work.titles.name_task(actor, task_id, body.context if body else None)
    return TitleMade.model_validate(named)


@router.post("/tasks/{task_id}/register-conversation")
async def register_conversation(
    task_id: str, body: ConversationGiven, actor: Annotated[Actor, Depends(person_or_worker)], work: Work
) -> ConversationKept:
    await work.edits.register_conversation(actor, task_id, body)
    return ConversationKept(task_id=task_id, conversation_id=body.conversation_id)


@router.get("/tasks/{task_id}/attempts")
async def list_attempts(task_id: str, actor: CurrentActor, work: Work, paging: Page) -> AttemptList:
    return await work.views.attempts(actor, task_id, paging)


@router.get("/tasks/{task_id}/results")
async def list_results(task_id: str, actor: CurrentActor, work: Work, paging: Page) -> CheckedResultList:
    return await work.views.results(actor, task_id, paging)
