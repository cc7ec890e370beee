"""Dry runs ask no model: what one did in a test is shown again, labelled; else nothing is said about it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.following import DONE, House, Turn, open_house

from omniforge.core.actor import Actor
from omniforge.core.network import NetworkDisabled, check_network
from omniforge.db import Database
from omniforge.runs.service import Mode

Json = dict[str, Any]
TEST: Json = {"trigger_type": "test"}


@pytest.fixture
async def house(database: Database, tmp_path: Path, actor: Actor) -> AsyncIterator[House]:
    async with open_house(database, tmp_path, actor) as made:
        yield made


def only(run: Json) -> Json:
    return run["steps"][0]


async def works(turn: Turn) -> Json:
    await turn.call("notes__read", where="plans")
    await turn.call("Read", path="absent.txt")
    await turn.call("notes__post", where="#team", text="Hello")
    return {"output": {"count": 2}, "message": "Posted.", "status": "flag"}


async def dry(house: House, **more: Any) -> Json:
    step = await house.step("posts", await house.write("posts", more.pop("body", "Post.")))
    return await house.run(step, mode=Mode.DRY, trigger_type="test", **more)


async def test_a_dry_run_without_a_recording_is_not_simulated_and_asks_no_model(house: House) -> None:
    run = await dry(house)
    assert (run["status"], run["error"]["code"]) == ("failed", "not_simulated")
    assert "posts" in run["error"]["message"]
    assert house.model.asks == []


@pytest.mark.parametrize("mode", [Mode.PREVIEW, Mode.LIVE])
async def test_what_a_model_did_in_a_test_is_done_again_on_sample_data(house: House, mode: Mode) -> None:
    await house.follow("posts", "Post.", works, mode=mode, **TEST)
    sent, asked = len(house.notes.posted), len(house.model.asks)
    run = await dry(house)
    assert run["status"] == "completed", run["error"]
    result = only(run)["result"]
    assert (result["output"], result["signal"], result["effects"]) == ({"count": 2}, "flag", 1)
    assert result["message"].startswith("Posted. (As a language model did it in a test on ")
    assert (len(house.notes.posted), len(house.model.asks)) == (sent, asked)
    (replayed,) = await house.told(run["id"], "model.replayed")
    assert (replayed["model"], replayed["calls"]) == ("scripted:one", 3)
    (effect,) = await house.told(run["id"], "effect.recorded")
    assert (effect["summary"], effect["held"]) == ("posts to #team", True)


async def test_only_a_test_is_recorded_and_only_for_the_same_files_and_input(house: House) -> None:
    await house.follow("posts", "Post.", works)
    assert (await dry(house))["error"]["code"] == "not_simulated"
    await house.follow("posts", "Post.", works, input={"a": 1}, **TEST)
    assert (await dry(house))["error"]["code"] == "not_simulated"
    assert (await dry(house, input={"a": 2}))["error"]["code"] == "not_simulated"
    assert (await dry(house, input={"a": 1}, body="Post it."))["error"]["code"] == "not_simulated"
    assert (await dry(house, input={"a": 1}))["status"] == "completed"


async def test_what_a_model_would_do_with_other_data_nobody_knows(house: House) -> None:
    await house.follow("posts", "Post.", works, mode=Mode.PREVIEW, **TEST)
    for shape in ("empty", "old"):
        run = await dry(house, facts={"sample": {"shape": shape}})
        assert run["error"]["code"] == "not_simulated"
    assert (await dry(house))["status"] == "completed"


async def test_a_dry_run_that_may_ask_a_model_does_and_its_tools_stay_offline(house: House) -> None:
    reached: list[str] = []

    async def works_online(turn: Turn) -> Json:
        check_network()
        reached.append("model")
        await turn.call("notes__post", where="#team", text="Hello")
        return DONE

    async def looks(args: Json, scope: Any) -> Json:
        with pytest.raises(NetworkDisabled):
            check_network()
        reached.append("tool")
        return {"id": 0}

    tool = house.handlers["skill"].tools["notes.post"]
    tool.hold = looks
    house.model.scripts = [works_online]
    run = await dry(house, facts={"use_model": True})
    assert run["status"] == "completed", run["error"]
    assert reached == ["model", "tool"]
    assert house.notes.posted == []
