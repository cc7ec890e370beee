"""`omniforge board`: a project's board in the terminal, as it is and as it changes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from omniforge.cli.board_refs import ProjectName, find_project, path_of
from omniforge.cli.board_words import rows
from omniforge.cli.server import api, ask
from omniforge.cli.terminal import AsJson, Port, console, print_json, run, settings_with

app = typer.Typer(no_args_is_help=True)
Json = dict[str, Any]


@app.callback()
def board() -> None:
    """The board of a project."""


@app.command()
def show(project: ProjectName = None, port: Port = None, as_json: AsJson = False) -> None:
    """The columns with their cards, and what keeps each card."""
    from omniforge.cli.board_watch import show_board  # noqa: PLC0415

    run(show_board(settings_with(port), console, project, as_json=as_json))


@app.command()
def watch(
    project: ProjectName = None,
    *,
    once: Annotated[bool, typer.Option("--once", help="One picture with the latest activity.")] = False,
    port: Port = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per event and line.")] = False,
) -> None:
    """The board as it changes, with what happens below it, until Ctrl+C."""
    from omniforge.cli import board_watch  # noqa: PLC0415

    run(board_watch.watch(settings_with(port), console, project, once=once, as_json=as_json))


@app.command()
def columns(project: ProjectName = None, port: Port = None, as_json: AsJson = False) -> None:
    """The columns: their limits, and where a card goes on to by itself."""

    async def work() -> Json:
        return await _of_project(settings_with(port), project, "columns")

    found: Json = run(work())
    if as_json:
        print_json(found)
        return
    table = [
        (
            one["status"],
            one["name"],
            str(one["ticket_count"]),
            "" if one["wip_limit"] is None else str(one["wip_limit"]),
            one["auto_transition_to"] or "",
        )
        for one in found["columns"]
    ]
    console.print(rows(("status", "name", "tickets", "limit", "goes on to"), table))


@app.command()
def stats(project: ProjectName = None, port: Port = None, as_json: AsJson = False) -> None:
    """How full each column is, how much of it is blocked, and since when the oldest card waits."""

    async def work() -> Json:
        return await _of_project(settings_with(port), project, "stats")

    found: Json = run(work())
    if as_json:
        print_json(found)
        return
    table = [
        (
            one["column_id"],
            str(one["ticket_count"]),
            str(one["blocked_count"]),
            "" if one["utilization"] is None else f"{one['utilization']:.0%} of {one['wip_limit']}",
            _age(one["oldest_since"]),
        )
        for one in found["columns"]
    ]
    console.print(rows(("status", "tickets", "blocked", "in use", "oldest"), table))
    console.print(f"{found['total']} tickets", highlight=False)


async def _of_project(settings: Any, project: str | None, what: str) -> Json:
    async with api(settings) as client:
        params = {"project_id": (await find_project(client, project))["id"]}
        return await ask(client, "GET", path_of("board", what), params=params)


def _age(moment: str | None) -> str:
    """`3 d`, `5 h` or `12 min`."""
    if moment is None:
        return ""
    minutes = int((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds() // 60)
    if minutes >= 2 * 24 * 60:
        return f"{minutes // (24 * 60)} d"
    return f"{minutes // 60} h" if minutes >= 120 else f"{max(minutes, 0)} min"
