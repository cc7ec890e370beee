"""How a spec goes from draft to completed: its approvals, what clears them, and a version of every change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import changes
from omniforge.board.errors import PreconditionFailed
from omniforge.board.importing.documents import has_architecture
from omniforge.board.importing.phrases import shall_at
from omniforge.board.log import board_event
from omniforge.board.store import specs as store
from omniforge.board.store.evidence import ApprovalRow
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.specs import RequirementRow, SpecRow, SpecVersionRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import ApproverRole, SpecStatus, TicketStatus
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock, new_id
from omniforge.core.errors import Forbidden
from omniforge.engine.events import Event, EventLog

Json = dict[str, Any]


class Part(StrEnum):
    """What is approved of a spec, the later resting on the earlier."""

    REQUIREMENTS = "requirements"
    DESIGN = "design"


class ChangeType(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    IMPORTED = "imported"
    REQUIREMENTS_APPROVED = "requirements_approved"
    DESIGN_APPROVED = "design_approved"
    APPROVAL_CLEARED = "approval_cleared"
    PHASE_CHANGED = "phase_changed"


ROLES = {Part.REQUIREMENTS: ApproverRole.PRODUCT, Part.DESIGN: ApproverRole.ARCHITECTURE}
APPROVED = {Part.REQUIREMENTS: ChangeType.REQUIREMENTS_APPROVED, Part.DESIGN: ChangeType.DESIGN_APPROVED}
PROMPTS = {
    Part.REQUIREMENTS: "Are these the requirements of {title}?",
    Part.DESIGN: "Shall {title} be built by this design?",
}


def spec_event(type_: str, spec: SpecRow, now: datetime, by: str, **payload: Any) -> Event:
    """An event of a spec, found by its project and itself."""
    return board_event(type_, spec.id, now, by, project_id=spec.project_id, **payload)


def is_approved(spec: SpecRow, part: Part) -> bool:
    return spec.requirements_approved if part is Part.REQUIREMENTS else spec.design_approved


class SpecLife:
    """Everything here happens in the caller's transaction, which has locked the spec's row."""

    def __init__(self, events: EventLog, clock: Clock) -> None:
        self.events, self.clock = events, clock

    async def append(self, session: AsyncSession, spec: SpecRow, *events: Event) -> None:
        await self.events.append(session, spec.tenant_id, *events)

    # --- changes -------------------------------------------------------------------------------------------

    async def changed(  # noqa: PLR0917 - what a version tells
        self,
        session: AsyncSession,
        by: str,
        spec: SpecRow,
        changed: Json,
        kind: ChangeType = ChangeType.UPDATED,
        part: Part | None = None,
        cause: str = "",
    ) -> None:
        """Keep a change as a version. A change of an approved `part` takes back that approval and those that
        rest on it; what runs goes on, and no further ticket is pulled."""
        cleared = self._clear(spec, part) if part is not None else {}
        await session.flush()
        changed = changed | cleared | await self._stand(session, spec)
        if cleared and kind is ChangeType.UPDATED:
            kind = ChangeType.APPROVAL_CLEARED
        await self._version(session, by, spec, changed, kind)
        if cleared and part is not None:
            told = {"part": part.value, "cause": cause or kind.value}
            event = spec_event("spec.approval_cleared", spec, spec.updated_at, by, **told)
            await self.append(session, spec, event)

    @staticmethod
    def _clear(spec: SpecRow, part: Part) -> Json:
        """The approval of a part and of what rests on it is gone; what that changed."""
        fields: Json = {}
        if part is Part.REQUIREMENTS and spec.requirements_approved:
            fields |= {"requirements_approved": False}
            spec.requirements_approved_at = spec.requirements_approved_by = None
        if fields or (part is Part.DESIGN and spec.design_approved):
            fields |= {"design_approved": False}
            spec.design_approved_at = spec.design_approved_by = None
        return changes.apply(spec, fields)

    async def _stand(self, session: AsyncSession, spec: SpecRow) -> Json:
        """The status that follows from what is approved and what is there."""
        if spec.requirements_approved and spec.design_approved:
            status = SpecStatus.EXECUTING
            if spec.status == SpecStatus.COMPLETED and await self._open_tickets(session, spec) == 0:
                status = SpecStatus.COMPLETED
        elif spec.requirements_approved:
            status = SpecStatus.DESIGN
        else:
            found = select(RequirementRow.id).where(RequirementRow.spec_id == spec.id).limit(1)
            has_any = await session.scalar(found) is not None
            status = SpecStatus.REQUIREMENTS if has_any else SpecStatus.DRAFT
        return changes.apply(spec, {"status": status})

    async def _version(
        self, session: AsyncSession, by: str, spec: SpecRow, changed: Json, kind: ChangeType
    ) -> None:
        spec.version += 1
        spec.updated_at = self.clock.now()
        await self.keep_version(session, by, spec, changed, kind)

    async def keep_version(
        self, session: AsyncSession, by: str, spec: SpecRow, changed: Json, kind: ChangeType
    ) -> None:
        """A row that holds the spec as it is now."""
        await session.flush()
        session.add(
            SpecVersionRow(
                id=new_id("version"),
                tenant_id=spec.tenant_id,
                spec_id=spec.id,
                version=spec.version,
                change_type=kind.value,
                changes=changed,
                snapshot=await snapshot(session, spec),
                created_by=by,
                created_at=spec.updated_at,
            )
        )
        await session.flush()

    # --- approvals -----------------------------------------------------------------------------------------

    async def lacking(self, session: AsyncSession, spec: SpecRow, part: Part) -> list[Json]:
        """What keeps a part from being approved: `{ref, lacks}`, refs empty for the spec as a whole."""
        if part is Part.DESIGN:
            lacks = [] if spec.requirements_approved else ["approved requirements"]
            lacks += [] if has_architecture(spec.design) else ["a design with architecture"]
            return [{"ref": "", "lacks": each} for each in lacks]
        rows = (await store.requirements_of(session, [spec.id])).get(spec.id, [])
        criteria = await store.criteria_in(session, [spec.id], ["requirement"])
        found = [{"ref": row.ref, "lacks": "a SHALL action"} for row in rows if shall_at(row.action) is None]
        found += [{"ref": row.ref, "lacks": "a criterion"} for row in rows if row.id not in criteria]
        return found if rows else [{"ref": "", "lacks": "a requirement"}]

    async def approve(self, session: AsyncSession, by: str, spec: SpecRow, part: Part) -> bool:
        """Approve a part; False when it was approved already. `PreconditionFailed` for what is not ready.

        A question about it that waits for an answer is answered by this.
        """
        if is_approved(spec, part):
            return False
        if lacks := await self.lacking(session, spec, part):
            first = lacks[0]
            message = (
                f"The {part} cannot be approved yet: {first['ref'] or 'the spec'} lacks {first['lacks']}."
            )
            raise PreconditionFailed(message, missing=lacks)
        now = self.clock.now()
        changed = changes.apply(spec, {f"{part}_approved": True})
        setattr(spec, f"{part}_approved_at", now)
        setattr(spec, f"{part}_approved_by", by)
        await self.changed(session, by, spec, changed, APPROVED[part])
        event = spec_event(f"spec.{part}_approved", spec, now, by)
        event.payload["by"] = by
        await self.append(session, spec, event)
        await self._answer(session, by, spec, part)
        return True

    async def _answer(self, session: AsyncSession, by: str, spec: SpecRow, part: Part) -> None:
        waiting = await self.pending(session, spec, part)
        if waiting is None:
            return
        now = self.clock.now()
        waiting.status, waiting.decided_by, waiting.decided_at = "approved", by, now
        await session.flush()
        event = board_event("approval.decided", waiting.id, now, by, project_id=spec.project_id)
        event.payload |= {"decision": "approve", "by": by, "rationale": None}
        await self.append(session, spec, event)

    @staticmethod
    async def pending(session: AsyncSession, spec: SpecRow, part: Part) -> ApprovalRow | None:
        """The question about a part that waits for an answer."""
        return await session.scalar(
            select(ApprovalRow)
            .where(
                ApprovalRow.tenant_id == spec.tenant_id,
                ApprovalRow.subject_type == "spec",
                ApprovalRow.subject_id == spec.id,
                ApprovalRow.role == ROLES[part],
                ApprovalRow.status == "pending",
            )
            .with_for_update()
        )

    async def approve_ready(self, session: AsyncSession, by: str, spec: SpecRow, project: ProjectRow) -> None:
        """After an import or an evaluation: approve what is ready, or ask people where the project wants
        them to look at it."""
        for part in Part:
            if is_approved(spec, part):
                continue
            if await self.lacking(session, spec, part):
                return
            if project.settings.get("require_spec_approval", False):
                await self._ask(session, by, spec, part)
                return
            await self.approve(session, by, spec, part)

    async def _ask(self, session: AsyncSession, by: str, spec: SpecRow, part: Part) -> None:
        if await self.pending(session, spec, part) is not None:
            return
        row = ApprovalRow(
            id=new_id("apr"),
            tenant_id=spec.tenant_id,
            project_id=spec.project_id,
            subject_type="spec",
            subject_id=spec.id,
            role=ROLES[part].value,
            prompt=PROMPTS[part].format(title=spec.title),
            context={"part": part.value, "version": spec.version},
            blocking=True,
            status="pending",
            requested_by=by,
            created_at=self.clock.now(),
        )
        session.add(row)
        await session.flush()
        told = {"approval_id": row.id, "subject_type": "spec", "subject_id": spec.id}
        told |= {"role": row.role, "prompt": row.prompt}
        ids = {"project_id": spec.project_id}
        event = board_event("approval.requested", row.id, row.created_at, by, **ids, **told)
        await self.append(session, spec, event)

    @staticmethod
    async def check_approver(
        session: AsyncSession, actor: Actor, spec: SpecRow, project: ProjectRow, part: Part
    ) -> None:
        """`Forbidden` for who may not answer where the project wants people to look: only users do, those
        with the role if anybody has it, and not who changed the spec last where that is not allowed."""
        if not project.settings.get("require_spec_approval", False):
            return
        holders: list[str] = project.settings.get("approver_roles", {}).get(ROLES[part].value, [])
        if not actor.by.startswith("user:") or (holders and actor.user_id not in holders):
            raise Forbidden(f"Only a person with the role {ROLES[part]} can approve this.", role=ROLES[part])
        if project.settings.get("self_approval", True):
            return
        content = (ChangeType.CREATED, ChangeType.UPDATED, ChangeType.IMPORTED, ChangeType.APPROVAL_CLEARED)
        author = await session.scalar(
            select(SpecVersionRow.created_by)
            .where(SpecVersionRow.spec_id == spec.id, SpecVersionRow.change_type.in_(content))
            .order_by(SpecVersionRow.version.desc())
            .limit(1)
        )
        if author == actor.by:
            raise Forbidden("Somebody else has to approve what you changed.", role=ROLES[part])

    # --- the end -------------------------------------------------------------------------------------------

    @staticmethod
    async def _open_tickets(session: AsyncSession, spec: SpecRow) -> int:
        query = select(func.count()).select_from(TicketRow)
        query = query.where(TicketRow.spec_id == spec.id, TicketRow.archived.is_(False))
        return await session.scalar(query.where(TicketRow.status != TicketStatus.DONE)) or 0

    async def settle(self, session: AsyncSession, by: str, spec: SpecRow) -> bool:
        """Complete a spec that is executed and whose tickets are all done; True when it was that which was
        missing."""
        if spec.status != SpecStatus.EXECUTING or await self._open_tickets(session, spec):
            return False
        tickets = select(func.count()).select_from(TicketRow)
        tickets = tickets.where(TicketRow.spec_id == spec.id, TicketRow.archived.is_(False))
        count = await session.scalar(tickets) or 0
        if count == 0:
            return False
        changed = changes.apply(spec, {"status": SpecStatus.COMPLETED})
        await self._version(session, by, spec, changed, ChangeType.PHASE_CHANGED)
        event = spec_event("spec.completed", spec, spec.updated_at, by, tickets=count)
        await self.append(session, spec, event)
        return True


async def snapshot(session: AsyncSession, spec: SpecRow) -> Json:
    """What a spec says, as its versions keep it. Tickets and tasks have histories of their own."""
    rows = (await store.requirements_of(session, [spec.id])).get(spec.id, [])
    criteria = await store.criteria_in(session, [spec.id], ["requirement"])
    fields = ("ref", "title", "condition", "action", "category", "priority", "linked_design")
    requirements: Sequence[Json] = [
        {name: getattr(row, name) for name in fields}
        | {
            "criteria": [
                {"text": each.text, "kind": each.kind, "check": each.check}
                for each in criteria.get(row.id, [])
            ]
        }
        for row in rows
    ]
    head = (
        "title",
        "description",
        "status",
        "requirements_approved",
        "design_approved",
        "archived",
        "design",
    )
    return {name: getattr(spec, name) for name in head} | {"requirements": requirements}
