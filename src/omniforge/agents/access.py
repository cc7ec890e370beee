"""Who may see an agent, and what they may do with it: one table of rules over a row (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from sqlalchemy import ColumnElement, Text, and_, cast, or_, true

from omniforge.agents.content import SharingLevel
from omniforge.agents.store import AgentRow
from omniforge.core.actor import Actor, Role
from omniforge.core.errors import Forbidden, NotFound
from omniforge.tenants.roles import may_for

EVERYBODY = "tenant"
"""In `shared_with`: everybody of the tenant."""
_ADMINS = (Role.ADMIN, Role.OWNER)


def is_own(actor: Actor, row: AgentRow) -> bool:
    return row.created_by == actor.user_id


def sees_all(actor: Actor) -> bool:
    """Admins see what there is, and so does the installation itself."""
    return actor.role in _ADMINS or actor.by.startswith("system:")


def is_member(user_id: str, row: AgentRow) -> bool:
    """Whether the agent is a team agent, and shared with this person."""
    shared = row.sharing_level == SharingLevel.TEAM.value
    return shared and (user_id in row.shared_with or EVERYBODY in row.shared_with)


def sees(actor: Actor, row: AgentRow) -> bool:
    """Whether the agent is there for the actor at all."""
    return sees_all(actor) or is_own(actor, row) or is_member(actor.user_id, row)


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """The same as a condition of a query."""
    return true() if sees_all(actor) else shared_to(actor)


def shared_to(actor: Actor) -> ColumnElement[bool]:
    """Those of the actor's own, and those that were shared with them, as a condition of a query."""
    shared = cast(AgentRow.shared_with, Text)
    named = [shared.contains(f'"{who}"', autoescape=True) for who in (actor.user_id, EVERYBODY)]
    return or_(
        AgentRow.created_by == actor.user_id,
        and_(AgentRow.sharing_level == SharingLevel.TEAM.value, or_(*named)),
    )


def may(actor: Actor, row: AgentRow, permission: str) -> bool:
    """Whether the actor holds the permission for this agent, which they can see.

    With whom an agent was shared may look at it and run it; whatever changes it is for its owner and admins.
    """
    if permission in ("agent:view", "agent:execute"):
        return actor.may(permission)
    if not is_own(actor, row) and not sees_all(actor):
        return False
    return may_for(actor, permission, own=is_own(actor, row))


def require_sight(actor: Actor, row: AgentRow) -> None:
    """NotFound, as for an unknown agent, unless the actor sees it."""
    if not sees(actor, row):
        raise NotFound("There is no such agent.", agent_id=row.id)


def refuse(actor: Actor, row: AgentRow, permission: str, names: Mapping[str, str] | None = None) -> NoReturn:
    """Forbidden: it names the permission, and who can do it or grant it. names: of people, by id."""
    owner = (names or {}).get(row.created_by, "Its owner")
    verb = {"agent:share": "share it", "agent:delete": "delete it"}.get(permission, "change it")
    raise Forbidden(
        f"You can look at this agent, but not {verb}: that needs the permission {permission}. "
        f"{owner} can, and an admin or owner of the tenant can grant it.",
        permission=permission,
        role=actor.role.value,
        ask=row.created_by,
    )


def reads_results(actor: Actor, row: AgentRow | None, asked_by: str) -> bool:
    """Whether what a run gave may be shown: to its owner, its team, and whoever asked for that run."""
    if asked_by == actor.user_id or actor.by.startswith("system:"):
        return True
    return row is not None and (is_own(actor, row) or is_member(actor.user_id, row))
