"""Who belongs to a tenant: the names that must not be published, and who may decide about whose skills."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.core.actor import Actor
from omniforge.tenants.service import LOCAL_USER
from omniforge.tenants.store import Tenant, User

_SHORTEST = 4
"""Letters of a name that is looked for: shorter ones are words as well."""


async def names_of(session: AsyncSession, tenant_id: str) -> list[tuple[str, str]]:
    """`(name, what it is)` of the tenant's people and customers."""
    people = await session.scalars(
        select(User.name).where(User.tenant_id == tenant_id, User.id != LOCAL_USER)
    )
    customers = await session.scalars(select(Tenant.name).where(Tenant.parent_id == tenant_id))
    found = [
        *((name, "name of somebody in your tenant") for name in people),
        *((name, "name of a customer") for name in customers),
    ]
    return [(name, what) for name, what in found if len(name.strip()) >= _SHORTEST]


async def name_of(session: AsyncSession, actor: Actor) -> str:
    """What the person is called; their id when nothing else is known."""
    query = select(User.name).where(User.tenant_id == actor.tenant_id, User.id == actor.user_id)
    return await session.scalar(query) or actor.user_id


async def is_alone(session: AsyncSession, tenant_id: str) -> bool:
    """Whether at most one person of the tenant can sign in."""
    query = (
        select(func.count()).select_from(User).where(User.tenant_id == tenant_id, User.disabled_at.is_(None))
    )
    return (await session.scalar(query) or 0) <= 1
