"""Names of branches: what git takes, and the one a ticket has. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from omniforge.board.vocabulary import Priority, TicketType
from omniforge.core.errors import Invalid, NotFound

if TYPE_CHECKING:
    from omniforge.board.store.tickets import TicketRow

MAX_SLUG = 40
MAX_BRANCH = 255
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_PROJECT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def branch_name(ticket: TicketRow) -> str:
    """The one it was given, else `<kind>/<ref>-<slug of the title>`."""
    if ticket.branch_name:
        return ticket.branch_name
    match ticket.priority, ticket.ticket_type:
        case Priority.CRITICAL, _:
            kind = "hotfix"
        case _, TicketType.BUG:
            kind = "bug"
        case _:
            kind = "feature"
    ref = re.sub(r"[^A-Za-z0-9_-]+", "-", ticket.ref).strip("-")
    return f"{kind}/{ref}-{slug}" if (slug := slug_of(ticket.title)) else f"{kind}/{ref}"


def slug_of(title: str) -> str:
    """Lower-case words of plain letters and digits; empty for a title that has none."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:MAX_SLUG].rstrip("-")


def is_branch(name: str) -> bool:
    """Whether git takes it for a branch, and nothing could take it for something else."""
    parts = name.split("/")
    fits = all(_PART.fullmatch(part) and not part.endswith((".", ".lock")) for part in parts)
    return fits and ".." not in name and len(name) <= MAX_BRANCH


def reference(branch: str) -> str:
    """`refs/heads/…` of a branch."""
    if not is_branch(branch):
        field = {"field": "branch", "value": branch[:MAX_BRANCH], "rule": "letters, digits and . _ + - /"}
        raise Invalid("This is no name for a branch.", fields=[field])
    return f"refs/heads/{branch}"


def folder_name(project_id: str) -> str:
    if not _PROJECT.fullmatch(project_id):
        raise NotFound("There is no such project.", project_id=project_id[:64])
    return f"{project_id}.git"


def commit_id(given: str) -> str:
    """The given text when it is the full id of a commit: nothing else is handed to git as one."""
    if not _COMMIT.fullmatch(given):
        raise NotFound("There is no such commit.", commit=given[:64])
    return given
