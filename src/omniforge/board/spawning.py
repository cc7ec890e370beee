"""Sandboxes that people ask for and take away: always with the attempt that is worked on in there."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Any

from omniforge.board.attempts import Attempts
from omniforge.board.claims import Claims
from omniforge.board.store import tasks as store
from omniforge.board.task_edits import TaskEdits
from omniforge.board.vocabulary import AttemptOutcome, TaskStatus
from omniforge.board.workplaces import Ending
from omniforge.core.actor import Actor
from omniforge.core.errors import Conflict, Unavailable
from omniforge.sandboxes import tokens
from omniforge.sandboxes.schemas import SpawnGiven
from omniforge.sandboxes.service import SandboxService
from omniforge.sandboxes.store import LIVE_STATES, SandboxRow, get_sandbox
from omniforge.sandboxes.vocabulary import WorkerKind

TAKEN_AWAY = "Somebody took its sandbox away."
BY_REQUEST = "terminated_by_request"


class TaskThen(StrEnum):
    """What becomes of a task whose sandbox is taken away."""

    REQUEUE = "requeue"
    FAIL = "fail"
    CANCEL = "cancel"


class Spawning:
    def __init__(
        self, sandboxes: SandboxService, attempts: Attempts, edits: TaskEdits, claims: Claims | None
    ) -> None:
        self.db, self.clock = sandboxes.db, sandboxes.clock
        self.sandboxes, self.attempts, self.edits, self.claims = sandboxes, attempts, edits, claims

    async def spawn(self, actor: Actor, given: SpawnGiven) -> tuple[SandboxRow, str | None]:
        """Claim that task for a new sandbox; its token only for a worker from outside, and only now."""
        actor.require("board:sandbox")
        if self.claims is None:
            raise Unavailable("Nothing is worked on in this installation.")
        asked: dict[str, Any] = {"worker": given.worker.value}
        if given.provider is not None:
            asked["provider"] = self.sandboxes.provider(given.provider.value).name
        if given.agent_id is not None:
            asked["agent_id"] = given.agent_id
        now = self.clock.now()
        if given.keep_seconds:
            asked["keep_until"] = now + timedelta(seconds=given.keep_seconds)
        token = tokens.new_token() if given.worker is WorkerKind.EXTERNAL else None
        if token is not None:
            asked |= {"token_hash": tokens.hash_of(token), "token_expires_at": now + tokens.LIFETIME}
        if given.env:
            asked["env"] = await self._seal(actor, given)
        claimed = await self.claims.claim_one(actor, given.task_id, **asked)
        return claimed.sandbox, token

    async def _seal(self, actor: Actor, given: SpawnGiven) -> bytes | None:
        async with self.db.transaction() as session:
            task = await store.get_task(session, actor, given.task_id)
            return await self.sandboxes.environments.seal(session, actor.tenant_id, task.id, given.env)

    async def remove(self, actor: Actor, sandbox_id: str, then: TaskThen) -> TaskStatus | None:
        """Take a sandbox down, also one that is down already; how its task stands then."""
        actor.require("board:sandbox")
        async with self.db.read() as session:
            row = await get_sandbox(session, actor, sandbox_id)
        if row.state in LIVE_STATES and row.token_revoked_at is None:
            await self._end_attempt(actor, row, then)
        await self.sandboxes.terminate(row.id, "removed", actor.by)
        if row.task_id is None:
            return None
        async with self.db.read() as session:
            return TaskStatus((await store.get_task(session, actor, row.task_id)).status)

    async def _end_attempt(self, actor: Actor, row: SandboxRow, then: TaskThen) -> None:
        if row.task_id is None or row.attempt is None:
            return
        match then:
            case TaskThen.REQUEUE:
                ending = Ending(AttemptOutcome.CANCELLED, actor.by, "interrupted", TAKEN_AWAY)
            case TaskThen.FAIL:
                ending = Ending(AttemptOutcome.FAILED, actor.by, BY_REQUEST, TAKEN_AWAY, is_final=True)
            case TaskThen.CANCEL:
                try:
                    await self.edits.cancel(actor, row.task_id, TAKEN_AWAY)
                except Conflict:  # it was finished meanwhile
                    return
                return
        await self.attempts.settle(row.tenant_id, row.task_id, row.attempt, ending)
