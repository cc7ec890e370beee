"""What a person gives a worker for its environment: sealed at rest, opened for the worker, never shown."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.core.errors import Unavailable
from omniforge.sandboxes.store import SandboxRow
from omniforge.tenants.secrets import SecretBox

SHORTEST_SECRET = 6
"""Characters of a value that is masked wherever it turns up; shorter ones are ordinary words."""
_TABLE, _FIELD = "sandboxes", "env"


class Environments:
    """Without `box` nothing can be kept."""

    def __init__(self, box: SecretBox | None) -> None:
        self._box = box

    async def seal(
        self, session: AsyncSession, tenant_id: str, task_id: str, env: Mapping[str, str]
    ) -> bytes | None:
        """For the column `env` of a sandbox of this task; None when there is nothing to keep."""
        if not env:
            return None
        if self._box is None:
            raise Unavailable("This installation keeps no secrets, so no environment can be given.")
        return await self._box.seal(session, tenant_id, _TABLE, task_id, _FIELD, json.dumps(dict(env)))

    async def open(self, session: AsyncSession, row: SandboxRow) -> dict[str, str]:
        if row.env is None or self._box is None:
            return {}
        place = (row.tenant_id, _TABLE, row.task_id or "", _FIELD)
        return json.loads(await self._box.open(session, *place, row.env))

    async def secrets_of(self, session: AsyncSession, row: SandboxRow) -> tuple[str, ...]:
        """Values nobody should see again, longest first so that none hides within another."""
        values = (await self.open(session, row)).values()
        return tuple(sorted({one for one in values if len(one) >= SHORTEST_SECRET}, key=len, reverse=True))
