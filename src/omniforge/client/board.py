"""`client.board`: projects, specifications, tickets, tasks, and what happens to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from omniforge.client.shapes import Imported, Project, Spec, Task, Ticket
from omniforge.client.wire import Json, Wire, new_key, path_of
from omniforge.core.errors import Invalid, NotFound


class Projects:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def list(self, *, search: str | None = None, limit: int | None = None) -> list[Project]:
        found = self._wire.every(path_of("projects"), "projects", limit=limit, search=search)
        return [Project.of(one) async for one in found]

    async def get(self, project_id: str) -> Project:
        return Project.of(await self._wire.ask("GET", path_of("projects", project_id)))

    async def create(self, name: str, **fields: Any) -> Project:
        body = {"name": name, **fields}
        return Project.of(await self._wire.ask("POST", path_of("projects"), json=body, key=new_key()))


class Specs:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def list(self, project_id: str) -> list[Spec]:
        found = self._wire.every(path_of("specs", "project", project_id), "specs")
        return [Spec.of(one) async for one in found]

    async def get(self, spec_id: str) -> Spec:
        return Spec.of(await self._wire.ask("GET", path_of("specs", spec_id)))

    async def create(self, project_id: str, title: str, **fields: Any) -> Spec:
        body = {"project_id": project_id, "title": title, **fields}
        return Spec.of(await self._wire.ask("POST", path_of("specs"), json=body, key=new_key()))

    async def import_(self, spec_id: str, documents: Sequence[tuple[str, str]], **options: Any) -> Imported:
        """Bring (path, text) documents in; again with changed ones, only what differs is changed.

        options: `dry_run`, `prune`, `approve`, `start`. `Invalid` tells problems by path and line.
        """
        given = [{"path": path, "content": text} for path, text in documents]
        path = path_of("specs", spec_id, "import")
        body = {"documents": given, "options": options}
        return Imported.of(await self._wire.ask("POST", path, json=body, key=new_key()))

    async def import_file(
        self, project_id: str, path: Path | str, *, spec_id: str | None = None, **options: Any
    ) -> Imported:
        """Bring a Markdown document in: as a spec of its own, or again into the one it was brought into."""
        place = Path(path)
        text = await asyncio.to_thread(_text_of, place)
        if spec_id is None:
            spec_id = (await self.create(project_id, place.stem)).id
        return await self.import_(spec_id, [(place.name, text)], **options)


class Tickets:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def list(
        self, *, project_id: str | None = None, status: str | None = None, limit: int | None = None
    ) -> list[Ticket]:
        found = self._wire.every(
            path_of("tickets"), "tickets", limit=limit, project_id=project_id, status=status
        )
        return [Ticket.of(one) async for one in found]

    async def get(self, ticket_id: str) -> Ticket:
        return Ticket.of(await self._wire.ask("GET", path_of("tickets", ticket_id)))


class Tasks:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def list(
        self, *, project_id: str | None = None, ticket_id: str | None = None, limit: int | None = None
    ) -> list[Task]:
        found = self._wire.every(
            path_of("tasks"), "tasks", limit=limit, project_id=project_id, ticket_id=ticket_id
        )
        return [Task.of(one) async for one in found]

    async def get(self, task_id: str) -> Task:
        return Task.of(await self._wire.ask("GET", path_of("tasks", task_id)))


class Board:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.projects, self.specs = Projects(wire), Specs(wire)
        self.tickets, self.tasks = Tickets(wire), Tasks(wire)

    async def events(self, project_id: str, *, after: int = 0) -> AsyncGenerator[Json]:
        """What happens in a project, live and without end: `{seq, type, subject, at, …}`.

        A connection that breaks is taken up after the last event seen.
        """
        path, params = path_of("events"), {"project_id": project_id}
        async with aclosing(self._wire.follow(path, after=after, params=params)) as events:
            async for event in events:
                yield event


def _text_of(place: Path) -> str:
    try:
        return place.read_text("utf-8-sig")
    except OSError as error:
        raise NotFound(f"{place} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as flaw:
        raise Invalid(f"{place} is no text in UTF-8: {flaw.reason}.") from flaw
