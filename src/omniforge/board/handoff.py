"""The handover of a built ticket: what was done, said, changed and shown, from what the board has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.store.evidence import ReceiptRow, ResultRow
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import CommitRow, TicketRow
from omniforge.board.vocabulary import TaskStatus

Json = dict[str, Any]
MOST = 200
"""Of each kind; what is more is counted."""
LONGEST = 2_000


@dataclass(frozen=True, slots=True)
class Done:
    """What the board knows of the work on a ticket. `results`: the last word of each completed task."""

    ticket: TicketRow
    tasks: Sequence[TaskRow]
    results: dict[str, ResultRow]
    commits: Sequence[CommitRow]
    receipts: Sequence[ReceiptRow]


async def handoff_of(session: AsyncSession, ticket: TicketRow) -> Json:
    """`{text, tasks, results, commits, receipts, files}`: Markdown, and what it tells of."""
    done = await _read(session, ticket)
    return {"text": as_markdown(done), **_figures(done)}


async def _read(session: AsyncSession, ticket: TicketRow) -> Done:
    await session.flush()
    where = (TaskRow.ticket_id == ticket.id, TaskRow.status == TaskStatus.COMPLETED)
    order = (TaskRow.completed_at, TaskRow.id)
    tasks = list(await session.scalars(select(TaskRow).where(*where).order_by(*order)))
    last = select(ResultRow).join(
        TaskRow, (TaskRow.id == ResultRow.task_id) & (TaskRow.attempt == ResultRow.attempt)
    )
    said = last.where(*where, ResultRow.status == "completed")
    results = {row.task_id: row for row in await session.scalars(said)}
    commits = select(CommitRow).where(CommitRow.ticket_id == ticket.id)
    receipts = select(ReceiptRow).where(
        ReceiptRow.ticket_id == ticket.id,
        ReceiptRow.voided_at.is_(None),
        ReceiptRow.started_at >= ticket.evidence_since,
    )
    moment = func.coalesce(CommitRow.authored_at, CommitRow.created_at)
    return Done(
        ticket,
        tasks,
        results,
        list(await session.scalars(commits.order_by(moment, CommitRow.id))),
        list(await session.scalars(receipts.order_by(ReceiptRow.started_at, ReceiptRow.id))),
    )


def files_of(commits: Sequence[CommitRow]) -> list[str]:
    return sorted({path for commit in commits for path in commit.files})


def _figures(done: Done) -> Json:
    return {
        "tasks": [task.id for task in done.tasks[:MOST]],
        "results": [row.id for row in done.results.values()][:MOST],
        "commits": [commit.sha for commit in done.commits[:MOST]],
        "receipts": [receipt.id for receipt in done.receipts[:MOST]],
        "files": files_of(done.commits)[:MOST],
    }


def as_markdown(done: Done) -> str:
    """Headings: Summary, Work, Files, Commits, Evidence. What workers said is told as said by them."""
    ticket, files = done.ticket, files_of(done.commits)
    added = sum(commit.insertions for commit in done.commits)
    removed = sum(commit.deletions for commit in done.commits)
    passed = sum(receipt.passed for receipt in done.receipts)
    summary = (
        f"{_count(len(done.tasks), 'task')} completed, {_count(len(done.commits), 'commit')}, "
        f"{_count(len(files), 'file')} changed (+{added} -{removed} lines), "
        f"{passed} of {_count(len(done.receipts), 'check')} passed."
    )
    parts = [
        f"# Handover of {ticket.ref}: {_line(ticket.title)}",
        f"## Summary\n\n{summary}",
        "## Work\n\n" + _listed([_work(task, done.results.get(task.id)) for task in done.tasks]),
        "## Files\n\n" + _listed([f"- `{_code(path)}`" for path in files]),
        "## Commits\n\n" + _listed([f"- `{one.sha[:12]}` {_line(one.message)}" for one in done.commits]),
        "## Evidence\n\n" + _listed([_evidence(receipt) for receipt in done.receipts]),
    ]
    return "\n\n".join(parts) + "\n"


def _work(task: TaskRow, result: ResultRow | None) -> str:
    said = f"\n  Its worker says: {_line(result.summary)}" if result is not None else ""
    return f"- {task.ref} {_line(task.title)}{said}"


def _evidence(receipt: ReceiptRow) -> str:
    verdict = "passed" if receipt.passed else "failed"
    coverage = "" if receipt.coverage_percent is None else f", coverage {receipt.coverage_percent:.1f} %"
    ran = f"exit code {receipt.exit_code}, {receipt.duration_ms} ms{coverage}, tree {receipt.tree_hash[:12]}"
    return f"- {verdict}: `{_code(receipt.command)}` ({ran})"


def _listed(lines: Sequence[str]) -> str:
    more = [f"- and {len(lines) - MOST} more"] if len(lines) > MOST else []
    return "\n".join([*lines[:MOST], *more]) or "None."


def _line(text: str) -> str:
    """On one line, so that nothing somebody said makes a heading of its own."""
    plain = " ".join(text.split())
    return plain if len(plain) <= LONGEST else plain[:LONGEST] + "…"


def _code(text: str) -> str:
    return _line(text).replace("`", "'")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
