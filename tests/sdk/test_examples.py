"""The example programs, run; and the guide, which shows parts of them and nothing else."""

from __future__ import annotations

import asyncio
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from omniforge.cli.server import Running
from omniforge.client import OmniForgeClient

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
GUIDE = ROOT / "docs" / "guides" / "sdk.md"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_the_first_agent(capsys: pytest.CaptureFixture[str]) -> None:
    execution = await example("first_agent").main()
    assert execution.status == "completed"
    assert execution.output["totals"] == {"Maya": 644, "Derek": 310}
    assert capsys.readouterr().out.count("- Maya: two monitors, 560") == 2


async def test_an_agent_with_a_schedule(server: Running) -> None:
    deployment = await example("scheduled_agent").main(server.house.settings.url)
    async with OmniForgeClient(base_url=server.house.settings.url) as client:
        agent = await client.agents.get(deployment.agent_id)
    assert (agent.schedule, agent.timezone) == ("0 8 * * MON", "Europe/Berlin")
    assert (agent.status, agent.integrations) == ("draft", ["notion", "slack"])


async def test_sample_data_of_notion(capsys: pytest.CaptureFixture[str]) -> None:
    result = await example("notion_dry").main()
    assert (result.verdict, result.sample_data) == ("passed", True)
    assert {effect["tool"] for effect in result.effects} == {"Inbox"}
    assert all(row["passed"] for row in result.faults)
    said = capsys.readouterr().out
    assert "What changed in Client Projects" in said
    assert "Notion signed us out" in said


async def test_watching_a_run(server: Running, capsys: pytest.CaptureFixture[str]) -> None:
    execution = await example("watch_a_run").main(server.house.settings.url)
    assert execution.status == "completed"
    lines = capsys.readouterr().out.splitlines()
    assert any(line.endswith("skill_completed expense-check") for line in lines)
    assert any("execution_finished" in line for line in lines)


async def test_a_specification_for_the_board(server: Running) -> None:
    url = server.house.settings.url
    tickets = await asyncio.to_thread(example("spec_to_board").main, url)
    assert [ticket.title for ticket in tickets] == ["Count words"]
    async with OmniForgeClient(base_url=url) as client:
        tasks = await client.board.tasks.list(ticket_id=tickets[0].id)
        assert [task.title for task in tasks] == ["Write the counting"]
        events = client.board.events(tickets[0].project_id)
        kinds = [(await anext(events))["type"] for _ in range(2)]
        await events.aclose()
        assert all(kinds)
        place = tickets[0].project_id
        spec = (await client.board.specs.list(place))[0]
        document = EXAMPLES / "word-counts.md"
        again = await client.board.specs.import_file(place, document, spec_id=spec.id)
        assert {one["action"] for one in again.map.values()} == {"unchanged"}


def lines_of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_what_the_guide_shows_stands_in_an_example(block: str) -> None:
    wanted = lines_of(block)
    for path in EXAMPLES.glob("*.py"):
        lines = lines_of(path.read_text())
        if any(lines[at : at + len(wanted)] == wanted for at in range(len(lines))):
            return
    pytest.fail(f"in no example:\n{block}")


def test_the_guide_names_every_example() -> None:
    guide = GUIDE.read_text()
    assert [path.name for path in EXAMPLES.glob("*.py") if path.name not in guide] == []
