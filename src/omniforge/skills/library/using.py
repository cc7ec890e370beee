"""Public skills in agents: which bytes a version means, what is newer, who uses what, and what they think."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.core.actor import Actor
from omniforge.core.clock import Clock
from omniforge.core.errors import Forbidden
from omniforge.db import Database
from omniforge.skills.library import semver, store
from omniforge.skills.library.catalogue import LATEST, visible
from omniforge.skills.library.errors import SkillWithdrawn, no_public_skill, no_such_version
from omniforge.skills.library.schemas import Offer, PublicVersion
from omniforge.skills.library.semver import Version
from omniforge.skills.library.store import (
    LibraryStatus,
    PublicSkillRow,
    PublicVersionRow,
    RatingRow,
    UseRow,
)

HasCompleted = Callable[[str, Sequence[str]], Awaitable[bool]]
"""Whether one of these agents of a tenant has a completed execution."""


@dataclass(frozen=True, slots=True)
class Pinned:
    """A version of a public skill, and the hash its bytes are kept under."""

    version: str
    hash: str


class Using:
    def __init__(self, db: Database, clock: Clock, has_completed: HasCompleted) -> None:
        self.db, self.clock, self.has_completed = db, clock, has_completed

    async def pin(self, actor: Actor, name: str, version: str, agent_id: str | None = None) -> Pinned:
        """What a reference means now. `latest` stays within the major version the agent uses already.

        `SkillNotFound`; `SkillWithdrawn` unless this agent uses it already.
        """
        async with self.db.read() as session:
            row = await store.find_skill(session, name)
            if row is None or not row.latest_version:
                raise no_public_skill(name)
            use = await store.find_use(session, row.id, actor.tenant_id, agent_id) if agent_id else None
            found = await self._meant(session, row, version, use)
        return Pinned(found.version, found.content_hash)

    @staticmethod
    async def _meant(
        session: AsyncSession, row: PublicSkillRow, version: str, use: UseRow | None
    ) -> PublicVersionRow:
        if row.status == LibraryStatus.ARCHIVED.value:
            kept = await store.find_version(session, row.id, use.version) if use else None
            if use is None or kept is None or version not in (LATEST, use.version):
                why = f" {row.reason}" if row.reason else ""
                raise SkillWithdrawn(f"The public skill {row.name} was withdrawn.{why}", name=row.name)
            return kept
        if version != LATEST:
            found = await store.find_version(session, row.id, version)
        elif use is not None:
            found = await newest_within(session, row, semver.parse(use.version))
        else:
            found = await store.newest(session, row)
        if found is None or found.status != LibraryStatus.APPROVED.value:
            raise no_such_version(row.name, version, row.latest_version)
        return found

    async def note_use(self, tenant_id: str, agent_id: str, name: str, version: str) -> None:
        """An agent was switched on with this version; counted once per agent."""
        async with self.db.transaction() as session:
            row = await store.find_skill(session, name)
            if row is None:
                return
            now = self.clock.now()
            use = await store.find_use(session, row.id, tenant_id, agent_id)
            if use is None:
                session.add(
                    UseRow(
                        skill_id=row.id,
                        tenant_id=tenant_id,
                        agent_id=agent_id,
                        version=version,
                        first_used_at=now,
                        used_at=now,
                    )
                )
                row.usage_count += 1
            else:
                use.version, use.used_at = version, now

    async def offer(self, actor: Actor, name: str, version: str) -> Offer | None:
        """What is newer than a version in use, with every changelog; None when nothing is."""
        current = semver.parse(version)
        async with self.db.read() as session:
            row = await visible(session, actor, name)
            if row.status != LibraryStatus.APPROVED.value:
                return None
            approved = await store.versions_of(session, row.id, LibraryStatus.APPROVED)
        newer = [each for each in reversed(approved) if each.number > current]
        if not newer:
            return None
        return Offer(
            name=name,
            current=version,
            newest=newer[-1].version,
            breaking=newer[-1].major > current.major or any(each.breaking for each in newer),
            versions=[PublicVersion.of(each) for each in newer],
        )

    async def users(self, name: str) -> list[tuple[str, str, str]]:
        """`(tenant, agent, version)` of every agent that was ever switched on with it."""
        async with self.db.read() as session:
            row = await store.find_skill(session, name)
            uses = await store.uses_of(session, row.id) if row is not None else []
        return [(use.tenant_id, use.agent_id, use.version) for use in uses]

    async def rate(self, actor: Actor, name: str, rating: int) -> PublicSkillRow:
        """One per person and skill, the last one counts; only after an agent of theirs completed with it."""
        async with self.db.read() as session:
            row = await visible(session, actor, name)
            uses = await store.uses_of(session, row.id, actor.tenant_id)
        if not uses or not await self.has_completed(actor.tenant_id, [use.agent_id for use in uses]):
            raise Forbidden(
                f"You can rate {name} once an agent that uses it has completed a run.",
                code="not_used_yet",
                name=name,
            )
        async with self.db.transaction() as session:
            row = await visible(session, actor, name)
            given = RatingRow(
                skill_id=row.id,
                tenant_id=actor.tenant_id,
                user_id=actor.user_id,
                rating=rating,
                rated_at=self.clock.now(),
            )
            await store.rate(session, row, given)
        return row


async def newest_within(
    session: AsyncSession, row: PublicSkillRow, tested: Version
) -> PublicVersionRow | None:
    """The newest approved version that may be taken without asking: same major, nothing breaking between."""
    approved = await store.versions_of(session, row.id, LibraryStatus.APPROVED)
    best: PublicVersionRow | None = None
    for version in reversed(approved):
        if version.number <= tested:
            best = version if version.number == tested else best
        elif version.major != tested.major or version.breaking:
            break
        else:
            best = version
    return best


async def refreshed(session: AsyncSession, name: str, tested: str) -> Pinned | None:
    """The version an execution takes where `latest` was asked for and `tested` was approved.

    None when that is still the tested one, or the skill was withdrawn.
    """
    row = await store.find_skill(session, name)
    if row is None or row.status != LibraryStatus.APPROVED.value:
        return None
    found = await newest_within(session, row, semver.parse(tested))
    if found is None or found.version == tested:
        return None
    return Pinned(found.version, found.content_hash)
