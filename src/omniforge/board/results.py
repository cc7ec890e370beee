"""What workers say they did: taken in once, late words kept apart, and the way to the verdict begun."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.artifacts import keep_other
from omniforge.board.errors import LateResult
from omniforge.board.leases import Leases
from omniforge.board.log import board_event
from omniforge.board.next_actions import next_action
from omniforge.board.settling import Settling
from omniforge.board.shapes.worker import ResultGiven, ResultTaken
from omniforge.board.standing import TERMINAL, Standing, read_standing, task_criteria, terminal_result
from omniforge.board.store.evidence import ResultRow
from omniforge.board.store.tasks import find_task
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import CheckKind, TaskStatus
from omniforge.core.clock import new_id
from omniforge.core.errors import Invalid, PayloadTooLarge, RateLimited
from omniforge.db import Database
from omniforge.sandboxes.service import SandboxService
from omniforge.sandboxes.texts import cleaned, size_of
from omniforge.sandboxes.tokens import WorkerCall

Json = dict[str, Any]
MAX_BODY, MAX_SUMMARY, MAX_FILES, MAX_ARTIFACTS, MAX_ARTIFACT = 1_000_000, 10_000, 2_000, 50, 100 * 1024
MAX_PARTIAL = 50
LOOKED_AT = (CheckKind.COMMAND, CheckKind.RULE)
"""Criteria that are looked at in the workspace, which takes a while."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """`settled`: the verdict stands; else its checks still run."""

    answer: ResultTaken
    settled: bool


@dataclass(frozen=True, slots=True)
class _Taken:
    """What came of the words themselves. `late`: they count no more."""

    row: ResultRow | None = None
    replayed: bool = False
    late: LateResult | None = None


class Results:
    def __init__(self, db: Database, sandboxes: SandboxService, leases: Leases, settling: Settling) -> None:
        self.db, self.sandboxes, self.leases, self.settling = db, sandboxes, leases, settling
        self.events, self.clock = leases.attempts.events, leases.clock

    async def accept_result(self, call: WorkerCall, given: ResultGiven) -> Accepted:
        """Take in what the worker of this attempt says. The same words again give the same answer; others
        after the last ones, or of an attempt that counts no more, are `LateResult` and kept apart."""
        _check_sizes(given)
        said = given.model_dump(mode="json", exclude={"attempt"})
        async with self.db.transaction() as session:
            secrets = await self.sandboxes.environments.secrets_of(session, call.sandbox)
            taken = await self._take(session, call, given.attempt, cleaned(said, secrets))
        if taken.late is not None:
            raise taken.late
        row = taken.row
        assert row is not None  # noqa: S101 - for the type checker
        if row.status in TERMINAL and not taken.replayed and await self._may_settle_now(call, row):
            await self.settling.settle(call.tenant_id, call.task_id, call.attempt)
            await self.settling.advance(call.tenant_id, call.task_id)
        return await self._answer(call, row.id, replayed=taken.replayed)

    async def _may_settle_now(self, call: WorkerCall, row: ResultRow) -> bool:
        """Whether the verdict can be told in this very call. Our own program is ended before its work is
        looked at, so it gets its answer first; checks take as long as they take."""
        if call.sandbox.worker != "external":
            return False
        if row.status == "failed":
            return True
        async with self.db.read() as session:
            return not await task_criteria(session, call.task_id, *LOOKED_AT)

    # --- the words -----------------------------------------------------------------------------------------

    async def _take(self, session: AsyncSession, call: WorkerCall, attempt: int | None, body: Json) -> _Taken:
        task = await find_task(session, call.tenant_id, call.task_id)
        if task is not None:
            await session.get_one(TicketRow, task.ticket_id, with_for_update=True)
        await find_task(session, call.tenant_id, call.task_id, lock=True)
        standing = await read_standing(session, call.tenant_id, call.task_id, call.attempt)
        assert standing is not None  # noqa: S101 - its token was made with it
        if attempt not in (None, call.attempt):
            return _Taken(late=_late(standing, f"This is attempt {call.attempt}, not {attempt}."))
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        same = select(ResultRow).where(
            ResultRow.task_id == call.task_id,
            ResultRow.attempt == call.attempt,
            ResultRow.body_hash == digest,
        )
        if (known := await session.scalar(same)) is not None:
            return _Taken(known, replayed=True)
        said = await terminal_result(session, call.task_id, call.attempt)
        if standing.counts and standing.sandbox.state in ("pending", "creating"):
            raise RateLimited("The sandbox is being made; send this again in a moment.", retry_after=1.0)
        if said is not None or not standing.counts or call.lapsed is not None:
            await keep_other(session, self.events, standing, body, call.by, self.clock.now())
            why = "Something else was said before." if said is not None else "This attempt counts no more."
            return _Taken(late=_late(standing, why))
        return _Taken(await self._store(session, call, standing, body, digest))

    async def _store(
        self, session: AsyncSession, call: WorkerCall, standing: Standing, body: Json, digest: str
    ) -> ResultRow:
        status = body["status"]
        is_last = status in TERMINAL
        if not is_last:
            await self._count_partial(session, standing)
        checked = status == "completed" and bool(await task_criteria(session, standing.task.id, *LOOKED_AT))
        now = self.clock.now()
        row = ResultRow(
            id=new_id("res"),
            tenant_id=call.tenant_id,
            task_id=standing.task.id,
            attempt=standing.number,
            sandbox_id=standing.sandbox.id,
            status=status,
            body_hash=digest,
            summary=body["summary"],
            files_changed=body["files_changed"],
            commits=body["commits"],
            tests=body["tests"],
            artifacts=body["artifacts"],
            notes=body["notes"],
            error_code=body["error_code"],
            claims="unchecked",
            verification="running" if checked else "none",
            created_at=now,
        )
        session.add(row)
        await session.flush()
        told: Json = {
            "result_id": row.id,
            "attempt": row.attempt,
            "status": status,
            "files": len(row.files_changed),
            "commits": len(row.commits),
        }
        ids = {
            "project_id": standing.project.id,
            "ticket_id": standing.ticket.id,
            "task_id": standing.task.id,
            "sandbox_id": standing.sandbox.id,
        }
        event = board_event(
            "result.submitted", row.id, now, call.by, **ids, run_id=standing.attempt.run_id, **told
        )
        await self.events.append(session, call.tenant_id, event)
        if is_last:
            await self.sandboxes.work_finished_in(session, standing.sandbox.id, row.id)
        await self.leases.renew_in(session, standing.task.id, standing.number)
        return row

    @staticmethod
    async def _count_partial(session: AsyncSession, standing: Standing) -> None:
        where = (ResultRow.task_id == standing.task.id, ResultRow.attempt == standing.number)
        count = await session.scalar(select(func.count()).select_from(ResultRow).where(*where)) or 0
        if count >= MAX_PARTIAL:
            field = {"field": "status", "value": "partial", "rule": f"at most {MAX_PARTIAL} in an attempt"}
            raise Invalid("Enough was said in between; say the last word.", fields=[field])

    async def _answer(self, call: WorkerCall, result_id: str, *, replayed: bool) -> Accepted:
        """As things stand now."""
        async with self.db.read() as session:
            row = await session.get_one(ResultRow, result_id)
            standing = await read_standing(session, call.tenant_id, call.task_id, call.attempt)
            assert standing is not None  # noqa: S101 - for the type checker
            is_last = row.status in TERMINAL
            answer = ResultTaken(
                task_id=call.task_id,
                attempt=call.attempt,
                result_id=row.id,
                task_status=TaskStatus(standing.task.status),
                verification=row.verification,  # pyright: ignore[reportArgumentType] - one of its words
                next_action=await next_action(session, standing) if is_last else "continue",
                replayed=replayed,
            )
            return Accepted(answer, settled=not is_last or standing.attempt.ended_at is not None)


def _late(standing: Standing, why: str) -> LateResult:
    return LateResult(
        why,
        task_status=standing.task.status,
        current_attempt=standing.task.attempt,
        your_attempt=standing.number,
    )


def _check_sizes(given: ResultGiven) -> None:
    """Larger ones are refused as a whole."""
    sizes = [
        ("summary", len(given.summary), MAX_SUMMARY),
        ("files_changed", len(given.files_changed), MAX_FILES),
        ("artifacts", len(given.artifacts), MAX_ARTIFACTS),
    ]
    sizes += [
        (f"artifacts[{n}]", size_of(one.content), MAX_ARTIFACT) for n, one in enumerate(given.artifacts)
    ]
    for name, size, limit in sizes:
        if size > limit:
            raise PayloadTooLarge(f"{name}: at most {limit} are taken, not {size}.", field=name, limit=limit)
