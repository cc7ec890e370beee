"""Tables of agents, versions, tests, outcomes and the inbox, and every query on them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Index, Integer, String, Text, UniqueConstraint, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.agents.content import AgentStatus, ExecutionStatus, TestMode, Verdict
from omniforge.core.errors import NotFound
from omniforge.db import Base
from omniforge.db.base import TenantRow

Json = dict[str, Any]


class AgentRow(Base):
    """An agent. Ids are people's own words, so they are unique within a tenant only.

    `content` is what runs (or, in a draft, what is being made), `pending` an edit that has not replaced it
    yet, `summary` what its author says about it. `next_fire_at` is set exactly while an active agent has a
    schedule.
    """

    __tablename__ = "agent_configs"
    __table_args__ = (Index("ix_agent_configs_status", "tenant_id", "status"),)

    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(String(1024))
    status: Mapped[str] = mapped_column(String(16))
    trigger_type: Mapped[str] = mapped_column(String(16))
    schedule: Mapped[str | None] = mapped_column(String(200))
    timezone: Mapped[str] = mapped_column(String(64))
    misfire_policy: Mapped[str] = mapped_column(String(8))
    content: Mapped[dict[str, Any]]
    pending: Mapped[dict[str, Any] | None]
    summary: Mapped[str] = mapped_column(String(300), default="")
    connections: Mapped[dict[str, Any]]
    sharing_level: Mapped[str] = mapped_column(String(16))
    shared_with: Mapped[list[str]] = mapped_column(default=list)
    """Ids of people; `tenant` stands for all of them."""
    origin: Mapped[dict[str, Any] | None]
    """Of a copy: `{agent_id, version}` of what it is a copy of."""
    to_choose: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """Of a copy: where its owner has to choose own places, `{skill, path, what}`."""
    version: Mapped[int] = mapped_column(Integer)
    next_fire_at: Mapped[datetime | None] = mapped_column(index=True)
    total_runs: Mapped[int] = mapped_column(Integer, default=0)
    successful_runs: Mapped[int] = mapped_column(Integer, default=0)
    last_run: Mapped[datetime | None]
    created_by: Mapped[str] = mapped_column(String(64))
    activated_by: Mapped[str | None] = mapped_column(String(64))
    paused_reason: Mapped[str] = mapped_column(String(500), default="")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class VersionRow(Base):
    """One activated version; never changed."""

    __tablename__ = "agent_versions"

    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    agent_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    snapshot: Mapped[dict[str, Any]]
    content_hash: Mapped[str] = mapped_column(String(64))
    manifest: Mapped[list[dict[str, Any]]]
    manifest_hash: Mapped[str] = mapped_column(String(64))
    summary: Mapped[str] = mapped_column(String(300))
    author: Mapped[str] = mapped_column(String(160))
    created_at: Mapped[datetime]


class TestRow(TenantRow, Base):
    """One test; `report` is None until its run is over."""

    __test__ = False
    __tablename__ = "agent_tests"

    agent_id: Mapped[str] = mapped_column(String(64), index=True)
    run_id: Mapped[str | None] = mapped_column(String(64), index=True)
    mode: Mapped[str] = mapped_column(String(16))
    suite: Mapped[str] = mapped_column(String(16), default="quick")
    content_hash: Mapped[str] = mapped_column(String(64))
    verdict: Mapped[str | None] = mapped_column(String(16))
    report: Mapped[dict[str, Any] | None]
    created_by: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]


class OutcomeRow(Base):
    """How a live run of an agent ended; its being there means that it has been counted and told."""

    __tablename__ = "agent_outcomes"
    __table_args__ = (Index("ix_agent_outcomes_agent", "tenant_id", "agent_id", "finished_at"),)

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    agent_id: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16))
    finished_at: Mapped[datetime]


class InboxRow(TenantRow, Base):
    """Something put in a person's inbox here."""

    __tablename__ = "inbox_items"
    __table_args__ = (
        UniqueConstraint("tenant_id", "user_id", "run_id", "kind"),
        Index("ix_inbox_items_user", "tenant_id", "user_id", "created_at"),
    )

    user_id: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    title: Mapped[str] = mapped_column(String(300))
    text: Mapped[str] = mapped_column(Text)
    artifacts: Mapped[list[dict[str, Any]]]
    agent_id: Mapped[str | None] = mapped_column(String(64))
    run_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    read_at: Mapped[datetime | None]


# --- agents ------------------------------------------------------------------------------------------------


async def get_agent(session: AsyncSession, tenant_id: str, agent_id: str, *, held: bool = False) -> AgentRow:
    """held: nobody else may change it until the session ends (SQLite knows no such thing)."""
    lock = {"read": True} if held else None
    row = await session.get(AgentRow, (tenant_id, agent_id), with_for_update=lock)
    if row is None:
        raise NotFound("There is no such agent.", agent_id=agent_id)
    return row


async def taken_ids(session: AsyncSession, tenant_id: str, stem: str) -> set[str]:
    """Ids of the tenant's agents that begin like this, archived ones included."""
    query = select(AgentRow.id).where(AgentRow.tenant_id == tenant_id, AgentRow.id.startswith(stem))
    return set(await session.scalars(query))


async def list_agents(
    session: AsyncSession,
    tenant_id: str,
    *,
    visible: ColumnElement[bool],
    status: str | None = None,
    trigger_type: str | None = None,
    search: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> tuple[list[AgentRow], int]:
    """Agents, last changed first, without archived ones unless asked for; and how many there are."""
    query = select(AgentRow).where(AgentRow.tenant_id == tenant_id, visible)
    query = (
        query.where(AgentRow.status == status)
        if status
        else query.where(AgentRow.status != AgentStatus.ARCHIVED.value)
    )
    if trigger_type:
        query = query.where(AgentRow.trigger_type == trigger_type)
    if search:
        fields = (AgentRow.id, AgentRow.name, AgentRow.description)
        query = query.where(or_(*(field.icontains(search, autoescape=True) for field in fields)))
    total = await session.scalar(select(func.count()).select_from(query.subquery())) or 0
    page = query.order_by(AgentRow.updated_at.desc(), AgentRow.id).limit(limit).offset(offset)
    return list(await session.scalars(page)), total


async def agents_of(
    session: AsyncSession, tenant_id: str, visible: ColumnElement[bool] | None = None
) -> list[AgentRow]:
    """Every agent that is not archived, of those a condition lets through."""
    query = select(AgentRow).where(
        AgentRow.tenant_id == tenant_id, AgentRow.status != AgentStatus.ARCHIVED.value
    )
    if visible is not None:
        query = query.where(visible)
    return list(await session.scalars(query.order_by(AgentRow.updated_at.desc(), AgentRow.id)))


async def copies_of(session: AsyncSession, tenant_id: str, agent_id: str) -> list[AgentRow]:
    """Copies people were given of an agent and have not deleted, oldest first."""
    query = select(AgentRow).where(
        AgentRow.tenant_id == tenant_id,
        AgentRow.origin["agent_id"].as_string() == agent_id,
        AgentRow.status != AgentStatus.ARCHIVED.value,
    )
    return list(await session.scalars(query.order_by(AgentRow.created_at, AgentRow.id)))


# --- versions ----------------------------------------------------------------------------------------------


async def get_version(session: AsyncSession, tenant_id: str, agent_id: str, version: int) -> VersionRow:
    row = await session.get(VersionRow, (tenant_id, agent_id, version))
    if row is None:
        raise NotFound("There is no such version.", agent_id=agent_id, version=version)
    return row


async def list_versions(
    session: AsyncSession, tenant_id: str, agent_id: str, limit: int, offset: int
) -> tuple[list[VersionRow], int]:
    query = select(VersionRow).where(VersionRow.tenant_id == tenant_id, VersionRow.agent_id == agent_id)
    total = await session.scalar(select(func.count()).select_from(query.subquery())) or 0
    page = query.order_by(VersionRow.version.desc()).limit(limit).offset(offset)
    return list(await session.scalars(page)), total


async def versions_of(
    session: AsyncSession, tenant_id: str, rows: Sequence[AgentRow]
) -> dict[str, VersionRow]:
    """The current version of each of these agents that has one."""
    ids = [row.id for row in rows]
    query = (
        select(VersionRow)
        .join(AgentRow, (AgentRow.tenant_id == VersionRow.tenant_id) & (AgentRow.id == VersionRow.agent_id))
        .where(VersionRow.tenant_id == tenant_id, VersionRow.agent_id.in_(ids))
        .where(VersionRow.version == AgentRow.version)
    )
    return {row.agent_id: row for row in await session.scalars(query)}


# --- tests -------------------------------------------------------------------------------------------------


async def get_test(session: AsyncSession, tenant_id: str, test_id: str) -> TestRow:
    row = await session.scalar(select(TestRow).where(TestRow.id == test_id, TestRow.tenant_id == tenant_id))
    if row is None:
        raise NotFound("There is no such test.", test_id=test_id)
    return row


async def test_of_run(session: AsyncSession, tenant_id: str, run_id: str) -> TestRow | None:
    query = select(TestRow).where(TestRow.run_id == run_id, TestRow.tenant_id == tenant_id)
    return await session.scalar(query)


async def list_tests(
    session: AsyncSession, tenant_id: str, agent_id: str, *, mode: str | None, limit: int, offset: int
) -> tuple[list[TestRow], int]:
    """Tests that are over, newest first."""
    query = select(TestRow).where(
        TestRow.tenant_id == tenant_id, TestRow.agent_id == agent_id, TestRow.verdict.is_not(None)
    )
    if mode is not None:
        query = query.where(TestRow.mode == mode)
    total = await session.scalar(select(func.count()).select_from(query.subquery())) or 0
    page = query.order_by(TestRow.created_at.desc(), TestRow.id).limit(limit).offset(offset)
    return list(await session.scalars(page)), total


async def last_passed(
    session: AsyncSession, tenant_id: str, agent_id: str, content_hash: str
) -> TestRow | None:
    """The newest passed test of this content that had no effects."""
    query = select(TestRow).where(
        TestRow.tenant_id == tenant_id,
        TestRow.agent_id == agent_id,
        TestRow.content_hash == content_hash,
        TestRow.verdict == Verdict.PASSED.value,
        TestRow.mode != TestMode.LIVE.value,
    )
    return await session.scalar(query.order_by(TestRow.created_at.desc(), TestRow.id.desc()).limit(1))


# --- outcomes and inbox ------------------------------------------------------------------------------------


async def quiet_runs(session: AsyncSession, tenant_id: str, agent_id: str) -> int:
    """How many runs of an agent in a row, up to the latest, had nothing to do."""
    own = (OutcomeRow.tenant_id == tenant_id, OutcomeRow.agent_id == agent_id)
    quiet = OutcomeRow.status == ExecutionStatus.NO_EFFECT.value
    last_other = await session.scalar(select(func.max(OutcomeRow.finished_at)).where(*own, ~quiet))
    query = select(func.count()).select_from(OutcomeRow).where(*own, quiet)
    if last_other is not None:
        query = query.where(OutcomeRow.finished_at > last_other)
    return await session.scalar(query) or 0


async def list_inbox(
    session: AsyncSession, tenant_id: str, user_id: str, *, unread: bool, limit: int, offset: int
) -> tuple[list[InboxRow], int]:
    query = select(InboxRow).where(InboxRow.tenant_id == tenant_id, InboxRow.user_id == user_id)
    if unread:
        query = query.where(InboxRow.read_at.is_(None))
    total = await session.scalar(select(func.count()).select_from(query.subquery())) or 0
    page = query.order_by(InboxRow.created_at.desc(), InboxRow.id).limit(limit).offset(offset)
    return list(await session.scalars(page)), total


async def has_item(session: AsyncSession, tenant_id: str, run_id: str, kind: str) -> bool:
    """Whether anybody was told of this run in this way."""
    query = select(InboxRow.id).where(
        InboxRow.tenant_id == tenant_id, InboxRow.run_id == run_id, InboxRow.kind == kind
    )
    return await session.scalar(query.limit(1)) is not None


async def get_inbox_item(session: AsyncSession, tenant_id: str, user_id: str, item_id: str) -> InboxRow:
    query = select(InboxRow).where(
        InboxRow.id == item_id, InboxRow.tenant_id == tenant_id, InboxRow.user_id == user_id
    )
    row = await session.scalar(query)
    if row is None:
        raise NotFound("There is no such item in your inbox.", item_id=item_id)
    return row
