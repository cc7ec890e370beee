"""Integration tools as a step's tools: live and preview through its connection, dry over sample data."""

from __future__ import annotations

from dataclasses import dataclass

from omniforge.engine.breakers import Breakers
from omniforge.integrations.errors import (
    AnswerTooLarge,
    ConflictThere,
    ConnectionMissing,
    PermissionDeniedThere,
    RefusedThere,
    ResourceNotFound,
)
from omniforge.integrations.manifest import Access, Integration, IntegrationTool, Lookup
from omniforge.integrations.service import IntegrationService
from omniforge.runs.service import Mode
from omniforge.runtime.tools.protocol import CallScope, Json, Target

ANSWERED = (AnswerTooLarge, ConflictThere, PermissionDeniedThere, RefusedThere, ResourceNotFound)
"""Refusals that show that the service works."""


@dataclass(frozen=True, slots=True)
class ConnectedTool:
    """One tool of the catalogue. Credentials are added on this side and never seen by a step.

    With breakers, a service that keeps failing is left alone for a while.
    """

    service: IntegrationService
    integration: Integration
    tool: IntegrationTool
    breakers: Breakers | None = None

    @property
    def name(self) -> str:
        return self.tool.name

    @property
    def description(self) -> str:
        return self.tool.description

    @property
    def access(self) -> Access:
        return self.tool.access

    @property
    def input_schema(self) -> Json:
        return self.tool.input_schema

    @property
    def outward(self) -> bool:
        return True

    def check(self, args: Json) -> Json:
        self.tool.check(args)
        return args

    def lookup(self, args: Json) -> Lookup | None:
        return self.tool.lookup(args)

    def subject(self, args: Json) -> str:
        target = self.tool.destination(args)
        return target.resource if target else str(next(iter(args.values()), ""))

    def target(self, args: Json, scope: CallScope) -> Target | None:
        found = self.tool.destination(args)
        if found is None:
            return None
        connection = self._connection(scope)
        return Target(self.integration.id, connection, found.resource, found.name)

    def container(self, args: Json) -> str | None:
        if self.access is not Access.READ:
            return None
        names = (kind.id_argument for kind in self.integration.manifest.resources)
        return next((str(args[name]) for name in names if args.get(name)), None)

    def summary(self, args: Json) -> str:
        return self.tool.summary(args)

    async def call(self, args: Json, scope: CallScope) -> Json:
        if scope.mode is Mode.DRY:
            return await self._sample(args, scope)
        connection = self._connection(scope)
        if connection is None:
            raise ConnectionMissing(
                f"This needs your {self.integration.title}. Connect it, and I'll carry on where I stopped.",
                integration=self.integration.id,
            )
        if self.breakers is None:
            return await self._ask(scope, connection, args)
        name = f"integration:{self.integration.id}"
        async with self.breakers.watch(
            scope.tenant_id, name, title=self.integration.title, answered=ANSWERED
        ):
            return await self._ask(scope, connection, args)

    def _connection(self, scope: CallScope) -> str | None:
        """The run's connection; without a sign-in there is always one, by the integration's own id."""
        always = None if self.integration.needs_connection else self.integration.id
        return scope.connections.get(self.integration.id, always)

    async def _ask(self, scope: CallScope, connection: str, args: Json) -> Json:
        return await self.service.call_tool(scope.tenant_id, scope.user_id, connection, self.name, args)

    async def hold(self, args: Json, scope: CallScope) -> Json:
        return await self._sample(args, scope)

    async def _sample(self, args: Json, scope: CallScope) -> Json:
        return await self.service.samples.call(
            self.name, args, now=scope.logical_time, resources=scope.resources, terms=scope.terms
        )


def connected_tools(service: IntegrationService, breakers: Breakers | None = None) -> list[ConnectedTool]:
    """Every tool of every integration in the catalogue."""
    return [
        ConnectedTool(service, integration, tool, breakers)
        for integration in service.catalog.values()
        for tool in integration.tools.values()
    ]
