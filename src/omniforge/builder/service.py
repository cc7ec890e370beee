"""Conversations: one turn at a time, its message, state and reply written together."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from omniforge.builder import store
from omniforge.builder.conversation import begin, recap, respond
from omniforge.builder.exchange import Facts, Reply, Turn
from omniforge.builder.hearing import Hearing
from omniforge.builder.live import Arrival, Tell, arrivals, unheard
from omniforge.builder.outcomes import resume
from omniforge.builder.phases import SessionStatus
from omniforge.builder.replies import without_slips
from omniforge.builder.requests import Binding, Doer, unbound
from omniforge.builder.schemas import (
    Completed,
    MessageView,
    SessionDetail,
    SessionList,
    SessionView,
    Started,
    StartRequest,
)
from omniforge.builder.schemas import Reply as ReplyView
from omniforge.builder.state import ConversationState
from omniforge.builder.store import MessageRow, SessionRow
from omniforge.builder.vocabulary import forbidden_words
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock, new_id
from omniforge.core.config import Settings
from omniforge.core.errors import Conflict, Invalid, NotFound
from omniforge.core.paging import Paging
from omniforge.db import Database
from omniforge.engine.events import Event, EventLog
from omniforge.integrations.signin import ConnectionArrived

log = logging.getLogger(__name__)

AWAY = timedelta(minutes=30)
"""After so long a silence the next reply opens with a recap."""
EXPIRES = timedelta(days=90)
"""After so long a conversation is over; what it made stays."""
MAX_REQUESTS = 12
"""More requests in one turn than any turn needs: the machine would be going round in circles."""


class TurnInProgress(Conflict):
    """The last message of this conversation is still being answered."""

    code = "turn_in_progress"


class SessionExpired(Conflict):
    """Nobody has spoken here for a very long time."""

    code = "session_expired"


class BuilderService:
    """Talk, look at conversations, cancel them. Everybody sees only their own."""

    def __init__(self, db: Database, events: EventLog, doer: Doer, clock: Clock, settings: Settings) -> None:
        self.db = db
        self.events = events
        self.doer = doer
        self.hearing = Hearing(doer.assistant)
        self.clock = clock
        self.settings = settings
        self._busy: set[tuple[str, str, str]] = set()

    async def start(self, actor: Actor, request: StartRequest, binding: Binding = unbound) -> Started:
        """A new conversation; with a message also the reply to it."""
        actor.require("agent:create")
        check_zone(request.timezone)
        now = self.clock.now()
        row = SessionRow(
            id=new_id("con"),
            tenant_id=actor.tenant_id,
            user_id=actor.user_id,
            title="",
            timezone=request.timezone,
            created_at=now,
            turns=1,
            updated_at=now,
        )
        turn = begin(await self._facts(actor, row))
        reply = _reply_of(turn)
        for name, value in _fields(turn.state).items():
            setattr(row, name, value)
        async with self.db.transaction() as session:
            session.add(row)
            await session.flush()
            session.add(_said_by_bot(row.id, 0, reply, None, now))
        shown = ReplyView(**reply.to_json())
        started = Started(session_id=row.id, message=shown.text, phase=shown.phase, data=shown.data)
        if request.message is not None:
            started.reply = await self.handle_message(actor, row.id, request.message, None, binding)
            started.phase, started.data = started.reply.phase, started.reply.data
        return started

    async def handle_message(
        self,
        actor: Actor,
        session_id: str,
        message: str,
        client_message_id: str | None,
        binding: Binding = unbound,
        *,
        tell: Tell = unheard,
    ) -> ReplyView:
        """Answer one message. The same `client_message_id` again gives the stored reply and does nothing.
        `tell` hears what is being done meanwhile."""
        actor.require("agent:create")
        async with self._turn(actor, session_id):
            row, known = await self._open(actor, session_id, client_message_id)
            if known is not None:
                return ReplyView(**known)
            if self._status(row) == SessionStatus.EXPIRED.value:
                raise SessionExpired(
                    "This conversation is over. Start a new one; what it made is still there."
                )
            facts = await self._facts(actor, row)
            state = ConversationState.model_validate(row.state)
            state, facts = await self.hearing.hear(actor, state, message, facts, tell)
            turn = respond(state, message, facts)
            for _ in range(MAX_REQUESTS):
                if turn.request is None:
                    break
                if turn.progress:
                    tell(turn.progress)
                outcome = await self.doer.do(actor, row.id, turn.request, binding)
                facts = await self._facts(actor, row)
                turn = resume(turn.state, outcome, facts)
            reply = await self.hearing.speak(actor, turn.state, _reply_of(turn))
            return await self._store(actor, row, message, client_message_id, replace(turn, reply=reply))

    async def tell_arrival(self, arrived: ConnectionArrived) -> None:
        """Let conversations that are open hear that a sign-in ended well."""
        payload = {
            "user_id": arrived.user_id,
            "integration": arrived.integration_id,
            "workspace": arrived.workspace_name,
            "session_id": arrived.session_id,
        }
        now, by = self.clock.now(), f"user:{arrived.user_id}"
        event = Event("connection.arrived", f"connection:{arrived.connection_id}", now, by, payload)
        async with self.db.transaction() as session:
            await self.events.append(session, arrived.tenant_id, event)

    async def known(self, actor: Actor, session_id: str) -> None:
        """NotFound unless it is a conversation of this person."""
        async with self.db.read() as session:
            await store.get_session(session, actor, session_id)

    async def arrivals(self, actor: Actor, session_id: str, after: int | None) -> AsyncGenerator[Arrival]:
        """What happens from `after` on (None: from now) that concerns this conversation. Never ends."""
        if after is None:
            after = await self.events.last(actor.tenant_id)

        async def started_by(run_id: str) -> bool:
            try:
                execution = await self.doer.agents.executions.get(actor, run_id)
            except NotFound:
                return False
            return execution.triggered_by == f"user:{actor.user_id}"

        async for arrival in arrivals(self.events, actor, session_id, after, started_by):
            yield arrival

    async def complete_sign_in(
        self, actor: Actor, session_id: str, integration: str, code: str, state: str
    ) -> Completed:
        """For clients that received the redirect themselves: finish it; "done" then goes on from there."""
        actor.require("integration:connect")
        async with self.db.read() as session:
            await store.get_session(session, actor, session_id)
        connection = await self.doer.integrations.finish_sign_in(actor, integration, code, state)
        return Completed(success=True, workspace_name=connection.workspace_name, data={})

    async def list_sessions(self, actor: Actor, paging: Paging, status: str | None = None) -> SessionList:
        async with self.db.read() as session:
            rows, total = await store.list_sessions(session, actor, status, paging.limit, paging.offset)
        views = [SessionView(**self._view(row)) for row in rows]
        return SessionList(sessions=views, total=total, limit=paging.limit, offset=paging.offset)

    async def get_session(self, actor: Actor, session_id: str) -> SessionDetail:
        async with self.db.read() as session:
            row = await store.get_session(session, actor, session_id)
            messages = await store.messages_of(session, session_id)
        state = ConversationState.model_validate(row.state)
        return SessionDetail(
            **self._view(row),
            messages=[
                MessageView(number=m.number, role=m.role, text=m.text, reply=m.reply, at=m.at)
                for m in messages
            ],
            summary=recap(state, await self._facts(actor, row)),
            pending_question=state.pending.value,
        )

    async def cancel(self, actor: Actor, session_id: str) -> None:
        """End the conversation; a draft it made stays."""
        async with self._turn(actor, session_id), self.db.transaction() as session:
            row = await store.get_session(session, actor, session_id)
            row.status, row.updated_at = SessionStatus.CANCELLED.value, self.clock.now()

    # --- one turn

    @asynccontextmanager
    async def _turn(self, actor: Actor, session_id: str) -> AsyncGenerator[None]:
        """Nobody learns of, or holds up, somebody else's conversation: each has turns of their own."""
        turn = (actor.tenant_id, actor.user_id, session_id)
        if turn in self._busy:
            raise TurnInProgress("One moment, I'm still on your last message.", session_id=session_id)
        self._busy.add(turn)
        try:
            yield
        finally:
            self._busy.discard(turn)

    async def _open(
        self, actor: Actor, session_id: str, client_message_id: str | None
    ) -> tuple[SessionRow, dict[str, Any] | None]:
        async with self.db.read() as session:
            row = await store.get_session(session, actor, session_id)
            if client_message_id is None:
                return row, None
            return row, await store.reply_to(session, session_id, client_message_id)

    async def _facts(self, actor: Actor, row: SessionRow) -> Facts:
        now = self.clock.now()
        zone = row.timezone or self.settings.timezone
        return Facts(
            now=now.astimezone(ZoneInfo(zone)),
            timezone=zone,
            zone_known=row.timezone is not None or self.settings.timezone != "UTC",
            integrations=await self.doer.known_integrations(actor),
            connections=await self.doer.known_connections(actor),
            agents=await self.doer.known_agents(actor),
            away=row.turns > 1 and now - row.updated_at > AWAY,
        )

    async def _store(
        self, actor: Actor, row: SessionRow, message: str, client_message_id: str | None, turn: Turn
    ) -> ReplyView:
        reply = _reply_of(turn)
        titles = [str(card.get("title", "")) for card in reply.cards]
        slips = forbidden_words("\n".join([reply.text, *reply.actions, *titles]), reply.quoted)
        if slips:
            log.error("a reply in the phase %s used technical words: %s", reply.phase, slips)
            reply = without_slips(reply)
        now = self.clock.now()
        payload = {"session_id": row.id, "phase": reply.phase}
        event = Event("conversation.replied", f"conversation:{row.id}", now, actor.by, payload)
        async with self.db.transaction() as session:
            kept = await store.get_session(session, actor, row.id)
            number = 2 * kept.turns - 1
            said = _said_by_user(row.id, number, message, client_message_id, now)
            answer = _said_by_bot(row.id, number + 1, reply, turn.state.draft_agent_id, now)
            session.add_all([said, answer])
            for name, value in _fields(turn.state).items():
                setattr(kept, name, value)
            kept.title = kept.title or " ".join(message.split())[:120]
            kept.turns, kept.updated_at = kept.turns + 1, now
            await self.events.append(session, actor.tenant_id, event)
        return ReplyView(**reply.to_json(turn.state.draft_agent_id))

    def _view(self, row: SessionRow) -> dict[str, Any]:
        return {
            "id": row.id,
            "title": row.title,
            "phase": row.phase,
            "status": self._status(row),
            "draft_agent_id": row.draft_agent_id,
            "updated_at": row.updated_at,
        }

    def _status(self, row: SessionRow) -> str:
        silence = self.clock.now() - row.updated_at
        if silence > EXPIRES:
            return SessionStatus.EXPIRED.value
        waits = silence > AWAY and row.status == SessionStatus.OPEN
        return SessionStatus.WAITING.value if waits else row.status


def check_zone(zone: str | None) -> None:
    if zone is not None and zone not in available_timezones():
        rule = "an IANA time zone, for example Europe/Berlin"
        raise Invalid(
            f"There is no time zone {zone!r}.", fields=[{"field": "timezone", "value": zone, "rule": rule}]
        )


def _reply_of(turn: Turn) -> Reply:
    if turn.reply is None:
        raise RuntimeError("a turn of the conversation ended without a reply")
    return turn.reply


def _fields(state: ConversationState) -> dict[str, Any]:
    return {
        "state": state.model_dump(mode="json"),
        "phase": state.phase.value,
        "status": state.status.value,
        "draft_agent_id": state.draft_agent_id,
    }


def _said_by_user(
    session_id: str, number: int, text: str, client_message_id: str | None, at: datetime
) -> MessageRow:
    return MessageRow(
        session_id=session_id,
        number=number,
        role="user",
        text=text,
        reply=None,
        client_message_id=client_message_id,
        at=at,
    )


def _said_by_bot(
    session_id: str, number: int, reply: Reply, draft_agent_id: str | None, at: datetime
) -> MessageRow:
    return MessageRow(
        session_id=session_id,
        number=number,
        role="bot",
        text=reply.text,
        reply=reply.to_json(draft_agent_id),
        client_message_id=None,
        at=at,
    )
