"""`client.skills`: the skills of a tenant and of its agents."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from omniforge.client.shapes import SkillInfo
from omniforge.client.wire import Json, Wire, path_of
from omniforge.core.errors import Conflict, Invalid

SKILL_FILE = "SKILL.md"


class Skills:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def list(
        self, *, agent_id: str | None = None, search: str | None = None, limit: int | None = None
    ) -> list[SkillInfo]:
        """What there is for everybody of the tenant, or for one agent."""
        found = self._wire.every(path_of("skills"), "skills", limit=limit, agent_id=agent_id, search=search)
        return [SkillInfo.of(one) async for one in found]

    async def get(self, name: str, *, agent_id: str | None = None) -> SkillInfo:
        """The skill this name means, with its text and files."""
        return SkillInfo.of(
            await self._wire.ask("GET", path_of("skills", name), params={"agent_id": agent_id})
        )

    async def save(self, name: str, files: Mapping[str, bytes], *, agent_id: str | None = None) -> SkillInfo:
        """Put this folder (path → bytes, SKILL.md among them) in the place of the skill, made if need be."""
        if SKILL_FILE not in files:
            raise Invalid(f"The skill {name} has no {SKILL_FILE}.", code="skill_invalid")
        body: Json = {"scope": "tenant" if agent_id is None else "agent", "agent_id": agent_id}
        body["content"] = files[SKILL_FILE].decode("utf-8", "replace")
        body["files"] = [_file(path, data) for path, data in files.items() if path != SKILL_FILE]
        try:
            return SkillInfo.of(await self._wire.ask("POST", path_of("skills"), json=body))
        except Conflict as refusal:
            if refusal.code != "already_exists":
                raise
        return SkillInfo.of(await self._wire.ask("PUT", path_of("skills", name), json=body))

    async def delete(self, name: str, *, agent_id: str | None = None) -> None:
        owner = {"scope": "tenant" if agent_id is None else "agent", "agent_id": agent_id}
        await self._wire.ask("DELETE", path_of("skills", name), params=owner)


def _file(path: str, data: bytes) -> Json:
    try:
        return {"path": path, "content": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"path": path, "content": base64.b64encode(data).decode(), "encoding": "base64"}
