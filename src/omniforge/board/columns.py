"""The columns of a board: how they are shown, how much they take, and where too much stands."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import changes
from omniforge.board.log import board_event
from omniforge.board.shapes.board import (
    BoardStats,
    Column,
    ColumnChanges,
    Columns,
    ColumnStats,
    Violation,
    Violations,
)
from omniforge.board.store import cards
from omniforge.board.store import projects as store
from omniforge.board.store.cards import CardFilter, Standing
from omniforge.board.store.projects import ColumnRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import PhaseId, TicketStatus
from omniforge.board.workflow import STAGES, STATUS_OF_PHASE, Stage, stage_of
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock
from omniforge.core.errors import NotFound
from omniforge.db import Database
from omniforge.engine.events import EventLog

NOTHING = Standing()
Counts = Mapping[TicketStatus, Standing]


class BoardColumns:
    def __init__(self, db: Database, events: EventLog, clock: Clock) -> None:
        self.db, self.events, self.clock = db, events, clock

    async def all(self, actor: Actor, project_id: str) -> Columns:
        actor.require("board:view")
        async with self.db.read() as session:
            found = await self._shown(session, actor, project_id)
        return Columns(columns=found, total=len(found))

    async def one(self, actor: Actor, project_id: str, name: str) -> Column:
        """`name`: a status, or a phase, which stands for its status."""
        actor.require("board:view")
        status = status_named(name)
        async with self.db.read() as session:
            found = await self._shown(session, actor, project_id)
        return next(column for column in found if column.status is status)

    async def change(self, actor: Actor, status: str, given: ColumnChanges) -> Column:
        """Without a limit when `wip_limit` is null. A lower limit moves nothing."""
        actor.require("board:edit")
        wanted, named = given.changes(), status_named(status)
        async with self.db.transaction() as session:
            await store.get_project(session, actor, given.project_id)
            row = await store.get_column(session, actor, given.project_id, named, lock=True)
            position = wanted.pop("position", row.position)
            changed = changes.apply(row, wanted)
            if position != row.position:
                changed["position"] = [row.position, position]
                await self._reorder(session, actor, row, position)
            if changed:
                row.updated_at = self.clock.now()
                event = board_event(
                    "column.updated",
                    f"{given.project_id}/{named}",
                    row.updated_at,
                    actor.by,
                    project_id=given.project_id,
                    status=named.value,
                    changes=changed,
                )
                await self.events.append(session, actor.tenant_id, event)
                await session.flush()
            found = await self._shown(session, actor, given.project_id)
        return next(column for column in found if column.status is named)

    async def _reorder(self, session: AsyncSession, actor: Actor, moved: ColumnRow, position: int) -> None:
        others = [
            row
            for row in await store.columns_of(session, actor, moved.project_id)
            if row.status != moved.status
        ]
        others.insert(position, moved)
        for place, row in enumerate(others):
            row.position = place

    async def stats(self, actor: Actor, project_id: str | None) -> BoardStats:
        actor.require("board:view")
        async with self.db.read() as session:
            columns = await columns_for(session, actor, project_id)
            counts = await cards.standings(session, actor, project_id)
        found = [_stats(status, row, counts.get(status, NOTHING)) for status, row in columns]
        return BoardStats(columns=found, total=len(found))

    async def violations(self, actor: Actor, project_id: str | None) -> Violations:
        """Columns in which more stands than their limit."""
        actor.require("board:view")
        query = (
            select(ColumnRow, func.count())
            .join(
                TicketRow,
                (TicketRow.project_id == ColumnRow.project_id)
                & (TicketRow.status == ColumnRow.status)
                & TicketRow.archived.is_(False),
            )
            .where(ColumnRow.tenant_id == actor.tenant_id, ColumnRow.wip_limit.is_not(None))
            .group_by(*ColumnRow.__table__.columns)
            .having(func.count() > ColumnRow.wip_limit)
            .order_by(ColumnRow.project_id, ColumnRow.position)
        )
        async with self.db.read() as session:
            if project_id is not None:
                await store.get_project(session, actor, project_id)
                query = query.where(ColumnRow.project_id == project_id)
            rows = list(await session.execute(query))
        found = [
            Violation(
                project_id=column.project_id,
                column_id=TicketStatus(column.status),
                column_name=column.name,
                wip_limit=column.wip_limit or 0,
                current_count=count,
                excess=count - (column.wip_limit or 0),
            )
            for column, count in rows
        ]
        return Violations(violations=found, total=len(found))

    async def _shown(self, session: AsyncSession, actor: Actor, project_id: str) -> list[Column]:
        columns = await columns_for(session, actor, project_id)
        wanted = CardFilter(project_id=project_id)
        counts = await cards.counts_by_status(session, actor, wanted, self.clock.now())
        return [column_view(status, row, counts.get(status, NOTHING)) for status, row in columns]


async def columns_for(
    session: AsyncSession, actor: Actor, project_id: str | None
) -> list[tuple[TicketStatus, ColumnRow | None]]:
    """In their order; without a project every status with no row, so no limit."""
    if project_id is None:
        return [(stage.status, None) for stage in STAGES]
    rows = await store.columns_of(session, actor, project_id)
    if not rows:
        raise NotFound("There is no such project.", project_id=project_id[:64])
    return [(TicketStatus(row.status), row) for row in rows]


def status_named(name: str) -> TicketStatus:
    """A status or a phase in any case; NotFound for anything else."""
    status = next((one for one in TicketStatus if one == name.lower()), None)
    phase = next((one for one in PhaseId if one == name.upper()), None)
    if status is None and phase is None:
        raise NotFound("There is no such column.", column_id=name[:64], known=list(TicketStatus))
    return status or STATUS_OF_PHASE[phase or PhaseId.BACKLOG]


def column_view(status: TicketStatus, row: ColumnRow | None, counts: Standing) -> Column:
    stage = stage_of(status)
    limit = row.wip_limit if row else None
    return Column(
        id=status,
        project_id=row.project_id if row else None,
        status=status,
        name=row.name if row else stage.column,
        color=row.color if row else stage.color,
        wip_limit=limit,
        position=row.position if row else STAGES.index(stage),
        phase_id=stage.phase,
        phase_ids=phases_in(stage),
        ticket_count=counts.total,
        wip_exceeded=limit is not None and counts.total > limit,
        is_terminal=stage.forward is None,
        auto_transition_to=stage.forward,
    )


def phases_in(stage: Stage) -> list[PhaseId]:
    """The ticket's phase there, and those of the tasks that are worked on there."""
    return list(dict.fromkeys((stage.phase, *stage.admits)))


def _stats(status: TicketStatus, row: ColumnRow | None, counts: Standing) -> ColumnStats:
    column = column_view(status, row, counts)
    return ColumnStats(
        column_id=status,
        name=column.name,
        ticket_count=counts.total,
        blocked_count=counts.blocked,
        wip_limit=column.wip_limit,
        utilization=counts.total / column.wip_limit if column.wip_limit else None,
        wip_exceeded=column.wip_exceeded,
        oldest_since=counts.oldest,
    )
