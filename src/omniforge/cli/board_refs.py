"""What people call things of the board: projects and specs by name, tickets and tasks by their refs."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import typer

from omniforge.cli.server import Refused, ask
from omniforge.core.errors import Conflict, Invalid, NotFound

Json = dict[str, Any]
PAGE = 200
REF = re.compile(r"(?P<kind>TKT|TSK)-(?:[A-Z0-9]{2,12}-)?\d{3,}", re.IGNORECASE)

ProjectName = Annotated[
    str | None, typer.Option("--project", "-p", help="Its name or id; not needed while there is only one.")
]
TicketRef = Annotated[str, typer.Argument(metavar="TICKET", help="Its ref, such as TKT-001, or its id.")]
TaskRef = Annotated[str, typer.Argument(metavar="TASK", help="Its ref, such as TSK-001, or its id.")]
SpecName = Annotated[str, typer.Argument(metavar="SPEC", help="Its title or id.")]


def path_of(*parts: str) -> str:
    """An address below the API's base; each part is quoted."""
    return "/api/v1/" + "/".join(quote(part, safe="") for part in parts)


async def pages(client: httpx.AsyncClient, path: str, plural: str, **params: Any) -> AsyncGenerator[Json]:
    """Every item of a list."""
    offset = 0
    while True:
        page = await ask(client, "GET", path, params={**params, "limit": PAGE, "offset": offset})
        for item in page[plural]:
            yield item
        offset += len(page[plural])
        if not page[plural] or offset >= page["total"]:
            return


async def find_project(client: httpx.AsyncClient, named: str | None) -> Json:
    """The project of this name or id; without one, the only one that is active."""
    path = path_of("projects")
    if named is None:
        found = (await ask(client, "GET", path, params={"status": "active", "limit": 20}))["projects"]
        if len(found) == 1:
            return found[0]
        if not found:
            raise NotFound("There is no project yet. 'omniforge project create NAME' makes one.")
        names = ", ".join(project["name"] for project in found)
        raise Invalid(f"Say which project with --project: {names}.")
    known = [project async for project in pages(client, path, "projects", search=named[:200])]
    exact = [project for project in known if project["name"].lower() == named.lower()]
    active = [project for project in exact if project["status"] != "archived"]
    if found := active or exact:
        return found[0]
    by_id = await _by_id(client, "projects", named)
    if by_id is not None:
        return by_id
    near = ", ".join(project["name"] for project in known[:5])
    hint = f"Did you mean: {near}?" if near else "'omniforge project list' shows what there is."
    raise NotFound(f"There is no project {named!r}. {hint}")


async def find_ticket(client: httpx.AsyncClient, named: str, project: str | None = None) -> Json:
    """The ticket of this ref or id."""
    if not REF.fullmatch(named):
        if (ticket := await _by_id(client, "tickets", named)) is not None:
            return ticket
        raise NotFound(f"There is no ticket {named!r}. Name it by its ref, as 'omniforge ticket list' does.")
    params: Json = {"search": named}
    if project is not None:
        params["project_id"] = (await find_project(client, project))["id"]
    found = [
        ticket
        for archived in (False, True)
        async for ticket in pages(client, path_of("tickets"), "tickets", **params, archived=archived)
        if ticket["ref"] == named.upper()
    ]
    return await _only(client, found, named, "ticket")


async def find_task(client: httpx.AsyncClient, named: str, project: str | None = None) -> Json:
    """The task of this ref or id."""
    if not REF.fullmatch(named):
        if (task := await _by_id(client, "tasks", named)) is not None:
            return task
        raise NotFound(f"There is no task {named!r}. Name it by its ref, as 'omniforge task list' does.")
    params: Json = {}
    if project is not None:
        params["project_id"] = (await find_project(client, project))["id"]
    found = [
        task
        async for task in pages(client, path_of("tasks"), "tasks", **params)
        if task["ref"] == named.upper()
    ]
    return await _only(client, found, named, "task")


async def find_spec(client: httpx.AsyncClient, named: str, project: str | None = None) -> Json:
    """The spec of this id, or of this title in the project."""
    if (spec := await _by_id(client, "specs", named)) is not None:
        return spec
    place = await find_project(client, project)
    path = path_of("specs", "project", place["id"])
    known = [spec async for spec in pages(client, path, "specs")]
    found = [spec for spec in known if spec["title"].lower() == named.lower()]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(spec["id"] for spec in found)
        raise Conflict(f"{len(found)} specs are called {named!r}; name the one by its id: {ids}.")
    near = ", ".join(spec["title"] for spec in known[:5])
    hint = f"There are: {near}." if near else "'omniforge spec create TITLE' makes one."
    raise NotFound(f"There is no spec {named!r} in {place['name']}. {hint}")


async def _by_id(client: httpx.AsyncClient, plural: str, named: str) -> Json | None:
    if len(named) > 64:
        return None
    try:
        return await ask(client, "GET", path_of(plural, named))
    except Refused as refused:
        if refused.http_status == 404:
            return None
        raise


async def _only(client: httpx.AsyncClient, found: list[Json], named: str, what: str) -> Json:
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotFound(f"There is no {what} {named.upper()}. 'omniforge {what} list' shows what there is.")
    ids = dict.fromkeys(one["project_id"] for one in found)
    names = [(await ask(client, "GET", path_of("projects", one)))["name"] for one in ids]
    raise Conflict(
        f"{named.upper()} is a {what} of several projects. Say which with --project: {', '.join(names)}."
    )
