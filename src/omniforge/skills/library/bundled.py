"""The skills shipped with OmniForge as public skills: always there, approved, without any network."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.skills import folders, place
from omniforge.skills.errors import SkillNotFound
from omniforge.skills.library import rows, semver, store
from omniforge.skills.library.facts import facts_of
from omniforge.skills.library.store import LibraryStatus, PublicSkillRow, PublicVersionRow
from omniforge.skills.resolver import Root, RootKind, SkillIndex
from omniforge.skills.store import LIBRARY, keep_content

log = logging.getLogger(__name__)

INDEX = "library.json"
"""Beside the skills: name → `{"version", "category", "changelog"}`, each of which may be absent."""
AUTHOR_ID, AUTHOR_NAME = "omniforge", "OmniForge"
LICENSE = "Apache-2.0"
FIRST = "1.0.0"


@dataclass(frozen=True, slots=True)
class Shipped:
    name: str
    files: Mapping[str, bytes]
    version: semver.Version
    category: str = ""
    changelog: str = ""


def read(folder: Path) -> list[Shipped]:
    """Every skill that is shipped and can be loaded."""
    root = Root(RootKind.GLOBAL, folder)
    index = _index(folder)
    found: list[Shipped] = []
    for name, candidates in sorted(SkillIndex().listing(root, force=True).items()):
        if not candidates[0].document.loadable:
            continue
        try:
            files = place.read(candidates[0])
        except SkillNotFound:
            continue  # it went away while it was looked at
        said = index.get(name, {})
        found.append(
            Shipped(
                name,
                files,
                semver.parse(str(said.get("version", FIRST))),
                str(said.get("category", "")),
                str(said.get("changelog", "")),
            )
        )
    return found


def _index(folder: Path) -> dict[str, dict[str, Any]]:
    try:
        return json.loads((folder / INDEX).read_bytes())
    except FileNotFoundError:
        return {}


async def stock(session: AsyncSession, shipped: list[Shipped], now: datetime) -> None:
    """Make the library hold what is shipped. What is there already is not written again.

    A version never changes: where the files of one did, they become the next patch.
    """
    known = {row.name: row for row in await store.every_skill(session)}
    newest = {row.skill_id: row for row in await store.newest_of_all(session)}
    for skill in shipped:
        row = known.get(skill.name)
        if row is not None and row.tenant_id != LIBRARY:
            log.warning("the shipped skill %s is hidden by a public skill of that name", skill.name)
            continue
        if row is None:
            row = rows.blank(skill.name, LIBRARY, AUTHOR_ID, AUTHOR_NAME)
            row.license, row.created_at = LICENSE, now
        await _bring_up_to_date(session, row, newest.get(row.id), skill, now)
    gone = known.keys() - {skill.name for skill in shipped}
    for row in (known[name] for name in gone):
        if row.tenant_id == LIBRARY and row.status != LibraryStatus.ARCHIVED.value:
            row.status, row.reason = LibraryStatus.ARCHIVED.value, "It is not shipped any more."


async def _bring_up_to_date(
    session: AsyncSession,
    row: PublicSkillRow,
    before: PublicVersionRow | None,
    skill: Shipped,
    now: datetime,
) -> None:
    digest = folders.content_hash(skill.files)
    is_approved = row.status == LibraryStatus.APPROVED.value
    if before is not None and before.content_hash == digest and is_approved:
        return
    facts, number = facts_of(skill.files), skill.version
    row.status, row.reason, row.updated_at = LibraryStatus.APPROVED.value, "", now
    rows.describe(row, facts, skill.category)
    session.add(row)
    await session.flush()
    if before is not None and before.content_hash == digest:
        return
    if before is not None and number <= before.number:
        number = before.number.next_patch()
    version = rows.version_of(row, number, digest, facts, await rows.compare(session, row, number, facts))
    version.status, version.changelog = LibraryStatus.APPROVED.value, skill.changelog
    version.category, version.published_by, version.published_at = skill.category, AUTHOR_ID, now
    row.latest_version = version.version
    session.add(version)
    await keep_content(session, LIBRARY, digest, skill.files)
