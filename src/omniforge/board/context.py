"""What is known about a ticket: its finished work folded into a summary, phase by phase, and its moves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.moving import ticket_event
from omniforge.board.phases import NAMES
from omniforge.board.shapes.surroundings import FullContext, TicketContext
from omniforge.board.shapes.tickets import HistoryEntry
from omniforge.board.store.evidence import ArtifactRow, DecisionRow, ResultRow
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import TicketHistoryRow, TicketRow, get_ticket
from omniforge.board.vocabulary import MoveCause, PhaseId, TaskStatus
from omniforge.board.workflow import STATUS_OF_PHASE, TASK_PHASES
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock, rfc3339
from omniforge.db import Database
from omniforge.engine.events import EventLog

Json = dict[str, Any]
LONGEST_NOTE = 2_000
LONGEST_SUMMARY = 20_000
TOLD = 1_000
"""Characters of a summary in an event; the row holds all."""
_MARKED = re.compile(r"^\W*(decision|risk)s?\s*:\s*(.+)$", re.IGNORECASE)


class Contexts:
    def __init__(self, db: Database, events: EventLog, clock: Clock) -> None:
        self.db, self.events, self.clock = db, events, clock

    async def get(self, actor: Actor, ticket_id: str) -> TicketContext:
        actor.require("board:view")
        async with self.db.read() as session:
            ticket = await get_ticket(session, actor, ticket_id)
            query = select(TicketHistoryRow).where(TicketHistoryRow.ticket_id == ticket_id)
            order = (TicketHistoryRow.created_at, TicketHistoryRow.seq, TicketHistoryRow.id)
            rows = await session.scalars(query.order_by(*order))
            history = [HistoryEntry.model_validate(row) for row in rows]
        back = [entry for entry in history if entry.cause is MoveCause.REGRESS or entry.feedback]
        full = FullContext(phases=ticket.context.get("phases", {}), history=history, regressions=back)
        return TicketContext(ticket_id=ticket.id, full_context=full, summary=ticket.context_summary)

    async def fold(self, actor: Actor, ticket_id: str, phase: PhaseId) -> str:
        """Fold the completed tasks of a phase into the context; the summary of all that is folded. The same
        work folded again changes nothing."""
        actor.require("board:edit")
        async with self.db.transaction() as session:
            ticket = await get_ticket(session, actor, ticket_id, lock=True)
            known: dict[str, Json] = ticket.context.get("phases", {})
            phases = known | {phase.value: await _folded(session, ticket, phase)}
            summary = _summary(phases)
            if phases != known or summary != ticket.context_summary:
                before = ticket.context_summary
                ticket.context = ticket.context | {"phases": phases}
                ticket.context_summary = summary
                ticket.version, ticket.updated_at = ticket.version + 1, self.clock.now()
                changes = {"context_summary": [before and before[:TOLD], summary[:TOLD]]}
                told = ticket_event("ticket.updated", ticket, ticket.updated_at, actor.by, changes=changes)
                await self.events.append(session, actor.tenant_id, told)
        return summary


async def _folded(session: AsyncSession, ticket: TicketRow, phase: PhaseId) -> Json:
    """What is left of the work of a phase: `{tasks, decisions, risks, notes, artifacts}`."""
    of_phase = (TaskRow.ticket_id == ticket.id, TaskRow.phase_id == phase)
    tasks = list(
        await session.scalars(
            select(TaskRow)
            .where(*of_phase, TaskRow.status == TaskStatus.COMPLETED)
            .order_by(TaskRow.completed_at, TaskRow.id)
        )
    )
    results = await _results(session, [task.id for task in tasks])
    said: dict[str, list[Json]] = {"decision": [], "risk": [], "note": []}
    for task in tasks:
        result = results.get(task.id)
        for kind, text in _sorted_notes(result.notes if result else ""):
            said[kind].append({"task": task.ref, "text": text})
    return {
        "tasks": [_task(task, results.get(task.id)) for task in tasks],
        "decisions": [*await _decisions(session, ticket, phase), *said["decision"]],
        "risks": said["risk"],
        "notes": said["note"],
        "artifacts": await _artifacts(session, ticket, phase),
    }


async def _results(session: AsyncSession, task_ids: Sequence[str]) -> dict[str, ResultRow]:
    """The last completed result of each task."""
    query = select(ResultRow).where(ResultRow.task_id.in_(task_ids), ResultRow.status == "completed")
    rows = await session.scalars(query.order_by(ResultRow.attempt, ResultRow.created_at))
    return {row.task_id: row for row in rows}


def _task(task: TaskRow, result: ResultRow | None) -> Json:
    return {
        "id": task.id,
        "ref": task.ref,
        "title": task.title,
        "completed_at": rfc3339(task.completed_at) if task.completed_at else None,
        "summary": result.summary[:LONGEST_NOTE] if result else None,
    }


def _sorted_notes(notes: str) -> list[tuple[str, str]]:
    """Lines that begin with `Decision:` or `Risk:` by themselves, the others as notes together."""
    found: list[tuple[str, str]] = []
    rest: list[str] = []
    for line in notes.splitlines():
        if match := _MARKED.match(line):
            found.append((match[1].lower(), match[2].strip()[:LONGEST_NOTE]))
        else:
            rest.append(line)
    if note := "\n".join(rest).strip():
        found.append(("note", note[:LONGEST_NOTE]))
    return found


async def _decisions(session: AsyncSession, ticket: TicketRow, phase: PhaseId) -> list[Json]:
    """Of the gate behind the phase."""
    where = (DecisionRow.ticket_id == ticket.id, DecisionRow.from_status == STATUS_OF_PHASE[phase])
    rows = await session.scalars(select(DecisionRow).where(*where).order_by(DecisionRow.created_at))
    return [
        {"gate": row.id, "text": f"{row.decision} from {row.from_status} to {row.to_status}"} for row in rows
    ]


async def _artifacts(session: AsyncSession, ticket: TicketRow, phase: PhaseId) -> list[Json]:
    where = (ArtifactRow.ticket_id == ticket.id, ArtifactRow.phase_id == phase)
    rows = await session.scalars(
        select(ArtifactRow).where(*where).order_by(ArtifactRow.created_at, ArtifactRow.id)
    )
    return [{"id": row.id, "artifact_type": row.artifact_type, "path": row.path or None} for row in rows]


def _summary(phases: dict[str, Json]) -> str:
    parts: list[str] = []
    for phase in TASK_PHASES:
        if (kept := phases.get(phase.value)) is None:
            continue
        lines = [f"{NAMES[phase]}: {_count(len(kept['tasks']), 'task')} completed."]
        lines += [f"- {one['ref']} {one['title']}{_after(one['summary'])}" for one in kept["tasks"]]
        for name, word in (("decisions", "Decision"), ("risks", "Risk"), ("notes", "Note")):
            lines += [f"- {word}{_of(one)}: {one['text']}" for one in kept[name]]
        if kept["artifacts"]:
            kinds = dict.fromkeys(one["path"] or one["artifact_type"] for one in kept["artifacts"])
            lines.append(f"- Artifacts: {', '.join(kinds)}")
        parts.append("\n".join(lines))
    whole = "\n\n".join(parts)
    return whole if len(whole) <= LONGEST_SUMMARY else whole[: LONGEST_SUMMARY - 2] + " …"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _after(summary: str | None) -> str:
    return f": {' '.join(summary.split())[:300]}" if summary else ""


def _of(one: Json) -> str:
    return f" ({one['task']})" if "task" in one else ""
