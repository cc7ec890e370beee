"""The commands of the board, against a server that answers: what people see, exit codes, the live board."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from omniforge.cli.board_watch import watch
from omniforge.cli.demo import free_port
from omniforge.cli.main import app
from omniforge.cli.server import serving
from omniforge.core.config import Settings

SPEC = """\
---
title: Things
---

# Requirements

## REQ-THING-API-001: Lists things
Priority: HIGH

WHEN somebody asks for things, THE SYSTEM SHALL list them.

- [ ] An empty list is no error `$ true`
- [ ] The newest stands first

# Tickets

## TKT-001: Things
Estimate: M
Requirements: REQ-THING-API-001

Context: people cannot see their things.

### TSK-001: Keep things
Estimate: S

- [ ] Things come back as they were `$ true`

### TSK-002: List things
Estimate: S
Depends on: TSK-001

- [ ] The list is right `$ true`
"""


class Desk:
    """A person at a terminal beside a running server."""

    def __init__(self, settings: Settings, home: Path) -> None:
        self.settings = settings
        self.home = home
        self.environment = {
            "OMNIFORGE_HOME": str(settings.home),
            "OMNIFORGE_PORT": str(settings.port),
            "COLUMNS": "200",
        }

    async def says(self, *args: str, code: int = 0) -> str:
        """What `omniforge …` prints; on stderr when it fails."""
        result = await asyncio.to_thread(CliRunner().invoke, app, list(args), env=self.environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code == code, result.output
        return result.stdout if code == 0 else result.stdout + result.stderr

    async def told(self, *args: str) -> Any:
        return json.loads(await self.says(*args, "--json"))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    settings = Settings(home=tmp_path / "home", port=free_port())
    async with serving(settings):
        yield Desk(settings, tmp_path)


async def test_a_document_becomes_a_board(desk: Desk) -> None:
    assert "omniforge project create" in await desk.says("board", "show", code=3)
    assert "is there" in await desk.says("project", "create", "Shop", "--no-autonomous")
    document = desk.home / "spec.md"
    document.write_text(SPEC.replace("THE SYSTEM SHALL", "THE SYSTEM MAY"))
    refused = await desk.says("spec", "import", str(document), code=1)
    assert "no_action" in refused
    assert f"{document}:7" in refused

    document.write_text(SPEC)
    assert "Would be: 4 created" in await desk.says("spec", "import", str(document), "--dry-run")
    assert (await desk.told("spec", "list"))["total"] == 0
    made = await desk.says("spec", "import", str(document), "--no-start")
    assert "4 created" in made
    assert "TKT-001 created" in made
    (desk.home / "again.md").write_text(await desk.says("spec", "export", "things"))
    assert "4 unchanged" in await desk.says("spec", "import", str(desk.home / "again.md"))

    shown = await desk.says("spec", "show", "Things")
    assert "WHEN somebody asks for things, THE SYSTEM SHALL list them." in shown
    assert "requirements: approved" in shown
    trace = await desk.says("spec", "trace", "Things")
    assert trace.index("REQ-THING-API-001") < trace.index("TKT-001") < trace.index("TSK-002")
    view = await desk.says("board", "show")
    assert "TKT-001 Things (2)" in view
    assert "Backlog 1" in view
    assert "TSK-002 pending" in await desk.says("ticket", "show", "tkt-001")
    assert "There is no spec 'Nothing'" in await desk.says("spec", "show", "Nothing", code=3)


async def test_tickets_go_through_the_board_and_refusals_say_what_to_do(desk: Desk) -> None:
    await desk.says("project", "create", "Shop", "--no-autonomous")
    await desk.says("ticket", "create", "Search", "--priority", "high", "--tag", "web")
    await desk.says("ticket", "create", "Pay", "--after", "TKT-001")
    illegal = await desk.says("ticket", "move", "TKT-001", "done", code=1)
    assert "illegal_move" in illegal
    assert "goes to analyzing" in illegal
    wrong = await desk.says("ticket", "create", "X", "--priority", "urgent", code=2)
    assert "priority:" in wrong
    moved = await desk.told("ticket", "move", "TKT-001", "analyzing")
    assert moved["status"] == "analyzing"
    assert "blocked: who pays?" in await desk.says("ticket", "block", "TKT-001", "--reason", "who pays?")
    assert "omniforge ticket unblock" in await desk.says("ticket", "move", "TKT-001", "building", code=1)
    picture = await desk.says("board", "watch", "--once")
    assert "TKT-001 is blocked: who pays?" in picture
    assert "waits for TKT-001" in picture
    await desk.says("ticket", "unblock", "TKT-001")
    assert "Said." in await desk.says("ticket", "comment", "TKT-001", "It was Ana")
    way = [one["to_status"] for one in (await desk.told("ticket", "history", "TKT-001"))["history"]]
    assert sorted(way) == ["analyzing", "backlog"]
    assert "TKT-009" in await desk.says("ticket", "show", "tkt-009", code=3)
    stats = await desk.told("board", "stats")
    assert {one["column_id"]: one["ticket_count"] for one in stats["columns"]}["analyzing"] == 1
    assert "building" in await desk.says("board", "columns")
    assert "not_pending_review" in await desk.says("ticket", "approve", "TKT-001", code=1)

    task = await desk.told("task", "create", "TKT-001", "Read the law", "--type", "analyze_requirements")
    made = ("task", "create", "TKT-001", "Ask", "--type", "research", "--after", task["ref"])
    ref = (await desk.told(*made))["ref"]
    assert "waits for 1 of 1 tasks" in await desk.says("task", "show", ref.lower())
    assert f"{ref} is cancelled" in await desk.says("task", "cancel", ref)
    cancelled = await desk.told("task", "list", "--status", "cancelled")
    assert [one["ref"] for one in cancelled["tasks"]] == [ref]
    await desk.says("task", "retry", ref, code=1)

    await desk.says("project", "create", "Bank")
    assert "--project: Bank, Shop" in await desk.says("board", "show", code=2)
    await desk.says("ticket", "create", "Vault", "--project", "bank")
    assert "several projects" in await desk.says("ticket", "show", "TKT-001", code=1)
    assert "--yes" in await desk.says("project", "archive", "Bank", code=1)
    await desk.says("project", "archive", "Bank", "--yes")
    assert "Bank" in await desk.says("project", "list", "--archived")
    assert "1 analyzing" in await desk.says("project", "show", "Shop")


async def test_the_live_board_shows_what_happens_and_leaves_quietly(desk: Desk) -> None:
    await desk.says("project", "create", "Shop", "--no-autonomous")
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=200, height=50)
    watching = asyncio.create_task(watch(desk.settings, console, None, once=False, as_json=False))
    try:
        await _seen(screen, "live")
        await desk.says("ticket", "create", "Search")
        await _seen(screen, "TKT-001 ")
        await desk.says("ticket", "block", "TKT-001", "--reason", "who pays?")
        await _seen(screen, "is blocked: who pays?")
    finally:
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching
    assert screen.getvalue().rstrip().endswith("\x1b[?25h")  # the cursor is back


async def _seen(screen: io.StringIO, words: str) -> None:
    async with asyncio.timeout(20):
        while words not in screen.getvalue():
            await asyncio.sleep(0.02)
