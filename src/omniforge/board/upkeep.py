"""What ends attempts whose sandbox hangs, never came to life, or is gone. Called by whoever dispatches."""

from __future__ import annotations

from omniforge.board.attempts import Attempts
from omniforge.board.transcripts import keep_transcript
from omniforge.board.vocabulary import AttemptOutcome
from omniforge.board.workplaces import Ending
from omniforge.sandboxes.log import HOST
from omniforge.sandboxes.provisioning import PATIENCE
from omniforge.sandboxes.service import CRASHED, SandboxService
from omniforge.sandboxes.store import SandboxRow, lock_sandbox
from omniforge.sandboxes.vigil import find_idle, find_stillborn, is_idle

QUIET = "Nothing was done for a long while, so the attempt was ended."
STILLBORN = f"Its worker was not heard of {PATIENCE.seconds} seconds after the sandbox was asked for."


class Upkeep:
    def __init__(self, sandboxes: SandboxService, attempts: Attempts) -> None:
        self.sandboxes, self.attempts = sandboxes, attempts
        self.db, self.clock = sandboxes.db, sandboxes.clock

    async def end_silent(self) -> int:
        """End attempts that are idle, and sandboxes that never came to life; how many. At least every 30
        seconds."""
        now = self.clock.now()
        async with self.db.read() as session:
            idle = await find_idle(session, now)
            stillborn = await find_stillborn(session, now, PATIENCE)
        ended = [await self._end_idle(row) for row in idle]
        late = Ending(AttemptOutcome.FAILED, HOST, "provision_timeout", STILLBORN)
        ended += [await self._end(row, late) for row in stillborn]
        return sum(ended)

    async def release_ended(self) -> int:
        """Take down what has ended and what was called off; every few seconds."""
        return await self.sandboxes.release_ended()

    async def sweep(self) -> int:
        """Compare with the providers what there is, at the start and every minute; how many attempts lost
        their sandbox."""
        crashed = Ending(AttemptOutcome.FAILED, HOST, "sandbox_crashed", CRASHED)
        swept = await self.sandboxes.sweep()
        return sum([await self._end(row, crashed) for row in swept.crashed])

    async def _end_idle(self, row: SandboxRow) -> bool:
        """With what was done there kept, since it is looked at by people."""
        if row.task_id is None or row.attempt is None:
            return False
        ending = Ending(AttemptOutcome.IDLE, HOST, "idle", QUIET)
        async with self.db.transaction() as session:
            fresh = await lock_sandbox(session, row.id)
            if fresh.state != "running" or not is_idle(fresh, self.clock.now()):
                return False  # it has spoken meanwhile
            await keep_transcript(session, self.attempts.events, fresh, self.clock.now())
            settled = self.attempts.settle_in(session, row.tenant_id, row.task_id, row.attempt, ending)
            return await settled is not None

    async def _end(self, row: SandboxRow, ending: Ending) -> bool:
        if row.task_id is not None and row.attempt is not None:
            return await self.attempts.settle(row.tenant_id, row.task_id, row.attempt, ending) is not None
        async with self.db.transaction() as session:
            code, message = ending.error_code or "", ending.message or ""
            return await self.sandboxes.fail_in(session, row, code, message)
