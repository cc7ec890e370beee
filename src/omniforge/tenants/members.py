"""The people of a tenant: who they are, asking somebody in, and what each may do."""

from __future__ import annotations

import re
from dataclasses import dataclass

from omniforge.core.actor import Actor, Role
from omniforge.core.errors import Conflict, Forbidden, Invalid
from omniforge.tenants.roles import permissions_of
from omniforge.tenants.service import TenantService
from omniforge.tenants.store import User

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s.]{2,}")


@dataclass(frozen=True, slots=True)
class Invited:
    """A new person, and the address that signs them in once."""

    user: User
    login_link: str


class Members:
    """Needs the permission user:manage. Nobody gives a role that can do more than their own."""

    def __init__(self, tenants: TenantService) -> None:
        self.tenants = tenants

    async def list(self, actor: Actor) -> list[User]:
        """By name, without those who left."""
        actor.require("user:manage")
        return [user for user in await self.tenants.people(actor.tenant_id) if user.disabled_at is None]

    async def invite(self, actor: Actor, email: str, role: Role, name: str = "") -> Invited:
        """Conflict `email_taken` when they are here already."""
        _may_give(actor, role)
        address = email.strip().lower()
        if _EMAIL.fullmatch(address) is None or len(address) > 320:
            rule = "an e-mail address, for example derek@example.com"
            fields = [{"field": "email", "value": email[:320], "rule": rule}]
            raise Invalid("That is no e-mail address.", fields=fields)
        called = name.strip() or address.partition("@")[0].replace(".", " ").title()
        user_id = await self.tenants.create_user(actor.tenant_id, called, role, email=address)
        link = await self.tenants.create_login_link(user_id, actor.tenant_id)
        return Invited(await self._one(actor, user_id), link)

    async def change(
        self, actor: Actor, user_id: str, role: Role | None = None, *, leaves: bool = False
    ) -> User:
        """Give another role, or end the membership; the last owner stays one."""
        actor.require("user:manage")
        user = await self._one(actor, user_id)
        if _wide(permissions_of(user.role)) - _wide(actor.permissions):
            raise Forbidden(
                f"{user.name} may do more here than you, so only an owner changes that.",
                permission="tenant:manage",
            )
        if role is not None:
            _may_give(actor, role)
            await self.tenants.set_role(actor.tenant_id, user_id, role)
        if leaves:
            await self.tenants.disable_user(actor.tenant_id, user_id)
        return await self._one(actor, user_id)

    async def _one(self, actor: Actor, user_id: str) -> User:
        asked = Actor(actor.tenant_id, user_id, Role.VIEWER, f"user:{user_id}")
        user, _ = await self.tenants.describe(asked)
        return user


def _may_give(actor: Actor, role: Role) -> None:
    actor.require("user:manage")
    if role is Role.END_CUSTOMER:
        raise Conflict("Customers have tenants of their own; they are no members.", code="not_a_member")
    if lacking := _wide(permissions_of(role)) - _wide(actor.permissions):
        raise Forbidden(
            f"You cannot make somebody {role.value}: that can do more than you ({min(lacking)}).",
            permission=min(lacking),
        )


def _wide(permissions: frozenset[str]) -> frozenset[str]:
    """Without narrow grants, which every wide one of the same name covers."""
    return frozenset(name for name in permissions if name.count(":") == 1)
