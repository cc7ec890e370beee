"""What agents need of the skills and integrations rooms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from omniforge.core.actor import Actor
from omniforge.integrations.schemas import Connection


class StoredSkill(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def hash(self) -> str: ...


class Skills(Protocol):
    async def write(
        self,
        actor: Actor,
        *,
        name: str,
        files: Mapping[str, bytes],
        agent_id: str | None,
        expected_hash: str | None = None,
    ) -> StoredSkill:
        """Store a skill's files; with `agent_id` as a skill of that agent alone."""
        ...

    async def pin(self, actor: Actor, name: str, agent_id: str | None, source: str) -> str:
        """The content hash of the files this name means now; NotFound when it means none."""
        ...

    async def snapshot(self, tenant_id: str, content_hash: str) -> dict[str, bytes]:
        """All files of a content by path; NotFound, or an Invalid when the bytes are damaged."""
        ...


class Connections(Protocol):
    @property
    def catalog(self) -> Mapping[str, Any]:
        """Integrations of this installation by id."""
        ...

    async def list_connections(
        self, actor: Actor, integration: str | None = None
    ) -> tuple[list[Connection], int]:
        """The actor's own connections, and how many there are."""
        ...
