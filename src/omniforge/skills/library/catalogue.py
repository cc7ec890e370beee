"""The library as people look through it: search, suggestions, one skill, its versions, its files."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.core.actor import Actor
from omniforge.core.paging import Paging
from omniforge.db import Database
from omniforge.skills import folders
from omniforge.skills.errors import SkillDamaged
from omniforge.skills.library import store
from omniforge.skills.library.errors import no_public_skill, no_such_version
from omniforge.skills.library.schemas import (
    Download,
    LibraryQuery,
    PublicSkill,
    PublicSkillDetail,
    PublicVersion,
    Suggestion,
)
from omniforge.skills.library.store import LibraryStatus, PublicSkillRow, PublicVersionRow
from omniforge.skills.schemas import SkillFile
from omniforge.skills.store import LIBRARY, load_content

LATEST = "latest"
MAX_SUGGESTED = 5
_SMALL_WORDS = frozenset(
    (
        *("and", "any", "are", "can", "day", "each", "every", "for", "from", "get", "give", "has", "have"),
        *("into", "its", "make", "month", "new", "our", "some", "that", "the", "their", "them", "then"),
        *("there", "they", "this", "want", "week", "what", "when", "which", "will", "with", "you", "your"),
        *("agent", "create", "need", "please", "send", "skill"),
    )
)
"""Words that stand in every wish and name nothing."""


class Catalogue:
    def __init__(self, db: Database) -> None:
        self.db = db

    async def search(self, actor: Actor, query: LibraryQuery) -> tuple[list[PublicSkill], int]:
        """What the words find, best first; with another status than approved, the own tenant's."""
        if query.status is not LibraryStatus.APPROVED:
            return await self._own(actor, query)
        exact = [f"tag:{tag.strip()}" for tag in query.tags.split(",") if tag.strip()]
        given = {"integration": query.integration, "category": query.category, "author": query.author}
        exact += [f"{kind}:{value.strip()}" for kind, value in given.items() if value.strip()]
        words = store.query_words(query.q)
        if query.q.strip() and not words:
            return [], 0
        async with self.db.read() as session:
            rows, total = await store.search(
                session, words, exact=exact, limit=query.limit, offset=query.offset
            )
        return [PublicSkill.of(row) for row in rows], total

    async def _own(self, actor: Actor, query: LibraryQuery) -> tuple[list[PublicSkill], int]:
        async with self.db.read() as session:
            rows = await store.every_skill(session, actor.tenant_id)
            waiting = await store.skills_with(session, query.status)
        kept = [row for row in rows if row.status == query.status.value or row.id in waiting]
        page = kept[query.offset : query.offset + query.limit]
        return [PublicSkill.of(row) for row in page], len(kept)

    async def suggest(
        self, _actor: Actor, words: str, integrations: Sequence[str] = (), limit: int = MAX_SUGGESTED
    ) -> list[Suggestion]:
        """What may fit a wish in plain words, best first. integrations: what there is to work with."""
        said = [word for word in store.query_words(words) if word not in _SMALL_WORDS and len(word) > 2]
        if not said and not integrations:
            return []
        async with self.db.read() as session:
            rows, _ = await store.search(
                session,
                said,
                every_word=False,
                integrations=list(integrations),
                limit=min(limit, MAX_SUGGESTED),
            )
        return [_suggestion(row) for row in rows]

    async def get(self, actor: Actor, name: str) -> PublicSkillDetail:
        async with self.db.read() as session:
            row = await visible(session, actor, name)
            versions = await self._versions(session, actor, row)
        shown = PublicSkill.of(row).model_dump()
        return PublicSkillDetail.model_validate(
            {**shown, "versions": [PublicVersion.of(version) for version in versions]}
        )

    async def versions(self, actor: Actor, name: str, paging: Paging) -> tuple[list[PublicVersion], int]:
        """Highest first."""
        async with self.db.read() as session:
            found = await self._versions(session, actor, await visible(session, actor, name))
        page = found[paging.offset : paging.offset + paging.limit]
        return [PublicVersion.of(version) for version in page], len(found)

    async def download(self, actor: Actor, name: str, version: str = LATEST) -> Download:
        """An approved version (its author's tenant may fetch every one), byte for byte."""
        async with self.db.read() as session:
            row = await visible(session, actor, name)
            found = await self._one(session, actor, row, version)
            files = await load_content(session, LIBRARY, found.content_hash)
        check_bytes(files, found.content_hash)
        return Download(
            name=row.name,
            version=found.version,
            hash=found.content_hash,
            author_name=row.author_name,
            license=row.license,
            files=[SkillFile.of(path, files[path]) for path in sorted(files)],
        )

    async def _one(
        self, session: AsyncSession, actor: Actor, row: PublicSkillRow, version: str
    ) -> PublicVersionRow:
        if version == LATEST:
            found = await store.newest(session, row)
        else:
            found = await store.find_version(session, row.id, version)
        shown = found is not None and (
            found.status == LibraryStatus.APPROVED.value or row.tenant_id == actor.tenant_id
        )
        if found is None or not shown:
            raise no_such_version(row.name, version, row.latest_version)
        return found

    @staticmethod
    async def _versions(session: AsyncSession, actor: Actor, row: PublicSkillRow) -> list[PublicVersionRow]:
        own = row.tenant_id == actor.tenant_id
        return await store.versions_of(session, row.id, *(() if own else (LibraryStatus.APPROVED,)))


async def visible(session: AsyncSession, actor: Actor, name: str) -> PublicSkillRow:
    """An approved skill, or one of the actor's own tenant; `SkillNotFound`."""
    row = await store.find_skill(session, name)
    if row is None or not (row.status == LibraryStatus.APPROVED.value or row.tenant_id == actor.tenant_id):
        raise no_public_skill(name)
    return row


def check_bytes(files: dict[str, bytes], content_hash: str) -> None:
    if folders.content_hash(files) != content_hash:
        message = "The stored files of this public skill are damaged; they are not used."
        raise SkillDamaged(message, hash=content_hash)


def _suggestion(row: PublicSkillRow) -> Suggestion:
    return Suggestion(
        name=row.name,
        version=row.latest_version,
        description=row.description,
        author=row.author_name,
        uses=row.usage_count,
        rating=row.rating_avg if row.rating_count else None,
        integrations=row.integrations,
        needs=row.needs,
    )
