"""What one can do with a spec's requirements, their criteria and its design. Every change is a version."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import changes, criteria
from omniforge.board.creation import criterion_row
from omniforge.board.criteria import Owner
from omniforge.board.errors import NameTaken, PreconditionFailed
from omniforge.board.importing.designs import read_design
from omniforge.board.log import board_event
from omniforge.board.shapes.specs import CriterionChanges, RequirementChanges, RequirementGiven
from omniforge.board.shapes.tickets import CriterionGiven, checked
from omniforge.board.spec_life import Part, SpecLife, spec_event
from omniforge.board.store import specs as store
from omniforge.board.store.specs import CriterionRow, ImportRefRow, RequirementRow, SpecRow
from omniforge.board.store.tickets import TicketRequirementRow, TicketRow
from omniforge.board.vocabulary import CheckKind, RequirementCategory, RequirementStatus, TicketStatus
from omniforge.core.actor import Actor
from omniforge.core.clock import new_id
from omniforge.core.errors import Invalid
from omniforge.db import Database
from omniforge.engine.events import Event

Json = dict[str, Any]
AREAS = {
    RequirementCategory.FUNCTIONAL: "API",
    RequirementCategory.NON_FUNCTIONAL: "SLO",
    RequirementCategory.CONSTRAINT: "CFG",
}
"""The area in the ref of a requirement that was given none."""


class Requirements:
    """Changing what was approved takes the approval back."""

    def __init__(self, db: Database, life: SpecLife) -> None:
        self.db, self.life = db, life
        self.clock = life.clock

    @asynccontextmanager
    async def _opened(self, actor: Actor, spec_id: str) -> AsyncGenerator[tuple[AsyncSession, SpecRow]]:
        """A spec that may be changed, locked, in a transaction."""
        actor.require("board:edit")
        async with self.db.transaction() as session:
            spec = await store.get_spec(session, actor, spec_id, lock=True)
            if spec.archived:
                raise PreconditionFailed("This spec is archived and is changed no more.", status="archived")
            yield session, spec

    async def _keep(  # noqa: PLR0917 - what a version tells
        self,
        session: AsyncSession,
        actor: Actor,
        spec: SpecRow,
        events: list[Event],
        changed: Json,
        part: Part | None = Part.REQUIREMENTS,
    ) -> None:
        cause = events[0].type
        await self.life.append(session, spec, *events)
        await self.life.changed(session, actor.by, spec, changed, part=part, cause=cause)

    # --- requirements --------------------------------------------------------------------------------------

    async def add(self, actor: Actor, spec_id: str, given: RequirementGiven) -> str:
        """The id of the new requirement. `NameTaken` for a ref that the spec has already."""
        async with self._opened(actor, spec_id) as (session, spec):
            if given.ref is not None:
                await _check_free(session, spec, given.ref)
            ref = given.ref or await next_ref(session, spec, given.category)
            row, events = await insert_requirement(session, actor, spec, given, ref, self.clock.now())
            await self._keep(session, actor, spec, events, {ref: [None, {"title": row.title}]})
        return row.id

    async def change(
        self, actor: Actor, spec_id: str, requirement_id: str, given: RequirementChanges
    ) -> None:
        wanted = given.changes()
        _check_not_null(wanted, ("title", "condition", "action", "category", "priority"))
        async with self._opened(actor, spec_id) as (session, spec):
            row = await store.get_requirement(session, actor, spec.id, requirement_id)
            told: Json = {}
            if "status" in wanted:
                status = wanted.pop("status")
                status_set = {"status": status or RequirementStatus.PENDING, "status_set": status is not None}
                told = changes.apply(row, status_set)
            content = changes.apply(row, wanted)
            if not content and not told:
                return
            row.updated_at = now = self.clock.now()
            seen = changes.short(told | content)
            event = requirement_event("requirement.updated", spec, row, now, actor.by, changes=seen)
            part = Part.REQUIREMENTS if content else None
            await self._keep(session, actor, spec, [event], {row.ref: _pair(told | content)}, part)

    async def delete(self, actor: Actor, spec_id: str, requirement_id: str) -> None:
        """`PreconditionFailed` while a ticket that has been started works on it."""
        async with self._opened(actor, spec_id) as (session, spec):
            row = await store.get_requirement(session, actor, spec.id, requirement_id)
            if why := await why_kept(session, row):
                raise PreconditionFailed(f"This requirement stays: {why}.", ref=row.ref)
            events = await delete_requirement(session, actor, spec, row, self.clock.now())
            await self._keep(session, actor, spec, events, {row.ref: [{"title": row.title}, None]})

    # --- criteria ------------------------------------------------------------------------------------------

    async def add_criterion(
        self, actor: Actor, spec_id: str, requirement_id: str, given: CriterionGiven
    ) -> CriterionRow:
        async with self._opened(actor, spec_id) as (session, spec):
            requirement = await store.get_requirement(session, actor, spec.id, requirement_id)
            last = select(func.max(CriterionRow.position)).where(CriterionRow.owner_id == requirement.id)
            position = (await session.scalar(last) or 0) + 1
            now = self.clock.now()
            row = criterion_row(actor, "requirement", requirement.id, position, given, now)
            session.add(row)
            await session.flush()
            event = criteria.created(_owner(spec, requirement), row, now, actor.by)
            changed = {f"{requirement.ref}.criteria": [None, criteria.shown(row)]}
            await self._keep(session, actor, spec, [event], changed)
        return row

    async def change_criterion(
        self, actor: Actor, spec_id: str, requirement_id: str, criterion_id: str, given: CriterionChanges
    ) -> CriterionRow:
        """`PreconditionFailed` for completing one that only evidence completes."""
        wanted = given.changes()
        _check_not_null(wanted, ("text", "completed", "kind"))
        async with self._opened(actor, spec_id) as (session, spec):
            requirement = await store.get_requirement(session, actor, spec.id, requirement_id)
            row = await store.get_criterion(session, actor, requirement.id, criterion_id)
            before, completed = criteria.shown(row), wanted.pop("completed", None)
            content = changes.apply(row, _checked(row, wanted))
            told: Json = {}
            if completed is not None and completed != row.completed:
                told = _complete(actor, row, completed)
            if not content and not told:
                return row
            row.updated_at = now = self.clock.now()
            seen = changes.short(content | told)
            event = _owner(spec, requirement).event(
                "criterion.updated", row.id, now, actor.by, changes=seen, completed=row.completed
            )
            changed = {f"{requirement.ref}.criteria": [before, criteria.shown(row) | told]}
            part = Part.REQUIREMENTS if content else None
            await self._keep(session, actor, spec, [event], changed, part)
        return row

    async def delete_criterion(
        self, actor: Actor, spec_id: str, requirement_id: str, criterion_id: str
    ) -> None:
        async with self._opened(actor, spec_id) as (session, spec):
            requirement = await store.get_requirement(session, actor, spec.id, requirement_id)
            row = await store.get_criterion(session, actor, requirement.id, criterion_id)
            await session.delete(row)
            now = self.clock.now()
            event = _owner(spec, requirement).event("criterion.deleted", row.id, now, actor.by)
            changed = {f"{requirement.ref}.criteria": [criteria.shown(row), None]}
            await self._keep(session, actor, spec, [event], changed)

    # --- the design ----------------------------------------------------------------------------------------

    async def put_design(self, actor: Actor, spec_id: str, given: Json) -> Json:
        """Replace the design; the same again changes nothing. `Invalid` lists every mistake in it."""
        actor.require("board:edit")
        design, wrongs = read_design(given)
        if design is None or wrongs:
            names = ", ".join(each.field or "design" for each in wrongs)
            fields = [{"field": each.field or "design", "value": None, "rule": str(each)} for each in wrongs]
            raise Invalid(f"design: please check {names}.", fields=fields)
        async with self._opened(actor, spec_id) as (session, spec):
            changed = changes.apply(spec, {"design": design})
            if changed:
                told = {"changes": {"design": "replaced"}, "version": spec.version + 1}
                event = spec_event("spec.updated", spec, self.clock.now(), actor.by, **told)
                await self._keep(session, actor, spec, [event], changed, Part.DESIGN)
        return design


# --- rows --------------------------------------------------------------------------------------------------


def requirement_event(
    type_: str, spec: SpecRow, row: RequirementRow, now: datetime, by: str, **payload: Any
) -> Event:
    return board_event(type_, row.id, now, by, project_id=spec.project_id, spec_id=spec.id, **payload)


def _owner(spec: SpecRow, row: RequirementRow) -> Owner:
    return Owner("requirement", row.id, spec.project_id)


async def insert_requirement(  # noqa: PLR0917 - what a row is made of
    session: AsyncSession, actor: Actor, spec: SpecRow, given: RequirementGiven, ref: str, now: datetime
) -> tuple[RequirementRow, list[Event]]:
    """A requirement with its criteria, behind those that are there; the events are the caller's to write."""
    last = select(func.max(RequirementRow.position)).where(RequirementRow.spec_id == spec.id)
    row = RequirementRow(
        id=new_id("req"),
        tenant_id=actor.tenant_id,
        spec_id=spec.id,
        ref=ref,
        title=given.title,
        condition=given.condition,
        action=given.action,
        category=given.category.value,
        priority=given.priority.value,
        status=RequirementStatus.PENDING.value,
        status_set=False,
        linked_design=given.linked_design,
        position=(await session.scalar(last) or 0) + 1,
        created_at=now,
        updated_at=now,
    )
    made = [
        criterion_row(actor, "requirement", row.id, place, each, now)
        for place, each in enumerate(given.criteria)
    ]
    session.add_all([row, *made])
    await session.flush()
    told = {"ref": row.ref, "title": row.title}
    events = [requirement_event("requirement.created", spec, row, now, actor.by, **told)]
    return row, [*events, *(criteria.created(_owner(spec, row), each, now, actor.by) for each in made)]


async def delete_requirement(
    session: AsyncSession, actor: Actor, spec: SpecRow, row: RequirementRow, now: datetime
) -> list[Event]:
    """Take a requirement and its criteria away. Its ref stays taken; the events are the caller's to write."""
    ref = await session.get(ImportRefRow, (spec.id, row.ref))
    if ref is None:
        session.add(
            ImportRefRow(
                spec_id=spec.id,
                local_ref=row.ref,
                tenant_id=row.tenant_id,
                kind="requirement",
                object_id=row.id,
                content_hash="",
            )
        )
    owned = (CriterionRow.owner_type == "requirement", CriterionRow.owner_id == row.id)
    await session.execute(delete(CriterionRow).where(*owned))
    links = TicketRequirementRow.requirement_id == row.id
    await session.execute(delete(TicketRequirementRow).where(links))
    await session.delete(row)
    await session.flush()
    return [requirement_event("requirement.deleted", spec, row, now, actor.by, ref=row.ref)]


async def why_kept(session: AsyncSession, row: RequirementRow) -> str:
    """Why a requirement cannot be taken away; empty when it can."""
    started = await _started_tickets(session, row.id)
    return f"{', '.join(started[:5])} {'work' if len(started) > 1 else 'works'} on it" if started else ""


async def _started_tickets(session: AsyncSession, requirement_id: str) -> list[str]:
    """Refs of tickets for this requirement that have left the backlog."""
    query = (
        select(TicketRow.ref)
        .join(TicketRequirementRow, TicketRequirementRow.ticket_id == TicketRow.id)
        .where(
            TicketRequirementRow.requirement_id == requirement_id,
            TicketRow.archived.is_(False),
            TicketRow.status != TicketStatus.BACKLOG,
        )
        .order_by(TicketRow.ref)
    )
    return list(await session.scalars(query))


async def next_ref(session: AsyncSession, spec: SpecRow, category: RequirementCategory) -> str:
    """The next of the spec's own numbers, which rise and are never given twice. Its domain is that of its
    other requirements, else the first word of its title."""
    rows = (await store.requirements_of(session, [spec.id])).get(spec.id, [])
    used = {row.ref for row in rows} | (await store.refs_of(session, spec.id)).keys()
    domain = next((row.ref.split("-")[1] for row in rows), None)
    if domain is None:
        words = re.findall(r"[A-Z0-9]{2,}", spec.title.upper())
        domain = words[0][:12] if words else "SPEC"
    prefix = f"REQ-{domain}-{AREAS[category]}-"
    numbers = [int(ref.removeprefix(prefix)) for ref in used if ref.startswith(prefix)]
    return f"{prefix}{max(numbers, default=0) + 1:03d}"


async def _check_free(session: AsyncSession, spec: SpecRow, ref: str) -> None:
    taken = select(RequirementRow.id).where(RequirementRow.spec_id == spec.id, RequirementRow.ref == ref)
    if await session.scalar(taken) is not None:
        raise NameTaken(f"This spec has a requirement {ref} already.", ref=ref)


# --- values ------------------------------------------------------------------------------------------------


def _pair(changed: Json) -> list[Json]:
    return [
        {name: pair[0] for name, pair in changed.items()},
        {name: pair[1] for name, pair in changed.items()},
    ]


def _check_not_null(wanted: Json, names: tuple[str, ...]) -> None:
    fields = [
        {"field": name, "value": None, "rule": "cannot be cleared"}
        for name in names
        if name in wanted and wanted[name] is None
    ]
    if fields:
        raise Invalid(f"{fields[0]['field']} cannot be cleared.", fields=fields)


def _checked(row: CriterionRow, wanted: Json) -> Json:
    """Kind and check as they will be together."""
    if not wanted.keys() & {"kind", "check"}:
        return wanted
    kind = CheckKind(wanted.get("kind", row.kind))
    check = wanted.get("check", row.check if kind == row.kind else None)
    try:
        return wanted | {"kind": kind, "check": checked(kind, check)}
    except ValueError as flaw:
        raise Invalid(f"{flaw}.", fields=[{"field": "check", "value": None, "rule": str(flaw)}]) from None


def _complete(actor: Actor, row: CriterionRow, completed: bool) -> Json:
    """Sentences are completed by people only, everything else by evidence only."""
    if row.kind != CheckKind.TEXT:
        message = f"A criterion of kind {row.kind} is completed by its evidence, not by hand."
        raise PreconditionFailed(message, kind=row.kind)
    if not actor.by.startswith("user:"):
        raise PreconditionFailed("Only a person can say that this is so.", kind=row.kind)
    row.completed_by = actor.by if completed else None
    return changes.apply(row, {"completed": completed})
