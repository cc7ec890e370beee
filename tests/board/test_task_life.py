"""Whatever people, claimers and time do to tasks in whatever order: the rules of their life hold."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from sqlalchemy import select
from tests.board.task_stage import OWNER, Stage

from omniforge.board.claims import Claimed
from omniforge.board.errors import DependencyCycle, PreconditionFailed, TaskFinished, TaskNotReady
from omniforge.board.store.tasks import TaskEdgeRow, TaskRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.task_edits import TaskEdits
from omniforge.board.vocabulary import AttemptOutcome, PhaseId, TaskStatus, TicketStatus
from omniforge.board.workflow import admits
from omniforge.board.workplaces import Ending
from omniforge.core.errors import NotFound
from omniforge.db import Database
from omniforge.sandboxes.store import LIVE_STATES, SandboxRow

LEGAL = {
    "pending": {"queued", "cancelled"},
    "queued": {"running", "pending", "cancelled"},
    "running": {"queued", "completed", "failed", "cancelled"},
    "failed": {"queued"},
    "completed": set[str](),
    "cancelled": set[str](),
}
TOLD = {
    "task.queued": "queued",
    "task.dequeued": "pending",
    "task.claimed": "running",
    "task.completed": "completed",
    "task.failed": "failed",
    "task.cancelled": "cancelled",
}
ENDINGS = [
    AttemptOutcome.FAILED,
    AttemptOutcome.EVIDENCE_FAILED,
    AttemptOutcome.IDLE,
    AttemptOutcome.CANCELLED,
]
REFUSALS = (DependencyCycle, TaskFinished, TaskNotReady, PreconditionFailed, NotFound)
MOVES = [*[TicketStatus.BUILDING] * 4, TicketStatus.TESTING, TicketStatus.BACKLOG]
STATUSES = [TicketStatus.BUILDING, TicketStatus.TESTING, TicketStatus.BACKLOG]


@dataclass(frozen=True)
class Seen:
    """Everything there is at one moment; edges as (task, what it waits for)."""

    tasks: list[TaskRow]
    edges: list[tuple[str, str]]
    tickets: dict[str, TicketRow]
    sandboxes: list[SandboxRow]


class LifeOfTasks(RuleBasedStateMachine):
    """Over the services and a real database; `self.claims` are attempts that somebody still holds."""

    tasks: Bundle[str] = Bundle("tasks")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.db = Database(f"sqlite+aiosqlite:///{Path(self.folder.name) / 'board.db'}", synchronous="OFF")
        self.claims: list[Claimed] = []
        self.do(self._open)

    async def _open(self) -> None:
        await self.db.create_tables()
        self.stage = Stage(self.db)
        self.edits = TaskEdits(self.db, self.stage.tasks)
        project = await self.stage.project()
        self.tickets = [await self.stage.ticket(project, status) for status in STATUSES]

    def teardown(self) -> None:
        self.the_log_tells_a_legal_life()
        self.do(self.db.close)
        self.loop.close()
        self.folder.cleanup()

    def do(self, act: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **more: Any) -> Any:
        return self.loop.run_until_complete(act(*args, **more))

    # --- what can happen -----------------------------------------------------------------------------------

    @initialize(target=tasks, retries=st.integers(0, 2))
    def begin(self, retries: int) -> Any:
        """A chain of two and one beside it, so that there is something to do from the start."""
        building = self.tickets[0]
        first = self.do(self.stage.task, building, max_retries=retries)
        return multiple(first, self.do(self.stage.task, building, first), self.do(self.stage.task, building))

    @rule(target=tasks, ticket=st.integers(0, 2), retries=st.integers(0, 2), testing=st.booleans())
    def create(self, ticket: int, retries: int, testing: bool) -> str:
        phase = PhaseId.TESTING if testing or ticket == 1 else PhaseId.IMPLEMENTATION
        where = self.tickets[ticket]
        status = TicketStatus(self.do(self._ticket, where).status)
        if status is TicketStatus.TESTING:
            phase = PhaseId.TESTING
        return self.do(self.stage.task, where, phase_id=phase, max_retries=retries)

    async def _ticket(self, ticket_id: str) -> TicketRow:
        async with self.db.read() as session:
            return await session.get_one(TicketRow, ticket_id)

    @rule(task=tasks, others=st.lists(tasks, max_size=3), replace=st.booleans())
    def link(self, task: str, others: list[str], replace: bool) -> None:
        change = self.edits.set_dependencies if replace else self.edits.add_dependencies
        self._try(change, OWNER, task, others)

    @rule(task=tasks, other=tasks)
    def unlink(self, task: str, other: str) -> None:
        self._try(self.edits.remove_dependency, OWNER, task, other)

    @rule()
    def claim(self) -> None:
        claimed = self.do(self.stage.claim)
        if claimed is not None:
            self.claims.append(claimed)

    @rule(count=st.integers(1, 3))
    def work(self, count: int) -> None:
        """Somebody works through what is there."""
        for _ in range(count):
            claimed = self.do(self.stage.claim)
            if claimed is not None:
                self.claims.append(claimed)
                assert self.do(self.stage.settle, claimed) is not None

    @precondition(lambda self: self.claims)
    @rule(which=st.integers(0, 50), outcome=st.sampled_from([AttemptOutcome.COMPLETED] * 4 + ENDINGS))
    def settle(self, which: int, outcome: AttemptOutcome) -> None:
        """Also an attempt that counts no more, or twice: somebody may be slow."""
        claimed = self.claims[-1 - which % len(self.claims)]
        before = self.do(self.stage.get, claimed.task.id)
        settled = self.do(self.stage.settle, claimed, outcome)
        counts = before.status == "running" and before.attempt == claimed.attempt.attempt
        assert (settled is not None) == counts

    @precondition(lambda self: self.claims)
    @rule(which=st.integers(0, 50), approve=st.booleans())
    def review(self, which: int, approve: bool) -> None:
        claimed = self.claims[-1 - which % len(self.claims)]
        if self.do(self.stage.settle, claimed, AttemptOutcome.REVIEW) is None:
            return
        self.do(self._answer, claimed, approve)

    async def _answer(self, claimed: Claimed, approve: bool) -> None:
        async with self.db.transaction() as session:
            tenant, task = claimed.task.tenant_id, claimed.task.id
            if approve:
                ending = Ending(AttemptOutcome.COMPLETED, "user:local")
                assert await self.stage.attempts.approve_in(session, tenant, task, ending) is not None
            else:
                answered = await self.stage.attempts.answer_in(session, tenant, task, "No.", "user:local")
                assert answered is not None

    @rule(task=tasks)
    def cancel(self, task: str) -> None:
        self._try(self.edits.cancel, OWNER, task, "not needed")

    @rule(task=tasks)
    def retry(self, task: str) -> None:
        self._try(self.stage.attempts.retry, OWNER, task)

    @rule(seconds=st.sampled_from([1, 30, 61, 400]))
    def time_passes(self, seconds: int) -> None:
        self.stage.clock.turn(seconds)
        if seconds > 1:
            self.do(self.stage.take_down)

    @rule(
        ticket=st.integers(0, 2), status=st.sampled_from(MOVES), blocked=st.sampled_from([False] * 5 + [True])
    )
    def move(self, ticket: int, status: TicketStatus, blocked: bool) -> None:
        found = self.tickets[ticket]
        self.do(self.stage.set_ticket, found, status=status.value, is_blocked=blocked, blockers=[])

    def _try(self, act: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> None:
        with suppress(*REFUSALS):
            self.do(act, *args)

    # --- what always holds ---------------------------------------------------------------------------------

    @invariant()
    def the_rules_hold(self) -> None:
        seen = self.do(self._look)
        self.counters_are_right(seen)
        self.what_is_ready_is_queued_and_nothing_else(seen)
        self.each_task_runs_once_at_a_time_in_one_sandbox(seen)

    async def _look(self) -> Seen:
        async with self.db.read() as session:
            return Seen(
                list(await session.scalars(select(TaskRow))),
                [(row.task_id, row.depends_on_task_id) for row in await session.scalars(select(TaskEdgeRow))],
                {row.id: row for row in await session.scalars(select(TicketRow))},
                list(await session.scalars(select(SandboxRow).order_by(SandboxRow.attempt))),
            )

    def counters_are_right(self, seen: Seen) -> None:
        rows = {row.id: row for row in seen.tasks}
        for row in seen.tasks:
            awaited = [rows[other] for task, other in seen.edges if task == row.id]
            waiting = [rows[task] for task, other in seen.edges if other == row.id]
            assert row.remaining == sum(other.status != "completed" for other in awaited)
            unfinished = sum(not TaskStatus(other.status).is_finished for other in waiting)
            assert row.dependents_open == unfinished

    def what_is_ready_is_queued_and_nothing_else(self, seen: Seen) -> None:
        for row in seen.tasks:
            ticket = seen.tickets[row.ticket_id]
            admitted = admits(TicketStatus(ticket.status), PhaseId(row.phase_id))
            is_ready = row.remaining == 0 and admitted and not ticket.is_blocked
            if row.status in ("pending", "queued"):
                assert (row.status == "queued") == is_ready

    def each_task_runs_once_at_a_time_in_one_sandbox(self, seen: Seen) -> None:
        for row in seen.tasks:
            boxes = [box for box in seen.sandboxes if box.task_id == row.id]
            assert [box.attempt for box in boxes] == list(range(1, row.attempt + 1))
            assert sum(box.state in LIVE_STATES for box in boxes) <= 1
            trusted = [box.attempt for box in boxes if box.token_revoked_at is None]
            assert trusted == ([row.attempt] if row.status == "running" else [])

    def the_log_tells_a_legal_life(self) -> None:
        """That ends where the task is. Who asks for a review tells of it, so here it looks like running."""
        lives: dict[str, str] = {}
        for event in self.do(self.stage.events.read, "default", limit=5_000):
            kind, _, task = event.entity.partition(":")
            if event.type == "task.created":
                lives[task] = "pending"
            elif kind == "task" and (after := TOLD.get(event.type)) is not None:
                assert after in LEGAL[lives[task]], f"{lives[task]} -> {after}"
                lives[task] = after
        shown = {"needs_review": "running"}
        assert lives == {row.id: shown.get(row.status, row.status) for row in self.do(self.stage.all_tasks)}


TestLifeOfTasks = LifeOfTasks.TestCase
TestLifeOfTasks.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
