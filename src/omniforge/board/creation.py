"""How a ticket comes into being: checked against its project, placed in a column, told to everybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import arrivals, ranks
from omniforge.board.errors import PreconditionFailed, WipLimitReached
from omniforge.board.moves import Moves
from omniforge.board.moving import Step, history_row, number_history, ticket_event
from omniforge.board.shapes.tickets import CriterionGiven, TicketGiven
from omniforge.board.store import projects as project_rows
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.specs import CriterionRow, RequirementRow, SpecRow
from omniforge.board.store.tickets import TicketRequirementRow, TicketRow
from omniforge.board.vocabulary import (
    ApprovalStatus,
    MoveCause,
    PhaseId,
    ProjectStatus,
    TicketStatus,
)
from omniforge.board.workflow import STATUS_OF_PHASE
from omniforge.core.actor import Actor
from omniforge.core.clock import new_id
from omniforge.core.errors import NotFound
from omniforge.engine.events import Event


class Reviews(Protocol):
    """Whether people look at tickets before anything is spent on them."""

    def wants_review(self, actor: Actor, project: ProjectRow) -> bool: ...

    async def request_in(
        self, session: AsyncSession, actor: Actor, project: ProjectRow, ticket: TicketRow
    ) -> list[Event]:
        """Ask for it: sets the ticket's approval and its deadline; the events are the caller's to write."""
        ...


class Duplicates(Protocol):
    async def prepare(self, actor: Actor, project_id: str) -> None:
        """What takes long, before the transaction of `check_in`."""
        ...

    async def check_in(
        self, session: AsyncSession, actor: Actor, project: ProjectRow, given: TicketGiven
    ) -> Sequence[dict[str, Any]]:
        """Tickets much like the one that is to be made; raises `DuplicateTicket` where these stop it."""
        ...


class Dependencies(Protocol):
    async def link_in(
        self,
        session: AsyncSession,
        actor: Actor,
        ticket: TicketRow,
        depends_on: Sequence[str],
        blocks: Sequence[str],
    ) -> list[Event]:
        """Edges of a ticket in both directions; refuses cycles and unknown ids. The events are the caller's
        to write."""
        ...


class Creation:
    def __init__(
        self,
        moves: Moves,
        *,
        dependencies: Dependencies,
        reviews: Reviews | None = None,
        duplicates: Duplicates | None = None,
    ) -> None:
        self.moves, self.dependencies = moves, dependencies
        self.reviews, self.duplicates = reviews, duplicates

    async def create_in(
        self,
        session: AsyncSession,
        actor: Actor,
        given: TicketGiven,
        *,
        cause: MoveCause = MoveCause.CREATE,
        ref: str | None = None,
    ) -> TicketRow:
        """A ticket in the caller's transaction, its events in the log. `ref`: taken if it is free there."""
        project = await project_rows.get_project(session, actor, given.project_id, lock=True)
        if project.status == ProjectStatus.ARCHIVED:
            raise PreconditionFailed("This project is archived; nothing is added to it.", status="archived")
        await self._check_spec(session, actor, given)
        similar = await self._look_alike(session, actor, project, given)
        review = self.reviews if self.reviews and self.reviews.wants_review(actor, project) else None
        status = TicketStatus.BACKLOG if review else self._status(project, given)
        await self._take_place(session, actor, project.id, status)
        row = await self._insert(session, actor, project, given, status, ref)
        await self._attach(session, actor, row, given)
        await self._tell(session, actor, row, similar)
        if review:
            events = await review.request_in(session, actor, project, row)
            await self.moves.events.append(session, actor.tenant_id, *events)
        if given.depends_on or given.blocks:
            events = await self.dependencies.link_in(session, actor, row, given.depends_on, given.blocks)
            await self.moves.events.append(session, actor.tenant_id, *events)
        if not review:
            await arrivals.make_opening(session, actor, row, self.moves.tasks)
        session.add(history_row(actor, row, None, Step(status, cause), row.created_at))
        number_history(session, actor.tenant_id, row.id)
        return row

    @staticmethod
    def _status(project: ProjectRow, given: TicketGiven) -> TicketStatus:
        return STATUS_OF_PHASE[given.phase_id or PhaseId(project.default_phase_id)]

    async def _check_spec(self, session: AsyncSession, actor: Actor, given: TicketGiven) -> None:
        """Spec and requirements are of this project."""
        if given.spec_id is not None:
            await known_spec(session, actor, given.project_id, given.spec_id)
        wanted = set(given.requirement_ids)
        query = (
            select(RequirementRow.id)
            .join(SpecRow, SpecRow.id == RequirementRow.spec_id)
            .where(
                RequirementRow.tenant_id == actor.tenant_id,
                RequirementRow.id.in_(wanted),
                SpecRow.project_id == given.project_id,
            )
        )
        if wanted and (missing := wanted - set(await session.scalars(query))):
            raise NotFound("There is no such requirement in this project.", requirement_ids=sorted(missing))

    async def _look_alike(
        self, session: AsyncSession, actor: Actor, project: ProjectRow, given: TicketGiven
    ) -> Sequence[dict[str, Any]]:
        if self.duplicates is None or not given.check_duplicates:
            return ()
        return await self.duplicates.check_in(session, actor, project, given)

    async def _take_place(
        self, session: AsyncSession, actor: Actor, project_id: str, status: TicketStatus
    ) -> None:
        full = await self.moves.full_column(session, actor, project_id, status)
        if full is not None:
            limit, count = full
            details: dict[str, Any] = {"from": None, "to": status.value, "legal_targets": []}
            message = f"The column {status} is full: {count} of {limit}."
            raise WipLimitReached(message, **details, limit=limit, count=count)

    async def _insert(  # noqa: PLR0917 - what a row is made of
        self,
        session: AsyncSession,
        actor: Actor,
        project: ProjectRow,
        given: TicketGiven,
        status: TicketStatus,
        ref: str | None,
    ) -> TicketRow:
        now = self.moves.clock.now()
        row = TicketRow(
            id=new_id("ticket"),
            tenant_id=actor.tenant_id,
            project_id=project.id,
            spec_id=given.spec_id,
            ref=await project_rows.take_ticket_ref(session, project, ref),
            title=given.title,
            description=given.description,
            status=status.value,
            status_since=now,
            phase_entry=1,
            rank=await ranks.last_rank(session, project.id, status),
            priority=given.priority.value,
            ticket_type=given.ticket_type.value,
            estimate=given.estimate.value if given.estimate else None,
            tags=list(dict.fromkeys(given.tags)),
            is_blocked=False,
            blockers=[],
            approval_status=ApprovalStatus.APPROVED.value,
            open_dependencies=0,
            start=given.start,
            evidence_since=now,
            remediations=0,
            context={},
            archived=False,
            version=1,
            created_by=actor.by,
            created_at=now,
            updated_at=now,
        )
        session.add(row)
        await session.flush()
        return row

    async def _attach(self, session: AsyncSession, actor: Actor, row: TicketRow, given: TicketGiven) -> None:
        session.add_all(
            criterion_row(actor, "ticket", row.id, place, one, row.created_at)
            for place, one in enumerate(given.criteria)
        )
        session.add_all(
            TicketRequirementRow(ticket_id=row.id, requirement_id=one, tenant_id=actor.tenant_id)
            for one in dict.fromkeys(given.requirement_ids)
        )
        await session.flush()

    async def _tell(
        self, session: AsyncSession, actor: Actor, row: TicketRow, similar: Sequence[dict[str, Any]]
    ) -> None:
        told = {"ref": row.ref, "title": row.title, "status": row.status, "priority": row.priority}
        if row.spec_id is not None:
            told["spec_id"] = row.spec_id
        events = [ticket_event("ticket.created", row, row.created_at, actor.by, **told)]
        if similar:
            name = "ticket.duplicate_overridden"
            events.append(ticket_event(name, row, row.created_at, actor.by, candidates=list(similar)))
        await self.moves.events.append(session, actor.tenant_id, *events)


async def known_spec(session: AsyncSession, actor: Actor, project_id: str, spec_id: str) -> SpecRow:
    """A spec of this project, or NotFound."""
    query = select(SpecRow).where(
        SpecRow.id == spec_id, SpecRow.tenant_id == actor.tenant_id, SpecRow.project_id == project_id
    )
    row = await session.scalar(query)
    if row is None:
        raise NotFound("There is no such spec in this project.", spec_id=spec_id)
    return row


def criterion_row(  # noqa: PLR0917 - what a row is made of
    actor: Actor, owner_type: str, owner_id: str, position: int, given: CriterionGiven, now: Any
) -> CriterionRow:
    """`owner_type`: requirement, ticket or task."""
    return CriterionRow(
        id=new_id("crit"),
        tenant_id=actor.tenant_id,
        owner_type=owner_type,
        owner_id=owner_id,
        text=given.text,
        kind=given.kind.value,
        check=given.check,
        completed=False,
        position=position,
        created_at=now,
        updated_at=now,
    )
