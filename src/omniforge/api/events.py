"""The event log over HTTP: a list, or a stream of server-sent events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.requests import HTTPConnection
from fastapi.responses import Response, StreamingResponse
from fastapi.sse import format_sse_event
from starlette.types import Send

from omniforge.api.event_shapes import Event, EventList, EventQuery
from omniforge.api.feed import Feed, Following, Told
from omniforge.api.hearing import require_any
from omniforge.core.actor import Actor
from omniforge.core.errors import OmniForgeError
from omniforge.engine.envelopes import EventFilter
from omniforge.runs.endpoints import LastEventId, resume_after
from omniforge.tenants.endpoints import CurrentActor, Tenants, facts_of

SILENCE = 15.0
"""Seconds after which a stream without events says that it lives."""
STANDING = 60.0
"""Seconds after which a stream asks again whether its reader may still read."""

router = APIRouter(prefix="/api/v1", tags=["events"])


def feed_of(connection: HTTPConnection) -> Feed:
    feed: Feed = connection.app.state.feed
    return feed


class Standing:
    """Who reads; asked anew from time to time, for a stream outlives what it was opened with."""

    def __init__(self, ask: Callable[[], Awaitable[Actor]]) -> None:
        self._ask = ask
        self._asked = monotonic()

    async def keep(self, reader: Following) -> None:
        """Unauthenticated or Forbidden once the credential no longer holds."""
        if monotonic() - self._asked < STANDING:
            return
        self._asked = monotonic()
        reader.actor = await self._ask()
        require_any(reader.actor)


class EventStream(StreamingResponse):
    """Server-sent events until the reader leaves, or may no longer read."""

    def __init__(
        self, feed: Feed, actor: Actor, standing: Standing, *, wanted: EventFilter, after: int
    ) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__((), media_type="text/event-stream", headers=headers)
        self.feed, self.actor, self.standing = feed, actor, standing
        self.wanted, self.after = wanted, after

    async def stream_response(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        async with self.feed.following(self.actor, self.wanted, self.after) as reader:
            await send(start)
            try:
                while True:
                    await self.standing.keep(reader)
                    told = await reader.next(SILENCE)
                    body = b"".join(map(sent, told)) or b": nothing new\n\n"
                    await send({"type": "http.response.body", "body": body, "more_body": True})
            except OmniForgeError:  # the answer has begun: it can only end; who asks again is told why
                await send({"type": "http.response.body", "body": b"", "more_body": False})


def sent(told: Told) -> bytes:
    return format_sse_event(data_str=told.text, event=told.row.type, id=str(told.seq))


_STREAM = {"text/event-stream": {"schema": {"type": "string"}}}


@router.get("/events", response_model=EventList, responses={200: {"content": _STREAM}})
async def read_events(  # noqa: PLR0917 - all that a request says
    request: Request,
    actor: CurrentActor,
    tenants: Tenants,
    query: Annotated[EventQuery, Query()],
    accept: Annotated[str, Header()] = "",
    last_event_id: LastEventId = None,
) -> EventList | Response:
    """What happened in the tenant, as far as the caller may know of it.

    With `Accept: text/event-stream` it goes on live after `after` or Last-Event-ID, whichever is larger.
    """
    require_any(actor)
    feed, wanted = feed_of(request), query.filter()
    if "text/event-stream" in accept.lower():
        standing = Standing(lambda: tenants.authenticate(facts_of(request, tenants.settings)))
        after = resume_after(query.after, last_event_id)
        return EventStream(feed, actor, standing, wanted=wanted, after=after)
    told, total = await feed.find(
        actor,
        wanted,
        query.after,
        limit=query.limit,
        offset=query.offset,
        newest_first=query.order == "desc",
    )
    return EventList(
        events=[Event(**one.event) for one in told],
        total=total,
        limit=query.limit,
        offset=query.offset,
        next_after=max((one.seq for one in told), default=query.after),
    )
