"""The inbox: questions to people, who may answer them, and what an answer does."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import unblocking
from omniforge.board.approval_effects import Effect
from omniforge.board.errors import PreconditionFailed
from omniforge.board.log import board_event
from omniforge.board.people import check_approver
from omniforge.board.ports import Tasks
from omniforge.board.shapes.approvals import (
    Answer,
    AnswerGiven,
    Approval,
    ApprovalList,
    ApprovalQuery,
    AskedStatus,
)
from omniforge.board.store import approvals as store
from omniforge.board.store import projects as project_rows
from omniforge.board.store.evidence import ApprovalRow
from omniforge.board.store.gates import GATE_CHECK
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import ApproverRole
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock, new_id, rfc3339
from omniforge.core.errors import Invalid
from omniforge.db import Database
from omniforge.engine.events import Event, EventLog, EventRow

Json = dict[str, Any]
BECOMES = {
    Answer.APPROVE: AskedStatus.APPROVED,
    Answer.REJECT: AskedStatus.REJECTED,
    Answer.ANSWER: AskedStatus.ANSWERED,
}
LEAVES = ("ticket.transitioned", "ticket.updated")
"""After these a question about a gate may be about nothing any more."""


class Approvals:
    """`effects` by subject type is what an answer does beside being kept; it is filled when all rooms are
    there. A subject without an effect cannot be answered here."""

    def __init__(self, db: Database, events: EventLog, clock: Clock, tasks: Tasks) -> None:
        self.db, self.events, self.clock, self.tasks = db, events, clock, tasks
        self.effects: dict[str, Effect] = {}

    # --- asked ---------------------------------------------------------------------------------------------

    async def request_in(
        self,
        session: AsyncSession,
        *,
        tenant_id: str,
        project_id: str,
        subject_type: str,
        subject_id: str,
        role: ApproverRole,
        prompt: str,
        by: str,
        description: str | None = None,
        context: Json | None = None,
        blocking: bool = True,
        deadline_at: datetime | None = None,
        ticket_id: str | None = None,
        task_id: str | None = None,
    ) -> ApprovalRow:
        """Ask people, in the caller's transaction, with its event in the log. What is asked already is not
        asked twice: one question waits per subject and role, and per check of a gate."""
        context = context or {}
        for waiting in await store.pending_of(session, tenant_id, subject_type, subject_id):
            same_check = waiting.context.get("check_key") == context.get("check_key")
            same_entry = waiting.context.get("phase_entry") == context.get("phase_entry")
            if waiting.role == role and same_check and same_entry:
                return waiting
        row = ApprovalRow(
            id=new_id("apr"),
            tenant_id=tenant_id,
            project_id=project_id,
            subject_type=subject_type,
            subject_id=subject_id,
            role=role.value,
            prompt=prompt,
            description=description,
            context=context,
            blocking=blocking,
            status=AskedStatus.PENDING.value,
            requested_by=by,
            deadline_at=deadline_at,
            created_at=self.clock.now(),
        )
        session.add(row)
        await session.flush()
        told: Json = {"approval_id": row.id, "subject_type": subject_type, "subject_id": subject_id}
        told |= {"role": row.role, "prompt": prompt[:1_000]}
        if deadline_at is not None:
            told["deadline_at"] = rfc3339(deadline_at)
        ids = {"project_id": project_id, "ticket_id": ticket_id, "task_id": task_id}
        event = board_event("approval.requested", row.id, row.created_at, by, **ids, **told)
        await self.events.append(session, tenant_id, event)
        return row

    # --- read ----------------------------------------------------------------------------------------------

    async def find(self, actor: Actor, query: ApprovalQuery) -> ApprovalList:
        actor.require("board:view")
        now = self.clock.now()
        async with self.db.read() as session:
            rows, total = await store.list_approvals(session, actor, query, now)
        shown = [self._shown(row, now) for row in rows]
        return ApprovalList(approvals=shown, total=total, limit=query.limit, offset=query.offset)

    @staticmethod
    def _shown(row: ApprovalRow, now: datetime) -> Approval:
        shown = Approval.model_validate(row)
        if is_late(row, now):
            shown.status = AskedStatus.EXPIRED
        return shown

    # --- answered ------------------------------------------------------------------------------------------

    async def decide(self, actor: Actor, approval_id: str, given: AnswerGiven) -> Approval:
        """Answer a question. `Forbidden` for who may not, `PreconditionFailed` when it has its answer, or is
        about something that is over."""
        rationale = (given.rationale or "").strip() or None
        if given.decision is not Answer.APPROVE and rationale is None:
            field = {"field": "rationale", "value": given.rationale, "rule": f"needed to {given.decision}"}
            raise Invalid("Say why.", fields=[field])
        async with self.db.transaction() as session:
            row = await store.get_approval(session, actor, approval_id, lock=True)
            effect = self._effect(row)
            await self.check_rights(session, actor, row, await effect.authors(session, row))
            self._check_open(row)
            if given.decision not in effect.answers(row):
                allowed = [answer.value for answer in effect.answers(row)]
                field = {"field": "decision", "value": given.decision.value, "allowed": allowed}
                raise Invalid("This question is not answered like that.", fields=[field])
            await effect.apply(session, actor, row, given.decision, rationale)
            await self.settle_in(session, row, BECOMES[given.decision], actor.by, rationale)
        await effect.follow(row)
        return self._shown(row, self.clock.now())

    def _effect(self, row: ApprovalRow) -> Effect:
        if (effect := self.effects.get(row.subject_type)) is None:
            message = f"A {row.subject_type.replace('_', ' ')} is not decided here."
            raise PreconditionFailed(message, subject_type=row.subject_type)
        return effect

    async def check_rights(
        self, session: AsyncSession, actor: Actor, row: ApprovalRow, authors: Iterable[str | None]
    ) -> None:
        """Forbidden unless the actor is a person with the role, and no author of what is looked at where the
        project does not want that."""
        project = await project_rows.get_project(session, actor, row.project_id)
        for author in {row.requested_by, *authors}:
            check_approver(actor, project, ApproverRole(row.role), author)

    def _check_open(self, row: ApprovalRow) -> None:
        if row.status == AskedStatus.PENDING and not is_late(row, self.clock.now()):
            return
        status = "expired" if row.status == AskedStatus.PENDING else row.status
        message = f"This question is {status}; it is answered once."
        raise PreconditionFailed(message, status=status, decided_by=row.decided_by)

    async def settle_in(
        self, session: AsyncSession, row: ApprovalRow, status: AskedStatus, by: str, rationale: str | None
    ) -> None:
        """Keep the answer and tell of it, unless the effect has done so; whatever was blocked only by this
        question goes on."""
        if row.status != AskedStatus.PENDING:
            row.rationale = row.rationale or rationale
            return
        now = self.clock.now()
        row.status, row.decided_by, row.rationale, row.decided_at = status.value, by, rationale, now
        await session.flush()
        lifted = await unblocking.resolve_in(session, row.tenant_id, "approval", row.id, self.tasks, now, by)
        await self.events.append(session, row.tenant_id, self.decided_event(row), *lifted)

    def decided_event(self, row: ApprovalRow) -> Event:
        ids: Json = {"project_id": row.project_id}
        ids |= {name: row.context[name] for name in ("ticket_id", "task_id") if row.context.get(name)}
        if row.subject_type in ("ticket", "task"):
            ids[f"{row.subject_type}_id"] = row.subject_id
        event = board_event("approval.decided", row.id, row.decided_at or row.created_at, _by(row), **ids)
        event.payload |= {
            "decision": TOLD[row.status],
            "by": _by(row),
            "rationale": (row.rationale or "")[:2_000] or None,
        }
        return event

    # --- over ----------------------------------------------------------------------------------------------

    async def hear(self, event: EventRow, tenant_id: str) -> None:
        """A ticket has gone on: what was asked about the gate it stood before is asked no more."""
        ticket_id = json.loads(event.payload).get("ids", {}).get("ticket_id")
        if ticket_id is None:
            return
        async with self.db.read() as session:
            if not await store.pending_of(session, tenant_id, GATE_CHECK, ticket_id, lock=False):
                return
        async with self.db.transaction() as session:
            ticket = await session.get(TicketRow, ticket_id)
            for row in await store.pending_of(session, tenant_id, GATE_CHECK, ticket_id):
                if ticket is None or ticket.archived or row.context.get("phase_entry") != ticket.phase_entry:
                    await self.settle_in(session, row, AskedStatus.EXPIRED, "system:host", None)


TOLD = {
    AskedStatus.APPROVED.value: "approve",
    AskedStatus.REJECTED.value: "reject",
    AskedStatus.ANSWERED.value: "answer",
    AskedStatus.WAIVED.value: "waive",
    AskedStatus.EXPIRED.value: "expire",
}
"""What the log tells of how a question ended."""


def is_late(row: ApprovalRow, now: datetime) -> bool:
    return row.status == AskedStatus.PENDING and row.deadline_at is not None and row.deadline_at <= now


def _by(row: ApprovalRow) -> str:
    return row.decided_by or "system:host"
