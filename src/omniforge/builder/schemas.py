"""Wire shapes of the conversation."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StartRequest(_Request):
    timezone: str | None = Field(default=None, max_length=64, description="IANA name of the person's zone.")
    locale: str | None = Field(default=None, max_length=35)
    message: str | None = Field(default=None, max_length=200_000)


class MessageRequest(_Request):
    message: str = Field(max_length=200_000)
    client_message_id: str | None = Field(default=None, min_length=1, max_length=100)


class OauthComplete(_Request):
    integration: str = Field(max_length=64)
    code: str = Field(max_length=4000)
    state: str = Field(max_length=500)


class Reply(BaseModel):
    """What OmniForge says. `text` alone suffices; `actions` are answers that can be sent back verbatim."""

    text: str
    phase: str
    actions: list[str]
    oauth_url: str | None
    data: dict[str, Any]


class Started(BaseModel):
    session_id: str
    message: str
    phase: str
    reply: Reply | None = None
    data: dict[str, Any]


class Completed(BaseModel):
    success: bool
    workspace_name: str
    data: dict[str, Any]


class SessionView(BaseModel):
    id: str
    title: str
    phase: str
    status: str
    draft_agent_id: str | None
    updated_at: datetime


class SessionList(BaseModel):
    sessions: list[SessionView]
    total: int
    limit: int
    offset: int


class MessageView(BaseModel):
    """One message; `role` is user or bot."""

    number: int
    role: str
    text: str
    reply: dict[str, Any] | None
    at: datetime


class SessionDetail(SessionView):
    messages: list[MessageView]
    summary: str
    pending_question: str | None


class Success(BaseModel):
    success: bool = True
