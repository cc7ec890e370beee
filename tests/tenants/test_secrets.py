"""Stored secrets open for their own place only, and survive a change of the master key untouched."""

from __future__ import annotations

from contextlib import suppress

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import func, select

from omniforge.core.crypto import KeyUnusable, MasterKeys, SealBroken
from omniforge.db import Database
from omniforge.tenants import SecretBox
from omniforge.tenants.store import TenantKey

OLD, FRESH = Fernet.generate_key().decode(), Fernet.generate_key().decode()
Place = tuple[str, str, str, str]
PLACE: Place = ("acme", "connections", "con_1", "access_token")


@pytest.fixture
def box() -> SecretBox:
    return SecretBox(MasterKeys.from_text(OLD, "test"))


async def seal(database: Database, box: SecretBox, value: str, place: Place = PLACE) -> bytes:
    async with database.transaction() as session:
        return await box.seal(session, *place, value)


async def reveal(database: Database, box: SecretBox, sealed: bytes, place: Place = PLACE) -> str:
    async with database.read() as session:
        return await box.open(session, *place, sealed)


@pytest.mark.parametrize("value", ["", "secret_abc", "päßwörd 🔑", "x" * 100_000])
async def test_a_sealed_value_opens_again_even_for_another_process(
    database: Database, box: SecretBox, value: str
) -> None:
    sealed = await seal(database, box, value)
    assert await reveal(database, box, sealed) == value
    assert await reveal(database, SecretBox(MasterKeys.from_text(OLD, "test")), sealed) == value


@pytest.mark.parametrize("part", range(4))
async def test_a_value_moved_to_another_place_does_not_open(
    database: Database, box: SecretBox, part: int
) -> None:
    sealed = await seal(database, box, "token")
    tenant, table, row, field = (name + "2" * (i == part) for i, name in enumerate(PLACE))
    moved = (tenant, table, row, field)
    await seal(database, box, "another", moved)
    with pytest.raises(SealBroken):
        await reveal(database, box, sealed, moved)


async def test_a_tenant_without_a_key_opens_nothing(database: Database, box: SecretBox) -> None:
    sealed = await seal(database, box, "token")
    with pytest.raises(SealBroken):
        await reveal(database, box, sealed, ("nobody", *PLACE[1:]))


async def test_every_tenant_has_one_key_of_its_own(database: Database, box: SecretBox) -> None:
    for tenant in ("acme", "acme", "other"):
        sealed = await seal(database, box, tenant, (tenant, *PLACE[1:]))
        assert await reveal(database, box, sealed, (tenant, *PLACE[1:])) == tenant
    async with database.read() as session:
        keys = list(await session.scalars(select(TenantKey)))
        assert {key.tenant_id for key in keys} == {"acme", "other"}
        assert await box.data_key(session, "acme") != await box.data_key(session, "other")
        for key in keys:
            assert await box.data_key(session, key.tenant_id) not in key.wrapped


async def test_a_key_whose_transaction_failed_is_never_used_again(database: Database, box: SecretBox) -> None:
    with suppress(LookupError):
        async with database.transaction() as session:
            await box.seal(session, *PLACE, "lost")
            raise LookupError
    async with database.read() as session:
        assert await session.get(TenantKey, "acme") is None
    sealed = await seal(database, box, "kept")
    assert await reveal(database, SecretBox(MasterKeys.from_text(OLD, "test")), sealed) == "kept"


async def test_of_two_first_seals_the_second_takes_the_key_that_is_there(
    database: Database, box: SecretBox
) -> None:
    async with database.transaction() as session:
        one = await box.data_key(session, "acme")
        session.expunge_all()
        late = SecretBox(box.master_keys)
        stored = await late._store_first_key(session, "acme")  # pyright: ignore[reportPrivateUsage]
        assert late._unwrap(stored) == one  # pyright: ignore[reportPrivateUsage]


async def test_rotation_rewraps_keys_and_leaves_every_sealed_byte(database: Database, box: SecretBox) -> None:
    sealed = await seal(database, box, "token")
    await seal(database, box, "token", ("other", *PLACE[1:]))
    both = SecretBox(MasterKeys.from_text(f"1:{OLD} 2:{FRESH}", "test"))
    async with database.transaction() as session:
        assert await both.rotate_master(session) == 2
    async with database.transaction() as session:
        assert await both.rotate_master(session) == 0
    only_fresh = SecretBox(MasterKeys.from_text(f"2:{FRESH}", "test"))
    assert await reveal(database, only_fresh, sealed) == "token"
    with pytest.raises(KeyUnusable, match="version 2"):
        await reveal(database, SecretBox(MasterKeys.from_text(OLD, "test")), sealed)


async def test_rotation_without_the_former_key_changes_nothing(database: Database, box: SecretBox) -> None:
    sealed = await seal(database, box, "token")
    with pytest.raises(KeyUnusable, match="version 1"):
        async with database.transaction() as session:
            await SecretBox(MasterKeys.from_text(f"2:{FRESH}", "test")).rotate_master(session)
    assert await reveal(database, box, sealed) == "token"


async def test_new_tenants_use_the_newest_master_key(database: Database) -> None:
    both = SecretBox(MasterKeys.from_text(f"1:{OLD} 2:{FRESH}", "test"))
    await seal(database, both, "token")
    async with database.read() as session:
        newest = select(func.count()).where(TenantKey.master_version == 2)
        assert await session.scalar(newest) == 1
