"""Pull requests of tickets' branches: kept as artifacts and told, and nothing else comes of them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import artifacts
from omniforge.board import github_reading as read
from omniforge.board.artifact_contents import Sent
from omniforge.board.links import chosen, names_in
from omniforge.board.log import board_event
from omniforge.board.store.evidence import ArtifactRow
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import ArtifactType, TicketStatus
from omniforge.board.workflow import phase_of
from omniforge.engine.events import EventLog


async def ticket_of_branch(session: AsyncSession, project: ProjectRow, branch: str) -> TicketRow | None:
    """Whose branch it is: the ticket's own, or one that names it."""
    names = names_in(branch)
    known = {name for readings in names for name in readings}
    query = select(TicketRow).where(
        TicketRow.tenant_id == project.tenant_id,
        TicketRow.project_id == project.id,
        or_(TicketRow.branch_name == branch, TicketRow.ref.in_(known), TicketRow.id.in_(known)),
    )
    rows = list(await session.scalars(query))
    own = next((row for row in rows if row.branch_name == branch), None)
    if own is not None:
        return own
    named = chosen(names, {name: row.id for row in rows for name in (row.ref, row.id)})
    return next((row for row in rows if row.id in named[:1]), None)


async def has_pull(session: AsyncSession, ticket: TicketRow) -> bool:
    """Whether one was opened for it, whatever became of that."""
    opened = select(ArtifactRow.id).where(
        ArtifactRow.ticket_id == ticket.id, ArtifactRow.artifact_type == ArtifactType.PULL_REQUEST
    )
    return await session.scalar(opened.limit(1)) is not None


async def record_pull(  # noqa: PLR0917 - what is kept of what, by whom and when
    session: AsyncSession,
    events: EventLog,
    project: ProjectRow,
    given: read.Json,
    by: str,
    now: datetime,
) -> bool:
    """Keep how a pull request stands, with its event; False when it is on no ticket's branch of this very
    repository, or stood like that before."""
    branch, home = read.text(given, "head", "ref"), read.text(given, "head", "repo", "full_name")
    if home.casefold() != f"{project.github_owner}/{project.github_repo}".casefold():
        return False  # anybody's copy may have a branch of any name
    ticket = await ticket_of_branch(session, project, branch)
    if ticket is None:
        return False
    shown = read.pull(given)
    state = "merged" if shown.merged_at or given.get("merged") is True else shown.state
    content = {"number": shown.number, "url": shown.html_url, "title": shown.title[:500], "state": state}
    content |= {"head": shown.head[:255], "base": shown.base[:255]}
    sha = read.text(given, "merge_commit_sha") if state == "merged" else None
    content |= {"sha": sha} if sha else {}
    phase = phase_of(TicketStatus(ticket.status))
    sent = Sent(ArtifactType.PULL_REQUEST, phase, content, shown.html_url[:1_000])
    row, is_new = await artifacts.store(session, events, ticket, sent, by, now)
    if not is_new:
        return False
    told = {
        "merged": {"number": shown.number, "sha": sha},
        "closed": {"number": shown.number},
    }.get(state, {"number": shown.number, "url": shown.html_url})
    name = f"pull_request.{'opened' if state == 'open' else state}"
    ids = {"project_id": project.id, "ticket_id": ticket.id}
    event = board_event(name, row.id, now, by, **ids)
    event.payload |= told
    await events.append(session, project.tenant_id, event)
    return True
