"""HTTP of the conversation."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

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
