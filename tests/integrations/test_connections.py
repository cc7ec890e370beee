"""Connections of one person: several workspaces of a service, and how each stands in plain words."""

from __future__ import annotations

import asyncio

from omniforge.integrations import ConnectionStatus


async def name_of(service, actor, connection) -> str:
    found = await service.call_tool(actor.tenant_id, actor.user_id, connection.id, "notion.who_am_i", {})
    return found["workspace"]["name"]


async def test_two_workspaces_of_one_service_stand_beside_each_other(service, actor, connect, notion, clock):
    notion.state.token_seconds = 3600
    first = await connect(service)
    second = await connect(service, account=notion.state.second.id)
    assert first.id != second.id
    assert (first.workspace_name, second.workspace_name) == ("Acme Operations", "Acme Labs")

    async def both() -> list[str]:
        return await asyncio.gather(*(name_of(service, actor, one) for one in (first, second) * 10))

    assert await both() == ["Acme Operations", "Acme Labs"] * 10
    clock.forward(minutes=56)
    assert await both() == ["Acme Operations", "Acme Labs"] * 10
    assert notion.state.refreshes == 2  # one for each

    await service.disconnect(actor, first.id)
    assert await name_of(service, actor, second) == "Acme Labs"
    listed, total = await service.list_connections(actor, "notion")
    assert (total, [one.workspace_name for one in listed]) == (1, ["Acme Labs"])


async def test_connecting_a_workspace_again_renews_its_connection_only(service, actor, connect, notion):
    first = await connect(service)
    second = await connect(service, account=notion.state.second.id)
    again = await connect(service)
    assert again.id == first.id
    assert (await service.list_connections(actor))[1] == 2
    assert await name_of(service, actor, second) == "Acme Labs"


async def test_every_way_a_connection_stands_is_told_in_plain_words(service, actor, connect, notion, clock):
    notion.state.token_seconds = 3600
    connection = await connect(service)
    told = {connection.status: connection.reason}
    clock.forward(minutes=56)
    for change in (lambda: None, notion.state.revoke_all):
        change()
        shown = await service.connection(actor, connection.id)
        told[shown.status] = shown.reason
        shown = await service.check(actor, connection.id)
        told[shown.status] = shown.reason
        notion.state.expire_access()
    await service.disconnect(actor, connection.id)
    shown = await service.connection(actor, connection.id)
    told[shown.status] = shown.reason
    assert set(told) == set(ConnectionStatus)
    assert all("Acme Operations" in reason and reason.endswith(".") for reason in told.values())
    assert "renews itself" in told[ConnectionStatus.EXPIRING]
    assert "Reconnect" in told[ConnectionStatus.BROKEN]


async def test_an_ending_without_a_renewal_asks_to_reconnect(  # noqa: PLR0917 - fixtures
    service, actor, connect, notion, clock, database
):
    notion.state.token_seconds = 3600
    connection = await connect(service)
    async with database.engine.begin() as raw:
        await raw.exec_driver_sql("UPDATE connections SET refresh_secret = NULL")
    clock.forward(minutes=56)
    shown = await service.connection(actor, connection.id)
    assert shown.status is ConnectionStatus.EXPIRING
    assert "Reconnect" in shown.reason
