"""From somebody's skill to a version that waits, and from there to one that everybody finds, or not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.core.actor import Actor
from omniforge.core.clock import Clock
from omniforge.core.errors import Conflict, Forbidden, Invalid
from omniforge.db import Database
from omniforge.engine.events import Event, EventLog
from omniforge.skills import folders
from omniforge.skills.admission import as_json
from omniforge.skills.document import SKILL_FILE, Profile, Severity, export, load, validate
from omniforge.skills.document.exporting import ExportForm
from omniforge.skills.errors import SkillInvalid
from omniforge.skills.library import people, rows, semver, store
from omniforge.skills.library.catalogue import visible
from omniforge.skills.library.errors import NothingWaits, NotPublishable
from omniforge.skills.library.facts import Facts, facts_of
from omniforge.skills.library.privacy import anonymised, private_parts
from omniforge.skills.library.store import LibraryStatus, PublicSkillRow, PublicVersionRow
from omniforge.skills.store import LIBRARY, keep_content, load_content

KEPT_FIELDS = frozenset({"license", "compatibility", "metadata"})
"""Fields of the open standard that a published skill may keep beside ours."""
KnownIds = Callable[[Actor], Awaitable[Sequence[tuple[str, str]]]]


async def no_ids(_actor: Actor) -> Sequence[tuple[str, str]]:
    return ()


@dataclass(frozen=True, slots=True)
class Submission:
    """What somebody gives to be published. `names`: texts that must not be in it."""

    name: str
    version: str
    files: Mapping[str, bytes]
    changelog: str = ""
    category: str | None = None
    names: Sequence[str] = ()
    author: str = ""
    license: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A version that waits. `anonymised`: paths whose values were taken out."""

    skill: PublicSkillRow
    version: PublicVersionRow
    anonymised: Sequence[str]


class Publishing:
    """`known_ids` gives `(id or name, what it is)` of the connections and resources of whoever publishes."""

    def __init__(self, db: Database, events: EventLog, clock: Clock) -> None:
        self.db, self.events, self.clock = db, events, clock
        self.known_ids: KnownIds = no_ids

    async def publish(self, actor: Actor, given: Submission) -> Accepted:
        """A new skill or a higher version of one of the own tenant's; it waits for a curator.

        Errors: `SkillInvalid`; `NotPublishable` with every place; `Conflict` name_taken; `VersionTaken`.
        """
        number = semver.parse(given.version)
        files, changed = anonymised(given.files)
        check_published(given.name, files)
        ids = await self.known_ids(actor)
        async with self.db.read() as session:
            names = await people.names_of(session, actor.tenant_id)
            author = given.author or facts_of(files).author or await people.name_of(session, actor)
        names += [(name, "name you gave") for name in given.names]
        if hits := private_parts(files, names, ids):
            raise NotPublishable.because(hits)
        facts, digest = facts_of(files), folders.content_hash(files)
        async with self.db.transaction() as session:
            row = await store.find_skill(session, given.name)
            if row is None:
                row = self._first(actor, given, facts, author)
                session.add(row)
                await session.flush()
            elif row.tenant_id != actor.tenant_id:
                raise Conflict(
                    f"There is a public skill {given.name} of somebody else. Choose another name.",
                    code="name_taken",
                    name=given.name,
                )
            reasons = await rows.compare(session, row, number, facts)
            version = rows.version_of(row, number, digest, facts, reasons)
            version.changelog, version.category = given.changelog, given.category or row.category
            version.published_by, version.published_at = actor.user_id, self.clock.now()
            session.add(version)
            await keep_content(session, LIBRARY, digest, files)
            await self._note(session, actor, row, "published", version=version.version, hash=digest)
        return Accepted(row, version, changed)

    def _first(self, actor: Actor, given: Submission, facts: Facts, author: str) -> PublicSkillRow:
        now = self.clock.now()
        row = rows.blank(given.name, actor.tenant_id, actor.user_id, author)
        row.status, row.created_at, row.updated_at = LibraryStatus.PENDING.value, now, now
        row.license = facts.license or given.license
        rows.describe(row, facts, given.category or "")
        return row

    async def approve(
        self, actor: Actor, name: str, version: str | None = None, reason: str = ""
    ) -> tuple[PublicSkillRow, PublicVersionRow, Mapping[str, bytes]]:
        """From now on it is found and used; back come its rows and its files."""
        async with self.db.transaction() as session:
            row, waiting = await self._waiting(session, actor, name, version)
            if waiting.published_by == actor.user_id and not await people.is_alone(session, actor.tenant_id):
                raise Forbidden(
                    "Somebody else who curates skills has to approve what you published.",
                    permission="skill:curate",
                )
            files = await load_content(session, LIBRARY, waiting.content_hash)
            self._decide(waiting, actor, LibraryStatus.APPROVED, reason)
            await session.flush()
            newest = await store.newest(session, row)
            row.status, row.reason, row.updated_at = LibraryStatus.APPROVED.value, reason, self.clock.now()
            if newest is waiting:
                row.latest_version = waiting.version
                rows.describe(row, facts_of(files), waiting.category)
            await self._note(session, actor, row, "approved", version=waiting.version, reason=reason)
        return row, waiting, files

    async def reject(
        self, actor: Actor, name: str, version: str | None = None, reason: str = ""
    ) -> PublicSkillRow:
        """It is not published; the reason is shown to its author."""
        async with self.db.transaction() as session:
            row, waiting = await self._waiting(session, actor, name, version)
            needs_reason(reason)
            self._decide(waiting, actor, LibraryStatus.REJECTED, reason)
            if row.status == LibraryStatus.PENDING.value:
                row.status = LibraryStatus.REJECTED.value
            row.reason, row.updated_at = reason, self.clock.now()
            await self._note(session, actor, row, "rejected", version=waiting.version, reason=reason)
        return row

    async def archive(self, actor: Actor, name: str, reason: str = "") -> PublicSkillRow:
        """Withdraw it: nobody finds it or takes it any more; agents that use it keep their bytes."""
        async with self.db.transaction() as session:
            row = await self._curated(session, actor, name)
            needs_reason(reason)
            if row.status == LibraryStatus.ARCHIVED.value:
                raise Conflict(f"The skill {name} was withdrawn already.", code="archived", name=name)
            row.status, row.reason, row.updated_at = LibraryStatus.ARCHIVED.value, reason, self.clock.now()
            await self._note(session, actor, row, "archived", reason=reason)
        return row

    async def _waiting(
        self, session: AsyncSession, actor: Actor, name: str, version: str | None
    ) -> tuple[PublicSkillRow, PublicVersionRow]:
        row = await self._curated(session, actor, name)
        waiting = await store.versions_of(session, row.id, LibraryStatus.PENDING)
        found = [each for each in waiting if version in (None, each.version)]
        if not found:
            what = f"version {version}" if version else "a version"
            raise NothingWaits(f"The skill {name} has not {what} that waits.", name=name)
        return row, found[0]

    @staticmethod
    async def _curated(session: AsyncSession, actor: Actor, name: str) -> PublicSkillRow:
        """A skill about which the actor may decide: one of the own tenant."""
        row = await visible(session, actor, name)
        if row.tenant_id != actor.tenant_id:
            message = f"Only those it comes from decide about the skill {name}."
            raise Forbidden(message, permission="skill:curate", name=name)
        return row

    def _decide(self, version: PublicVersionRow, actor: Actor, status: LibraryStatus, reason: str) -> None:
        version.status, version.reason = status.value, reason
        version.decided_by, version.decided_at = actor.by, self.clock.now()

    async def _note(
        self, session: AsyncSession, actor: Actor, row: PublicSkillRow, what: str, **payload: object
    ) -> None:
        entity = f"public_skill:{row.name}"
        event = Event(f"public_skill.{what}", entity, self.clock.now(), actor.by, payload)
        await self.events.append(session, actor.tenant_id, event)


def check_published(name: str, files: Mapping[str, bytes]) -> None:
    """`SkillInvalid` unless it follows our rules and, exported, those of the open standard."""
    folders.check_files(files)
    document = load(files[SKILL_FILE], folder=name)
    own_name = load(files[SKILL_FILE]).name
    if own_name is not None and own_name != name:
        rule = f"the name in the file, which is {own_name[:64]}"
        field = {"field": "name", "value": name, "rule": rule}
        raise Invalid(f"The name has to be {rule}.", code="skill_invalid", fields=[field])
    plain = validate(document, Profile.OMNIFORGE, folder=name, files=files.keys())
    wrong = [
        item
        for item in plain
        if item.severity is Severity.ERROR
        and not (item.code == "unknown_field" and item.field in KEPT_FIELDS)
    ]
    if not wrong:
        made = export(document, ExportForm.PORTABLE, files)
        moved = load(made.content, folder=made.name)
        found = validate(moved, Profile.PORTABLE, folder=name, files=files.keys())
        wrong = [item for item in found if item.severity is Severity.ERROR]
    if wrong:
        raise SkillInvalid(
            f"The skill {name} cannot be published: {wrong[0].message}.".replace("..", "."),
            fields=[{"field": item.field, "value": None, "rule": item.message} for item in wrong[:50]],
            diagnostics=[as_json(item) for item in wrong[:50]],
        )


def needs_reason(reason: str) -> None:
    if not reason.strip():
        field = {"field": "reason", "value": None, "rule": "some words that its author can act on"}
        raise Invalid("Say why, in some words that its author can act on.", fields=[field])
