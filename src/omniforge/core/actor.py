"""Who acts, for which tenant, with which permissions. Every query takes one."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from omniforge.core.errors import Forbidden


class Role(StrEnum):
    VIEWER = "viewer"
    OPERATOR = "operator"
    DEVELOPER = "developer"
    ADMIN = "admin"
    OWNER = "owner"
    END_CUSTOMER = "end_customer"


@dataclass(frozen=True, slots=True)
class Actor:
    """An authenticated caller. Made by `tenants.auth` from a credential, never from a header alone.

    `by` is the form that is stored and shown: `user:<id>`, `key:<id>`, `system:<name>`.
    `permissions` are plain names (`agent:create`), already resolved from role and key.
    """

    tenant_id: str
    user_id: str
    role: Role
    by: str
    permissions: frozenset[str] = field(default_factory=frozenset[str])

    def may(self, permission: str) -> bool:
        return permission in self.permissions

    def require(self, permission: str) -> None:
        if not self.may(permission):
            raise Forbidden(
                f"This needs the permission {permission}; an owner or admin of the tenant can grant it.",
                permission=permission,
                role=self.role.value,
            )
