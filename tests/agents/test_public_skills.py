"""Agents that use public skills: pinned versions, `latest`, counting, and what their owners are told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from omniforge.agents import public_skills
from omniforge.agents.triggers import Scheduler
from omniforge.core.actor import Actor
from omniforge.core.errors import Forbidden, Invalid
from omniforge.core.paging import Paging
from omniforge.skills.library.publishing import Submission
from omniforge.skills.library.service import LibraryService
from omniforge.skills.service import SkillService

NAME = "daily-digest"


def text(body: str = "Do it.") -> bytes:
    head = f"---\nname: {NAME}\ndescription: Says what happened\nallowed-tools: []\n---\n"
    return f"{head}\n# It\n\n{body}\n".encode()


@pytest.fixture
async def library(house: Any, tmp_path: Path) -> LibraryService:
    (tmp_path / "bundled").mkdir()
    skills = SkillService(house.db, tmp_path / "skills", bundled=tmp_path / "bundled", clock=house.clock)
    made = LibraryService(house.db, skills, house.engine.events, house.clock)
    public_skills.connect(house.agents.launch.public, made, house.db, house.agents.inbox)
    return made


async def release(library: LibraryService, actor: Actor, version: str, body: str = "Do it.") -> str:
    await library.publish(actor, Submission(NAME, version, {"SKILL.md": text(body)}, f"About {version}."))
    await library.approve(actor, NAME)
    return (await library.pin(actor, NAME, version)).hash


def using(version: str) -> list[dict[str, Any]]:
    return [{"name": NAME, "source": "public", "version": version, "order": 1}]


async def switched_on(house: Any, actor: Actor, version: str) -> str:
    agent = await house.agents.create(actor, {"name": "Digest", "skills": using(version)})
    return (await house.switch_on(actor, agent.id)).id


async def ran_with(house: Any, actor: Actor, agent_id: str) -> str:
    await house.finish(actor, agent_id)
    return str(house.calls[-1].step.args["hash"])


async def inbox(house: Any, actor: Actor) -> list[str]:
    items, _ = await house.agents.inbox.list_items(actor, Paging())
    return [f"{item.title}. {item.text}" for item in items if item.kind == "notice"]


async def test_a_pinned_version_stays_whatever_is_published(
    house: Any, library: LibraryService, actor: Actor
) -> None:
    first = await release(library, actor, "1.0.0")
    agent_id = await switched_on(house, actor, "1.0.0")
    await release(library, actor, "1.0.1", "Better.")
    assert await ran_with(house, actor, agent_id) == first
    assert (await library.get(actor, NAME)).usage_count == 1
    told = await inbox(house, actor)
    assert told == [
        "There is version 1.0.1 of the skill daily-digest. Digest uses version 1.0.0. What changed: "
        "About 1.0.1. Say so if Digest should use it."
    ]


async def test_latest_takes_what_breaks_nothing_at_the_next_run(
    house: Any, library: LibraryService, actor: Actor
) -> None:
    first = await release(library, actor, "1.0.0")
    agent_id = await switched_on(house, actor, "latest")
    assert await ran_with(house, actor, agent_id) == first
    second = await release(library, actor, "1.0.1", "Better.")
    assert await ran_with(house, actor, agent_id) == second
    await release(library, actor, "2.0.0", "All new.")
    assert await ran_with(house, actor, agent_id) == second
    told = await inbox(house, actor)
    assert any("It is used from the next run on." in text for text in told)
    assert any("It may need changes to the agent." in text for text in told)


async def test_schedules_take_it_too(house: Any, library: LibraryService, actor: Actor, clock: Any) -> None:
    hashes = [await release(library, actor, "1.0.0")]
    hourly = {"trigger_type": "scheduled", "schedule": "0 * * * *"}
    agent = await house.agents.create(actor, {"name": "Digest", "skills": using("latest"), **hourly})
    await house.switch_on(actor, agent.id)
    scheduler = Scheduler(house.agents, clock)
    taken: list[str] = []
    for version in ("1.0.1", "2.0.0"):
        clock.turn(hours=1, seconds=5)
        await scheduler.fire_due()
        async with asyncio.timeout(20):
            while not any(call.run.mode == "live" for call in house.calls):
                await asyncio.sleep(0.005)
        taken += [str(call.step.args["hash"]) for call in house.calls if call.run.mode == "live"]
        house.calls.clear()
        hashes.append(await release(library, actor, version, "Better."))
    assert taken == hashes[:2]


async def test_a_withdrawn_skill_goes_on_where_it_is_used_and_its_owner_is_told(
    house: Any, library: LibraryService, actor: Actor
) -> None:
    first = await release(library, actor, "1.0.0")
    agent_id = await switched_on(house, actor, "latest")
    await library.archive(actor, NAME, reason="It miscounts")
    assert await ran_with(house, actor, agent_id) == first
    assert any("was withdrawn" in text and "It miscounts" in text for text in await inbox(house, actor))
    await house.agents.update(actor, agent_id, {"name": "Renamed"})
    assert (await house.tested(actor, agent_id)).verdict == "passed"
    other = await house.agents.create(actor, {"name": "Other", "skills": using("1.0.0")})
    assert [item["code"] for item in (await house.agents.get(actor, other.id)).problems] == [
        "skill_withdrawn"
    ]
    with pytest.raises(Invalid) as refused:
        await house.agents.start_test(actor, other.id)
    assert refused.value.code == "skill_withdrawn"


async def test_a_rating_follows_a_completed_run(house: Any, library: LibraryService, actor: Actor) -> None:
    await release(library, actor, "1.0.0")
    agent_id = await switched_on(house, actor, "1.0.0")
    with pytest.raises(Forbidden):
        await library.rate(actor, NAME, 4)
    execution = await house.finish(actor, agent_id)
    await house.settle(execution.id)
    assert (await library.rate(actor, NAME, 4)).rating_avg == 4


@pytest.mark.parametrize(
    "reference",
    [
        {"name": NAME, "source": "public", "version": "1.0", "order": 1},
        {"name": NAME, "source": "public", "version": "newest", "order": 1},
        {"name": NAME, "source": "custom", "version": "1.0.0", "order": 1},
    ],
)
async def test_versions_are_three_numbers_and_only_public_skills_have_them(
    house: Any, library: LibraryService, actor: Actor, reference: dict[str, Any]
) -> None:
    with pytest.raises(Invalid):
        await house.agents.create(actor, {"name": "Digest", "skills": [reference]})


async def test_a_skill_or_version_that_is_not_there_is_named(
    house: Any, library: LibraryService, actor: Actor
) -> None:
    await release(library, actor, "1.0.0")
    for reference in (using("3.0.0")[0], {**using("latest")[0], "name": "absent"}):
        agent = await house.agents.create(actor, {"name": "Digest", "skills": [reference]})
        problems = (await house.agents.get(actor, agent.id)).problems
        assert [item["code"] for item in problems] == ["skill_not_found"]
