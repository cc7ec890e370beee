"""Where a ticket may go from where it stands, and why not. Decides only; nothing is read here."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from omniforge.board.store.tickets import TicketRow, approval_of
from omniforge.board.vocabulary import ApprovalStatus, GateReadiness, HoldReason, TicketStatus
from omniforge.board.workflow import has_gate, targets_of

OPEN_GATES = (GateReadiness.READY, GateReadiness.NOT_CONFIGURED)


def legal_targets(
    ticket: TicketRow,
    now: datetime,
    full: Collection[TicketStatus],
    readiness: GateReadiness | None = None,
) -> list[dict[str, Any]]:
    """Every status that may follow as `{status, allowed, reason?}`. `full` are the columns without a free
    place; `readiness` None: the gate was not asked, and is no reason."""
    source = TicketStatus(ticket.status)
    return [
        {"status": target.value, "allowed": why is None, **({"reason": why.value} if why else {})}
        for target in targets_of(source)
        for why in [_why_not(ticket, source, target, now, full, readiness)]
    ]


def _why_not(  # noqa: PLR0917 - everything that can stand in the way
    ticket: TicketRow,
    source: TicketStatus,
    target: TicketStatus,
    now: datetime,
    full: Collection[TicketStatus],
    readiness: GateReadiness | None,
) -> HoldReason | None:
    """In the order in which a move is checked."""
    if ticket.archived:
        return HoldReason.TERMINAL
    if ticket.is_blocked:
        return HoldReason.BLOCKED
    if approval_of(ticket, now) is not ApprovalStatus.APPROVED:
        return HoldReason.NOT_APPROVED
    if has_gate(source, target) and readiness is not None and readiness not in OPEN_GATES:
        return HoldReason.GATE_PENDING
    return HoldReason.WIP_LIMIT if target in full else None
