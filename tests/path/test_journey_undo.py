"""Going back by conversation: what would change is shown, and the earlier version is there again."""

from __future__ import annotations

from tests.path.journeys import Person
from tests.path.test_journey_share import REPORT, derek, maya

__all__ = ["derek", "maya"]


async def test_the_last_change_is_undone_byte_for_byte_after_a_yes(maya: Person) -> None:
    await maya.talk("Put At Risk first", "Looks good", "Yes")
    agent = await maya.ask("GET", f"/agents/{REPORT}")
    assert (agent["version"], agent["status"]) == (2, "active")
    first = await maya.ask("GET", f"/agents/{REPORT}/versions/1")
    history = await maya.say("show me the versions")
    assert "**Version 2** (runs now)" in history["text"]

    shown = await maya.say("Undo my last change")
    (card,) = [card for card in shown["data"]["cards"] if card["type"] == "diff"]
    assert card["rows"]
    assert (await maya.ask("GET", f"/agents/{REPORT}"))["version"] == 2
    done = await maya.say("Yes")
    assert "version 3 now, the same as version 1" in done["text"]

    third = await maya.ask("GET", f"/agents/{REPORT}/versions/3")
    for part in ("snapshot", "hash", "skill_hashes", "manifest"):
        assert third[part] == first[part]
    agent = await maya.ask("GET", f"/agents/{REPORT}")
    assert (agent["version"], agent["status"]) == (3, "active")
    assert agent["next_fire_at"] is not None
    nothing = await maya.ask("GET", f"/agents/{REPORT}/versions/1/diff/3")
    assert (nothing["settings"], nothing["skills"]) == ([], [])
    await maya.say("run my weekly report agent")
    (execution,) = (await maya.ask("GET", f"/agents/{REPORT}/executions?mode=live"))["executions"]
    assert (execution["status"], execution["agent_version"]) == ("completed", 3)
    rows = await maya.house.engine.events.read("default", types=["agent.rolled_back"])
    assert [(row.entity, row.actor) for row in rows] == [(f"agent:{REPORT}", "user:local")]


async def test_who_has_which_version_is_counted(maya: Person, derek: Person) -> None:
    await maya.talk("share it with Derek", "A", "yes")
    await maya.talk("Put At Risk first", "Looks good", "Yes")
    counted = await maya.say("Which version is each customer using?")
    assert "**Version 2** (the latest): 1" in counted["text"]
    assert "**Version 1**: 1 — Derek (own copy, draft)" in counted["text"]


async def test_a_deleted_agent_is_brought_back_and_switched_on_again(maya: Person) -> None:
    await maya.say("delete my weekly report agent")
    assert (await maya.ask("GET", f"/agents/{REPORT}"))["status"] == "active"
    await maya.say("yes, delete it")
    assert (await maya.ask("GET", f"/agents/{REPORT}"))["status"] == "archived"
    await maya.talk("bring back Weekly Project Report", "yes")
    agent = await maya.ask("GET", f"/agents/{REPORT}")
    assert (agent["status"], agent["version"], agent["next_fire_at"]) == ("paused", 2, None)
    await maya.talk("switch my weekly report agent on", "yes")
    agent = await maya.ask("GET", f"/agents/{REPORT}")
    assert agent["status"] == "active"
    assert agent["next_fire_at"] is not None
