"""An attempt and its sandbox as the board keeps them: asked for with a claim, given up at the end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.admission import DISPATCH
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.tasks import AttemptRow, TaskRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import AttemptOutcome
from omniforge.core.clock import new_id
from omniforge.engine.events import Event
from omniforge.sandboxes.log import sandbox_event
from omniforge.sandboxes.states import SPENT
from omniforge.sandboxes.store import LIVE_STATES, SandboxRow

BROKEN = frozenset({"provision_timeout", "sandbox_crashed", "provider_error", "heartbeat_lost"})
"""Codes that tell of the sandbox, not of the work in it."""
_NO_ANSWER = (AttemptOutcome.LOST, AttemptOutcome.TIMED_OUT, AttemptOutcome.IDLE)


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended. `output` is what failed, for whoever tries next; `is_final`: no further try,
    whatever the code says."""

    outcome: AttemptOutcome
    by: str = DISPATCH
    error_code: str | None = None
    message: str | None = None
    output: str | None = None
    result_id: str | None = None
    head_commit: str | None = None
    is_final: bool = False

    @property
    def sandbox_broke(self) -> bool:
        return self.outcome in _NO_ANSWER or self.error_code in BROKEN


def begin_attempt(
    session: AsyncSession, task: TaskRow, ticket: TicketRow, project: ProjectRow, run_id: str
) -> tuple[AttemptRow, SandboxRow]:
    """The rows of an attempt that was just claimed; somebody makes its sandbox real."""
    now = task.claimed_at or task.updated_at
    sandbox = SandboxRow(
        id=task.sandbox_id,
        tenant_id=task.tenant_id,
        project_id=task.project_id,
        ticket_id=task.ticket_id,
        kind="task",
        task_id=task.id,
        attempt=task.attempt,
        run_id=run_id,
        provider=project.settings.get("sandbox_provider", "local"),
        state="pending",
        worker="kit",
        agent_id=task.agent_id,
        branch=ticket.branch_name,
        network=project.settings.get("sandbox_network", "allowlist"),
        metrics={},
        requested_at=now,
    )
    attempt = AttemptRow(
        id=new_id("attempt"),
        tenant_id=task.tenant_id,
        task_id=task.id,
        attempt=task.attempt,
        sandbox_id=sandbox.id,
        run_id=run_id,
        claimed_at=now,
    )
    session.add_all([sandbox, attempt])
    return attempt, sandbox


async def current_attempt(session: AsyncSession, task: TaskRow) -> AttemptRow | None:
    """The one with the task's number; None before the first."""
    return await session.scalar(
        select(AttemptRow).where(AttemptRow.task_id == task.id, AttemptRow.attempt == task.attempt)
    )


async def end_attempt(session: AsyncSession, task: TaskRow, ending: Ending, now: datetime) -> list[Event]:
    """Call once for a running task. Its worker may say nothing more. A sandbox that answered is completed,
    one that broke failed; one whose work was cancelled stays until it is taken down."""
    attempt = await current_attempt(session, task)
    if attempt is not None:
        attempt.ended_at, attempt.outcome = now, ending.outcome.value
        attempt.error_code, attempt.error_message = ending.error_code, ending.message
        attempt.head_commit = ending.head_commit
    query = select(SandboxRow).where(SandboxRow.id == task.sandbox_id, SandboxRow.state.in_(LIVE_STATES))
    sandbox = await session.scalar(query.with_for_update())
    task.sandbox_id = task.lease_expires_at = None
    events: list[Event] = []
    if sandbox is not None:
        sandbox.token_revoked_at = sandbox.token_revoked_at or now
        if ending.outcome is not AttemptOutcome.CANCELLED:
            events.append(_close(sandbox, ending, now))
    await session.flush()
    return events


def _close(sandbox: SandboxRow, ending: Ending, now: datetime) -> Event:
    sandbox.ended_at = now
    if ending.sandbox_broke:
        sandbox.state = "failed"
        sandbox.error_code, sandbox.error_message = ending.error_code, ending.message
        told = {"error_code": ending.error_code, "message": ending.message}
        return sandbox_event("sandbox.failed", sandbox, now, ending.by, **told)
    sandbox.state = "completed"
    spent = {name: getattr(sandbox, name) for name in SPENT}
    told = {"outcome": ending.outcome.value, **spent}
    return sandbox_event("sandbox.completed", sandbox, now, ending.by, **told)
