"""The way from a queued task to a ticket that is done, put together."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.attempt_steps import AttemptSteps
from omniforge.board.briefs import Briefs
from omniforge.board.checks import Checks
from omniforge.board.dispatch import Chore, Dispatch
from omniforge.board.examining import Examining
from omniforge.board.judging import Judging
from omniforge.board.merging import Merging
from omniforge.board.outfitting import Outfitting
from omniforge.board.questions import Questions
from omniforge.board.repository import Repositories
from omniforge.board.results import Results
from omniforge.board.service import BoardService
from omniforge.board.settling import Settling
from omniforge.board.starting import AttemptRuns
from omniforge.board.store.tasks import TaskRow
from omniforge.board.task_reviews import SUBJECT, TaskReviews
from omniforge.board.waiting_leases import renew_waiting
from omniforge.board.workshop import Workshop
from omniforge.engine.active import Handler
from omniforge.llm.protocol import ModelClient
from omniforge.skills.service import SkillService

NO_MODEL = "no_model"


class Chain:
    """`handlers` are the steps of an attempt; `dispatch` starts attempts, `results` and `questions` are what
    workers say, `briefs` what they are told. `workshop` has the claims that `runs` was given to."""

    def __init__(  # noqa: PLR0917 - one collaborator per room
        self,
        board: BoardService,
        judging: Judging,
        workshop: Workshop,
        runs: AttemptRuns,
        repositories: Repositories,
        checks: Checks,
        skills: SkillService,
        *,
        models: ModelClient | None = None,
        capabilities: Collection[str] = (),
    ) -> None:
        work, sandboxes = workshop.work, workshop.sandboxes
        assert work.claims is not None  # noqa: S101 - it was made with `runs`
        attempts = work.attempts
        self.models, self.runs, self.repositories = models, runs, repositories
        examining = Examining(work.db, sandboxes, repositories, checks)
        reviews = TaskReviews(attempts, judging.approvals)
        self.settling = Settling(attempts, examining, reviews, board.moves)
        self.results = Results(work.db, sandboxes, work.leases, self.settling)
        self.questions = Questions(attempts, sandboxes, examining, reviews)
        self.briefs = Briefs(work.db, repositories)
        outfitting = Outfitting(attempts, sandboxes, repositories, skills)
        self.handlers: dict[str, Handler] = AttemptSteps(outfitting, self.settling).handlers()
        judging.approvals.effects[SUBJECT] = reviews.effect(self.settling.agreed)
        board.moves.finish = Merging(board.moves, repositories)
        sandboxes.before_release.append(self.settling.keep_tree)
        workshop.places.unusable = self._why_nobody
        self.dispatch = Dispatch(
            work.claims,
            runs,
            models=models,
            capabilities=capabilities,
            chores=(
                Chore("renew leases", 10.0, lambda: renew_waiting(work.leases)),
                Chore("compare with the providers", 60.0, workshop.upkeep.sweep),
                Chore("take down what has ended", 1.0, workshop.upkeep.release_ended),
                Chore("end what is silent", 15.0, workshop.upkeep.end_silent),
                Chore("end reviews that took too long", 10.0, board.reviews.sweep),
                Chore("find what hinders tickets", 300.0, board.detection.sweep),
            ),
        )

    async def commits_of(self, project_id: str) -> int:
        """How many commits the main branch of a project has."""
        head = await self.repositories.default_head(project_id)
        return len(await self.repositories.commits(project_id, None, head)) if head else 0

    async def _why_nobody(self, session: AsyncSession, task: TaskRow) -> str | None:
        """Why nobody here is able to work on a task."""
        if task.work is None and (self.models is None or not self.models.is_configured(task.tenant_id)):
            return NO_MODEL
        return None
