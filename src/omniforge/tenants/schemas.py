"""Wire shapes of identity."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from omniforge.core.actor import Role

_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
_Permission = Annotated[str, StringConstraints(min_length=3, max_length=60)]


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("a moment between the years 1 and 9999, in UTC too") from None


_Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class UserView(BaseModel):
    id: str
    name: str


class TenantView(BaseModel):
    id: str
    name: str
    parent_id: str | None


class LimitsView(BaseModel):
    """The limits this installation enforces."""

    request_bytes: int
    active_steps: int


class Me(BaseModel):
    user: UserView
    tenant: TenantView
    role: Role
    permissions: list[str]
    limits: LimitsView


class RefreshRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    refresh: str = Field(max_length=2048, description="The refresh token.")


class Tokens(BaseModel):
    access_token: str
    refresh_token: str
    expires_in: int = Field(description="Seconds the access token holds.")


class Success(BaseModel):
    success: bool = True


class KeyRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: _Name
    permissions: list[_Permission] = Field(
        min_length=1,
        max_length=100,
        description="`area:verb`, or `area:*`; at every use at most what its creator has.",
    )
    expires_at: _Moment | None = None


class KeyView(BaseModel):
    id: str
    name: str
    prefix: str = Field(description="The visible beginning of the key.")
    permissions: list[str]
    created_by: str
    created_at: AwareDatetime
    expires_at: AwareDatetime | None
    last_used_at: AwareDatetime | None


class CreatedKey(KeyView):
    key: str = Field(description="The key itself; it is shown this once.")


class KeyList(BaseModel):
    keys: list[KeyView]
    total: int
    limit: int
    offset: int
