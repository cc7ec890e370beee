"""From draft over test and approval to active, edits of what runs, pausing and archiving."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.agents.conftest import House, TurnableClock, references, saying

from omniforge.agents.content import AgentStatus, TestMode
from omniforge.agents.service import NotActive
from omniforge.core.actor import Actor, Role
from omniforge.core.errors import Conflict, Forbidden, Invalid, NotFound
from omniforge.core.paging import Paging
from omniforge.engine.state import Signal, StepResult, Waiting
from omniforge.integrations.schemas import ConnectionStatus
from omniforge.tenants.roles import permissions_of

MONDAYS = {"trigger_type": "scheduled", "schedule": "30 8 * * MON", "timezone": "Europe/Berlin"}


def person(user_id: str, role: Role) -> Actor:
    return Actor("default", user_id, role, f"user:{user_id}", permissions_of(role))


async def refusal(work: Any) -> str:
    with pytest.raises(Invalid) as refused:
        await work
    return refused.value.code


async def test_a_new_agent_is_a_draft_with_an_id_of_its_name(house: House, actor: Actor) -> None:
    made = await house.make(actor, **MONDAYS)
    assert (made.id, made.status, made.version) == ("weekly-project-report", AgentStatus.DRAFT, 1)
    assert made.next_fire_at is None
    again = await house.make(actor)
    assert again.id == "weekly-project-report-2"
    assert again.timezone == "UTC"


async def test_ids_are_taken_once_in_a_tenant_and_free_in_another(
    house: House, actor: Actor, foreign_actor: Actor
) -> None:
    await house.make(actor, id="reporter")
    with pytest.raises(Conflict):
        await house.make(actor, id="reporter")
    assert (await house.make(foreign_actor, id="reporter")).id == "reporter"


async def test_own_skill_files_are_written_with_the_agent(house: House, actor: Actor) -> None:
    files = {"own-skill": {"SKILL.md": b"---\n---\n"}}
    given = {"name": "A", "skills": references("own-skill")}
    made = await house.agents.create(actor, given, files)
    assert ("default", made.id, "own-skill") in house.skills.hashes
    assert (await house.agents.get(actor, made.id)).problems == []


async def test_what_is_missing_is_told(house: House, actor: Actor) -> None:
    given = {"name": "A", "skills": references("nowhere"), "integrations": ["notion"]}
    made = await house.agents.create(actor, given)
    found = await house.agents.get(actor, made.id)
    assert [problem["code"] for problem in found.problems] == ["skill_not_found", "connection_missing"]
    assert await refusal(house.agents.start_test(actor, made.id)) == "skill_not_found"


async def test_activation_stores_version_manifest_and_next_fire(
    house: House, actor: Actor, clock: TurnableClock
) -> None:
    made = await house.active(actor, **MONDAYS)
    assert (made.status, made.version) == (AgentStatus.ACTIVE, 1)
    assert made.next_fire_at is not None
    assert made.next_fire_at.isoformat() == "2026-11-23T07:30:00+00:00"
    assert [effect["tool"] for effect in made.manifest] == ["Inbox"]
    listed = await house.agents.versions.list(actor, made.id, Paging())
    versions, total = listed.versions, listed.total
    assert (total, versions[0].version, versions[0].author) == (1, 1, "user:local")
    assert versions[0].summary == "First version"
    assert set(versions[0].skill_hashes) == {"weekly-report"}


async def test_without_a_passed_test_of_exactly_this_nothing_is_activated(house: House, actor: Actor) -> None:
    made = await house.make(actor)
    activate = house.agents.activate
    assert await refusal(activate(actor, made.id)) == "not_tested"
    assert await refusal(activate(actor, made.id, test_id="test_x", manifest_hash="h")) == "not_tested"

    report = await house.tested(actor, made.id)
    approved: dict[str, Any] = {"test_id": report.test_id, "manifest_hash": report.manifest_hash}
    await house.agents.update(actor, made.id, {"misfire_policy": "skip"})
    assert await refusal(activate(actor, made.id, **approved)) == "not_tested"
    await house.agents.update(actor, made.id, {"misfire_policy": "once", "name": "Another name"})
    await house.shelve(actor, "weekly-report", text=b"changed")
    assert await refusal(activate(actor, made.id, **approved)) == "not_tested"
    await house.shelve(actor, "weekly-report")
    assert (await activate(actor, made.id, **approved)).status is AgentStatus.ACTIVE


async def test_a_failed_or_empty_test_does_not_count(house: House, actor: Actor) -> None:
    for result in (StepResult(signal=Signal.EMPTY), Waiting("approval")):
        house.script["weekly-report"] = saying(result)
        made = await house.make(actor)
        report = await house.tested(actor, made.id)
        activating = house.agents.activate(
            actor, made.id, test_id=report.test_id, manifest_hash=report.manifest_hash
        )
        assert await refusal(activating) == "not_tested"


async def test_a_test_of_another_agent_does_not_count(house: House, actor: Actor) -> None:
    one, two = await house.make(actor), await house.make(actor)
    report = await house.tested(actor, one.id)
    activating = house.agents.activate(
        actor, two.id, test_id=report.test_id, manifest_hash=report.manifest_hash
    )
    assert await refusal(activating) == "not_tested"


async def test_the_manifest_must_be_approved_as_it_is(house: House, actor: Actor) -> None:
    made = await house.make(actor)
    report = await house.tested(actor, made.id)
    with pytest.raises(Invalid) as refused:
        await house.agents.activate(actor, made.id, test_id=report.test_id, manifest_hash="another")
    assert refused.value.code == "manifest_not_approved"
    assert refused.value.details["manifest_hash"] == report.manifest_hash
    assert (await house.agents.get(actor, made.id)).status is AgentStatus.DRAFT


async def test_connections_must_be_healthy_and_are_bound_at_activation(house: House, actor: Actor) -> None:
    made = await house.make(actor, integrations=["notion"])
    assert await refusal(house.switch_on(actor, made.id)) == "connection_missing"
    house.desk.connect(actor, "notion", "c-broken", status=ConnectionStatus.BROKEN)
    assert await refusal(house.switch_on(actor, made.id)) == "connection_missing"
    house.desk.connect(actor, "notion", "c-old")
    assert (await house.switch_on(actor, made.id)).connections == {"notion": "c-old"}
    house.desk.connect(actor, "notion", "c-newer", updated_at=house.clock.now() + timedelta(days=1))
    await house.finish(actor, made.id)
    assert house.calls[-1].run.facts["connections"] == {"notion": "c-old"}
    await house.agents.pause(actor, made.id)
    assert (await house.agents.activate(actor, made.id)).connections == {"notion": "c-old"}
    assert await house.agents.agents_needing("default", "c-old") == [{"id": made.id, "name": made.name}]


async def test_a_lost_connection_pauses_the_agents_that_need_it(house: House, actor: Actor) -> None:
    house.desk.connect(actor, "notion", "c1")
    made = await house.active(actor, integrations=["notion"], **MONDAYS)
    await house.agents.activation.on_disconnected("default", "c1")
    paused = await house.agents.get(actor, made.id)
    assert (paused.status, paused.next_fire_at) == (AgentStatus.PAUSED, None)
    items, _ = await house.agents.inbox.list_items(actor, Paging())
    assert [item.kind for item in items] == ["notice"]


async def test_an_edit_of_an_active_agent_waits_while_the_old_version_runs(
    house: House, actor: Actor, clock: TurnableClock
) -> None:
    made = await house.active(actor, **MONDAYS)
    clock.turn(minutes=1)
    changed = await house.agents.update(
        actor, made.id, {"schedule": "0 9 * * FRI", "skills": [*references("weekly-report", "poster")]}
    )
    assert (changed.schedule, changed.version, changed.pending_version) == ("30 8 * * MON", 1, 2)
    assert changed.next_fire_at == made.next_fire_at
    execution = await house.finish(actor, made.id)
    assert [result["key"] for result in execution.skill_results] == ["weekly-report"]

    await house.shelve(actor, "poster")
    second = await house.switch_on(actor, made.id)
    assert (second.schedule, second.version, second.pending_version) == ("0 9 * * FRI", 2, None)
    assert second.next_fire_at is not None
    assert second.next_fire_at.isoformat() == "2026-11-27T08:00:00+00:00"
    versions = (await house.agents.versions.list(actor, made.id, Paging())).versions
    assert [version.version for version in versions] == [2, 1]
    assert versions[0].summary == "Changed: schedule, skills"


async def test_an_edit_taken_back_leaves_nothing_pending(house: House, actor: Actor) -> None:
    made = await house.active(actor)
    await house.agents.update(actor, made.id, {"misfire_policy": "all"})
    assert (await house.agents.update(actor, made.id, {"misfire_policy": "once"})).pending_version is None


async def test_a_name_changes_at_once_and_is_no_version(house: House, actor: Actor) -> None:
    made = await house.active(actor)
    renamed = await house.agents.update(actor, made.id, {"name": "Monday report", "description": "For Ana"})
    assert (renamed.name, renamed.version, renamed.pending_version) == ("Monday report", 1, None)


async def test_rewriting_a_skill_keeps_the_running_files_until_activation(house: House, actor: Actor) -> None:
    made = await house.active(actor)
    before = (await house.finish(actor, made.id)).skill_results[0]["version"]
    await house.agents.write_skill(actor, made.id, "weekly-report", {"SKILL.md": b"At Risk first"})
    assert (await house.agents.get(actor, made.id)).pending_version == 2
    assert (await house.finish(actor, made.id)).skill_results[0]["version"] == before
    await house.switch_on(actor, made.id)
    assert (await house.finish(actor, made.id)).skill_results[0]["version"] != before
    versions = (await house.agents.versions.list(actor, made.id, Paging())).versions
    assert versions[0].summary == "Changed: skill files"


async def test_pausing_stops_fires_and_resuming_an_unchanged_agent_needs_no_test(
    house: House, actor: Actor
) -> None:
    made = await house.active(actor, **MONDAYS)
    paused = await house.agents.pause(actor, made.id, "holidays")
    assert (paused.status, paused.next_fire_at) == (AgentStatus.PAUSED, None)
    with pytest.raises(NotActive):
        await house.agents.start_run(actor, made.id)
    resumed = await house.agents.activate(actor, made.id)
    assert (resumed.status, resumed.version, resumed.next_fire_at) == (
        AgentStatus.ACTIVE,
        1,
        made.next_fire_at,
    )
    await house.agents.pause(actor, made.id)
    await house.agents.update(actor, made.id, {"misfire_policy": "all"})
    assert await refusal(house.agents.activate(actor, made.id)) == "not_tested"


async def test_a_draft_neither_runs_nor_pauses(house: House, actor: Actor) -> None:
    made = await house.make(actor)
    for refused in (house.agents.start_run(actor, made.id), house.agents.pause(actor, made.id)):
        with pytest.raises(Conflict) as conflict:
            await refused
        assert conflict.value.code == "not_active"


async def test_an_old_version_number_is_a_conflict(house: House, actor: Actor) -> None:
    made = await house.active(actor)
    for refused in (
        house.agents.update(actor, made.id, {"name": "B"}, expected_version=2),
        house.agents.activate(actor, made.id, expected_version=7),
    ):
        with pytest.raises(Conflict) as conflict:
            await refused
        assert (conflict.value.code, conflict.value.details["version"]) == ("version_conflict", 1)


async def test_archiving_ends_runs_and_hides_the_agent_but_keeps_its_history(
    house: House, actor: Actor
) -> None:
    made = await house.active(actor, **MONDAYS)
    house.script["weekly-report"] = saying(Waiting("approval"))
    waiting = await house.finish(actor, made.id)
    await house.agents.archive(actor, made.id)
    assert (await house.agents.executions.get(actor, waiting.id)).status.value == "cancelled"
    assert (await house.agents.list_agents(actor, Paging()))[1] == 0
    kept = await house.agents.get(actor, made.id)
    assert (kept.status, kept.next_fire_at) == (AgentStatus.ARCHIVED, None)
    for refused in (
        house.agents.start_run(actor, made.id),
        house.agents.start_test(actor, made.id),
        house.agents.update(actor, made.id, {"name": "B"}),
    ):
        with pytest.raises(Conflict):
            await refused


async def test_what_changes_is_told_in_the_event_log(house: House, actor: Actor) -> None:
    made = await house.active(actor)
    await house.agents.pause(actor, made.id)
    await house.agents.archive(actor, made.id)
    rows = await house.engine.events.read("default")
    told = [row.type for row in rows if row.entity == f"agent:{made.id}"]
    assert told == ["agent.created", "agent.activated", "agent.paused", "agent.archived"]


async def test_roles_decide_and_operators_change_their_own_agents_only(house: House, actor: Actor) -> None:
    made = await house.make(actor)
    operator, viewer = person("olga", Role.OPERATOR), person("vera", Role.VIEWER)
    with pytest.raises(NotFound):
        await house.agents.get(operator, made.id)
    for who in (operator, viewer):
        await house.tenants.create_user("default", who.user_id, who.role, user_id=who.user_id)
    await house.agents.sharing.share(actor, made.id, "team", ["tenant"])
    for refused in (
        house.agents.update(operator, made.id, {"name": "B"}),
        house.agents.start_test(operator, made.id),
        house.agents.archive(operator, made.id),
        house.agents.create(viewer, {"name": "B", "skills": references("weekly-report")}),
        house.agents.update(viewer, made.id, {"name": "B"}),
    ):
        with pytest.raises(Forbidden):
            await refused
    own = await house.make(operator)
    assert (await house.switch_on(operator, own.id)).status is AgentStatus.ACTIVE


async def test_a_preview_needs_the_connection_and_uses_it(house: House, actor: Actor) -> None:
    made = await house.make(actor, integrations=["notion"])
    with pytest.raises(Conflict) as missing:
        await house.agents.start_test(actor, made.id, TestMode.PREVIEW)
    assert missing.value.code == "connection_missing"
    house.desk.connect(actor, "notion", "c1")
    await house.tested(actor, made.id, TestMode.PREVIEW)
    assert house.calls[-1].run.facts["connections"] == {"notion": "c1"}
    await house.tested(actor, made.id, TestMode.DRY)
    assert house.calls[-1].run.facts["connections"] == {}


async def test_facts_tell_the_steps_what_they_need(house: House, actor: Actor) -> None:
    made = await house.active(actor, **MONDAYS)
    await house.finish(actor, made.id)
    facts = house.calls[-1].run.facts
    assert facts["agent_id"] == made.id
    assert facts["agent_version"] == 1
    assert facts["timezone"] == "Europe/Berlin"
    assert facts["user"] == {"id": "local", "name": "You"}


async def test_agents_are_found_by_what_people_call_them(
    house: House, actor: Actor, clock: TurnableClock
) -> None:
    for name, description in (
        ("Weekly Notion Report", "Collects updates"),
        ("Reports archive", ""),
        ("Bills", "Checks every invoice"),
    ):
        clock.turn(minutes=1)
        await house.make(actor, name=name, description=description)
    for words, found in (
        ("my weekly report agent", ["weekly-notion-report", "reports-archive"]),
        ("Weekly Notion Report", ["weekly-notion-report"]),
        ("reports-archive", ["reports-archive"]),
        ("the invoices", ["bills"]),
        ("that agent", ["bills", "reports-archive", "weekly-notion-report"]),
        ("linkedin", []),
    ):
        assert [agent.id for agent in await house.agents.find(actor, words)] == found, words


async def test_unknown_and_foreign_agents_are_alike(house: House, actor: Actor, foreign_actor: Actor) -> None:
    made = await house.make(actor)
    for who, agent_id in ((actor, "unknown"), (foreign_actor, made.id)):
        with pytest.raises(NotFound):
            await house.agents.get(who, agent_id)
