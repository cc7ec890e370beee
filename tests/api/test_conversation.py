"""A conversation keeps its place: one turn at a time, a recap after silence, other people's stay theirs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from omniforge.api.app import create_app
from omniforge.bootstrap import Installation
from omniforge.core.actor import Role
from omniforge.core.config import Settings


class Watch:
    """A clock that tests set; sleeping is real."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
async def client(tmp_path: Path, watch: Watch) -> AsyncIterator[httpx.AsyncClient]:
    async with Installation.open(Settings(home=tmp_path / "home"), watch) as house:
        transport = httpx.ASGITransport(create_app(house), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8700") as local:
            yield local


async def started(client: httpx.AsyncClient, **given: Any) -> dict[str, Any]:
    answer = await client.post("/api/v1/conversation/start", json=given)
    assert answer.status_code == 201
    return answer.json()


async def test_a_second_message_meanwhile_is_refused_and_nothing_of_it_is_kept(
    client: httpx.AsyncClient,
) -> None:
    session = await started(client)
    path = f"/api/v1/conversation/{session['session_id']}"
    said = {"message": "a weekly report from Notion"}
    answers = await asyncio.gather(*(client.post(f"{path}/message", json=said) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert refused.json()["error"] == "turn_in_progress"
    assert len((await client.get(path)).json()["messages"]) == 3


async def test_after_half_an_hour_the_conversation_waits_and_the_next_reply_recaps(
    client: httpx.AsyncClient, watch: Watch
) -> None:
    session = await started(
        client, message="Every Monday at 9 a report of what changed in our Notion projects"
    )
    path = f"/api/v1/conversation/{session['session_id']}"
    watch.ahead = timedelta(minutes=31)
    assert (await client.get(path)).json()["status"] == "waiting"
    reply = (await client.post(f"{path}/message", json={"message": "hello again"})).json()
    assert reply["text"].startswith("Welcome back")
    assert "Monday" in reply["text"]
    assert (await client.get(path)).json()["status"] == "open"


async def test_after_90_days_a_conversation_is_over_and_says_so(
    client: httpx.AsyncClient, watch: Watch
) -> None:
    session = await started(client)
    path = f"/api/v1/conversation/{session['session_id']}"
    watch.ahead = timedelta(days=91)
    assert (await client.get(path)).json()["status"] == "expired"
    answer = await client.post(f"{path}/message", json={"message": "hello"})
    assert (answer.status_code, answer.json()["error"]) == (409, "session_expired")


async def test_a_conversation_can_be_cancelled_and_is_still_there_to_read(client: httpx.AsyncClient) -> None:
    session = await started(client)
    path = f"/api/v1/conversation/{session['session_id']}"
    assert (await client.delete(path)).json() == {"success": True}
    assert (await client.get(path)).json()["status"] == "cancelled"


async def test_colleagues_of_the_same_tenant_do_not_see_each_others_conversations(application: Any) -> None:
    session = await started(application.local)
    colleague = await application.member(Role.ADMIN)
    path = f"/api/v1/conversation/{session['session_id']}"
    assert (await colleague.get(path)).status_code == 404
    assert (await colleague.post(f"{path}/message", json={"message": "hi"})).status_code == 404
    assert (await colleague.get("/api/v1/conversation")).json()["total"] == 0


async def test_a_start_with_a_message_brings_its_reply(client: httpx.AsyncClient) -> None:
    session = await started(client, message="our weekly reports from Notion take hours")
    assert session["phase"] == "discovery"
    assert "Notion" in session["reply"]["text"]
    assert set(session["reply"]) == {"text", "phase", "actions", "oauth_url", "data"}


async def test_a_stranger_neither_sees_nor_disturbs_a_turn_in_progress(tmp_path: Path, watch: Watch) -> None:
    async with Installation.open(Settings(home=tmp_path / "home"), watch) as house:
        transport = httpx.ASGITransport(create_app(house), raise_app_exceptions=False)
        await house.tenants.create_tenant("other", "Other")
        user_id = await house.tenants.create_user("other", "Stranger", Role.OWNER)
        tokens = await house.tenants.issue_tokens("other", user_id)
        bearer = {"Authorization": f"Bearer {tokens.access_token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8700") as local:
            session = await started(local)
            path = f"/api/v1/conversation/{session['session_id']}/message"
            said = {"message": "a weekly report from Notion"}

            async def strange() -> list[int]:
                asked = [await local.post(path, json=said, headers=bearer) for _ in range(4)]
                return [answer.status_code for answer in asked]

            mine, theirs = await asyncio.gather(local.post(path, json=said), strange())
    assert mine.status_code == 200
    assert theirs == [404] * 4
