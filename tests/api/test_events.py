"""The events of a tenant over HTTP: lists, filters, server-sent events and WebSockets."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from api.conftest import Application
from api.event_readers import Socket, socket, stream
from omniforge.api.app import create_app
from omniforge.api.event_socket import Close
from omniforge.api.feed import Feed
from omniforge.api.hearing import Hearing
from omniforge.board.log import board_event
from omniforge.core.actor import Role
from omniforge.core.logs import JsonLines, TextLines
from omniforge.engine.events import Event

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
HEARTBEAT = "sandbox.heartbeat_received"
Json = dict[str, Any]


class Board:
    """A log with events of a board, and who reads them."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.http = application.local
        self.app: Any = create_app(application.house)

    async def write(self, *events: Event, tenant_id: str = "default") -> None:
        house = self.application.house
        async with house.db.transaction() as session:
            await house.engine.events.append(session, tenant_id, *events)

    async def list(self, **params: Any) -> Json:
        answer = await self.http.get("/api/v1/events", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def types(self, **params: Any) -> list[str]:
        return [event["type"] for event in (await self.list(limit=200, **params))["events"]]

    async def token(self, role: Role, *permissions: str) -> str:
        tenants = self.application.house.tenants
        user_id = await tenants.create_user("default", role.value, role)
        return (await tenants.issue_tokens("default", user_id)).access_token


def happen(type_: str, entity_id: str, **ids: Any) -> Event:
    return board_event(type_, entity_id, NOW, "user:local", project_id=ids.pop("project_id", "p1"), **ids)


STORY = (
    happen("project.created", "p1", name="Shop"),
    happen("ticket.created", "t1", title="Search"),
    happen("ticket.created", "t2", title="Pay"),
    happen("task.created", "k1", ticket_id="t1"),
    happen("task.claimed", "k1", ticket_id="t1", sandbox_id="s1", run_id="run_1", attempt=1),
    happen(HEARTBEAT, "s1", ticket_id="t1", task_id="k1"),
    happen("agent.tool_used", "s1", ticket_id="t1", task_id="k1", tool="run_command"),
    happen("phase.completed", "t1", phase_id="PHASE_TESTING"),
    happen("ticket.transitioned", "t1", from_status="testing", to_status="done"),
    happen("ticket.created", "t9", project_id="p2"),
)


@pytest.fixture
async def board(application: Application) -> Board:
    opened = Board(application)
    await opened.write(*STORY)
    return opened


async def test_the_envelope_tells_what_an_event_is_about(board: Board) -> None:
    seq = await board.application.house.engine.events.last("default")
    claimed = (await board.list(event_types="task.claimed"))["events"][0]
    assert claimed == {
        "seq": seq - 5,
        "id": f"event-{seq - 5}",
        "type": "task.claimed",
        "at": "2026-11-21T10:00:00.000Z",
        "tenant_id": "default",
        "project_id": "p1",
        "ticket_id": "t1",
        "task_id": "k1",
        "sandbox_id": "s1",
        "entity_type": "task",
        "entity_id": "k1",
        "entity": "task:k1",
        "run_id": "run_1",
        "actor": "user:local",
        "payload": {"attempt": 1},
    }
    about = {
        event["type"]: (event["entity_type"], event["entity_id"])
        for event in (await board.list(project_id="p1"))["events"]
    }
    assert about["phase.completed"] == ("phase", "t1")
    assert about["agent.tool_used"] == ("agent", "s1")
    assert about["project.created"] == ("project", "p1")


FILTERS: list[tuple[Json, list[int]]] = [
    ({"ticket_id": "t1", "event_types": "ticket.*,phase.*"}, [1, 7, 8]),
    ({"event_types": ["ticket.created", "task.created"]}, [1, 2, 3, 9]),
    ({"entity_types": "task,project", "project_id": "p1"}, [0, 3, 4]),
    ({"entity_ids": "t2,s1"}, [2, 6]),
    ({"task_id": "k1"}, [3, 4, 6]),
    ({"sandbox_id": "s1"}, [4, 6]),
    ({"sandbox_id": "s1", "event_types": f"{HEARTBEAT},task.*"}, [4, 5]),
    ({"sandbox_id": "s1", "event_types": "sandbox.*"}, []),
    ({"ticket_id": "t_"}, []),
    ({"project_id": "p2"}, [9]),
]
"""Parameters → the places in STORY of what they choose."""


async def test_filters_choose_the_same_in_lists_and_live(board: Board) -> None:
    log = board.application.house.engine.events
    for params, expected in FILTERS:
        before = await log.last("default")
        query = "&".join(
            f"{name}={value if isinstance(value, str) else ','.join(value)}" for name, value in params.items()
        )
        async with socket(board.app, f"{query}&after={before}") as live:
            await board.write(*STORY)
            told = [event["seq"] - before - 1 for event in await live.events(len(expected))]
        page = await board.list(**params, after=before)
        assert [event["seq"] - before - 1 for event in page["events"]] == told == expected, params
        assert page["total"] == len(expected)


async def test_lists_are_paged_either_way_and_say_where_to_go_on(board: Board) -> None:
    page = await board.list(project_id="p1", limit=3, offset=1)
    assert (page["total"], page["limit"], page["offset"], len(page["events"])) == (8, 3, 1, 3)
    assert page["next_after"] == page["events"][-1]["seq"]
    newest = await board.list(project_id="p1", order="desc", limit=2)
    assert [event["type"] for event in newest["events"]] == ["ticket.transitioned", "phase.completed"]
    assert newest["next_after"] == newest["events"][0]["seq"]
    nothing = await board.list(after=newest["next_after"] + 1)
    assert (nothing["events"], nothing["next_after"]) == ([], newest["next_after"] + 1)


WRONG: list[Json] = [
    {"event_types": "ticket"},
    {"event_types": "*"},
    {"event_types": "ticket.*.x"},
    {"entity_types": "Ticket"},
    {"order": "sideways"},
    {"limit": 201},
    {"after": -1},
    {"project_id": ""},
    {"entity_ids": "x" * 401},
    {"nonsense": 1},
]


async def test_what_is_no_filter_is_said(board: Board) -> None:
    for params in WRONG:
        answer = await board.http.get("/api/v1/events", params=params)
        assert (answer.status_code, answer.json()["error"]) == (422, "invalid"), params


async def test_a_large_payload_is_found_by_what_it_belongs_to(board: Board) -> None:
    await board.write(happen("command.output", "s2", ticket_id="t7", text="x" * 20_000))
    found = (await board.list(ticket_id="t7"))["events"][0]
    assert (found["sandbox_id"], found["payload"]["truncated"]) == ("s2", True)


async def test_a_stream_goes_on_after_the_larger_of_both(board: Board) -> None:
    last = await board.application.house.engine.events.last("default")
    async with stream(board.app, f"after={last - 3}", last_event_id=str(last - 1)) as reader:
        first = await reader.event()
        assert (first["id"], first["event"]) == (str(last), "ticket.created")
        assert first["data"]["entity_id"] == "t9"
        await board.write(happen("ticket.updated", "t1"))
        assert (await reader.event())["data"]["seq"] == last + 1
    async with stream(board.app, f"after={last}&event_types=ticket.*", last_event_id="junk") as reader:
        assert (await reader.event())["data"]["seq"] == last + 1


async def test_a_socket_replays_follows_and_changes_what_it_wants(board: Board) -> None:
    async with socket(board.app, "ticket_id=t1&event_types=task.*") as live:
        assert [event["type"] for event in await live.events(2)] == ["task.created", "task.claimed"]
        live.say(type="subscribe", event_types=["ticket.*"], project_id="p2", after=0)
        assert (await live.event())["entity_id"] == "t9"
        live.say(type="subscribe", event_types="TICKET")
        refused = await live.event()
        assert (refused["type"], refused["error"]) == ("error", "invalid")
        assert refused["details"]["fields"][0]["field"] == "event_types[0]"
        live.said.put_nowait({"type": "websocket.receive", "text": "{"})
        assert (await live.event())["type"] == "error"
        live.said.put_nowait({"type": "websocket.receive", "bytes": b'["subscribe"]'})
        assert (await live.event())["type"] == "error"
        live.say(type="pong")
        await board.write(happen("ticket.updated", "t1"), happen("ticket.updated", "t8", project_id="p2"))
        assert (await live.event())["entity_id"] == "t8"


async def test_who_may_not_read_is_told_so_by_a_code(board: Board) -> None:
    customer = await board.token(Role.END_CUSTOMER)
    viewer = await board.token(Role.VIEWER)
    for query, headers, code in (
        ("token=wrong", {}, Close.UNAUTHENTICATED),
        ("", {"authorization": "Bearer wrong"}, Close.UNAUTHENTICATED),
        ("", {"cookie": "omniforge_session_8700=wrong"}, Close.UNAUTHENTICATED),
        (f"token={customer}", {}, Close.FORBIDDEN),
        ("", {"origin": "http://evil.example"}, Close.FORBIDDEN),
        ("event_types=nonsense", {}, Close.INVALID),
    ):
        async with socket(board.app, query, **headers) as refused:
            assert await refused.closed() == code, (query, headers)
    for query, headers in ((f"token={viewer}", {}), ("", {"authorization": f"Bearer {viewer}"})):
        async with socket(board.app, query + "&entity_types=project", "/ws/events", **headers) as live:
            assert (await live.event())["entity_id"] == "p1"
            assert viewer not in live.scope["query_string"].decode()
    assert (
        await board.application.client({"Authorization": f"Bearer {customer}"}).get("/api/v1/events")
    ).status_code == 403


def test_a_token_in_an_address_is_not_logged() -> None:
    line = logging.LogRecord(
        "uvicorn.error", logging.INFO, "", 0, '%s "WebSocket %s"', ("x", "/ws/events?a=1&token=of_sk_1"), None
    )
    for form in (TextLines(), JsonLines()):
        assert "of_sk_1" not in form.format(line)
        assert "token=***" in form.format(line)


async def test_who_takes_too_long_is_sent_away_and_misses_nothing(board: Board) -> None:
    house = board.application.house
    audience = house.agents.executions.audience
    board.app.state.feed = Feed(house.engine.events, Hearing(audience), buffer=10)
    last = await house.engine.events.last("default")
    async with socket(board.app, f"after={last}&event_types=ticket.*") as slow:
        await board.write(happen("ticket.updated", "t1"))
        seen = [await slow.event()]
        slow.hold()
        for _ in range(3):
            await board.write(*(happen("ticket.updated", f"t{n}") for n in range(8)))
            await _settled(board)
        slow.go_on()
        assert await slow.closed() == Close.TOO_SLOW
    async with socket(board.app, f"after={seen[-1]['seq']}&event_types=ticket.*") as back:
        again = await _count(back, 24)
    assert again == list(range(seen[-1]["seq"] + 1, seen[-1]["seq"] + 25))


async def _count(live: Socket, number: int) -> list[int]:
    return [event["seq"] for event in await live.events(number)]


async def _settled(board: Board) -> None:
    """Until the tail has handed out what was written."""
    feed: Feed = board.app.state.feed
    async with asyncio.timeout(20):
        while feed._position < await board.application.house.engine.events.position():  # pyright: ignore[reportPrivateUsage]
            await asyncio.sleep(0)


async def test_a_stranger_is_told_of_nothing(board: Board) -> None:
    stranger = await board.application.member(Role.OWNER, "other", "stranger")
    await board.write(happen("ticket.updated", "t1"), tenant_id="other")
    found = (await stranger.get("/api/v1/events", params={"project_id": "p1"})).json()
    assert [(event["tenant_id"], event["type"]) for event in found["events"]] == [("other", "ticket.updated")]
