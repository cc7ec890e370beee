"""What the host sees in the workspace of an attempt, whatever its worker says: the files, and every check."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import select

from omniforge.board.checks import Checks, CheckSubject
from omniforge.board.gate_definitions import Check, check_from
from omniforge.board.gate_trees import GateTrees, Head
from omniforge.board.repository import Repositories, Snapshot
from omniforge.board.rules import RULES, TREE_RULES
from omniforge.board.rules import base as rules
from omniforge.board.spec_life import Part, is_approved
from omniforge.board.standing import Standing, task_criteria
from omniforge.board.store.evidence import ReceiptRow, ResultRow
from omniforge.board.store.specs import CriterionRow, SpecRow
from omniforge.board.trees import file_in
from omniforge.board.vocabulary import AttemptOutcome, CheckKind, RuleName, TicketStatus
from omniforge.board.workflow import stage_of
from omniforge.core.errors import OmniForgeError, ProviderError
from omniforge.db import Database
from omniforge.sandboxes.log import HOST
from omniforge.sandboxes.service import SandboxService
from omniforge.sandboxes.workspaces import Execution

Json = dict[str, Any]
UNREADABLE = (ProviderError,)
SHOWN = 4_000
"""Characters of the output of a failed check that the next attempt is told."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`commit` is the tree as it was found, None when it could not be read. Without `code` nothing speaks
    against the work; `outcome`, `code`, `message` and `output` are those of the attempt else."""

    commit: str | None
    tree_hash: str | None = None
    outcome: AttemptOutcome = AttemptOutcome.COMPLETED
    code: str | None = None
    message: str | None = None
    output: str | None = None
    receipts: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        return self.code is None

    def to_json(self) -> Json:
        return asdict(self)

    @classmethod
    def from_json(cls, said: Json) -> Verdict:
        fields = {name: said[name] for name in cls.__slots__ if name in said}
        fields["outcome"] = AttemptOutcome(fields["outcome"])
        fields["receipts"] = tuple(fields["receipts"])
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Seen:
    """One criterion: whether it holds, in a sentence, with the output of what was run."""

    criterion: CriterionRow
    passed: bool
    detail: str
    output: str = ""
    receipt_id: str | None = None


class Examining:
    """Reads workspaces and runs checks. Every look at the same tree gives the same verdict, and a command
    that was run on it is not run again."""

    def __init__(
        self, db: Database, sandboxes: SandboxService, repositories: Repositories, checks: Checks
    ) -> None:
        self.db, self.sandboxes, self.repositories, self.checks = db, sandboxes, repositories, checks
        self.trees = GateTrees(repositories)

    async def examine(self, standing: Standing, result: ResultRow) -> Verdict:
        """End the worker and look at what it left. A `failed` result is believed as it is."""
        await self.sandboxes.stop_worker(standing.sandbox.id)
        if result.status == "failed":
            code = result.error_code or "worker_failed"
            return Verdict(None, outcome=AttemptOutcome.FAILED, code=code, message=result.summary)
        try:
            return await self._examine(standing, result)
        except UNREADABLE as unreadable:
            return _unreadable(unreadable)

    async def _examine(self, standing: Standing, result: ResultRow) -> Verdict:
        snapshot = await self.snapshot(standing, result)
        claims, record = compare(result, snapshot, has_base=standing.attempt.base_commit is not None)
        await self._record(result, claims, record)
        if claims == "mismatch":
            return _mismatch(snapshot, result)
        return _judged(snapshot, await self._look(standing, snapshot))

    async def snapshot(self, standing: Standing, result: ResultRow | None = None) -> Snapshot:
        """The workspace as a commit on no branch; the same tree of the same attempt is the same commit."""
        tree = await self.sandboxes.read_tree(standing.sandbox.id)
        said = standing.task
        moment = result.created_at if result is not None else standing.attempt.claimed_at
        return await self.repositories.snapshot(
            standing.project.id,
            tree,
            standing.attempt.base_commit,
            f"{said.ref}: {said.title}",
            at=moment,
        )

    async def _record(self, result: ResultRow, claims: str, record: list[Json]) -> None:
        if (result.claims, result.files_changed) == (claims, record):
            return
        async with self.db.transaction() as session:
            row = await session.get_one(ResultRow, result.id)
            row.claims, row.files_changed = claims, record

    # --- criteria ------------------------------------------------------------------------------------------

    async def _look(self, standing: Standing, snapshot: Snapshot) -> list[Seen]:
        """Every criterion that can be looked at, in its order."""
        async with self.db.read() as session:
            criteria = await task_criteria(session, standing.task.id, CheckKind.COMMAND, CheckKind.RULE)
        return [await self._see(standing, snapshot, criterion) for criterion in criteria]

    async def _see(self, standing: Standing, snapshot: Snapshot, criterion: CriterionRow) -> Seen:
        check = task_check(criterion)
        if check.kind is CheckKind.COMMAND:
            return await self._run(standing, snapshot, criterion, check)
        return await self._rule(standing, snapshot, criterion, check)

    async def _run(
        self, standing: Standing, snapshot: Snapshot, criterion: CriterionRow, check: Check
    ) -> Seen:
        receipt = await self._earlier(standing, snapshot, check)
        if receipt is None:

            async def execute(argv: Sequence[str], cwd: str, timeout: float) -> Execution:
                return await self.sandboxes.execute(standing.sandbox.id, argv, cwd, None, timeout)

            async def read_file(path: str) -> bytes | None:
                tree = await self.sandboxes.read_tree(standing.sandbox.id)
                return await asyncio.to_thread(file_in, tree, path)

            receipt = await self.checks.run_command(
                HOST,
                check,
                execute=execute,
                about=subject_of(standing),
                tree_hash=snapshot.tree_hash,
                image=standing.sandbox.image or "",
                read_file=read_file,
            )
        told = f"`{receipt.command}` ended with exit code {receipt.exit_code}"
        return Seen(criterion, receipt.passed, told, receipt.output_tail, receipt.id)

    async def _earlier(self, standing: Standing, snapshot: Snapshot, check: Check) -> ReceiptRow | None:
        """The receipt of this very attempt and tree, from before a crash."""
        query = (
            select(ReceiptRow)
            .where(
                ReceiptRow.task_id == standing.task.id,
                ReceiptRow.attempt == standing.number,
                ReceiptRow.check_key == check.key,
                ReceiptRow.tree_hash == snapshot.tree_hash,
                ReceiptRow.voided_at.is_(None),
            )
            .order_by(ReceiptRow.started_at.desc())
        )
        async with self.db.read() as session:
            return await session.scalar(query.limit(1))

    async def _rule(
        self, standing: Standing, snapshot: Snapshot, criterion: CriterionRow, check: Check
    ) -> Seen:
        rule, params = check.rule, dict(check.params)
        if rule is not None and rule in TREE_RULES:
            head = Head(standing.project.id, snapshot.commit, standing.attempt.base_commit)
            said = await self.trees.verdict(head, rule, params, may_read=True)
        elif rule is RuleName.DEPENDENCY_AUDIT:
            head = Head(standing.project.id, snapshot.commit, standing.attempt.base_commit)
            asked = await self.trees.audit(head, params.get("severity", "high"), may_read=True)
            if isinstance(asked, str):
                command = check_from(check.key, CheckKind.COMMAND, {"command": asked})
                return await self._run(standing, snapshot, criterion, command)
            said = asked
        else:
            said = await self._ask(standing, rule, params)
        if said is None:
            return Seen(criterion, passed=False, detail="Nobody could say.")
        return Seen(criterion, said.passed, said.detail)

    async def _ask(self, standing: Standing, rule: RuleName | None, params: Json) -> rules.Verdict | None:
        if rule is None:
            return None
        async with self.db.read() as session:
            ticket = standing.ticket
            spec = await session.get(SpecRow, ticket.spec_id) if ticket.spec_id else None
            approved = spec is not None and all(is_approved(spec, part) for part in Part)
            situation = rules.Situation(
                session, ticket, stage_of(TicketStatus(ticket.status)), approved, has_command=False
            )
            return await RULES[rule](situation, params)


def task_check(criterion: CriterionRow) -> Check:
    """What looks at a criterion of a task."""
    given = criterion.check or {}
    key = given.get("key") or f"criterion:{criterion.id}"
    kind = CheckKind(criterion.kind)
    return check_from(key, kind, given, criterion_id=criterion.id, text=criterion.text)


def subject_of(standing: Standing) -> CheckSubject:
    ticket, task = standing.ticket, standing.task
    return CheckSubject(
        tenant_id=task.tenant_id,
        project_id=task.project_id,
        ticket_id=ticket.id,
        task_id=task.id,
        attempt=standing.number,
        from_status=None,
        phase_entry=ticket.phase_entry,
    )


# --- claims ------------------------------------------------------------------------------------------------


def compare(result: ResultRow, snapshot: Snapshot, *, has_base: bool) -> tuple[str, list[Json]]:
    """Whether every file that was said to be changed is, and the record with the others added to it."""
    changed = {change.path: change for change in snapshot.changes}
    claimed = {posixpath.normpath(str(one["path"])): one for one in result.files_changed}
    record = list(result.files_changed)
    record += [change.shown() | {"claimed": False} for path, change in changed.items() if path not in claimed]
    if claimed.keys() - changed.keys():
        return ("mismatch" if has_base else "unchecked"), record
    return ("match" if has_base else "unchecked"), record


def _mismatch(snapshot: Snapshot, result: ResultRow) -> Verdict:
    changed = {change.path for change in snapshot.changes}
    missing = sorted(
        {str(one["path"]) for one in result.files_changed}
        - {
            str(one["path"])
            for one in result.files_changed
            if posixpath.normpath(str(one["path"])) in changed
        }
    )
    named = ", ".join(missing[:20])
    return Verdict(
        snapshot.commit,
        snapshot.tree_hash,
        AttemptOutcome.EVIDENCE_FAILED,
        "claim_mismatch",
        f"These files were said to be changed and are not: {named}.",
    )


def _unreadable(error: OmniForgeError) -> Verdict:
    known = ("sandbox_crashed", "provider_error", "provision_timeout")
    if error.code in known:
        return Verdict(None, outcome=AttemptOutcome.FAILED, code=error.code, message=error.message)
    message = f"What lies in the workspace cannot be taken over: {error.message}"
    return Verdict(None, outcome=AttemptOutcome.EVIDENCE_FAILED, code="evidence_failed", message=message)


def _judged(snapshot: Snapshot, seen: Sequence[Seen]) -> Verdict:
    receipts = tuple(one.receipt_id for one in seen if one.receipt_id is not None)
    good = Verdict(snapshot.commit, snapshot.tree_hash, receipts=receipts)
    failed = [one for one in seen if not one.passed]
    if not failed:
        return good
    named = "; ".join(f"{one.criterion.text} ({one.detail})" for one in failed)
    output = "\n\n".join(f"{one.detail}:\n{one.output[-SHOWN:]}" for one in failed if one.output)
    return replace(
        good,
        outcome=AttemptOutcome.EVIDENCE_FAILED,
        code="evidence_failed",
        message=f"{len(failed)} of {len(seen)} checks failed: {named}"[:2_000],
        output=output or None,
    )
