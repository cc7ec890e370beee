"""Requirement ↔ criterion ↔ ticket ↔ task ↔ file ↔ check ↔ receipt, and where they have parted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.exporting import Holding, is_gone, read_holding
from omniforge.board.importing.doubts import glob_matches
from omniforge.board.shapes.trace import (
    Drift,
    Drifted,
    Trace,
    TracedCriterion,
    TracedFile,
    TracedReceipt,
    TracedRequirement,
    TracedTask,
    TracedTicket,
)
from omniforge.board.spec_views import requirement_status
from omniforge.board.store import specs as store
from omniforge.board.store.evidence import ReceiptRow
from omniforge.board.store.specs import CriterionRow, RequirementRow
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import CommitRow, TicketRow
from omniforge.board.vocabulary import CheckKind, TaskStatus, TicketStatus
from omniforge.core.actor import Actor
from omniforge.db import Database

MESSAGES = {
    Drift.REQUIREMENT_WITHOUT_TICKET: "no ticket works on it",
    Drift.REQUIREMENT_WITHOUT_CRITERION: "nothing says how it can be seen",
    Drift.TICKET_WITHOUT_REQUIREMENT: "it is for no requirement",
    Drift.TICKET_WITHOUT_TASK: "it has no task",
    Drift.TASK_WITHOUT_REQUIREMENT: "its ticket is for no requirement",
    Drift.CRITERION_WITHOUT_CHECK: "nothing checks it by itself",
    Drift.CHECK_WITHOUT_RECEIPT: "it counts as done, and nothing shows it",
    Drift.RECEIPT_FAILED: "its newest receipt says no",
    Drift.RECEIPT_VOIDED: "its newest receipt was voided",
    Drift.RECEIPT_OUTDATED: "its newest receipt is older than the last commit",
    Drift.FILE_OUTSIDE_OWNED: "it was changed, and no task said that it would be",
}


class Tracing:
    def __init__(self, db: Database) -> None:
        self.db = db

    async def trace(self, actor: Actor, spec_id: str) -> Trace:
        """What is archived or cancelled is no part of it."""
        actor.require("board:view")
        async with self.db.read() as session:
            spec = await store.get_spec(session, actor, spec_id)
            holding = await read_holding(session, spec)
            tickets = select(TicketRow.id).where(TicketRow.spec_id == spec.id)
            receipts = await _all(session, select(ReceiptRow).where(ReceiptRow.ticket_id.in_(tickets)))
            commits = await _all(session, select(CommitRow).where(CommitRow.ticket_id.in_(tickets)))
        return _Matrix(holding, receipts, commits).trace()


async def _all(session: AsyncSession, query: Any) -> list[Any]:
    return list(await session.scalars(query))


class _Matrix:
    """One trace while it is drawn."""

    def __init__(
        self, holding: Holding, receipts: Sequence[ReceiptRow], commits: Sequence[CommitRow]
    ) -> None:
        self.holding, self.drift = holding, list[Drifted]()
        rows = [row for row in holding.rows.values() if not is_gone(row)]
        self.requirements = [row for row in rows if isinstance(row, RequirementRow)]
        self.tickets = [row for row in rows if isinstance(row, TicketRow)]
        self.tasks: defaultdict[str, list[TaskRow]] = defaultdict(list)
        for row in rows:
            if isinstance(row, TaskRow):
                self.tasks[row.ticket_id].append(row)
        self.receipts: defaultdict[str, list[ReceiptRow]] = defaultdict(list)
        for receipt in sorted(receipts, key=lambda row: (row.started_at, row.id), reverse=True):
            self.receipts[receipt.ticket_id].append(receipt)
        self.commits: defaultdict[str, list[CommitRow]] = defaultdict(list)
        for commit in commits:
            self.commits[commit.ticket_id].append(commit)
        self.used: set[str] = set()
        """Ids of receipts that belong to a criterion."""

    def trace(self) -> Trace:
        tickets = [self._ticket(row) for row in self.tickets]
        requirements = [self._requirement(row) for row in self.requirements]
        for ticket in tickets:  # a requirement's criterion may have been shown by a ticket's receipt
            ticket.receipts = [each for each in ticket.receipts if each.id not in self.used]
        counts: defaultdict[str, int] = defaultdict(int)
        for each in self.drift:
            counts[each.flag.value] += 1
        spec = self.holding.spec
        return Trace(
            spec_id=spec.id,
            version=spec.version,
            requirements=requirements,
            tickets=tickets,
            drift=self.drift,
            counts=dict(counts),
        )

    def _flag(self, of: Any, row_id: str, ref: str, *flags: tuple[Drift, bool]) -> list[Drift]:
        """The flags that hold, which all stand in the one list as well."""
        held = [flag for flag, holds in flags if holds]
        self.drift += [
            Drifted(flag=flag, of=of, id=row_id, ref=ref, message=f"{ref}: {MESSAGES[flag]}") for flag in held
        ]
        return held

    # --- requirements, tickets, tasks ----------------------------------------------------------------------

    def _requirement(self, row: RequirementRow) -> TracedRequirement:
        covers = self.holding.covers
        tickets = [ticket for ticket in self.tickets if row.id in covers.get(ticket.id, ())]
        done = bool(tickets) and all(ticket.status == TicketStatus.DONE for ticket in tickets)
        criteria = self.holding.criteria.get(row.id, [])
        flags = self._flag(
            "requirement",
            row.id,
            row.ref,
            (Drift.REQUIREMENT_WITHOUT_TICKET, not tickets),
            (Drift.REQUIREMENT_WITHOUT_CRITERION, not criteria),
        )
        shown = [receipt for ticket in tickets for receipt in self.receipts[ticket.id]]
        return TracedRequirement(
            id=row.id,
            ref=row.ref,
            title=row.title,
            status=requirement_status(row, tickets),
            criteria=[self._criterion(each, row.ref, shown, done) for each in criteria],
            ticket_ids=[ticket.id for ticket in tickets],
            flags=flags,
        )

    def _ticket(self, row: TicketRow) -> TracedTicket:
        requirements = self.holding.covers.get(row.id, set())
        tasks = self.tasks[row.id]
        flags = self._flag(
            "ticket",
            row.id,
            row.ref,
            (Drift.TICKET_WITHOUT_REQUIREMENT, not requirements),
            (Drift.TICKET_WITHOUT_TASK, not tasks),
        )
        own = [each for each in self.receipts[row.id] if each.task_id is None]
        done = row.status == TicketStatus.DONE
        criteria = self.holding.criteria.get(row.id, [])
        loose = [commit for commit in self.commits[row.id] if commit.task_id is None]
        owned = [glob for task in tasks for glob in task.owned_files]
        return TracedTicket(
            id=row.id,
            ref=row.ref,
            title=row.title,
            status=TicketStatus(row.status),
            requirement_ids=sorted(requirements),
            criteria=[self._criterion(each, row.ref, own, done) for each in criteria],
            tasks=[self._task(task, traced=bool(requirements)) for task in tasks],
            files=self._changed(row, loose, owned),
            receipts=self._left(own),
            flags=flags,
        )

    def _task(self, row: TaskRow, *, traced: bool) -> TracedTask:
        flags = self._flag("task", row.id, row.ref, (Drift.TASK_WITHOUT_REQUIREMENT, not traced))
        own = [each for each in self.receipts[row.ticket_id] if each.task_id == row.id]
        done = row.status == TaskStatus.COMPLETED
        commits = [commit for commit in self.commits[row.ticket_id] if commit.task_id == row.id]
        said = [TracedFile(path=glob, how="owned", commits=[], flags=[]) for glob in row.owned_files]
        said += [
            TracedFile(path=each["path"], how="deliverable", commits=[], flags=[])
            for each in row.deliverables
        ]
        criteria = self.holding.criteria.get(row.id, [])
        return TracedTask(
            id=row.id,
            ref=row.ref,
            title=row.title,
            status=TaskStatus(row.status),
            phase_id=row.phase_id,  # pyright: ignore[reportArgumentType]
            depends_on=sorted(self.holding.needs.get(row.id, ())),
            criteria=[self._criterion(each, row.ref, own, done) for each in criteria],
            files=[*said, *self._changed(row, commits, row.owned_files)],
            receipts=self._left(own),
            flags=flags,
        )

    # --- files and evidence --------------------------------------------------------------------------------

    def _changed(
        self, row: TicketRow | TaskRow, commits: Iterable[CommitRow], owned: Sequence[str]
    ) -> list[TracedFile]:
        """Files of commits. Where nobody said what is owned, nothing is outside of it."""
        by_path: defaultdict[str, list[str]] = defaultdict(list)
        for commit in commits:
            for path in commit.files:
                by_path[path].append(commit.sha)
        found: list[TracedFile] = []
        for path, shas in sorted(by_path.items()):
            outside = bool(owned) and not any(glob_matches(glob, path) for glob in owned)
            flags = self._flag("file", row.id, f"{row.ref} {path}", (Drift.FILE_OUTSIDE_OWNED, outside))
            found.append(TracedFile(path=path, how="changed", commits=shas, flags=flags))
        return found

    def _criterion(
        self, row: CriterionRow, ref: str, shown: Sequence[ReceiptRow], done: bool
    ) -> TracedCriterion:
        receipts = [each for each in shown if _shows(each, row)]
        self.used |= {each.id for each in receipts}
        flags = self._flag(
            "criterion",
            row.id,
            ref,
            (Drift.CRITERION_WITHOUT_CHECK, row.kind == CheckKind.TEXT),
            (Drift.CHECK_WITHOUT_RECEIPT, row.kind == CheckKind.COMMAND and done and not receipts),
        )
        return TracedCriterion(
            id=row.id,
            text=row.text,
            kind=CheckKind(row.kind),
            check=_said(row),
            completed=row.completed,
            receipts=self._receipts(receipts, ref),
            flags=flags,
        )

    def _left(self, receipts: Sequence[ReceiptRow]) -> list[TracedReceipt]:
        """Those that show something else than a criterion."""
        left = [each for each in receipts if each.id not in self.used]
        by_check: defaultdict[str, list[ReceiptRow]] = defaultdict(list)
        for each in left:
            by_check[each.check_key].append(each)
        return [shown for key, rows in by_check.items() for shown in self._receipts(rows, key)]

    def _receipts(self, rows: Sequence[ReceiptRow], ref: str) -> list[TracedReceipt]:
        """Newest first; only the newest is flagged, since it is the one that counts."""
        return [self._receipt(row, ref, newest=place == 0) for place, row in enumerate(rows)]

    def _receipt(self, row: ReceiptRow, ref: str, *, newest: bool) -> TracedReceipt:
        last = _last_commit(self.commits[row.ticket_id])
        voided = row.voided_at is not None
        flags = self._flag(
            "receipt",
            row.id,
            ref,
            (Drift.RECEIPT_VOIDED, newest and voided),
            (Drift.RECEIPT_FAILED, newest and not voided and not row.passed),
            (Drift.RECEIPT_OUTDATED, newest and last is not None and row.started_at < last),
        )
        fields = {name: getattr(row, name) for name in TracedReceipt.model_fields if name != "flags"}
        return TracedReceipt(**fields, flags=flags)


def _last_commit(commits: Iterable[CommitRow]) -> datetime | None:
    return max((commit.authored_at or commit.created_at for commit in commits), default=None)


def _shows(receipt: ReceiptRow, criterion: CriterionRow) -> bool:
    """Whether a receipt is of this criterion: by itself, by its key, or by the command that was run."""
    if criterion.kind != CheckKind.COMMAND:
        return False
    command = (criterion.check or {}).get("command")
    spelled = command if isinstance(command, str) else " ".join(command or ())
    return (
        receipt.id == criterion.receipt_id
        or receipt.check_key.endswith(criterion.id)
        or receipt.command == spelled
    )


def _said(row: CriterionRow) -> str | None:
    check = row.check or {}
    said: str | list[str] | None = check.get("command") or check.get("rule") or check.get("role")
    return " ".join(said) if isinstance(said, list) else said
