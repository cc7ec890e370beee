"""Questions to people about a task: asked when its evidence is there or its worker does not know on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.admission import task_event
from omniforge.board.approval_effects import YES_OR_NO, Effect
from omniforge.board.approvals import Approvals
from omniforge.board.attempts import Attempts
from omniforge.board.errors import PreconditionFailed
from omniforge.board.shapes.approvals import Answer, AskedStatus
from omniforge.board.standing import Standing, task_criteria
from omniforge.board.store import approvals as store
from omniforge.board.store.evidence import ApprovalRow
from omniforge.board.store.tasks import TaskRow
from omniforge.board.vocabulary import ApproverRole, CheckKind
from omniforge.core.actor import Actor
from omniforge.sandboxes.log import HOST

Json = dict[str, Any]
SUBJECT = "task"


class TaskReviews:
    """`Approvals` keeps the questions; what they mean for a task is known here."""

    def __init__(self, attempts: Attempts, approvals: Approvals) -> None:
        self.attempts, self.approvals = attempts, approvals
        self.db, self.events, self.clock = attempts.db, attempts.events, attempts.clock

    # --- asked ---------------------------------------------------------------------------------------------

    async def asks(self, standing: Standing) -> bool:
        """Whether people have to look at this task before it is completed."""
        async with self.db.read() as session:
            return bool(await self._roles(session, standing))

    async def request_in(self, session: AsyncSession, standing: Standing) -> None:
        """Ask everybody who has to agree, each role once for all of its criteria."""
        asked = [
            await self._ask_in(session, standing, role, prompt, by=HOST)
            for role, prompt in (await self._roles(session, standing)).items()
        ]
        for row in asked:
            await self._tell(session, standing, row, HOST)

    async def question_in(  # noqa: PLR0917 - what a question is made of
        self,
        session: AsyncSession,
        standing: Standing,
        prompt: str,
        description: str,
        context: Json,
        by: str,
        *,
        blocking: bool,
    ) -> ApprovalRow:
        """What a worker wants to know of people."""
        more = {"question": True, "asked": context, "description": description}
        row = await self._ask_in(
            session, standing, ApproverRole.PRODUCT, prompt, more, by=by, blocking=blocking
        )
        await self._tell(session, standing, row, by)
        return row

    async def _ask_in(
        self,
        session: AsyncSession,
        standing: Standing,
        role: ApproverRole,
        prompt: str,
        more: Json | None = None,
        *,
        by: str,
        blocking: bool = True,
    ) -> ApprovalRow:
        task, more = standing.task, dict(more or {})
        return await self.approvals.request_in(
            session,
            tenant_id=task.tenant_id,
            project_id=task.project_id,
            subject_type=SUBJECT,
            subject_id=task.id,
            role=role,
            prompt=prompt[:5_000],
            description=more.pop("description", task.description),
            context={
                "ticket_id": task.ticket_id,
                "task_id": task.id,
                "ref": task.ref,
                "title": task.title,
                "attempt": standing.number,
                **more,
            },
            by=by,
            blocking=blocking,
            ticket_id=task.ticket_id,
            task_id=task.id,
        )

    async def _tell(self, session: AsyncSession, standing: Standing, row: ApprovalRow, by: str) -> None:
        told = {"attempt": standing.number, "approval_id": row.id, "blocking": row.blocking}
        event = task_event("task.review_requested", standing.task, self.clock.now(), by, **told)
        await self.events.append(session, standing.task.tenant_id, event)

    @staticmethod
    async def _roles(session: AsyncSession, standing: Standing) -> dict[ApproverRole, str]:
        kinds = [CheckKind.APPROVAL]
        if standing.project.settings.get("text_criteria", "advise") == "approval":
            kinds.append(CheckKind.TEXT)
        prompts: dict[ApproverRole, list[str]] = {}
        for criterion in await task_criteria(session, standing.task.id, *kinds):
            check = criterion.check or {}
            role = ApproverRole(check.get("role", ApproverRole.PRODUCT))
            prompts.setdefault(role, []).append(str(check.get("prompt") or criterion.text))
        return {role: "\n".join(asked) for role, asked in prompts.items()}

    # --- answered ------------------------------------------------------------------------------------------

    async def agreed_in(self, session: AsyncSession, standing: Standing) -> bool:
        """Whether everybody who was asked about this attempt has said yes."""
        query = select(ApprovalRow).where(
            ApprovalRow.tenant_id == standing.task.tenant_id,
            ApprovalRow.subject_type == SUBJECT,
            ApprovalRow.subject_id == standing.task.id,
            ApprovalRow.blocking,
        )
        asked = [
            row
            for row in await session.scalars(query.execution_options(populate_existing=True))
            if row.context.get("attempt") == standing.number and not row.context.get("question")
        ]
        return bool(asked) and all(row.status == AskedStatus.APPROVED for row in asked)

    def effect(self, complete: Callable[[str, str], Awaitable[object]]) -> Effect:
        """What an answer does. `complete` (tenant, task) is called when everybody may have agreed."""

        async def follow(row: ApprovalRow) -> None:
            if row.status == AskedStatus.APPROVED and not row.context.get("question"):
                await complete(row.tenant_id, row.subject_id)

        return Effect(self._apply, follow, _authors, _answers)

    async def _apply(
        self, session: AsyncSession, actor: Actor, row: ApprovalRow, answer: Answer, rationale: str | None
    ) -> None:
        is_question = bool(row.context.get("question"))
        if not row.blocking or (answer is Answer.APPROVE and not is_question):
            return
        text = rationale or ("Yes." if answer is Answer.APPROVE else "No.")
        again = await self.attempts.answer_in(session, row.tenant_id, row.subject_id, text, actor.by)
        if again is None:
            raise PreconditionFailed("The task does not wait for an answer any more.")
        for other in await store.pending_of(session, row.tenant_id, SUBJECT, row.subject_id):
            if other.id != row.id and other.blocking:
                await self.approvals.settle_in(session, other, AskedStatus.EXPIRED, actor.by, None)


async def _authors(session: AsyncSession, row: ApprovalRow) -> Sequence[str | None]:
    task = await session.get(TaskRow, row.subject_id)
    return () if task is None else (task.claimed_by,)


def _answers(row: ApprovalRow) -> Sequence[Answer]:
    return tuple(Answer) if row.context.get("question") else YES_OR_NO
