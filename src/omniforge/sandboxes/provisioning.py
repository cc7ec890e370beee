"""Making sandboxes real: a place at a provider, the tree in it, and a worker who alone knows its token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from omniforge.core.clock import Clock
from omniforge.core.errors import OmniForgeError
from omniforge.db import Database
from omniforge.sandboxes import tokens
from omniforge.sandboxes.environment import Environments
from omniforge.sandboxes.log import HOST
from omniforge.sandboxes.states import SandboxFailed, SandboxStates, gave_up
from omniforge.sandboxes.store import SandboxRow, lock_sandbox
from omniforge.sandboxes.workspaces import WORKSPACE, WorkspaceOrder, WorkspaceProvider

PATIENCE = timedelta(seconds=300)
"""From being asked for until its worker speaks."""


class Provisioning:
    """`provider` gives a provider by its name."""

    def __init__(
        self,
        db: Database,
        states: SandboxStates,
        environments: Environments,
        provider: Callable[[str], WorkspaceProvider],
        api_url: str,
    ) -> None:
        self.db, self.states, self.environments, self.api_url = db, states, environments, api_url
        self.provider = provider
        self.clock: Clock = states.clock

    async def provision(
        self,
        row: SandboxRow,
        tree: bytes,
        env: Mapping[str, str],
        folders: Mapping[str, bytes],
    ) -> None:
        """`SandboxService.provision` of this sandbox, at its provider."""
        left = (row.requested_at + PATIENCE - self.clock.now()).total_seconds()
        try:
            async with asyncio.timeout(max(left, 0.0)):
                await self._provision(row, tree, env, folders)
        except SandboxFailed as failure:
            await self._give_up(row, failure)
            raise
        except TimeoutError:
            message = f"The sandbox was not there after {PATIENCE.seconds} seconds."
            failure = SandboxFailed(message, code="provision_timeout", sandbox_id=row.id)
            await self._give_up(row, failure)
            raise failure from None
        except (OmniForgeError, OSError) as error:
            message = f"The provider {row.provider} could not make the sandbox: {error}"
            failure = SandboxFailed(message, code="provider_error", sandbox_id=row.id)
            await self._give_up(row, failure)
            raise failure from error

    async def _provision(
        self,
        row: SandboxRow,
        tree: bytes,
        env: Mapping[str, str],
        folders: Mapping[str, bytes],
    ) -> None:
        provider = self.provider(row.provider)
        match row.state:
            case "pending":
                ref = await self._place(provider, row)
            case "creating" if row.provider_ref is not None:
                ref = row.provider_ref
                if await self._works_already(provider, row, ref):
                    return
            case "running" | "completing":
                return
            case _:
                raise gave_up(row)
        await provider.write_tree(ref, tree)
        for name, content in folders.items():
            await provider.put_folder(ref, name, content)
        if row.kind == "check":
            await self._check_runs(row)
        elif row.worker == "kit":
            await self._start_worker(provider, row, ref, env)

    async def _place(self, provider: WorkspaceProvider, row: SandboxRow) -> str:
        order = WorkspaceOrder(sandbox_id=row.id, kind=row.kind, network=row.network, image=row.image)
        placed = await provider.create(order)
        now = self.clock.now()
        found = {
            "provider_ref": placed.ref,
            "image": placed.image,
            "preview_url": placed.preview_url,
            "spawned_at": now,
        }
        async with self.db.transaction() as session:
            made = await self.states.change(session, row.id, ("pending",), "creating", **found)
            if made is not None:
                told: dict[str, Any] = {"provider_ref": placed.ref, "preview_url": placed.preview_url}
                await self.states.tell(session, made, "sandbox.spawned", now, **told)
        if made is None:
            await provider.destroy(placed.ref)
            raise gave_up(row)
        return placed.ref

    @staticmethod
    async def _works_already(provider: WorkspaceProvider, row: SandboxRow, ref: str) -> bool:
        return row.kind == "task" and row.worker == "kit" and await provider.worker_alive(ref)

    async def _start_worker(
        self, provider: WorkspaceProvider, row: SandboxRow, ref: str, env: Mapping[str, str]
    ) -> None:
        token = tokens.new_token()
        async with self.db.transaction() as session:
            fresh = await lock_sandbox(session, row.id)
            if fresh.state != "creating" or fresh.token_revoked_at is not None:
                raise gave_up(fresh)
            fresh.token_hash = tokens.hash_of(token)
            fresh.token_expires_at = self.clock.now() + tokens.LIFETIME
            own = await self.environments.open(session, fresh)
        told = {
            "OMNIFORGE_URL": self.api_url,
            "OMNIFORGE_TOKEN": token,
            "OMNIFORGE_SANDBOX_ID": row.id,
            "OMNIFORGE_TASK_ID": row.task_id or "",
            "OMNIFORGE_WORKSPACE": WORKSPACE,
        }
        await provider.start_worker(ref, {**own, **env, **told})

    async def _check_runs(self, row: SandboxRow) -> None:
        now = self.clock.now()
        async with self.db.transaction() as session:
            if await self.states.run(session, row.id, now, HOST) is None:
                raise gave_up(row)

    async def _give_up(self, row: SandboxRow, failure: SandboxFailed) -> None:
        """Nothing is left of what could not be made; should that fail as well, the next sweep finds it."""
        if row.kind != "check":
            return
        async with self.db.transaction() as session:
            await self.states.fail_in(session, row, failure.code, failure.message)
