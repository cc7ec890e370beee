"""Dry runs: a service's tools over its sample data, and over every way a service can fail."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

import httpx

from omniforge.core.clock import Clock
from omniforge.core.errors import Invalid
from omniforge.core.network import NetworkDisabled
from omniforge.core.outward import MAX_REDIRECTS, Guard
from omniforge.integrations.clients import Surroundings
from omniforge.integrations.manifest import Integration, tool_of
from omniforge.integrations.rest import RestClient
from omniforge.integrations.schemas import Resource
from omniforge.integrations.signin import known
from omniforge.integrations.views import view_of_resource

SAMPLE_ADDRESS = "http://sample.invalid"
"""Nothing answers there: what does not go through the sample transport fails."""
Done = TypeVar("Done")

ANYWHERE = Guard(("*",))
"""Sample data answer for any host; nothing is reached."""
MAX_WORLDS = 256
"""Sample data that are kept at a time; one that is gone begins anew."""


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


class SampleShape(StrEnum):
    """What the sample data look like."""

    FULL = "full"
    EMPTY = "empty"
    """Every container is there, and nothing is in it."""
    OLD = "old"
    """Everything is there, and nothing happened to it for a long time."""


OLD = timedelta(days=400)


@dataclass(slots=True)
class SampleTerms:
    """How one call meets sample data.

    world: calls of one world see each other's writes; none: a world of its own. fault: what the requests of
    the call end with, from the one numbered `first` on, `lasts` of them (None: all); with `carried_out` that
    first one happens all the same, and only its answer is lost. `requests` counts the requests of the call.
    """

    world: str | None = None
    shape: SampleShape = SampleShape.FULL
    fault: SampleFault | None = None
    first: int = 1
    lasts: int | None = None
    carried_out: bool = False
    requests: int = 0

    def next_request(self) -> tuple[SampleFault | None, bool]:
        """Count one request: the fault it ends with, and whether it happens all the same."""
        self.requests += 1
        past = self.requests - self.first
        if self.fault is None or past < 0 or (self.lasts is not None and past >= self.lasts):
            return None, True
        return self.fault, self.carried_out and past == 0


class SampleTransport(httpx.AsyncBaseTransport):
    """Sample data behind the service's protocol, and a fault in its own words (`fixtures/faults.json`)."""

    def __init__(
        self, inner: httpx.AsyncBaseTransport, terms: SampleTerms, answers: Mapping[str, Any]
    ) -> None:
        self._inner, self._terms, self._answers = inner, terms, answers

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        fault, happens = self._terms.next_request()
        if fault is None:
            return await self._inner.handle_async_request(request)
        if happens:
            await self._inner.handle_async_request(request)
        if fault is SampleFault.TIMEOUT:
            raise httpx.ReadTimeout("sample of a timeout", request=request)
        answer = self._answers[fault]
        return httpx.Response(answer["status"], headers=answer.get("headers"), json=answer["body"])


@asynccontextmanager
async def sample_client(
    integration: Integration,
    now: datetime,
    *,
    resources: Sequence[Mapping[str, Any]] = (),
    empty: bool = False,
    fault: SampleFault | None = None,
) -> AsyncGenerator[Any]:
    """A client that reaches nothing but sample data; with `fault` every request ends that way."""
    inner = integration.samples(now, resources=resources, empty=empty)
    async with client_over(inner, integration, now, SampleTerms(fault=fault)) as client:
        yield client


@asynccontextmanager
async def client_over(
    world: Any, integration: Integration, now: datetime, terms: SampleTerms
) -> AsyncGenerator[Any]:
    """A client of sample data (what the folder's `samples` made) that others may use as well, and later."""
    clock, answers = LogicalClock(now), fault_answers(integration)
    if integration.open_sample is not None:
        strike = _Strike(terms, answers)
        async with httpx.AsyncClient(transport=_Nowhere(), trust_env=False) as http:
            surroundings = Surroundings(clock=clock, http=http, guard=ANYWHERE)
            async with integration.open_sample(world, surroundings, strike) as own:
                yield own
        return
    transport = SampleTransport(world, terms, answers)
    async with httpx.AsyncClient(transport=transport, trust_env=False, max_redirects=MAX_REDIRECTS) as http:
        if integration.open_client is not None:
            offered = getattr(world, "offers", ())
            surroundings = Surroundings(clock=clock, http=http, guard=ANYWHERE, offered=offered)
            async with integration.open_client(surroundings) as own:
                yield own
            return
        yield RestClient(
            http,
            title=integration.title,
            base_url=SAMPLE_ADDRESS,
            token=_no_token,
            clock=clock,
            headers=integration.manifest.headers,
            read_trouble=integration.read_trouble,
        )


class _Strike:
    """Counts the steps of a client that does not speak HTTP; one of them ends with the fault asked for."""

    def __init__(self, terms: SampleTerms, answers: Mapping[str, Any]) -> None:
        self._terms, self._answers = terms, answers

    def __call__(
        self, do: Callable[[], Done], fault: Callable[[str, Mapping[str, Any]], Exception], /
    ) -> Done:
        asked, happens = self._terms.next_request()
        if asked is None or asked.value not in self._answers:
            return do()
        if happens:
            do()
        raise fault(asked.value, self._answers[asked.value])


class _Nowhere(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise NetworkDisabled("A dry run has no network.")


def fault_answers(integration: Integration) -> Mapping[str, Any]:
    """How the service words each fault."""
    path = integration.folder / "fixtures" / "faults.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def faults_of(integration: Integration) -> tuple[SampleFault, ...]:
    """The faults that can befall this integration. Over HTTP a timeout needs no words; where the client is
    its own, only what stands in `fixtures/faults.json` can happen.
    """
    worded = fault_answers(integration)
    extra = () if integration.open_sample is not None or not worded else (SampleFault.TIMEOUT.value,)
    return tuple(fault for fault in SampleFault if fault.value in (*worded, *extra))


async def _no_token(rejected: str | None = None) -> str:
    return "sample"


class Samples:
    """The tools of the catalogue over sample data: no network, no credential, no connection."""

    def __init__(self, catalog: Mapping[str, Integration], clock: Clock) -> None:
        self._catalog, self._clock = catalog, clock
        self._worlds: OrderedDict[str, Any] = OrderedDict()

    async def call(
        self,
        tool_name: str,
        args: Mapping[str, Any],
        *,
        now: datetime | None = None,
        resources: Sequence[Mapping[str, Any]] = (),
        terms: SampleTerms | None = None,
    ) -> dict[str, Any]:
        """The same tool on sample data, without a network, a credential or a connection.

        `now` is what sample times are relative to; `resources` (`{id, name, fields}`) gives the samples the
        shape of databases known from a connection.
        """
        integration, tool = tool_of(self._catalog, tool_name)
        moment, terms = now or self._clock.now(), terms or SampleTerms()
        inner = self._world(integration, moment, resources, terms)
        async with client_over(inner, integration, moment, terms) as client:
            return await tool.call(client, args)

    def _world(
        self,
        integration: Integration,
        now: datetime,
        resources: Sequence[Mapping[str, Any]],
        terms: SampleTerms,
    ) -> Any:
        """The world of these terms: as it was left, or a fresh one."""
        key = f"{terms.world}/{integration.id}/{terms.shape}"
        if terms.world is not None and key in self._worlds:
            self._worlds.move_to_end(key)
            return self._worlds[key]
        moment = now - OLD if terms.shape is SampleShape.OLD else now
        made = integration.samples(moment, resources=resources, empty=terms.shape is SampleShape.EMPTY)
        if terms.world is not None:
            self._worlds[key] = made
            if len(self._worlds) > MAX_WORLDS:
                self._worlds.popitem(last=False)
        return made

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
