"""Access tokens: sealed, renewed ahead of time by one renewer, and never seen outside."""

from __future__ import annotations

import asyncio

import pytest

from omniforge.core.errors import NotFound
from omniforge.integrations import ConnectionExpired, ConnectionMissing, ConnectionStatus, store
from omniforge.integrations.catalog.notion.standin import Fault, FaultKind
from omniforge.integrations.errors import ServiceDown
from omniforge.integrations.tokens import CLAIM


async def ask(service, actor, connection, tool="notion.who_am_i", **args):
    return await service.call_tool(actor.tenant_id, actor.user_id, connection.id, tool, args)


@pytest.fixture
async def connection(service, connect, notion):
    notion.state.token_seconds = 3600
    return await connect(service)


async def test_fifty_callers_at_once_make_one_refresh(service, actor, connection, clock, notion):
    clock.forward(minutes=56)
    answers = await asyncio.gather(*(ask(service, actor, connection) for _ in range(50)))
    assert notion.state.refreshes == 1
    assert {answer["workspace"]["name"] for answer in answers} == {"Acme Operations"}


async def test_two_processes_at_once_make_one_refresh(  # noqa: PLR0917 - fixtures
    service, make_service, settings, actor, connection, clock, notion
):
    other = make_service(settings)
    clock.forward(minutes=56)
    notion.state.faults.append(Fault(FaultKind.SLOW, path="/v1/users/me", seconds=0.05))
    await asyncio.gather(*(ask(one, actor, connection) for one in (service, other) * 5))
    assert notion.state.refreshes == 1
    await other.close()


async def test_a_refused_token_is_renewed_once_and_the_request_repeated(service, actor, connection, notion):
    notion.state.expire_access()
    before = len(notion.state.requests)
    answers = await asyncio.gather(*(ask(service, actor, connection) for _ in range(20)))
    assert len(answers) == 20
    assert notion.state.refreshes == 1
    statuses = [entry.status for entry in notion.state.requests[before:]]
    assert statuses.count(200) == 20


async def test_refresh_after_refresh_uses_the_newest_pair(service, actor, connection, notion):
    for round_number in range(1, 4):
        notion.state.expire_access()
        await ask(service, actor, connection)
        assert notion.state.refreshes == round_number


async def test_a_refused_refresh_breaks_the_connection_until_it_is_renewed(
    service, actor, connection, connect, notion
):
    notion.state.revoke_all()
    with pytest.raises(ConnectionExpired) as refusal:
        await ask(service, actor, connection)
    assert refusal.value.code == "connection_expired"
    assert refusal.value.status == 409
    assert (await service.connection(actor, connection.id)).status is ConnectionStatus.BROKEN
    tries = notion.state.refreshes
    with pytest.raises(ConnectionExpired):
        await ask(service, actor, connection)
    assert notion.state.refreshes == tries  # a broken connection is not tried again

    renewed = await connect(service)
    assert renewed.id == connection.id
    assert (await ask(service, actor, connection))["workspace"]["name"] == "Acme Operations"


async def test_a_service_that_is_down_at_the_refresh_breaks_nothing(
    service, actor, connection, clock, settings
):
    clock.forward(minutes=56)
    settings.service("notion").base_url = "http://127.0.0.1:9"
    with pytest.raises(ServiceDown):
        await ask(service, actor, connection)
    assert (await service.connection(actor, connection.id)).status is not ConnectionStatus.BROKEN


async def test_a_caller_that_goes_away_does_not_lose_the_new_pair(service, actor, connection, clock, notion):
    clock.forward(minutes=56)
    leaving = asyncio.create_task(ask(service, actor, connection))
    while notion.state.refreshes == 0:
        await asyncio.sleep(0.001)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    await ask(service, actor, connection)
    assert notion.state.refreshes == 1


async def test_a_refresh_whose_answer_is_lost_asks_for_reconnecting(  # noqa: PLR0917 - fixtures
    service, actor, connection, connect, clock, notion
):
    """The pair was changed there and nobody got the new one: the old one is tried once more and refused."""
    clock.forward(minutes=61)
    notion.state.faults.append(Fault(FaultKind.LOST, path="/v1/oauth/token"))
    with pytest.raises(ServiceDown):
        await ask(service, actor, connection)
    assert (await service.connection(actor, connection.id)).status is ConnectionStatus.EXPIRING
    with pytest.raises(ConnectionExpired):
        await ask(service, actor, connection)
    shown = await service.connection(actor, connection.id)
    assert shown.status is ConnectionStatus.BROKEN
    assert "Reconnect" in shown.reason
    assert (await connect(service)).id == connection.id
    assert (await ask(service, actor, connection))["workspace"]["name"] == "Acme Operations"


async def test_a_renewal_left_by_a_killed_process_is_taken_over(  # noqa: PLR0917 - fixtures
    service, actor, connection, clock, notion, database
):
    clock.forward(minutes=56)
    async with database.transaction() as session:
        row = await store.get_connection(session, actor.tenant_id, connection.id, None)
        assert await store.claim_renewal(session, row, clock.now(), clock.now() + CLAIM)
    waiting = asyncio.create_task(ask(service, actor, connection))
    await asyncio.sleep(0.05)
    assert notion.state.refreshes == 0
    clock.forward(seconds=CLAIM.total_seconds() + 1)
    assert (await waiting)["workspace"]["name"] == "Acme Operations"
    assert notion.state.refreshes == 1


async def test_disconnecting_after_the_access_token_ended_ends_the_refresh_token_too(
    service, actor, connection, notion
):
    notion.state.expire_access()
    await service.disconnect(actor, connection.id)
    assert notion.state.refresh == {}


async def test_tokens_are_sealed_at_rest_and_hidden_everywhere(service, actor, connection, database, notion):
    found = await ask(service, actor, connection)
    tokens = [*notion.state.access, *notion.state.refresh]
    assert len(tokens) == 2
    await database.close()
    stored = b"".join(path.read_bytes() for path in database.path.parent.glob("omniforge.db*"))
    assert connection.id.encode() in stored
    for token in tokens:
        assert token.encode() not in stored
        assert token not in repr((connection, found, service))


async def test_a_stolen_ciphertext_does_not_open_in_another_row(  # noqa: PLR0917 - fixtures
    service, actor, foreign_actor, consent, connection, database
):
    answer = await consent(await service.start_sign_in(foreign_actor, "notion"))
    theirs = await service.finish_sign_in(foreign_actor, "notion", answer["code"], answer["state"])
    async with database.engine.begin() as raw:
        await raw.exec_driver_sql(
            "UPDATE connections SET access_secret = (SELECT access_secret FROM connections WHERE id = ?) "
            "WHERE id = ?",
            (connection.id, theirs.id),
        )
    with pytest.raises(Exception, match="does not open"):
        await ask(service, foreign_actor, theirs)


async def test_foreign_and_unknown_connections_are_not_found_alike(
    service, actor, foreign_actor, viewer, connection
):
    for who, which in ((foreign_actor, connection.id), (viewer, connection.id), (actor, "conn_unknown")):
        for attempt in (
            service.connection(who, which),
            service.list_resources(who, which),
            service.call_tool(who.tenant_id, who.user_id, which, "notion.who_am_i", {}),
        ):
            with pytest.raises(NotFound) as refusal:
                await attempt
            assert refusal.value.message == "There is no such connection."
    with pytest.raises(NotFound):
        await service.disconnect(foreign_actor, connection.id)


async def test_disconnect_revokes_there_and_deletes_the_secrets_here(service, actor, connection, notion):
    gone: list[str] = []

    async def listen(tenant_id: str, connection_id: str) -> None:
        gone.append(connection_id)

    service.on_disconnected.append(listen)
    assert (await service.disconnect(actor, connection.id)).success
    assert notion.state.access == notion.state.refresh == {}
    assert gone == [connection.id]
    assert (await service.list_connections(actor))[1] == 0
    with pytest.raises(ConnectionMissing):
        await ask(service, actor, connection)


async def test_disconnect_lists_the_agents_that_need_it_first(service, actor, connection):
    async def needed_by(tenant_id: str, connection_id: str) -> list[dict[str, str]]:
        return [{"id": "agent_1", "name": "Weekly Project Report"}]

    service.dependants.append(needed_by)
    with pytest.raises(Exception, match="agents need this connection") as refusal:
        await service.disconnect(actor, connection.id)
    assert refusal.value.code == "connection_in_use"
    done = await service.disconnect(actor, connection.id, confirm=True)
    assert [agent["name"] for agent in done.affected_agents] == ["Weekly Project Report"]


async def test_check_says_how_a_connection_stands(service, actor, connection, notion):
    assert (await service.check(actor, connection.id)).status is ConnectionStatus.HEALTHY
    notion.state.revoke_all()
    assert (await service.check(actor, connection.id)).status is ConnectionStatus.BROKEN


async def test_a_key_that_is_withdrawn_breaks_its_connection(service, actor, notion):
    connection = await service.add_key_connection(actor, "notion", notion.state.new_key())
    notion.state.revoke_all()
    with pytest.raises(ConnectionExpired):
        await ask(service, actor, connection)
    assert (await service.connection(actor, connection.id)).status is ConnectionStatus.BROKEN
