"""How the providers are: really asked, and not more often than is useful."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from omniforge.core.clock import Clock
from omniforge.core.errors import OmniForgeError
from omniforge.sandboxes.schemas import Health, ProviderHealth
from omniforge.sandboxes.workspaces import WorkspaceProvider

KEPT = 10.0
"""Seconds an answer is good for."""
PATIENCE = 5.0
"""Seconds a provider may take."""


class HealthChecks:
    def __init__(self, providers: Mapping[str, WorkspaceProvider], clock: Clock) -> None:
        self.providers, self.clock = providers, clock
        self._turn = asyncio.Lock()
        self._known: list[ProviderHealth] | None = None
        self._asked_at = clock.now()

    async def ask(self, needed: Collection[str]) -> Health:
        """`degraded` when one that is needed does not work."""
        async with self._turn:
            age = (self.clock.now() - self._asked_at).total_seconds()
            if self._known is None or age >= KEPT:
                self._known = await asyncio.gather(*(self._ask(name) for name in self.providers))
                self._asked_at = self.clock.now()
            known, at = self._known, self._asked_at
        well = {one.name for one in known if one.healthy}
        return Health(status="ok" if well >= set(needed) else "degraded", timestamp=at, providers=known)

    async def _ask(self, name: str) -> ProviderHealth:
        try:
            async with asyncio.timeout(PATIENCE):
                found = await self.providers[name].health()
        except TimeoutError:
            message = f"It did not answer within {PATIENCE:.0f} seconds."
            return ProviderHealth(name=name, healthy=False, isolated=False, message=message)
        except (OmniForgeError, OSError) as error:
            return ProviderHealth(name=name, healthy=False, isolated=False, message=str(error))
        return ProviderHealth(
            name=name, healthy=found.healthy, isolated=found.isolated, message=found.message
        )
