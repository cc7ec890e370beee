"""The public library of an installation: everything one can do with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from omniforge.core.actor import Actor
from omniforge.core.clock import Clock
from omniforge.core.errors import OmniForgeError
from omniforge.db import Database
from omniforge.engine.events import EventLog
from omniforge.skills.library import bundled, store
from omniforge.skills.library.catalogue import LATEST, Catalogue
from omniforge.skills.library.copies import derive
from omniforge.skills.library.publishing import Accepted, Publishing, Submission
from omniforge.skills.library.schemas import Derived, PublicSkill
from omniforge.skills.library.shelf import Shelf
from omniforge.skills.library.store import LibraryStatus
from omniforge.skills.library.using import Using
from omniforge.skills.service import SkillService
from omniforge.skills.store import LIBRARY, load_content

log = logging.getLogger(__name__)


class Happened(StrEnum):
    """What agents that use a skill are told."""

    RELEASED = "released"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class News:
    """`users`: `(tenant, agent, version in use)`. `text` is the changelog, or why it was withdrawn."""

    happened: Happened
    name: str
    version: str
    text: str
    breaking: bool
    users: Sequence[tuple[str, str, str]]


class LibraryService:
    """Search, publish, decide, use and rate. `on_news`: whoever tells the owners of agents."""

    def __init__(self, db: Database, skills: SkillService, events: EventLog, clock: Clock) -> None:
        self.db, self.skills, self.clock = db, skills, clock
        self.shelf = Shelf(skills.root)
        self.on_news: list[Callable[[News], Awaitable[None]]] = []
        catalogue = Catalogue(db)
        self.search, self.suggest = catalogue.search, catalogue.suggest
        self.get, self.versions, self.download = catalogue.get, catalogue.versions, catalogue.download
        self.publishing = Publishing(db, events, clock)
        self.using = Using(db, clock, _nothing_completed)
        self.pin, self.note_use = self.using.pin, self.using.note_use
        self.offer, self.rate = self.using.offer, self.using.rate

    async def open(self) -> None:
        """Bring in what is shipped, and lay out what is approved where names are looked up."""
        shipped = await asyncio.to_thread(bundled.read, self.skills.bundled)
        async with self.db.transaction() as session:
            await bundled.stock(session, shipped, self.clock.now())
        async with self.db.read() as session:
            rows = [row for row in await store.every_skill(session) if row.tenant_id != LIBRARY]
            newest = {row.skill_id: row for row in await store.newest_of_all(session)}
            for row in rows:
                try:
                    if row.status == LibraryStatus.APPROVED.value:
                        files = await load_content(session, LIBRARY, newest[row.id].content_hash)
                        await self.shelf.put(row.name, row.latest_version, files, newest=True)
                    else:
                        await self.shelf.take_away(row.name)
                except OmniForgeError as error:
                    log.warning("the public skill %s is not laid out: %s", row.name, error.message)

    async def publish(self, actor: Actor, given: Submission) -> Accepted:
        actor.require("skill:share")
        return await self.publishing.publish(actor, given)

    async def approve(
        self, actor: Actor, name: str, version: str | None = None, reason: str = ""
    ) -> PublicSkill:
        actor.require("skill:curate")
        row, approved, files = await self.publishing.approve(actor, name, version, reason)
        newest = row.latest_version == approved.version
        await self.shelf.put(name, approved.version, files, newest=newest)
        if newest:
            await self._tell(Happened.RELEASED, name, approved.version, approved.changelog, approved.breaking)
        return PublicSkill.of(row)

    async def reject(
        self, actor: Actor, name: str, version: str | None = None, reason: str = ""
    ) -> PublicSkill:
        actor.require("skill:curate")
        return PublicSkill.of(await self.publishing.reject(actor, name, version, reason))

    async def archive(self, actor: Actor, name: str, reason: str = "") -> PublicSkill:
        actor.require("skill:curate")
        row = await self.publishing.archive(actor, name, reason)
        await self.shelf.take_away(name)
        await self._tell(Happened.WITHDRAWN, name, row.latest_version, reason, breaking=True)
        return PublicSkill.of(row)

    async def derive(
        self,
        actor: Actor,
        name: str,
        *,
        agent_id: str | None = None,
        version: str = LATEST,
        as_name: str | None = None,
    ) -> Derived:
        """A copy of one's own to change: of an agent, or without one of the tenant."""
        actor.require("skill:create")
        found = await self.download(actor, name, version)
        return await derive(self.skills, actor, found, agent_id=agent_id, as_name=as_name or name)

    async def _tell(self, happened: Happened, name: str, version: str, text: str, breaking: bool) -> None:
        users = await self.using.users(name)
        for listener in self.on_news if users else ():
            await listener(News(happened, name, version, text, breaking, users))


async def _nothing_completed(_tenant_id: str, _agent_ids: Sequence[str]) -> bool:
    return False
