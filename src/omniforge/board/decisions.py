"""What is decided at a gate: go, no-go, or go under conditions; kept with everything it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.gate_standing import Shown, Standing
from omniforge.board.log import board_event
from omniforge.board.store import gates as store
from omniforge.board.store.evidence import DecisionRow
from omniforge.board.store.specs import CriterionRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import CriterionResult, GateVerdict
from omniforge.board.workflow import stage_of
from omniforge.core.clock import new_id
from omniforge.engine.events import Event, EventLog

Json = dict[str, Any]
TOLD = 100
"""Checks that an event tells of; the row holds them all."""


def verdict_of(required: Sequence[Shown]) -> GateVerdict:
    """Of checks that nothing is waited for; people who were not asked, because something else had failed,
    change nothing."""
    results = {str(one.status) for one in required}
    if results - {CriterionResult.PASS, CriterionResult.WAIVED}:
        return GateVerdict.NO_GO
    return GateVerdict.CONDITIONAL_GO if CriterionResult.WAIVED in results else GateVerdict.GO


def conditions_of(required: Sequence[Shown]) -> list[Json]:
    """Under which failures were set aside, in the order of the checks."""
    waivers = [one.waiver for one in required if one.waiver is not None]
    return [condition for waiver in waivers for condition in waiver.context.get("conditions", [])]


async def decide_in(  # noqa: PLR0917 - what a decision is made of
    session: AsyncSession,
    events: EventLog,
    ticket: TicketRow,
    standing: Standing,
    now: datetime,
    by: str,
) -> DecisionRow:
    """Write a decision and tell of it, or give the one that the same evidence led to already."""
    told = [one.told() for one in standing.checks if str(one.status) in list(CriterionResult)]
    last = await store.last_decision(session, ticket, standing.from_status)
    if last is not None and (last.criteria, last.tree_hash) == (told, standing.tree_hash):
        return last
    to = stage_of(standing.from_status).forward
    row = DecisionRow(
        id=new_id("gate"),
        tenant_id=ticket.tenant_id,
        ticket_id=ticket.id,
        from_status=standing.from_status.value,
        to_status=to.value if to else "",
        phase_entry=ticket.phase_entry,
        decision=verdict_of(standing.required).value,
        criteria=told,
        conditions=conditions_of(standing.required),
        tree_hash=standing.tree_hash,
        decided_by=by,
        created_at=now,
    )
    session.add(row)
    await session.flush()
    short = [{name: one[name] for name in ("key", "tier", "status")} for one in told[:TOLD]]
    payload: Json = {"decision_id": row.id, "from_status": row.from_status, "to_status": row.to_status}
    payload |= {"decision": row.decision, "criteria": short}
    ids = {"project_id": ticket.project_id, "ticket_id": ticket.id}
    decided = board_event("gate.decided", row.id, now, by, **ids, **payload)
    ticked = await _tick(session, ticket, standing.checks, now, by)
    await events.append(session, ticket.tenant_id, decided, *ticked)
    return row


async def _tick(
    session: AsyncSession, ticket: TicketRow, checks: Sequence[Shown], now: datetime, by: str
) -> list[Event]:
    """Criteria are completed as far as evidence says so now."""
    events: list[Event] = []
    for one in checks:
        if one.check.criterion_id is None:
            continue
        row = await session.get(CriterionRow, one.check.criterion_id)
        completed = one.status == CriterionResult.PASS
        if row is None or row.completed == completed:
            continue
        row.completed, row.updated_at = completed, now
        row.completed_by = (one.approver or by) if completed else None
        row.receipt_id = one.evidence if completed and one.command is not None else None
        ids = {"project_id": ticket.project_id, "ticket_id": ticket.id}
        changed = {"completed": [not completed, completed]}
        told: Json = {"owner": f"{row.owner_type}:{row.owner_id}", "changes": changed, "completed": completed}
        events.append(board_event("criterion.updated", row.id, now, by, **ids, **told))
    await session.flush()
    return events
