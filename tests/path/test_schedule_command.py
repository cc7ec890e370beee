"""`omniforge schedule list` against a server that answers."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console
from sqlalchemy import text
from typer.testing import CliRunner

from engine_house import person
from omniforge.bootstrap import Installation
from omniforge.cli.demo import free_port
from omniforge.cli.main import app
from omniforge.cli.schedule import show_schedules
from omniforge.cli.server import serving
from omniforge.core.config import Settings

SKILL = b"---\nname: greet\ndescription: Says hello to whoever is there.\n---\n\nSay hello.\n"


class Desk:
    """A person at a terminal beside a running server."""

    def __init__(self, settings: Settings, house: Installation) -> None:
        self.house, self.settings = house, settings
        self.environment = {
            "OMNIFORGE_HOME": str(settings.home),
            "OMNIFORGE_PORT": str(settings.port),
            "COLUMNS": "240",
        }

    async def says(self, *args: str) -> tuple[int, str]:
        """Exit code and stdout of `omniforge schedule …`."""
        command = ["schedule", *args]
        result = await asyncio.to_thread(CliRunner().invoke, app, command, env=self.environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return result.exit_code, result.stdout

    async def make(self, **fields: Any) -> str:
        """The draft of an agent with a schedule."""
        agents = self.house.agents
        files = {"greet": {"SKILL.md": SKILL}}
        given = {"name": "Greeter", "skills": [{"name": "greet", "order": 1}], "trigger_type": "scheduled"}
        return (await agents.create(person(), {**given, **fields}, files)).id


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    settings = Settings(home=tmp_path / "home", port=free_port())
    async with serving(settings) as running:
        yield Desk(settings, running.house)


async def test_no_schedules_are_said_to_be_none(desk: Desk) -> None:
    code, out = await desk.says("list")
    assert (code, "No schedules yet" in out) == (0, True)


async def test_schedules_are_listed_in_words_with_what_became_of_the_last_fire(desk: Desk) -> None:
    made = await desk.make(schedule="30 8 * * MON", timezone="Europe/Berlin")
    at = "2026-11-23T07:30:00.000Z"
    async with desk.house.db.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO agent_fires (tenant_id, agent_id, fire_key, kind, logical_time, fired_at,"
                " status, reason, count)"
                " VALUES ('default', :id, 'k', 'schedule', :at, :at, 'dropped', 'Too late.', 1)"
            ),
            {"id": made, "at": at},
        )
    wide = Console(file=io.StringIO(), width=300)
    await show_schedules(desk.settings, wide, as_json=False)
    shown = cast("io.StringIO", wide.file).getvalue()
    (line,) = [line for line in shown.splitlines() if made in line]
    for part in ("At 08:30 on Monday", "Europe/Berlin", "Mon 23 Nov 08:30", "dropped", "Too late."):
        assert part in line
    code, out = await desk.says("list", "--json")
    answer = json.loads(out)
    assert (code, answer["total"]) == (0, 1)
    (entry,) = answer["schedules"]
    assert (entry["id"], entry["schedule"], entry["last_fire"]["status"]) == (made, "30 8 * * MON", "dropped")
