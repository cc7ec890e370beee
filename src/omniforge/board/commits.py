"""Commits that belong to tickets: linked by hand, or because they name them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.links import MOST, chosen, names_in
from omniforge.board.log import board_event
from omniforge.board.shapes.surroundings import Commit, CommitGiven, CommitList
from omniforge.board.store import surroundings as store
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.tickets import CommitRow, TicketRow, get_ticket
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock, new_id
from omniforge.core.paging import Paging
from omniforge.db import Database
from omniforge.engine.events import Event, EventLog

MESSAGE_TOLD = 1_000
"""Characters of a commit's message in an event; the row holds all."""


class LinkMethod(StrEnum):
    """How a commit came to its ticket."""

    PUSH = "push"
    RESULT = "result"
    MANUAL = "manual"
    SYNC = "sync"


@dataclass(frozen=True, slots=True)
class Seen:
    """A commit as it was met somewhere. `branch`: where it was pushed to; its name may name a ticket."""

    sha: str
    message: str = ""
    branch: str | None = None
    authored_at: datetime | None = None
    insertions: int = 0
    deletions: int = 0
    files: Sequence[str] = ()


class Commits:
    def __init__(self, db: Database, events: EventLog, clock: Clock) -> None:
        self.db, self.events, self.clock = db, events, clock

    async def page(self, actor: Actor, ticket_id: str, paging: Paging) -> CommitList:
        actor.require("board:view")
        async with self.db.read() as session:
            await get_ticket(session, actor, ticket_id)
            rows, total = await store.commits_of(session, actor, ticket_id, paging)
        shown = [Commit.model_validate(row) for row in rows]
        return CommitList(commits=shown, total=total, limit=paging.limit, offset=paging.offset)

    async def add(self, actor: Actor, ticket_id: str, given: CommitGiven) -> tuple[Commit, bool]:
        """The commit, and whether it was not linked before."""
        actor.require("board:edit")
        async with self.db.transaction() as session:
            ticket = await get_ticket(session, actor, ticket_id, lock=True)
            events = await self.link_to(
                session, ticket, [Seen(given.sha, given.message)], LinkMethod.MANUAL, actor.by
            )
            await self.events.append(session, actor.tenant_id, *events)
            row = await store.commit_of(session, ticket_id, given.sha)
        return Commit.model_validate(row), bool(events)

    async def link_to(  # noqa: PLR0917 - what is linked, how and by whom
        self,
        session: AsyncSession,
        ticket: TicketRow,
        commits: Iterable[Seen],
        method: LinkMethod,
        by: str,
        task_id: str | None = None,
    ) -> list[Event]:
        """Link commits to a ticket, those that are not yet. The events are the caller's to write."""
        events: list[Event] = []
        await session.flush()
        seen = {one.sha: one for one in commits}
        known = await store.known_shas(session, ticket.id, list(seen))
        for one in seen.values():
            if one.sha in known:
                continue
            now = self.clock.now()
            row = _row(ticket, one, method, task_id, now)
            session.add(row)
            told = {"sha": one.sha, "message": one.message[:MESSAGE_TOLD], "method": method.value}
            ids = {"project_id": ticket.project_id, "ticket_id": ticket.id, "task_id": task_id}
            events.append(board_event("commit.linked", row.id, now, by, **ids, **told))
        await session.flush()
        return events

    async def link_named(
        self,
        session: AsyncSession,
        project: ProjectRow,
        commits: Iterable[Seen],
        method: LinkMethod,
        by: str,
    ) -> list[Event]:
        """Link every commit to the tickets of the project that its message or its branch names. The events
        are the caller's to write."""
        events: list[Event] = []
        for one in commits:
            names = names_in(one.message, one.branch)[:MOST]
            if not names:
                continue
            known = await _known(session, project, {name for readings in names for name in readings})
            tickets = {row.id: row for row in known}
            spoken = {name: row.id for row in known for name in (row.ref, row.id)}
            for ticket_id in chosen(names, spoken):
                events += await self.link_to(session, tickets[ticket_id], [one], method, by)
        return events


async def _known(session: AsyncSession, project: ProjectRow, names: set[str]) -> list[TicketRow]:
    query = select(TicketRow).where(
        TicketRow.tenant_id == project.tenant_id,
        TicketRow.project_id == project.id,
        or_(TicketRow.ref.in_(names), TicketRow.id.in_(names)),
    )
    return list(await session.scalars(query))


def _row(ticket: TicketRow, one: Seen, method: LinkMethod, task_id: str | None, now: datetime) -> CommitRow:
    return CommitRow(
        id=new_id("commit"),
        tenant_id=ticket.tenant_id,
        project_id=ticket.project_id,
        ticket_id=ticket.id,
        task_id=task_id,
        sha=one.sha,
        message=one.message,
        authored_at=one.authored_at,
        insertions=one.insertions,
        deletions=one.deletions,
        files=list(one.files),
        method=method.value,
        created_at=now,
    )
