"""`omniforge schedule list`: what runs by itself, when next, and what became of the last time."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from omniforge.cli.server import api, ask
from omniforge.cli.terminal import AsJson, Port, console, run, settings_with
from omniforge.core.config import Settings

PAGE = 200
_COLOURS = {
    "completed": "green",
    "no_effect": "yellow",
    "waiting": "yellow",
    "coalesced": "yellow",
    "paused": "yellow",
    "dropped": "red",
    "refused": "red",
    "failed": "red",
}

app = typer.Typer(no_args_is_help=True)


@app.callback()
def schedules() -> None:
    """Schedules."""


@app.command("list")
def list_schedules(port: Port = None, as_json: AsJson = False) -> None:
    """Agents with a schedule: when each runs next, and what became of the last time."""
    run(show_schedules(settings_with(port), console, as_json=as_json))


async def show_schedules(settings: Settings, console: Console, *, as_json: bool) -> None:
    found: list[dict[str, Any]] = []
    async with api(settings) as client:
        while True:
            params = {"limit": PAGE, "offset": len(found)}
            page: dict[str, Any] = await ask(client, "GET", "/api/v1/schedules", params=params)
            found += page["schedules"]
            if not page["schedules"] or len(found) >= page["total"]:
                break
    if as_json:
        answer = {"schedules": found, "total": len(found)}
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
        return
    if not found:
        console.print("No schedules yet. 'omniforge chat' makes an agent that runs by itself.")
        return
    table = Table("agent", "schedule", "zone", "next there", "last there", "what became of it")
    for entry in found:
        last, there = entry["last_fire"], ZoneInfo(entry["timezone"])
        table.add_row(
            escape(entry["id"]),
            escape(entry["words"]),
            entry["timezone"],
            local(entry["next_fire_at"], there) if entry["next_fire_at"] else f"[dim]{entry['status']}[/dim]",
            local(last["logical_time"], there) if last else "",
            what_became(last) if last else "[dim]has not been due yet[/dim]",
        )
    console.print(table)


def local(moment: str, zone: ZoneInfo) -> str:
    """`Mon 23 Nov 08:30`."""
    return f"{datetime.fromisoformat(moment).astimezone(zone):%a %d %b %H:%M}"


def what_became(fire: dict[str, Any]) -> str:
    """How its run stands or ended; without a run, why there is none."""
    if fire["execution_id"]:
        status = str(fire["execution_status"])
        return f"[{_COLOURS.get(status, 'default')}]{status}[/]  [dim]{fire['execution_id']}[/dim]"
    status = str(fire["status"])
    return f"[{_COLOURS.get(status, 'default')}]{status}[/]  [dim]{escape(fire['reason'])}[/dim]"
