"""`omniforge runs …` against a server that answers: what people see, and the exit codes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine_house import person
from omniforge.cli.demo import free_port
from omniforge.cli.main import app
from omniforge.cli.server import serving
from omniforge.core.config import Settings
from omniforge.engine.plan import SUBPLAN, Action, Plan, Step, plan_json
from omniforge.runs.service import RunService, StartRequest

ASK = Step("ask", "approval", {"question": "Go on?"})
REST = Step("rest", "wait", {"seconds": 0.01})


class Desk:
    """A person at a terminal beside a running server."""

    def __init__(self, settings: Settings, runs: RunService) -> None:
        self.runs = runs
        self.environment = {
            "OMNIFORGE_HOME": str(settings.home),
            "OMNIFORGE_PORT": str(settings.port),
        }

    async def start(self, *steps: Step, **request: Any) -> str:
        run_id = await self.runs.start_run(person(), StartRequest(Plan(steps), "test:1", **request))
        await asyncio.wait_for(self.runs.wait_for(person(), run_id), 20)
        return run_id

    async def says(self, *args: str) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of `omniforge runs …`."""
        command = ["runs", *args]
        result = await asyncio.to_thread(CliRunner().invoke, app, command, env=self.environment)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result.exit_code, result.stdout, result.stderr


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    settings = Settings(home=tmp_path / "home", port=free_port())
    async with serving(settings) as running:
        yield Desk(settings, running.house.runs)


async def test_a_run_is_listed_shown_as_a_tree_answered_and_followed_to_its_end(desk: Desk) -> None:
    sub = Step("sub", SUBPLAN, {"plan": plan_json(Plan((ASK,)))}, for_each="input.rows")
    run_id = await desk.start(REST, sub, input={"rows": [1]})
    code, out, _ = await desk.says("list", "--status", "waiting")
    assert code == 0
    assert run_id in out
    code, out, _ = await desk.says("show", run_id)
    assert code == 6
    lines = out.splitlines()
    depth = {
        name: next(line.index(name) for line in lines if f" {name}  " in line)
        for name in ("sub", "[0]", "ask")
    }
    assert depth["sub"] < depth["[0]"] < depth["ask"]
    assert f"omniforge runs answer {run_id} sub[0]/ask" in out
    assert (await desk.says("follow", run_id))[0] == 6
    code, out, _ = await desk.says("answer", run_id, "sub[0]/ask", "--approve")
    assert code == 0
    code, out, _ = await desk.says("follow", run_id)
    assert code == 0
    assert "run.finished" in out
    assert out.rstrip().endswith("completed")
    code, out, _ = await desk.says("show", run_id, "--json")
    assert (code, json.loads(out)["status"]) == (0, "completed")


async def test_follow_shows_what_happens_live_and_waits_for_moments_but_not_for_people(desk: Desk) -> None:
    slow = Step("slow", "wait", {"seconds": 1.5})
    run_id = await desk.start(slow, Step("bad", "wait", {"until": "never"}, needs=("slow",)))
    code, out, _ = await desk.says("follow", run_id, "--json")
    types = [json.loads(line)["type"] for line in out.splitlines()]
    assert code == 1
    assert "run.waiting" in types
    assert types[-1] == "run.finished"


async def test_pausing_resuming_and_cancelling(desk: Desk) -> None:
    run_id = await desk.start(ASK)
    assert "paused" in (await desk.says("pause", run_id))[1]
    code, out, _ = await desk.says("follow", run_id)
    assert code == 6
    assert f"omniforge runs resume {run_id}" in out
    code, out, _ = await desk.says("resume", run_id, "--json")
    assert (code, json.loads(out)["id"]) == (0, run_id)
    assert "cancelled" in (await desk.says("cancel", run_id))[1]
    assert (await desk.says("show", run_id))[0] == 1
    code, _, err = await desk.says("pause", run_id)
    assert (code, err) == (1, "run_over: This run is over: cancelled.\n")


async def test_a_no_a_retry_and_a_fork(desk: Desk) -> None:
    run_id = await desk.start(ASK)
    assert (await desk.says("reject", run_id, "ask", "--why", "not [today]"))[0] == 0
    code, out, _ = await desk.says("follow", run_id)
    assert code == 1
    assert "not [today]" in out
    assert (await desk.says("retry", run_id, "--step", "ask"))[0] == 0
    assert (await desk.says("follow", run_id))[0] == 6
    code, out, _ = await desk.says("fork", run_id, "--from", "ask", "--input", '{"x": 1}', "--json")
    fork = json.loads(out)
    assert (code, fork["forked_from"], fork["input"]) == (0, run_id, {"x": 1})


async def test_what_stands_is_told_where_a_person_looks(desk: Desk) -> None:
    told = Step("told", "wait", {"seconds": 0.01}, effects=("mail.send",))
    undoable = Step("made", "wait", {"seconds": 0.01}, compensate=Action("approval"), effects=("crm.create",))
    run_id = await desk.start(told, undoable, Step("bad", "wait", {"until": "never"}, needs=("told", "made")))
    await desk.says("follow", run_id)
    code, out, _ = await desk.says("show", run_id)
    assert code == 6
    assert "stands: told mail.send" in out
    assert "stands: made crm.create" in out


async def test_mistakes_are_told_in_plain_words(desk: Desk) -> None:
    run_id = await desk.start(ASK)
    code, _, err = await desk.says("show", "run_unknown")
    assert (code, err) == (3, "not_found: There is no such run.\n")
    code, _, err = await desk.says("answer", run_id, "ask", "--output", "{oops")
    assert code == 2
    assert "--output is not JSON" in err
    code, _, err = await desk.says("answer", run_id, "ask")
    assert code == 2
    assert "--approve" in err
    code, _, err = await desk.says("answer", run_id, "nothing", "--again")
    assert (code, err) == (1, "not_waiting: This step is not waiting for anybody.\n")
    code, _, err = await desk.says("retry", run_id, "--step", "ask")
    assert code == 0
