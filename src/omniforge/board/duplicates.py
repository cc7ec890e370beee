"""Tickets that say what another ticket of the project says already."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Row, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.errors import DuplicateTicket
from omniforge.board.projects import settings_of
from omniforge.board.shapes.reviews import Candidate, Likeness, LikenessGiven
from omniforge.board.shapes.tickets import TicketGiven
from omniforge.board.similarity import Embedder, LetterGroups, Vector, from_bytes, similarity, to_bytes
from omniforge.board.store import projects as project_rows
from omniforge.board.store.cards import CardFilter, matching
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import ApprovalStatus, TicketStatus
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock
from omniforge.db import Database

log = logging.getLogger(__name__)
TOP = 5
AT_ONCE = 100
"""Tickets that get their vectors in one transaction."""
Described = Row[str, str, str, str, str | None, int]
"""Id, ref, title, status, description and version of a ticket."""


@dataclass(frozen=True, slots=True)
class Found:
    """The tickets that are like enough, the most alike first, and how alike any ticket is."""

    candidates: list[Candidate] = field(default_factory=list[Candidate])
    highest: float = 0.0


class Duplicates:
    """Tickets that are done, archived, rejected or timed out are no likes of anything."""

    def __init__(self, db: Database, clock: Clock, embedder: Embedder | None = None) -> None:
        self.db, self.clock = db, clock
        self.embedder: Embedder = embedder or LetterGroups()

    async def check_in(
        self, session: AsyncSession, actor: Actor, project: ProjectRow, given: TicketGiven
    ) -> Sequence[dict[str, Any]]:
        """Tickets much like the one that is to be made; `DuplicateTicket` unless it is to be made anyway."""
        threshold = _threshold(project, given.similarity_threshold)
        found = await self._compare(session, project, given.title, given.description, threshold, TOP)
        likes = [one.model_dump(mode="json") for one in found.candidates]
        if likes and not given.force_create:
            message = f"{_told(found)}; look at it, or create this one anyway."
            raise DuplicateTicket(message, candidates=likes, highest_similarity=found.highest)
        return likes

    async def check(self, actor: Actor, given: LikenessGiven) -> Likeness:
        """The same without making anything."""
        actor.require("board:view")
        await self.prepare(actor, given.project_id)
        async with self.db.read() as session:
            project = await project_rows.get_project(session, actor, given.project_id)
            threshold = _threshold(project, given.similarity_threshold)
            found = await self._compare(
                session, project, given.title, given.description, threshold, given.top_k
            )
        return Likeness(
            is_duplicate=bool(found.candidates),
            message=f"{_told(found)}." if found.candidates else "No other ticket is much like this one.",
            candidates=found.candidates,
            highest_similarity=found.highest,
        )

    async def prepare(self, actor: Actor, project_id: str) -> None:
        """Give every ticket of a project its vector, before anybody waits for it in a transaction."""
        where = [
            TicketRow.tenant_id == actor.tenant_id,
            TicketRow.project_id == project_id,
            TicketRow.archived.is_(False),
            TicketRow.status != TicketStatus.DONE,
        ]
        async with self.db.read() as session:
            missing = list(await session.scalars(select(TicketRow.id).where(*where, *self._lacks())))
        for begin in range(0, len(missing), AT_ONCE):
            part = missing[begin : begin + AT_ONCE]
            async with self.db.read() as session:
                rows = await _texts(session, TicketRow.id.in_(part))
            vectors = await asyncio.to_thread(self._vectors, rows)
            async with self.db.transaction() as session:
                for row in rows:
                    if (vector := vectors.get(row.id)) is not None:
                        unchanged = (TicketRow.id == row.id, TicketRow.version == row.version)
                        kept = {"embedding": to_bytes(vector), "embedder": self.embedder.name}
                        await session.execute(update(TicketRow).where(*unchanged).values(**kept))

    async def _compare(  # noqa: PLR0917 - what is compared, and how
        self,
        session: AsyncSession,
        project: ProjectRow,
        title: str,
        description: str | None,
        threshold: float,
        top: int,
    ) -> Found:
        wanted = self._vector(text_of(title, description))
        if wanted is None:
            return Found()
        where = self._alive(project)
        await session.flush()
        columns = (TicketRow.id, TicketRow.ref, TicketRow.title, TicketRow.status, TicketRow.embedding)
        known = TicketRow.embedder == self.embedder.name
        rows = list(await session.execute(select(*columns).where(*where, known)))
        kept = {row.id: from_bytes(row.embedding or b"") for row in rows}
        lacking = await _texts(session, *where, *self._lacks())
        kept |= self._vectors(lacking)
        likes = await asyncio.to_thread(_alike, wanted, kept)
        tickets = {row.id: row for row in (*rows, *lacking)}
        order = sorted(likes, key=lambda ticket_id: (-likes[ticket_id], tickets[ticket_id].ref))
        candidates = [
            Candidate(
                ticket_id=ticket_id,
                ref=tickets[ticket_id].ref,
                title=tickets[ticket_id].title,
                status=TicketStatus(tickets[ticket_id].status),
                similarity=likes[ticket_id],
            )
            for ticket_id in order[:top]
            if likes[ticket_id] >= threshold
        ]
        return Found(candidates, likes[order[0]] if order else 0.0)

    def _alive(self, project: ProjectRow) -> list[ColumnElement[bool]]:
        now, over = self.clock.now(), (ApprovalStatus.REJECTED, ApprovalStatus.TIMED_OUT)
        gone = [condition for one in over for condition in matching(CardFilter(approval_status=one), now)]
        return [
            TicketRow.tenant_id == project.tenant_id,
            TicketRow.project_id == project.id,
            TicketRow.archived.is_(False),
            TicketRow.status != TicketStatus.DONE,
            ~or_(*gone),
        ]

    def _lacks(self) -> list[ColumnElement[bool]]:
        name = TicketRow.embedder
        return [or_(name.is_(None), name != self.embedder.name)]

    def _vectors(self, rows: Sequence[Described]) -> dict[str, Vector | None]:
        return {row.id: self._vector(text_of(row.title, row.description)) for row in rows}

    def _vector(self, text: str) -> Vector | None:
        """None when the embedder fails: nobody is kept from making a ticket by it."""
        try:
            return self.embedder.embed(text)
        except Exception:  # The path ends here: whatever it does wrong, it is about likeness only.
            log.exception("the embedder %s failed; duplicates are not looked for", self.embedder.name)
            return None


async def _texts(session: AsyncSession, *where: ColumnElement[bool]) -> list[Described]:
    columns = (TicketRow.id, TicketRow.ref, TicketRow.title, TicketRow.status)
    query = select(*columns, TicketRow.description, TicketRow.version).where(*where)
    return list(await session.execute(query))


def text_of(title: str, description: str | None) -> str:
    return f"{title}\n{description or ''}"


def _alike(wanted: Vector, kept: dict[str, Vector | None]) -> dict[str, float]:
    return {ticket_id: similarity(wanted, vector) for ticket_id, vector in kept.items() if vector is not None}


def _threshold(project: ProjectRow, given: float | None) -> float:
    return settings_of(project).duplicate_threshold if given is None else given


def _told(found: Found) -> str:
    like = found.candidates[0]
    return f"This is much like {like.ref} {like.title} ({like.similarity:.0%})"
