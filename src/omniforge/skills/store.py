"""Tables of skills: what each name holds now, every version, and the bytes of all of them by SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import LargeBinary, String, UniqueConstraint, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.core.clock import new_id
from omniforge.core.errors import NotFound
from omniforge.db import Base
from omniforge.db.base import TenantRow

NO_AGENT = ""
"""In `agent_id`: the skill belongs to the whole tenant."""
LIBRARY = "@library"
"""In `tenant_id` of contents: those of public skills. No tenant can have this id."""


class SkillRow(TenantRow, Base):
    """The current version of a skill written here. The files on disk win over this row."""

    __tablename__ = "skills"
    __table_args__ = (UniqueConstraint("tenant_id", "agent_id", "name"),)

    agent_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(64))
    content_hash: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    origin: Mapped[str] = mapped_column(String(16))
    updated_at: Mapped[datetime]


class SkillVersionRow(TenantRow, Base):
    """One version of a name; immutable, and kept after the skill is gone."""

    __tablename__ = "skill_versions"
    __table_args__ = (UniqueConstraint("tenant_id", "agent_id", "name", "version"),)

    agent_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    content_hash: Mapped[str] = mapped_column(String(64))
    origin: Mapped[str] = mapped_column(String(16))
    created_by: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime]


class SkillFileRow(Base):
    """One file of one content: its path, and the SHA-256 its bytes are kept under."""

    __tablename__ = "skill_files"

    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    content_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    path: Mapped[str] = mapped_column(String(200), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))


class SkillBlobRow(Base):
    """Bytes of a file, once per tenant."""

    __tablename__ = "skill_blobs"

    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)


async def find_skill(session: AsyncSession, tenant_id: str, agent_id: str, name: str) -> SkillRow | None:
    query = select(SkillRow).where(
        SkillRow.tenant_id == tenant_id, SkillRow.agent_id == agent_id, SkillRow.name == name
    )
    return await session.scalar(query)


async def rows_of(session: AsyncSession, tenant_id: str, agent_id: str) -> dict[str, SkillRow]:
    """Rows of one owner by name."""
    query = select(SkillRow).where(SkillRow.tenant_id == tenant_id, SkillRow.agent_id == agent_id)
    return {row.name: row for row in await session.scalars(query)}


async def add_version(  # noqa: PLR0917 - what a version consists of
    session: AsyncSession,
    tenant_id: str,
    agent_id: str,
    name: str,
    content_hash: str,
    origin: str,
    by: str,
    now: datetime,
) -> SkillRow:
    """Make a content the current one. The count goes on where an earlier skill of this name stopped."""
    last = await session.scalar(
        select(func.max(SkillVersionRow.version)).where(
            SkillVersionRow.tenant_id == tenant_id,
            SkillVersionRow.agent_id == agent_id,
            SkillVersionRow.name == name,
        )
    )
    version = (last or 0) + 1
    session.add(
        SkillVersionRow(
            id=new_id("skv"),
            tenant_id=tenant_id,
            agent_id=agent_id,
            name=name,
            version=version,
            content_hash=content_hash,
            origin=origin,
            created_by=by,
            created_at=now,
        )
    )
    row = await find_skill(session, tenant_id, agent_id, name)
    if row is None:
        row = SkillRow(id=new_id("skl"), tenant_id=tenant_id, agent_id=agent_id, name=name)
        session.add(row)
    row.content_hash, row.version, row.origin, row.updated_at = content_hash, version, origin, now
    await session.flush()
    return row


async def list_versions(
    session: AsyncSession, tenant_id: str, agent_id: str, name: str
) -> list[SkillVersionRow]:
    """Newest first."""
    query = (
        select(SkillVersionRow)
        .where(
            SkillVersionRow.tenant_id == tenant_id,
            SkillVersionRow.agent_id == agent_id,
            SkillVersionRow.name == name,
        )
        .order_by(SkillVersionRow.version.desc())
    )
    return list(await session.scalars(query))


async def origins_of(session: AsyncSession, tenant_id: str, content_hash: str) -> set[str]:
    """Where every version with this content came from, whatever it was called."""
    query = select(SkillVersionRow.origin).where(
        SkillVersionRow.tenant_id == tenant_id, SkillVersionRow.content_hash == content_hash
    )
    return set(await session.scalars(query.distinct()))


async def delete_skill(session: AsyncSession, tenant_id: str, agent_id: str, name: str) -> None:
    """Its versions and their bytes stay."""
    await session.execute(
        delete(SkillRow).where(
            SkillRow.tenant_id == tenant_id, SkillRow.agent_id == agent_id, SkillRow.name == name
        )
    )


async def has_content(session: AsyncSession, tenant_id: str, content_hash: str) -> bool:
    query = select(SkillFileRow.path).where(
        SkillFileRow.tenant_id == tenant_id, SkillFileRow.content_hash == content_hash
    )
    return await session.scalar(query.limit(1)) is not None


async def keep_content(
    session: AsyncSession, tenant_id: str, content_hash: str, files: Mapping[str, bytes]
) -> None:
    """Store the files under the hash of all of them; harmless when they are there."""
    if await has_content(session, tenant_id, content_hash):
        return
    blobs = {hashlib.sha256(data).hexdigest(): data for data in files.values()}
    known = set(
        await session.scalars(
            select(SkillBlobRow.sha256).where(
                SkillBlobRow.tenant_id == tenant_id, SkillBlobRow.sha256.in_(blobs)
            )
        )
    )
    session.add_all(
        SkillBlobRow(tenant_id=tenant_id, sha256=sha256, data=data)
        for sha256, data in blobs.items()
        if sha256 not in known
    )
    session.add_all(
        SkillFileRow(
            tenant_id=tenant_id,
            content_hash=content_hash,
            path=path,
            sha256=hashlib.sha256(data).hexdigest(),
        )
        for path, data in files.items()
    )
    await session.flush()


async def load_content(session: AsyncSession, tenant_id: str, content_hash: str) -> dict[str, bytes]:
    """The files of a content as they are stored, or NotFound. Whoever calls checks the hash."""
    rows = await session.execute(
        select(SkillFileRow.path, SkillBlobRow.data)
        .join(
            SkillBlobRow,
            (SkillBlobRow.tenant_id == SkillFileRow.tenant_id) & (SkillBlobRow.sha256 == SkillFileRow.sha256),
        )
        .where(SkillFileRow.tenant_id == tenant_id, SkillFileRow.content_hash == content_hash)
    )
    # No dict(rows): a result has keys(), so dict() would misread it.
    files = {path: data for path, data in rows}  # noqa: C416
    if not files:
        raise NotFound("There is no such version of a skill.", hash=content_hash[:64])
    return files
