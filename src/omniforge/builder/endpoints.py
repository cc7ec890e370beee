"""HTTP of the conversation."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from omniforge.agents.endpoints import StreamRoute
from omniforge.builder.live import LiveTurn, Tell
from omniforge.builder.requests import Binding
from omniforge.builder.schemas import (
    Completed,
    MessageRequest,
    OauthComplete,
    Reply,
    SessionDetail,
    SessionList,
    Started,
    StartRequest,
    Success,
)
from omniforge.builder.service import BuilderService
from omniforge.core.paging import Paging
from omniforge.integrations.endpoints import bind_browser
from omniforge.runs.endpoints import resume_after
from omniforge.tenants import CurrentActor

router = APIRouter(prefix="/api/v1/conversation", tags=["conversation"])


def builder_of(request: Request) -> BuilderService:
    service: BuilderService = request.app.state.builder
    return service


Builder = Annotated[BuilderService, Depends(builder_of)]


def binding_of(request: Request, response: Response) -> Binding:
    """A sign-in that starts in a conversation comes back to the same browser."""
    return partial(bind_browser, request, response, request.app.state.integrations)


Bound = Annotated[Binding, Depends(binding_of)]


async def known_session(session_id: str, actor: CurrentActor, builder: Builder) -> str:
    """Answers 404 before a stream begins."""
    await builder.known(actor, session_id)
    return session_id


KnownSession = Annotated[str, Depends(known_session)]


@router.post("/start", status_code=201)
async def start(body: StartRequest, actor: CurrentActor, builder: Builder, binding: Bound) -> Started:
    return await builder.start(actor, body, binding)


@router.get("")
async def list_sessions(
    actor: CurrentActor,
    builder: Builder,
    paging: Annotated[Paging, Query()],
) -> SessionList:
    return await builder.list_sessions(actor, paging)


@router.get("/{session_id}")
async def get_session(session_id: str, actor: CurrentActor, builder: Builder) -> SessionDetail:
    return await builder.get_session(actor, session_id)


streams = APIRouter(route_class=StreamRoute)


async def begun_turn(
    session_id: str, body: MessageRequest, actor: CurrentActor, builder: Builder, binding: Bound
) -> LiveTurn:
    """What is wrong with a message is answered as such; once the stream has begun, the status stands."""

    def work(tell: Tell) -> Awaitable[Reply]:
        return builder.handle_message(
            actor, session_id, body.message, body.client_message_id, binding, tell=tell
        )

    return await LiveTurn.begin(work)


@streams.post("/{session_id}/message", response_class=EventSourceResponse, include_in_schema=False)
async def stream_message(turn: Annotated[LiveTurn, Depends(begun_turn)]) -> AsyncIterable[ServerSentEvent]:
    number = 0
    async for told in turn.told():
        number += 1
        yield ServerSentEvent(data=told.data, event=told.kind.value, id=str(number))


router.include_router(streams)


@router.get("/{session_id}/stream", response_class=EventSourceResponse)
async def stream_arrivals(
    session: KnownSession,
    actor: CurrentActor,
    builder: Builder,
    after: Annotated[int | None, Query(ge=0)] = None,
    last_event_id: Annotated[str, Header()] = "",
) -> AsyncIterable[ServerSentEvent]:
    """Replies, connections and finished runs as they come: after `after` or Last-Event-ID, else from now."""
    told = after is not None or last_event_id
    start = resume_after(after or 0, last_event_id) if told else None
    async for arrival in builder.arrivals(actor, session, start):
        yield ServerSentEvent(data=arrival.data, event=arrival.kind, id=str(arrival.seq))


@router.post("/{session_id}/message")
async def post_message(
    session_id: str, body: MessageRequest, actor: CurrentActor, builder: Builder, binding: Bound
) -> Reply:
    return await builder.handle_message(actor, session_id, body.message, body.client_message_id, binding)


@router.post("/{session_id}/oauth-complete")
async def oauth_complete(
    session_id: str, body: OauthComplete, actor: CurrentActor, builder: Builder
) -> Completed:
    return await builder.complete_sign_in(actor, session_id, body.integration, body.code, body.state)


@router.delete("/{session_id}")
async def cancel(session_id: str, actor: CurrentActor, builder: Builder) -> Success:
    await builder.cancel(actor, session_id)
    return Success()
