"""What one can do with skills: write, read, list, delete, find by name, and pin the exact files of a version.

The files on disk win: what was edited by hand is read as it is and becomes a version of its own. Services of
higher rooms decide who may touch an agent's skills; here the tenant and the ids are what is enforced.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from weakref import WeakValueDictionary

from omniforge.core.actor import Actor
from omniforge.core.clock import Clock, SystemClock
from omniforge.core.config import shipped
from omniforge.core.errors import Conflict, Invalid, NotFound
from omniforge.db import Database
from omniforge.skills import folders, place, resolver, store
from omniforge.skills.admission import Origin, check_skill
from omniforge.skills.document import (
    SKILL_FILE,
    Diagnostic,
    Document,
    Profile,
    load,
    validate,
)
from omniforge.skills.errors import SkillChanged, SkillDamaged, SkillNotFound
from omniforge.skills.resolver import Root, RootKind, Skill, SkillIndex, Source

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
OWN_ROOTS = (RootKind.AGENT, RootKind.TENANT)


@dataclass(frozen=True, slots=True)
class StoredSkill:
    """A skill with everything in its folder. `version` is None for skills that are not the tenant's own."""

    name: str
    agent_id: str | None
    root: RootKind
    origin: Origin
    hash: str
    version: int | None
    path: Path
    document: Document
    files: Mapping[str, bytes]
    diagnostics: tuple[Diagnostic, ...] = ()
    updated_at: datetime | None = None

    @property
    def description(self) -> str:
        return self.document.description

    @property
    def tags(self) -> tuple[str, ...]:
        return self.document.tags


class SkillService:
    """`root` is the folder of all tenants' skills; `bundled` the read-only library everybody sees."""

    def __init__(
        self, db: Database, root: Path, *, bundled: Path | None = None, clock: Clock | None = None
    ) -> None:
        self.db = db
        self.root = root
        self.bundled = shipped("skills") if bundled is None else bundled
        self.clock = clock or SystemClock()
        self.index = SkillIndex()
        self._locks: WeakValueDictionary[tuple[Root, str], asyncio.Lock] = WeakValueDictionary()

    async def write(
        self,
        actor: Actor,
        *,
        name: str,
        files: Mapping[str, bytes],
        agent_id: str | None,
        expected_hash: str | None = None,
        origin: Origin | str = Origin.CUSTOM,
        must_be_new: bool = False,
    ) -> StoredSkill:
        """Put these files in the place of the skill's folder, wholly or not at all.

        `files` by relative path, SKILL.md among them. `SkillInvalid` lists what is wrong with it;
        `SkillChanged` when `expected_hash` is not what is there; `Conflict` when it must be new and is not.
        """
        origin = Origin(origin)
        root = self._own_root(actor, agent_id)
        check_skill(name, files, origin)
        digest = folders.content_hash(files)
        async with self._alone(root, name):
            seen = await self._adopt_every_form(actor, root, name)
            if must_be_new and seen:
                message = f"There is a skill {name} already."
                raise Conflict(message, code="already_exists", name=name, current=seen[0])
            _check_expected(name, expected_hash, seen)
            await asyncio.to_thread(place.replace, root, name, files, seen)
            async with self.db.transaction() as session:
                await store.keep_content(session, actor.tenant_id, digest, files)
                owner = agent_id or store.NO_AGENT
                row = await store.find_skill(session, actor.tenant_id, owner, name)
                if row is None or row.content_hash != digest:
                    now = self.clock.now()
                    row = await store.add_version(
                        session, actor.tenant_id, owner, name, digest, origin, actor.by, now
                    )
            return _stored(self._written(root, name, files), files, digest, row, agent_id)

    async def get(
        self, actor: Actor, name: str, agent_id: str | None = None, *, own: bool = False
    ) -> StoredSkill:
        """The skill a name means for this agent or tenant; `own`: only that very owner's, loadable or not."""
        if own:
            root = self._own_root(actor, agent_id)
            async with self._alone(root, name):
                return await self._own(actor, root, name)
        return await self._load(actor, await self.resolve(actor, name, agent_id=agent_id))

    async def list(  # noqa: PLR0917 - filters and a window
        self,
        actor: Actor,
        agent_id: str | None = None,
        root: RootKind | None = None,
        search: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> tuple[list[StoredSkill], int]:
        """Skills by name, and how many there are: what resolves, or everything of one root, damaged ones too.

        Every word of `search` must begin a word of name, description or tags.
        """
        ladder = self._ladder(actor, agent_id)
        if root is None:
            found = await asyncio.to_thread(resolver.resolvable, ladder, index=self.index, force=True)
        else:
            chosen = [each for each in ladder if each.kind is root]
            found = await asyncio.to_thread(_everything, self.index, chosen)
        words = re.findall(r"\w+", (search or "").lower()[:200])
        matching = [skill for skill in found if _is_found(skill, words)]
        page = matching[offset : offset + limit]
        return [shown for skill in page if (shown := await self._shown(actor, skill))], len(matching)

    async def delete(
        self, actor: Actor, name: str, agent_id: str | None = None, *, expected_hash: str | None = None
    ) -> None:
        """Take the files away. Every version's bytes stay, so runs that pinned one go on."""
        root = self._own_root(actor, agent_id)
        async with self._alone(root, name):
            seen = await self._adopt_every_form(actor, root, name)
            if not seen:
                raise SkillNotFound.here(name)
            _check_expected(name, expected_hash, seen)
            await asyncio.to_thread(place.remove, root, name, seen)
            async with self.db.transaction() as session:
                await store.delete_skill(session, actor.tenant_id, agent_id or store.NO_AGENT, name)

    async def resolve(
        self,
        actor: Actor,
        name: str,
        *,
        agent_id: str | None = None,
        source: Source | str | None = None,
    ) -> Skill:
        """The skill a name means: agent's, tenant's, public, bundled; or `SkillNotFound` with near names."""
        ladder = self._ladder(actor, agent_id)
        return await asyncio.to_thread(
            resolver.resolve, name, ladder, source=source, index=self.index, force=True
        )

    async def pin(
        self,
        actor: Actor,
        name: str,
        agent_id: str | None = None,
        source: Source | str | None = None,
    ) -> str:
        """The hash of the files a name means now. From here on `snapshot` gives exactly these."""
        found = await self._load(actor, await self.resolve(actor, name, agent_id=agent_id, source=source))
        if found.version is None:
            async with self.db.read() as session:
                known = await store.has_content(session, actor.tenant_id, found.hash)
            if not known:
                async with self.db.transaction() as session:
                    await store.keep_content(session, actor.tenant_id, found.hash, found.files)
        return found.hash

    async def snapshot(self, tenant_id: str, content_hash: str) -> dict[str, bytes]:
        """All files of a written, pinned or public version. NotFound, or `SkillDamaged` if they changed."""
        async with self.db.read() as session:
            try:
                files = await store.load_content(session, tenant_id, content_hash)
            except NotFound:
                files = await store.load_content(session, store.LIBRARY, content_hash)
        if folders.content_hash(files) != content_hash:
            message = "The stored files of this skill are damaged; they are not used."
            raise SkillDamaged(message, hash=content_hash)
        return files

    async def origins(self, tenant_id: str, content_hash: str) -> frozenset[Origin]:
        """Where the tenant's versions with this content came from; none for what is not its own."""
        async with self.db.read() as session:
            found = await store.origins_of(session, tenant_id, content_hash)
        return frozenset(Origin(origin) for origin in found)

    async def resolvable(self, actor: Actor, agent_id: str | None = None) -> Sequence[Skill]:
        """What every name means for this agent or tenant, in the order of names."""
        ladder = self._ladder(actor, agent_id)
        return await asyncio.to_thread(resolver.resolvable, ladder, index=self.index)

    async def versions(
        self, actor: Actor, name: str, agent_id: str | None = None
    ) -> Sequence[store.SkillVersionRow]:
        """Newest first, also of a deleted skill; NotFound when there never was one."""
        self._own_root(actor, agent_id)
        async with self.db.read() as session:
            owner = agent_id or store.NO_AGENT
            rows = await store.list_versions(session, actor.tenant_id, owner, name)
        if not rows:
            raise SkillNotFound.here(name)
        return rows

    def _ladder(self, actor: Actor, agent_id: str | None) -> list[Root]:
        _check_ids(actor.tenant_id, agent_id)
        return resolver.platform_ladder(self.root, self.bundled, actor.tenant_id, agent_id)

    def _own_root(self, actor: Actor, agent_id: str | None) -> Root:
        return self._ladder(actor, agent_id)[0]

    @asynccontextmanager
    async def _alone(self, root: Root, name: str) -> AsyncGenerator[None]:
        """One change of a skill at a time, so that disk and rows tell the same story."""
        lock = self._locks.setdefault((root, name), asyncio.Lock())
        async with lock:
            yield

    async def _load(self, actor: Actor, skill: Skill) -> StoredSkill:
        if skill.root.kind in OWN_ROOTS:
            async with self._alone(skill.root, skill.name):
                return await self._own(actor, skill.root, skill.name, skill.diagnostics)
        files = await asyncio.to_thread(place.read, skill)
        return _stored(skill, files, folders.content_hash(files), None, None)

    async def _own(
        self, actor: Actor, root: Root, name: str, notes: tuple[Diagnostic, ...] = ()
    ) -> StoredSkill:
        """A skill of this owner as it is on disk, its row brought up to date; `SkillNotFound`."""
        found = await asyncio.to_thread(self.index.candidates, root, name, force=True)
        if not found:
            raise SkillNotFound.here(name)
        skill = found[0]
        files, row = await self._adopt(actor, skill)
        noted = Skill(skill.name, skill.root, skill.path, skill.document, notes)
        return _stored(noted, files, row.content_hash, row, _agent_of(root))

    async def _adopt_every_form(self, actor: Actor, root: Root, name: str) -> list[str]:
        """Make each form a version before all are replaced. Their hashes, first the one that counted."""
        found = await asyncio.to_thread(self.index.candidates, root, name, force=True)
        kept = [(await self._adopt(actor, skill))[1] for skill in reversed(found)]
        return [row.content_hash for row in reversed(kept)]

    async def _adopt(self, actor: Actor, skill: Skill) -> tuple[dict[str, bytes], store.SkillRow]:
        """Make what somebody put on the disk by hand a version, so that it can never be lost."""
        files = await asyncio.to_thread(place.read, skill)
        digest = folders.content_hash(files)
        owner = _agent_of(skill.root) or store.NO_AGENT
        async with self.db.read() as session:
            row = await store.find_skill(session, actor.tenant_id, owner, skill.name)
        if row is None or row.content_hash != digest:
            now = self.clock.now()
            async with self.db.transaction() as session:
                await store.keep_content(session, actor.tenant_id, digest, files)
                row = await store.add_version(
                    session, actor.tenant_id, owner, skill.name, digest, Origin.FILE, "system:file", now
                )
        return files, row

    async def _shown(self, actor: Actor, skill: Skill) -> StoredSkill | None:
        """One line of a list: as on disk, without making versions; None when it went away meanwhile."""
        try:
            files = await asyncio.to_thread(place.read, skill)
        except NotFound:
            return None
        except Invalid as error:  # one bad folder never hides the others
            problem = Diagnostic(error.code, "file", 1, error.message)
            skill = Skill(skill.name, skill.root, skill.path, skill.document, (problem,))
            files = {SKILL_FILE: skill.document.data}
        digest, agent_id, row = folders.content_hash(files), _agent_of(skill.root), None
        if skill.root.kind in OWN_ROOTS:
            async with self.db.read() as session:
                owner = agent_id or store.NO_AGENT
                row = await store.find_skill(session, actor.tenant_id, owner, skill.name)
        return _stored(skill, files, digest, row, agent_id)

    def _written(self, root: Root, name: str, files: Mapping[str, bytes]) -> Skill:
        document = load(files[SKILL_FILE], folder=name)
        return Skill(name, root, root.path / name / SKILL_FILE, document)


def _check_ids(tenant_id: str, agent_id: str | None) -> None:
    """Ids become parts of paths: what has no id's form is an unknown id."""
    if not _ID.fullmatch(tenant_id) or not (agent_id is None or _ID.fullmatch(agent_id)):
        raise NotFound("There is no such agent.")


def _agent_of(root: Root) -> str | None:
    return root.steps[3] if root.kind is RootKind.AGENT else None


def _check_expected(name: str, expected: str | None, seen: Sequence[str]) -> None:
    current = seen[0] if seen else None
    if expected is not None and expected != current:
        raise SkillChanged.meanwhile(name, current)


def _everything(index: SkillIndex, roots: Sequence[Root]) -> list[Skill]:
    listed = [found[0] for root in roots for found in index.listing(root, force=True).values()]
    return sorted(listed, key=lambda skill: skill.name)


def _is_found(skill: Skill, words: Sequence[str]) -> bool:
    text = f"{skill.name} {skill.description} {' '.join(skill.document.tags)}".lower()
    known = re.findall(r"\w+", text)
    return all(any(each.startswith(word) for each in known) for word in words)


def _stored(
    skill: Skill,
    files: Mapping[str, bytes],
    digest: str,
    row: store.SkillRow | None,
    agent_id: str | None,
) -> StoredSkill:
    is_own = skill.root.kind in OWN_ROOTS
    is_current = row is not None and row.content_hash == digest
    foreign = Origin.PUBLIC if skill.root.kind is RootKind.PUBLIC else Origin.BUNDLED
    document = load(files[SKILL_FILE], folder=skill.name)
    problems = validate(document, Profile.OMNIFORGE, folder=skill.name, files=files.keys())
    return StoredSkill(
        name=skill.name,
        agent_id=agent_id,
        root=skill.root.kind,
        origin=(Origin(row.origin) if row and is_current else Origin.FILE) if is_own else foreign,
        hash=digest,
        version=row.version if row and is_current else None,
        path=skill.path,
        document=document,
        files=files,
        diagnostics=(*skill.diagnostics, *problems),
        updated_at=row.updated_at if row and is_current else None,
    )
