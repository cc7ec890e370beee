"""Skills inside skills and sub-agents: lists only narrow, depth ends, cycles are told, contexts are apart."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.following import DONE, House, Turn, finish, open_house, shown

from omniforge.core.actor import Actor
from omniforge.db import Database
from omniforge.llm.protocol import BudgetExceeded
from omniforge.runs.service import Mode
from omniforge.skills.disclosure import MAX_LISTING

Json = dict[str, Any]


@pytest.fixture
async def house(database: Database, tmp_path: Path, actor: Actor) -> AsyncIterator[House]:
    async with open_house(database, tmp_path, actor) as made:
        yield made


def only(run: Json) -> Json:
    return run["steps"][0]


async def test_names_come_first_and_a_text_only_when_it_is_taken_up(house: House) -> None:
    await house.write(
        "format-report", "Secret body of the other skill. See [x](docs/x.md).", {"docs/x.md": b"deep"}
    )

    async def uses(turn: Turn) -> Json:
        assert "format-report: format-report, in a test." in turn.description("Skill")
        assert "Secret body" not in turn.ask.prompt + turn.ask.instructions + turn.description("Skill")
        body = await turn.call("Skill", name="format-report", arguments={"week": 3})
        assert "Secret body of the other skill" in body
        assert "/skill-format-report/docs/x.md" in body
        assert "ARGUMENTS: <data" in body
        deep = await turn.call("Read", path="/skill-format-report/docs/x.md")
        left = shown(await turn.call("Skill", leave=True))
        assert left == {"left": "format-report", "back_in": "main"}
        top = shown(await turn.call("Skill", leave=True))["error"]["code"]
        found = shown(await turn.call("Skill", search="report"))["skills"]
        return {
            "output": {"deep": deep, "top": top, "found": [one["name"] for one in found]},
            "message": "Used.",
        }

    run = await house.follow("main", "Use the other skill.", uses)
    assert run["status"] == "completed", run["error"]
    output = only(run)["result"]["output"]
    assert "deep" in output["deep"]
    assert (output["top"], output["found"]) == ("at_the_top", ["format-report"])
    (loaded,) = await house.told(run["id"], "skill.loaded")
    assert loaded["skill"] == "format-report"


async def test_the_innermost_list_counts_and_leaving_brings_the_outer_one_back(house: House) -> None:
    await house.write("inner", "x", allowed_tools=["notes.read", "Read", "Skill", "Bash"])

    async def uses(turn: Turn) -> Json:
        async def code(name: str, /, **args: Any) -> str:
            return shown(await turn.call(name, **args)).get("error", {}).get("code", "ok")

        codes = [await code("Write", path="a", text="x")]
        await turn.call("Skill", name="inner")
        codes += [await code("Write", path="b", text="x"), await code("notes__read", where="x")]
        codes += [await code("Read", path="a")]  # in the inner list, not in the outer one
        await turn.call("Skill", leave=True)
        codes += [await code("Write", path="c", text="x")]
        return {"output": {"codes": codes}, "message": "Tried."}

    front = {"allowed_tools": ["Write", "Read(reports/*)", "notes.*", "Skill"]}
    run = await house.follow("outer", "Use it.", uses, front=front)
    refused = "tool_not_allowed"
    assert only(run)["result"]["output"]["codes"] == ["ok", refused, "ok", refused, "ok"]


async def test_a_cycle_is_told_with_its_path_and_depth_ends(house: House) -> None:
    for number in range(1, 8):
        await house.write(f"level-{number}", "deeper")

    async def dives(turn: Turn) -> Json:
        unknown = shown(await turn.call("Skill", name="levle-1"))["error"]
        codes = [await turn.call("Skill", name=f"level-{number}") for number in range(1, 7)]
        cycle = shown(await turn.call("Skill", name="level-2"))["error"]
        return {"output": {"last": codes[-1], "cycle": cycle, "unknown": unknown}, "message": "Dived."}

    output = only(await house.follow("main", "Dive.", dives))["result"]["output"]
    assert "too_deep" in output["last"]
    assert output["cycle"]["code"] == "skill_cycle"
    assert output["cycle"]["path"] == "level-2 → level-3 → level-4 → level-5 → level-2"
    assert (output["unknown"]["code"], output["unknown"]["near"][0]) == ("skill_not_found", "level-1")


async def test_hidden_skills_are_neither_listed_nor_taken_up_and_the_list_is_short(house: House) -> None:
    bundled = house.skills.bundled
    hidden = bundled / "hidden-one"
    hidden.mkdir(parents=True)
    front = "---\nname: hidden-one\ndescription: Not for models.\ndisable-model-invocation: true\n---\nx\n"
    (hidden / "SKILL.md").write_text(front)
    for number in range(150):
        folder = bundled / f"many-{number:03}"
        folder.mkdir()
        text = f"---\nname: many-{number:03}\ndescription: {'Words ' * 12}\npriority: {number}\n---\nx\n"
        (folder / "SKILL.md").write_text(text)

    async def looks(turn: Turn) -> Json:
        refused = shown(await turn.call("Skill", name="hidden-one"))["error"]["code"]
        return {"output": {"listed": turn.description("Skill"), "refused": refused}, "message": "Looked."}

    output = only(await house.follow("main", "Look.", looks))["result"]["output"]
    assert "hidden-one" not in output["listed"]
    assert output["refused"] == "skill_hidden"
    assert len(output["listed"]) <= MAX_LISTING + 200
    assert output["listed"].index("many-149") < output["listed"].index("many-148")
    assert "more: look for them with Skill(search)" in output["listed"]


async def test_a_run_sees_one_snapshot_of_a_skill_from_start_to_end(house: House) -> None:
    await house.write("other", "First words.")

    async def twice(turn: Turn) -> Json:
        first = await turn.call("Skill", name="other")
        await turn.call("Skill", leave=True)
        await house.write("other", "Second words.")
        second = await turn.call("Skill", name="other", arguments={"again": 1})
        return {"output": {"first": first, "second": second}, "message": "Read."}

    output = only(await house.follow("main", "Read.", twice))["result"]["output"]
    assert "First words." in output["first"]
    assert "First words." in output["second"]


SCRIPT = b"""
import os, sys
sys.path.insert(0, "/kit")
from sandbox_kit.skill import call, run

def main(request):
    call("notes.post", where=request.input["where"], text="from a script")
    return {"output": {"posted": True}, "message": "Posted."}

run(main)
"""


async def test_a_script_backed_skill_runs_and_only_its_result_comes_back(house: House) -> None:
    files = {"scripts/main.py": SCRIPT}
    await house.write("poster", "Posts.", files, allowed_tools=["notes.post"])

    async def uses(turn: Turn) -> Json:
        result = await turn.call("Skill", name="poster", arguments={"where": "#team"})
        assert "sandbox_kit" not in result
        return {"output": shown(result), "message": "Used."}

    run = await house.follow("main", "Use it.", uses)
    assert run["status"] == "completed", run["error"]
    result = only(run)["result"]
    assert result["output"] == {"skill": "poster", "output": {"posted": True}, "message": "Posted."}
    assert result["effects"] == 1
    assert house.notes.posted[0]["text"] == "from a script"

    async def elsewhere(turn: Turn) -> Json:
        await turn.call("Skill", name="poster", arguments={"where": "#public"})
        return DONE

    run = await house.follow("main", "Use it.", elsewhere)
    assert run["error"]["code"] == "effect_not_approved"
    assert len(house.notes.posted) == 1


async def test_a_sub_agent_has_only_its_text_and_inputs_and_half_the_turns(house: House) -> None:
    await house.write("judge", "Judge $ARGUMENTS fairly.", context="fork")
    inner: list[Turn] = []

    async def main(turn: Turn) -> Json:
        result = shown(await turn.call("Skill", name="judge", arguments={"text": "the offer"}))
        return {"output": result, "message": "Judged."}

    async def judge(turn: Turn) -> Json:
        inner.append(turn)
        return {"output": {"fair": True}, "message": "It is fair."}

    run = await house.follow("main", "Private procedure.", main, judge, input={"secret": "private input"})
    assert only(run)["result"]["output"] == {"output": {"fair": True}, "message": "It is fair."}
    ask = inner[0].ask
    assert "the offer" in ask.instructions
    assert "fairly" in ask.instructions
    assert "private" not in (ask.instructions + ask.prompt).lower()
    assert ask.limits.iterations == 7
    assert only(run)["result"]["usage"]["tokens"] == 240
    assert (await house.told(run["id"], "agent.forked"))[0]["iterations"] == 7
    assert (await house.told(run["id"], "agent.joined"))[0]["message"] == "It is fair."


async def test_sub_agents_are_two_deep_at_most_and_share_the_budget(house: House) -> None:
    depths: list[int] = []

    async def delegates(turn: Turn) -> Json:
        depths.append(turn.ask.limits.iterations)
        result = await turn.call("Agent", task="Go deeper", inputs={"n": len(depths)})
        return {"output": {"result": result}, "message": "Delegated."}

    run = await house.follow("main", "Delegate.", delegates, grant=["Agent"])
    assert depths == [15, 7, 3]
    assert "too_deep" in json.dumps(only(run)["result"]["output"])
    limits = [ask.limits.tokens for ask in house.model.asks]
    assert limits == [200_000, 200_000, 200_000]
    assert only(run)["result"]["usage"]["tokens"] == 360

    async def spends(turn: Turn) -> Json:
        await turn.call("Agent", task="one")
        await turn.call("Agent", task="two")
        return DONE

    house.model.asks.clear()
    await house.follow("main", "Delegate.", spends, finish, finish, grant=["Agent"])
    assert [ask.limits.tokens for ask in house.model.asks] == [200_000, 200_000, 199_880]

    async def runs_out(_turn: Turn) -> Json:
        raise BudgetExceeded("used up", limit="tokens")

    run = await house.follow("main", "Delegate.", spends, runs_out, grant=["Agent"])
    assert run["error"]["code"] == "budget_exceeded"


@pytest.mark.parametrize(
    ("kind", "has", "lacks"),
    [
        ("explore", {"notes__read", "Read", "Grep"}, {"notes__post", "Write", "Edit", "Bash", "Inbox"}),
        ("plan", {"notes__read", "Read", "Write"}, {"notes__post"}),
        ("general-purpose", {"notes__read", "notes__post", "Write"}, set[str]()),
    ],
)
async def test_a_sub_agent_s_kind_says_what_it_may_do(
    house: House, kind: str, has: set[str], lacks: set[str]
) -> None:
    async def delegates(turn: Turn) -> Json:
        await turn.call("Agent", task="Look", kind=kind)
        return DONE

    await house.follow("main", "Delegate.", delegates, finish, grant=["Agent", "notes.*", "Bash"])
    names = {offer.name for offer in house.model.asks[-1].tools}
    assert has <= names
    assert not lacks & names


async def test_without_a_grant_there_are_no_sub_agents(house: House) -> None:
    await house.follow("main", "Delegate.", finish)
    assert "Agent" not in {offer.name for offer in house.model.asks[-1].tools}


async def test_a_skill_of_another_tenant_is_not_there(house: House, foreign_actor: Actor) -> None:
    files = {"SKILL.md": b"---\nname: theirs\ndescription: Private words.\n---\nbody\n"}
    await house.skills.write(foreign_actor, name="theirs", files=files, agent_id=None)

    async def looks(turn: Turn) -> Json:
        error = shown(await turn.call("Skill", name="theirs"))["error"]["code"]
        return {"output": {"error": error, "listed": turn.description("Skill")}, "message": "Looked."}

    output = only(await house.follow("main", "Look.", looks, mode=Mode.LIVE))["result"]["output"]
    assert output["error"] == "skill_not_found"
    assert "Private words" not in output["listed"]
