"""Agents tested and run inside the program, without a server."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from omniforge import Agent, Local, SkillRef
from omniforge.core.errors import Invalid, Unavailable
from omniforge.sdk.publishing import NotPassed

EXPENSES = Path(__file__).parents[2] / "examples" / "skills" / "expense-check"
ONE = {"expenses": [{"person": "Maya", "what": "two monitors", "amount": 560}]}


def expenses(skill: Path = EXPENSES) -> Agent:
    return Agent("expense-watch", skills=[SkillRef(path=skill, config={"limit": 100})])


def own_skill(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXPENSES, tmp_path / "own" / "expense-check"))


async def test_a_dry_run_leaves_nothing_behind(home: Path) -> None:
    result = await expenses().test(input_data=ONE)
    assert (result.verdict, result.sample_data) == ("passed", True)
    assert "two monitors, 560" in str(result)
    assert not home.exists()


async def test_a_skill_of_the_project_is_found_by_its_name(home: Path) -> None:
    shutil.copytree(EXPENSES, Path.cwd() / ".omniforge" / "skills" / "expense-check")
    agent = Agent("expense-watch", skills=[SkillRef("expense-check", config={"limit": 100})])
    result = await agent.test(input_data=ONE)
    assert result.output["totals"] == {"Maya": 560}


async def test_a_changed_skill_is_tested_again_before_it_runs(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    skill = own_skill(tmp_path)
    async with Local(home) as local:
        first = await expenses(skill).run(ONE, local=local)
        assert (first.status, first.output["totals"]) == ("completed", {"Maya": 560})
        assert (
            "expense-watch, each time it runs: puts the report in your inbox here" in capsys.readouterr().err
        )
        await expenses(skill).run(ONE, local=local)
        assert capsys.readouterr().err == ""
        script = skill / "scripts" / "main.py"
        script.write_text(script.read_text().replace("# Above", "# More than"))
        last = await expenses(skill).run(ONE, local=local)
        assert last.text.startswith("# More than 100")
        assert capsys.readouterr().err != ""
        found = await local.client.agents.list()
        assert [(one.id, one.trigger_type) for one in found] == [("local-expense-watch", "on_demand")]
        assert len(await local.client.agents.get_executions(found[0].id, mode="live")) == 3


async def test_an_agent_of_the_same_name_that_was_made_otherwise_is_left_alone(home: Path) -> None:
    async with Local(home) as local:
        made = await local.client.agents.create(
            {"name": "expense-watch", "skills": [{"name": "x", "order": 1}]}
        )
        await expenses().test(input_data=ONE, local=local)
        await expenses().run(ONE, local=local)
        kept = await local.client.agents.get(made.id)
        assert [one["name"] for one in kept.skills] == ["x"]
        assert kept.status == "draft"


async def test_what_fails_its_test_does_not_run(tmp_path: Path, home: Path) -> None:
    skill = own_skill(tmp_path)
    (skill / "scripts" / "main.py").write_text("raise RuntimeError('broken')\n")
    async with Local(home) as local:
        with pytest.raises(NotPassed) as error:
            await expenses(skill).run(ONE, local=local)
        assert error.value.details["verdict"] == "failed"
        agent = (await local.client.agents.list())[0]
        assert agent.status == "draft"
        assert await local.client.agents.get_executions(agent.id, mode="live") == []


async def test_a_real_run_without_a_connection_says_which_is_missing(home: Path) -> None:
    reader = SkillRef("notion-weekly-summary", source="public", config={"databases": ["Client Projects"]})
    async with Local(home) as local:
        with pytest.raises(Invalid, match="needs your Notion") as error:
            await Agent("digest", skills=[reader]).run(local=local)
    assert error.value.code == "connection_missing"


async def test_a_live_test_tells_what_it_does_before_it_does_it(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Local(home) as local:
        result = await expenses().test(dry_run=False, input_data=ONE, local=local)
    assert (result.mode, result.verdict, result.sample_data) == ("live", "passed", False)
    assert "each time it runs: puts the report in your inbox" in capsys.readouterr().err


async def test_data_that_somebody_works_on_are_not_opened_a_second_time(home: Path) -> None:
    async with Local(home):
        with pytest.raises(Unavailable) as error:
            await expenses().run(ONE)
    assert error.value.code == "already_running"


async def test_a_local_installation_is_used_while_it_is_open(home: Path) -> None:
    local = Local(home)
    with pytest.raises(RuntimeError, match="async with"):
        _ = local.client
