"""What providers hold compared with what the tables say: nothing is forgotten on either side."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import select

from omniforge.core.errors import OmniForgeError
from omniforge.db import Database
from omniforge.sandboxes.store import LIVE_STATES, SandboxRow
from omniforge.sandboxes.workspaces import WorkspaceProvider

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """`destroyed`: references nobody knew of; `crashed`: living sandboxes whose provider has lost them."""

    destroyed: list[str] = field(default_factory=list[str])
    crashed: list[SandboxRow] = field(default_factory=list[SandboxRow])


class Sweeper:
    def __init__(self, db: Database, providers: Mapping[str, WorkspaceProvider]) -> None:
        self.db, self.providers = db, providers
        self._strange: dict[tuple[str, str], frozenset[str]] = {}
        """Provider and reference of what nobody knows → the sandboxes one of which it may be, because they
        were just being made when it was first seen."""

    async def sweep(self) -> Swept:
        swept = Swept()
        for name in self.providers:
            try:
                await self._sweep(name, self.providers[name], swept)
            except (OmniForgeError, OSError) as error:
                log.info("the sandboxes of provider %s could not be looked at: %s", name, error)
        return swept

    async def _sweep(self, name: str, provider: WorkspaceProvider, swept: Swept) -> None:
        # Rows before and after: what is made or taken down meanwhile is no difference.
        before = {row.id: row.provider_ref for row in await self._rows(name)}
        held = set(await provider.list())
        rows = await self._rows(name)
        for row in rows:
            stood = row.provider_ref is not None and before.get(row.id) == row.provider_ref
            if stood and row.state in LIVE_STATES and row.provider_ref not in held:
                swept.crashed.append(row)
        known = {row.provider_ref for row in rows}
        coming = frozenset(row.id for row in rows if row.state == "pending")
        for ref in sorted(held - known):
            perhaps = self._strange.setdefault((name, ref), coming) & coming
            if not perhaps:
                await provider.destroy(ref)
                self._strange.pop((name, ref), None)
                swept.destroyed.append(ref)
        for seen in [key for key in self._strange if key[0] == name and key[1] not in held - known]:
            del self._strange[seen]

    async def _rows(self, name: str) -> list[SandboxRow]:
        """Of everything that may hold something there."""
        query = select(SandboxRow).where(SandboxRow.provider == name, SandboxRow.state != "terminated")
        async with self.db.read() as session:
            return list(await session.scalars(query))
