"""`omniforge spec`: specifications, from a document to tickets, and what of them is shown to work."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from omniforge.cli.board_refs import ProjectName, SpecName, find_project, find_spec, pages, path_of
from omniforge.cli.board_words import rows
from omniforge.cli.server import api, ask
from omniforge.cli.terminal import AsJson, Port, console, print_json, run, settings_with

app = typer.Typer(no_args_is_help=True)
Json = dict[str, Any]


class Form(StrEnum):
    MARKDOWN = "markdown"
    JSON = "json"


class Part(StrEnum):
    REQUIREMENTS = "requirements"
    DESIGN = "design"


@app.callback()
def specs() -> None:
    """Specifications."""


@app.command()
def create(
    title: Annotated[str, typer.Argument(help="What the feature is called.")],
    description: Annotated[str | None, typer.Option(help="What it is about.")] = None,
    project: ProjectName = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Make an empty specification."""

    async def work() -> Json:
        async with api(settings_with(port)) as client:
            place = await find_project(client, project)
            body = {"project_id": place["id"], "title": title, "description": description}
            return await ask(client, "POST", path_of("specs"), json=body)

    _told(run(work()), as_json=as_json)


@app.command("list")
def list_specs(project: ProjectName = None, port: Port = None, as_json: AsJson = False) -> None:
    """The specifications of a project."""

    async def work() -> list[Json]:
        async with api(settings_with(port)) as client:
            place = await find_project(client, project)
            path = path_of("specs", "project", place["id"])
            return [spec async for spec in pages(client, path, "specs")]

    found: list[Json] = run(work())
    if as_json:
        print_json({"specs": found, "total": len(found)})
    elif not found:
        console.print("No specifications. 'omniforge spec import FILE' brings one in.")
    else:
        table = [
            (
                escape(one["title"]),
                one["status"],
                f"{one['progress']:.0f} %",
                str(len(one["requirements"])),
                str(one["linked_tickets"]),
                one["id"],
            )
            for one in found
        ]
        console.print(rows(("title", "status", "done", "requirements", "tickets", "id"), table))


@app.command()
def show(spec: SpecName, project: ProjectName = None, port: Port = None, as_json: AsJson = False) -> None:
    """A specification: what has to be true, and how far it is."""
    one: Json = run(_get(port, spec, project, ""))
    if as_json:
        print_json(one)
        return
    _line(one)
    for part in Part:
        word = "approved" if one[f"{part}_approved"] else "not approved"
        console.print(f"  {part}: {word}", highlight=False)
    for requirement in one["requirements"]:
        said = ", ".join(filter(None, (requirement["condition"], requirement["action"])))
        console.print(f"  {requirement['ref']} {requirement['title']}", markup=False, highlight=False)
        console.print(f"    {said}", markup=False, highlight=False)
        for criterion in requirement["criteria"]:
            mark = "x" if criterion["completed"] else " "
            console.print(f"    [{mark}] {criterion['text']}", markup=False, highlight=False)


@app.command("import")
def import_spec(  # noqa: PLR0917 - the options of one command
    path: Annotated[Path, typer.Argument(exists=True, help="A Markdown or JSON file, or a folder of such.")],
    spec: Annotated[
        str | None, typer.Option(help="Into this one, by title or id; otherwise the one of its title.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would become of it.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Put away what the document no longer holds.")
    ] = False,
    start: Annotated[bool | None, typer.Option(help="Whether its tickets may be worked on at once.")] = None,
    project: ProjectName = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Bring in a specification with its tickets and tasks; the same document twice changes nothing."""
    from omniforge.cli.spec_import import bring_in  # noqa: PLC0415

    options: Json = {"dry_run": dry_run, "prune": prune, "start": start}
    done: Json = run(bring_in(settings_with(port), path, spec, project, options))
    if as_json:
        print_json(done)
        raise typer.Exit(1 if done.get("problems") else 0)
    for problem in done.get("problems", ()):
        _problem(problem, "red")
    for warning in done.get("warnings", ()):
        _problem(warning, "yellow")
    if done.get("problems"):
        console.print("Nothing was brought in.")
        raise typer.Exit(1)
    counts = ", ".join(f"{count} {what}" for what, count in done["counts"].items() if count)
    console.print(f"{'Would be: ' if dry_run else ''}{counts or 'nothing to do'}.", highlight=False)
    made = [one for one in done["map"].values() if one["kind"] == "ticket" and one["ref"]]
    for one in made:
        console.print(f"  {one['ref']} {one['action']}", markup=False, highlight=False)
    if made and not dry_run:
        console.print("Next: omniforge board watch")


@app.command()
def export(
    spec: SpecName,
    form: Annotated[Form, typer.Option("--format")] = Form.MARKDOWN,
    project: ProjectName = None,
    port: Port = None,
) -> None:
    """The specification as a document, on standard output; brought in again it changes nothing."""

    async def work() -> str:
        async with api(settings_with(port)) as client:
            found = await find_spec(client, spec, project)
            path = path_of("specs", found["id"], "export")
            if form is Form.JSON:
                print_json(await ask(client, "GET", path))
                return ""
            answer = await client.get(path, params={"format": "markdown"})
            return answer.raise_for_status().text

    sys.stdout.write(run(work()))


@app.command()
def approve(
    spec: SpecName,
    part: Annotated[Part, typer.Argument(help="requirements, then design.")] = Part.REQUIREMENTS,
    project: ProjectName = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Say yes to the requirements or to the design; with both, work may begin."""

    async def work() -> Json:
        async with api(settings_with(port)) as client:
            found = await find_spec(client, spec, project)
            return await ask(client, "POST", path_of("specs", found["id"], f"approve-{part}"))

    _told(run(work()), as_json=as_json)


@app.command()
def trace(spec: SpecName, project: ProjectName = None, port: Port = None, as_json: AsJson = False) -> None:
    """From every requirement to what shows that it holds, and where that chain is broken."""
    from omniforge.cli.spec_import import show_trace  # noqa: PLC0415

    found: Json = run(_get(port, spec, project, "trace"))
    if as_json:
        print_json(found)
    else:
        show_trace(console, found)


async def _get(port: int | None, spec: str, project: str | None, rest: str) -> Json:
    async with api(settings_with(port)) as client:
        found = await find_spec(client, spec, project)
        return await ask(client, "GET", path_of("specs", found["id"], *filter(None, (rest,))))


def _line(one: Json) -> None:
    words = f"[bold]{escape(one['title'])}[/bold]  {one['status']}  {one['progress']:.0f} % done  {one['id']}"
    console.print(words, highlight=False, soft_wrap=True)


def _told(one: Json, *, as_json: bool) -> None:
    if as_json:
        print_json(one)
    else:
        _line(one)


def _problem(one: Json, style: str) -> None:
    """`spec.md:12 TKT-001 dangling_ref: …`."""
    place = f"{one.get('path') or ''}:{one['line']} " if one.get("line") else ""
    words = f"{place}{one.get('ref') or ''} [{style}]{one['code']}[/]: {escape(one['message'])}"
    console.print(words.strip(), highlight=False, soft_wrap=True)
