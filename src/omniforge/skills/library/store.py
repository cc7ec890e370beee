"""Tables of the public library, one for the whole installation, and every query on them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    ColumnElement,
    Float,
    ForeignKey,
    Integer,
    String,
    Text,
    UniqueConstraint,
    and_,
    case,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.db import Base
from omniforge.skills.library.semver import Version

MAX_WORDS = 24
MAX_SHOWN_VERSIONS = 200


class LibraryStatus(StrEnum):
    """Of a skill, and of each of its versions. Only approved ones are found and used."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    ARCHIVED = "archived"


class PublicSkillRow(Base):
    """A published skill. `tenant_id` is its author's; the `*_words` columns are what a search looks at."""

    __tablename__ = "public_skills"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64), index=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    description: Mapped[str] = mapped_column(String(1024))
    author_id: Mapped[str] = mapped_column(String(64))
    author_name: Mapped[str] = mapped_column(String(200))
    license: Mapped[str] = mapped_column(String(200), default="")
    tags: Mapped[list[str]]
    integrations: Mapped[list[str]]
    needs: Mapped[list[str]]
    category: Mapped[str] = mapped_column(String(40), default="")
    usage_count: Mapped[int] = mapped_column(Integer, default=0)
    rating_avg: Mapped[float] = mapped_column(Float, default=0.0)
    rating_count: Mapped[int] = mapped_column(Integer, default=0)
    status: Mapped[str] = mapped_column(String(16), index=True)
    reason: Mapped[str] = mapped_column(String(500), default="")
    latest_version: Mapped[str] = mapped_column(String(24), default="")
    """The highest approved one; empty before there is one."""
    name_words: Mapped[str] = mapped_column(Text)
    tag_words: Mapped[str] = mapped_column(Text)
    text_words: Mapped[str] = mapped_column(Text)
    exact_words: Mapped[str] = mapped_column(Text)
    """Tags, integrations, category and author as whole values, each between bars."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class PublicVersionRow(Base):
    """One version: what it holds never changes, only what a curator decides about it."""

    __tablename__ = "public_skill_versions"
    __table_args__ = (UniqueConstraint("skill_id", "version"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    skill_id: Mapped[str] = mapped_column(ForeignKey("public_skills.id"), index=True)
    version: Mapped[str] = mapped_column(String(24))
    major: Mapped[int] = mapped_column(Integer)
    minor: Mapped[int] = mapped_column(Integer)
    patch: Mapped[int] = mapped_column(Integer)
    content_hash: Mapped[str] = mapped_column(String(64))
    changelog: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(String(40), default="")
    breaking: Mapped[bool]
    breaking_reasons: Mapped[list[str]]
    tools: Mapped[list[str] | None]
    """Its `allowed-tools`; None when the field is absent."""
    config_keys: Mapped[list[str]]
    status: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(500), default="")
    published_by: Mapped[str] = mapped_column(String(160))
    published_at: Mapped[datetime]
    decided_by: Mapped[str | None] = mapped_column(String(160))
    decided_at: Mapped[datetime | None]

    @property
    def number(self) -> Version:
        return Version(self.major, self.minor, self.patch)


class RatingRow(Base):
    """What one person thinks of one skill."""

    __tablename__ = "public_skill_ratings"

    skill_id: Mapped[str] = mapped_column(ForeignKey("public_skills.id"), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    rating: Mapped[int] = mapped_column(Integer)
    rated_at: Mapped[datetime]


class UseRow(Base):
    """An agent that uses a skill, and the version it was last switched on with."""

    __tablename__ = "public_skill_uses"

    skill_id: Mapped[str] = mapped_column(ForeignKey("public_skills.id"), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    agent_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[str] = mapped_column(String(24))
    first_used_at: Mapped[datetime]
    used_at: Mapped[datetime]


_VERSION_DOWN = (PublicVersionRow.major.desc(), PublicVersionRow.minor.desc(), PublicVersionRow.patch.desc())


async def find_skill(session: AsyncSession, name: str) -> PublicSkillRow | None:
    return await session.scalar(select(PublicSkillRow).where(PublicSkillRow.name == name))


async def every_skill(session: AsyncSession, tenant_id: str | None = None) -> list[PublicSkillRow]:
    """By name; of one author's tenant, or of all."""
    query = select(PublicSkillRow)
    if tenant_id is not None:
        query = query.where(PublicSkillRow.tenant_id == tenant_id)
    return list(await session.scalars(query.order_by(PublicSkillRow.name)))


async def skills_with(session: AsyncSession, status: LibraryStatus) -> set[str]:
    """Ids of the skills that have a version in this state."""
    query = select(PublicVersionRow.skill_id).where(PublicVersionRow.status == status.value)
    return set(await session.scalars(query))


async def versions_of(
    session: AsyncSession, skill_id: str, *statuses: LibraryStatus
) -> list[PublicVersionRow]:
    """Highest first; without a status, all of them."""
    query = select(PublicVersionRow).where(PublicVersionRow.skill_id == skill_id)
    if statuses:
        query = query.where(PublicVersionRow.status.in_([status.value for status in statuses]))
    return list(await session.scalars(query.order_by(*_VERSION_DOWN).limit(MAX_SHOWN_VERSIONS)))


async def find_version(session: AsyncSession, skill_id: str, version: str) -> PublicVersionRow | None:
    query = select(PublicVersionRow).where(
        PublicVersionRow.skill_id == skill_id, PublicVersionRow.version == version
    )
    return await session.scalar(query)


async def newest(session: AsyncSession, row: PublicSkillRow) -> PublicVersionRow | None:
    """The highest approved version."""
    query = select(PublicVersionRow).where(
        PublicVersionRow.skill_id == row.id, PublicVersionRow.status == LibraryStatus.APPROVED.value
    )
    return await session.scalar(query.order_by(*_VERSION_DOWN).limit(1))


async def newest_of_all(session: AsyncSession) -> list[PublicVersionRow]:
    """The version that is newest by each skill's own row."""
    joined = (PublicSkillRow.id == PublicVersionRow.skill_id) & (
        PublicSkillRow.latest_version == PublicVersionRow.version
    )
    return list(await session.scalars(select(PublicVersionRow).join(PublicSkillRow, joined)))


async def find_use(session: AsyncSession, skill_id: str, tenant_id: str, agent_id: str) -> UseRow | None:
    return await session.get(UseRow, (skill_id, tenant_id, agent_id))


async def uses_of(session: AsyncSession, skill_id: str, tenant_id: str | None = None) -> list[UseRow]:
    query = select(UseRow).where(UseRow.skill_id == skill_id)
    if tenant_id is not None:
        query = query.where(UseRow.tenant_id == tenant_id)
    return list(await session.scalars(query.order_by(UseRow.tenant_id, UseRow.agent_id)))


async def rate(session: AsyncSession, row: PublicSkillRow, rating: RatingRow) -> None:
    """Put a person's rating in the place of their earlier one, and count again."""
    await session.merge(rating)
    await session.flush()
    own = RatingRow.skill_id == row.id
    query = select(func.count(), func.avg(RatingRow.rating)).where(own)
    count, average = (await session.execute(query)).one()
    row.rating_count, row.rating_avg = int(count), round(float(average or 0), 2)


# --- search ------------------------------------------------------------------------------------------------


def words_of(*texts: str) -> str:
    """The words of some texts in lower case, each after a space: what a search looks at."""
    return " " + " ".join(re.findall(r"[^\W_]+", " ".join(texts).casefold()))


def exactly(*values: str) -> str:
    return "|" + "|".join(value.casefold().replace("|", " ") for value in values) + "|"


def query_words(text: str) -> list[str]:
    found = re.findall(r"[^\W_]+", text.casefold()[:400])
    return list(dict.fromkeys(word[:40] for word in found))[:MAX_WORDS]


def _begins(column: ColumnElement[str] | Mapped[str], word: str) -> ColumnElement[bool]:
    return column.contains(f" {word}", autoescape=True)  # pyright: ignore[reportUnknownMemberType]


def _rank(words: Sequence[str]) -> ColumnElement[int]:
    """A word at the beginning of one in the name counts most, then tags, then the description."""
    parts = [
        case((_begins(column, word), weight), else_=0)
        for word in words
        for column, weight in (
            (PublicSkillRow.name_words, 8),
            (PublicSkillRow.tag_words, 4),
            (PublicSkillRow.text_words, 1),
        )
    ]
    total: ColumnElement[int] = literal(0)
    for part in parts:
        total = total + part
    return total


async def search(
    session: AsyncSession,
    words: Sequence[str],
    *,
    every_word: bool = True,
    exact: Sequence[str] = (),
    integrations: Sequence[str] = (),
    limit: int = 50,
    offset: int = 0,
) -> tuple[list[PublicSkillRow], int]:
    """Approved skills by rank, usage, rating and name; and how many there are.

    Every word (or, without `every_word`, one of them) begins a word of name, tags or description. `exact`:
    values that all have to be there whole; `integrations`: skills that use one of them, or none at all.
    """
    query = select(PublicSkillRow).where(PublicSkillRow.status == LibraryStatus.APPROVED.value)
    columns = (PublicSkillRow.name_words, PublicSkillRow.tag_words, PublicSkillRow.text_words)
    hits = [or_(*(_begins(column, word) for column in columns)) for word in words]
    if hits:
        query = query.where(and_(*hits) if every_word else or_(*hits))
    for value in exact:
        query = query.where(PublicSkillRow.exact_words.contains(exactly(value), autoescape=True))
    if integrations:
        any_of = [
            PublicSkillRow.exact_words.contains(exactly(f"integration:{each}"), autoescape=True)
            for each in integrations
        ]
        needs_none = ~PublicSkillRow.exact_words.contains("|integration:", autoescape=True)
        query = query.where(or_(needs_none, *any_of))
    total = await session.scalar(select(func.count()).select_from(query.subquery())) or 0
    order = (
        _rank(words).desc(),
        PublicSkillRow.usage_count.desc(),
        PublicSkillRow.rating_avg.desc(),
        PublicSkillRow.name,
    )
    page = query.order_by(*order).limit(limit).offset(offset)
    return list(await session.scalars(page)), total


def index(row: PublicSkillRow) -> None:
    """Bring the columns a search looks at up to date."""
    row.name_words = words_of(row.name.replace("-", " "), row.name)
    row.tag_words = words_of(*row.tags, *row.integrations, row.category.replace("-", " "))
    row.text_words = words_of(row.description)
    row.exact_words = exactly(
        *(f"tag:{tag}" for tag in row.tags),
        *(f"integration:{each}" for each in row.integrations),
        f"category:{row.category}",
        f"author:{row.author_name}",
    )
