"""The log is whole, or the command says where it is not."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from tests.path.rehearsing import installation
from typer.testing import CliRunner

from omniforge.cli.main import app
from omniforge.engine.events import Event

runner = CliRunner()


async def _lived(home: Path) -> None:
    async with installation(home) as house:
        for number in range(5):
            event = Event("thing.happened", f"thing-{number}", house.engine.clock.now(), "user:local")
            async with house.db.transaction() as session:
                await house.engine.events.append(session, "default", event)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation in which a few things have happened."""
    home = tmp_path_factory.mktemp("audit") / "home"
    asyncio.run(_lived(home))
    return home


@pytest.fixture
def home(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, and the command line set to work there."""
    for name in [name for name in os.environ if name.startswith("OMNIFORGE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMNIFORGE_HOME", str(tmp_path / "home"))
    return Path(shutil.copytree(original, tmp_path / "home"))


def changed(home: Path, statement: str) -> None:
    [file] = home.glob("*.db")
    with sqlite3.connect(file) as found:
        found.execute(statement)


def verdict(*arguments: str) -> tuple[int, dict[str, object]]:
    answer = runner.invoke(app, ["audit", "verify", "--json", *arguments])
    return answer.exit_code, json.loads(answer.stdout)


def test_an_untouched_log_is_whole(home: Path) -> None:
    code, told = verdict()
    assert (code, told["whole"], told["findings"]) == (0, True, [])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET actor = 'user:somebody' WHERE entity = 'thing-2'",
        "DELETE FROM events WHERE entity = 'thing-2'",
        "UPDATE events SET payload = '{\"more\":1}' WHERE entity = 'thing-4'",
        "DELETE FROM events WHERE entity IN ('thing-3', 'thing-4')",
    ],
)
def test_what_was_edited_removed_or_cut_off_is_found(home: Path, statement: str) -> None:
    changed(home, statement)
    code, told = verdict()
    assert (code, told["whole"]) == (1, False)


def test_an_export_finds_what_was_cut_off_so_that_nothing_shows_it(home: Path, tmp_path: Path) -> None:
    kept = tmp_path / "log.jsonl"
    assert runner.invoke(app, ["audit", "export", str(kept)]).exit_code == 0
    assert runner.invoke(app, ["audit", "export", str(kept)]).exit_code != 0
    assert verdict("--against", str(kept))[0] == 0
    changed(home, "DELETE FROM events WHERE entity IN ('thing-3', 'thing-4')")
    changed(home, "UPDATE sqlite_sequence SET seq = (SELECT max(position) FROM events) WHERE name = 'events'")
    assert verdict()[0] == 0
    assert verdict("--against", str(kept))[0] == 1


def test_half_an_export_is_refused(home: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.jsonl"
    half.write_text('{"seq": 1}\n')
    answer = runner.invoke(app, ["audit", "verify", "--against", str(half)])
    assert answer.exit_code != 0
