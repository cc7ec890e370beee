"""Public skills as agents use them: pinned, taken anew where `latest` was asked for, counted, told of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.agents import store
from omniforge.agents.content import (
    LATEST,
    AgentContent,
    AgentStatus,
    ExecutionStatus,
    SkillReference,
    SkillSource,
    Snapshot,
)
from omniforge.agents.inbox import Inbox
from omniforge.agents.store import AgentRow, OutcomeRow
from omniforge.core.actor import Actor
from omniforge.core.errors import NotFound
from omniforge.db import Database
from omniforge.skills.library import semver
from omniforge.skills.library.service import Happened, LibraryService, News
from omniforge.skills.library.using import Pinned, refreshed


class Library(Protocol):
    async def pin(self, actor: Actor, name: str, version: str, agent_id: str | None = None) -> Pinned:
        """The version and bytes a reference means; NotFound when it means none, or was withdrawn."""
        ...

    async def note_use(self, tenant_id: str, agent_id: str, name: str, version: str) -> None:
        """An agent was switched on with this version."""
        ...


class PublicSkills:
    """The library as the agents of this installation reach it; without one there are no public skills."""

    def __init__(self, library: Library | None = None) -> None:
        self.library = library

    async def pin(self, actor: Actor, agent_id: str, reference: SkillReference) -> Pinned | None:
        """None for a skill of one's own, and where there is no library."""
        if self.library is None or reference.source is not SkillSource.PUBLIC:
            return None
        return await self.library.pin(actor, reference.name, reference.version, agent_id)

    async def note_uses(self, tenant_id: str, agent_id: str, snapshot: Snapshot) -> None:
        """Count an agent that was switched on, for every public skill it uses."""
        if self.library is None:
            return
        for reference in snapshot.content.skills:
            version = snapshot.skill_versions.get(reference.key)
            if version is not None:
                await self.library.note_use(tenant_id, agent_id, reference.name, version)


async def current(session: AsyncSession, stored: Mapping[str, Any]) -> Snapshot:
    """A stored snapshot as it runs now: where `latest` was asked for, with the newest version it may take."""
    snapshot = Snapshot.model_validate(stored)
    hashes, versions = dict(snapshot.skill_hashes), dict(snapshot.skill_versions)
    for reference in snapshot.floating:
        found = await refreshed(session, reference.name, versions[reference.key])
        if found is not None:
            hashes[reference.key], versions[reference.key] = found.hash, found.version
    return snapshot.model_copy(update={"skill_hashes": hashes, "skill_versions": versions})


def connect(public: PublicSkills, library: LibraryService, db: Database, inbox: Inbox) -> None:
    """Let agents use the library, and the library know and tell the agents that use it."""
    public.library = library
    library.using.has_completed = partial(has_completed, db)
    library.on_news.append(partial(tell, db, inbox))


async def has_completed(db: Database, tenant_id: str, agent_ids: Sequence[str]) -> bool:
    """Whether one of these agents has a completed execution."""
    query = select(OutcomeRow.run_id).where(
        OutcomeRow.tenant_id == tenant_id,
        OutcomeRow.agent_id.in_(agent_ids),
        OutcomeRow.status == ExecutionStatus.COMPLETED.value,
    )
    async with db.read() as session:
        return await session.scalar(query.limit(1)) is not None


async def tell(db: Database, inbox: Inbox, news: News) -> None:
    """Tell the owners of agents that use a skill what became of it."""
    async with db.transaction() as session:
        for tenant_id, agent_id, version in news.users:
            try:
                row = await store.get_agent(session, tenant_id, agent_id)
            except NotFound:
                continue
            told = None if row.status == AgentStatus.ARCHIVED.value else _told(news, row, version)
            if told is not None:
                inbox.deliver(session, row, kind="notice", title=told[0], text=told[1])


def _told(news: News, row: AgentRow, version: str) -> tuple[str, str] | None:
    """Title and text for the owner of an agent; None when it does not use the skill any more."""
    content = AgentContent.model_validate(row.content)
    uses = [
        reference
        for reference in content.skills
        if reference.source is SkillSource.PUBLIC and reference.name == news.name
    ]
    if not uses:
        return None
    why = " ".join(news.text.split())
    match news.happened:
        case Happened.WITHDRAWN:
            return (
                f"The skill {news.name} was withdrawn",
                f"{row.name} goes on with version {version} as it is. New agents cannot use the skill."
                + (f" The reason given: {why}" if why else ""),
            )
        case Happened.RELEASED:
            is_larger = semver.parse(news.version).major > semver.parse(version).major
            care = " It may need changes to the agent." if news.breaking or is_larger else ""
            taken = not care and all(reference.version == LATEST for reference in uses)
            after = "It is used from the next run on." if taken else f"Say so if {row.name} should use it."
            what = f" What changed: {why}" if why else ""
            return (
                f"There is version {news.version} of the skill {news.name}",
                f"{row.name} uses version {version}.{what}{care} {after}",
            )
