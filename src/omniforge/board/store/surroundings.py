"""Queries on what people and programs leave on a ticket: comments and commits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.store.tickets import CommentRow, CommitRow
from omniforge.core.actor import Actor
from omniforge.core.paging import Paging

Left = TypeVar("Left", CommentRow, CommitRow)


async def comments_of(
    session: AsyncSession, actor: Actor, ticket_id: str, paging: Paging
) -> tuple[list[CommentRow], int]:
    """Newest first."""
    return await _page(session, actor, CommentRow, ticket_id, paging)


async def commits_of(
    session: AsyncSession, actor: Actor, ticket_id: str, paging: Paging
) -> tuple[list[CommitRow], int]:
    """Those linked last first."""
    return await _page(session, actor, CommitRow, ticket_id, paging)


async def _page(
    session: AsyncSession, actor: Actor, table: type[Left], ticket_id: str, paging: Paging
) -> tuple[list[Left], int]:
    rows: Any = table
    where = (rows.tenant_id == actor.tenant_id, rows.ticket_id == ticket_id)
    total = await session.scalar(select(func.count()).select_from(table).where(*where))
    query = select(table).where(*where).order_by(rows.created_at.desc(), rows.id.desc())
    return list(await session.scalars(query.limit(paging.limit).offset(paging.offset))), total or 0


async def commit_of(session: AsyncSession, ticket_id: str, sha: str) -> CommitRow | None:
    return await session.scalar(
        select(CommitRow).where(CommitRow.ticket_id == ticket_id, CommitRow.sha == sha)
    )


async def known_shas(session: AsyncSession, ticket_id: str, shas: Sequence[str]) -> set[str]:
    query = select(CommitRow.sha).where(CommitRow.ticket_id == ticket_id, CommitRow.sha.in_(shas))
    return set(await session.scalars(query))
