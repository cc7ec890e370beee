"""Tables of connections and sign-in states, and every query on them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, LargeBinary, String, UniqueConstraint, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.core.errors import NotFound
from omniforge.db import Base
from omniforge.db.base import TenantRow
from omniforge.integrations.schemas import ConnectionStatus


class ConnectionRow(TenantRow, Base):
    """A person's authorized link to one workspace. Secrets are sealed for this row; None once revoked."""

    __tablename__ = "connections"
    __table_args__ = (UniqueConstraint("tenant_id", "user_id", "integration_id", "workspace_id"),)

    user_id: Mapped[str] = mapped_column(String(64))
    integration_id: Mapped[str] = mapped_column(String(32))
    workspace_id: Mapped[str] = mapped_column(String(200))
    workspace_name: Mapped[str] = mapped_column(String(300))
    kind: Mapped[str] = mapped_column(String(8))
    access_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    refresh_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    token_type: Mapped[str] = mapped_column(String(32))
    expires_at: Mapped[datetime | None]
    scopes: Mapped[list[str]]
    status: Mapped[str] = mapped_column(String(16))
    generation: Mapped[int] = mapped_column(default=0)
    """Counts stored token pairs: a claim to renew holds for one generation only."""
    renewing_until: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class StateRow(TenantRow, Base):
    """A started sign-in, found by the hash of its state. `outcome` is None until it ended."""

    __tablename__ = "oauth_states"

    user_id: Mapped[str] = mapped_column(String(64), index=True)
    integration_id: Mapped[str] = mapped_column(String(32))
    state_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    browser_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    verifier: Mapped[bytes | None] = mapped_column(LargeBinary)
    redirect_uri: Mapped[str] = mapped_column(String(1000))
    session_id: Mapped[str | None] = mapped_column(String(64))
    return_to: Mapped[str | None] = mapped_column(String(500))
    connection_id: Mapped[str | None] = mapped_column(String(64))
    outcome: Mapped[str | None] = mapped_column(String(16))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    consumed_at: Mapped[datetime | None]


async def get_connection(
    session: AsyncSession, tenant_id: str, connection_id: str, user_id: str | None
) -> ConnectionRow:
    """One connection of a person (`user_id` None: of anybody in the tenant), or NotFound."""
    query = select(ConnectionRow).where(
        ConnectionRow.tenant_id == tenant_id, ConnectionRow.id == connection_id
    )
    if user_id is not None:
        query = query.where(ConnectionRow.user_id == user_id)
    row = await session.scalar(query.execution_options(populate_existing=True))
    if row is None:
        raise NotFound("There is no such connection.")
    return row


async def get_finished_connection(session: AsyncSession, state_hash: bytes) -> ConnectionRow:
    """The connection a sign-in led to, for whoever was found to be its finisher."""
    row = await session.scalar(
        select(ConnectionRow)
        .join(
            StateRow,
            (StateRow.connection_id == ConnectionRow.id) & (StateRow.tenant_id == ConnectionRow.tenant_id),
        )
        .where(StateRow.state_hash == state_hash)
    )
    if row is None:
        raise NotFound("There is no such connection.")
    return row


async def list_connections(  # noqa: PLR0917 - a filter and a window
    session: AsyncSession, tenant_id: str, user_id: str, integration: str | None, limit: int, offset: int
) -> tuple[list[ConnectionRow], int]:
    """A person's connections that were not disconnected, oldest first."""
    where = [
        ConnectionRow.tenant_id == tenant_id,
        ConnectionRow.user_id == user_id,
        ConnectionRow.status != ConnectionStatus.REVOKED,
    ]
    if integration is not None:
        where.append(ConnectionRow.integration_id == integration)
    total = await session.scalar(select(func.count()).select_from(ConnectionRow).where(*where))
    order = (ConnectionRow.created_at, ConnectionRow.id)
    rows = await session.scalars(
        select(ConnectionRow).where(*where).order_by(*order).limit(limit).offset(offset)
    )
    return list(rows), total or 0


async def working_integrations(session: AsyncSession, tenant_id: str, user_id: str) -> set[str]:
    """Integrations a person has a good connection to."""
    query = select(ConnectionRow.integration_id).where(
        ConnectionRow.tenant_id == tenant_id,
        ConnectionRow.user_id == user_id,
        ConnectionRow.status == ConnectionStatus.HEALTHY,
    )
    return set(await session.scalars(query))


async def find_workspace(
    session: AsyncSession, tenant_id: str, user_id: str, integration_id: str, workspace_id: str
) -> ConnectionRow | None:
    return await session.scalar(
        select(ConnectionRow).where(
            ConnectionRow.tenant_id == tenant_id,
            ConnectionRow.user_id == user_id,
            ConnectionRow.integration_id == integration_id,
            ConnectionRow.workspace_id == workspace_id,
        )
    )


async def claim_renewal(session: AsyncSession, row: ConnectionRow, now: datetime, until: datetime) -> bool:
    """Become the one who renews this generation; False when somebody else is at it or was faster."""
    return await _changed_one(
        session,
        update(ConnectionRow)
        .where(
            ConnectionRow.id == row.id,
            ConnectionRow.tenant_id == row.tenant_id,
            ConnectionRow.generation == row.generation,
            ConnectionRow.status == ConnectionStatus.HEALTHY,
            or_(ConnectionRow.renewing_until.is_(None), ConnectionRow.renewing_until < now),
        )
        .values(renewing_until=until),
    )


async def end_renewal(session: AsyncSession, row: ConnectionRow, **values: Any) -> bool:
    """Give the claim back, with what came of it; False when the row went on without us."""
    return await _changed_one(
        session,
        update(ConnectionRow)
        .where(
            ConnectionRow.id == row.id,
            ConnectionRow.tenant_id == row.tenant_id,
            ConnectionRow.generation == row.generation,
            ConnectionRow.status == ConnectionStatus.HEALTHY,
        )
        .values(renewing_until=None, **values),
    )


async def mark_broken(
    session: AsyncSession, tenant_id: str, connection_id: str, generation: int, now: datetime
) -> None:
    """The credentials of this generation are refused for good."""
    await session.execute(
        update(ConnectionRow)
        .where(
            ConnectionRow.id == connection_id,
            ConnectionRow.tenant_id == tenant_id,
            ConnectionRow.generation == generation,
            ConnectionRow.status == ConnectionStatus.HEALTHY,
        )
        .values(status=ConnectionStatus.BROKEN, renewing_until=None, updated_at=now)
    )


async def find_state(session: AsyncSession, state_hash: bytes) -> StateRow | None:
    """By the hash alone: who knows the state's 256 bits is checked against the row by the caller."""
    query = select(StateRow).where(StateRow.state_hash == state_hash)
    return await session.scalar(query.execution_options(populate_existing=True))


async def consume_state(session: AsyncSession, row: StateRow, now: datetime) -> bool:
    """Use the state up; True for exactly one caller, and only in time."""
    return await _changed_one(
        session,
        update(StateRow)
        .where(StateRow.id == row.id, StateRow.consumed_at.is_(None), StateRow.expires_at > now)
        .values(consumed_at=now),
    )


async def end_state(session: AsyncSession, row: StateRow, outcome: str, connection_id: str | None) -> None:
    await session.execute(
        update(StateRow)
        .where(StateRow.id == row.id)
        .values(outcome=outcome, connection_id=connection_id, verifier=None)
    )


async def count_states(session: AsyncSession, tenant_id: str, user_id: str, since: datetime) -> int:
    query = (
        select(func.count())
        .select_from(StateRow)
        .where(StateRow.tenant_id == tenant_id, StateRow.user_id == user_id, StateRow.created_at > since)
    )
    return await session.scalar(query) or 0


async def delete_old_states(session: AsyncSession, before: datetime) -> None:
    """Of every tenant: the rows hold nothing of use any more."""
    await session.execute(delete(StateRow).where(StateRow.expires_at < before))


async def _changed_one(session: AsyncSession, statement: Any) -> bool:
    result = await session.execute(statement.execution_options(synchronize_session=False))
    return isinstance(result, CursorResult) and result.rowcount == 1
