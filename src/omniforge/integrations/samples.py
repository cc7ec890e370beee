"""Dry runs: a service's tools over its sample data, and over every way a service can fail."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import httpx

from omniforge.core.clock import Clock
from omniforge.core.errors import Invalid
from omniforge.integrations.manifest import Integration, tool_of
from omniforge.integrations.rest import RestClient
from omniforge.integrations.schemas import Resource
from omniforge.integrations.signin import known
from omniforge.integrations.views import view_of_resource

SAMPLE_ADDRESS = "http://sample.invalid"
"""Nothing answers there: what does not go through the sample transport fails."""


class SampleFault(StrEnum):
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"


class LogicalClock:
    """Time that passes only by waiting, so that waits of a dry run take none."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class FaultTransport(httpx.AsyncBaseTransport):
    """Ends every request with one fault, in the service's own words from `fixtures/faults.json`."""

    def __init__(self, fault: SampleFault, answers: Mapping[str, Any]) -> None:
        self._fault, self._answers = fault, answers

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._fault is SampleFault.TIMEOUT:
            raise httpx.ReadTimeout("sample of a timeout", request=request)
        answer = self._answers[self._fault]
        return httpx.Response(answer["status"], headers=answer.get("headers"), json=answer["body"])


@asynccontextmanager
async def sample_client(
    integration: Integration,
    now: datetime,
    *,
    resources: Sequence[Mapping[str, Any]] = (),
    empty: bool = False,
    fault: SampleFault | None = None,
) -> AsyncGenerator[RestClient]:
    """A client that reaches nothing but sample data."""
    if fault is not None:
        answers = json.loads((integration.folder / "fixtures" / "faults.json").read_text(encoding="utf-8"))
        transport: httpx.AsyncBaseTransport = FaultTransport(fault, answers)
    else:
        transport = integration.samples(now, resources=resources, empty=empty)
    async with httpx.AsyncClient(transport=transport, trust_env=False) as http:
        yield RestClient(
            http,
            title=integration.title,
            base_url=SAMPLE_ADDRESS,
            token=_no_token,
            clock=LogicalClock(now),
            headers=integration.manifest.headers,
            read_trouble=integration.read_trouble,
        )


async def _no_token(rejected: str | None = None) -> str:
    return "sample"


class Samples:
    """The tools of the catalogue over sample data: no network, no credential, no connection."""

    def __init__(self, catalog: Mapping[str, Integration], clock: Clock) -> None:
        self._catalog, self._clock = catalog, clock

    async def call(
        self,
        tool_name: str,
        args: Mapping[str, Any],
        *,
        now: datetime | None = None,
        resources: Sequence[Mapping[str, Any]] = (),
        empty: bool = False,
        fault: SampleFault | None = None,
    ) -> dict[str, Any]:
        """The same tool on sample data, without a network, a credential or a connection.

        `now` is what sample times are relative to; `resources` (`{id, name, fields}`) gives the samples the
        shape of databases known from a connection; `fault` makes every request end that way.
        """
        integration, tool = tool_of(self._catalog, tool_name)
        moment = now or self._clock.now()
        async with sample_client(
            integration, moment, resources=resources, empty=empty, fault=fault
        ) as client:
            return await tool.call(client, args)

    async def list_resources(self, integration_id: str) -> list[Resource]:
        """What could be picked, from the sample data; for building without a connection."""
        wanted = known(self._catalog, integration_id).resource_kind(None)
        found = await self.call(wanted.list_tool, {})
        return [view_of_resource(wanted, item) for item in found.get(wanted.list_key, [])]

    async def describe_resource(self, integration_id: str, resource_id: str) -> Resource:
        """One resource of the sample data with its fields."""
        integration = known(self._catalog, integration_id)
        wanted = integration.resource_kind(None)
        if wanted.describe_tool is None:
            raise Invalid(f"{integration.title} does not describe {wanted.title}.", code="not_supported")
        return view_of_resource(
            wanted, await self.call(wanted.describe_tool, {wanted.id_argument: resource_id})
        )
