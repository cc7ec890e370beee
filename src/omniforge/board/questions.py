"""Questions of workers to people: one that blocks ends the attempt until it is answered."""

from __future__ import annotations

from omniforge.board.attempts import Attempts
from omniforge.board.errors import LateResult
from omniforge.board.examining import UNREADABLE, Examining
from omniforge.board.shapes.worker import ReviewAsked, ReviewGiven
from omniforge.board.standing import Standing, read_standing
from omniforge.board.store.tasks import find_task
from omniforge.board.store.tickets import TicketRow
from omniforge.board.task_reviews import TaskReviews
from omniforge.board.vocabulary import AttemptOutcome, TaskStatus
from omniforge.board.workplaces import Ending
from omniforge.sandboxes.service import SandboxService
from omniforge.sandboxes.texts import cleaned
from omniforge.sandboxes.tokens import WorkerCall


class Questions:
    def __init__(
        self, attempts: Attempts, sandboxes: SandboxService, examining: Examining, reviews: TaskReviews
    ) -> None:
        self.attempts, self.sandboxes = attempts, sandboxes
        self.examining, self.reviews = examining, reviews
        self.db = attempts.db

    async def ask(self, call: WorkerCall, given: ReviewGiven) -> ReviewAsked:
        """Put a question to people. `LateResult` when the attempt counts no more."""
        async with self.db.read() as session:
            standing = await read_standing(session, call.tenant_id, call.task_id, call.attempt)
            secrets = await self.sandboxes.environments.secrets_of(session, call.sandbox)
        if standing is None or not standing.counts:
            raise LateResult("This attempt counts no more.", your_attempt=call.attempt)
        if given.blocking:
            await self._keep(standing)
        asked = {"reason": given.reason, "description": given.description, "context": given.context}
        said = cleaned(asked, secrets)
        async with self.db.transaction() as session:
            await session.get_one(TicketRow, standing.ticket.id, with_for_update=True)
            task = await find_task(session, call.tenant_id, call.task_id, lock=True)
            if task is None or (task.status, task.attempt) != (TaskStatus.RUNNING, call.attempt):
                raise LateResult("This attempt counts no more.", your_attempt=call.attempt)
            row = await self.reviews.question_in(
                session,
                standing,
                said["reason"],
                said["description"],
                said["context"],
                call.by,
                blocking=given.blocking,
            )
            if given.blocking:
                await self.sandboxes.work_finished_in(session, call.sandbox.id, None)
                ending = Ending(AttemptOutcome.REVIEW, call.by, message=said["reason"])
                await self.attempts.settle_in(session, call.tenant_id, task.id, call.attempt, ending)
            return ReviewAsked(approval_id=row.id, task_status=TaskStatus(task.status))

    async def _keep(self, standing: Standing) -> None:
        """The next attempt goes on with what lies there now; its worker waits for our answer meanwhile."""
        try:
            snapshot = await self.examining.snapshot(standing)
        except UNREADABLE:
            return
        repositories = self.examining.repositories
        await repositories.keep(standing.project.id, standing.kept_as, snapshot.commit)
