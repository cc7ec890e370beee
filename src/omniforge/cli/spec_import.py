"""Documents on this computer, read, checked and brought in as a specification; and its trace, shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from omniforge.board.importing.checking import Judged, judge
from omniforge.board.importing.sources import read_documents
from omniforge.cli.board_refs import find_project, find_spec, pages, path_of
from omniforge.cli.server import Refused, api, ask
from omniforge.core.config import Settings
from omniforge.core.errors import Invalid, NotFound

Json = dict[str, Any]
ENDINGS = (".md", ".json")
MOST_FILES = 500


async def bring_in(
    settings: Settings, path: Path, spec: str | None, project: str | None, options: Json
) -> Json:
    """What the server made of it, or `{problems, warnings}`: then nothing was written, not even a spec."""
    documents = read_all(path)
    judged = judge(read_documents(documents))
    if judged.problems and spec is None:
        return _refused(judged)
    async with api(settings) as client:
        spec_id = await _place(client, judged, path, spec, project, made=not options["dry_run"])
        if spec_id is None:
            return _all_new(judged)
        body = {"documents": [{"path": name, "content": text} for name, text in documents]}
        try:
            return await ask(
                client, "POST", path_of("specs", spec_id, "import"), json={**body, "options": options}
            )
        except Refused as refused:
            if "problems" not in refused.details:
                raise
            return refused.details


def read_all(path: Path) -> list[tuple[str, str]]:
    """(path, text) of a file, or of every document in a folder."""
    paths = [path]
    if path.is_dir():
        paths = sorted(each for each in path.rglob("*") if each.suffix.lower() in ENDINGS and each.is_file())
    if not 0 < len(paths) <= MOST_FILES:
        raise Invalid(f"{path} holds {len(paths)} documents; between 1 and {MOST_FILES} are read at once.")
    try:
        return [(each.as_posix(), each.read_text("utf-8-sig")) for each in paths]
    except UnicodeDecodeError as flaw:
        raise Invalid(f"{path} is no text in UTF-8: {flaw.reason}.") from None
    except OSError as error:
        raise NotFound(f"{error.filename} cannot be read: {error.strerror}.") from None


async def _place(
    client: httpx.AsyncClient,
    judged: Judged,
    path: Path,
    spec: str | None,
    project: str | None,
    *,
    made: bool,
) -> str | None:
    """The id of the named spec, or of the one of this title, which is made if it has to be."""
    if spec is not None:
        return str((await find_spec(client, spec, project))["id"])
    place = await find_project(client, project)
    title = (judged.spec.title or path.resolve().stem)[:500]
    async for known in pages(client, path_of("specs", "project", place["id"]), "specs"):
        if known["title"] == title:
            return str(known["id"])
    if not made:
        return None
    body = {"project_id": place["id"], "title": title}
    return str((await ask(client, "POST", path_of("specs"), json=body))["id"])


def _refused(judged: Judged) -> Json:
    return {
        "problems": [problem.shown() for problem in judged.problems],
        "warnings": [problem.shown() for problem in judged.warnings],
    }


def _all_new(judged: Judged) -> Json:
    """The spec is not there yet: everything would be new."""
    spec = judged.spec
    items = (("requirement", spec.requirements), ("ticket", spec.tickets), ("task", spec.tasks))
    made = {
        item.ref: {"id": None, "kind": kind, "ref": None, "action": "created"}
        for kind, found in items
        for item in found
    }
    warnings = [problem.shown() for problem in judged.warnings]
    counts = {"created": len(made)}
    return {"spec_id": None, "dry_run": True, "map": made, "counts": counts, "warnings": warnings}


def show_trace(console: Console, trace: Json) -> None:
    """Requirements with their tickets, tasks and checks; then where the chain is broken."""
    tickets: dict[str, Json] = {ticket["id"]: ticket for ticket in trace["tickets"]}
    for requirement in trace["requirements"]:
        tree = Tree(f"[bold]{requirement['ref']}[/bold] {escape(requirement['title'])}", highlight=False)
        _criteria(tree, requirement["criteria"])
        for ticket_id in requirement["ticket_ids"]:
            ticket = tickets[ticket_id]
            branch = tree.add(f"{ticket['ref']} {escape(ticket['title'])}  {ticket['status']}")
            _criteria(branch, ticket["criteria"])
            for task in ticket["tasks"]:
                leaf = branch.add(f"{task['ref']} {escape(task['title'])}  {task['status']}")
                _criteria(leaf, task["criteria"])
        console.print(tree)
    for drift in trace["drift"]:
        console.print(f"[yellow]{drift['ref']}[/yellow] {escape(drift['message'])}", highlight=False)
    if not trace["drift"]:
        console.print("Nothing is missing between what is wanted and what is shown.")


def _criteria(tree: Tree, criteria: list[Json]) -> None:
    for one in criteria:
        mark = "[green]✓[/green]" if one["completed"] else "·"
        tree.add(
            f"{mark} {escape(one['text'])}" + (f"  [dim]{escape(one['check'])}[/dim]" if one["check"] else "")
        )
