"""A conversation while it goes on: what a turn tells before its reply, and what arrives meanwhile."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from omniforge.builder.schemas import Reply
from omniforge.core.actor import Actor
from omniforge.core.errors import OmniForgeError
from omniforge.engine.events import EventLog

Json = dict[str, Any]
Tell = Callable[[str], None]
"""Takes a true line about what is being done right now."""

_PIECE = re.compile(r".+?(?:\n{2,}|$)", re.DOTALL)


def unheard(line: str) -> None:
    """For callers that wait for the reply only."""


class ToldKind(StrEnum):
    DELTA = "delta"
    PROGRESS = "progress"
    REPLY = "reply"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Told:
    """`data` is `{text}` for delta and progress, the whole reply, or `{error, message, details}`."""

    kind: ToldKind
    data: Json


class LiveTurn:
    """A turn whose progress can be listened to. It goes on when nobody listens any more: what it did is
    stored, and the same `client_message_id` gives its reply later."""

    _going: set[asyncio.Task[None]] = set()  # noqa: RUF012 - keeps turns alive that nobody waits for

    def __init__(self) -> None:
        self._told: asyncio.Queue[Told | OmniForgeError | None] = asyncio.Queue()
        self._first: Told | None = None

    @classmethod
    async def begin(cls, work: Callable[[Tell], Awaitable[Reply]]) -> LiveTurn:
        """Start it and wait for the first sign of life; raises what ended the turn before there was any."""
        turn = cls()
        task = asyncio.create_task(turn._take(work))
        cls._going.add(task)
        task.add_done_callback(cls._going.discard)
        first = await turn._told.get()
        if isinstance(first, OmniForgeError):
            raise first
        if first is None:
            task.result()  # an error of ours that is none of the tree
        turn._first = first
        return turn

    async def _take(self, work: Callable[[Tell], Awaitable[Reply]]) -> None:
        def tell(line: str) -> None:
            self._told.put_nowait(Told(ToldKind.PROGRESS, {"text": line}))

        try:
            reply = await work(tell)
        except OmniForgeError as error:
            self._told.put_nowait(error)
        else:
            for piece in pieces(reply.text):
                self._told.put_nowait(Told(ToldKind.DELTA, {"text": piece}))
            self._told.put_nowait(Told(ToldKind.REPLY, reply.model_dump(mode="json")))
        finally:
            self._told.put_nowait(None)

    async def told(self) -> AsyncGenerator[Told]:
        """All that is told, the reply last; an error that came after the first sign of life in its place."""
        if self._first is not None:
            yield self._first
        while (said := await self._told.get()) is not None:
            if isinstance(said, OmniForgeError):
                yield Told(ToldKind.ERROR, error_json(said))
            else:
                yield said


def pieces(text: str) -> list[str]:
    """A reply paragraph by paragraph; joined they are the text."""
    return _PIECE.findall(text)


def error_json(error: OmniForgeError) -> Json:
    return {"error": error.code, "message": error.message, "details": error.details}


# --- what arrives between two turns ---------------------------------------------------------------

ARRIVALS = {
    "conversation.replied": "reply",
    "connection.arrived": "connection",
    "run.finished": "execution",
}


@dataclass(frozen=True, slots=True)
class Arrival:
    """`kind` is reply, connection or execution; `seq` says where to go on after it."""

    seq: int
    kind: str
    data: Json


async def arrivals(
    log: EventLog, actor: Actor, session_id: str, after: int, started_by: Callable[[str], Awaitable[bool]]
) -> AsyncGenerator[Arrival]:
    """What happens after `after` that concerns this person and this conversation. `started_by` tells whether
    a run is one that this person asked for."""
    async for row in log.follow(actor.tenant_id, after=after):
        kind = ARRIVALS.get(row.type)
        if kind is None:
            continue
        payload: Json = json.loads(row.payload)
        match row.type:
            case "conversation.replied":
                concerns = payload.get("session_id") == session_id
            case "connection.arrived":
                concerns = payload.get("user_id") == actor.user_id
            case _:
                concerns = row.run_id is not None and await started_by(row.run_id)
        if concerns:
            yield Arrival(row.seq, kind, {"at": row.at, "execution_id": row.run_id, **payload})
