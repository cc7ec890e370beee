"""HTTP of a tenant's people."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from omniforge.core.actor import Role
from omniforge.core.paging import Paging
from omniforge.tenants.endpoints import CurrentActor, Tenants
from omniforge.tenants.members import Members
from omniforge.tenants.store import User

router = APIRouter(prefix="/api/v1", tags=["identity"])


class InviteRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    email: str = Field(max_length=320)
    role: Role = Role.OPERATOR
    name: str = Field(default="", max_length=200)


class MemberChange(BaseModel):
    model_config = ConfigDict(extra="forbid")

    role: Role | None = None
    leaves: bool = False
    """Ends the membership: no credential of that person holds any more."""


class Member(BaseModel):
    id: str
    name: str
    email: str | None
    role: Role


class InvitedMember(Member):
    login_link: str = Field(description="Signs them in once, within a day; shown this once.")


class MemberList(BaseModel):
    users: list[Member]
    total: int
    limit: int
    offset: int


@router.get("/users")
async def list_users(actor: CurrentActor, tenants: Tenants, paging: Annotated[Paging, Query()]) -> MemberList:
    found = await Members(tenants).list(actor)
    page = [_member(user) for user in found[paging.offset :][: paging.limit]]
    return MemberList(users=page, total=len(found), limit=paging.limit, offset=paging.offset)


@router.post("/users", status_code=201)
async def invite_user(body: InviteRequest, actor: CurrentActor, tenants: Tenants) -> InvitedMember:
    invited = await Members(tenants).invite(actor, body.email, body.role, body.name)
    return InvitedMember(**_member(invited.user).model_dump(), login_link=invited.login_link)


@router.patch("/users/{user_id}")
async def change_user(user_id: str, body: MemberChange, actor: CurrentActor, tenants: Tenants) -> Member:
    return _member(await Members(tenants).change(actor, user_id, body.role, leaves=body.leaves))


def _member(user: User) -> Member:
    return Member(id=user.id, name=user.name, email=user.email, role=user.role)
