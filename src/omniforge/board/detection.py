"""Finds tickets that stand still, and blocks those where it is known what is in their way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.blocking import Blocking
from omniforge.board.shapes.blocking import Blocker, Detected, Standstill
from omniforge.board.store import stalls
from omniforge.board.store.tasks import TaskRow, dependencies_of, tasks_of
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import OPEN_TASKS, BlockerType, GateVerdict, TaskStatus, TicketStatus
from omniforge.board.workflow import stage_of
from omniforge.core.actor import Actor
from omniforge.db import Database

Json = dict[str, Any]
DETECTOR = "system:detector"
DETECT_SECONDS = 300.0
"""How often `sweep` is to be called."""
BROKEN = frozenset({"provision_timeout", "sandbox_crashed", "provider_error"})
"""Codes of attempts that ended because of where they ran."""
DEAD = (TaskStatus.FAILED, TaskStatus.CANCELLED)
REASONS = {
    BlockerType.DEPENDENCY: "Nothing goes on before what it waits for: {refs}.",
    BlockerType.FAILING_CHECKS: "What was found wrong has to be mended first: {refs}.",
    BlockerType.WAITING_ON_CLARIFICATION: "A question waits for an answer: {refs}.",
    BlockerType.ENVIRONMENT: "The place to work in broke: {refs}.",
}


@dataclass(frozen=True, slots=True)
class Hindrance:
    """What is in a ticket's way: None when nothing is known to be."""

    kind: BlockerType | None = None
    blockers: Sequence[Json] = field(default_factory=list[Json])

    @property
    def reason(self) -> str:
        refs = ", ".join(str(one["ref"]) for one in self.blockers[:10])
        return REASONS[self.kind].format(refs=refs) if self.kind else ""


class Detection:
    def __init__(self, db: Database, blocking: Blocking) -> None:
        self.db, self.blocking = db, blocking
        self.events, self.clock = blocking.tasks.events, blocking.tasks.clock

    async def detect(self, actor: Actor, project_id: str | None, *, dry_run: bool) -> Detected:
        """Look now. `dry_run`: nothing is blocked."""
        actor.require("board:edit")
        where = [TicketRow.tenant_id == actor.tenant_id]
        if project_id is not None:
            where.append(TicketRow.project_id == project_id)
        async with self.db.read() as session:
            now = self.clock.now()
            found = await stalls.without_progress(session, now, *where)
            results = [_told(row, await find(session, row), since, now) for row, since in found]
        if not dry_run:
            for one in results:
                if one.should_block:
                    await self._block(one.ticket_id)
        return Detected(detected=sum(one.should_block for one in results), results=results)

    async def sweep(self) -> int:
        """Look at the tickets of every tenant; how many were blocked. Safe in any number of processes."""
        async with self.db.read() as session:
            found = await stalls.without_progress(session, self.clock.now())
            stuck = [row.id for row, _ in found if (await find(session, row)).kind is not None]
        return sum([await self._block(ticket_id) for ticket_id in stuck])

    async def _block(self, ticket_id: str) -> bool:
        """Block a ticket for which that is still right, now that nobody else changes it."""
        async with self.db.transaction() as session:
            if await session.get(TicketRow, ticket_id, with_for_update=True) is None:
                return False
            still = await stalls.without_progress(session, self.clock.now(), TicketRow.id == ticket_id)
            for ticket, _ in still:
                hindrance = await find(session, ticket)
                if hindrance.kind is not None:
                    block, blockers = self.blocking.block_in, list(hindrance.blockers)
                    kind, reason = hindrance.kind, hindrance.reason
                    events = await block(session, ticket, kind, reason, blockers, DETECTOR)
                    await self.events.append(session, ticket.tenant_id, *events)
                    return True
        return False


def _told(ticket: TicketRow, found: Hindrance, since: datetime, now: datetime) -> Standstill:
    return Standstill(
        ticket_id=ticket.id,
        should_block=found.kind is not None,
        blocker_type=found.kind,
        blockers=[Blocker.model_validate(one) for one in found.blockers],
        minutes_without_progress=int((now - since).total_seconds() // 60),
        stalled=found.kind is None,
    )


# --- what is in the way ------------------------------------------------------------------------------------


async def find(session: AsyncSession, ticket: TicketRow) -> Hindrance:
    """The first kind of hindrance that is there, with everything that is named by it."""
    for kind, look in (
        (BlockerType.DEPENDENCY, _waits),
        (BlockerType.FAILING_CHECKS, _fails),
        (BlockerType.WAITING_ON_CLARIFICATION, _asks),
        (BlockerType.ENVIRONMENT, _broke),
    ):
        if blockers := await look(session, ticket):
            return Hindrance(kind, blockers)
    return Hindrance()


async def _waits(session: AsyncSession, ticket: TicketRow) -> list[Json]:
    """Other tickets, or tasks that every open task of its status waits for in vain or elsewhere."""
    if ticket.open_dependencies > 0:
        return [_named("ticket", one) for one in await stalls.awaited_tickets(session, ticket)]
    open_tasks = {row.id: row for row in await tasks_of(session, ticket.id, OPEN_TASKS)}
    needs = await dependencies_of(session, list(open_tasks))
    awaited = await stalls.tasks_by_id(session, {one for ids in needs.values() for one in ids})
    admitted = stage_of(TicketStatus(ticket.status)).admits
    roots: dict[str, TaskRow] = {}
    for task in open_tasks.values():
        if task.phase_id in admitted:
            found = _roots(task.id, needs, awaited, open_tasks)
            if not found:
                return []
            roots |= found
    return [_named("task", one) for one in sorted(roots.values(), key=lambda row: row.ref)]


def _roots(
    task_id: str,
    needs: Mapping[str, Sequence[str]],
    awaited: Mapping[str, TaskRow],
    own: Mapping[str, TaskRow],
) -> dict[str, TaskRow]:
    """What a task waits for, also through others of its ticket, that is dead or of another ticket."""
    found: dict[str, TaskRow] = {}
    seen, way = {task_id}, [task_id]
    while way:
        for needed in needs.get(way.pop(), ()):
            row = awaited.get(needed)
            if row is None or needed in seen:
                continue
            seen.add(needed)
            if row.status in DEAD or needed not in own:
                found[needed] = row
            else:
                way.append(needed)
    return found


async def _fails(session: AsyncSession, ticket: TicketRow) -> list[Json]:
    """Tasks of its status that failed for good, or a gate that says no."""
    admitted = stage_of(TicketStatus(ticket.status)).admits
    failed = await tasks_of(session, ticket.id, [TaskStatus.FAILED])
    if blockers := [_named("task", row) for row in failed if row.phase_id in admitted]:
        return sorted(blockers, key=lambda one: one["ref"])
    decision = await stalls.last_decision(session, ticket)
    if decision is None or decision.decision != GateVerdict.NO_GO:
        return []
    return [{"kind": "decision", "id": decision.id, "ref": f"{decision.from_status} → {decision.to_status}"}]


async def _asks(session: AsyncSession, ticket: TicketRow) -> list[Json]:
    asked = await stalls.open_questions(session, ticket)
    return [{"kind": "approval", "id": row.id, "ref": ref} for row, ref in asked]


async def _broke(session: AsyncSession, ticket: TicketRow) -> list[Json]:
    last = await stalls.last_attempt(session, ticket)
    if last is None or last[0].error_code not in BROKEN:
        return []
    return [_named("task", last[1])]


def _named(kind: str, row: TaskRow | TicketRow) -> Json:
    return {"kind": kind, "id": row.id, "ref": row.ref}
