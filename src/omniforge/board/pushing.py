"""Branches of tickets given to GitHub, where a project's repository lives there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from omniforge.board.branches import branch_name
from omniforge.board.log import board_event
from omniforge.board.repository import Remote, Repositories
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.tickets import TicketRow
from omniforge.core.clock import Clock
from omniforge.core.errors import NotFound
from omniforge.db import Database
from omniforge.engine.events import EventLog
from omniforge.sandboxes.log import HOST

RemoteOf = Callable[[ProjectRow], AbstractAsyncContextManager[Remote]]
"""Where the repository of a GitHub project lives, with what opens it lent for as long as the block lasts."""


@dataclass(frozen=True, slots=True)
class Pushes:
    db: Database
    events: EventLog
    clock: Clock
    repositories: Repositories
    remote_of: RemoteOf

    async def push_ticket(self, ticket_id: str) -> str | None:
        """Give the ticket's branch away as it stands; the commit it stands at. None: its project is not at
        GitHub, or there is no work of the ticket yet. Raises what `Repositories.push` does."""
        async with self.db.read() as session:
            ticket = await session.get(TicketRow, ticket_id)
            if ticket is None:
                raise NotFound("There is no such ticket.", ticket_id=ticket_id[:64])
            project = await session.get_one(ProjectRow, ticket.project_id)
        branch = branch_name(ticket)
        head = await self.repositories.head(project.id, branch)
        if not is_at_github(project) or head is None:
            return None
        before = await self.repositories.pushed(project.id, branch)
        async with self.remote_of(project) as remote:
            sha = await self.repositories.push(project.id, branch, remote)
        if sha != before:
            ids = {"project_id": project.id, "ticket_id": ticket.id}
            event = board_event(
                "branch.pushed", branch, self.clock.now(), HOST, **ids, branch=branch, sha=sha
            )
            async with self.db.transaction() as session:
                await self.events.append(session, ticket.tenant_id, event)
        return sha

    async def take_over(self, project: ProjectRow) -> str | None:
        """Bring the main branch of a GitHub project here, where ours has nothing of its own; where it stands.
        None: the project is not at GitHub."""
        if not is_at_github(project):
            return None
        await self.repositories.ensure(project)
        async with self.remote_of(project) as remote:
            return await self.repositories.fetch(project.id, project.default_branch, remote)


def is_at_github(project: ProjectRow) -> bool:
    return project.repository_kind == "github" and project.github_connected
