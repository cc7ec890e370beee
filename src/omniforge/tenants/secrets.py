"""Secrets at rest: a data key per tenant, wrapped by the master keys, seals every stored credential."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.core.crypto import (
    MasterKeys,
    SealBroken,
    WrappedKey,
    associated_data,
    new_data_key,
    open_sealed,
    seal,
)
from omniforge.tenants.store import TenantKey


class SecretBox:
    """Seals values for one place: a ciphertext opens only for its own tenant, table, row and field."""

    def __init__(self, master_keys: MasterKeys) -> None:
        self.master_keys = master_keys
        # By the wrapped bytes, not by tenant: a key whose transaction was rolled back is never found again.
        self._unwrapped: dict[tuple[str, WrappedKey], bytes] = {}

    async def seal(  # noqa: PLR0917 - four of these are one place
        self, session: AsyncSession, tenant_id: str, table: str, row: str, field: str, value: str
    ) -> bytes:
        """Encrypt for storage. The session must be a writing one: a tenant's first seal stores its key."""
        key = await self.data_key(session, tenant_id)
        return seal(key, value.encode(), associated_data(tenant_id, table, row, field))

    async def open(  # noqa: PLR0917 - four of these are one place
        self, session: AsyncSession, tenant_id: str, table: str, row: str, field: str, sealed: bytes
    ) -> str:
        """Decrypt, or raise SealBroken."""
        stored = await session.get(TenantKey, tenant_id)
        if stored is None:
            raise SealBroken("A stored secret does not open: its tenant has no key.")
        return open_sealed(
            self._unwrap(stored), sealed, associated_data(tenant_id, table, row, field)
        ).decode()

    async def data_key(self, session: AsyncSession, tenant_id: str) -> bytes:
        """The tenant's data key, made at its first use; the session must be a writing one."""
        stored = await session.get(TenantKey, tenant_id)
        if stored is None:
            stored = await self._store_first_key(session, tenant_id)
        return self._unwrap(stored)

    async def _store_first_key(self, session: AsyncSession, tenant_id: str) -> TenantKey:
        wrapped = self.master_keys.wrap(new_data_key(), _place(tenant_id))
        row = TenantKey(tenant_id=tenant_id, master_version=wrapped.version, wrapped=wrapped.sealed)
        try:
            async with session.begin_nested():
                session.add(row)
        except IntegrityError:  # another transaction was first: its key is the tenant's key
            return await session.get_one(TenantKey, tenant_id)
        return row

    def _unwrap(self, stored: TenantKey) -> bytes:
        wrapped = WrappedKey(stored.master_version, stored.wrapped)
        cached = self._unwrapped.get((stored.tenant_id, wrapped))
        if cached is None:
            cached = self.master_keys.unwrap(wrapped, _place(stored.tenant_id))
            self._unwrapped[stored.tenant_id, wrapped] = cached
        return cached

    async def rotate_master(self, session: AsyncSession) -> int:
        """Wrap every data key under the newest master key and say how many; sealed values stay untouched."""
        outdated = select(TenantKey).where(TenantKey.master_version != self.master_keys.version)
        changed = 0
        for stored in await session.scalars(outdated.with_for_update()):
            wrapped = self.master_keys.wrap(self._unwrap(stored), _place(stored.tenant_id))
            stored.master_version, stored.wrapped = wrapped
            changed += 1
        return changed


def _place(tenant_id: str) -> bytes:
    return associated_data(tenant_id, "tenant_keys", "data_key")
