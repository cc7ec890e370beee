"""The versions of an agent: which there were, how two of them differ, and the way back to one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from omniforge.agents import store, views
from omniforge.agents.activation import Activation, VersionConflict, check_version
from omniforge.agents.comparing import Side, setting_changes, skill_changes
from omniforge.agents.content import AgentContent, AgentStatus, SkillReference, SkillSource, Snapshot
from omniforge.agents.launch import Launch
from omniforge.agents.people import standing_person
from omniforge.agents.store import AgentRow, VersionRow
from omniforge.agents.version_schemas import Difference, VersionDetail, VersionList, VersionView
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock
from omniforge.core.errors import Conflict, Invalid, NotFound
from omniforge.core.paging import Paging
from omniforge.db import Database

KEPT = timedelta(days=30)
"""For so long a deleted agent can be brought back."""

Allowed = Callable[[Actor, str, str], Awaitable[AgentRow]]
"""The agent if the actor holds a permission for it; NotFound or Forbidden otherwise."""


class Versions:
    """Every method is limited to agents that the actor sees."""

    def __init__(
        self, db: Database, launch: Launch, activation: Activation, clock: Clock, allowed: Allowed
    ) -> None:
        self.db, self.launch, self.activation, self.clock = db, launch, activation, clock
        self._allowed = allowed

    async def list(self, actor: Actor, agent_id: str, paging: Paging) -> VersionList:
        """Newest first."""
        agent = await self._allowed(actor, agent_id, "agent:view")
        names = await self.launch.tenants.names(actor.tenant_id)
        async with self.db.read() as session:
            rows, total = await store.list_versions(
                session, actor.tenant_id, agent_id, paging.limit, paging.offset
            )
        found = [_view(row, agent, names) for row in rows]
        return VersionList(versions=found, total=total, limit=paging.limit, offset=paging.offset)

    async def get(self, actor: Actor, agent_id: str, number: int) -> VersionDetail:
        agent = await self._allowed(actor, agent_id, "agent:view")
        names = await self.launch.tenants.names(actor.tenant_id)
        row = await self._version(actor, agent_id, number)
        return VersionDetail(**_view(row, agent, names).model_dump(), snapshot=row.snapshot)

    async def diff(
        self, actor: Actor, agent_id: str, before: int | None = None, after: int | None = None
    ) -> Difference:
        """From one version to another; without numbers, from what runs to the edit that waits."""
        agent = await self._allowed(actor, agent_id, "agent:view")
        number = before or agent.version
        old = Snapshot.model_validate((await self._version(actor, agent_id, number)).snapshot)
        if after is not None:
            new = Snapshot.model_validate((await self._version(actor, agent_id, after)).snapshot)
        else:
            new = await self.launch.pin(actor, agent_id, views.content_of(agent))
        sides = [Side(one, await self._files(actor.tenant_id, one)) for one in (old, new)]
        return Difference(
            agent_id=agent_id,
            before=number,
            after=after,
            settings=setting_changes(old, new),
            skills=skill_changes(*sides),
        )

    async def _files(self, tenant_id: str, snapshot: Snapshot) -> Mapping[str, Mapping[str, bytes]]:
        hashes = snapshot.skill_hashes
        return {key: await self.launch.skills.snapshot(tenant_id, digest) for key, digest in hashes.items()}

    async def _version(self, actor: Actor, agent_id: str, number: int) -> VersionRow:
        async with self.db.read() as session:
            return await store.get_version(session, actor.tenant_id, agent_id, number)

    # --- the way back --------------------------------------------------------------------------------------

    async def rollback(
        self,
        actor: Actor,
        agent_id: str,
        number: int,
        *,
        expected_version: int | None = None,
        reason: str = "",
    ) -> None:
        """A further version with the skills, settings and approved effects of this one.

        An edit that waits is dropped. A deleted agent comes back paused, a deleted draft as a draft.
        Errors: VersionConflict; Conflict `nothing_to_undo` when this is what runs, `archived` when it was
        deleted too long ago; Invalid `skill_not_found` when one of its skills is gone, `connection_missing`.
        """
        row = await self._allowed(actor, agent_id, "agent:edit")
        check_version(row, expected_version)
        archived = row.status == AgentStatus.ARCHIVED.value
        if archived and self.clock.now() - row.updated_at > KEPT:
            raise Conflict(
                f"This agent was deleted more than {KEPT.days} days ago, so it can't be brought back.",
                code="archived",
                agent_id=agent_id,
            )
        if archived and row.activated_by is None and number == row.version:
            await self.activation.bring_back_draft(actor, row)
            return
        was = await self._version(actor, agent_id, number)
        if number == row.version and row.pending is None and not archived:
            raise Conflict(
                f"Version {number} is what runs already.", code="nothing_to_undo", version=row.version
            )
        snapshot = Snapshot.model_validate(was.snapshot)
        files = await self._restorable(actor, row, number, snapshot)
        connections, listener = await self._connections(actor, row, snapshot.content)
        listening = None
        if row.status == AgentStatus.ACTIVE.value:
            listening = await self.activation.ears.look(listener, row, snapshot.content, connections)
        for name, content in files.items():
            await self.launch.skills.write(actor, name=name, files=content, agent_id=agent_id)
        try:
            await self.activation.put_back(actor, row, was, connections, listening, _summary(number, reason))
        except VersionConflict:
            await self._unwrite(actor, row, files)
            raise

    async def _restorable(
        self, actor: Actor, row: AgentRow, number: int, snapshot: Snapshot
    ) -> dict[str, dict[str, bytes]]:
        """Files that have to be written so that the skills are again what they were, by skill."""
        files: dict[str, dict[str, bytes]] = {}
        for use in snapshot.content.skills:
            wanted = snapshot.skill_hashes[use.key]
            try:
                found = await self.launch.skills.snapshot(actor.tenant_id, wanted)
                if await self._means_now(actor, row, use) != wanted and use.source is SkillSource.CUSTOM:
                    files[use.name] = found
            except (NotFound, Invalid) as error:
                raise Invalid(
                    f"Version {number} uses the skill '{use.name}', which was withdrawn or is damaged, so "
                    "it can't be brought back as it was. What runs now stays as it is.",
                    code="skill_not_found",
                    skill=use.name,
                    version=number,
                ) from error
        return files

    async def _means_now(self, actor: Actor, row: AgentRow, use: SkillReference) -> str | None:
        """The hash of what this use of a skill means today; Invalid for a public one that is gone."""
        try:
            return (await self.launch.pin(actor, row.id, AgentContent(skills=[use]))).skill_hashes[use.key]
        except Invalid:
            if use.source is SkillSource.PUBLIC:
                raise
            return None  # its files are put back

    async def _connections(
        self, actor: Actor, row: AgentRow, content: AgentContent
    ) -> tuple[dict[str, str], Actor]:
        """The connections it will use, and whose they are; only what is switched on has to have all."""
        found = await standing_person(self.launch.tenants, row.tenant_id, row.activated_by or row.created_by)
        person = actor if found is None else found[0]
        connections, missing = await self.launch.connections_for(person, row, content)
        if missing and row.status == AgentStatus.ACTIVE.value:
            raise Invalid(
                f"That version needs {self.launch.title(missing[0])}, which is not connected any more. "
                "Connect it, then go back.",
                code="connection_missing",
                integrations=missing,
            )
        return connections, person

    async def _unwrite(self, actor: Actor, row: AgentRow, names: Mapping[str, object]) -> None:
        """Somebody was faster: the files of the version that runs are put back."""
        current = await self._version(actor, row.id, row.version)
        snapshot = Snapshot.model_validate(current.snapshot)
        for use in snapshot.content.skills:
            if use.name in names:
                files = await self.launch.skills.snapshot(actor.tenant_id, snapshot.skill_hashes[use.key])
                await self.launch.skills.write(actor, name=use.name, files=files, agent_id=row.id)


def _summary(number: int, reason: str) -> str:
    return f"Back to version {number}" + (f": {reason}" if reason else "")


def _view(row: VersionRow, agent: AgentRow, names: Mapping[str, str]) -> VersionView:
    person = row.author.removeprefix("user:")
    snapshot: dict[str, Any] = row.snapshot
    return VersionView(
        version=row.version,
        is_current=row.version == agent.version,
        summary=row.summary,
        author=row.author,
        author_name=names.get(person, person),
        created_at=row.created_at,
        hash=row.content_hash,
        skill_hashes=snapshot["skill_hashes"],
        manifest=row.manifest,
    )
