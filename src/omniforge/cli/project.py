"""`omniforge project`: projects, each with a board of its own."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape

from omniforge.cli.board_refs import find_project, path_of
from omniforge.cli.board_words import rows
from omniforge.cli.server import api, ask
from omniforge.cli.terminal import AsJson, Port, console, print_json, run, settings_with
from omniforge.core.errors import Conflict

app = typer.Typer(no_args_is_help=True)
Named = Annotated[str, typer.Argument(metavar="PROJECT", help="Its name or id.")]
Json = dict[str, Any]


@app.callback()
def projects() -> None:
    """Projects, each with a board and a repository."""


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What people will call it.")],
    description: Annotated[str | None, typer.Option(help="What it is about.")] = None,
    *,
    autonomous: Annotated[
        bool, typer.Option(help="Whether tickets move on by themselves when their checks are through.")
    ] = True,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Make a project with an empty board."""

    async def work() -> Json:
        body = {"name": name, "description": description, "autonomous": autonomous}
        async with api(settings_with(port)) as client:
            return await ask(client, "POST", path_of("projects"), json=body)

    made: Json = run(work())
    if as_json:
        print_json(made)
    else:
        console.print(f"[bold]{escape(made['name'])}[/bold] is there ({made['id']}).", highlight=False)
        console.print("Next: omniforge spec import FILE, or omniforge ticket create TITLE", markup=False)


@app.command("list")
def list_projects(
    *,
    archived: Annotated[bool, typer.Option("--archived", help="Those that were archived instead.")] = False,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """The projects, newest first."""

    async def work() -> Json:
        params: Json = {"limit": 200, "status": "archived" if archived else "active"}
        async with api(settings_with(port)) as client:
            return await ask(client, "GET", path_of("projects"), params=params)

    found: Json = run(work())
    if as_json:
        print_json(found)
    elif not found["projects"]:
        console.print("No projects. 'omniforge project create NAME' makes one.")
    else:
        table = [
            (escape(one["name"]), one["id"], one["status"], escape(one["description"] or ""))
            for one in found["projects"]
        ]
        console.print(rows(("name", "id", "status", "about"), table))


@app.command()
def show(project: Named, port: Port = None, as_json: AsJson = False) -> None:
    """A project: its repository, and how much there is in it."""

    async def work() -> Json:
        async with api(settings_with(port)) as client:
            found = await find_project(client, project)
            return {**found, "stats": await ask(client, "GET", path_of("projects", found["id"], "stats"))}

    found: Json = run(work())
    if as_json:
        print_json(found)
        return
    stats = found["stats"]
    console.print(f"[bold]{escape(found['name'])}[/bold]  {found['status']}  {found['id']}", highlight=False)
    if found["description"]:
        console.print(escape(found["description"]))
    where = f"{found['repository_kind']} repository, branch {found['default_branch']}"
    console.print(where, markup=False, highlight=False)
    for what in ("tickets", "tasks"):
        counts = ", ".join(
            f"{count} {status}" for status, count in stats[f"{what}_by_status"].items() if count
        )
        console.print(f"{what}: {counts or 'none'}", markup=False, highlight=False)


@app.command()
def archive(
    project: Named,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Put a project away: its open tasks are cancelled, its tickets are kept."""

    async def work() -> Json:
        async with api(settings_with(port)) as client:
            found = await find_project(client, project)
            if not yes:
                raise Conflict(f"Archiving {found['name']} cancels its open tasks. Say --yes to do it.")
            return await ask(client, "DELETE", path_of("projects", found["id"]))

    done: Json = run(work())
    if as_json:
        print_json(done)
    else:
        console.print(done["message"], markup=False)
