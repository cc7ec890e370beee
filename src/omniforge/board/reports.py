"""Reports on tickets and tasks: they inform and move nothing. What workers said stands beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.errors import PreconditionFailed
from omniforge.board.log import board_event
from omniforge.board.receipts import receipts_of_attempts
from omniforge.board.shapes.results import (
    KindOfReport,
    KindOfResult,
    Receipt,
    Report,
    ReportGiven,
    Result,
    ResultList,
    ResultQuery,
    Told,
    ToldList,
    Verdict,
)
from omniforge.board.store.evidence import ReportRow, ResultRow
from omniforge.board.store.tasks import TaskRow, get_task
from omniforge.board.store.tickets import get_ticket
from omniforge.board.vocabulary import ReportStatus
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock, new_id
from omniforge.core.errors import Invalid, NotFound
from omniforge.core.paging import Paging
from omniforge.db import Database
from omniforge.engine.events import EventLog
from omniforge.sandboxes.texts import plain


@dataclass(frozen=True, slots=True)
class Reports:
    db: Database
    events: EventLog
    clock: Clock

    # --- reports -------------------------------------------------------------------------------------------

    async def attach(self, actor: Actor, given: ReportGiven) -> Report:
        actor.require("board:edit")
        async with self.db.transaction() as session:
            ticket_id = await self._about(session, actor, given)
            now = self.clock.now()
            row = ReportRow(
                id=new_id("rep"),
                tenant_id=actor.tenant_id,
                ticket_id=ticket_id,
                task_id=given.task_id,
                report_type=given.report_type.value,
                summary=plain(given.summary),
                markdown=plain(given.markdown),
                verification_status=ReportStatus.UNVERIFIED.value,
                created_by=actor.by,
                created_at=now,
            )
            session.add(row)
            await session.flush()
            told = {"report_id": row.id, "report_type": row.report_type}
            await self._tell(session, actor, row, "report.attached", **told)
            return Report.model_validate(row)

    @staticmethod
    async def _about(session: AsyncSession, actor: Actor, given: ReportGiven) -> str:
        if given.task_id is not None:
            ticket_id = (await get_task(session, actor, given.task_id)).ticket_id
        elif given.ticket_id is not None:
            ticket_id = (await get_ticket(session, actor, given.ticket_id)).id
        else:
            field = {"field": "ticket_id", "value": None, "rule": "a ticket or a task"}
            raise Invalid("A report is about a ticket or a task.", fields=[field])
        if given.ticket_id not in (None, ticket_id):
            field = {"field": "ticket_id", "value": given.ticket_id, "rule": "the ticket of the task"}
            raise Invalid("That task belongs to another ticket.", fields=[field])
        return ticket_id

    async def verify(self, actor: Actor, report_id: str, given: Verdict) -> Report:
        """By somebody else than its author, once."""
        actor.require("board:edit")
        async with self.db.transaction() as session:
            row = await _report(session, actor, report_id, lock=True)
            if row is None:
                raise NotFound("There is no such report.", report_id=report_id[:64])
            if row.verification_status != ReportStatus.UNVERIFIED:
                said = f"This report is {row.verification_status} already."
                raise PreconditionFailed(said, verification_status=row.verification_status)
            if row.created_by == actor.by:
                raise PreconditionFailed(
                    "Somebody else than its author judges a report.", author=row.created_by
                )
            row.verification_status = given.verification_status.value
            row.verified_by = actor.by
            row.feedback = plain(given.feedback) if given.feedback else None
            told = {"by": actor.by}
            if given.verification_status is ReportStatus.DISPUTED:
                told |= {"feedback": (row.feedback or "")[:1_000]}
            await self._tell(session, actor, row, f"report.{row.verification_status}", **told)
            return Report.model_validate(row)

    async def _tell(
        self, session: AsyncSession, actor: Actor, row: ReportRow, type_: str, **told: str
    ) -> None:
        ticket = await get_ticket(session, actor, row.ticket_id)
        ids = {"project_id": ticket.project_id, "ticket_id": ticket.id, "task_id": row.task_id}
        event = board_event(type_, row.id, self.clock.now(), actor.by, **ids)
        event.payload |= told
        await self.events.append(session, actor.tenant_id, event)

    # --- results and reports -------------------------------------------------------------------------------

    async def find(self, actor: Actor, query: ResultQuery) -> ResultList:
        """What workers said, newest first."""
        actor.require("board:view")
        where: list[ColumnElement[bool]] = [ResultRow.tenant_id == actor.tenant_id]
        named = {
            ResultRow.task_id: query.task_id,
            TaskRow.ticket_id: query.ticket_id,
            TaskRow.project_id: query.project_id,
            ResultRow.status: query.status,
        }
        where += [column == value for column, value in named.items() if value is not None]
        join = select(ResultRow).join(TaskRow, TaskRow.id == ResultRow.task_id).where(*where)
        order = (ResultRow.created_at.desc(), ResultRow.id.desc())
        async with self.db.read() as session:
            total = await session.scalar(select(func.count()).select_from(join.subquery())) or 0
            rows = await session.scalars(join.order_by(*order).limit(query.limit).offset(query.offset))
            shown = [Result.model_validate(row) for row in rows]
        return ResultList(results=shown, total=total, limit=query.limit, offset=query.offset)

    async def get(self, actor: Actor, told_id: str) -> Told:
        """A result with its receipts, or a report."""
        actor.require("board:view")
        async with self.db.read() as session:
            where = (ResultRow.id == told_id, ResultRow.tenant_id == actor.tenant_id)
            result = await session.scalar(select(ResultRow).where(*where))
            if result is not None:
                return (await _with_receipts(session, [result]))[0]
            report = await _report(session, actor, told_id)
        if report is None:
            raise NotFound("There is no such result.", result_id=told_id[:64])
        return KindOfReport(**dict(Report.model_validate(report)))

    async def of_ticket(self, actor: Actor, ticket_id: str, paging: Paging) -> ToldList:
        """Results of its tasks and reports, newest first."""
        actor.require("board:view")
        async with self.db.read() as session:
            await get_ticket(session, actor, ticket_id)
            results = (
                select(ResultRow.id, ResultRow.created_at, literal("result").label("kind"))
                .join(TaskRow, TaskRow.id == ResultRow.task_id)
                .where(TaskRow.ticket_id == ticket_id)
            )
            reports = select(ReportRow.id, ReportRow.created_at, literal("report").label("kind")).where(
                ReportRow.ticket_id == ticket_id
            )
            both = union_all(results, reports).subquery()
            total = await session.scalar(select(func.count()).select_from(both)) or 0
            order = (both.c.created_at.desc(), both.c.id.desc())
            page = select(both.c.id).order_by(*order).limit(paging.limit).offset(paging.offset)
            ids = [str(one) for one in await session.scalars(page)]
            shown = await _by_id(session, ids)
        return ToldList(
            results=[shown[one] for one in ids], total=total, limit=paging.limit, offset=paging.offset
        )


async def _by_id(session: AsyncSession, ids: Sequence[str]) -> dict[str, Told]:
    rows = list(await session.scalars(select(ResultRow).where(ResultRow.id.in_(ids))))
    found: dict[str, Told] = {one.id: one for one in await _with_receipts(session, rows)}
    for row in await session.scalars(select(ReportRow).where(ReportRow.id.in_(ids))):
        found[row.id] = KindOfReport(**dict(Report.model_validate(row)))
    return found


async def _with_receipts(session: AsyncSession, rows: Sequence[ResultRow]) -> list[KindOfResult]:
    receipts = await receipts_of_attempts(session, [(row.task_id, row.attempt) for row in rows])
    return [
        KindOfResult(
            **dict(Result.model_validate(row)),
            receipts=[Receipt.model_validate(one) for one in receipts[row.task_id, row.attempt]],
        )
        for row in rows
    ]


async def _report(
    session: AsyncSession, actor: Actor, report_id: str, *, lock: bool = False
) -> ReportRow | None:
    query = select(ReportRow).where(ReportRow.id == report_id, ReportRow.tenant_id == actor.tenant_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return await session.scalar(query)
