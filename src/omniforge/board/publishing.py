"""What a completed task leaves for all to see: its commits, artifacts, and the criteria it has met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.artifacts import Artifacts
from omniforge.board.commits import Commits, LinkMethod, Seen
from omniforge.board.criteria import Owner
from omniforge.board.diffs import Change
from omniforge.board.examining import Verdict, task_check
from omniforge.board.repository import Commit, Repositories
from omniforge.board.standing import Standing, task_criteria
from omniforge.board.store.evidence import ReceiptRow, ResultRow
from omniforge.board.vocabulary import CheckKind
from omniforge.engine.events import Event
from omniforge.sandboxes.log import HOST


@dataclass(frozen=True, slots=True)
class Merged:
    """Where the branch of a ticket stands with the work of an attempt in it, and what came with that."""

    head: str | None
    commits: Sequence[Commit] = ()
    changes: Sequence[Change] = ()
    """Of the attempt, against where it began."""


def merge_message(standing: Standing) -> str:
    return f"Merge {standing.task.ref}: {standing.task.title}"


async def merge_work(
    repositories: Repositories, standing: Standing, commit: str | None, at: datetime
) -> Merged:
    """Bring the commit of an attempt into the branch of its ticket; `MergeConflict` changes nothing. What is
    in it already is found again."""
    if commit is None:
        return Merged(None)
    project_id, branch = standing.project.id, str(standing.ticket.branch_name)
    head = await repositories.merge(project_id, branch, commit, merge_message(standing), at=at)
    main = await repositories.default_head(project_id)
    own = (f"{standing.task.ref}: ", f"{merge_message(standing)}")
    found = await repositories.commits(project_id, main, head)
    changes = await repositories.changes(project_id, standing.attempt.base_commit, commit)
    return Merged(head, [each for each in found if each.message.startswith(own)], changes)


async def publish_in(  # noqa: PLR0917 - what is published of what, and when
    session: AsyncSession,
    commits: Commits,
    artifacts: Artifacts,
    standing: Standing,
    result: ResultRow | None,
    verdict: Verdict,
    merged: Merged,
    now: datetime,
) -> None:
    """In the transaction that completes the task, before it; with its events in their order."""
    events = commits.events
    linked = await commits.link_to(
        session, standing.ticket, map(_seen, merged.commits), LinkMethod.RESULT, HOST, standing.task.id
    )
    await events.append(session, standing.task.tenant_id, *linked)
    receipts = await _receipts(session, verdict)
    base, head = standing.attempt.base_commit, merged.head
    await artifacts.store_work(session, standing, base, head, merged.changes, receipts)
    if result is not None:
        await artifacts.store_sent(session, standing, result.artifacts, f"sandbox:{result.sandbox_id}")
    ticked = await _tick(session, standing, receipts, now)
    await events.append(session, standing.task.tenant_id, *ticked)


def _seen(commit: Commit) -> Seen:
    return Seen(
        commit.sha,
        commit.message,
        authored_at=commit.authored_at,
        insertions=sum(change.lines_added for change in commit.changes),
        deletions=sum(change.lines_removed for change in commit.changes),
        files=[change.path for change in commit.changes],
    )


async def _receipts(session: AsyncSession, verdict: Verdict) -> list[ReceiptRow]:
    query = select(ReceiptRow).where(ReceiptRow.id.in_(verdict.receipts))
    return list(await session.scalars(query.order_by(ReceiptRow.started_at, ReceiptRow.id)))


async def _tick(
    session: AsyncSession, standing: Standing, receipts: Sequence[ReceiptRow], now: datetime
) -> list[Event]:
    """Criteria that were looked at hold. Text is for people, and so are approvals."""
    task = standing.task
    by_key = {row.check_key: row.id for row in receipts}
    owner = Owner("task", task.id, task.project_id, task.ticket_id, task.id)
    events: list[Event] = []
    kinds = (CheckKind.COMMAND, CheckKind.RULE, CheckKind.APPROVAL)
    for criterion in await task_criteria(session, task.id, *kinds):
        if criterion.completed:
            continue
        criterion.completed, criterion.completed_by, criterion.updated_at = True, HOST, now
        criterion.receipt_id = by_key.get(task_check(criterion).key)
        told = {"changes": {"completed": [False, True]}, "completed": True}
        events.append(owner.event("criterion.updated", criterion.id, now, HOST, **told))
    await session.flush()
    return events
