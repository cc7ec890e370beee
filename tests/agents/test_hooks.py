"""Deliveries to agents: taken once, refused alike, recorded when they may not run; and their secrets."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from tests.agents.conftest import House
from tests.agents.tracker import (
    MANIFEST,
    OURS,
    WORKSPACE,
    Tracker,
    event_agent,
    events_of_runs,
    signed,
    telling,
)

from omniforge.agents import hook_store
from omniforge.agents.deliveries import Taken
from omniforge.agents.polls import Poller
from omniforge.core.actor import Actor
from omniforge.core.config import ServiceSettings
from omniforge.core.errors import Conflict, Forbidden, NotFound
from omniforge.core.paging import Paging
from omniforge.integrations.errors import ResourceNotFound, ServiceDown
from omniforge.integrations.manifest import Handshake
from omniforge.integrations.webhooks import Refused

APP_SECRET = "the installation's own"
PUSH: dict[str, Any] = {"mode": "push", "event": "ticket.closed", "resource": None}


@pytest.fixture
def tracker(house: House) -> Tracker:
    return Tracker(house)


def ticket(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "type": "ticket.closed", "at": "2026-11-21T10:00:00+00:00", "author": "u-ann", **more}


async def deliver(house: House, agent_id: str, secret: str, body: bytes) -> Taken:
    taken = await house.agents.deliveries.to_agent("tracker", agent_id, "", signed(body, secret), body)
    await house.agents.deliveries.start(taken.waiting)
    return taken


async def deliver_to_app(house: House, body: bytes, secret: str = APP_SECRET) -> Taken:
    taken = await house.agents.deliveries.to_app("tracker", signed(body, secret), body)
    await house.agents.deliveries.start(taken.waiting)
    return taken


def set_app_secret(house: House, secret: str) -> None:
    given = ServiceSettings(webhook_secret=SecretStr(secret))
    house.agents.settings.services["tracker"] = given


async def rotated(house: House, actor: Actor, agent_id: str, given: str | None = None) -> str:
    return (await house.agents.deliveries.hooks.rotate(actor, agent_id, given)).secret


async def ids_of_runs(house: House, actor: Actor, agent_id: str) -> list[str]:
    return sorted(event["id"] for event in await events_of_runs(house, actor, agent_id))


async def statuses(house: House, actor: Actor, agent_id: str) -> list[str]:
    found = await house.agents.fire_history.list_fires(actor, agent_id, Paging())
    return [line.status.value for line in found.fires]


async def test_a_signed_delivery_becomes_one_run_and_its_repetition_none(
    house: House, tracker: Tracker, actor: Actor
) -> None:
    agent_id = await event_agent(house, actor, **PUSH)
    secret = await rotated(house, actor, agent_id)
    body = telling(ticket("one", title="Fix it"))
    assert not (await deliver(house, agent_id, secret, body)).duplicate
    assert (await deliver(house, agent_id, secret, body)).duplicate
    (event,) = await events_of_runs(house, actor, agent_id)
    assert (event["id"], event["type"], event["item"]["title"]) == ("one", "ticket.closed", "Fix it")


async def test_a_happening_that_is_delivered_again_in_another_delivery_runs_once(
    house: House, tracker: Tracker, actor: Actor
) -> None:
    agent_id = await event_agent(house, actor, **PUSH)
    secret = await rotated(house, actor, agent_id)
    await deliver(house, agent_id, secret, telling(ticket("one")))
    again = await deliver(house, agent_id, secret, telling(ticket("one", attempt=2)))
    assert again.duplicate
    assert await ids_of_runs(house, actor, agent_id) == ["one"]


async def test_the_same_delivery_many_times_at_once_is_one_run(
    house: House, tracker: Tracker, actor: Actor
) -> None:
    agent_id = await event_agent(house, actor, **PUSH)
    secret, body = await rotated(house, actor, agent_id), telling(ticket("one"))
    taken = await asyncio.gather(*[deliver(house, agent_id, secret, body) for _ in range(8)])
    assert sorted(one.duplicate for one in taken) == [False] + [True] * 7
    assert await ids_of_runs(house, actor, agent_id) == ["one"]


@pytest.mark.parametrize("integration", ["tracker", "notion", "fax"])
@pytest.mark.parametrize("agent", ["triage", "nobody", "app:tracker", ""])
async def test_whatever_is_wrong_the_refusal_is_the_same(
    house: House, tracker: Tracker, actor: Actor, integration: str, agent: str
) -> None:
    await event_agent(house, actor, **PUSH)
    await rotated(house, actor, "triage")
    body = telling(ticket("one"))
    deliveries = house.agents.deliveries
    for headers in ({}, signed(body, "guessed"), signed(body, ""), {"x-tracker-signature": "\udcff sha256="}):
        for refused in (
            deliveries.to_agent(integration, agent, "", headers, body),
            deliveries.to_app(integration, headers, body),
        ):
            with pytest.raises(Refused) as refusal:
                await refused
            assert refusal.value.message == "This delivery could not be verified."
            assert refusal.value.details == {}
    assert await statuses(house, actor, "triage") == []


async def test_before_it_has_a_secret_nothing_verifies_and_archived_ones_are_unknown(
    house: House, tracker: Tracker, actor: Actor
) -> None:
    agent_id = await event_agent(house, actor, **PUSH)
    body = telling(ticket("one"))
    with pytest.raises(Refused):
        await deliver(house, agent_id, "", body)
    secret = await rotated(house, actor, agent_id)
    await house.agents.archive(actor, agent_id)
    with pytest.raises(Refused):
        await deliver(house, agent_id, secret, body)


async def test_a_delivery_to_a_paused_agent_is_recorded_and_never_run(
    house: House, tracker: Tracker, actor: Actor
) -> None:
    agent_id = await event_agent(house, actor, **PUSH)
    secret = await rotated(house, actor, agent_id)
    await house.agents.pause(actor, agent_id)
    body = telling(ticket("one"))
    assert not (await deliver(house, agent_id, secret, body)).duplicate
    await house.agents.activate(actor, agent_id)
    assert (await deliver(house, agent_id, secret, body)).duplicate
    assert await statuses(house, actor, agent_id) == ["paused"]
    assert await ids_of_runs(house, actor, agent_id) == []


async def test_for_a_day_both_secrets_are_taken_after_an_exchange(
    house: House, tracker: Tracker, actor: Actor
) -> None:
    agent_id = await event_agent(house, actor, **PUSH)
    hooks = house.agents.deliveries.hooks
    first = await hooks.rotate(actor, agent_id)
    assert first.previous_valid_until is None
    second = await hooks.rotate(actor, agent_id, "what the service made")
    assert second.secret == "what the service made"
    assert second.previous_valid_until == house.clock.now() + timedelta(hours=24)
    await deliver(house, agent_id, first.secret, telling(ticket("one")))
    await deliver(house, agent_id, second.secret, telling(ticket("two")))
    house.clock.turn(hours=24)
    with pytest.raises(Refused):
        await deliver(house, agent_id, first.secret, telling(ticket("three")))
    await deliver(house, agent_id, second.secret, telling(ticket("four")))
    assert await ids_of_runs(house, actor, agent_id) == ["four", "one", "two"]


async def test_secrets_are_sealed_and_shown_once(house: House, tracker: Tracker, actor: Actor) -> None:
    agent_id = await event_agent(house, actor, **PUSH)
    secret = await rotated(house, actor, agent_id)
    shown = await house.agents.deliveries.hooks.show(actor, agent_id)
    assert shown.has_secret
    assert secret not in shown.model_dump_json()
    async with house.db.read() as session:
        stored = await session.execute(text("SELECT * FROM agent_hooks"))
        assert secret not in repr(list(stored))


async def test_who_may_not_edit_an_agent_may_not_have_its_secret(
    house: House, tracker: Tracker, actor: Actor, foreign_actor: Actor
) -> None:
    agent_id = await event_agent(house, actor, **PUSH)
    hooks = house.agents.deliveries.hooks
    with pytest.raises(NotFound):
        await hooks.rotate(foreign_actor, agent_id)
    viewer = replace(actor, user_id="eve", permissions=frozenset({"agent:view"}))
    with pytest.raises(Forbidden):
        await hooks.rotate(viewer, agent_id)
    other = await house.active(actor, name="On demand")
    with pytest.raises(Conflict) as conflict:
        await hooks.rotate(actor, other.id)
    assert conflict.value.code == "not_event_driven"


async def test_agents_of_two_tenants_with_one_name_are_told_apart_by_their_secrets(
    house: House, tracker: Tracker, actor: Actor, foreign_actor: Actor
) -> None:
    await house.tenants.create_tenant("other", "Other")
    await house.tenants.create_user("other", "Stranger", foreign_actor.role, user_id="stranger")
    for person in (actor, foreign_actor):
        house.desk.connect(person, "tracker", f"c-{person.tenant_id}", workspace_id=WORKSPACE)
        await event_agent(house, person, **PUSH)
    secret = await rotated(house, foreign_actor, "triage")
    await rotated(house, actor, "triage")
    await deliver(house, "triage", secret, telling(ticket("one")))
    assert await ids_of_runs(house, foreign_actor, "triage") == ["one"]
    assert await ids_of_runs(house, actor, "triage") == []


async def test_a_delivery_to_the_app_goes_to_the_agents_of_its_workspace(
    house: House, tracker: Tracker, actor: Actor
) -> None:
    set_app_secret(house, f"{APP_SECRET.replace(' ', '-')} next")
    here = await event_agent(house, actor, "Here", **PUSH)
    waits = await event_agent(house, actor, "Waits for others", mode="push")
    house.desk.connections.clear()
    house.desk.connect(actor, "tracker", "c-2", workspace_id="w-2")
    elsewhere = await event_agent(house, actor, "Elsewhere", **PUSH)
    body = telling(ticket("one"))
    for secret, duplicate in (("next", False), ("the-installation's-own", True)):
        assert (await deliver_to_app(house, body, secret)).duplicate is duplicate
    assert not (await deliver_to_app(house, telling(ticket("two"), workspace=""), "next")).duplicate
    assert await ids_of_runs(house, actor, here) == ["one"]
    assert await ids_of_runs(house, actor, elsewhere) == []
    assert await ids_of_runs(house, actor, waits) == []


async def test_our_own_doing_does_not_start_it_even_where_we_learn_late_who_we_are(
    house: House, tracker: Tracker, actor: Actor
) -> None:
    tracker.identity_trouble = ServiceDown("Tracker isn't answering.", retryable=True)
    agent_id = await event_agent(house, actor, **PUSH)
    secret, poller = await rotated(house, actor, agent_id), Poller(house.agents, house.clock)
    await deliver(house, agent_id, secret, telling(ticket("ours", author=OURS), ticket("anns")))
    await poller.poll_due()
    assert await ids_of_runs(house, actor, agent_id) == []
    tracker.identity_trouble = None
    house.clock.turn(minutes=1)
    await poller.poll_due()
    assert await ids_of_runs(house, actor, agent_id) == ["anns"]
    await deliver(house, agent_id, secret, telling(ticket("ours-too", author=OURS), ticket("next")))
    assert await ids_of_runs(house, actor, agent_id) == ["anns", "next"]


async def test_a_delivery_of_mere_ids_is_looked_up_before_it_is_decided(
    house: House, tracker: Tracker, actor: Actor
) -> None:
    named = {**PUSH, "event": "ticket.named", "filter": "event.item.title == 'good'"}
    agent_id = await event_agent(house, actor, **named)
    secret, poller = await rotated(house, actor, agent_id), Poller(house.agents, house.clock)
    tracker.add("a", title="good")
    tracker.add("b", title="bad")
    told = [ticket(name, type="ticket.named") for name in ("a", "b", "gone")]
    tracker.trouble = ServiceDown("Tracker isn't answering.", retryable=True)
    assert not (await deliver(house, agent_id, secret, telling(*told))).duplicate
    await poller.poll_due()
    assert tracker.read == []
    tracker.trouble = None
    house.clock.turn(minutes=1)
    tracker.tickets.append({"id": "gone", "title": "good"})
    await poller.poll_due()
    assert sorted(tracker.read) == ["a", "b", "gone"]
    await house.agents.fires.start_all_waiting()
    assert await ids_of_runs(house, actor, agent_id) == ["a", "gone"]


async def test_what_cannot_be_looked_up_any_more_is_told_in_the_ledger(
    house: House, tracker: Tracker, actor: Actor
) -> None:
    agent_id = await event_agent(house, actor, **{**PUSH, "event": "ticket.named"})
    secret, poller = await rotated(house, actor, agent_id), Poller(house.agents, house.clock)
    tracker.trouble = ResourceNotFound("I can't find that in Tracker any more.")
    await deliver(house, agent_id, secret, telling(ticket("gone", type="ticket.named")))
    await poller.poll_due()
    found = await house.agents.fire_history.list_fires(actor, agent_id, Paging())
    assert [(line.status.value, line.reason) for line in found.fires] == [
        ("refused", "It could not be read: I can't find that in Tracker any more.")
    ]


async def test_push_is_polled_until_something_is_delivered_and_says_so(
    house: House, tracker: Tracker, actor: Actor
) -> None:
    agent_id = await event_agent(house, actor, mode="push")
    shown = await house.agents.deliveries.hooks.show(actor, agent_id)
    assert shown.delivery == "poll"
    assert "checked every 15 minutes instead" in shown.message
    async with house.db.read() as session:
        titles = list(await session.scalars(text("SELECT title FROM inbox_items WHERE kind = 'notice'")))
    assert titles == ["Triage looks by itself for now"]
    house.clock.turn(minutes=1)
    made = tracker.add("one")
    poller = Poller(house.agents, house.clock)
    house.clock.turn(minutes=15)
    await poller.poll_due()
    secret = await rotated(house, actor, agent_id)
    await deliver(house, agent_id, secret, telling({**made, "type": "ticket.created"}))
    shown = await house.agents.deliveries.hooks.show(actor, agent_id)
    assert (shown.delivery, shown.message) == ("push", "Tracker delivers what happens.")
    tracker.asked.clear()
    house.clock.turn(minutes=60)
    await poller.poll_due()
    assert tracker.asked == []
    assert await ids_of_runs(house, actor, agent_id) == ["one"]


def handing_out_tokens(tracker: Tracker) -> None:
    """The service makes its secret itself, and sends it before its first delivery."""
    assert MANIFEST.webhook is not None
    webhook = MANIFEST.webhook.model_copy(update={"handshake": Handshake.NOTION_TOKEN})
    manifest = MANIFEST.model_copy(update={"webhook": webhook})
    tracker.house.desk.catalog["tracker"] = replace(tracker.integration, manifest=manifest)


TOKEN = "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"


async def shake_hands(house: House, agent_id: str, address: str, token: str = TOKEN) -> Taken:
    body = b'{"verification_token": "%s"}' % token.encode()
    return await house.agents.deliveries.to_agent("tracker", agent_id, address, {}, body)


async def test_a_token_is_taken_at_the_address_nobody_else_knows_and_offered_until_it_is_used(
    house: House, tracker: Tracker, actor: Actor
) -> None:
    handing_out_tokens(tracker)
    agent_id = await event_agent(house, actor, **PUSH)
    hooks = house.agents.deliveries.hooks
    given = await hooks.rotate(actor, agent_id)
    address = given.url.partition("?hook=")[2]
    assert len(address) >= 32
    for guessed in ("", "x", address[:-1]):
        with pytest.raises(Refused):
            await shake_hands(house, agent_id, guessed)
    assert (await shake_hands(house, agent_id, address)).handshake
    shown = await hooks.show(actor, agent_id)
    assert shown.verification_token == TOKEN
    async with house.db.read() as session:
        assert TOKEN not in repr(list(await session.execute(text("SELECT * FROM agent_hooks"))))
        notices = list(await session.execute(text("SELECT title, text FROM inbox_items")))
    assert "Tracker wants its token back" in repr(notices)
    assert TOKEN not in repr(notices)
    await deliver(house, agent_id, TOKEN, telling(ticket("one")))
    assert (await hooks.show(actor, agent_id)).verification_token is None
    with pytest.raises(Refused):
        await shake_hands(house, agent_id, address, "secret_planted_by_somebody_else")
    assert await ids_of_runs(house, actor, agent_id) == ["one"]


async def test_a_token_for_the_installation_is_offered_to_who_runs_it_and_verifies_nothing(
    house: House, tracker: Tracker, actor: Actor, foreign_actor: Actor
) -> None:
    handing_out_tokens(tracker)
    agent_id = await event_agent(house, actor, **PUSH)
    deliveries = house.agents.deliveries
    body = b'{"verification_token": "%s"}' % TOKEN.encode()
    assert (await deliveries.to_app("tracker", {}, body)).handshake
    shown = await deliveries.hooks.of_installation(actor, "tracker")
    assert (shown.verification_token, shown.configured, shown.setting) == (
        TOKEN,
        False,
        "TRACKER_WEBHOOK_SECRET",
    )
    with pytest.raises(NotFound):
        await deliveries.hooks.of_installation(foreign_actor, "tracker")
    with pytest.raises(Refused):
        await deliver_to_app(house, telling(ticket("one")), TOKEN)
    set_app_secret(house, TOKEN)
    await deliver_to_app(house, telling(ticket("two")), TOKEN)
    assert await ids_of_runs(house, actor, agent_id) == ["two"]
    with pytest.raises(Refused):
        await deliveries.to_app("tracker", {}, body)


async def test_a_challenge_is_answered_once_its_signature_is_good(
    house: House, tracker: Tracker, actor: Actor
) -> None:
    assert MANIFEST.webhook is not None
    webhook = MANIFEST.webhook.model_copy(update={"handshake": Handshake.SLACK_CHALLENGE})
    manifest = MANIFEST.model_copy(update={"webhook": webhook})
    house.desk.catalog["tracker"] = replace(tracker.integration, manifest=manifest)
    set_app_secret(house, "installation")
    body = b'{"type": "url_verification", "challenge": "3eZbrw1a"}'
    assert (await deliver_to_app(house, body, "installation")).challenge == "3eZbrw1a"
    with pytest.raises(Refused):
        await deliver_to_app(house, body, "guessed")


async def test_old_deliveries_are_forgotten_only_where_a_repetition_would_be_too_old(
    house: House, tracker: Tracker, actor: Actor
) -> None:
    agent_id = await event_agent(house, actor, **PUSH)
    secret, body = await rotated(house, actor, agent_id), telling(ticket("one"))
    await deliver(house, agent_id, secret, body)
    async with house.db.transaction() as session:
        now = house.clock.now()
        assert await hook_store.take_delivery(session, "s", "k", now, forgettable=True)
        await hook_store.forget_deliveries(session, now + timedelta(days=400))
        assert not await hook_store.was_taken(session, "s", "k")
    assert (await deliver(house, agent_id, secret, body)).duplicate
