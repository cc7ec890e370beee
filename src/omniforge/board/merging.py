"""What a ticket has become comes into the main branch before the ticket is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from omniforge.board.moves import Moves
from omniforge.board.repository import MergeConflict, Repositories
from omniforge.board.store import projects as project_rows
from omniforge.board.store import tickets as store
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import TicketStatus
from omniforge.core.actor import Actor

SHOWN = 50
"""Paths that are named in words."""


@dataclass(frozen=True, slots=True)
class Merging:
    """`Finish` of the moves. A ticket that is sent back goes to building: its branch holds both versions of
    what differs, for somebody to choose."""

    moves: Moves
    repositories: Repositories

    async def merge(self, actor: Actor, ticket_id: str) -> Sequence[str]:
        """Paths of what does not go together with the main branch, which is as it was then."""
        ticket, project = await self._read(actor, ticket_id)
        head = await self._head(project, ticket)
        if head is None:
            return ()
        message = f"Merge {ticket.ref}: {ticket.title}"
        try:
            await self.repositories.merge(project.id, project.default_branch, head, message)
        except MergeConflict as conflict:
            return conflict.paths
        return ()

    async def send_back(self, actor: Actor, ticket_id: str, paths: Sequence[str]) -> None:
        """Its branch takes in what is finished, both versions of what differs, and new work begins there."""
        ticket, project = await self._read(actor, ticket_id)
        main = await self.repositories.default_head(project.id)
        if ticket.branch_name is None or main is None:
            return
        into = f"Merge {project.default_branch} into {ticket.branch_name}"
        marked = await self.repositories.take_in(project.id, ticket.branch_name, main, into)
        async with self.moves.db.transaction() as session:
            ticket = await store.get_ticket(session, actor, ticket_id, lock=True)
            if ticket.status != TicketStatus.TESTING or ticket.is_blocked:
                return
            ticket.remediations += 1
            await self.moves.regress(session, actor, ticket, explained(marked or paths))

    async def _read(self, actor: Actor, ticket_id: str) -> tuple[TicketRow, ProjectRow]:
        async with self.moves.db.read() as session:
            ticket = await store.get_ticket(session, actor, ticket_id)
            return ticket, await project_rows.get_project(session, actor, ticket.project_id)

    async def _head(self, project: ProjectRow, ticket: TicketRow) -> str | None:
        """Where its branch stands; None while there is no work."""
        if ticket.branch_name is None:
            return None
        return await self.repositories.head(project.id, ticket.branch_name)


def explained(paths: Sequence[str]) -> str:
    """What has to be done now, for whoever does it."""
    named = "\n".join(f"- {path}" for path in paths[:SHOWN])
    more = f"\n- and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return (
        "The work does not go together with what others have finished meanwhile. These files now hold both"
        f" versions between the marks <<<<<<< and >>>>>>>; leave what is right and remove the marks:\n"
        f"{named}{more}"
    )
