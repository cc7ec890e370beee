"""What one can do with tickets: make, find, change, move and rank them, and read what became of them."""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import changes, ranks, views
from omniforge.board.creation import Creation, known_spec
from omniforge.board.errors import GatePending, WipLimitReached
from omniforge.board.moves import Moves
from omniforge.board.moving import Unmerged, check_version, ticket_event
from omniforge.board.shapes.board import AutoTransition, Moved, MoveGiven
from omniforge.board.shapes.tickets import (
    Criterion,
    Decision,
    History,
    HistoryEntry,
    Progressed,
    Regress,
    Ticket,
    TicketChanges,
    TicketDetail,
    TicketGiven,
    TicketList,
    TicketQuery,
    Transition,
)
from omniforge.board.store import cards
from omniforge.board.store import tickets as store
from omniforge.board.store.cards import CardFilter
from omniforge.board.store.evidence import DecisionRow
from omniforge.board.store.specs import CriterionRow
from omniforge.board.store.tasks import TaskRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import GateReadiness, MoveCause, TicketStatus
from omniforge.board.workflow import phase_of, statuses_of
from omniforge.core.actor import Actor
from omniforge.core.errors import Invalid
from omniforge.core.paging import Paging
from omniforge.db import Database

Made_co = TypeVar("Made_co", covariant=True)


class Move(Protocol[Made_co]):
    """A move in a transaction of its own."""

    async def __call__(self, *, is_merged: bool) -> Made_co: ...


class Tickets:
    """`creation` makes tickets, `moves` moves them."""

    def __init__(self, db: Database, moves: Moves, creation: Creation) -> None:
        self.db, self.moves, self.creation = db, moves, creation
        self.events, self.clock = moves.events, moves.clock

    # --- make and find -------------------------------------------------------------------------------------

    async def create(self, actor: Actor, given: TicketGiven) -> Ticket:
        actor.require("board:edit")
        if given.check_duplicates and self.creation.duplicates is not None:
            await self.creation.duplicates.prepare(actor, given.project_id)
        async with self.db.transaction() as session:
            row = await self.creation.create_in(session, actor, given)
        return await self.get(actor, row.id)

    async def get(self, actor: Actor, ticket_id: str) -> Ticket:
        """With the gate asked what may follow."""
        async with self.db.read() as session:
            return await self._one(session, actor, ticket_id)

    async def detail(self, actor: Actor, ticket_id: str) -> TicketDetail:
        """With its tasks, criteria and last decision."""
        actor.require("board:view")
        async with self.db.read() as session:
            ticket = await self._one(session, actor, ticket_id)
            tasks = select(TaskRow).where(TaskRow.ticket_id == ticket_id).order_by(TaskRow.created_at)
            owned = (CriterionRow.owner_type == "ticket", CriterionRow.owner_id == ticket_id)
            criteria = select(CriterionRow).where(*owned).order_by(CriterionRow.position)
            decisions = (
                select(DecisionRow)
                .where(DecisionRow.ticket_id == ticket_id)
                .order_by(DecisionRow.created_at.desc(), DecisionRow.id.desc())
                .limit(1)
            )
            last = await session.scalar(decisions)
            return TicketDetail(
                **ticket.model_dump(),
                tasks=[task_json(row) for row in await session.scalars(tasks)],
                criteria=[Criterion.model_validate(row) for row in await session.scalars(criteria)],
                last_decision=Decision.model_validate(last) if last else None,
            )

    async def _one(self, session: AsyncSession, actor: Actor, ticket_id: str) -> Ticket:
        row = await store.get_ticket(session, actor, ticket_id)
        (card,) = await cards.cards_of(session, actor, [row.id])
        links = await cards.links_of(session, actor, [row.id])
        ways = await self.moves.legal_targets(session, card.ticket)
        return views.ticket_view(card, links[row.id], self.clock.now(), ways)

    async def find(self, actor: Actor, query: TicketQuery) -> TicketList:
        actor.require("board:view")
        statuses = {query.status} if query.status else None
        if query.phase_id is not None:
            of_phase = set(statuses_of(query.phase_id))
            statuses = of_phase if statuses is None else statuses & of_phase
        wanted = CardFilter(
            query.project_id,
            query.spec_id,
            statuses,
            query.priority,
            query.is_blocked,
            query.approval_status,
            query.tag,
            query.search,
            query.archived,
        )
        now = self.clock.now()
        async with self.db.read() as session:
            found, total = await cards.list_tickets(session, actor, wanted, now, query)
            full = await views.full_columns(session, (card.ticket.project_id for card in found))
            shown = await views.shown(session, actor, found, now, full)
        return TicketList(tickets=shown, total=total, limit=query.limit, offset=query.offset)

    async def history(self, actor: Actor, ticket_id: str, paging: Paging) -> History:
        actor.require("board:view")
        async with self.db.read() as session:
            await store.get_ticket(session, actor, ticket_id)
            rows, total = await store.history_of(session, actor, ticket_id, paging)
        entries = [HistoryEntry.model_validate(row) for row in rows]
        return History(history=entries, total=total, limit=paging.limit, offset=paging.offset)

    # --- change --------------------------------------------------------------------------------------------

    async def change(self, actor: Actor, ticket_id: str, given: TicketChanges) -> Ticket:
        actor.require("board:edit")
        wanted = given.changes()
        async with self.db.transaction() as session:
            row = await store.get_ticket(session, actor, ticket_id, lock=True)
            check_version(row, given.expected_version)
            if wanted.get("spec_id") is not None:
                await known_spec(session, actor, row.project_id, wanted["spec_id"])
            if wanted.get("archived") is False and row.archived:
                await self._take_place_again(session, actor, row)
            changed = changes.apply(row, wanted)
            if changed:
                await self._tell_change(session, actor, row, changed)
        return await self.get(actor, ticket_id)

    async def _take_place_again(self, session: AsyncSession, actor: Actor, row: TicketRow) -> None:
        """An archived ticket stands in no column; coming back it needs a place."""
        status = TicketStatus(row.status)
        full = await self.moves.full_column(session, actor, row.project_id, status)
        if full is not None:
            limit, count = full
            details: dict[str, Any] = {"from": None, "to": status.value, "legal_targets": []}
            message = f"The column {status} is full: {count} of {limit}."
            raise WipLimitReached(message, **details, limit=limit, count=count)

    async def _tell_change(
        self, session: AsyncSession, actor: Actor, row: TicketRow, changed: dict[str, Any]
    ) -> None:
        row.version += 1
        row.updated_at = self.clock.now()
        if "title" in changed or "description" in changed:
            row.embedding, row.embedder = None, None
        if row.archived:
            row.pending_transition, row.held_for = None, None
        told = changes.short(changed)
        event = ticket_event("ticket.updated", row, row.updated_at, actor.by, changes=told)
        await self.events.append(session, actor.tenant_id, event)
        if "archived" in changed:
            await session.flush()
            readmitted = await self.moves.tasks.readmit_ticket(session, row)
            await self.events.append(session, actor.tenant_id, *readmitted)

    # --- move ----------------------------------------------------------------------------------------------

    async def transition(self, actor: Actor, ticket_id: str, given: Transition) -> Ticket:
        """Checks of the gate that were not run yet are started when it refuses for want of them."""
        actor.require("board:edit")
        await self._move_merged(actor, ticket_id, partial(self._transition, actor, ticket_id, given))
        return await self.get(actor, ticket_id)

    async def _transition(self, actor: Actor, ticket_id: str, given: Transition, *, is_merged: bool) -> None:
        async with self.db.transaction() as session:
            row = await store.get_ticket(session, actor, ticket_id)
            await self.moves.move_ticket(
                session,
                actor,
                row,
                given.to_status,
                cause=MoveCause.TRANSITION,
                reason=given.reason,
                force=given.force,
                expected_version=given.expected_version,
                is_merged=is_merged,
            )

    async def _move_merged(self, actor: Actor, ticket_id: str, move: Move[Made_co]) -> Made_co:
        """Bring the work into the main branch in between, where the move needs that."""
        try:
            try:
                return await move(is_merged=False)
            except Unmerged:
                await self.moves.merge_first(actor, ticket_id)
                return await move(is_merged=True)
        except GatePending as refusal:
            await self._start_missing(ticket_id, refusal)
            raise

    async def _start_missing(self, ticket_id: str, refusal: GatePending) -> None:
        waits = (GateReadiness.WAITING_CHECKS, GateReadiness.WAITING_APPROVAL)
        if refusal.details.get("readiness") in waits and self.moves.gates is not None:
            await self.moves.gates.start_missing(ticket_id)

    async def regress(self, actor: Actor, ticket_id: str, given: Regress) -> Ticket:
        """Back to building, with new work that carries the feedback."""
        actor.require("board:edit")
        async with self.db.transaction() as session:
            row = await store.get_ticket(session, actor, ticket_id)
            await self.moves.move_ticket(
                session,
                actor,
                row,
                given.to_status,
                cause=MoveCause.REGRESS,
                reason=given.reason or (given.feedback if given.force else None),
                force=given.force,
                feedback=given.feedback,
            )
        return await self.get(actor, ticket_id)

    async def progress(self, actor: Actor, ticket_id: str) -> Progressed:
        """One hop, if its state allows."""
        actor.require("board:edit")
        done = await self.moves.advance_ticket(actor, ticket_id, cause=MoveCause.PROGRESS, hops=1)
        ticket = await self.get(actor, ticket_id)
        return Progressed(ticket=ticket, progressed=bool(done.hops), reason=done.reason)

    async def auto_transition(self, actor: Actor, ticket_id: str) -> AutoTransition:
        """As many hops as its state allows."""
        actor.require("board:edit")
        async with self.db.read() as session:
            source = TicketStatus((await store.get_ticket(session, actor, ticket_id)).status)
        done = await self.moves.advance_ticket(actor, ticket_id)
        to = done.hops[-1] if done.hops else source
        return AutoTransition(
            ticket_id=ticket_id,
            transitioned=bool(done.hops),
            from_status=source,
            to_status=to,
            hops=done.hops,
            new_phase=phase_of(to),
            reason=done.reason,
        )

    async def move(self, actor: Actor, given: MoveGiven) -> Moved:
        """To a column, or to another place in its own: before another ticket, else at the end."""
        actor.require("board:edit")
        return await self._move_merged(actor, given.ticket_id, partial(self._move, actor, given))

    async def _move(self, actor: Actor, given: MoveGiven, *, is_merged: bool) -> Moved:
        to = given.target_column_id
        async with self.db.transaction() as session:
            row = await store.get_ticket(session, actor, given.ticket_id, lock=True)
            source = TicketStatus(row.status)
            rank = await self._rank(session, actor, row, given)
            if to is source:
                check_version(row, given.expected_version)
                await self._rank_anew(session, actor, row, rank)
            else:
                await self.moves.move_ticket(
                    session,
                    actor,
                    row,
                    to,
                    cause=MoveCause.MOVE,
                    reason=given.reason,
                    force=given.force,
                    expected_version=given.expected_version,
                    rank=rank,
                    is_merged=is_merged,
                )
        return Moved(
            ticket_id=given.ticket_id,
            from_status=source,
            new_status=to,
            new_phase=phase_of(to),
            new_column=to,
            status="ranked" if to is source else "moved",
        )

    async def _rank(self, session: AsyncSession, actor: Actor, row: TicketRow, given: MoveGiven) -> float:
        if given.before_ticket_id is None:
            return await ranks.last_rank(session, row.project_id, given.target_column_id)
        target = await store.get_ticket(session, actor, given.before_ticket_id)
        stands_there = target.status == given.target_column_id and target.project_id == row.project_id
        if not stands_there or target.archived or target.id == row.id:
            rule = "another ticket of the target column"
            field = {"field": "before_ticket_id", "value": given.before_ticket_id, "rule": rule}
            raise Invalid("The ticket to stand before is not in that column.", fields=[field])
        return await ranks.rank_before(session, target, row.id)

    async def _rank_anew(self, session: AsyncSession, actor: Actor, row: TicketRow, rank: float) -> None:
        row.rank, row.updated_at = rank, self.clock.now()
        row.version += 1
        event = ticket_event("ticket.ranked", row, row.updated_at, actor.by, rank=rank)
        await self.events.append(session, actor.tenant_id, event)


def task_json(row: TaskRow) -> dict[str, Any]:
    """A task as its ticket shows it."""
    return {
        column.key: changes.plain(getattr(row, column.key))
        for column in TaskRow.__table__.columns
        if column.key != "tenant_id"
    }
