"""Tables of identity: tenants, people, credentials and wrapped data keys, with their queries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Enum, ForeignKey, LargeBinary, String, UniqueConstraint, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.core.actor import Role
from omniforge.core.errors import NotFound
from omniforge.core.paging import Paging
from omniforge.db import Base


def _values(roles: type[Role]) -> list[str]:
    return [role.value for role in roles]


_ROLE = Enum(Role, native_enum=False, length=20, values_callable=_values)


class Tenant(Base):
    """Whose data. A customer is a tenant with a parent."""

    __tablename__ = "tenants"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("tenants.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]


class User(Base):
    """A person in one tenant."""

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("tenant_id", "email"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str | None] = mapped_column(String(320))
    """In lower case."""
    role: Mapped[Role] = mapped_column(_ROLE)
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class ApiKey(Base):
    """A key for programs. Only its hash is stored; `prefix` is its visible beginning."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    prefix: Mapped[str] = mapped_column(String(16))
    hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    permissions: Mapped[list[str]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class LoginLink(Base):
    """A link that signs a browser in once."""

    __tablename__ = "login_links"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class SignIn(Base):
    """One sign-in of a person: a browser session, or a family of refresh tokens. Ending it ends both."""

    __tablename__ = "sign_ins"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    cookie_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class RefreshToken(Base):
    """One token of a family; it is used once and replaced. A second use ends the family."""

    __tablename__ = "refresh_tokens"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), index=True)
    sign_in_id: Mapped[str] = mapped_column(ForeignKey("sign_ins.id"), index=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class TenantKey(Base):
    """A tenant's data key, wrapped by a master key. Without the row its secrets are unreadable for good."""

    __tablename__ = "tenant_keys"

    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    master_version: Mapped[int]
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)


@dataclass(frozen=True, slots=True)
class Caller:
    """A person found by a credential, with the row of that credential."""

    user: User
    sign_in: SignIn | None = None
    api_key: ApiKey | None = None


async def find_by_sign_in(
    session: AsyncSession, tenant_id: str, user_id: str, sign_in_id: str, now: datetime
) -> Caller | None:
    """The person of a living sign-in, as an access token names them."""
    query = (
        select(User, SignIn)
        .join(SignIn, (SignIn.user_id == User.id) & (SignIn.tenant_id == User.tenant_id))
        .where(SignIn.id == sign_in_id, User.id == user_id, User.tenant_id == tenant_id)
        .where(SignIn.ended_at.is_(None), SignIn.expires_at > now, User.disabled_at.is_(None))
    )
    found = (await session.execute(query)).one_or_none()
    return Caller(found[0], sign_in=found[1]) if found else None


async def find_by_cookie(session: AsyncSession, cookie_hash: bytes, now: datetime) -> Caller | None:
    query = (
        select(User, SignIn)
        .join(SignIn, (SignIn.user_id == User.id) & (SignIn.tenant_id == User.tenant_id))
        .where(SignIn.cookie_hash == cookie_hash)
        .where(SignIn.ended_at.is_(None), SignIn.expires_at > now, User.disabled_at.is_(None))
    )
    found = (await session.execute(query)).one_or_none()
    return Caller(found[0], sign_in=found[1]) if found else None


async def find_by_api_key(session: AsyncSession, key_hash: bytes, now: datetime) -> Caller | None:
    query = (
        select(User, ApiKey)
        .join(ApiKey, (ApiKey.user_id == User.id) & (ApiKey.tenant_id == User.tenant_id))
        .where(ApiKey.hash == key_hash, ApiKey.revoked_at.is_(None), User.disabled_at.is_(None))
        .where(ApiKey.expires_at.is_(None) | (ApiKey.expires_at > now))
    )
    found = (await session.execute(query)).one_or_none()
    return Caller(found[0], api_key=found[1]) if found else None


async def touch_key(session: AsyncSession, key_id: str, now: datetime) -> None:
    await session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=now))


async def get_user(session: AsyncSession, tenant_id: str, user_id: str) -> User:
    found = await session.scalar(select(User).where(User.id == user_id, User.tenant_id == tenant_id))
    if found is None:
        raise NotFound("There is no such person here.")
    return found


async def users_of(session: AsyncSession, tenant_id: str) -> list[User]:
    """Everybody of a tenant, also who has left, by name."""
    query = select(User).where(User.tenant_id == tenant_id).order_by(User.name, User.id)
    return list(await session.scalars(query))


async def has_other_owner(session: AsyncSession, user: User) -> bool:
    others = select(User.id).where(
        User.tenant_id == user.tenant_id,
        User.id != user.id,
        User.role == Role.OWNER,
        User.disabled_at.is_(None),
    )
    return await session.scalar(others.limit(1).with_for_update()) is not None


async def list_keys(
    session: AsyncSession, tenant_id: str, user_id: str | None, paging: Paging
) -> tuple[list[ApiKey], int]:
    """Keys not revoked, newest first, of one person or of the whole tenant; and how many there are."""
    query = select(ApiKey).where(ApiKey.tenant_id == tenant_id, ApiKey.revoked_at.is_(None))
    if user_id is not None:
        query = query.where(ApiKey.user_id == user_id)
    total = await session.scalar(select(func.count()).select_from(query.subquery()))
    page = query.order_by(ApiKey.created_at.desc(), ApiKey.id).limit(paging.limit).offset(paging.offset)
    return list(await session.scalars(page)), total or 0


async def get_key(session: AsyncSession, tenant_id: str, user_id: str | None, key_id: str) -> ApiKey:
    query = select(ApiKey).where(
        ApiKey.id == key_id, ApiKey.tenant_id == tenant_id, ApiKey.revoked_at.is_(None)
    )
    if user_id is not None:
        query = query.where(ApiKey.user_id == user_id)
    found = await session.scalar(query)
    if found is None:
        raise NotFound("There is no such key.")
    return found


async def take_link(session: AsyncSession, link_hash: bytes, now: datetime) -> LoginLink | None:
    """Use a link up, in one statement: of two callers at once only one gets it."""
    statement = (
        update(LoginLink)
        .where(LoginLink.hash == link_hash, LoginLink.used_at.is_(None), LoginLink.expires_at > now)
        .values(used_at=now)
        .returning(LoginLink)
    )
    return await session.scalar(statement)


async def drop_old_links(session: AsyncSession, now: datetime) -> None:
    await session.execute(delete(LoginLink).where(LoginLink.expires_at <= now))


async def find_refresh_token(
    session: AsyncSession, token_hash: bytes
) -> tuple[RefreshToken, SignIn, User] | None:
    query = (
        select(RefreshToken, SignIn, User)
        .join(SignIn, SignIn.id == RefreshToken.sign_in_id)
        .join(User, (User.id == SignIn.user_id) & (User.tenant_id == SignIn.tenant_id))
        .where(RefreshToken.hash == token_hash)
        .with_for_update(of=RefreshToken)
    )
    found = (await session.execute(query)).one_or_none()
    return (found[0], found[1], found[2]) if found else None
