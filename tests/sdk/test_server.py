"""The client, and agents that are brought to a server, over real HTTP."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import pytest

from omniforge import Agent, SkillRef
from omniforge.cli.server import Running
from omniforge.client import OmniForgeClient, SyncClient
from omniforge.core.errors import NotFound, Unauthenticated

EXPENSES = Path(__file__).parents[2] / "examples" / "skills" / "expense-check"
ONE = {"expenses": [{"person": "Maya", "what": "two monitors", "amount": 560}]}
PLAN = Path(__file__).with_name("plan.txt")


def expenses(limit: int = 100) -> Agent:
    return Agent("expense-watch", skills=[SkillRef(path=EXPENSES, config={"limit": limit})])


async def test_a_deployed_agent_runs_and_is_streamed(server: Running) -> None:
    url = server.house.settings.url
    deployment = await expenses().deploy(url, activate=True)
    assert (deployment.status, deployment.problems) == ("active", [])
    async with OmniForgeClient(base_url=url) as client:
        assert [one.id for one in await client.agents.list(status="active")] == [deployment.agent_id]
        done = await client.agents.run(deployment.agent_id, ONE, wait=True)
        assert (done.status, done.output["totals"]) == ("completed", {"Maya": 560})
        events = [event async for event in client.executions.stream(done.id)]
        assert events[-1].type == "execution_finished"
        rest = [event.seq async for event in client.executions.stream(done.id, after=events[0].seq)]
        assert rest == [event.seq for event in events[1:]]
        again = await client.agents.run(deployment.agent_id, ONE, idempotency_key="once", wait=True)
        assert (await client.agents.run(deployment.agent_id, ONE, idempotency_key="once")).id == again.id
        assert len(await client.agents.get_executions(deployment.agent_id, mode="live")) == 2


async def test_deploying_the_same_again_is_no_change_and_another_waits(server: Running) -> None:
    url = server.house.settings.url
    first = await expenses().deploy(url, activate=True)
    again = await expenses().deploy(url)
    assert (again.agent_id, again.version, again.status) == (first.agent_id, first.version, "active")
    changed = await expenses(limit=50).deploy(url)
    assert (changed.agent_id, changed.version) == (first.agent_id, first.version + 1)
    async with OmniForgeClient(base_url=url) as client:
        skill = await client.skills.get("expense-check", agent_id=first.agent_id)
        assert {one["path"] for one in skill.files} == {"scripts/main.py", "examples/input.json"}
        with pytest.raises(NotFound):
            await client.skills.get("expense-check")


async def test_a_server_that_knows_no_key_says_where_one_comes_from(server: Running) -> None:
    with pytest.raises(Unauthenticated, match="omniforge key create"):
        await expenses().deploy(server.house.settings.url, api_key="of_sk_wrong")


async def test_without_await_it_is_the_same(server: Running) -> None:
    url = server.house.settings.url
    deployment = await expenses().deploy(url, activate=True)

    def program() -> list[str]:
        with OmniForgeClient.sync(base_url=url) as client:
            started = client.agents.run(deployment.agent_id, ONE)
            told = [event.type for event in client.executions.stream(started.id)]
            for event in client.executions.stream(started.id):
                told.append(event.type)
                break
            with pytest.raises(NotFound):
                client.agents.get("nobody")
            return [*told, client.executions.wait(started.id).status]

    told = await asyncio.to_thread(program)
    assert told[-3:] == ["execution_finished", told[0], "completed"]


def test_every_call_has_one_without_await() -> None:
    with SyncClient("key", "http://server") as blocking:
        client = OmniForgeClient("key", "http://server")
        pairs = [
            (client.agents, blocking.agents),
            (client.executions, blocking.executions),
            (client.skills, blocking.skills),
            (client.board, blocking.board),
            (client.board.projects, blocking.board.projects),
            (client.board.specs, blocking.board.specs),
            (client.board.tickets, blocking.board.tickets),
            (client.board.tasks, blocking.board.tasks),
        ]
        for room, other in pairs:
            calls = {name for name, _ in inspect.getmembers(type(room), inspect.isfunction) if name[0] != "_"}
            assert calls == {
                name for name, _ in inspect.getmembers(type(other), inspect.isfunction) if name[0] != "_"
            }
