"""The people of a tenant: asked in, listed, given other roles, and never more than whoever gives them."""

from __future__ import annotations

from pathlib import Path

import pytest

from omniforge.core.actor import Actor, Role
from omniforge.core.clock import SystemClock
from omniforge.core.config import Settings
from omniforge.core.crypto import MasterKeys
from omniforge.core.errors import Conflict, Forbidden, Invalid, NotFound
from omniforge.db import Database
from omniforge.tenants import SecretBox, TenantService
from omniforge.tenants.auth import load_jwt_key
from omniforge.tenants.members import Members
from omniforge.tenants.roles import permissions_of


@pytest.fixture
async def tenants(database: Database, tmp_path: Path) -> TenantService:
    settings = Settings(home=tmp_path / "home")
    box = SecretBox(MasterKeys.from_settings(settings))
    made = TenantService(database, settings, SystemClock(), box, load_jwt_key(settings))
    await made.bootstrap()
    return made


def person(role: Role, user_id: str = "ida", tenant_id: str = "default") -> Actor:
    return Actor(tenant_id, user_id, role, f"user:{user_id}", permissions_of(role))


async def test_an_invited_person_signs_in_by_the_link_once(tenants: TenantService) -> None:
    invited = await Members(tenants).invite(person(Role.OWNER), "Ana.Lopez@Example.com", Role.OPERATOR)
    assert (invited.user.name, invited.user.email) == ("Ana Lopez", "ana.lopez@example.com")
    assert await tenants.redeem_login_link(invited.login_link.partition("link=")[2])
    listed = await Members(tenants).list(person(Role.ADMIN))
    assert [user.name for user in listed] == ["Ana Lopez", "You"]


async def test_an_address_is_taken_once_and_has_to_be_one(tenants: TenantService) -> None:
    members = Members(tenants)
    await members.invite(person(Role.OWNER), "ana@example.com", Role.VIEWER)
    with pytest.raises(Conflict) as taken:
        await members.invite(person(Role.OWNER), "ANA@example.com", Role.VIEWER)
    assert taken.value.code == "email_taken"
    for wrong in ("ana", "ana@", "@x.y", "a b@example.com"):
        with pytest.raises(Invalid):
            await members.invite(person(Role.OWNER), wrong, Role.VIEWER)


async def test_nobody_gives_more_than_they_have(tenants: TenantService) -> None:
    members, admin = Members(tenants), person(Role.ADMIN)
    made = (await members.invite(admin, "ana@example.com", Role.DEVELOPER)).user
    for refused in (
        members.invite(admin, "eve@example.com", Role.OWNER),
        members.change(admin, made.id, Role.OWNER),
        members.change(admin, "local", Role.VIEWER),
        members.invite(person(Role.DEVELOPER), "eve@example.com", Role.VIEWER),
        members.list(person(Role.OPERATOR)),
    ):
        with pytest.raises(Forbidden):
            await refused
    assert (await members.change(admin, made.id, Role.ADMIN)).role is Role.ADMIN
    assert (await members.change(admin, made.id, leaves=True)).disabled_at is not None


async def test_people_of_another_tenant_are_unknown(tenants: TenantService) -> None:
    await tenants.create_tenant("other", "Other")
    with pytest.raises(NotFound):
        await Members(tenants).change(person(Role.OWNER, tenant_id="other"), "local", Role.VIEWER)
