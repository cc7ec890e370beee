"""What a tool is, and what it is told about the call it serves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel

from omniforge.core.shapes import checked, schema_of
from omniforge.integrations.manifest import Access, Lookup
from omniforge.integrations.samples import SampleTerms
from omniforge.runs.service import Mode

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a write or send goes, as shown to people and compared with what was approved."""

    integration: str
    connection: str | None
    resource: str
    name: str

    def shown(self) -> Json:
        return {
            "integration": self.integration,
            "connection": self.connection,
            "resource": self.resource,
            "name": self.name,
        }


@dataclass(frozen=True, slots=True)
class CallScope:
    """Whose call it is: the run's tenant, mode and connections, and the step's own working folder.

    terms: how this call meets sample data, in a run that works on them. folders: more places to read from,
    by the path they have for whoever calls (`/skill`).
    """

    tenant_id: str
    user_id: str
    mode: Mode
    logical_time: datetime
    workspace: Path
    connections: Mapping[str, str] = field(default_factory=dict[str, str])
    resources: tuple[Json, ...] = ()
    terms: SampleTerms = field(default_factory=SampleTerms)
    folders: Mapping[str, Path] = field(default_factory=dict[str, Path])

    def without_fault(self) -> CallScope:
        return replace(self, terms=SampleTerms(self.terms.world, self.terms.shape))


class Tool(Protocol):
    """Something a step can call. `call` gets arguments that `check` has passed."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def access(self) -> Access: ...

    @property
    def input_schema(self) -> Json: ...

    @property
    def outward(self) -> bool:
        """Whether a call leaves this computer."""
        ...

    def check(self, args: Json) -> Json:
        """The arguments, defaults filled in; `Invalid` names every mistake."""
        ...

    def subject(self, args: Json) -> str:
        """What an allow-list pattern such as `Read(reports/*)` is compared with."""
        ...

    def target(self, args: Json, scope: CallScope) -> Target | None: ...

    def container(self, args: Json) -> str | None:
        """What a read lists the items of: a database, say. None when it is no such read."""
        ...

    def summary(self, args: Json) -> str:
        """Plain words: "posts to #team-updates"."""
        ...

    async def call(self, args: Json, scope: CallScope) -> Json: ...

    async def hold(self, args: Json, scope: CallScope) -> Json:
        """What a call answers that is only shown and not sent (preview)."""
        ...

    def lookup(self, args: Json) -> Lookup | None:
        """How to see whether a call with these arguments has happened; None when that cannot be seen."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTool:
    """A tool of ours that reaches nothing outside but what `run` itself reaches."""

    name: str
    description: str
    arguments: type[BaseModel]
    access: Access
    run: Callable[[Any, CallScope], Awaitable[Json]]
    subject_field: str
    outward: bool = False
    plain_subject: Callable[[str], str] = str
    """The subject as allow-lists write it: a path without what stands before it in every path, say."""

    @property
    def input_schema(self) -> Json:
        return schema_of(self.arguments)

    def check(self, args: Json) -> Json:
        return checked(self.arguments, args, self.name).model_dump()

    def subject(self, args: Json) -> str:
        return self.plain_subject(str(args.get(self.subject_field, "")))

    def target(self, args: Json, scope: CallScope) -> Target | None:
        return None

    def container(self, args: Json) -> str | None:
        return None

    def summary(self, args: Json) -> str:
        return f"{self.name} {self.subject(args)}".strip()

    async def call(self, args: Json, scope: CallScope) -> Json:
        return await self.run(self.arguments.model_validate(args), scope)

    async def hold(self, args: Json, scope: CallScope) -> Json:
        return await self.call(args, scope)

    def lookup(self, args: Json) -> Lookup | None:
        return None
