"""A conversation as it goes on: live replies over HTTP, what arrives meanwhile, and the terminal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx

from living_server import Server
from omniforge.cli.demo import allow

WISH = "Our weekly reports from Notion boards take hours every Monday"
LIVE = {"Accept": "text/event-stream"}


async def told(stream: httpx.Response) -> AsyncGenerator[tuple[str, str, dict[str, Any]]]:
    """(id, event, data) as they come."""
    fields: dict[str, str] = {}
    async for line in stream.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield fields["id"], fields["event"], json.loads(fields["data"])
            fields = {}


async def heard(
    server: Server, session: str, message: dict[str, str]
) -> list[tuple[str, str, dict[str, Any]]]:
    path = f"/api/v1/conversation/{session}/message"
    async with server.client.stream("POST", path, json=message, headers=LIVE) as stream:
        assert stream.status_code == 200
        return [one async for one in told(stream)]


async def test_a_live_reply_tells_what_is_done_then_the_words_then_the_whole(server: Server) -> None:
    session = await server.start_talk()
    await server.say(session, WISH)
    events = await heard(server, session, {"message": "Yes", "client_message_id": "m1"})
    kinds = [kind for _, kind, _ in events]
    assert kinds[0] == "progress"
    assert kinds[-1] == "reply"
    assert [number for number, _, _ in events] == [str(n) for n in range(1, len(events) + 1)]
    reply = events[-1][2]
    assert "".join(data["text"] for _, kind, data in events if kind == "delta") == reply["text"]
    assert reply["oauth_url"]
    again = await heard(server, session, {"message": "Yes", "client_message_id": "m1"})
    assert [kind for _, kind, _ in again if kind == "progress"] == []
    assert again[-1][2] == reply


async def test_what_is_wrong_with_a_message_is_a_plain_answer_and_no_stream(server: Server) -> None:
    path = "/api/v1/conversation/con_none/message"
    missing = await server.client.post(path, json={"message": "hello"}, headers=LIVE)
    assert (missing.status_code, missing.json()["error"]) == (404, "not_found")
    session = await server.start_talk()
    path = f"/api/v1/conversation/{session}/message"
    wrong = await server.client.post(path, json={"text": "hello"}, headers=LIVE)
    assert wrong.status_code == 422
    gone = await server.client.get("/api/v1/conversation/con_none/stream", headers=LIVE)
    assert gone.status_code == 404


async def test_a_turn_goes_on_when_nobody_listens_any_more(server: Server) -> None:
    session = await server.start_talk()
    await server.say(session, WISH)
    path = f"/api/v1/conversation/{session}/message"
    message = {"message": "Yes", "client_message_id": "left"}
    async with server.client.stream("POST", path, json=message, headers=LIVE) as stream:
        async for _ in told(stream):
            break  # the person closes the window after the first sign of life
    async with asyncio.timeout(20):
        while (await server.ask("GET", f"/conversation/{session}"))["phase"] != "oauth_flow":
            await asyncio.sleep(0.05)
    reply = await server.ask("POST", f"/conversation/{session}/message", json=message)
    assert reply["oauth_url"]


async def test_a_sign_in_a_reply_and_a_run_reach_those_who_listen(server: Server) -> None:
    session = await server.start_talk()
    await server.say(session, WISH)
    url = (await server.say(session, "Yes"))["oauth_url"]
    seen: list[tuple[str, dict[str, Any]]] = []

    async def listen() -> None:
        path = f"/api/v1/conversation/{session}/stream"
        async with server.client.stream("GET", path, params={"after": 0}, headers=LIVE) as stream:
            async for _, kind, data in told(stream):
                seen.append((kind, data))
                if kind == "connection":
                    return

    listener = asyncio.create_task(listen())
    await allow(url)
    async with asyncio.timeout(20):
        await listener
    assert [kind for kind, _ in seen] == ["reply", "reply", "connection"]
    assert seen[-1][1]["workspace"] == "Acme Operations"
    other = await server.start_talk()
    async with asyncio.timeout(20):
        path = f"/api/v1/conversation/{other}/stream"
        async with server.client.stream("GET", path, params={"after": 0}, headers=LIVE) as stream:
            async for _, kind, _ in told(stream):
                assert kind == "connection"  # the other conversation's replies are not this one's
                break


async def test_the_terminal_tells_progress_and_takes_numbers(server: Server) -> None:
    code, out, err = await server.command("chat", said=f"{WISH}\n1\nexit\n")
    assert (code, err) == (0, "")
    assert "· Preparing the sign-in" in out
    assert "Open this to connect:" in out
    assert "1  Done" in out
    session = out.split("--resume ")[1].split()[0]
    code, out, _ = await server.command("chat", "--list")
    assert code == 0
    assert session in out
    assert "weekly reports" in out
    code, out, _ = await server.command("chat", "--resume", session, said="1\n")
    assert code == 0
    assert "Nothing has arrived" in out


async def test_the_terminal_says_plainly_that_a_conversation_is_not_there(server: Server) -> None:
    code, _, err = await server.command("chat", "--resume", "con_none")
    assert code == 3
    assert "There is no such conversation" in err
