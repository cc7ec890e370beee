"""Tables of what agents listen to: hooks, poll cursors and deliveries taken, and every query on them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from secrets import token_urlsafe
from typing import Any

from sqlalchemy import Index, Integer, LargeBinary, String, and_, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.agents.content import AgentStatus
from omniforge.agents.store import AgentRow
from omniforge.db import Base


class HookRow(Base):
    """How an agent is told of events. Secrets are sealed for this row and field.

    address: the part of the agent's delivery address that nobody can guess; it only matters for a handshake.
    author: what the service calls our connection; None until it said so. `token` came by a handshake;
    confirmed_at: when the first delivery signed with it came.
    """

    __tablename__ = "agent_hooks"
    __table_args__ = (
        Index("ix_agent_hooks_workspace", "integration", "workspace_id"),
        Index("ix_agent_hooks_agent", "integration", "agent_id"),
    )

    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    agent_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    integration: Mapped[str] = mapped_column(String(32))
    event: Mapped[str] = mapped_column(String(100))
    connection_id: Mapped[str | None] = mapped_column(String(64))
    workspace_id: Mapped[str] = mapped_column(String(200))
    author: Mapped[str | None] = mapped_column(String(200))
    address: Mapped[str] = mapped_column(String(64))
    secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_valid_until: Mapped[datetime | None]
    token: Mapped[bytes | None] = mapped_column(LargeBinary)
    confirmed_at: Mapped[datetime | None]
    last_delivery_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    def signing(self) -> tuple[str, bytes] | None:
        """The field that holds what the service signs with at present, and the sealed secret in it."""
        if self.token is not None:
            return "token", self.token
        return None if self.secret is None else ("secret", self.secret)


class CursorRow(Base):
    """How far an active agent has seen what it polls: nothing before `since`, and of the rest only `seen`.

    failures: in a row; told_at: when the owner was told of them. stands_in: polled because nothing is
    delivered, until something is.
    """

    __tablename__ = "agent_cursors"

    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    agent_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    source: Mapped[str] = mapped_column(String(64))
    """Which events of which place these are about; a cursor of another source means nothing."""
    since: Mapped[datetime]
    seen: Mapped[list[str]]
    next_poll_at: Mapped[datetime] = mapped_column(index=True)
    failures: Mapped[int] = mapped_column(Integer)
    failing_since: Mapped[datetime | None]
    told_at: Mapped[datetime | None]
    stands_in: Mapped[bool]


class ArrivalRow(Base):
    """Something delivered that has to be looked up at its service before it can start an agent."""

    __tablename__ = "hook_arrivals"

    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    agent_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(100), primary_key=True)
    occurrence: Mapped[dict[str, Any]]
    next_try_at: Mapped[datetime] = mapped_column(index=True)
    failures: Mapped[int] = mapped_column(Integer)
    received_at: Mapped[datetime]


class DeliveryRow(Base):
    """A delivery that was taken, so that it is not taken again. scope: a hook, or the app of a service."""

    __tablename__ = "hook_deliveries"
    __table_args__ = ({"sqlite_with_rowid": False},)

    scope: Mapped[str] = mapped_column(String(140), primary_key=True)
    key: Mapped[str] = mapped_column(String(100), primary_key=True)
    received_at: Mapped[datetime] = mapped_column(index=True)
    forgettable: Mapped[bool]
    """Whether a repetition of it would soon be too old anyway."""


_OF_HOOK = and_(AgentRow.tenant_id == HookRow.tenant_id, AgentRow.id == HookRow.agent_id)


# --- hooks -------------------------------------------------------------------------------------------------


async def find_hook(session: AsyncSession, tenant_id: str, agent_id: str) -> HookRow | None:
    return await session.get(HookRow, (tenant_id, agent_id), populate_existing=True)


async def hooks_at(session: AsyncSession, integration: str, agent_id: str) -> list[HookRow]:
    """Of every tenant: agents' ids are their tenants' own words, and a delivery names no tenant."""
    query = select(HookRow).join(AgentRow, _OF_HOOK).where(HookRow.agent_id == agent_id)
    return list(await session.scalars(query.where(HookRow.integration == integration)))


async def listening_in(
    session: AsyncSession, integration: str, workspace_id: str
) -> list[tuple[HookRow, AgentRow]]:
    """The agents, of every tenant, that were switched on with a connection to this workspace."""
    query = select(HookRow, AgentRow).join(AgentRow, _OF_HOOK)
    query = query.where(HookRow.integration == integration, HookRow.workspace_id == workspace_id)
    found = await session.execute(query.order_by(HookRow.tenant_id, HookRow.agent_id))
    return [(hook, agent) for hook, agent in found]


def new_hook(tenant_id: str, agent_id: str, integration: str, event: str, now: datetime) -> HookRow:
    """A hook without a secret, at an address of its own."""
    return HookRow(
        tenant_id=tenant_id,
        agent_id=agent_id,
        integration=integration,
        event=event,
        connection_id=None,
        workspace_id="",
        author=None,
        address=token_urlsafe(24),
        secret=None,
        previous_secret=None,
        previous_valid_until=None,
        token=None,
        confirmed_at=None,
        last_delivery_at=None,
        created_at=now,
        updated_at=now,
    )


async def remove_hook(session: AsyncSession, tenant_id: str, agent_id: str) -> None:
    await session.execute(delete(HookRow).where(HookRow.tenant_id == tenant_id, HookRow.agent_id == agent_id))


# --- deliveries --------------------------------------------------------------------------------------------


async def take_delivery(
    session: AsyncSession, scope: str, key: str, now: datetime, *, forgettable: bool
) -> bool:
    """Write it down; False when it had been taken before."""
    values = {"scope": scope, "key": key, "received_at": now, "forgettable": forgettable}
    connection = await session.connection()
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(DeliveryRow).values(values).on_conflict_do_nothing()
    found = await connection.execute(statement.returning(DeliveryRow.key))
    return found.first() is not None


async def was_taken(session: AsyncSession, scope: str, key: str) -> bool:
    query = select(DeliveryRow.key).where(DeliveryRow.scope == scope, DeliveryRow.key == key)
    return await session.scalar(query) is not None


async def forget_deliveries(session: AsyncSession, before: datetime) -> None:
    """Those whose repetition is refused for its age."""
    await session.execute(
        delete(DeliveryRow).where(DeliveryRow.received_at < before, DeliveryRow.forgettable.is_(True))
    )


async def claim_arrivals(
    session: AsyncSession,
    now: datetime,
    until: datetime,
    limit: int,
    but_not_of: Collection[str] = (),
) -> Sequence[ArrivalRow]:
    """Those whose time has come, as `claim_polls` does it."""
    query = select(ArrivalRow).where(ArrivalRow.next_try_at <= now)
    if but_not_of:
        query = query.where(ArrivalRow.tenant_id.not_in(but_not_of))
    query = query.order_by(ArrivalRow.next_try_at).limit(limit)
    rows = list(await session.scalars(query.with_for_update(skip_locked=True)))
    for row in rows:
        row.next_try_at = until
    return rows


async def earliest_arrival(session: AsyncSession, but_not_of: Collection[str] = ()) -> datetime | None:
    query = select(ArrivalRow.next_try_at)
    if but_not_of:
        query = query.where(ArrivalRow.tenant_id.not_in(but_not_of))
    return await session.scalar(query.order_by(ArrivalRow.next_try_at).limit(1))


async def find_arrival(session: AsyncSession, tenant_id: str, agent_id: str, key: str) -> ArrivalRow | None:
    return await session.get(ArrivalRow, (tenant_id, agent_id, key), populate_existing=True)


async def remove_arrival(session: AsyncSession, tenant_id: str, agent_id: str, key: str) -> bool:
    """False when it is gone already."""
    query = delete(ArrivalRow).where(
        ArrivalRow.tenant_id == tenant_id, ArrivalRow.agent_id == agent_id, ArrivalRow.key == key
    )
    return await session.scalar(query.returning(ArrivalRow.key)) is not None


async def remove_arrivals(session: AsyncSession, tenant_id: str, agent_id: str) -> None:
    await session.execute(
        delete(ArrivalRow).where(ArrivalRow.tenant_id == tenant_id, ArrivalRow.agent_id == agent_id)
    )


# --- cursors -----------------------------------------------------------------------------------------------


async def find_cursor(session: AsyncSession, tenant_id: str, agent_id: str) -> CursorRow | None:
    return await session.get(CursorRow, (tenant_id, agent_id), populate_existing=True)


async def remove_cursor(session: AsyncSession, tenant_id: str, agent_id: str) -> None:
    await session.execute(
        delete(CursorRow).where(CursorRow.tenant_id == tenant_id, CursorRow.agent_id == agent_id)
    )


_OF_ACTIVE = and_(
    AgentRow.tenant_id == CursorRow.tenant_id,
    AgentRow.id == CursorRow.agent_id,
    AgentRow.status == AgentStatus.ACTIVE.value,
)


async def claim_polls(
    session: AsyncSession,
    now: datetime,
    until: datetime,
    limit: int,
    but_not_of: Collection[str] = (),
) -> Sequence[CursorRow]:
    """Cursors whose time has come, the longest overdue first; without some tenants' ones.

    Whoever claims them has them until that time: then they are due again, whatever became of the claimer.
    """
    query = select(CursorRow).join(AgentRow, _OF_ACTIVE).where(CursorRow.next_poll_at <= now)
    if but_not_of:
        query = query.where(CursorRow.tenant_id.not_in(but_not_of))
    query = query.order_by(CursorRow.next_poll_at).limit(limit)
    rows = list(await session.scalars(query.with_for_update(skip_locked=True, of=CursorRow)))
    for row in rows:
        row.next_poll_at = until
    return rows


async def earliest_poll(session: AsyncSession, but_not_of: Collection[str] = ()) -> datetime | None:
    query = select(CursorRow.next_poll_at).join(AgentRow, _OF_ACTIVE)
    if but_not_of:
        query = query.where(CursorRow.tenant_id.not_in(but_not_of))
    return await session.scalar(query.order_by(CursorRow.next_poll_at).limit(1))
