"""`omniforge ticket`: make tickets, look at them, move, block and review them."""

from __future__ import annotations

from typing import Annotated, Any

import httpx
import typer
from rich.markup import escape

from omniforge.cli.board_refs import ProjectName, TicketRef, find_project, find_ticket, path_of
from omniforge.cli.board_words import coloured, rows, trouble
from omniforge.cli.server import api, ask
from omniforge.cli.terminal import AsJson, Port, console, print_json, run, settings_with

app = typer.Typer(no_args_is_help=True)
Json = dict[str, Any]


@app.callback()
def tickets() -> None:
    """Tickets, the cards of the board."""


@app.command()
def create(  # noqa: PLR0917 - the options of one command
    title: Annotated[str, typer.Argument(help="What is to be there in the end.")],
    description: Annotated[str | None, typer.Option(help="Context, goals, what is not meant.")] = None,
    priority: Annotated[str, typer.Option(help="critical, high, medium or low.")] = "medium",
    kind: Annotated[
        str, typer.Option("--type", help="component, feature, bug or optimization.")
    ] = "component",
    tag: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    after: Annotated[list[str] | None, typer.Option(help="A ticket it waits for; may be repeated.")] = None,
    *,
    force: Annotated[bool, typer.Option("--force", help="Even if there is something much like it.")] = False,
    project: ProjectName = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Make a ticket; it waits in the backlog."""

    async def work() -> Json:
        async with api(settings_with(port)) as client:
            place = await find_project(client, project)
            waits = [(await find_ticket(client, ref, place["id"]))["id"] for ref in after or ()]
            body: Json = {
                "project_id": place["id"],
                "title": title,
                "description": description,
                "priority": priority,
                "ticket_type": kind,
                "tags": tag or [],
                "depends_on": waits,
                "force_create": force,
            }
            return await ask(client, "POST", path_of("tickets"), json=body)

    _told(run(work()), as_json=as_json)


@app.command("list")
def list_tickets(
    status: Annotated[str | None, typer.Option(help="Only those in this column.")] = None,
    search: Annotated[str | None, typer.Option(help="Words of the title or description, or a ref.")] = None,
    *,
    blocked: Annotated[bool, typer.Option("--blocked", help="Only those that are blocked.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    project: ProjectName = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """The tickets of a project, newest first."""

    async def work() -> Json:
        async with api(settings_with(port)) as client:
            given: Json = {"status": status, "search": search, "is_blocked": blocked or None}
            params: Json = {name: value for name, value in given.items() if value is not None}
            params |= {"project_id": (await find_project(client, project))["id"], "limit": limit}
            return await ask(client, "GET", path_of("tickets"), params=params)

    found: Json = run(work())
    if as_json:
        print_json(found)
    elif not found["tickets"]:
        console.print("No tickets. 'omniforge ticket create TITLE' makes one.")
    else:
        table = [
            (
                one["ref"],
                one["status"],
                one["priority"],
                escape(one["title"]),
                escape("; ".join(words for words, _ in trouble(one))),
            )
            for one in found["tickets"]
        ]
        console.print(rows(("ref", "status", "priority", "title", "what keeps it"), table))


@app.command()
def show(ticket: TicketRef, project: ProjectName = None, port: Port = None, as_json: AsJson = False) -> None:
    """A ticket: its tasks, its criteria, where it may go and what keeps it."""

    async def work() -> Json:
        async with api(settings_with(port)) as client:
            found = await find_ticket(client, ticket, project)
            return await ask(client, "GET", path_of("tickets", found["id"]))

    one: Json = run(work())
    if as_json:
        print_json(one)
        return
    _line(one)
    if one["description"]:
        console.print(escape(one["description"]))
    for task in one["tasks"]:
        title = escape(task["title"])
        words = f"  {task['ref']} {coloured(task['status'])}  {title}"
        console.print(words, highlight=False, soft_wrap=True)
    for criterion in one["criteria"]:
        mark = "x" if criterion["completed"] else " "
        console.print(f"  [{mark}] {criterion['text']}", markup=False, highlight=False)
    for target in one["legal_targets"]:
        why = "" if target["allowed"] else f" (not now: {target['reason']})"
        console.print(f"  may go to {target['status']}{why}", markup=False, highlight=False)
    if decision := one["last_decision"]:
        words = f"{decision['from_status']} → {decision['to_status']}: {decision['decision']}"
        console.print(f"  last decision {words}", markup=False, highlight=False)


@app.command()
def move(
    ticket: TicketRef,
    to: Annotated[str, typer.Argument(metavar="STATUS", help="backlog, analyzing, building, … or done.")],
    reason: Annotated[str | None, typer.Option(help="Why; needed with --force.")] = None,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Past limits and checks; for those who may.")
    ] = False,
    project: ProjectName = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Move a ticket to another column."""
    body = {"to_status": to, "reason": reason, "force": force}
    _told(run(_post(port, ticket, project, "transition", body)), as_json=as_json)


@app.command()
def block(
    ticket: TicketRef,
    reason: Annotated[str | None, typer.Option(help="What it waits for, in words.")] = None,
    kind: Annotated[
        str,
        typer.Option("--type", help="waiting_on_clarification, failing_checks, dependency or environment."),
    ] = "waiting_on_clarification",
    *,
    project: ProjectName = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Say that a ticket cannot go on."""
    _told(
        run(_post(port, ticket, project, "block", {"blocker_type": kind, "reason": reason})), as_json=as_json
    )


@app.command()
def unblock(
    ticket: TicketRef, project: ProjectName = None, port: Port = None, as_json: AsJson = False
) -> None:
    """Say that it can go on."""
    _told(run(_post(port, ticket, project, "unblock", None)), as_json=as_json)


@app.command()
def comment(
    ticket: TicketRef,
    text: Annotated[str, typer.Argument(help="What to say; @name tells somebody.")],
    project: ProjectName = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Say something about a ticket."""
    said: Json = run(_post(port, ticket, project, "comments", {"text": text}))
    if as_json:
        print_json(said)
    else:
        console.print("Said.")


@app.command()
def approve(
    ticket: TicketRef, project: ProjectName = None, port: Port = None, as_json: AsJson = False
) -> None:
    """Let in a ticket that waits for a review."""
    _reviewed(port, ticket, project, "approve", {}, as_json=as_json)


@app.command()
def reject(
    ticket: TicketRef,
    reason: Annotated[str, typer.Option(help="Why; whoever asked for it reads this.")],
    project: ProjectName = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Turn down a ticket that waits for a review."""
    _reviewed(port, ticket, project, "reject", {"rejection_reason": reason}, as_json=as_json)


@app.command()
def history(
    ticket: TicketRef, project: ProjectName = None, port: Port = None, as_json: AsJson = False
) -> None:
    """Where a ticket went, when, and by whom."""

    async def work() -> Json:
        async with api(settings_with(port)) as client:
            found = await find_ticket(client, ticket, project)
            path = path_of("tickets", found["id"], "history")
            return await ask(client, "GET", path, params={"limit": 200})

    found: Json = run(work())
    if as_json:
        print_json(found)
        return
    table = [
        (
            one["created_at"][:16].replace("T", " "),
            f"{one['from_status'] or ''} → {one['to_status']}",
            f"{one['cause']}{' by force' if one['forced'] else ''}",
            escape(one["by"]),
            escape(one["reason"] or one["feedback"] or ""),
        )
        for one in found["history"]
    ]
    console.print(rows(("at", "way", "cause", "by", "why"), table))


async def _post(port: int | None, ticket: str, project: str | None, verb: str, body: Json | None) -> Json:
    async with api(settings_with(port)) as client:
        found = await find_ticket(client, ticket, project)
        options = {} if body is None else {"json": body}
        return await ask(client, "POST", path_of("tickets", found["id"], verb), **options)


def _reviewed(
    port: int | None, ticket: str, project: str | None, verb: str, body: Json, *, as_json: bool
) -> None:
    async def decide(client: httpx.AsyncClient) -> tuple[Json, Json]:
        found = await find_ticket(client, ticket, project)
        answer = await ask(client, "POST", path_of("tickets", verb), json={"ticket_id": found["id"], **body})
        return found, answer

    async def work() -> tuple[Json, Json]:
        async with api(settings_with(port)) as client:
            return await decide(client)

    found, answer = run(work())
    if as_json:
        print_json(answer)
    else:
        console.print(f"{found['ref']} was {answer['status']}.", highlight=False)


def _line(one: Json) -> None:
    title = f"[bold]{one['ref']}[/bold] {escape(one['title'])}  {one['status']}  {one['priority']}"
    console.print(title, highlight=False, soft_wrap=True)
    for words, style in trouble(one):
        console.print(f"  [{style}]{escape(words)}[/]", highlight=False, soft_wrap=True)


def _told(one: Json, *, as_json: bool) -> None:
    if as_json:
        print_json(one)
    else:
        _line(one)
