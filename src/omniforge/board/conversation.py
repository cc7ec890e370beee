"""What people say about a ticket, and whom they call."""

from __future__ import annotations

import re

from omniforge.board.moving import ticket_event
from omniforge.board.shapes.surroundings import Comment, CommentGiven, CommentList
from omniforge.board.store import surroundings as store
from omniforge.board.store.tickets import CommentRow, get_ticket
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock, new_id
from omniforge.core.paging import Paging
from omniforge.db import Database
from omniforge.engine.events import EventLog

_CALLED = re.compile(r"(?<![\w@.+-])@([A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9_])?)")
MOST_CALLED = 100


def mentioned(text: str) -> list[str]:
    """Whom a text names with @, each once; an address of mail names nobody."""
    return list(dict.fromkeys(_CALLED.findall(text)))[:MOST_CALLED]


class Conversation:
    def __init__(self, db: Database, events: EventLog, clock: Clock) -> None:
        self.db, self.events, self.clock = db, events, clock

    async def page(self, actor: Actor, ticket_id: str, paging: Paging) -> CommentList:
        """Newest first."""
        actor.require("board:view")
        async with self.db.read() as session:
            await get_ticket(session, actor, ticket_id)
            rows, total = await store.comments_of(session, actor, ticket_id, paging)
        shown = [Comment.model_validate(row) for row in rows]
        return CommentList(comments=shown, total=total, limit=paging.limit, offset=paging.offset)

    async def say(self, actor: Actor, ticket_id: str, given: CommentGiven) -> Comment:
        actor.require("board:edit")
        called = mentioned(given.text) if given.mentions is None else list(dict.fromkeys(given.mentions))
        async with self.db.transaction() as session:
            ticket = await get_ticket(session, actor, ticket_id, lock=True)
            now = self.clock.now()
            row = CommentRow(
                id=new_id("comment"),
                tenant_id=actor.tenant_id,
                ticket_id=ticket.id,
                text=given.text,
                mentions=called,
                by=actor.by,
                created_at=now,
            )
            session.add(row)
            await session.flush()
            told = {"comment_id": row.id, "mentions": called}
            event = ticket_event("ticket.commented", ticket, now, actor.by, **told)
            await self.events.append(session, actor.tenant_id, event)
        return Comment.model_validate(row)
