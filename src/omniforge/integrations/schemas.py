"""Wire shapes of integrations, connections and sign-ins. None of them ever carries a secret."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from omniforge.core.paging import Paging


class ConnectionKind(StrEnum):
    OAUTH = "oauth"
    KEY = "key"
    NONE = "none"
    """Of an integration without a sign-in: always there, its id is the integration's."""


class ConnectionStatus(StrEnum):
    HEALTHY = "healthy"
    EXPIRING = "expiring"
    """Good for a few minutes more; renewed at the next use."""
    BROKEN = "broken"
    """The service refuses our credentials: the person has to reconnect."""
    REVOKED = "revoked"
    """Disconnected here; the credentials are deleted."""


class ToolView(BaseModel):
    name: str
    description: str
    access: str
    input_schema: dict[str, Any]


class SignInFieldView(BaseModel):
    """One thing to type in to connect; `secret` ones are hidden meanwhile."""

    name: str
    title: str
    secret: bool
    required: bool
    default: str


class IntegrationView(BaseModel):
    id: str
    title: str
    description: str
    configured: bool
    connected: bool
    accepts_keys: bool
    sign_in: str
    """`oauth`, `key`, or `none`: nothing to connect."""
    fields: list[SignInFieldView]
    """What to type in, when it is more than one access key."""
    asks: list[str]
    """What the sign-in screen will ask and why."""
    words: list[str]
    resource_kinds: list[str]
    events: list[str]
    tools: list[ToolView]


class Connection(BaseModel):
    id: str
    integration_id: str
    workspace_id: str
    workspace_name: str
    kind: ConnectionKind
    status: ConnectionStatus
    reason: str
    """Why it stands so, and what to do about it, in plain words."""
    scopes: list[str]
    expires_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Resource(BaseModel):
    """Something a person can pick at the service. `items` counts what is in it, None when not counted."""

    id: str
    name: str
    kind: str
    items: int | None = None
    url: str | None = None
    fields: list[dict[str, Any]] | None = None
    """`{name, type, options?}`, only when asked for one resource's fields."""


class SignIn(BaseModel):
    """A started sign-in. `state` is for clients that finish it themselves; it is not stored in the clear."""

    auth_url: str = Field(repr=False)
    state: str = Field(repr=False)
    expires_at: datetime


class Disconnected(BaseModel):
    success: bool = True
    affected_agents: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])


class IntegrationList(BaseModel):
    integrations: list[IntegrationView]
    total: int
    limit: int
    offset: int


class ConnectionList(BaseModel):
    connections: list[Connection]
    total: int
    limit: int
    offset: int


class ResourceList(BaseModel):
    resources: list[Resource]
    total: int
    limit: int
    offset: int


class ConnectionQuery(Paging):
    integration: str | None = Field(default=None, max_length=64)


class ResourceQuery(Paging):
    kind: str | None = Field(default=None, max_length=64)
    search: str | None = Field(default=None, max_length=200)


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


IntegrationId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,31}$")]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class KeyConnectionRequest(_Request):
    integration: IntegrationId
    key: SecretStr | None = None
    """Checked by the service: a mistake found here would be told with the value."""
    fields: dict[str, SecretStr] | None = Field(default=None, max_length=30)
    """For an integration that asks for several things, each by its name."""


class SignInRequest(_Request):
    integration: IntegrationId
    session_id: str | None = Field(default=None, max_length=64)
    return_to: str | None = Field(default=None, max_length=500)


class FinishRequest(_Request):
    integration: IntegrationId
    code: Secret
    state: Secret


class Finished(BaseModel):
    credential_id: str
    workspace_name: str
