"""Rows of public skills and their versions: made blank, described by their files, compared with before."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.core.clock import new_id
from omniforge.skills.library import store
from omniforge.skills.library.errors import VersionTaken
from omniforge.skills.library.facts import Facts, Recorded, breaking_reasons
from omniforge.skills.library.semver import Version
from omniforge.skills.library.store import LibraryStatus, PublicSkillRow, PublicVersionRow


def blank(name: str, tenant_id: str, author_id: str, author_name: str) -> PublicSkillRow:
    """What nothing is known about but whose it is. Status, times and description follow."""
    return PublicSkillRow(
        id=new_id("pub"),
        tenant_id=tenant_id,
        name=name,
        author_id=author_id,
        author_name=author_name[:200],
        license="",
        category="",
        reason="",
        latest_version="",
        usage_count=0,
        rating_avg=0.0,
        rating_count=0,
    )


def describe(row: PublicSkillRow, facts: Facts, category: str) -> None:
    """What people see of a skill is what its newest version says."""
    row.description, row.tags = facts.description, list(facts.tags)
    row.integrations, row.needs = list(facts.integrations), list(facts.needs)
    row.category = category or row.category
    row.license = facts.license or row.license
    store.index(row)


async def compare(session: AsyncSession, row: PublicSkillRow, number: Version, facts: Facts) -> list[str]:
    """Why the version may break agents that use the one before; `VersionTaken` unless higher than all."""
    earlier = await store.versions_of(session, row.id)
    if earlier and number <= earlier[0].number:
        highest = earlier[0].version
        message = f"{number} is not higher than {highest}, the highest version of {row.name}."
        raise VersionTaken(message, highest=highest, name=row.name)
    approved = [each for each in earlier if each.status == LibraryStatus.APPROVED.value]
    if not approved:
        return []
    before = Recorded(approved[0].tools, approved[0].config_keys)
    return breaking_reasons(approved[0].number, number, before, facts)


def version_of(
    row: PublicSkillRow, number: Version, digest: str, facts: Facts, reasons: Sequence[str]
) -> PublicVersionRow:
    """A pending version. Who published it, when, and what they say about it follow."""
    return PublicVersionRow(
        id=new_id("pubv"),
        skill_id=row.id,
        version=str(number),
        major=number.major,
        minor=number.minor,
        patch=number.patch,
        content_hash=digest,
        changelog="",
        category="",
        breaking=bool(reasons),
        breaking_reasons=list(reasons),
        tools=None if facts.tools is None else list(facts.tools),
        config_keys=list(facts.config_keys),
        status=LibraryStatus.PENDING.value,
        reason="",
        decided_by=None,
        decided_at=None,
    )
