"""Tables of conversations, and the queries over them: always one person's own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Integer, String, Text, UniqueConstraint, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.core.actor import Actor
from omniforge.core.errors import NotFound
from omniforge.db import Base
from omniforge.db.base import TenantRow


class SessionRow(TenantRow, Base):
    """One building conversation. `state` is the machine's whole state, `turns` how many it has had."""

    __tablename__ = "builder_sessions"

    user_id: Mapped[str] = mapped_column(String(64), index=True)
    title: Mapped[str] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(16))
    phase: Mapped[str] = mapped_column(String(32))
    state: Mapped[dict[str, Any]]
    turns: Mapped[int] = mapped_column(Integer)
    timezone: Mapped[str | None] = mapped_column(String(64))
    draft_agent_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class MessageRow(Base):
    """One message: what the person said, or a whole reply."""

    __tablename__ = "builder_messages"
    __table_args__ = (UniqueConstraint("session_id", "client_message_id"),)

    session_id: Mapped[str] = mapped_column(
        String(64), ForeignKey("builder_sessions.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    role: Mapped[str] = mapped_column(String(8))
    text: Mapped[str] = mapped_column(Text)
    reply: Mapped[dict[str, Any] | None]
    client_message_id: Mapped[str | None] = mapped_column(String(100))
    at: Mapped[datetime]


class DesignRow(Base):
    """What an agent was made of in a conversation; good for exactly the content of this hash."""

    __tablename__ = "builder_designs"

    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    agent_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    content_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    design: Mapped[dict[str, Any]]


async def get_design(
    session: AsyncSession, tenant_id: str, agent_id: str, content_hash: str
) -> dict[str, Any] | None:
    """The design of this content; None when it was made elsewhere."""
    row = await session.get(DesignRow, (tenant_id, agent_id, content_hash))
    return None if row is None else row.design


async def designs_of(session: AsyncSession, tenant_id: str, agent_id: str) -> list[dict[str, Any]]:
    """Every design that an agent was made of."""
    mine = select(DesignRow.design).where(DesignRow.tenant_id == tenant_id, DesignRow.agent_id == agent_id)
    return list(await session.scalars(mine))


async def put_design(
    session: AsyncSession, tenant_id: str, agent_id: str, content_hash: str, design: dict[str, Any]
) -> None:
    row = await session.get(DesignRow, (tenant_id, agent_id, content_hash))
    if row is None:
        session.add(
            DesignRow(tenant_id=tenant_id, agent_id=agent_id, content_hash=content_hash, design=design)
        )
    else:
        row.design = design


async def get_session(session: AsyncSession, actor: Actor, session_id: str) -> SessionRow:
    row = await session.scalar(
        select(SessionRow).where(
            SessionRow.id == session_id,
            SessionRow.tenant_id == actor.tenant_id,
            SessionRow.user_id == actor.user_id,
        )
    )
    if row is None:
        raise NotFound("There is no such conversation.", session_id=session_id)
    return row


async def list_sessions(
    session: AsyncSession, actor: Actor, status: str | None, limit: int, offset: int
) -> tuple[list[SessionRow], int]:
    """Newest first, and how many there are."""
    query = select(SessionRow).where(
        SessionRow.tenant_id == actor.tenant_id, SessionRow.user_id == actor.user_id
    )
    if status is not None:
        query = query.where(SessionRow.status == status)
    total = await session.scalar(select(func.count()).select_from(query.subquery())) or 0
    newest = query.order_by(SessionRow.updated_at.desc(), SessionRow.id).limit(limit).offset(offset)
    return list(await session.scalars(newest)), total


async def messages_of(session: AsyncSession, session_id: str) -> list[MessageRow]:
    """All messages of a conversation the caller may see, oldest first."""
    query = select(MessageRow).where(MessageRow.session_id == session_id).order_by(MessageRow.number)
    return list(await session.scalars(query))


async def reply_to(session: AsyncSession, session_id: str, client_message_id: str) -> dict[str, Any] | None:
    """The stored reply to a message that was sent before under the same id."""
    asked = await session.scalar(
        select(MessageRow.number).where(
            MessageRow.session_id == session_id, MessageRow.client_message_id == client_message_id
        )
    )
    if asked is None:
        return None
    return await session.scalar(
        select(MessageRow.reply).where(MessageRow.session_id == session_id, MessageRow.number == asked + 1)
    )
