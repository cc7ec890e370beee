"""Signing in at Notion over real HTTP: the good way, and every link that must not work."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from omniforge.core.config import ServiceSettings, Settings
from omniforge.core.errors import Forbidden, Invalid, RateLimited
from omniforge.integrations import (
    ConnectionArrived,
    ConnectionDeclined,
    ConnectionStatus,
    IntegrationNotConfigured,
    SignInDeclined,
    StateInvalid,
)
from omniforge.integrations.catalog.notion.standin import Fault, FaultKind
from omniforge.integrations.errors import ServiceDown
from omniforge.integrations.signin import FinishWhereStarted


async def test_a_person_connects_and_the_databases_are_there_with_their_counts(
    service, actor, connect, notion
):
    arrived: list[ConnectionArrived] = []

    async def listen(event: ConnectionArrived) -> None:
        arrived.append(event)

    service.on_connected.append(listen)
    connection = await connect(service)
    assert connection.workspace_name == "Acme Operations"
    assert connection.status is ConnectionStatus.HEALTHY
    assert [event.connection_id for event in arrived] == [connection.id]

    resources = await service.list_resources(actor, connection.id)
    counts = {resource.name: resource.items for resource in resources}
    assert counts == {"Client Projects": 42, "Internal Initiatives": 8, "Archived": 156}
    assert {resource.kind for resource in resources} == {"database"}
    view = await service.integration(actor, "notion")
    assert (view.configured, view.connected) == (True, True)


async def test_the_link_asks_for_what_notion_documents(service, actor, settings):
    sign_in = await service.start_sign_in(actor, "notion")
    asked = parse_qs(urlsplit(sign_in.auth_url).query)
    assert asked["response_type"] == ["code"]
    assert asked["owner"] == ["user"]
    assert asked["redirect_uri"] == [f"{settings.url}/oauth/callback/notion"]
    assert asked["state"] == [sign_in.state]
    assert "scope" not in asked
    assert "code_challenge" not in asked
    assert sign_in.state not in repr(sign_in)


async def test_connecting_the_same_workspace_again_renews_the_connection(service, actor, connect):
    first = await connect(service)
    second = await connect(service)
    assert second.id == first.id
    assert (await service.list_connections(actor))[1] == 1


async def test_the_same_finisher_gets_the_stored_outcome_without_a_second_exchange(
    service, actor, consent, notion
):
    answer = await consent(await service.start_sign_in(actor, "notion"))
    first = await service.finish_sign_in(actor, "notion", answer["code"], answer["state"])
    again = await service.finish_sign_in(actor, "notion", answer["code"], answer["state"])
    assert again.id == first.id
    assert len(notion.state.access) == 1  # a second exchange would have ended the family


async def test_two_finishers_at_once_make_one_exchange(service, actor, consent, notion):
    answer = await consent(await service.start_sign_in(actor, "notion"))
    done = await asyncio.gather(
        *(service.finish_sign_in(actor, "notion", answer["code"], answer["state"]) for _ in range(5))
    )
    assert len({connection.id for connection in done}) == 1
    assert len(notion.state.access) == 1


async def test_an_expired_state_is_refused_and_nothing_is_stored(service, actor, consent, clock, notion):
    answer = await consent(await service.start_sign_in(actor, "notion"))
    clock.forward(minutes=10, seconds=1)
    with pytest.raises(StateInvalid):
        await service.finish_sign_in(actor, "notion", answer["code"], answer["state"])
    assert (await service.list_connections(actor))[1] == 0
    assert notion.state.access == {}


async def test_an_unknown_and_a_foreign_state_are_refused_alike(service, actor, foreign_actor, consent):
    answer = await consent(await service.start_sign_in(actor, "notion"))
    with pytest.raises(StateInvalid) as unknown:
        await service.finish_sign_in(actor, "notion", answer["code"], "x" * 43)
    with pytest.raises(StateInvalid) as foreign:
        await service.finish_sign_in(foreign_actor, "notion", answer["code"], answer["state"])
    assert unknown.value.message == foreign.value.message
    assert unknown.value.details == foreign.value.details
    connection = await service.finish_sign_in(actor, "notion", answer["code"], answer["state"])
    assert connection.workspace_name == "Acme Operations"  # the stranger did not use it up


async def test_a_refused_code_uses_the_link_up(service, actor, consent):
    answer = await consent(await service.start_sign_in(actor, "notion"))
    for code in ("wrong", answer["code"]):
        with pytest.raises(StateInvalid):
            await service.finish_sign_in(actor, "notion", code, answer["state"])


async def test_a_decline_is_noted_and_told(service, actor, consent):
    declined: list[SignInDeclined] = []

    async def listen(event: SignInDeclined) -> None:
        declined.append(event)

    service.on_declined.append(listen)
    sign_in = await service.start_sign_in(actor, "notion", session_id="ses_1", return_to="/chat/ses_1")
    answer = await consent(sign_in, "cancel")
    assert answer["error"] == "access_denied"
    assert await service.decline_sign_in("notion", answer["state"], actor=actor) == "/chat/ses_1"
    assert [event.session_id for event in declined] == ["ses_1"]
    with pytest.raises(ConnectionDeclined):
        await service.finish_sign_in(actor, "notion", "any", answer["state"])


@pytest.mark.parametrize("kind", [FaultKind.GARBAGE, FaultKind.SERVER_ERROR, FaultKind.HALF_JSON])
async def test_notion_failing_right_after_the_exchange_stores_nothing(service, actor, consent, notion, kind):
    answer = await consent(await service.start_sign_in(actor, "notion"))
    notion.state.faults.append(Fault(kind, times=9, path="/v1/users/me"))
    with pytest.raises(ServiceDown):
        await service.finish_sign_in(actor, "notion", answer["code"], answer["state"])
    assert (await service.list_connections(actor))[1] == 0


async def test_without_settings_the_service_is_said_to_be_not_set_up(make_service, actor, tmp_path):
    service = make_service(Settings(home=tmp_path, services={"notion": ServiceSettings()}))
    with pytest.raises(IntegrationNotConfigured) as refusal:
        await service.start_sign_in(actor, "notion")
    assert refusal.value.code == "integration_not_configured"
    assert "isn't set up" in refusal.value.message
    assert (await service.integration(actor, "notion")).configured is False
    await service.close()


async def test_a_wrong_client_secret_is_the_administrators_to_correct(service, actor, consent, notion):
    answer = await consent(await service.start_sign_in(actor, "notion"))
    service.settings.service("notion").client_secret = SecretStr("changed")
    with pytest.raises(IntegrationNotConfigured):
        await service.finish_sign_in(actor, "notion", answer["code"], answer["state"])


@pytest.mark.parametrize(
    "address", ["https://evil.example/", "//evil.example", "/\\evil.example", "/a\\b", "chat", "/a b", "/\n"]
)
async def test_only_a_path_on_this_site_can_be_returned_to(service, actor, address):
    with pytest.raises(Invalid):
        await service.start_sign_in(actor, "notion", return_to=address)


async def test_sign_in_starts_are_counted(service, actor, foreign_actor):
    for _ in range(20):
        await service.start_sign_in(actor, "notion")
    with pytest.raises(RateLimited):
        await service.start_sign_in(actor, "notion")
    await service.start_sign_in(foreign_actor, "notion")


async def test_a_browser_page_needs_the_value_given_at_the_start(service, actor, consent):
    answer = await consent(await service.start_sign_in(actor, "notion", browser="mine"))
    for browser in (None, "theirs"):
        with pytest.raises(StateInvalid):
            await service.finish_in_browser("notion", answer["code"], answer["state"], browser)
    connection, _ = await service.finish_in_browser("notion", answer["code"], answer["state"], "mine")
    assert (await service.connection(actor, connection.id)).workspace_name == "Acme Operations"


async def test_where_people_sign_in_an_unbound_link_is_finished_by_its_own_caller_only(
    make_service, settings, actor, consent, notion
):
    service = make_service(settings.model_copy(update={"auth_required": True}))
    answer = await consent(await service.start_sign_in(actor, "notion"))
    with pytest.raises(FinishWhereStarted):
        await service.finish_in_browser("notion", answer["code"], answer["state"], "any")
    assert notion.state.access == {}
    connection = await service.finish_sign_in(actor, "notion", answer["code"], answer["state"])
    assert connection.status is ConnectionStatus.HEALTHY
    await service.close()


async def test_a_pasted_key_is_tried_before_it_is_stored(service, actor, notion, viewer):
    with pytest.raises(Invalid) as refusal:
        await service.add_key_connection(actor, "notion", "ntn_wrong")
    with pytest.raises(Invalid, match="does not look like") as refused:
        await service.add_key_connection(actor, "notion", "ntn_" + "x" * 5000)
    assert "ntn_" not in str(refused.value.details)
    assert refusal.value.code == "key_refused"
    assert "ntn_wrong" not in str(refusal.value.details)
    with pytest.raises(Forbidden):
        await service.add_key_connection(viewer, "notion", notion.state.new_key())
    connection = await service.add_key_connection(actor, "notion", notion.state.new_key())
    assert connection.kind == "key"
    assert len(await service.list_resources(actor, connection.id, search="client")) == 1
