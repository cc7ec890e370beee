"""The verdict on an attempt: looked at, merged or kept, settled once, and the ticket moved on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.artifacts import Artifacts
from omniforge.board.attempts import Attempts
from omniforge.board.commits import Commits
from omniforge.board.examining import UNREADABLE, Examining, Verdict
from omniforge.board.moves import Advance, Moves, system_actor
from omniforge.board.publishing import Merged, merge_work, publish_in
from omniforge.board.repository import MergeConflict
from omniforge.board.standing import Standing, read_standing, terminal_result
from omniforge.board.store.evidence import ResultRow
from omniforge.board.store.tasks import find_task
from omniforge.board.store.tickets import TicketRow
from omniforge.board.task_reviews import TaskReviews
from omniforge.board.vocabulary import AttemptOutcome, MoveCause, TaskStatus
from omniforge.board.workplaces import Ending
from omniforge.core.errors import NotFound
from omniforge.sandboxes.log import HOST
from omniforge.sandboxes.store import SandboxRow

log = logging.getLogger(__name__)


class Settling:
    """Everything here may be done any number of times, by any process: the first that writes the verdict
    wins, and what was found out before it is found again."""

    def __init__(
        self,
        attempts: Attempts,
        examining: Examining,
        reviews: TaskReviews,
        moves: Moves,
    ) -> None:
        self.attempts, self.examining = attempts, examining
        self.reviews, self.moves = reviews, moves
        self.db, self.events, self.clock = attempts.db, attempts.events, attempts.clock
        self.repositories = examining.repositories
        self.commits = Commits(attempts.db, attempts.events, attempts.clock)
        self.artifacts = Artifacts(attempts.db, attempts.events, attempts.clock)
        self._turns: WeakValueDictionary[tuple[str, int], asyncio.Lock] = WeakValueDictionary()

    async def examine(self, tenant_id: str, task_id: str, attempt: int) -> Verdict | None:
        """What the host makes of the attempt; None where there is nothing to judge."""
        async with self.alone(task_id, attempt):
            standing, result = await self._read(tenant_id, task_id, attempt)
            if standing is None or result is None or not standing.counts:
                return None
            return await self.examining.examine(standing, result)

    async def settle(
        self, tenant_id: str, task_id: str, attempt: int, verdict: Verdict | None = None
    ) -> bool:
        """Write the verdict, found out here unless it is given; False when the attempt counts no more."""
        async with self.alone(task_id, attempt):
            standing, result = await self._read(tenant_id, task_id, attempt)
            if standing is None or result is None or not standing.counts:
                return False
            verdict = verdict or await self.examining.examine(standing, result)
            if not verdict.is_good:
                return await self._refuse(standing, result, verdict)
            if await self.reviews.asks(standing):
                return await self._ask(standing, result, verdict)
            return await self._complete(standing, result, verdict)

    async def advance(self, tenant_id: str, task_id: str) -> Advance | None:
        """Move the ticket of a task on as far as it may go."""
        async with self.db.read() as session:
            task = await find_task(session, tenant_id, task_id)
        if task is None:
            return None
        actor = system_actor(tenant_id, "advance")
        try:
            return await self.moves.advance_ticket(actor, task.ticket_id, cause=MoveCause.RESULTS)
        except NotFound:
            return None  # it is gone by now

    # --- the ways it may end -------------------------------------------------------------------------------

    async def _refuse(self, standing: Standing, result: ResultRow, verdict: Verdict) -> bool:
        """Its tree is kept; after failed checks the next attempt goes on with it."""
        if verdict.commit is not None:
            await self.repositories.keep(standing.project.id, standing.kept_as, verdict.commit)
        ending = Ending(
            verdict.outcome,
            HOST,
            error_code=verdict.code,
            message=verdict.message,
            output=verdict.output,
            result_id=result.id,
            head_commit=verdict.commit,
        )
        async with self.db.transaction() as session:
            await self._verified(session, result, "failed" if result.status == "completed" else "none")
            return await self._settle_in(session, standing, ending)

    async def _ask(self, standing: Standing, result: ResultRow, verdict: Verdict) -> bool:
        """People have to look before it is completed; until then its tree is kept."""
        assert verdict.commit is not None  # noqa: S101 - a good verdict saw a tree
        await self.repositories.keep(standing.project.id, standing.kept_as, verdict.commit)
        async with self.db.transaction() as session:
            if not await self._still_counts(session, standing):
                return False
            await self._verified(session, result, "passed" if verdict.receipts else "none")
            await self.reviews.request_in(session, standing)
            ending = Ending(AttemptOutcome.REVIEW, HOST, result_id=result.id, head_commit=verdict.commit)
            return await self._settle_in(session, standing, ending)

    async def _complete(self, standing: Standing, result: ResultRow, verdict: Verdict) -> bool:
        try:
            merged = await merge_work(self.repositories, standing, verdict.commit, result.created_at)
        except MergeConflict as conflict:
            return await self._refuse(standing, result, conflicting(verdict, conflict))
        async with self.db.transaction() as session:
            if not await self._still_counts(session, standing):
                return False
            await self._verified(session, result, "passed" if verdict.receipts else "none")
            now = self.clock.now()
            await publish_in(session, self.commits, self.artifacts, standing, result, verdict, merged, now)
            ending = Ending(
                AttemptOutcome.COMPLETED, HOST, result_id=result.id, head_commit=_head(merged, verdict)
            )
            return await self._settle_in(session, standing, ending)

    async def agreed(self, tenant_id: str, task_id: str) -> bool:
        """Everybody may have said yes: then the task is completed, and its ticket goes on."""
        done = await self.complete_reviewed(tenant_id, task_id)
        if done:
            await self.advance(tenant_id, task_id)
        return done

    async def complete_reviewed(self, tenant_id: str, task_id: str) -> bool:
        """People said yes: the tree that was kept is merged and the task completed. False: it waits for
        nobody, or for others as well."""
        async with self.db.read() as session:
            task = await find_task(session, tenant_id, task_id)
            if task is None or task.status != TaskStatus.NEEDS_REVIEW:
                return False
            standing = await read_standing(session, tenant_id, task_id, task.attempt)
            result = await terminal_result(session, task_id, task.attempt)
            if standing is None or not await self.reviews.agreed_in(session, standing):
                return False
        commit = await self.repositories.head(standing.project.id, standing.kept_as)
        verdict = Verdict(commit)
        try:
            merged = await merge_work(self.repositories, standing, commit, standing.attempt.claimed_at)
        except MergeConflict as conflict:
            return await self._work_again(standing, conflict)
        async with self.db.transaction() as session:
            if not await self.reviews.agreed_in(session, standing):
                return False
            now, by = self.clock.now(), HOST
            await publish_in(session, self.commits, self.artifacts, standing, result, verdict, merged, now)
            ending = Ending(
                AttemptOutcome.COMPLETED,
                by,
                result_id=result.id if result else None,
                head_commit=_head(merged, verdict),
            )
            return await self.attempts.approve_in(session, tenant_id, task_id, ending) is not None

    async def _work_again(self, standing: Standing, conflict: MergeConflict) -> bool:
        """What people agreed to fits its branch no more: done anew from where that stands."""
        task = standing.task
        async with self.db.transaction() as session:
            attempt = await session.get_one(type(standing.attempt), standing.attempt.id)
            attempt.outcome, attempt.error_code = AttemptOutcome.FAILED.value, conflict.code
            attempt.error_message = conflict.message
            await self.attempts.answer_in(session, task.tenant_id, task.id, conflict.message, HOST)
        return False

    # --- trees of other endings ----------------------------------------------------------------------------

    async def keep_tree(self, row: SandboxRow) -> None:
        """Before a sandbox is taken down: what lies in it is kept, unless it was merged or kept before."""
        if row.kind != "task" or row.task_id is None or row.attempt is None or row.provider_ref is None:
            return
        async with self.db.read() as session:
            standing = await read_standing(session, row.tenant_id, row.task_id, row.attempt)
        if standing is None or standing.attempt.outcome == AttemptOutcome.COMPLETED:
            return
        if await self.repositories.head(standing.project.id, standing.kept_as) is not None:
            return
        try:
            snapshot = await self.examining.snapshot(standing)
        except UNREADABLE as unreadable:
            log.info("the tree of sandbox %s is not kept: %s", row.id, unreadable)
            return
        await self.repositories.keep(standing.project.id, standing.kept_as, snapshot.commit)

    # --- how -----------------------------------------------------------------------------------------------

    async def _read(
        self, tenant_id: str, task_id: str, attempt: int
    ) -> tuple[Standing | None, ResultRow | None]:
        async with self.db.read() as session:
            standing = await read_standing(session, tenant_id, task_id, attempt)
            return standing, await terminal_result(session, task_id, attempt)

    @staticmethod
    async def _still_counts(session: AsyncSession, standing: Standing) -> bool:
        """With ticket and task locked, so that nothing is told of an attempt that counts no more."""
        await session.get_one(TicketRow, standing.ticket.id, with_for_update=True, populate_existing=True)
        task = await find_task(session, standing.task.tenant_id, standing.task.id, lock=True)
        is_current = task is not None and task.attempt == standing.number
        return is_current and task is not None and task.status == TaskStatus.RUNNING

    async def _settle_in(self, session: AsyncSession, standing: Standing, ending: Ending) -> bool:
        task = standing.task
        settle = self.attempts.settle_in
        return await settle(session, task.tenant_id, task.id, standing.number, ending) is not None

    @staticmethod
    async def _verified(session: AsyncSession, result: ResultRow, verification: str) -> None:
        row = await session.get_one(ResultRow, result.id)
        row.verification = verification

    @asynccontextmanager
    async def alone(self, task_id: str, attempt: int) -> AsyncGenerator[None]:
        """One at a time in this process; others would look at the same tree for nothing."""
        turn = self._turns.setdefault((task_id, attempt), asyncio.Lock())
        async with turn:
            yield


def conflicting(verdict: Verdict, conflict: MergeConflict) -> Verdict:
    """Good work that does not go together with its branch. The next attempt begins at the branch."""
    return Verdict(
        verdict.commit,
        verdict.tree_hash,
        AttemptOutcome.FAILED,
        conflict.code,
        conflict.message,
        "Others changed the same files meanwhile: " + ", ".join(conflict.paths),
    )


def _head(merged: Merged, verdict: Verdict) -> str | None:
    return merged.head or verdict.commit
