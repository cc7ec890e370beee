"""What an integration is: a folder of the catalogue with `provider.yaml`, `tools.py` and `fixtures/`."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, cast

import httpx
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from omniforge.core.errors import Invalid, NotFound
from omniforge.core.shapes import checked
from omniforge.integrations.rest import RestClient

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


class ClientAuth(StrEnum):
    """How the token address wants to be told who we are."""

    BASIC_JSON = "basic_json"
    BASIC_FORM = "basic_form"
    BODY_FORM = "body_form"


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


class SignInData(_Data):
    """How a person gives us access. Paths hang on the service's base address, which is a setting."""

    kind: SignInKind
    authorize_path: str = ""
    authorize_parameters: dict[str, str] = Field(default_factory=dict[str, str])
    token_path: str = ""
    revoke_path: str | None = None
    pkce: bool = False
    scopes: tuple[Scope, ...] = ()
    scope_separator: str = " "
    client_auth: ClientAuth = ClientAuth.BASIC_FORM
    refresh: Refresh = Refresh.NONE
    accepts_keys: bool = False
    """Whether a pasted access key works as well."""
    asks: tuple[str, ...] = Field(min_length=1)
    """What the sign-in screen will ask and why, one plain sentence each."""


class ResourceKind(_Data):
    """One kind of thing a person can pick, and the tools that list and describe it."""

    kind: str
    title: str
    list_tool: str
    list_key: str
    describe_tool: str | None = None
    id_argument: str = "id"


class Manifest(_Data):
    """`provider.yaml`."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{1,31}$")
    title: str
    description: str
    words: tuple[str, ...] = Field(min_length=1)
    """Words people use for the service and what is in it, lower case."""
    headers: dict[str, str] = Field(default_factory=dict[str, str])
    rate_per_second: float = Field(gt=0)
    sign_in: SignInData
    identity_tool: str
    """Tool answering `{user: {id, name}, workspace: {id, name}}`."""
    resources: tuple[ResourceKind, ...] = ()
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a write or send goes: the container's id there, and its name as far as it is known."""

    resource: str
    name: str


Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationTool:
    """One thing that can be done at a service. `run` gets the arguments as the checked model."""

    name: str
    description: str
    arguments: type[BaseModel]
    access: Access
    summary: Callable[[Arguments], str]
    run: Callable[[RestClient, Any], Awaitable[Json]]
    destination: Callable[[Arguments], Destination | None] = lambda _: None

    @property
    def input_schema(self) -> Json:
        """JSON Schema of the arguments."""
        return self.arguments.model_json_schema()

    def check(self, args: Arguments) -> BaseModel:
        """The arguments as a model; Invalid names every mistake."""
        return checked(self.arguments, args, self.name)

    async def call(self, client: RestClient, args: Arguments) -> Json:
        """Check the arguments and do it. The result is plain data from outside: never trusted text."""
        return await self.run(client, self.check(args))


class SampleSource(Protocol):
    """Makes a transport that answers like the service, from `fixtures/` and without a network.

    `resources` are resources known from a connection (`{id, name, fields}`); their sample rows take that
    shape. `empty` leaves every container without items. `now` is the moment sample times are relative to.
    """

    def __call__(
        self, now: datetime, *, resources: Sequence[Arguments] = (), empty: bool = False
    ) -> httpx.AsyncBaseTransport: ...


@dataclass(frozen=True, slots=True)
class Integration:
    """One folder of the catalogue, loaded."""

    manifest: Manifest
    tools: Mapping[str, IntegrationTool]
    samples: SampleSource
    folder: Path

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
    """Load a folder of the catalogue; its `tools.py` offers `TOOLS` and `samples`."""
    manifest = read_manifest(folder / "provider.yaml")
    module = importlib.import_module(f"omniforge.integrations.catalog.{folder.name}.tools")
    tools = cast("tuple[IntegrationTool, ...]", module.TOOLS)
    samples = cast("SampleSource", module.samples)
    return Integration(manifest, MappingProxyType({tool.name: tool for tool in tools}), samples, folder)


@cache
def load_catalog() -> Mapping[str, Integration]:
    """Every integration of this installation by id, found by its folder."""
    folders = sorted(path.parent for path in CATALOG.glob("*/provider.yaml"))
    loaded = [load_integration(folder) for folder in folders]
    return MappingProxyType({integration.id: integration for integration in loaded})


def tool_of(catalog: Mapping[str, Integration], tool_name: str) -> tuple[Integration, IntegrationTool]:
    """The integration a full tool name (`notion.query_database`) belongs to, and the tool."""
    integration = catalog.get(tool_name.partition(".")[0])
    if integration is None:
        raise NotFound(f"No integration offers the tool {tool_name!r}.", code="tool_not_found")
    return integration, integration.tool(tool_name)
