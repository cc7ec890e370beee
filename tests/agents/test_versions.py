"""Versions of an agent: the list, the difference between two, and the way back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.agents.conftest import House, TurnableClock, references

from omniforge.agents.activation import VersionConflict
from omniforge.agents.content import AgentStatus
from omniforge.agents.version_schemas import Change
from omniforge.core.actor import Actor
from omniforge.core.errors import Conflict, Invalid, NotFound
from omniforge.core.paging import Paging

MONDAYS = {"trigger_type": "scheduled", "schedule": "30 8 * * MON", "timezone": "Europe/Berlin"}
FRIDAYS = {"schedule": "0 9 * * FRI"}
OLD = {"SKILL.md": b"---\n---\n\n1. Read.\n2. Write.\n", "scripts/main.py": b"old = 1\n"}
NEW = {"SKILL.md": b"---\n---\n\n1. Read.\n2. Write shorter.\n", "scripts/more.py": b"new = 1\n"}


async def twice(house: House, actor: Actor) -> str:
    """The id of an agent whose version 2 has another schedule, another setting and other files."""
    skills = references("report")
    skills[0]["config"] = {"window": "last_week", "databases": [{"id": "d1", "name": "Projects"}]}
    given = {"name": "Weekly Report", "skills": skills, **MONDAYS}
    made = await house.agents.create(actor, given, {"report": OLD})
    await house.switch_on(actor, made.id)
    await house.agents.write_skill(actor, made.id, "report", NEW)
    skills = references("report")
    skills[0]["config"] = {"window": "last_month", "databases": [{"id": "d1", "name": "Projects"}]}
    await house.agents.update(actor, made.id, {**FRIDAYS, "skills": skills}, summary="On Fridays")
    await house.switch_on(actor, made.id)
    return made.id


async def test_versions_are_listed_newest_first_with_who_and_what(house: House, actor: Actor) -> None:
    agent_id = await twice(house, actor)
    found = (await house.agents.versions.list(actor, agent_id, Paging())).versions
    assert [(one.version, one.is_current, one.summary) for one in found] == [
        (2, True, "On Fridays"),
        (1, False, "First version"),
    ]
    assert {one.author_name for one in found} == {"You"}
    whole = await house.agents.versions.get(actor, agent_id, 1)
    assert whole.snapshot["content"]["schedule"] == "30 8 * * MON"
    with pytest.raises(NotFound):
        await house.agents.versions.get(actor, agent_id, 3)


async def test_the_difference_is_settings_by_field_and_skills_by_text(house: House, actor: Actor) -> None:
    agent_id = await twice(house, actor)
    found = await house.agents.versions.diff(actor, agent_id, 1, 2)
    assert [(one.field, one.before, one.after) for one in found.settings] == [
        ("schedule", "30 8 * * MON", "0 9 * * FRI"),
        ("skills.report.config.window", "last_week", "last_month"),
    ]
    (skill,) = found.skills
    assert (skill.key, skill.change) == ("report", Change.CHANGED)
    assert [(one.path, one.change) for one in skill.files] == [
        ("SKILL.md", Change.CHANGED),
        ("scripts/main.py", Change.REMOVED),
        ("scripts/more.py", Change.ADDED),
    ]
    assert {"-2. Write.", "+2. Write shorter."} <= set(skill.files[0].lines)


async def test_without_numbers_the_difference_is_the_edit_that_waits(house: House, actor: Actor) -> None:
    agent_id = await twice(house, actor)
    nothing = await house.agents.versions.diff(actor, agent_id)
    assert (nothing.settings, nothing.skills) == ([], [])
    await house.agents.update(actor, agent_id, {"schedule": "0 10 * * FRI"})
    waiting = await house.agents.versions.diff(actor, agent_id)
    assert [(one.field, one.after) for one in waiting.settings] == [("schedule", "0 10 * * FRI")]
    assert (waiting.before, waiting.after) == (2, None)


async def test_going_back_makes_a_further_version_that_is_equal_byte_for_byte(
    house: House, actor: Actor
) -> None:
    agent_id = await twice(house, actor)
    first = await house.agents.versions.get(actor, agent_id, 1)
    await house.agents.versions.rollback(actor, agent_id, 1, expected_version=2)
    again = await house.agents.versions.get(actor, agent_id, 3)
    same = ("snapshot", "hash", "skill_hashes", "manifest")
    assert [getattr(again, name) for name in same] == [getattr(first, name) for name in same]
    assert (again.is_current, again.summary) == (True, "Back to version 1")
    agent = await house.agents.get(actor, agent_id)
    assert (agent.status, agent.version, agent.schedule) == (AgentStatus.ACTIVE, 3, "30 8 * * MON")
    assert agent.next_fire_at is not None
    assert agent.next_fire_at.isoformat() == "2026-11-23T07:30:00+00:00"
    written = house.skills.hashes["default", agent_id, "report"]
    assert house.skills.files["default", written] == OLD
    assert (await house.finish(actor, agent_id)).agent_version == 3
    told = [row for row in await house.engine.events.read("default") if row.type == "agent.rolled_back"]
    assert [(row.entity, row.actor) for row in told] == [(f"agent:{agent_id}", "user:local")]


async def test_going_back_drops_the_edit_that_waits_and_keeps_a_pause(house: House, actor: Actor) -> None:
    agent_id = await twice(house, actor)
    await house.agents.update(actor, agent_id, {"schedule": "0 10 * * FRI"})
    await house.agents.pause(actor, agent_id)
    await house.agents.versions.rollback(actor, agent_id, 1)
    agent = await house.agents.get(actor, agent_id)
    assert (agent.status, agent.pending_version, agent.next_fire_at) == (AgentStatus.PAUSED, None, None)
    assert (await house.agents.activate(actor, agent_id)).status is AgentStatus.ACTIVE


async def test_there_is_nothing_to_undo_in_what_runs(house: House, actor: Actor) -> None:
    agent_id = await twice(house, actor)
    with pytest.raises(Conflict) as refused:
        await house.agents.versions.rollback(actor, agent_id, 2)
    assert refused.value.code == "nothing_to_undo"
    with pytest.raises(VersionConflict):
        await house.agents.versions.rollback(actor, agent_id, 1, expected_version=1)
    with pytest.raises(NotFound):
        await house.agents.versions.rollback(actor, agent_id, 9)


async def test_a_version_whose_skill_was_withdrawn_says_so_and_changes_nothing(
    house: House, actor: Actor
) -> None:
    agent_id = await twice(house, actor)
    first = await house.agents.versions.get(actor, agent_id, 1)
    del house.skills.files["default", first.skill_hashes["report"]]
    with pytest.raises(Invalid) as refused:
        await house.agents.versions.rollback(actor, agent_id, 1)
    assert (refused.value.code, refused.value.details["skill"]) == ("skill_not_found", "report")
    assert (await house.agents.get(actor, agent_id)).version == 2


async def test_a_deleted_agent_comes_back_paused_for_thirty_days(
    house: House, actor: Actor, clock: TurnableClock
) -> None:
    agent_id = await twice(house, actor)
    await house.agents.archive(actor, agent_id)
    clock.turn(days=29)
    await house.agents.versions.rollback(actor, agent_id, 2)
    agent = await house.agents.get(actor, agent_id)
    assert (agent.status, agent.version, agent.schedule) == (AgentStatus.PAUSED, 3, "0 9 * * FRI")
    assert (await house.agents.activate(actor, agent_id)).next_fire_at is not None
    await house.agents.archive(actor, agent_id)
    clock.turn_to(clock.moment + timedelta(days=31))
    with pytest.raises(Conflict) as late:
        await house.agents.versions.rollback(actor, agent_id, 3)
    assert late.value.code == "archived"


async def test_a_deleted_draft_is_a_draft_again(house: House, actor: Actor) -> None:
    made = await house.make(actor)
    await house.agents.archive(actor, made.id)
    await house.agents.versions.rollback(actor, made.id, 1)
    assert (await house.agents.get(actor, made.id)).status is AgentStatus.DRAFT


async def test_a_new_name_is_no_new_version(house: House, actor: Actor) -> None:
    agent_id = await twice(house, actor)
    await house.agents.update(actor, agent_id, {"name": "Friday Report", "description": "For the team."})
    agent = await house.agents.get(actor, agent_id)
    assert (agent.name, agent.version, agent.pending_version) == ("Friday Report", 2, None)
