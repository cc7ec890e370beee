"""People's inboxes here: results, failures and notices of their agents, each delivered once."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.agents import store
from omniforge.agents.schemas import InboxItem
from omniforge.agents.store import AgentRow, InboxRow
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock, new_id
from omniforge.core.paging import Paging
from omniforge.db import Database

Json = dict[str, Any]


class Inbox:
    def __init__(self, db: Database, clock: Clock) -> None:
        self.db, self.clock = db, clock

    async def list_items(
        self, actor: Actor, paging: Paging, *, unread: bool = False
    ) -> tuple[list[InboxItem], int]:
        """The actor's own items, newest first."""
        async with self.db.read() as session:
            rows, total = await store.list_inbox(
                session,
                actor.tenant_id,
                actor.user_id,
                unread=unread,
                limit=paging.limit,
                offset=paging.offset,
            )
        return [_shown(row) for row in rows], total

    async def mark_read(self, actor: Actor, item_id: str) -> InboxItem:
        async with self.db.transaction() as session:
            row = await store.get_inbox_item(session, actor.tenant_id, actor.user_id, item_id)
            row.read_at = row.read_at or self.clock.now()
        return _shown(row)

    async def leave_note(
        self, tenant_id: str, agent_id: str, *, run_id: str, key: str, title: str, text: str
    ) -> None:
        """Put what a running agent says in its owner's inbox, once per `key`; NotFound without that agent."""
        mark = hashlib.sha256(f"{tenant_id}/{run_id}/{key}".encode()).hexdigest()
        item_id = f"inbox_{mark[:28]}"
        async with self.db.transaction() as session:
            agent = await store.get_agent(session, tenant_id, agent_id)
            if await session.get(InboxRow, item_id) is None:
                row = InboxRow(
                    id=item_id,
                    tenant_id=tenant_id,
                    user_id=agent.created_by,
                    kind=f"note-{mark[:8]}",
                    title=title[:300],
                    text=text,
                    artifacts=[],
                    agent_id=agent_id,
                    run_id=run_id,
                    created_at=self.clock.now(),
                )
                session.add(row)

    def deliver(
        self,
        session: AsyncSession,
        agent: AgentRow,
        *,
        kind: str,
        title: str,
        text: str,
        run_id: str | None = None,
        artifacts: list[Json] | None = None,
        to: str | None = None,
    ) -> None:
        """Put something in a person's inbox, the agent's owner's without one, in the caller's transaction."""
        session.add(
            InboxRow(
                id=new_id("inbox"),
                tenant_id=agent.tenant_id,
                user_id=to or agent.created_by,
                kind=kind,
                title=title[:300],
                text=text,
                artifacts=artifacts or [],
                agent_id=agent.id,
                run_id=run_id,
                created_at=self.clock.now(),
            )
        )


def _shown(row: InboxRow) -> InboxItem:
    return InboxItem(
        id=row.id,
        kind=row.kind,
        title=row.title,
        text=row.text,
        artifacts=row.artifacts,
        agent_id=row.agent_id,
        execution_id=row.run_id,
        created_at=row.created_at,
        read_at=row.read_at,
    )
