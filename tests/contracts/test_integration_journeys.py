"""Every service with sign-in, over real HTTP against its local server: connect, look, read, write, leave.

The folder's `fixtures/contract.yaml` says what to call; its shape is told in `test_integrations.py`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from folder_contract import Contract, contract_of, looks_plain
from omniforge.core.actor import Actor
from omniforge.core.config import ServiceSettings, Settings
from omniforge.core.crypto import MasterKeys
from omniforge.core.errors import OmniForgeError
from omniforge.db import Database
from omniforge.integrations import (
    Access,
    Connection,
    ConnectionDeclined,
    ConnectionExpired,
    ConnectionMissing,
    ConnectionStatus,
    Integration,
    IntegrationNotConfigured,
    IntegrationService,
    StateInvalid,
    load_catalog,
)
from omniforge.integrations.manifest import Refresh, SignInKind
from omniforge.integrations.rest import Patience
from omniforge.integrations.standin import (
    Fault,
    FaultKind,
    Standin,
    StandinState,
    find_standins,
    signed_delivery,
)
from omniforge.integrations.webhooks import Forged, Stale, verify
from omniforge.tenants import SecretBox
from standin_server import HandClock, RunningServer, answer_consent

SIGNED_IN = {
    name: integration
    for name, integration in load_catalog().items()
    if integration.manifest.sign_in.kind is SignInKind.OAUTH
}
STANDINS = find_standins()
WRONG_ANSWERS = [kind for kind in FaultKind if kind not in (FaultKind.SLOW, FaultKind.WRONG_SHAPE)]


@dataclass
class World:
    """One service: its local server with what it remembers, and all of ours that talks to it."""

    integration: Integration
    state: StandinState
    url: str
    service: IntegrationService
    actor: Actor
    clock: HandClock

    async def connect(self, **chosen: str) -> Connection:
        sign_in = await self.service.start_sign_in(self.actor, self.integration.id)
        answer = await answer_consent(sign_in.auth_url, **chosen)
        return await self.service.finish_sign_in(
            self.actor, self.integration.id, answer["code"], answer["state"]
        )

    async def ask(self, connection: Connection, tool: str, args: Any = None) -> dict[str, Any]:
        actor = self.actor
        return await self.service.call_tool(actor.tenant_id, actor.user_id, connection.id, tool, args or {})

    async def who(self, connection: Connection) -> dict[str, Any]:
        return await self.ask(connection, self.integration.manifest.identity_tool)

    async def contract(self, connection: Connection) -> Contract:
        return await contract_of(self.integration).looked_up(
            lambda name, args: self.ask(connection, name, args)
        )

    def count(self, method: str, path: str, body: str = "") -> int:
        return sum(
            one.method == method and one.path.startswith(path) and body in str(one.body)
            for one in self.state.requests
        )


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[str, RunningServer]]:
    started: dict[str, RunningServer] = {}
    yield started
    for server in started.values():
        server.stop()


@pytest.fixture(params=list(SIGNED_IN))
async def world(
    request: pytest.FixtureRequest,
    servers: dict[str, RunningServer],
    database: Database,
    actor: Actor,
    tmp_path: Path,
) -> AsyncIterator[World]:
    name = str(request.param)
    standin: Standin = STANDINS[name]
    if name not in servers:
        servers[name] = RunningServer.start(standin.create_app())
    server, clock = servers[name], HandClock()
    state = standin.StandinState(rate_per_second=None, now=clock.now)
    server.use(state)
    registration = ServiceSettings(
        client_id=standin.CLIENT_ID, client_secret=SecretStr(standin.CLIENT_SECRET), base_url=server.url
    )
    service = IntegrationService(
        database,
        SecretBox(MasterKeys({1: secrets.token_bytes(32)}, "test")),
        Settings(home=tmp_path, services={name: registration}),
        clock,
        transport=httpx.AsyncHTTPTransport(verify=False),  # plain HTTP here: no certificates to load
        rate=1000,
        patience=Patience(timeout=5),
    )
    yield World(SIGNED_IN[name], state, server.url, service, actor, clock)
    await service.close()


def test_every_service_with_sign_in_has_a_local_server():
    assert set(SIGNED_IN) == set(STANDINS)


async def test_a_person_connects_and_finds_their_things_by_name(world: World):
    connection = await world.connect()
    assert connection.status is ConnectionStatus.HEALTHY
    assert connection.workspace_name
    assert connection.workspace_id
    asked = {scope.name for scope in world.integration.manifest.sign_in.scopes}
    assert asked <= set(connection.scopes) or not connection.scopes
    assert (await world.service.integration(world.actor, world.integration.id)).connected
    for kind in world.integration.manifest.resources:
        listed = await world.service.list_resources(world.actor, connection.id, kind.kind)
        assert listed
        assert all(resource.name and resource.id for resource in listed)
        if kind.describe_tool is not None:
            first = await world.service.describe_resource(world.actor, connection.id, listed[0].id, kind.kind)
            assert first.name == listed[0].name


async def test_everything_is_read_over_all_pages(world: World):
    connection = await world.connect()
    contract = await world.contract(connection)
    paged = contract.paged
    assert paged is not None, "fixtures/contract.yaml has to say how a long list is read"
    before = len(world.state.requests)
    answer = await world.ask(connection, paged["tool"], contract.filled(paged["args"]))
    items = answer[paged["items"]]
    assert len(items) == paged["count"]
    assert len({str(item.get("id", item)) for item in items}) == paged["count"]
    assert answer.get("truncated") is not True
    assert len(world.state.requests) - before >= 2


async def test_every_reading_tool_works_through_a_connection(world: World):
    connection = await world.connect()
    contract = await world.contract(connection)
    for tool in world.integration.tools.values():
        if tool.access is Access.READ:
            assert await world.ask(connection, tool.name, contract.arguments(tool)), tool.name


async def test_a_write_is_there_afterwards_and_found_by_its_mark(world: World):
    connection = await world.connect()
    contract = await world.contract(connection)
    assert contract.write is not None, "fixtures/contract.yaml has to name a write"
    tool = world.integration.tool(contract.write)
    args = {**contract.arguments(tool), "mark": "run_1:step:1"}
    lookup = tool.lookup(args)
    assert lookup is not None
    assert (await world.ask(connection, lookup.tool, lookup.args)).get(lookup.found) is None
    assert await world.ask(connection, tool.name, args)
    assert (await world.ask(connection, lookup.tool, lookup.args)).get(lookup.found) is not None
    other = tool.lookup({**args, "mark": "run_1:step:2"})
    assert other is not None
    assert (await world.ask(connection, other.tool, other.args)).get(other.found) is None


async def test_a_write_whose_answer_is_lost_is_made_once_and_found(world: World):
    connection = await world.connect()
    contract = await world.contract(connection)
    assert contract.write is not None
    assert contract.lost is not None
    tool, lost = world.integration.tool(contract.write), contract.lost
    args = {**contract.arguments(tool), "mark": "run_1:step:1"}
    before = world.count(lost["method"], lost["path"], lost.get("body", ""))
    world.state.faults.append(Fault(FaultKind.LOST, **lost))
    with pytest.raises(OmniForgeError) as refusal:
        await world.ask(connection, tool.name, args)
    assert refusal.value.details.get("outcome_unknown") is True
    assert looks_plain(refusal.value.message), refusal.value.message
    assert world.count(lost["method"], lost["path"], lost.get("body", "")) == before + 1
    lookup = tool.lookup(args)
    assert lookup is not None
    assert (await world.ask(connection, lookup.tool, lookup.args)).get(lookup.found) is not None


async def test_fifty_callers_of_an_ending_token_make_one_refresh(world: World):
    if world.integration.manifest.sign_in.refresh is Refresh.NONE:
        return
    world.state.token_seconds = 3600
    connection = await world.connect()
    world.clock.forward(minutes=56)
    answers = await asyncio.gather(*(world.who(connection) for _ in range(50)))
    assert world.state.refreshes == 1
    assert len({str(answer) for answer in answers}) == 1
    for rounds in (2, 3):  # the newest pair is the one that goes on
        world.clock.forward(minutes=56)
        await world.who(connection)
        assert world.state.refreshes == rounds


async def test_a_token_refused_early_is_renewed_once_for_fifty_callers(world: World):
    if world.integration.manifest.sign_in.refresh is Refresh.NONE:
        return
    world.state.token_seconds = 3600
    connection = await world.connect()
    world.state.expire_access()
    await asyncio.gather(*(world.who(connection) for _ in range(50)))
    assert world.state.refreshes == 1


async def test_an_authorization_withdrawn_there_breaks_the_connection_until_reconnecting(world: World):
    connection = await world.connect()
    world.state.revoke_all()
    with pytest.raises(ConnectionExpired) as refusal:
        await world.who(connection)
    assert looks_plain(refusal.value.message)
    assert world.integration.title in refusal.value.message
    shown = await world.service.connection(world.actor, connection.id)
    assert shown.status is ConnectionStatus.BROKEN
    renewed = await world.connect()
    assert renewed.id == connection.id
    assert await world.who(renewed)


async def test_disconnecting_revokes_there_and_deletes_here(world: World):
    connection = await world.connect()
    assert world.state.access
    assert (await world.service.disconnect(world.actor, connection.id)).success
    if world.integration.manifest.sign_in.revoke_url:
        assert world.state.access == {}
    with pytest.raises(ConnectionMissing) as refusal:
        await world.who(connection)
    assert looks_plain(refusal.value.message)


async def test_a_person_may_say_no(world: World):
    sign_in = await world.service.start_sign_in(world.actor, world.integration.id)
    answer = await answer_consent(sign_in.auth_url, "cancel")
    assert answer["error"]
    await world.service.decline_sign_in(world.integration.id, answer["state"], actor=world.actor)
    with pytest.raises(ConnectionDeclined) as refusal:
        await world.service.finish_sign_in(world.actor, world.integration.id, "x", answer["state"])
    assert looks_plain(refusal.value.message)
    assert world.state.access == {}


async def test_a_link_works_once_and_for_who_started_it(world: World, foreign_actor: Actor):
    sign_in = await world.service.start_sign_in(world.actor, world.integration.id)
    answer = await answer_consent(sign_in.auth_url)
    for actor, state in ((foreign_actor, answer["state"]), (world.actor, "made-up")):
        with pytest.raises(StateInvalid):
            await world.service.finish_sign_in(actor, world.integration.id, answer["code"], state)
    first = await world.service.finish_sign_in(
        world.actor, world.integration.id, answer["code"], answer["state"]
    )
    again = await world.service.finish_sign_in(
        world.actor, world.integration.id, answer["code"], answer["state"]
    )
    assert again.id == first.id
    assert len(world.state.access) == 1  # no second exchange, which would have ended the first


async def test_a_wrong_client_secret_is_told_as_the_administrators_to_correct(world: World):
    sign_in = await world.service.start_sign_in(world.actor, world.integration.id)
    answer = await answer_consent(sign_in.auth_url)
    world.service.settings.service(world.integration.id).client_secret = SecretStr("wrong")
    with pytest.raises(IntegrationNotConfigured) as refusal:
        await world.service.finish_sign_in(world.actor, world.integration.id, answer["code"], answer["state"])
    assert looks_plain(refusal.value.message), refusal.value.message


async def test_an_access_key_connects_where_the_service_has_them(world: World):
    if not world.integration.manifest.sign_in.accepts_keys:
        return
    key = world.state.new_key()
    connection = await world.service.add_key_connection(world.actor, world.integration.id, key)
    assert await world.who(connection)
    with pytest.raises(OmniForgeError) as refusal:
        await world.service.add_key_connection(world.actor, world.integration.id, "not-a-key-of-theirs")
    assert refusal.value.code == "key_refused"
    assert looks_plain(refusal.value.message)


@pytest.mark.parametrize("kind", WRONG_ANSWERS)
async def test_every_wrong_answer_ends_in_plain_words(world: World, kind: FaultKind):
    connection = await world.connect()
    world.state.faults.append(Fault(kind, times=100, seconds=90))
    with pytest.raises(OmniForgeError) as refusal:
        await world.who(connection)
    assert looks_plain(refusal.value.message), refusal.value.message
    world.state.faults.clear()
    assert await world.who(connection)  # nothing broke for good


async def test_a_short_pause_asked_for_is_waited_and_work_goes_on(world: World):
    connection = await world.connect()
    world.state.faults.append(Fault(FaultKind.RATE_LIMITED, times=2, seconds=7))
    assert await world.who(connection)
    assert sum(wait >= 7 for wait in world.clock.waits) == 2


async def test_a_delivery_it_signs_is_verified_and_read(world: World):
    webhook = world.integration.manifest.webhook
    contract = await world.contract(await world.connect())
    if webhook is None or contract.event is None:
        assert not any(kind.push for kind in world.integration.events.values())
        return
    asked = {
        "url": f"{world.url}/_control",
        "secret": "s3cret-of-the-test",
        **contract.filled(contract.event),
    }
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(verify=False)) as http:
        told = (await http.post(f"{world.url}/_control/deliver", json=asked)).json()
    now = world.clock.now()
    sent = signed_delivery(webhook, "s3cret-of-the-test", told["payload"], now, told["headers"])
    found = verify(webhook, [b"other", b"s3cret-of-the-test"], sent.headers, sent.body, now)
    occurrences = world.integration.read_delivery(
        {name.lower(): value for name, value in sent.headers.items()}, found.payload
    )
    assert len(occurrences) == 1
    event = occurrences[0]
    assert event.type in world.integration.events
    assert event.id
    assert event.version
    assert event.at.tzinfo is not None
    if webhook.workspace:
        assert found.workspace
    with pytest.raises(Forged):
        verify(webhook, [b"other"], sent.headers, sent.body, now)
    with pytest.raises(Forged):
        verify(webhook, [b"s3cret-of-the-test"], sent.headers, sent.body + b" ", now)
    if webhook.timestamp is not None:
        world.clock.forward(minutes=10)
        with pytest.raises(Stale):
            verify(webhook, [b"s3cret-of-the-test"], sent.headers, sent.body, world.clock.now())
