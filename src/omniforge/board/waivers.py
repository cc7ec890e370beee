"""Failures that a person sets aside: for one check, with a reason, under conditions."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import decisions, unblocking
from omniforge.board.approval_effects import authors_of
from omniforge.board.approvals import Approvals
from omniforge.board.errors import PreconditionFailed
from omniforge.board.gate_standing import GateStandings, Shown, Standing
from omniforge.board.people import check_approver
from omniforge.board.shapes.approvals import AskedStatus
from omniforge.board.shapes.gates import Waive
from omniforge.board.store import approvals as approval_rows
from omniforge.board.store import projects as project_rows
from omniforge.board.store import tickets as store
from omniforge.board.store.evidence import ApprovalRow, DecisionRow
from omniforge.board.store.gates import GATE_CHECK, last_decision
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import ApproverRole, CheckKind, CriterionResult, GateReadiness
from omniforge.core.actor import Actor
from omniforge.core.clock import new_id
from omniforge.core.errors import Forbidden, Invalid
from omniforge.db import Database


class Waivers:
    def __init__(self, db: Database, standings: GateStandings, approvals: Approvals) -> None:
        self.db, self.standings, self.approvals = db, standings, approvals
        self.clock, self.events = approvals.clock, approvals.events

    async def waive(
        self, actor: Actor, ticket_id: str, given: Waive
    ) -> tuple[TicketRow, Standing, DecisionRow | None]:
        """Set one failed check aside for this entry of the status: how the gate stands then, and its last
        decision. `Forbidden` for who may not, `PreconditionFailed` where nothing has failed, or what failed
        may not be set aside."""
        actor.require("board:approve")
        async with self.db.read() as session:  # what is looked at of the files is remembered
            await self.standings.stand(session, await store.get_ticket(session, actor, ticket_id))
        async with self.db.transaction() as session:
            ticket = await store.get_ticket(session, actor, ticket_id, lock=True)
            project = await project_rows.get_project(session, actor, ticket.project_id)
            standing = await self.standings.stand(session, ticket)
            one = _named(standing.checks, given.check_key)
            role = await self._check_rights(session, actor, project, ticket, one)
            _check_waivable(one)
            await self._keep(session, actor, ticket, one, role, given)
            await self._lift(session, actor, ticket, one)
            standing = await self.standings.stand(session, ticket)
            if standing.readiness is GateReadiness.READY:
                now = self.clock.now()
                await decisions.decide_in(session, self.events, ticket, standing, now, actor.by)
            return ticket, standing, await last_decision(session, ticket)

    @staticmethod
    async def _check_rights(
        session: AsyncSession, actor: Actor, project: ProjectRow, ticket: TicketRow, one: Shown
    ) -> ApproverRole:
        """The role by which the actor may: maintainer, or the one that the check itself asks."""
        roles = [ApproverRole.MAINTAINER]
        if one.check.kind is CheckKind.APPROVAL:
            roles.append(ApproverRole(one.check.fields["role"]))
        refusal: Forbidden | None = None
        for role in roles:
            try:
                for author in {None, *await authors_of(session, ticket.id)}:
                    check_approver(actor, project, role, author)
            except Forbidden as error:
                refusal = refusal or error
            else:
                return role
        raise refusal or Forbidden("Only a maintainer can set a failed check aside.")

    async def _keep(  # noqa: PLR0917 - what a waiver is made of
        self,
        session: AsyncSession,
        actor: Actor,
        ticket: TicketRow,
        one: Shown,
        role: ApproverRole,
        given: Waive,
    ) -> None:
        now, key = self.clock.now(), one.check.key
        conditions = [condition.model_dump(mode="json", exclude_none=True) for condition in given.conditions]
        for asked in await approval_rows.pending_of(session, ticket.tenant_id, GATE_CHECK, ticket.id):
            if asked.context.get("check_key") == key:
                await self.approvals.settle_in(session, asked, AskedStatus.EXPIRED, actor.by, None)
        row = ApprovalRow(
            id=new_id("apr"),
            tenant_id=ticket.tenant_id,
            project_id=ticket.project_id,
            subject_type=GATE_CHECK,
            subject_id=ticket.id,
            role=role.value,
            prompt=f"Set {key} aside for {ticket.ref}?",
            description=one.detail,
            context={
                "ticket_id": ticket.id,
                "ref": ticket.ref,
                "title": ticket.title,
                "check_key": key,
                "from_status": ticket.status,
                "phase_entry": ticket.phase_entry,
                "conditions": conditions,
            },
            blocking=False,
            status=AskedStatus.PENDING.value,
            requested_by=actor.by,
            created_at=now,
        )
        session.add(row)
        await session.flush()
        await self.approvals.settle_in(session, row, AskedStatus.WAIVED, actor.by, given.rationale)

    async def _lift(self, session: AsyncSession, actor: Actor, ticket: TicketRow, one: Shown) -> None:
        """Where the board itself had blocked the ticket only because of this, it goes on."""
        events = await unblocking.drop(
            session,
            ticket,
            lambda blocker: (
                blocker.get("ref") == one.check.key and blocker.get("kind") in ("check", "approval")
            ),
            self.approvals.tasks,
            self.clock.now(),
            actor.by,
            "waived",
        )
        await self.events.append(session, ticket.tenant_id, *events)


def _named(checks: list[Shown], key: str) -> Shown:
    for one in checks:
        if one.check.key == key:
            return one
    allowed = [one.check.key for one in checks]
    field = {"field": "check_key", "value": key, "allowed": allowed}
    raise Invalid("The gate before this ticket has no such check.", fields=[field])


def _check_waivable(one: Shown) -> None:
    key = one.check.key
    if not one.check.waivable:
        raise PreconditionFailed(f"{key} cannot be set aside: the project does not allow it.", check_key=key)
    if one.status != CriterionResult.FAIL:
        message = f"{key} has not failed, so there is nothing to set aside: {one.status}."
        raise PreconditionFailed(message, check_key=key, status=str(one.status))
