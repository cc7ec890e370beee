"""Requests to a server that is busy, broken, away, or says no."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from omniforge.client import OmniForgeClient
from omniforge.core import errors
from omniforge.core.errors import Conflict, Invalid, OmniForgeError, RateLimited, Unavailable

Answer = httpx.Response | Exception
AGENT = {"id": "a", "name": "A", "status": "active", "version": 1}


def page(*agents: dict[str, Any], total: int | None = None) -> httpx.Response:
    return httpx.Response(200, json={"agents": list(agents), "total": total or len(agents)})


def refusal(status: int, code: str = "x", **details: Any) -> httpx.Response:
    return httpx.Response(status, json={"error": code, "message": "No.", "details": details})


class Scripted:
    """A server that gives these answers one after the other, and keeps what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.left = list(answers)
        self.asked: list[httpx.Request] = []
        self.slept: list[float] = []
        self.client = OmniForgeClient(
            "key",
            "http://server",
            transport=httpx.MockTransport(self._answer),
            sleep=self._sleep,
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


async def test_a_busy_server_is_asked_again_after_the_time_it_names() -> None:
    server = Scripted(
        httpx.Response(429, json={"error": "rate_limited", "message": "Slow."}, headers={"Retry-After": "7"}),
        page(AGENT),
    )
    assert [one.id for one in await server.client.agents.list()] == ["a"]
    assert server.slept == [7.0]


async def test_a_server_that_wants_more_time_than_anybody_has_is_told_of() -> None:
    server = Scripted(httpx.Response(429, json={}, headers={"Retry-After": "3600"}))
    with pytest.raises(RateLimited) as error:
        await server.client.agents.list()
    assert (error.value.retry_after, server.slept) == (3600.0, [])


async def test_a_reading_is_tried_again_and_in_the_end_told_of() -> None:
    server = Scripted(*(httpx.Response(503, json={}) for _ in range(4)))
    with pytest.raises(Unavailable):
        await server.client.agents.get("a")
    assert server.slept == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("answer", [httpx.ReadTimeout("slow"), httpx.Response(502, json={})])
async def test_a_run_that_may_have_begun_is_asked_for_again_under_the_same_key(answer: Answer) -> None:
    execution = {"id": "run-1", "agent_id": "a", "status": "pending"}
    server = Scripted(
        answer,
        httpx.Response(202, json={"execution_id": "run-1", "status": "pending"}),
        httpx.Response(200, json=execution),
    )
    assert (await server.client.agents.run("a", {"x": 1})).id == "run-1"
    first, second, _ = server.asked
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] != ""
    assert json.loads(second.content) == {"input_data": {"x": 1}}


async def test_two_runs_have_keys_of_their_own_unless_one_is_given() -> None:
    def started() -> list[httpx.Response]:
        execution = {"id": "r", "agent_id": "a", "status": "pending"}
        return [httpx.Response(202, json={"execution_id": "r"}), httpx.Response(200, json=execution)]

    server = Scripted(*started(), *started(), *started())
    await server.client.agents.run("a")
    await server.client.agents.run("a")
    await server.client.agents.run("a", idempotency_key="mine")
    keys = [one.headers["idempotency-key"] for one in server.asked if one.method == "POST"]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"


async def test_a_change_that_may_have_been_made_is_not_made_a_second_time() -> None:
    server = Scripted(httpx.Response(503, json={}))
    with pytest.raises(Unavailable):
        await server.client.agents.update("a", {"description": "b"})
    assert len(server.asked) == 1


async def test_a_request_that_is_still_being_answered_is_waited_for() -> None:
    server = Scripted(refusal(409, "version_conflict", since="2026-11-22"), httpx.Response(200, json=AGENT))
    assert (await server.client.agents.pause("a")).id == "a"
    server = Scripted(refusal(409, "version_conflict", version=3))
    with pytest.raises(Conflict):
        await server.client.agents.pause("a")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, errors.Unauthenticated),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (413, errors.PayloadTooLarge),
        (422, errors.Invalid),
        (500, errors.OmniForgeError),
    ],
)
async def test_what_the_server_refuses_is_an_error_of_our_tree(
    status: int, kind: type[OmniForgeError]
) -> None:
    server = Scripted(refusal(status, "some_code", hint="look there"))
    with pytest.raises(OmniForgeError) as error:
        await server.client.agents.get("a")
    assert type(error.value) is kind
    assert (error.value.code, error.value.message) == ("some_code", "No.")
    assert error.value.details == {"hint": "look there"}


@pytest.mark.parametrize("body", ["<html>", "[1]", ""])
async def test_what_is_not_omniforge_is_told_in_one_sentence(body: str) -> None:
    server = Scripted(httpx.Response(404, text=body))
    with pytest.raises(errors.NotFound, match="404"):
        await server.client.agents.get("a")
    if body:
        server = Scripted(httpx.Response(200, text=body))
        with pytest.raises(Unavailable, match="not OmniForge's"):
            await server.client.agents.get("a")


async def test_a_server_that_is_away_is_named_with_what_to_do() -> None:
    server = Scripted(*(httpx.ConnectError("refused") for _ in range(4)))
    with pytest.raises(Unavailable, match="omniforge up") as error:
        await server.client.agents.update("a", {})
    assert error.value.code == "unreachable"


async def test_a_list_goes_over_all_pages_or_ends_where_it_is_told_to() -> None:
    many = [{**AGENT, "id": str(number)} for number in range(3)]
    server = Scripted(page(*many[:2], total=3), page(many[2], total=3))
    assert [one.id for one in await server.client.agents.list()] == ["0", "1", "2"]
    assert [one.url.params["offset"] for one in server.asked] == ["0", "2"]
    server = Scripted(page(*many[:2], total=3))
    assert len(await server.client.agents.list(limit=2)) == 2
    assert server.asked[0].url.params["limit"] == "2"


async def test_ids_are_quoted_in_addresses() -> None:
    server = Scripted(httpx.Response(200, json=AGENT))
    await server.client.agents.get("../keys?x")
    assert server.asked[0].url.raw_path == b"/api/v1/agents/..%2Fkeys%3Fx"


# --- streams -----------------------------------------------------------------------------------------------


class Broken(httpx.AsyncByteStream):
    """Events, then a connection that breaks."""

    def __init__(self, *events: dict[str, Any], breaks: bool = True) -> None:
        self.events, self.breaks = events, breaks

    async def __aiter__(self) -> Any:
        yield b": still here\n\n"
        for event in self.events:
            whole = f"id: {event['seq']}\nevent: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
            yield whole[:9]
            yield whole[9:]
        if self.breaks:
            raise httpx.ReadError("gone")


def happened(seq: int, kind: str = "skill_started") -> dict[str, Any]:
    return {"seq": seq, "type": kind, "at": "2026-11-22T00:00:00Z", "data": {}}


def stream(*events: dict[str, Any], breaks: bool = True) -> httpx.Response:
    return httpx.Response(200, stream=Broken(*events, breaks=breaks))


async def test_a_stream_goes_on_after_the_last_event_seen_and_tells_nothing_twice() -> None:
    server = Scripted(
        stream(happened(3), happened(5)),
        httpx.Response(503, json={}),
        stream(happened(5), happened(8), breaks=False),
        stream(happened(9, "execution_finished"), breaks=False),
    )
    seen = [event.seq async for event in server.client.executions.stream("r", after=2)]
    assert seen == [3, 5, 8, 9]
    assert [one.headers["last-event-id"] for one in server.asked] == ["2", "5", "5", "8"]
    assert server.slept == [0.5, 1.0, 0.5]


async def test_a_stream_of_an_unknown_execution_is_refused_at_once() -> None:
    server = Scripted(refusal(404, "not_found"))
    with pytest.raises(errors.NotFound):
        await anext(server.client.executions.stream("r"))


async def test_a_stream_whose_server_stays_away_ends_in_an_error() -> None:
    server = Scripted(*(httpx.ConnectError("refused") for _ in range(4)))
    with pytest.raises(Unavailable):
        await anext(server.client.executions.stream("r"))


async def test_waiting_gives_up_when_it_is_told_to() -> None:
    running = {"id": "r", "agent_id": "a", "status": "running"}
    server = Scripted(httpx.Response(200, json=running), httpx.Response(200, json=running))
    with pytest.raises(TimeoutError, match="running"):
        await server.client.executions.wait("r", timeout=0)


async def test_a_test_is_waited_for_however_long_it_takes() -> None:
    report: dict[str, Any] = dict.fromkeys(
        ("agent_id", "mode", "verdict", "text", "output", "manifest_hash"), ""
    )
    lists = {name: list[Any]() for name in ("manifest", "effects", "skill_results", "problems")}
    under_way = {"test_id": "t", "execution_id": "r", "status": "pending"}
    server = Scripted(
        httpx.Response(202, json=under_way),
        refusal(409, "test_under_way"),
        httpx.Response(200, json={**report, **lists, "test_id": "t", "sample_data": True, "new_word": 1}),
    )
    result = await server.client.agents.test("a")
    assert (result.test_id, result.raw["new_word"]) == ("t", 1)


# --- where to ----------------------------------------------------------------------------------------------


async def test_another_server_can_stand_in_for_an_origin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMNIFORGE_URL_MAP", "https://api.omniforge.ai=http://127.0.0.1:9")
    assert OmniForgeClient("k", "https://api.omniforge.ai").base_url == "http://127.0.0.1:9"
    assert "https://api.omniforge.ai is http://127.0.0.1:9" in capsys.readouterr().err
    assert OmniForgeClient("k", "https://api.omniforge.ai.example.com").base_url.endswith("example.com")


@pytest.mark.parametrize("address", ["", "server", "ftp://server", "http://"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    make: Callable[[], OmniForgeClient] = lambda: OmniForgeClient("k", address or " ")  # noqa: E731
    with pytest.raises(Invalid, match="no address"):
        make()
