"""What an integration is: a folder of the catalogue with `provider.yaml`, `tools.py` and `fixtures/`."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Protocol, Self, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from omniforge.core.errors import Invalid, NotFound
from omniforge.core.shapes import checked, schema_of
from omniforge.integrations.clients import OpenClient, OpenSample
from omniforge.integrations.rest import Answer, Said

CATALOG = Path(__file__).parent / "catalog"

Json = dict[str, Any]


class Access(StrEnum):
    """What a tool does outside: `read` looks, `write` changes something, `send` reaches people."""

    READ = "read"
    WRITE = "write"
    SEND = "send"


class SignInKind(StrEnum):
    OAUTH = "oauth"
    KEY = "key"
    """One key, or the named `fields` (a server, a user name, a password …), typed in by a person."""
    NONE = "none"
    """There is nothing to sign in to: always connected, by a connection whose id is the integration's."""


class ClientAuth(StrEnum):
    """How the token address wants to be told who we are."""

    BASIC_JSON = "basic_json"
    BASIC_FORM = "basic_form"
    BODY_FORM = "body_form"


class Revoke(StrEnum):
    """How the revoke address wants to be told which token ends."""

    TOKEN = "token"  # noqa: S105 - a name
    """POST in the style of the token address, with `token`."""
    DELETE = "delete"
    """DELETE with HTTP Basic and JSON `{"access_token": …}`; `{client_id}` in the address is filled in."""


class Refresh(StrEnum):
    NONE = "none"
    KEEPS = "keeps"
    """The refresh token stays the same."""
    ROTATES = "rotates"
    """Each use gives a new pair and ends the old one."""


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Scope(_Data):
    name: str
    reason: str


class SignInField(_Data):
    """One thing a person types in to connect."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{1,31}$")
    title: str
    secret: bool = False
    """Whether it is hidden while it is typed. All of them are stored sealed and never shown again."""
    required: bool = True
    default: str = ""
    pattern: str = r"[^\x00-\x1f\x7f]{1,500}"
    """What a value has to look like."""


class SignInData(_Data):
    """How a person gives us access. Addresses are the service's official ones."""

    kind: SignInKind
    authorize_url: str = ""
    authorize_parameters: dict[str, str] = Field(default_factory=dict[str, str])
    token_url: str = ""
    revoke_url: str | None = None
    """May name the `{client_id}`."""
    revoke_style: Revoke = Revoke.TOKEN
    pkce: bool = False
    scopes: tuple[Scope, ...] = ()
    scope_separator: str = " "
    client_auth: ClientAuth = ClientAuth.BASIC_FORM
    refresh: Refresh = Refresh.NONE
    accepts_keys: bool = False
    """Whether a pasted access key works as well."""
    bare_keys: str = ""
    """What access keys begin with, where the service wants them without `Bearer`."""
    fields: tuple[SignInField, ...] = ()
    """Of the kind `key`, when it takes more than one key."""
    asks: tuple[str, ...] = ()
    """What the sign-in screen will ask and why, one plain sentence each."""

    @model_validator(mode="after")
    def check_asks(self) -> Self:
        if not self.asks and self.kind is not SignInKind.NONE:
            raise ValueError("asks: say what the sign-in will ask and why")
        return self

    @property
    def takes_keys(self) -> bool:
        return self.accepts_keys or self.kind is SignInKind.KEY


class ResourceKind(_Data):
    """One kind of thing a person can pick, and the tools that list and describe it."""

    kind: str
    title: str
    list_tool: str
    list_key: str
    describe_tool: str | None = None
    id_argument: str = "id"


class Encoding(StrEnum):
    HEX = "hex"
    BASE64 = "base64"


class Handshake(StrEnum):
    """What a service sends once, before it delivers anything."""

    NONE = "none"
    SLACK_CHALLENGE = "slack_challenge"
    NOTION_TOKEN = "notion_token"  # noqa: S105 - a name


class SignatureData(_Data):
    """Where a delivery's HMAC-SHA256 stands and what is signed: `{body}`, `{timestamp}`, `{id}`."""

    header: str
    prefix: str = ""
    encoding: Encoding = Encoding.HEX
    signed: str = "{body}"


class TimestampData(_Data):
    """Where a delivery says when it was sent: in a header, or in a field of its body."""

    header: str = ""
    field: str = ""
    unit: Literal["seconds", "milliseconds"] = "seconds"
    tolerance_seconds: int = Field(gt=0)


class WebhookData(_Data):
    """How a service signs what it delivers, and what tells a repeated delivery."""

    signature: SignatureData
    timestamp: TimestampData | None = None
    replay_key: str = Field(pattern=r"^(body|timestamp_body|field:[\w.]+|header:[\w-]+)$")
    """`body`: its hash · `timestamp_body`: the hash of both · a field of the body · a header."""
    handshake: Handshake = Handshake.NONE
    workspace: str = ""
    """Dotted path in the body to the workspace it is about; empty when it names none."""


class Manifest(_Data):
    """`provider.yaml`."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{1,31}$")
    title: str
    description: str
    words: tuple[str, ...] = Field(min_length=1)
    """Words people use for the service and what is in it, lower case."""
    address: str = ""
    """Where the tools' paths hang, e.g. `https://api.notion.com`."""
    headers: dict[str, str] = Field(default_factory=dict[str, str])
    rate_per_second: float = Field(gt=0)
    sign_in: SignInData
    identity_tool: str = ""
    """Tool answering `{user: {id, name}, workspace: {id, name}}`; none where nobody signs in."""
    resources: tuple[ResourceKind, ...] = ()
    webhook: WebhookData | None = None

    @model_validator(mode="after")
    def check_identity(self) -> Self:
        if not self.identity_tool and self.sign_in.kind is not SignInKind.NONE:
            raise ValueError("identity_tool: say which tool tells whose access it is")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One thing that happened at a service.

    `version` tells two happenings to the same thing apart: an edited time, an update's id. `resource` is the
    container it happened in (database, channel, team, `owner/repo`); `item` is the thing as the reading tools
    show it; `author` is the user there who did it, by which our own writes are told.
    """

    type: str
    id: str
    version: str
    at: datetime
    resource: str | None
    item: Json
    author: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventKind:
    """One kind of happening that can start an agent. `poll` gets the client, the resource and a time, and
    answers everything that happened at that time or after. The name `*` stands for any name there is.
    """

    name: str
    title: str
    """Plain words: "a new row in a database"."""
    resource_kind: str | None = None
    push: bool = False
    poll: Callable[[Any, str | None, datetime], Awaitable[list[Occurrence]]] | None = None
    read_tool: str | None = None
    """Where a delivery names only ids: the reading tool whose answer becomes `item`."""
    read_argument: str = "id"
    """The argument of `read_tool` that takes the occurrence's id."""


ReadDelivery = Callable[[Mapping[str, str], Json], list[Occurrence]]
"""What a delivery (its headers, lower case, and its body) tells of; empty for what nobody can wait for."""

Mark = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{4,120}$")]
"""What a write can be found again by."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a write or send goes: the container's id there, and its name as far as it is known."""

    resource: str
    name: str


Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Lookup:
    """The call that finds what a write has made: its answer has null under `found` when there is nothing."""

    tool: str
    args: Json
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationTool:
    """One thing that can be done at a service. `run` gets the integration's client (a `RestClient`, or what
    its `open_client` opens) and the arguments as the checked model.
    """

    name: str
    description: str
    arguments: type[BaseModel]
    access: Access
    summary: Callable[[Arguments], str]
    run: Callable[[Any, Any], Awaitable[Json]]
    destination: Callable[[Arguments], Destination | None] = lambda _: None
    lookup: Callable[[Arguments], Lookup | None] = lambda _: None
    """Of a write: how to see whether it has happened, when its answer was lost."""

    @property
    def input_schema(self) -> Json:
        """JSON Schema of the arguments."""
        return schema_of(self.arguments)

    def check(self, args: Arguments) -> BaseModel:
        """The arguments as a model; Invalid names every mistake."""
        return checked(self.arguments, args, self.name)

    async def call(self, client: Any, args: Arguments) -> Json:
        """Check the arguments and do it. The result is plain data from outside: never trusted text."""
        return await self.run(client, self.check(args))


class SampleSource(Protocol):
    """Makes sample data from `fixtures/`: a transport (`httpx.AsyncBaseTransport`) that answers like the
    service and reaches no network; where the tools offer `open_sample`, whatever that opens.

    `resources` are resources known from a connection (`{id, name, fields}`); their sample rows take that
    shape. `empty` leaves every container without items. `now` is the moment sample times are relative to.
    """

    def __call__(self, now: datetime, *, resources: Sequence[Arguments] = (), empty: bool = False) -> Any: ...


@dataclass(frozen=True, slots=True)
class Integration:
    """One folder of the catalogue, loaded."""

    manifest: Manifest
    tools: Mapping[str, IntegrationTool]
    samples: SampleSource
    folder: Path
    events: Mapping[str, EventKind] = field(default_factory=dict[str, EventKind])
    read_delivery: ReadDelivery = lambda _, __: []
    read_trouble: Callable[[Answer], Said | None] = lambda _: None
    open_client: OpenClient | None = None
    open_sample: OpenSample | None = None

    @property
    def needs_connection(self) -> bool:
        return self.manifest.sign_in.kind is not SignInKind.NONE

    def event(self, name: str) -> EventKind | None:
        """The kind of that name, or the one that stands for any."""
        return self.events.get(name) or self.events.get("*")

    @property
    def id(self) -> str:
        return self.manifest.id

    @property
    def title(self) -> str:
        return self.manifest.title

    def tool(self, name: str) -> IntegrationTool:
        tool = self.tools.get(name)
        if tool is None:
            raise NotFound(
                f"{self.title} has no tool {name!r}.", code="tool_not_found", known=sorted(self.tools)
            )
        return tool

    def resource_kind(self, kind: str | None) -> ResourceKind:
        """The kind of that name, or the first one when none is named."""
        for candidate in self.manifest.resources:
            if kind in (None, candidate.kind):
                return candidate
        known = [k.kind for k in self.manifest.resources]
        raise NotFound(f"{self.title} has nothing of the kind {kind!r}.", code="kind_not_found", known=known)


def read_manifest(path: Path) -> Manifest:
    """Load one `provider.yaml`; Invalid says what is wrong and where."""
    try:
        return Manifest.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise Invalid(f"{path}: {error}", code="manifest_invalid") from error


def load_integration(folder: Path) -> Integration:
    """Load a folder of the catalogue.

    Its `tools.py` offers `TOOLS` and `samples`; `read_trouble` where the status code alone does not tell what
    went wrong; `open_client` (and `open_sample`) where its tools need another client than REST at one
    address. Its `events.py`, if there is one, offers `EVENTS` and `read_delivery`.
    """
    manifest = read_manifest(folder / "provider.yaml")
    package = f"omniforge.integrations.catalog.{folder.name}"
    module = importlib.import_module(f"{package}.tools")
    tools = cast("tuple[IntegrationTool, ...]", module.TOOLS)
    parts: dict[str, Any] = {}
    for offered in ("read_trouble", "open_client", "open_sample"):
        if hasattr(module, offered):
            parts[offered] = getattr(module, offered)
    if (folder / "events.py").exists():
        happenings = importlib.import_module(f"{package}.events")
        kinds = cast("tuple[EventKind, ...]", happenings.EVENTS)
        parts["events"] = MappingProxyType({kind.name: kind for kind in kinds})
        parts["read_delivery"] = happenings.read_delivery
    return Integration(
        manifest, MappingProxyType({tool.name: tool for tool in tools}), module.samples, folder, **parts
    )


@cache
def load_catalog() -> Mapping[str, Integration]:
    """Every integration of this installation by id, found by its folder."""
    folders = sorted(path.parent for path in CATALOG.glob("*/tools.py"))
    loaded = [load_integration(folder) for folder in folders]
    return MappingProxyType({integration.id: integration for integration in loaded})


def tool_of(catalog: Mapping[str, Integration], tool_name: str) -> tuple[Integration, IntegrationTool]:
    """The integration a full tool name (`notion.query_database`) belongs to, and the tool."""
    integration = catalog.get(tool_name.partition(".")[0])
    if integration is None:
        raise NotFound(f"No integration offers the tool {tool_name!r}.", code="tool_not_found")
    return integration, integration.tool(tool_name)
