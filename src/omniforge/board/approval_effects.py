"""What the answer to a question does, by what the question is about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.errors import PreconditionFailed
from omniforge.board.moves import Moves, system_actor
from omniforge.board.shapes.approvals import Answer, AskedStatus
from omniforge.board.spec_life import Part, SpecLife
from omniforge.board.store import gates as gate_rows
from omniforge.board.store import projects as project_rows
from omniforge.board.store import specs as spec_rows
from omniforge.board.store import tickets as ticket_rows
from omniforge.board.store.evidence import ApprovalRow
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import TicketRow
from omniforge.core.actor import Actor
from omniforge.core.errors import NotFound
from omniforge.engine.events import Event, EventLog

YES_OR_NO = (Answer.APPROVE, Answer.REJECT)


async def _nothing(row: ApprovalRow) -> None:
    """Nothing follows."""


async def _nobody(session: AsyncSession, row: ApprovalRow) -> Sequence[str | None]:
    return ()


def _yes_or_no(row: ApprovalRow) -> Sequence[Answer]:
    return YES_OR_NO


@dataclass(frozen=True, slots=True)
class Effect:
    """apply: in the transaction of the answer, before it is kept; raises to refuse it. follow: after it.

    authors: whose work or wish is looked at, as `user:<id>`. answers: which ones the question takes.
    """

    apply: Callable[[AsyncSession, Actor, ApprovalRow, Answer, str | None], Awaitable[None]]
    follow: Callable[[ApprovalRow], Awaitable[None]] = _nothing
    authors: Callable[[AsyncSession, ApprovalRow], Awaitable[Sequence[str | None]]] = _nobody
    answers: Callable[[ApprovalRow], Sequence[Answer]] = _yes_or_no


class TicketReviews(Protocol):
    async def decide_in(
        self, session: AsyncSession, actor: Actor, ticket_id: str, rejection_reason: str | None
    ) -> list[Event]:
        """What an answer does to the ticket; None: it is yes. The events are the caller's to write."""
        ...


def of_ticket(reviews: TicketReviews, events: EventLog, moves: Moves) -> Effect:
    """A ticket that people look at before anything is spent on it."""

    async def apply(
        session: AsyncSession, actor: Actor, row: ApprovalRow, answer: Answer, rationale: str | None
    ) -> None:
        reason = None if answer is Answer.APPROVE else rationale
        written = await reviews.decide_in(session, actor, row.subject_id, reason)
        await events.append(session, row.tenant_id, *written)

    async def authors(session: AsyncSession, row: ApprovalRow) -> Sequence[str | None]:
        ticket = await session.get(TicketRow, row.subject_id)
        return () if ticket is None else (ticket.requested_by, ticket.created_by)

    return Effect(apply, _advancing(moves), authors)


def of_spec(life: SpecLife) -> Effect:
    """The requirements or the design of a spec. Its own authors are known to its life."""

    async def apply(
        session: AsyncSession, actor: Actor, row: ApprovalRow, answer: Answer, rationale: str | None
    ) -> None:
        spec = await spec_rows.get_spec(session, actor, row.subject_id, lock=True)
        project = await project_rows.get_project(session, actor, row.project_id)
        part = Part(row.context["part"])
        if spec.archived:
            raise PreconditionFailed("This spec is archived and is approved no more.", status="archived")
        await life.check_approver(session, actor, spec, project, part)
        if answer is Answer.APPROVE:
            await life.approve(session, actor.by, spec, part)
            await life.approve_ready(session, "system:evaluator", spec, project)

    return Effect(apply)


def of_gate_check(moves: Moves) -> Effect:
    """One check of the gate before a ticket: it is judged anew, and the ticket goes on if it may."""

    async def apply(
        session: AsyncSession, actor: Actor, row: ApprovalRow, answer: Answer, rationale: str | None
    ) -> None:
        ticket = await ticket_rows.get_ticket(session, actor, row.subject_id, lock=True)
        asked = (row.context.get("phase_entry"), row.context.get("from_status"))
        if asked != (ticket.phase_entry, ticket.status) or ticket.archived:
            message = "The ticket has moved on since this was asked."
            raise PreconditionFailed(message, status=ticket.status)
        if answer is not Answer.APPROVE:
            return
        said = [
            other
            for other in await gate_rows.answers_of(session, ticket)
            if other.status == AskedStatus.APPROVED
            and other.context.get("check_key") == row.context.get("check_key")
        ]
        if any(other.decided_by == actor.by for other in said):
            raise PreconditionFailed("You approved this already; somebody else has to as well.")

    async def authors(session: AsyncSession, row: ApprovalRow) -> Sequence[str | None]:
        return await authors_of(session, row.subject_id)

    return Effect(apply, _advancing(moves), authors)


async def authors_of(session: AsyncSession, ticket_id: str) -> list[str | None]:
    """Whose ticket it is, and who took on work of it."""
    ticket = await session.get(TicketRow, ticket_id)
    workers = await session.scalars(select(TaskRow.claimed_by).where(TaskRow.ticket_id == ticket_id))
    return [*([ticket.created_by] if ticket else []), *workers]


def _advancing(moves: Moves) -> Callable[[ApprovalRow], Awaitable[None]]:
    async def follow(row: ApprovalRow) -> None:
        with suppress(NotFound):  # it was not only rejected: it is gone
            await moves.advance_ticket(system_actor(row.tenant_id, "advance"), row.subject_id)

    return follow
