"""Skills from outside: kept apart, looked at, and let in or thrown away by somebody's explicit yes or no."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from omniforge.core.actor import Actor
from omniforge.core.clock import new_id
from omniforge.core.errors import Invalid
from omniforge.core.paging import Paging
from omniforge.engine.events import storable
from omniforge.skills import folders, provenance, store
from omniforge.skills.admission import Origin, as_json
from omniforge.skills.document import SKILL_FILE, load
from omniforge.skills.errors import SkillNotFound
from omniforge.skills.intake import reading
from omniforge.skills.intake import store as imports
from omniforge.skills.intake.reading import Incoming
from omniforge.skills.intake.store import ImportRow, ImportStatus
from omniforge.skills.provenance import ProvenanceRow
from omniforge.skills.service import SkillService, StoredSkill
from omniforge.skills.store import NO_AGENT

MAX_DIAGNOSTICS = 200


class NothingQuarantined(SkillNotFound):
    """No import of this name waits to be let in."""

    code = "not_quarantined"


class Intake:
    """What it holds is not on the disk, has no name that resolves, and so never runs."""

    def __init__(self, skills: SkillService) -> None:
        self.skills, self.db, self.clock = skills, skills.db, skills.clock

    async def take(
        self,
        actor: Actor,
        source: bytes | Mapping[str, bytes],
        *,
        label: str = "",
        agent_id: str | None = None,
    ) -> list[ImportRow]:
        """Put the skills of an archive, a text or a folder into quarantine, with what was found in them.

        One of the same name that waited is thrown away. `UnsafeArchive`, `PayloadTooLarge`, `Invalid`.
        """
        read = reading.read_source if isinstance(source, bytes) else reading.read_files
        found = await asyncio.to_thread(read, source, label)  # pyright: ignore[reportArgumentType]
        rows = [self._row(actor, each, label, agent_id) for each in found]
        async with self.db.transaction() as session:
            for row, each in zip(rows, found, strict=True):
                before = await imports.waiting(session, actor.tenant_id, row.agent_id, row.name)
                if before is not None:
                    self._decide(before, actor, ImportStatus.DISCARDED)
                await store.keep_content(session, actor.tenant_id, row.content_hash, each.files)
                session.add(row)
        return rows

    def _row(self, actor: Actor, incoming: Incoming, label: str, agent_id: str | None) -> ImportRow:
        return ImportRow(
            id=new_id("imp"),
            tenant_id=actor.tenant_id,
            agent_id=agent_id or NO_AGENT,
            name=incoming.name,
            content_hash=incoming.hash,
            label=label[:300],
            description=_plain(incoming.document.description[:1024]).replace("\0", "?"),
            diagnostics=_plain([as_json(item) for item in incoming.diagnostics[:MAX_DIAGNOSTICS]]),
            findings=_plain([finding.as_json() for finding in incoming.findings]),
            foreign=_plain(dict(incoming.foreign)),
            status=ImportStatus.QUARANTINED.value,
            created_by=actor.by,
            created_at=self.clock.now(),
            decided_by=None,
            decided_at=None,
        )

    async def list(
        self, actor: Actor, paging: Paging, status: ImportStatus = ImportStatus.QUARANTINED
    ) -> tuple[Sequence[ImportRow], int]:
        async with self.db.read() as session:
            return await imports.list_imports(session, actor.tenant_id, status, paging.limit, paging.offset)

    async def get(
        self, actor: Actor, name: str, agent_id: str | None = None
    ) -> tuple[ImportRow, Mapping[str, bytes]]:
        """One that waits, and its files as they came."""
        async with self.db.read() as session:
            row = await imports.waiting(session, actor.tenant_id, agent_id or NO_AGENT, name)
        if row is None:
            message = f"No imported skill {name[:64]!r} waits to be let in."
            raise NothingQuarantined(message, name=name[:64], near=[])
        return row, await self.skills.snapshot(actor.tenant_id, row.content_hash)

    async def release(
        self,
        actor: Actor,
        name: str,
        agent_id: str | None = None,
        *,
        content_hash: str | None = None,
        replace: bool = False,
    ) -> StoredSkill:
        """Let it in: from now on its name means these bytes. `replace`: also where there is one already.

        content_hash: what whoever says yes has looked at; `Invalid` when something else waits by now.
        """
        row, files = await self.get(actor, name, agent_id)
        if content_hash not in (None, row.content_hash):
            message = f"What waits as {name} is not what you looked at. Look again."
            raise Invalid(message, code="content_changed", current=row.content_hash)
        document = load(files[SKILL_FILE], folder=name)
        if not document.loadable:
            message = f"The skill {name} cannot be read ({document.reason}), so it cannot be let in."
            raise Invalid(message, code="skill_invalid", diagnostics=row.diagnostics)
        written = await self.skills.write(
            actor,
            name=name,
            files=files,
            agent_id=agent_id,
            origin=Origin.IMPORTED,
            must_be_new=not replace,
        )
        facts = {"kind": "imported", "label": row.label, **row.foreign}
        async with self.db.transaction() as session:
            kept = await session.merge(row)
            self._decide(kept, actor, ImportStatus.RELEASED)
            await provenance.note(
                session,
                ProvenanceRow(
                    tenant_id=actor.tenant_id,
                    agent_id=agent_id or NO_AGENT,
                    name=name,
                    content_hash=folders.content_hash(files),
                    facts=facts,
                    noted_by=actor.by,
                    noted_at=self.clock.now(),
                ),
            )
        return written

    async def discard(self, actor: Actor, name: str, agent_id: str | None = None) -> None:
        """Throw it away. That it came, and what was found in it, stays on record."""
        row, _ = await self.get(actor, name, agent_id)
        async with self.db.transaction() as session:
            self._decide(await session.merge(row), actor, ImportStatus.DISCARDED)

    async def origin(self, actor: Actor, name: str, agent_id: str | None = None) -> ProvenanceRow | None:
        """Where a skill of the tenant came from; None when it was made here."""
        async with self.db.read() as session:
            return await provenance.find(session, actor.tenant_id, agent_id, name)

    def _decide(self, row: ImportRow, actor: Actor, status: ImportStatus) -> None:
        row.status, row.decided_by, row.decided_at = status.value, actor.by, self.clock.now()


def _plain(value: Any) -> Any:
    """What a file says, without halves of characters that no store and no answer can hold."""
    return json.loads(storable(value))
