"""Sandboxes from being asked for to being gone: every change of state is made once, and told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from sqlalchemy import delete, or_, select

from omniforge.core.clock import Clock
from omniforge.core.errors import OmniForgeError
from omniforge.db import Database
from omniforge.engine.events import EventLog
from omniforge.sandboxes.environment import Environments
from omniforge.sandboxes.log import HOST
from omniforge.sandboxes.messages import Messages
from omniforge.sandboxes.provisioning import PATIENCE, Provisioning
from omniforge.sandboxes.states import SandboxFailed, SandboxStates, gave_up
from omniforge.sandboxes.store import LIVE_STATES, RateRow, SandboxRow, lock_sandbox
from omniforge.sandboxes.sweeping import Sweeper, Swept
from omniforge.sandboxes.telemetry import Telemetry
from omniforge.sandboxes.tokens import WorkerCall, find_call, refuse
from omniforge.sandboxes.workspaces import (
    Execution,
    ProviderUnavailable,
    WorkspaceProvider,
)
from omniforge.tenants.secrets import SecretBox

__all__ = ["PATIENCE", "SandboxFailed", "SandboxService"]

log = logging.getLogger(__name__)

CRASHED = "Its provider does not have it any more."

BeforeRelease = Callable[[SandboxRow], Awaitable[None]]
"""Called while the workspace of an ended sandbox can still be read, perhaps more than once."""


class SandboxService(SandboxStates):
    """`providers` by their names; `api_url` is where workers find this installation.

    Functions that end in `_in` work in the caller's transaction and write their events there; what they give
    back is whether they changed anything.
    """

    def __init__(
        self,
        db: Database,
        events: EventLog,
        clock: Clock,
        providers: Mapping[str, WorkspaceProvider],
        *,
        api_url: str,
        box: SecretBox | None = None,
    ) -> None:
        super().__init__(events, clock)
        self.db = db
        self.providers = providers
        self.environments = Environments(box)
        self.messages = Messages(db, events, clock)
        self.telemetry = Telemetry(events, clock, self.environments)
        self.before_release: list[BeforeRelease] = []
        self._provisioning = Provisioning(db, self, self.environments, self.provider, api_url)
        self._sweeper = Sweeper(db, providers)

    # --- coming to life ------------------------------------------------------------------------------------

    async def provision(
        self,
        sandbox_id: str,
        tree: bytes,
        *,
        env: Mapping[str, str] | None = None,
        folders: Mapping[str, bytes] | None = None,
    ) -> None:
        """Make a requested sandbox real: its place, the tar `tree` as its workspace, the tars `folders`
        beside it by name, and its worker, who alone is given the token. One that only checks runs then.

        It may be called again after a crash: what is done already is not done twice. `SandboxFailed` when it
        cannot be made; a check is failed then, an attempt is for the caller to settle.
        """
        await self._provisioning.provision(await self.get(sandbox_id), tree, env or {}, folders or {})

    # --- while it lives ------------------------------------------------------------------------------------

    async def stop_worker(self, sandbox_id: str) -> None:
        """Nothing of it runs any more; its workspace stays as it is."""
        row = await self.get(sandbox_id)
        if row.provider_ref is not None:
            await self.provider(row.provider).stop_worker(row.provider_ref)

    async def execute(
        self,
        sandbox_id: str,
        argv: Sequence[str],
        cwd: str = ".",
        env: Mapping[str, str] | None = None,
        timeout: float = 600.0,
    ) -> Execution:
        """Run a command of the host in its workspace; `timeout` in seconds."""
        provider, ref = await self._workspace(sandbox_id)
        return await provider.exec(ref, argv, cwd=cwd, env=env, timeout=timeout)

    async def read_tree(self, sandbox_id: str) -> bytes:
        """Everything in its workspace, as a tar."""
        provider, ref = await self._workspace(sandbox_id)
        return await provider.read_tree(ref)

    async def authenticate(self, token: str, *, also_lapsed: bool = False) -> WorkerCall:
        """Whose token this is; Unauthenticated when it is nobody's or holds no more. `also_lapsed`: a token
        that was good once is let through, and `lapsed` says why it holds no more."""
        async with self.db.read() as session:
            call = await find_call(session, token, self.clock.now())
        if call.lapsed is not None and not also_lapsed:
            raise refuse(call.lapsed)
        return call

    async def get(self, sandbox_id: str) -> SandboxRow:
        """A sandbox of whichever tenant."""
        async with self.db.read() as session:
            return await session.get_one(SandboxRow, sandbox_id)

    def provider(self, name: str) -> WorkspaceProvider:
        """`ProviderUnavailable` unless this installation has it."""
        if (found := self.providers.get(name)) is None:
            message = f"This installation has no sandbox provider '{name}'."
            raise ProviderUnavailable(message, provider=name, known=sorted(self.providers))
        return found

    # --- its end -------------------------------------------------------------------------------------------

    async def terminate(self, sandbox_id: str, reason: str, by: str = HOST) -> bool:
        """Let go of everything it holds: any state → terminated. False when that was done before. When its
        provider fails, the token holds no more all the same, and it may be called again."""
        now = self.clock.now()
        async with self.db.transaction() as session:
            row = await lock_sandbox(session, sandbox_id)
            if row.state == "terminated":
                return False
            row.token_revoked_at = row.token_revoked_at or now
        await self._keep_what_matters(row)
        if row.provider_ref is not None:
            await self.provider(row.provider).destroy(row.provider_ref)
        async with self.db.transaction() as session:
            every = (*LIVE_STATES, "completed", "failed")
            ended = {"terminated_at": self.clock.now(), "ended_at": row.ended_at or now}
            gone = await self.change(session, sandbox_id, every, "terminated", **ended)
            if gone is not None:
                await self.tell(session, gone, "sandbox.terminated", self.clock.now(), by, reason=reason)
            await session.execute(delete(RateRow).where(RateRow.sandbox_id == sandbox_id))
        if gone is not None and gone.provider_ref is not None and row.provider_ref is None:
            await self.provider(gone.provider).destroy(gone.provider_ref)  # it was made meanwhile
        return gone is not None

    async def release_ended(self) -> int:
        """Take down what has ended and is kept no longer, and what was called off; how many. Cheap when there
        is nothing to do: call it every few seconds."""
        now = self.clock.now()
        ended = SandboxRow.state.in_(("completed", "failed"))
        is_kept = SandboxRow.keep_until > now
        called_off = SandboxRow.state.in_(LIVE_STATES) & SandboxRow.token_revoked_at.is_not(None)
        due = or_(called_off, ended & (SandboxRow.keep_until.is_(None) | ~is_kept))
        async with self.db.read() as session:
            rows = list(await session.scalars(select(SandboxRow).where(due).order_by(SandboxRow.id)))
        done = await asyncio.gather(*(self._release(row) for row in rows))
        return sum(done)

    async def sweep(self) -> Swept:
        """Destroy what providers hold and nobody knows of, and say which living sandboxes they hold no more:
        checks among those are failed already, attempts are for the caller to settle as sandbox_crashed."""
        swept = await self._sweeper.sweep()
        for row in swept.crashed:
            if row.kind == "check":
                async with self.db.transaction() as session:
                    await self.fail_in(session, row, "sandbox_crashed", CRASHED)
        await self.release_ended()
        return swept

    async def _release(self, row: SandboxRow) -> bool:
        reason = "cancelled" if row.state in LIVE_STATES else row.state
        try:
            return await self.terminate(row.id, reason)
        except (OmniForgeError, OSError) as error:
            log.warning("sandbox %s could not be taken down yet: %s", row.id, error)
            return False

    async def _keep_what_matters(self, row: SandboxRow) -> None:
        for keep in self.before_release:
            try:
                await keep(row)
            except (OmniForgeError, OSError) as error:
                log.warning("something of sandbox %s could not be kept: %s", row.id, error)

    async def _workspace(self, sandbox_id: str) -> tuple[WorkspaceProvider, str]:
        row = await self.get(sandbox_id)
        if row.provider_ref is None or row.state == "terminated":
            raise gave_up(row)
        return self.provider(row.provider), row.provider_ref
