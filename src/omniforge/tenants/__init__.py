"""Whose data, and who acts: tenants, people, credentials, roles, secrets at rest."""

from omniforge.tenants.endpoints import CurrentActor, KnownSource
from omniforge.tenants.secrets import SecretBox
from omniforge.tenants.service import TenantService

__all__ = ["CurrentActor", "KnownSource", "SecretBox", "TenantService"]
