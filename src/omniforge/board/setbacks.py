"""What follows when evidence says no about a ticket that moves by itself: work to mend it, or a person."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.ports import Tasks
from omniforge.board.projects import settings_of
from omniforge.board.store.evidence import ApprovalRow, DecisionRow, ReceiptRow
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import BlockerType, CheckKind, CriterionResult, TaskType, TicketStatus
from omniforge.board.workflow import stage_of
from omniforge.core.actor import Actor
from omniforge.engine.events import Event, EventLog

Json = dict[str, Any]
OUTPUT_SHOWN = 4_000
FEEDBACK_SHOWN = 20_000
BY = "system:advance"


class Blocking(Protocol):
    async def block_in(  # noqa: PLR0917 - what a block is made of
        self,
        session: AsyncSession,
        ticket: TicketRow,
        blocker_type: BlockerType,
        reason: str,
        blockers: list[Json],
        by: str,
    ) -> list[Event]: ...


Regress = Callable[[AsyncSession, Actor, TicketRow, str], Awaitable[bool]]
"""Sends a ticket back with this feedback; False: it waits for a place there."""


class Setbacks:
    """`regress` is set once there are moves, which know this room as well."""

    def __init__(self, events: EventLog, tasks: Tasks, blocking: Blocking) -> None:
        self.events, self.tasks, self.blocking = events, tasks, blocking
        self.regress: Regress | None = None

    async def __call__(
        self, session: AsyncSession, actor: Actor, ticket: TicketRow, decision: DecisionRow
    ) -> bool:
        """True when something was done about it; False: the ticket is held."""
        if (ticket.pending_transition or {}).get("feedback"):
            return True  # it was sent back before, and only waits for a place
        project = await session.get_one(ProjectRow, ticket.project_id)
        settings = settings_of(project)
        failed = [one for one in decision.criteria if counts_against(one)]
        if all(one["kind"] == CheckKind.APPROVAL for one in failed):
            return await self._block(session, ticket, failed, "People said no")
        goes_back = ticket.status == TicketStatus.TESTING
        if goes_back and (not settings.auto_regress or self.regress is None):
            return False
        if ticket.remediations >= settings.max_remediations:
            why = f"Still failing after {ticket.remediations} attempts to mend it"
            return await self._block(session, ticket, failed, why)
        ticket.remediations += 1
        feedback = await self._feedback(session, ticket, failed)
        if goes_back and self.regress is not None:
            await self.regress(session, actor, ticket, feedback)
        else:
            await self._remediate(session, actor, ticket, feedback)
        return True

    async def _remediate(self, session: AsyncSession, actor: Actor, ticket: TicketRow, feedback: str) -> None:
        """New work where the ticket stands."""
        await self.tasks.create_in(
            session,
            actor,
            ticket,
            title=f"Mend what was found wrong in {ticket.title}"[:500],
            description=feedback,
            task_type=TaskType.REMEDIATION,
            phase_id=stage_of(TicketStatus(ticket.status)).admits[0],
            feedback=[{"kind": "gate", "text": feedback, "by": actor.by}],
        )

    async def _block(self, session: AsyncSession, ticket: TicketRow, failed: list[Json], why: str) -> bool:
        """A person has to see to it. A no that led to a block counts until somebody lifts that."""
        blockers: list[Json] = []
        for one in failed:
            is_answer = one["kind"] == CheckKind.APPROVAL
            kind, id_ = ("approval", one["evidence"]) if is_answer else ("check", one["key"])
            blockers.append({"kind": kind, "id": id_, "ref": one["key"]})
            if is_answer and (asked := await session.get(ApprovalRow, one["evidence"])) is not None:
                asked.context = {**asked.context, "blocked": True}
        reason = f"{why}: {', '.join(one.get('text') or one['key'] for one in failed)}."[:5_000]
        events = await self.blocking.block_in(
            session, ticket, BlockerType.FAILING_CHECKS, reason, blockers, BY
        )
        await self.events.append(session, ticket.tenant_id, *events)
        return True

    async def _feedback(self, session: AsyncSession, ticket: TicketRow, failed: list[Json]) -> str:
        """What failed and what it said, for whoever mends it."""
        parts = [f"The gate out of {ticket.status} says no."]
        for one in failed:
            parts.append(f"{one.get('text') or one['key']}: {one['detail']}")
            receipt = await session.get(ReceiptRow, one["evidence"]) if one["evidence"] else None
            if receipt is not None:
                parts.append(f"$ {receipt.command[:1_000]}\n{receipt.output_tail[-OUTPUT_SHOWN:]}")
            if one.get("rationale"):
                parts.append(f"{one['approver']}: {one['rationale']}")
        return "\n\n".join(parts)[:FEEDBACK_SHOWN]


def counts_against(criterion: Json) -> bool:
    return criterion["required"] and criterion["status"] == CriterionResult.FAIL
