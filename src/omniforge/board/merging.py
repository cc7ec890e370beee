"""What a ticket has become comes into the main branch before the ticket is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from omniforge.board.moves import Moves
from omniforge.board.repository import MergeConflict, Repositories
from omniforge.board.store import projects as project_rows
from omniforge.board.store import tickets as store
from omniforge.board.vocabulary import TicketStatus
from omniforge.core.actor import Actor

SHOWN = 50
"""Paths that are named in words."""


@dataclass(frozen=True, slots=True)
class Merging:
    """`Finish` of the moves. A ticket whose work does not go together with the main branch goes back to
    building: its branch holds both versions of what differs, for somebody to choose."""

    moves: Moves
    repositories: Repositories

    async def __call__(self, actor: Actor, ticket_id: str) -> bool:
        async with self.moves.db.read() as session:
            ticket = await store.get_ticket(session, actor, ticket_id)
            project = await project_rows.get_project(session, actor, ticket.project_id)
        if ticket.branch_name is None:
            return True
        head = await self.repositories.head(project.id, ticket.branch_name)
        if head is None:
            return True
        message = f"Merge {ticket.ref}: {ticket.title}"
        try:
            await self.repositories.merge(project.id, project.default_branch, head, message)
        except MergeConflict as conflict:
            main = await self.repositories.default_head(project.id)
            assert main is not None  # noqa: S101 - something did not go together with it
            into = f"Merge {project.default_branch} into {ticket.branch_name}"
            paths = await self.repositories.take_in(project.id, ticket.branch_name, main, into)
            await self._send_back(actor, ticket_id, paths or conflict.paths)
            return False
        return True

    async def _send_back(self, actor: Actor, ticket_id: str, paths: Sequence[str]) -> None:
        async with self.moves.db.transaction() as session:
            ticket = await store.get_ticket(session, actor, ticket_id, lock=True)
            if ticket.status != TicketStatus.TESTING or ticket.is_blocked:
                return
            ticket.remediations += 1
            await self.moves.regress(session, actor, ticket, explained(paths))


def explained(paths: Sequence[str]) -> str:
    """What has to be done now, for whoever does it."""
    named = "\n".join(f"- {path}" for path in paths[:SHOWN])
    more = f"\n- and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return (
        "The work does not go together with what others have finished meanwhile. These files now hold both"
        f" versions between the marks <<<<<<< and >>>>>>>; leave what is right and remove the marks:\n"
        f"{named}{more}"
    )
