"""Actors for work that nobody is present for, and what people are called."""

from __future__ import annotations

from omniforge.core.actor import Actor, Role
from omniforge.core.errors import NotFound
from omniforge.tenants.roles import permissions_of
from omniforge.tenants.service import TenantService

_BOOKKEEPING = frozenset({"agent:view", "agent:execute"})


async def standing_person(tenants: TenantService, tenant_id: str, user_id: str) -> tuple[Actor, str] | None:
    """A person with the rights they have now, and their name; None when they have left."""
    asked = Actor(tenant_id, user_id, Role.VIEWER, f"user:{user_id}")
    try:
        user, _ = await tenants.describe(asked)
    except NotFound:
        return None
    if user.disabled_at is not None:
        return None
    return Actor(tenant_id, user.id, user.role, f"user:{user.id}", permissions_of(user.role)), user.name


async def name_of(tenants: TenantService, actor: Actor) -> str:
    """What to call the person; their id when nothing else is known."""
    try:
        user, _ = await tenants.describe(actor)
    except NotFound:
        return actor.user_id
    return user.name


def bookkeeper(tenant_id: str) -> Actor:
    """Who reads a tenant's runs to count and report them: the installation itself."""
    return Actor(tenant_id, "system", Role.VIEWER, "system:agents", _BOOKKEEPING)
