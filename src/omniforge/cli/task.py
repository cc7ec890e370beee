"""`omniforge task`: the pieces of work of tickets."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape

from omniforge.cli.board_refs import ProjectName, TaskRef, find_project, find_task, find_ticket, path_of
from omniforge.cli.board_words import coloured, rows
from omniforge.cli.server import api, ask
from omniforge.cli.terminal import AsJson, Port, console, print_json, run, settings_with

app = typer.Typer(no_args_is_help=True)
Json = dict[str, Any]


@app.callback()
def tasks() -> None:
    """Tasks, the work of tickets."""


@app.command()
def create(
    ticket: Annotated[str, typer.Argument(metavar="TICKET", help="Ref or id of the ticket it is for.")],
    title: Annotated[str, typer.Argument(help="What is to be done.")],
    description: Annotated[str | None, typer.Option(help="The objective.")] = None,
    kind: Annotated[
        str, typer.Option("--type", help="implement_feature, write_tests, fix_bug, …")
    ] = "implement_feature",
    after: Annotated[list[str] | None, typer.Option(help="A task it waits for; may be repeated.")] = None,
    *,
    project: ProjectName = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Make a task; it is done as soon as its ticket is at work and nothing it waits for is open."""

    async def work() -> Json:
        async with api(settings_with(port)) as client:
            whole = await find_ticket(client, ticket, project)
            waits = [(await find_task(client, ref, whole["project_id"]))["id"] for ref in after or ()]
            body: Json = {
                "ticket_id": whole["id"],
                "title": title,
                "description": description,
                "task_type": kind,
                "depends_on": waits,
            }
            return await ask(client, "POST", path_of("tasks"), json=body)

    _told(run(work()), as_json=as_json)


@app.command("list")
def list_tasks(
    status: Annotated[str | None, typer.Option(help="pending, queued, running, failed, …")] = None,
    ticket: Annotated[str | None, typer.Option(help="Only those of this ticket.")] = None,
    *,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    project: ProjectName = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """The tasks of a project, newest first."""

    async def work() -> Json:
        async with api(settings_with(port)) as client:
            params: Json = {"limit": limit} | ({"status": status} if status else {})
            if ticket is not None:
                params["ticket_id"] = (await find_ticket(client, ticket, project))["id"]
            else:
                params["project_id"] = (await find_project(client, project))["id"]
            return await ask(client, "GET", path_of("tasks"), params=params)

    found: Json = run(work())
    if as_json:
        print_json(found)
    elif not found["tasks"]:
        console.print("No tasks. 'omniforge task create TICKET TITLE' makes one.")
    else:
        table = [
            (
                one["ref"],
                coloured(one["status"]),
                f"{one['attempt']}" if one["attempt"] else "",
                one["phase_id"].removeprefix("PHASE_").lower(),
                escape(one["title"]),
                escape(one["error_message"] or ""),
            )
            for one in found["tasks"]
        ]
        console.print(rows(("ref", "status", "attempt", "phase", "title", "what went wrong"), table))


@app.command()
def show(task: TaskRef, project: ProjectName = None, port: Port = None, as_json: AsJson = False) -> None:
    """A task: what it waits for, its attempts, and what went wrong."""

    async def work() -> tuple[Json, Json]:
        async with api(settings_with(port)) as client:
            found = await find_task(client, task, project)
            path = path_of("tasks", found["id"])
            return await ask(client, "GET", path), await ask(client, "GET", f"{path}/dependencies")

    one, waits = run(work())
    if as_json:
        print_json(one)
        return
    _line(one)
    if one["description"]:
        console.print(escape(one["description"]))
    if one["remaining"]:
        console.print(f"  waits for {one['remaining']} of {len(one['depends_on'])} tasks", highlight=False)
    for other in waits["blocked_tasks"]:
        console.print(f"  {other['ref']} waits for it: {other['title']}", markup=False, highlight=False)
    for attempt in one["attempts"]:
        why = f"  {attempt['error_message']}" if attempt["error_message"] else ""
        words = f"  attempt {attempt['attempt']}: {attempt['outcome'] or 'under way'}{why}"
        console.print(words, markup=False, highlight=False, soft_wrap=True)


@app.command()
def retry(
    task: TaskRef,
    feedback: Annotated[str | None, typer.Option(help="What the next attempt should know.")] = None,
    project: ProjectName = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Try again what has failed."""
    body = {"feedback": feedback} if feedback else {}
    _told(run(_post(port, task, project, "retry", body)), as_json=as_json)


@app.command()
def cancel(
    task: TaskRef,
    reason: Annotated[str, typer.Option(help="Why.")] = "cancelled_by_request",
    project: ProjectName = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Let a task be; who works on it is stopped."""
    done: Json = run(_post(port, task, project, "cancel", {"reason": reason}))
    if as_json:
        print_json(done)
    else:
        console.print(f"{task} is {done['status']}.", markup=False, highlight=False)


async def _post(port: int | None, task: str, project: str | None, verb: str, body: Json) -> Json:
    async with api(settings_with(port)) as client:
        found = await find_task(client, task, project)
        return await ask(client, "POST", path_of("tasks", found["id"], verb), json=body)


def _line(one: Json) -> None:
    words = f"[bold]{one['ref']}[/bold] {escape(one['title'])}  {coloured(one['status'])}"
    console.print(words, highlight=False, soft_wrap=True)
    if one["error_message"]:
        console.print(f"  [red]{escape(one['error_message'])}[/red]", highlight=False, soft_wrap=True)


def _told(one: Json, *, as_json: bool) -> None:
    if as_json:
        print_json(one)
    else:
        _line(one)
