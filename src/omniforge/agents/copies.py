"""Copies of an agent for other people: what it does, and nothing of whose it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from omniforge.agents import store, views
from omniforge.agents.content import AgentContent, AgentStatus, SharingLevel, SkillSource, Snapshot
from omniforge.agents.launch import Launch
from omniforge.agents.places import Left, without_places
from omniforge.agents.store import AgentRow
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock
from omniforge.core.errors import Conflict
from omniforge.db import Database
from omniforge.engine.events import Event, EventLog
from omniforge.tenants.store import User


class Copies:
    """Makes them: each is a draft of its recipient's own."""

    def __init__(self, db: Database, launch: Launch, events: EventLog, clock: Clock) -> None:
        self.db, self.launch, self.events, self.clock = db, launch, events, clock

    async def make(self, actor: Actor, row: AgentRow, recipients: Sequence[User]) -> list[AgentRow]:
        """One draft for each; who has one of this version already keeps it.

        Skills and settings travel. Connections, places, history and results do not.
        """
        snapshot = await self._source(actor, row)
        content, left = without_places(snapshot.content)
        files = await self._files(row.tenant_id, snapshot)
        async with self.db.read() as session:
            there = await store.copies_of(session, row.tenant_id, row.id)
        known = {copy.created_by: copy for copy in there if (copy.origin or {}).get("version") == row.version}
        return [
            known.get(user.id) or await self._copy(actor, row, user, content, left, files)
            for user in recipients
        ]

    async def _source(self, actor: Actor, row: AgentRow) -> Snapshot:
        """What runs; of a draft, what it is so far."""
        if row.activated_by is None:
            return await self.launch.pin(actor, row.id, views.content_of(row))
        async with self.db.read() as session:
            version = await store.get_version(session, row.tenant_id, row.id, row.version)
        return Snapshot.model_validate(version.snapshot)

    async def _files(self, tenant_id: str, snapshot: Snapshot) -> dict[str, dict[str, bytes]]:
        """Files of the skills that are not public, by skill."""
        return {
            use.name: await self.launch.skills.snapshot(tenant_id, snapshot.skill_hashes[use.key])
            for use in snapshot.content.skills
            if use.source is SkillSource.CUSTOM
        }

    async def _copy(  # noqa: PLR0917 - of what, for whom, and what it is made of
        self,
        actor: Actor,
        row: AgentRow,
        user: User,
        content: AgentContent,
        left: Sequence[Left],
        files: Mapping[str, Mapping[str, bytes]],
    ) -> AgentRow:
        async with self.db.read() as session:
            taken = await store.taken_ids(session, row.tenant_id, views.id_stem(row.name))
        copy = _row_of(row, user, content, left, views.free_id(row.name, taken), self.clock.now())
        for name, skill in files.items():
            await self.launch.skills.write(actor, name=name, files=skill, agent_id=copy.id)
        async with self.db.transaction() as session:
            if copy.id in await store.taken_ids(session, row.tenant_id, copy.id):
                raise Conflict(
                    "Somebody made an agent of that name a moment ago. Try again.", code="id_taken"
                )
            session.add(copy)
            payload = {"name": copy.name, "origin": copy.origin, "for": user.id}
            event = Event("agent.created", f"agent:{copy.id}", copy.created_at, actor.by, payload)
            await self.events.append(session, row.tenant_id, event)
        return copy


def _row_of(  # noqa: PLR0917 - of what, for whom, and what it is made of
    row: AgentRow, user: User, content: AgentContent, left: Sequence[Left], agent_id: str, now: datetime
) -> AgentRow:
    names = {name for place in left for name in place.names}
    tells = any(name in row.description for name in names)
    copy = AgentRow(
        id=agent_id,
        tenant_id=row.tenant_id,
        name=row.name,
        description=f"A copy of {row.name}." if tells else row.description,
        status=AgentStatus.DRAFT.value,
        pending=None,
        connections={},
        sharing_level=SharingLevel.PRIVATE.value,
        shared_with=[],
        origin={"agent_id": row.id, "version": row.version},
        to_choose=[place.as_json() for place in left],
        version=1,
        next_fire_at=None,
        total_runs=0,
        successful_runs=0,
        last_run=None,
        created_by=user.id,
        activated_by=None,
        created_at=now,
        updated_at=now,
    )
    views.set_content(copy, content)
    return copy
