"""Receipts: which of them count, which are void, and what people see of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.checks import CommandCheck, plain_text
from omniforge.board.log import board_event
from omniforge.board.shapes.results import Receipt, ReceiptDetail, ReceiptList, ReceiptQuery
from omniforge.board.store.evidence import ReceiptRow
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import TaskStatus
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock
from omniforge.core.errors import NotFound
from omniforge.db import Database
from omniforge.engine.artifacts import ArtifactStore
from omniforge.engine.events import Event, EventLog
from omniforge.sandboxes.log import HOST

REUSE = timedelta(hours=24)
KILLED = 137
EDITED = "The files have changed since."
_JUDGED_NOW = (TaskStatus.RUNNING, TaskStatus.NEEDS_REVIEW)


@dataclass(frozen=True, slots=True)
class Receipts:
    """`kept` is where whole outputs lie."""

    db: Database
    events: EventLog
    clock: Clock
    kept: ArtifactStore

    # --- what counts ---------------------------------------------------------------------------------------

    async def void_stale(
        self, session: AsyncSession, ticket: TicketRow, tree_hash: str, by: str = HOST
    ) -> list[ReceiptRow]:
        """The ticket's work is this tree now: receipts of another tree count no more. Those of an attempt
        that is being judged at the moment are of its own tree, and stay. Rows and events are written."""
        judged = and_(
            TaskRow.id == ReceiptRow.task_id,
            TaskRow.attempt == ReceiptRow.attempt,
            TaskRow.status.in_(_JUDGED_NOW),
        )
        stale = (
            ReceiptRow.tenant_id == ticket.tenant_id,
            ReceiptRow.ticket_id == ticket.id,
            ReceiptRow.voided_at.is_(None),
            ReceiptRow.tree_hash != tree_hash,
            not_(select(TaskRow.id).where(judged).exists()),
        )
        await session.flush()
        query = select(ReceiptRow).where(*stale).order_by(ReceiptRow.started_at, ReceiptRow.id)
        rows = list(await session.scalars(query.with_for_update()))
        now = self.clock.now()
        events: list[Event] = []
        for row in rows:
            row.voided_at, row.void_reason = now, EDITED
            ids = {"project_id": ticket.project_id, "ticket_id": ticket.id, "task_id": row.task_id}
            told = {"receipt_id": row.id, "reason": EDITED}
            events.append(board_event("receipt.voided", row.id, now, by, **ids, **told))
        await session.flush()
        await self.events.append(session, ticket.tenant_id, *events)
        return rows

    # --- what people see -----------------------------------------------------------------------------------

    async def find(self, actor: Actor, query: ReceiptQuery) -> ReceiptList:
        """Newest first."""
        actor.require("board:view")
        where: list[ColumnElement[bool]] = [ReceiptRow.tenant_id == actor.tenant_id]
        given = {name: getattr(query, name) for name in ("ticket_id", "task_id", "passed")}
        where += [getattr(ReceiptRow, name) == value for name, value in given.items() if value is not None]
        if not query.include_voided:
            where.append(ReceiptRow.voided_at.is_(None))
        order = (ReceiptRow.started_at.desc(), ReceiptRow.id.desc())
        async with self.db.read() as session:
            total = await session.scalar(select(func.count()).select_from(ReceiptRow).where(*where)) or 0
            page = select(ReceiptRow).where(*where).order_by(*order).limit(query.limit).offset(query.offset)
            rows = [Receipt.model_validate(row) for row in await session.scalars(page)]
        return ReceiptList(receipts=rows, total=total, limit=query.limit, offset=query.offset)

    async def get(self, actor: Actor, receipt_id: str, *, output: bool = False) -> ReceiptDetail:
        """output: with all that was kept of it, as text."""
        actor.require("board:view")
        where = (ReceiptRow.id == receipt_id, ReceiptRow.tenant_id == actor.tenant_id)
        async with self.db.read() as session:
            row = await session.scalar(select(ReceiptRow).where(*where))
        if row is None:
            raise NotFound("There is no such receipt.", receipt_id=receipt_id[:64])
        shown = Receipt.model_validate(row)
        if not output:
            return ReceiptDetail(**dict(shown))
        kept = await self.kept.get(actor.tenant_id, row.output_ref) if row.output_ref else b""
        return ReceiptDetail(**dict(shown), output=plain_text(kept))


def passes(receipt: ReceiptRow, command: CommandCheck) -> bool:
    """By the definition as it is now, whatever it was when the command ran. A command that was ended by force
    shows nothing, also where that code is expected."""
    was_killed = receipt.exit_code == KILLED and not receipt.passed
    if receipt.exit_code != command.expect_exit or was_killed:
        return False
    wanted, found = command.coverage, receipt.coverage_percent
    return wanted is None or (found is not None and found >= wanted.minimum)


def stands_for(
    receipt: ReceiptRow, wanted: CommandCheck, *, tree_hash: str, image: str | None, now: datetime
) -> bool:
    """Whether it may take the place of another run: of an equal command in an equal folder, on the same files
    and software, passed less than a day ago. Coverage is known to be of the same report only under the same
    key."""
    is_equal = (receipt.command, receipt.cwd, receipt.tree_hash) == (wanted.shown, wanted.cwd, tree_hash)
    same_report = wanted.coverage is None or receipt.check_key == wanted.key
    counts = receipt.voided_at is None and receipt.started_at > now - REUSE
    return is_equal and same_report and counts and receipt.image == image and passes(receipt, wanted)


async def receipts_of_attempts(
    session: AsyncSession, attempts: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], list[ReceiptRow]]:
    """(task id, attempt) → its receipts in the order they were made."""
    found: dict[tuple[str, int], list[ReceiptRow]] = {pair: [] for pair in attempts}
    if not attempts:
        return found
    pairs = or_(*(and_(ReceiptRow.task_id == task, ReceiptRow.attempt == n) for task, n in set(attempts)))
    query = select(ReceiptRow).where(pairs).order_by(ReceiptRow.started_at, ReceiptRow.id)
    for row in await session.scalars(query):
        found[row.task_id or "", row.attempt or 0].append(row)
    return found
