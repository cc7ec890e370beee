"""Who is a person, and who may say yes. Decides only; nothing is read here."""

from __future__ import annotations

from omniforge.board.store.projects import ProjectRow
from omniforge.board.vocabulary import ApproverRole
from omniforge.core.actor import Actor
from omniforge.core.errors import Forbidden


def is_signed_in(by: str) -> bool:
    """A person at the keyboard; whoever comes with a key may be a program."""
    return by.startswith("user:")


def is_ours(by: str | None) -> bool:
    """The board itself, or a sandbox: nobody outside said it."""
    return (by or "").startswith(("system:", "sandbox:"))


def check_approver(actor: Actor, project: ProjectRow, role: ApproverRole, author: str | None) -> None:
    """`Forbidden` unless the actor may approve in the project: a person, with the role if anybody has it, and
    not the author (`user:<id>`) of what is approved where that is not allowed."""
    actor.require("board:approve")
    holders: list[str] = project.settings.get("approver_roles", {}).get(role.value, [])
    if not is_signed_in(actor.by) or (holders and actor.user_id not in holders):
        raise Forbidden(f"Only a person with the role {role} can approve this.", role=role.value)
    if author == actor.by and not project.settings.get("self_approval", True):
        raise Forbidden("Somebody else has to approve what you asked for.", role=role.value)
