"""Gates as people see and change them, and what was decided at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.errors import PreconditionFailed
from omniforge.board.gate_definitions import Check, Gate
from omniforge.board.gate_reading import read_checks
from omniforge.board.gate_standing import GateStandings, Shown, Standing
from omniforge.board.gates import Gates, is_gated
from omniforge.board.log import board_event
from omniforge.board.shapes import gates as shapes
from omniforge.board.shapes.gates import (
    DecisionList,
    DecisionQuery,
    GateGiven,
    GateStatus,
    Standpoint,
    Validated,
)
from omniforge.board.shapes.tickets import Decision
from omniforge.board.store import gates as store
from omniforge.board.store import projects as project_rows
from omniforge.board.store import tickets as ticket_rows
from omniforge.board.store.evidence import DecisionRow, GateRow
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import (
    CriterionResult,
    GateReadiness,
    GateVerdict,
    MoveCause,
    ProjectStatus,
    RuleName,
    TicketStatus,
)
from omniforge.board.workflow import GATED, STATUS_OF_PHASE, stage_of
from omniforge.core.actor import Actor
from omniforge.core.errors import Invalid, NotFound
from omniforge.db import Database

DOCUMENT_RULES = (RuleName.ARTIFACT_PRESENT, RuleName.CONTENT_LENGTH, RuleName.SECTIONS_PRESENT)


class GateViews:
    def __init__(self, db: Database, gates: Gates) -> None:
        self.db, self.gates = db, gates
        self.standings: GateStandings = gates.standings
        self.events, self.clock = gates.events, gates.clock

    # --- gates of a project --------------------------------------------------------------------------------

    async def all(self, actor: Actor, project_id: str) -> shapes.Gates:
        actor.require("board:view")
        async with self.db.read() as session:
            project = await project_rows.get_project(session, actor, project_id)
            found = [await self._gate(session, project, status) for status in GATED]
        return shapes.Gates(gates=found, total=len(found))

    async def replace(self, actor: Actor, from_status: str, given: GateGiven) -> shapes.Gate:
        """The project's own checks instead of the defaults; tickets that stand there are judged anew."""
        actor.require("board:edit")
        checks = [check.shown() for check in read_checks(given.checks)]
        return await self._set(actor, gated_status(from_status), given.project_id, checks)

    async def reset(self, actor: Actor, from_status: str, project_id: str) -> shapes.Gate:
        actor.require("board:edit")
        return await self._set(actor, gated_status(from_status), project_id, None)

    async def _set(
        self, actor: Actor, status: TicketStatus, project_id: str, checks: list[dict[str, Any]] | None
    ) -> shapes.Gate:
        async with self.db.transaction() as session:
            project = await project_rows.get_project(session, actor, project_id, lock=True)
            if project.status == ProjectStatus.ARCHIVED:
                raise PreconditionFailed("This project is archived; it is not changed.", status="archived")
            row = await session.get(GateRow, (project.id, status.value))
            old = None if row is None else row.checks
            if old != checks:
                await self._write(session, actor, project, status, row, checks)
            return await self._gate(session, project, status)

    async def _write(  # noqa: PLR0917 - what is changed, and to what
        self,
        session: AsyncSession,
        actor: Actor,
        project: ProjectRow,
        status: TicketStatus,
        row: GateRow | None,
        checks: list[dict[str, Any]] | None,
    ) -> None:
        now, old = self.clock.now(), None if row is None else row.checks
        if checks is None and row is not None:
            await session.delete(row)
        elif checks is not None:
            made = row or GateRow(project_id=project.id, from_status=status.value, tenant_id=actor.tenant_id)
            made.checks, made.updated_at = checks, now
            session.add(made)
        await session.flush()
        keys = [None if each is None else [one["key"] for one in each[:50]] for each in (old, checks)]
        event = board_event(
            "gate.updated",
            f"{project.id}/{status}",
            now,
            actor.by,
            project_id=project.id,
            from_status=status.value,
            changes={"checks": keys},
        )
        await self.events.append(session, actor.tenant_id, event)

    async def _gate(self, session: AsyncSession, project: ProjectRow, status: TicketStatus) -> shapes.Gate:
        gate: Gate = await self.standings.gate(session, project, status)
        to = stage_of(status).forward
        return shapes.Gate(
            project_id=project.id,
            from_status=status,
            to_status=to or status,
            checks=[_shown(check) for check in gate.checks],
            is_default=gate.is_default,
        )

    # --- the gate before a ticket --------------------------------------------------------------------------

    async def status(self, actor: Actor, ticket_id: str, at: Standpoint) -> GateStatus:
        """How it stands; nothing is started by looking."""
        actor.require("board:view")
        async with self.db.read() as session:
            ticket = await ticket_rows.get_ticket(session, actor, ticket_id)
            standing = await self._stand(session, ticket, at)
            last = await store.last_decision(session, ticket)
        return status_of(ticket, standing, last)

    async def _stand(self, session: AsyncSession, ticket: TicketRow, at: Standpoint) -> Standing:
        status = status_meant(at) or TicketStatus(ticket.status)
        if status not in GATED:
            return Standing(status, GateReadiness.NOT_CONFIGURED)
        return await self.standings.stand(session, ticket, status)

    async def validate(self, actor: Actor, ticket_id: str, at: Standpoint) -> Validated:
        """Look at the gate now: decide it if it is ready, start what it lacks where the ticket stands."""
        actor.require("board:edit")
        async with self.db.read() as session:
            ticket = await ticket_rows.get_ticket(session, actor, ticket_id)
            standing = await self._stand(session, ticket, at)
        decision, run_id = None, None
        if standing.from_status == ticket.status and is_gated(ticket):
            if standing.readiness is GateReadiness.WAITING_CHECKS:
                run_id = await self._start(ticket, standing)
            async with self.db.transaction() as session:
                ticket = await ticket_rows.get_ticket(session, actor, ticket_id, lock=True)
                await self.gates.ask(session, ticket, actor.by)
                decision = await self.gates.judge(session, ticket, self.clock.now(), actor.by)
            async with self.db.read() as session:
                standing = await self._stand(session, ticket, at)
        return _validated(ticket, standing, decision, run_id)

    async def _start(self, ticket: TicketRow, standing: Standing) -> str | None:
        if standing.missing:
            return await self.gates.start(ticket, standing, MoveCause.AUTO)
        await self.gates.start_missing(ticket.id)
        return None

    # --- decisions -----------------------------------------------------------------------------------------

    async def decisions(self, actor: Actor, query: DecisionQuery) -> DecisionList:
        actor.require("board:view")
        async with self.db.read() as session:
            if query.ticket_id is not None:
                await ticket_rows.get_ticket(session, actor, query.ticket_id)
            if query.project_id is not None:
                await project_rows.get_project(session, actor, query.project_id)
            rows, total = await store.list_decisions(
                session, actor, query.ticket_id, query.project_id, query.decision, query
            )
        shown = [Decision.model_validate(row) for row in rows]
        return DecisionList(decisions=shown, total=total, limit=query.limit, offset=query.offset)

    async def decision(self, actor: Actor, decision_id: str) -> Decision:
        actor.require("board:view")
        async with self.db.read() as session:
            return Decision.model_validate(await store.get_decision(session, actor, decision_id))


def gated_status(given: str) -> TicketStatus:
    """A status that is left through a gate, or NotFound."""
    found = next((status for status in GATED if status == given), None)
    if found is None:
        raise NotFound("There is no gate out of this status.", from_status=given[:64], known=list(GATED))
    return found


def status_meant(at: Standpoint) -> TicketStatus | None:
    """The status whose gate is asked for; `Invalid` when status and phase name different ones."""
    by_phase = None if at.phase_id is None else STATUS_OF_PHASE[at.phase_id]
    if at.from_status is not None and by_phase is not None and at.from_status is not by_phase:
        field = {"field": "phase_id", "value": at.phase_id, "rule": f"the phase of {at.from_status}, or none"}
        raise Invalid("Status and phase name different gates.", fields=[field])
    return at.from_status or by_phase


def missing_artifacts(checks: Sequence[Shown]) -> list[str]:
    """Types of documents that are missing, too short or incomplete."""
    lacking = [one for one in checks if one.check.rule in DOCUMENT_RULES and not one.is_met]
    return list(dict.fromkeys(str(one.check.params["artifact_type"]) for one in lacking))


def status_of(ticket: TicketRow, standing: Standing, last: DecisionRow | None) -> GateStatus:
    return GateStatus(
        ticket_id=ticket.id,
        from_status=standing.from_status,
        to_status=stage_of(standing.from_status).forward,
        readiness=standing.readiness,
        requirements_met=standing.met,
        missing_artifacts=missing_artifacts(standing.required),
        criteria=[one.told() for one in standing.checks],
        last_decision=Decision.model_validate(last) if last else None,
    )


def _shown(check: Check) -> dict[str, Any]:
    return check.shown()


def _validated(
    ticket: TicketRow, standing: Standing, decision: DecisionRow | None, run_id: str | None
) -> Validated:
    reasons = [f"{one.check.key}: {one.detail}" for one in standing.required if not one.is_met]
    if standing.readiness is GateReadiness.BLOCKED:
        reasons.insert(0, f"The ticket is blocked: {ticket.blocked_reason or ticket.blocker_type}.")
    return Validated(
        ticket_id=ticket.id,
        from_status=standing.from_status,
        to_status=stage_of(standing.from_status).forward,
        gate_status=_gate_status(standing, decision),
        readiness=standing.readiness,
        requirements_met=standing.met,
        decision=Decision.model_validate(decision) if decision else None,
        criteria=[one.told() for one in standing.checks],
        blocking_reasons=reasons,
        run_id=run_id,
    )


def _gate_status(standing: Standing, decision: DecisionRow | None) -> Any:
    if decision is not None:
        return "failed" if decision.decision == GateVerdict.NO_GO else "passed"
    if standing.readiness is GateReadiness.NOT_CONFIGURED:
        return "passed"
    if standing.readiness is not GateReadiness.READY:
        return "pending"
    failed = any(one.status == CriterionResult.FAIL for one in standing.required)
    return "failed" if failed else "passed"
