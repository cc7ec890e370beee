"""How a gate stands for a ticket: every check with what was shown of it. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import arrivals
from omniforge.board.checks import CommandCheck
from omniforge.board.gate_definitions import (
    DEFAULT_SEVERITY,
    LIST_PARAMS,
    LISTS,
    Applies,
    Check,
    Gate,
    applicable,
    check_from,
    gate_of,
)
from omniforge.board.gate_trees import GateTrees, Head, may_read_trees
from omniforge.board.receipts import passes, stands_for
from omniforge.board.rules import RULES, TREE_RULES
from omniforge.board.rules.audit import said_plainly
from omniforge.board.rules.base import Situation, Verdict
from omniforge.board.store import gates as store
from omniforge.board.store.evidence import ApprovalRow, ReceiptRow
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.specs import CriterionRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import (
    ApproverRole,
    ArtifactType,
    CheckKind,
    CriterionResult,
    GateReadiness,
    RuleName,
    TicketStatus,
)
from omniforge.board.workflow import stage_of
from omniforge.core.clock import Clock

Json = dict[str, Any]
PENDING: Literal["pending"] = "pending"
UNREAD = "The files have not been looked at yet."


@dataclass(slots=True)
class Shown:
    """One check as it stands. `waits`: what it needs before anything can be said.

    evidence: id of a receipt, an artifact or an approval. command: what is to be run, as a command check.
    """

    check: Check
    status: CriterionResult | Literal["pending"]
    detail: str
    waits: GateReadiness | None = None
    evidence: str | None = None
    approver: str | None = None
    rationale: str | None = None
    command: Check | None = None
    waiver: ApprovalRow | None = None

    @property
    def is_met(self) -> bool:
        return self.status in (CriterionResult.PASS, CriterionResult.WAIVED)

    def told(self) -> Json:
        """As refusals, decisions and the wire have it."""
        check = self.check
        said = {
            "key": check.key,
            "tier": check.tier,
            "kind": check.kind.value,
            "status": str(self.status),
            "required": check.required,
            "waivable": check.waivable,
            "detail": self.detail,
            "evidence": self.evidence,
            "approver": self.approver,
            "rationale": self.rationale,
        }
        more = {"rule": check.fields.get("rule"), "role": check.fields.get("role"), "text": check.text}
        more |= {"criterion_id": check.criterion_id}
        if check.kind is CheckKind.COMMAND:
            more["command"] = check.fields["command"]
        return said | {name: value for name, value in more.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Standing:
    """A gate before one ticket. `head` None: nothing of it needs the files."""

    from_status: TicketStatus
    readiness: GateReadiness
    checks: list[Shown] = field(default_factory=list[Shown])
    head: Head | None = None
    tree_hash: str | None = None

    @property
    def required(self) -> list[Shown]:
        return [one for one in self.checks if one.check.required]

    @property
    def met(self) -> bool:
        return all(one.is_met for one in self.required)

    @property
    def missing(self) -> list[Shown]:
        """Commands that were not run yet."""
        return [one for one in self.checks if one.command is not None and one.waits is not None]


class GateStandings:
    """`hands_over`: the board itself puts the hand-over document together, so that a missing one is waited
    for and is no failure."""

    def __init__(self, trees: GateTrees, clock: Clock, *, hands_over: bool = False) -> None:
        self.trees, self.clock, self.hands_over = trees, clock, hands_over

    async def gate(self, session: AsyncSession, project: ProjectRow, status: TicketStatus) -> Gate:
        return gate_of(status, project.settings, await store.own_checks(session, project.id, status))

    async def stand(
        self, session: AsyncSession, ticket: TicketRow, status: TicketStatus | None = None
    ) -> Standing:
        """How the gate out of `status`, or of where the ticket stands, is before it."""
        status = status or TicketStatus(ticket.status)
        project = await session.get_one(ProjectRow, ticket.project_id)
        look = _Look(self, session, project, ticket, status)
        checks = (await self.gate(session, project, status)).checks
        if status is TicketStatus.TESTING:
            criteria = await store.criteria_of(session, ticket)
            checks = [*checks, *criterion_checks(criteria, project)]
        return await look.stand(checks)


def criterion_checks(criteria: Sequence[CriterionRow], project: ProjectRow) -> list[Check]:
    """What is checked of criteria before a ticket is done. A sentence alone is a question to people, where
    the project wants that."""
    asks = project.settings.get("text_criteria", "advise") == "approval"
    found: list[Check] = []
    for row in criteria:
        kind, given = CheckKind(row.kind), dict(row.check or {})
        if kind is CheckKind.TEXT:
            if not asks:
                continue
            kind, given = CheckKind.APPROVAL, {"role": ApproverRole.PRODUCT.value, "prompt": row.text[:5_000]}
        found.append(check_from(f"criterion:{row.id}", kind, given, criterion_id=row.id, text=row.text))
    return found


@dataclass(slots=True)
class _Look:
    """One look at one gate; what several checks need is read once."""

    standings: GateStandings
    session: AsyncSession
    project: ProjectRow
    ticket: TicketRow
    status: TicketStatus
    head: Head | None = None
    hash: str | None = None
    receipts: list[ReceiptRow] | None = None
    image: str | None = None
    worked_at: datetime | None = None

    @property
    def trees(self) -> GateTrees:
        return self.standings.trees

    @property
    def may_read(self) -> bool:
        return may_read_trees(self.session)

    async def stand(self, given: Sequence[Check]) -> Standing:
        ticket, session = self.ticket, self.session
        has_spec = await store.has_requirements(session, ticket.spec_id)
        checks = applicable(given, has_spec=has_spec)
        situation = Situation(
            session,
            ticket,
            stage_of(self.status),
            await arrivals.spec_is_approved(session, ticket),
            any(check.kind is CheckKind.COMMAND and check.required for check in checks),
        )
        self.worked_at = await store.last_work(session, ticket.id)
        answers = [
            row
            for row in await store.answers_of(session, ticket)
            if row.context.get("from_status") == self.status
        ]
        shown: list[Shown] = []
        for check in checks:
            one = await self._shown(check, situation, answers)
            if one is not None:
                shown.append(_waived(one, answers))
        readiness = await self._readiness(shown)
        return Standing(self.status, readiness, shown, self.head, self.hash)

    async def _readiness(self, shown: Sequence[Shown]) -> GateReadiness:
        """In the order in which things are waited for. People are asked once nothing else has failed, so
        after a failure nothing more is waited for."""
        if self.ticket.is_blocked:
            return GateReadiness.BLOCKED
        if not shown:
            return GateReadiness.NOT_CONFIGURED
        required = [one for one in shown if one.check.required]
        waits = {one.waits for one in required if one.waits}
        if self.status is TicketStatus.TESTING and await arrivals.has_open_task(self.session, self.ticket):
            return GateReadiness.WAITING_TASKS
        for readiness in (GateReadiness.WAITING_TASKS, GateReadiness.WAITING_CHECKS):
            if readiness in waits:
                return readiness
        failed = any(one.status == CriterionResult.FAIL for one in required)
        if not failed and GateReadiness.WAITING_APPROVAL in waits:
            return GateReadiness.WAITING_APPROVAL
        return GateReadiness.READY

    # --- one check -----------------------------------------------------------------------------------------

    async def _shown(
        self, check: Check, situation: Situation, answers: Sequence[ApprovalRow]
    ) -> Shown | None:
        """None: it does not apply to this tree."""
        if check.applies is Applies.WITH_LOCK_FILE:
            found = await self.trees.has_lock_file(await self._at(), may_read=self.may_read)
            if found is None:
                return _unread(check)
            if not found:
                return None
        match check.kind:
            case CheckKind.COMMAND:
                return await self._command(check, check)
            case CheckKind.RULE:
                return await self._rule(check, situation)
            case _:
                return self._approval(check, answers)

    async def _rule(self, check: Check, situation: Situation) -> Shown:
        rule = RuleName(check.fields["rule"])
        if rule is RuleName.DEPENDENCY_AUDIT:
            return await self._audit(check)
        if rule in TREE_RULES:
            params: Json = {LIST_PARAMS[rule]: self.project.settings.get(LISTS[rule]) or [], **check.params}
            verdict = await self.trees.verdict(await self._at(), rule, params, may_read=self.may_read)
            return _unread(check) if verdict is None else _from_verdict(check, verdict)
        shown = _from_verdict(check, await RULES[rule](situation, check.params))
        if shown.status == CriterionResult.FAIL and self.standings.hands_over and is_handover(check):
            return Shown(check, PENDING, shown.detail, GateReadiness.WAITING_CHECKS)
        return shown

    async def _audit(self, check: Check) -> Shown:
        severity = check.params.get("severity", DEFAULT_SEVERITY)
        found = await self.trees.audit(await self._at(), severity, may_read=self.may_read)
        if found is None:
            return _unread(check)
        if isinstance(found, Verdict):
            return _from_verdict(check, found)
        command = check_from(check.key, CheckKind.COMMAND, {"command": found})
        shown = await self._command(check, command)
        if shown.waits is None and (receipt := await self._receipt(shown.evidence)):
            shown.detail = said_plainly(receipt.exit_code, receipt.output_tail)
        return shown

    async def _command(self, check: Check, command: Check) -> Shown:
        tree_hash = await self._tree_hash()
        if tree_hash is None:
            return _unread(check)
        if self.receipts is None:
            self.receipts = await store.receipts_on(self.session, self.ticket, tree_hash)
            provider = self.project.settings.get("sandbox_provider", "local")
            self.image = await store.image_of_checks(self.session, self.project.id, provider)
        if (receipt := self._counting(command)) is not None:
            ran = CommandCheck.of(command)
            status = CriterionResult.PASS if passes(receipt, ran) else CriterionResult.FAIL
            return Shown(check, status, outcome(receipt, ran), evidence=receipt.id, command=command)
        waits = GateReadiness.WAITING_CHECKS
        return Shown(check, PENDING, "It has not been run on these files yet.", waits, command=command)

    def _counting(self, wanted: Check) -> ReceiptRow | None:
        """The run of this very command that counts: its newest for this gate, where a failure holds until new
        work was done; else one for something else that passed within a day."""
        command, entry, since = CommandCheck.of(wanted), self.ticket.phase_entry, self.worked_at
        now = self.standings.clock.now()
        for receipt in self.receipts or ():
            if (receipt.command, receipt.cwd) != (command.shown, command.cwd):
                continue
            passed = passes(receipt, command)
            if receipt.task_id is None and (receipt.check_key, receipt.phase_entry) == (wanted.key, entry):
                return receipt if passed or since is None or receipt.started_at >= since else None
            if stands_for(receipt, command, tree_hash=receipt.tree_hash, image=self.image, now=now):
                return receipt
        return None

    def _approval(self, check: Check, answers: Sequence[ApprovalRow]) -> Shown:
        about = [row for row in answers if row.context.get("check_key") == check.key]
        for row in about:
            if row.status == "rejected" and self._stands(row):
                said = f"{row.decided_by} said no."
                return _answered(check, CriterionResult.FAIL, said, row)
        yes = {row.decided_by: row for row in about if row.status == "approved"}
        needed = int(check.fields["minimum"])
        detail = f"{len(yes)} of {needed} people with the role {check.fields['role']} approved."
        if len(yes) >= needed:
            return _answered(check, CriterionResult.PASS, detail, list(yes.values())[-1])
        return Shown(check, PENDING, detail, GateReadiness.WAITING_APPROVAL)

    def _stands(self, rejected: ApprovalRow) -> bool:
        """A no counts until there is new work to look at, or somebody lifted the block that it led to."""
        decided = rejected.decided_at or rejected.created_at
        if self.worked_at is not None and self.worked_at > decided:
            return False
        return self.ticket.is_blocked or not rejected.context.get("blocked")

    # --- the files -----------------------------------------------------------------------------------------

    async def _at(self) -> Head:
        if self.head is None:
            self.head = await self.trees.head(self.project, self.ticket)
        return self.head

    async def _tree_hash(self) -> str | None:
        if self.hash is None:
            self.hash = await self.trees.tree_hash(await self._at(), may_read=self.may_read)
        return self.hash

    async def _receipt(self, receipt_id: str | None) -> ReceiptRow | None:
        return next((row for row in self.receipts or () if row.id == receipt_id), None)


def _waived(one: Shown, answers: Sequence[ApprovalRow]) -> Shown:
    """A failure that somebody who may has set aside."""
    if one.status != CriterionResult.FAIL or not one.check.waivable:
        return one
    for row in reversed(answers):
        if row.status == "waived" and row.context.get("check_key") == one.check.key:
            one.status, one.waiver = CriterionResult.WAIVED, row
            one.approver, one.rationale = row.decided_by, row.rationale
            return one
    return one


def is_handover(check: Check) -> bool:
    """Whether it asks for the document that the board puts together from what was done."""
    is_present = check.rule is RuleName.ARTIFACT_PRESENT
    return is_present and check.params.get("artifact_type") == ArtifactType.HANDOFF_DOCUMENTATION


def _unread(check: Check) -> Shown:
    return Shown(check, PENDING, UNREAD, GateReadiness.WAITING_CHECKS)


def _from_verdict(check: Check, verdict: Verdict) -> Shown:
    if verdict.waits is not None:
        return Shown(check, PENDING, verdict.detail, verdict.waits, verdict.evidence)
    status = CriterionResult.PASS if verdict.passed else CriterionResult.FAIL
    return Shown(check, status, verdict.detail, evidence=verdict.evidence)


def _answered(check: Check, status: CriterionResult, detail: str, row: ApprovalRow) -> Shown:
    return Shown(check, status, detail, evidence=row.id, approver=row.decided_by, rationale=row.rationale)


def outcome(receipt: ReceiptRow, command: CommandCheck) -> str:
    said = f"It ended with {receipt.exit_code} after {receipt.duration_ms / 1000:.1f} s"
    wanted, found = command.coverage, receipt.coverage_percent
    if wanted is None:
        return f"{said}."
    if found is None:
        return f"{said}; no coverage is known from {wanted.report}."
    return f"{said}; coverage {found:.2f} % of at least {wanted.minimum:g} %."
