"""Sharing: who sees an agent, team agents, copies, and taking it back."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.agents.conftest import House, references

from omniforge.agents.content import AgentStatus, SharingLevel
from omniforge.core.actor import Actor, Role
from omniforge.core.errors import Conflict, Forbidden, Invalid, NotFound
from omniforge.core.paging import Paging
from omniforge.engine.active import StepCall
from omniforge.engine.state import StepResult
from omniforge.tenants.roles import permissions_of

PLACES = {
    "databases": [{"id": "d1", "name": "Client Projects"}],
    "channel": "#leads",
    "owner_email": "maya@example.com",
    "window": "last_week",
}


async def join(house: House, name: str, role: Role = Role.OPERATOR) -> Actor:
    user_id = name.lower()
    email = f"{user_id}@example.com"
    await house.tenants.create_user("default", name, role, user_id=user_id, email=email)
    return Actor("default", user_id, role, f"user:{user_id}", permissions_of(role))


async def report(house: House, actor: Actor, **fields: Any) -> str:
    """The id of an active agent that reads a database of its owner."""
    house.desk.connect(actor, "notion", "c-owner")
    skills = references("report")
    skills[0]["config"] = PLACES
    given = {
        "name": "Weekly Report",
        "description": "Reports what changed in Client Projects.",
        "skills": skills,
        "integrations": ["notion"],
        **fields,
    }
    made = await house.agents.create(actor, given, {"report": {"SKILL.md": b"---\n---\n"}})
    return (await house.switch_on(actor, made.id)).id


async def seen_by(house: House, actor: Actor) -> list[str]:
    return [agent.id for agent in (await house.agents.list_agents(actor, Paging()))[0]]


async def notices(house: House, actor: Actor) -> list[str]:
    return [item.title for item in (await house.agents.inbox.list_items(actor, Paging()))[0]]


async def test_a_private_agent_is_not_there_for_colleagues(house: House, actor: Actor) -> None:
    ana, derek = await join(house, "Ana"), await join(house, "Derek", Role.DEVELOPER)
    own = await report(house, ana)
    execution = await house.finish(ana, own)
    assert await seen_by(house, derek) == []
    assert await house.agents.find(derek, "weekly report") == []
    for hidden in (
        house.agents.get(derek, own),
        house.agents.start_run(derek, own),
        house.agents.start_test(derek, own),
        house.agents.archive(derek, own),
        house.agents.versions.list(derek, own, Paging()),
        house.agents.sharing.share(derek, own, "team", ["Derek"]),
        house.agents.fire_history.list_fires(derek, own, Paging()),
        house.agents.executions.get(derek, execution.id),
        house.runs.get_run(derek, execution.id),
        house.runs.cancel_run(derek, execution.id),
    ):
        with pytest.raises(NotFound):
            await hidden
    assert (await house.agents.executions.list_executions(derek, Paging()))[1] == 0
    assert [view.run.subject for view in (await house.runs.list_runs(derek))[0]] == []


async def test_admins_see_what_there_is_and_not_what_it_gave(house: House, actor: Actor) -> None:
    ana, admin = await join(house, "Ana"), await join(house, "Ida", Role.ADMIN)
    own = await report(house, ana)
    mine = await house.finish(ana, own)
    assert mine.result is not None
    assert await seen_by(house, admin) == [own]
    shown = await house.agents.executions.get(admin, mine.id)
    assert (shown.status, shown.result) == (mine.status, None)
    listed, _ = await house.agents.executions.list_executions(admin, Paging())
    assert [one.result for one in listed] == [None, None]
    assert (await house.agents.pause(admin, own)).status is AgentStatus.PAUSED
    await house.agents.archive(admin, own)


async def test_a_team_agent_is_one_agent_that_members_look_at_and_run(house: House, actor: Actor) -> None:
    derek, olga = await join(house, "Derek", Role.DEVELOPER), await join(house, "Olga")
    agent_id = await report(house, actor)
    assert await house.agents.sharing.share(actor, agent_id, "team", ["derek@example.com"]) == []
    agent = await house.agents.get(derek, agent_id)
    assert (agent.sharing_level, agent.shared_with) == (SharingLevel.TEAM, ["derek"])
    assert await seen_by(house, derek) == [agent_id]
    assert await seen_by(house, olga) == []
    execution = await house.finish(derek, agent_id)
    assert (execution.status, execution.triggered_by) == ("completed", "user:derek")
    assert execution.result is not None
    facts = house.calls[-1].run.facts
    assert facts["user"] == {"id": "derek", "name": "Derek"}
    assert (facts["user_id"], facts["connections"]) == ("local", {"notion": "c-owner"})
    assert await notices(house, derek) == ["Weekly Report is shared with you"]
    await house.settle(execution.id)
    assert "Weekly Report" in await notices(house, derek)
    assert "Weekly Report" in await notices(house, actor)


async def test_members_change_nothing_and_are_told_who_can(house: House, actor: Actor) -> None:
    derek = await join(house, "Derek", Role.DEVELOPER)
    agent_id = await report(house, actor)
    await house.agents.sharing.share(actor, agent_id, "team", ["tenant"])
    for refused in (
        house.agents.update(derek, agent_id, {"name": "Mine"}),
        house.agents.start_test(derek, agent_id),
        house.agents.pause(derek, agent_id),
        house.agents.archive(derek, agent_id),
        house.agents.versions.rollback(derek, agent_id, 1),
        house.agents.sharing.share(derek, agent_id, "team", ["Derek"]),
    ):
        with pytest.raises(Forbidden) as told:
            await refused
        assert told.value.details["permission"].startswith("agent:")
        assert "can grant it" in told.value.message


async def test_members_are_told_of_every_change(house: House, actor: Actor) -> None:
    derek = await join(house, "Derek")
    agent_id = await report(house, actor)
    await house.agents.sharing.share(actor, agent_id, "team", ["Derek"])
    await house.agents.update(actor, agent_id, {"timezone": "Europe/Berlin"}, summary="In Berlin's time")
    await house.switch_on(actor, agent_id)
    items, _ = await house.agents.inbox.list_items(derek, Paging())
    told = {item.title: item.text for item in items}
    assert told["Weekly Report was changed"] == "It is at version 2 now. In Berlin's time"


async def test_taking_it_back_ends_what_runs_for_them_at_once(house: House, actor: Actor) -> None:
    derek, ana = await join(house, "Derek"), await join(house, "Ana")
    agent_id = await report(house, actor, settings={"concurrency": 5})
    await house.agents.sharing.share(actor, agent_id, "team", ["Derek", "Ana"])
    earlier = await house.finish(derek, agent_id)
    inside = asyncio.Event()

    async def long(call: StepCall) -> StepResult:
        inside.set()
        await asyncio.sleep(60)
        return StepResult(output={"report": "late"})

    house.script["report"] = long
    run = await house.agents.start_run(derek, agent_id)
    other = await house.agents.start_run(ana, agent_id)
    async with asyncio.timeout(20):
        await inside.wait()
        assert await house.agents.sharing.unshare(actor, agent_id, ["Derek"]) == [run]
    assert (await house.agents.executions.get(derek, run)).status == "cancelled"
    assert (await house.agents.executions.get(ana, other)).status in ("pending", "running")
    with pytest.raises(NotFound):
        await house.agents.get(derek, agent_id)
    with pytest.raises(NotFound):
        await house.agents.start_run(derek, agent_id)
    kept = await house.agents.executions.get(derek, earlier.id)
    assert kept.result is not None
    await house.agents.sharing.unshare(actor, agent_id)
    agent = await house.agents.get(actor, agent_id)
    assert (agent.sharing_level, agent.shared_with) == (SharingLevel.PRIVATE, [])
    told = [row for row in await house.engine.events.read("default") if row.type == "agent.unshared"]
    assert [json.loads(row.payload)["people"] for row in told] == [["derek"], ["ana"]]


async def test_a_copy_is_a_draft_of_its_own_without_anything_of_the_sharer(
    house: House, actor: Actor
) -> None:
    derek = await join(house, "Derek")
    agent_id = await report(house, actor)
    (made,) = await house.agents.sharing.share(actor, agent_id, "template", ["Derek"])
    copy = await house.agents.get(derek, made.agent_id)
    assert (copy.status, copy.created_by, copy.version) == (AgentStatus.DRAFT, "derek", 1)
    assert copy.origin == {"agent_id": agent_id, "version": 1}
    assert (copy.connections, copy.usage_stats.total_runs) == ({}, 0)
    assert copy.skills[0].config == {
        "databases": [],
        "channel": "",
        "owner_email": "",
        "window": "last_week",
    }
    assert copy.description == "A copy of Weekly Report."
    left = [problem["what"] for problem in copy.problems if problem["code"] == "choose_again"]
    assert left == ["databases", "channel", "owner email"]
    assert (
        house.skills.hashes["default", copy.id, "report"]
        == house.skills.hashes["default", agent_id, "report"]
    )
    assert not any("maya" in json.dumps(problem) for problem in copy.problems)
    (item,), _ = await house.agents.inbox.list_items(derek, Paging())
    assert "gave you a copy of Weekly Report" in item.title
    assert "connect your own Notion" in item.text
    with pytest.raises(NotFound):
        await house.agents.get(derek, agent_id)


async def test_what_was_chosen_anew_is_not_asked_for_again(house: House, actor: Actor) -> None:
    derek = await join(house, "Derek")
    agent_id = await report(house, actor)
    (made,) = await house.agents.sharing.share(actor, agent_id, "template", ["Derek"])
    skills = references("report")
    skills[0]["config"] = {**PLACES, "databases": [{"id": "own", "name": "Mine"}], "channel": ""}
    await house.agents.update(derek, made.agent_id, {"skills": skills})
    left = (await house.agents.get(derek, made.agent_id)).problems
    assert [problem["what"] for problem in left if problem["code"] == "choose_again"] == ["channel"]


async def test_copies_are_made_once_for_each_and_are_independent(house: House, actor: Actor) -> None:
    derek, ana = await join(house, "Derek"), await join(house, "Ana")
    await join(house, "Vera", Role.VIEWER)
    agent_id = await report(house, actor)
    first = await house.agents.sharing.share(actor, agent_id, "template", ["tenant"])
    again = await house.agents.sharing.share(actor, agent_id, "template", ["Derek"])
    assert sorted(copy.user_id for copy in first) == ["ana", "derek"]
    assert [copy.agent_id for copy in again] == [
        copy.agent_id for copy in first if copy.user_id == derek.user_id
    ]
    await house.agents.update(derek, again[0].agent_id, {"name": "Mine"})
    assert (await house.agents.get(ana, (await seen_by(house, ana))[0])).name == "Weekly Report"
    with pytest.raises(Conflict) as refused:
        await house.agents.sharing.share(actor, agent_id, "template", ["Vera"])
    assert refused.value.code == "cannot_receive"


async def test_who_has_which_version_is_counted(house: House, actor: Actor) -> None:
    await join(house, "Derek")
    await join(house, "Ana")
    agent_id = await report(house, actor)
    await house.agents.sharing.share(actor, agent_id, "template", ["Ana"])
    await house.agents.sharing.share(actor, agent_id, "team", ["Derek"])
    await house.agents.update(actor, agent_id, {"timezone": "Europe/Berlin"})
    await house.switch_on(actor, agent_id)
    found = await house.agents.sharing.distribution(actor, agent_id)
    assert found.current == 2
    assert found.counts == {"2": 2, "1": 1}
    assert [(holder.name, holder.how, holder.version) for holder in found.holders] == [
        ("You", "owner", 2),
        ("Derek", "team", 2),
        ("Ana", "copy", 1),
    ]


async def test_unknown_people_and_names_of_several_are_refused(
    house: House, actor: Actor, foreign_actor: Actor
) -> None:
    await join(house, "Derek")
    await house.tenants.create_user("default", "Derek Two", Role.OPERATOR)
    agent_id = await report(house, actor)
    for named in (["Nobody"], [], ["stranger"]):
        with pytest.raises(Invalid):
            await house.agents.sharing.share(actor, agent_id, "team", named)
    await house.agents.sharing.share(actor, agent_id, "team", ["derek"])
    await house.tenants.create_user("default", "Derek", Role.OPERATOR)
    with pytest.raises(Invalid) as several:
        await house.agents.sharing.share(actor, agent_id, "team", ["Derek Two", "derek one"])
    assert [entry["value"] for entry in several.value.details["fields"]] == ["derek one"]
    with pytest.raises(NotFound):
        await house.agents.sharing.share(foreign_actor, agent_id, "team", ["tenant"])
