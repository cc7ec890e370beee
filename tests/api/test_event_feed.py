"""The feed: what was and what comes, each once and in order; nobody is told of what is not for them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.event import listens_for

from conftest import make_actor
from omniforge.agents.audience import AgentAudience
from omniforge.agents.store import AgentRow
from omniforge.api.feed import Feed, Following
from omniforge.api.hearing import Hearing
from omniforge.board.log import board_event
from omniforge.core.actor import Actor, Role
from omniforge.db import Database
from omniforge.engine.envelopes import EventFilter
from omniforge.engine.events import Event, EventLog
from omniforge.engine.stores import event_log
from omniforge.runs.service import RunRow
from omniforge.tenants.roles import permissions_of

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
EVERYTHING = EventFilter()


@pytest.fixture
def log(database: Database) -> EventLog:
    return event_log(database)


def feed_over(log: EventLog, buffer: int = 1000) -> Feed:
    return Feed(log, Hearing(AgentAudience(log.db)), buffer=buffer)


async def write(log: EventLog, *events: Event, tenant_id: str = "default") -> None:
    async with log.db.transaction() as session:
        await log.append(session, tenant_id, *events)


def ticket(number: int = 1, type_: str = "ticket.updated", **ids: Any) -> Event:
    return board_event(type_, f"t{number}", NOW, "user:local", project_id="p1", **ids)


async def take(reader: Following, count: int) -> list[int]:
    """The seqs of the next events."""
    found: list[int] = []
    async with asyncio.timeout(30):
        while len(found) < count:
            found += [told.seq for told in await reader.next(30)]
    return found


@pytest.mark.both_stores
@pytest.mark.parametrize("buffer", [3, 1000])
async def test_readers_among_writers_miss_nothing_and_see_nothing_twice(log: EventLog, buffer: int) -> None:
    """With a small buffer they fall behind again and again, and read on from the log."""
    feed, actor = feed_over(log, buffer), make_actor()
    await write(log, *(ticket(n) for n in range(5)))

    async def writer(name: int) -> None:
        for n in range(6):
            await write(log, ticket(name * 100 + n), ticket(name * 100 + n))
            await write(log, ticket(), tenant_id="other")

    async def reader() -> list[int]:
        async with feed.following(actor, EVERYTHING, 2) as following:
            return await take(following, 51)

    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(reader()) for _ in range(3)]
        for name in range(1, 5):
            group.create_task(writer(name))
    assert [task.result() for task in readers] == [list(range(3, 54))] * 3
    assert feed._tail is None  # pyright: ignore[reportPrivateUsage] - nobody reads: nothing is read


async def test_one_look_at_the_log_serves_everybody(log: EventLog) -> None:
    feed, looks = feed_over(log), list[str]()

    @listens_for(log.db.engine.sync_engine, "before_cursor_execute")
    def look(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        if "FROM events" in statement:
            looks.append(statement)

    async with AsyncExitStack() as stack:
        opened = [feed.following(make_actor(), EVERYTHING, 0) for _ in range(20)]
        readers = [await stack.enter_async_context(one) for one in opened]
        for reader in readers:
            assert await reader.next(0.001) == []
        looks.clear()
        await write(log, ticket())
        assert [await take(reader, 1) for reader in readers] == [[1]] * 20
        assert len(looks) <= 4  # the writer's, the tail's, and the tail's that finds nothing more


async def test_an_event_with_any_number_is_told(log: EventLog) -> None:
    async with feed_over(log).following(make_actor(), EVERYTHING, 0) as reader:
        await write(log, ticket(large=str(2**80)), Event("ticket.updated", "t", NOW, "user:u", {"n": 2**80}))
        assert [str(2**80) in one.text for one in await reader.next(1)] == [True, True]


async def test_filters_are_replaced_in_the_middle(log: EventLog) -> None:
    feed = feed_over(log)
    async with feed.following(make_actor(), EventFilter(types=frozenset({"ticket.*"})), 0) as reader:
        await write(log, ticket(1), board_event("task.created", "k1", NOW, "user:local", ticket_id="t1"))
        assert await take(reader, 1) == [1]
        reader.wanted = EventFilter(ids={"ticket_id": "t2"})
        await write(log, ticket(1), ticket(2))
        assert await take(reader, 1) == [4]
        reader.rewind(0)
        assert await take(reader, 1) == [4]


# --- who is told --------------------------------------------------------------------------------------------


def agent(agent_id: str, owner: str, *shared_with: str) -> AgentRow:
    return AgentRow(
        tenant_id="default",
        id=agent_id,
        name=agent_id,
        description="",
        status="active",
        trigger_type="on_demand",
        timezone="UTC",
        misfire_policy="once",
        content={},
        connections={},
        sharing_level="team" if shared_with else "private",
        shared_with=list(shared_with),
        version=1,
        created_by=owner,
        created_at=NOW,
        updated_at=NOW,
    )


def run(run_id: str, subject: str, by: str = "system:scheduler", user: str = "nobody") -> RunRow:
    at = "2026-11-21T10:00:00.000Z"
    return RunRow(
        id=run_id,
        tenant_id="default",
        subject=subject,
        mode="live",
        status="running",
        plan_hash="",
        input="{}",
        trigger_type="schedule",
        triggered_by=by,
        logical_time=at,
        facts=f'{{"user":{{"id":"{user}"}}}}',
        epoch=1,
        priority=0,
        depth=0,
        created_at=at,
    )


def member(user_id: str, role: Role, *only: str) -> Actor:
    by = f"key:{user_id}" if only else f"user:{user_id}"
    return Actor("default", user_id, role, by, frozenset(only) or permissions_of(role))


PEOPLE = {
    "owner": make_actor(),
    "ana": member("ana", Role.OPERATOR),
    "ben": member("ben", Role.OPERATOR),
    "vera": member("vera", Role.VIEWER),
    "board_key": member("kim", Role.OPERATOR, "board:view"),
    "agent_key": member("ben", Role.OPERATOR, "agent:view"),
    "customer": member("cus", Role.END_CUSTOMER),
}


async def seed(log: EventLog) -> None:
    """Agents of ana, one her own, one shared with everybody; runs of them and of other things."""
    async with log.db.transaction() as session:
        session.add_all([agent("secret", "ana"), agent("shared", "ana", "tenant"), agent("bens", "ben")])
        session.add_all(
            [
                run("r_secret", "agent:secret"),
                run("r_shared", "agent:shared"),
                run("r_by_ben", "agent:secret", by="user:ben"),
                run("r_for_ben", "agent:secret", user="ben"),
                run("r_probe", "test:test_1", by="user:ana"),
                run("r_task", "task:k1"),
            ]
        )


def everything_that_happens() -> list[Event]:
    runs = ("r_secret", "r_shared", "r_by_ben", "r_for_ben", "r_probe", "r_task", "r_gone")
    of_runs = [Event("run.started", f"run:{one}", NOW, "system:engine", {}, one) for one in runs]
    steps = [Event("agent.tool_used", f"step:{one}/ask", NOW, "system:engine", {}, one) for one in runs[:2]]
    of_agents = [
        Event("agent.updated", f"agent:{one}", NOW, "user:ana")
        for one in ("secret", "shared", "bens", "gone")
    ]
    return [
        *of_runs,
        *steps,
        *of_agents,
        ticket(),
        board_event("task.claimed", "k1", NOW, "system:dispatch", ticket_id="t1", run_id="r_secret"),
        board_event("agent.tool_used", "s1", NOW, "sandbox:s1", task_id="k1"),
        Event("connection.arrived", "connection:c1", NOW, "user:ana"),
        Event("conversation.replied", "conversation:v1", NOW, "user:ben"),
        Event("breaker.opened", "breaker:integration:notion", NOW, "system:engine"),
        Event("public_skill.published", "public_skill:x", NOW, "user:ana"),
        Event("pressure.rose", "installation", NOW, "system:engine"),
        Event("novelty.seen", "novelty:1", NOW, "system:engine"),
    ]


TOLD_TO_BEN = {
    *("run:r_shared", "run:r_by_ben", "run:r_for_ben", "run:r_task"),
    *("step:r_shared/ask", "agent:shared", "agent:bens"),
    *("ticket:t1", "task:k1", "sandbox:s1", "conversation:v1"),
    *("breaker:integration:notion", "public_skill:x", "installation"),
}


@pytest.mark.both_stores
async def test_everybody_is_told_what_is_for_them_live_as_in_lists(log: EventLog) -> None:
    await seed(log)
    feed, happened = feed_over(log), everything_that_happens()
    live: dict[str, set[str]] = {}
    async with AsyncExitStack() as stack:
        readers = {
            name: await stack.enter_async_context(feed.following(actor, EVERYTHING, 0))
            for name, actor in PEOPLE.items()
        }
        for reader in readers.values():
            assert await reader.next(0.001) == []
        await write(log, *happened)
        for name, reader in readers.items():
            listed, total = await feed.find(
                reader.actor, EVERYTHING, 0, limit=200, offset=0, newest_first=False
            )
            assert total == len(listed)
            assert await take(reader, total) == [told.seq for told in listed], name
            assert await reader.next(0.001) == []
            live[name] = {told.row.entity for told in listed}

    assert live["owner"] == {event.entity for event in happened} - {"connection:c1", "conversation:v1"}
    assert live["ben"] == TOLD_TO_BEN
    assert {"run:r_secret", "run:r_probe", "agent:secret", "connection:c1"} <= live["ana"]
    assert "agent:bens" not in live["ana"]
    assert {"run:r_shared", "ticket:t1", "sandbox:s1"} <= live["vera"]
    assert not {"step:r_shared/ask", "run:r_secret", "run:r_by_ben"} & live["vera"]
    assert live["customer"] == set()
    assert live["board_key"] == {"ticket:t1", "task:k1", "sandbox:s1"}
    assert live["agent_key"] == {
        *("run:r_shared", "run:r_by_ben", "run:r_for_ben", "run:r_task", "step:r_shared/ask"),
        *("agent:shared", "agent:bens", "conversation:v1", "installation"),
    }


async def test_an_agent_that_is_no_longer_shared_falls_silent(log: EventLog) -> None:
    await seed(log)
    feed = feed_over(log)
    updated = Event("agent.updated", "agent:shared", NOW, "user:ana")
    async with feed.following(PEOPLE["ben"], EVERYTHING, 0) as reader:
        await write(log, updated)
        assert await take(reader, 1) == [1]
        async with log.db.transaction() as session:
            row = await session.get_one(AgentRow, ("default", "shared"))
            row.sharing_level, row.shared_with = "private", []
        await write(log, updated, ticket())
        assert await take(reader, 1) == [3]


async def test_who_sees_less_than_before_is_told_less_at_once(log: EventLog) -> None:
    await seed(log)
    feed = feed_over(log)
    async with feed.following(PEOPLE["owner"], EVERYTHING, 0) as reader:
        await write(log, ticket())
        assert await take(reader, 1) == [1]
        await write(log, Event("agent.updated", "agent:secret", NOW, "user:ana"), ticket())
        reader.actor = PEOPLE["ben"]
        assert await take(reader, 1) == [3]
