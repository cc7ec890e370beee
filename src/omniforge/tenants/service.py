"""Who is calling, and everything one can do with tenants, sign-ins and keys."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.core.actor import Actor, Role
from omniforge.core.clock import Clock, new_id
from omniforge.core.config import Settings
from omniforge.core.crypto import KeyUnusable, SealBroken
from omniforge.core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from omniforge.core.paging import Paging
from omniforge.db import Database
from omniforge.tenants import auth, store
from omniforge.tenants.local import RequestFacts, check_source, is_local_owner
from omniforge.tenants.once import Once
from omniforge.tenants.roles import expand, may_for, meet, permissions_of, require_for
from omniforge.tenants.secrets import SecretBox

DEFAULT_TENANT = "default"
LOCAL_USER = "local"
_INSTALLATION = "@installation"
"""Whose data key hashes opaque credentials. No tenant can have this id."""
_TENANT_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
_TOUCH_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class TokenPair:
    access_token: str
    refresh_token: str
    expires_in: int
    """Seconds the access token holds."""


class TenantService:
    def __init__(
        self, db: Database, settings: Settings, clock: Clock, secrets: SecretBox, jwt_key: bytes
    ) -> None:
        self.db = db
        self.settings = settings
        self.clock = clock
        self.secrets = secrets
        self.once = Once(db, secrets, clock)
        self._jwt_key = jwt_key
        self._hash_key: bytes | None = None

    # --- start -------------------------------------------------------------------------------------------

    async def bootstrap(self) -> None:
        """Make the tenant and the person of local mode unless there; check that the master key fits."""
        await self._load_hash_key()
        now = self.clock.now()
        async with self.db.transaction() as session:
            if await session.get(store.Tenant, DEFAULT_TENANT) is None:
                session.add(_tenant(DEFAULT_TENANT, "Default", None, now))
                await session.flush()
            if await session.get(store.User, LOCAL_USER) is None:
                session.add(_user(LOCAL_USER, DEFAULT_TENANT, "You", Role.OWNER, now))

    async def _load_hash_key(self) -> bytes:
        if self._hash_key is None:
            try:
                async with self.db.transaction() as session:
                    key = await self.secrets.data_key(session, _INSTALLATION)
            except SealBroken:
                source = self.secrets.master_keys.source
                raise KeyUnusable(
                    f"The key from {source} is not the one the data here were encrypted with. "
                    "Put the former key back.",
                    source=source,
                ) from None
            self._hash_key = key  # only after the commit: a key that was rolled back must not be used
        return self._hash_key

    async def _hash(self, secret: str) -> bytes:
        return auth.opaque_hash(await self._load_hash_key(), secret)

    # --- tenants and people ------------------------------------------------------------------------------

    async def create_tenant(self, tenant_id: str, name: str, *, parent_id: str | None = None) -> str:
        if _TENANT_ID.fullmatch(tenant_id) is None:
            rule = "1 to 63 lower-case letters, digits and hyphens, not starting with a hyphen"
            fields = [{"field": "id", "value": tenant_id, "rule": rule}]
            raise Invalid("That is not a usable tenant id.", fields=fields)
        async with self.db.transaction() as session:
            if await session.get(store.Tenant, tenant_id) is not None:
                raise Conflict(f"There is a tenant {tenant_id} already.")
            if parent_id is not None and await session.get(store.Tenant, parent_id) is None:
                raise NotFound(f"There is no tenant {parent_id}.")
            session.add(_tenant(tenant_id, name, parent_id, self.clock.now()))
        return tenant_id

    async def create_user(
        self,
        tenant_id: str,
        name: str,
        role: Role,
        *,
        user_id: str | None = None,
        email: str | None = None,
    ) -> str:
        user_id = user_id or new_id("user")
        async with self.db.transaction() as session:
            if await session.get(store.Tenant, tenant_id) is None:
                raise NotFound(f"There is no tenant {tenant_id}.")
            if await session.get(store.User, user_id) is not None:
                raise Conflict(f"There is a person {user_id} already.")
            if email is not None and any(
                one.email == email for one in await store.users_of(session, tenant_id)
            ):
                raise Conflict(f"There is somebody with the address {email} already.", code="email_taken")
            session.add(_user(user_id, tenant_id, name, role, self.clock.now(), email))
        return user_id

    async def names(self, tenant_id: str) -> dict[str, str]:
        """What the people of a tenant are called, by their id."""
        return {user.id: user.name for user in await self.people(tenant_id)}

    async def people(self, tenant_id: str) -> list[store.User]:
        """Everybody of a tenant, also who has left, by name."""
        async with self.db.read() as session:
            return await store.users_of(session, tenant_id)

    async def set_role(self, tenant_id: str, user_id: str, role: Role) -> None:
        """Takes effect at the next request of every credential of that person."""
        async with self.db.transaction() as session:
            user = await store.get_user(session, tenant_id, user_id)
            if role is not Role.OWNER:
                await _keep_an_owner(session, user)
            user.role = role

    async def disable_user(self, tenant_id: str, user_id: str) -> None:
        """From now on no credential of that person holds."""
        async with self.db.transaction() as session:
            user = await store.get_user(session, tenant_id, user_id)
            await _keep_an_owner(session, user)
            user.disabled_at = self.clock.now()

    async def describe(self, actor: Actor) -> tuple[store.User, store.Tenant]:
        async with self.db.read() as session:
            user = await store.get_user(session, actor.tenant_id, actor.user_id)
            return user, await session.get_one(store.Tenant, actor.tenant_id)

    # --- who is calling ----------------------------------------------------------------------------------

    async def authenticate(self, facts: RequestFacts) -> Actor:
        """The caller. Forbidden for a strange Host or Origin, Unauthenticated without a valid credential."""
        check_source(facts, self.settings)
        caller = await self._caller(facts)
        if caller is None:
            owner = permissions_of(Role.OWNER)
            return Actor(DEFAULT_TENANT, LOCAL_USER, Role.OWNER, f"user:{LOCAL_USER}", owner)
        user, granted = caller.user, permissions_of(caller.user.role)
        if caller.api_key is None:
            return Actor(user.tenant_id, user.id, user.role, f"user:{user.id}", granted)
        allowed = meet(caller.api_key.permissions, granted)
        return Actor(user.tenant_id, user.id, user.role, f"key:{caller.api_key.id}", allowed)

    async def _caller(self, facts: RequestFacts) -> store.Caller | None:
        """Whoever the credential belongs to; None for the local owner, who needs none."""
        authorization = facts.headers.get("authorization")
        if authorization is not None:
            return await self._by_header(authorization)
        if facts.cookie is not None:
            return await self._by_cookie(facts.cookie)
        if is_local_owner(facts, self.settings):
            return None
        if self.settings.auth_required:
            raise Unauthenticated("Sign in, or send an access token or API key as `Authorization: Bearer …`.")
        raise Unauthenticated(
            "This browser is not signed in. Open the one-time login link that `omniforge up` prints."
        )

    async def _by_header(self, authorization: str) -> store.Caller:
        scheme, _, credential = authorization.partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer":
            raise Unauthenticated("The Authorization header must be `Bearer` and an access token or API key.")
        if credential.startswith(auth.API_KEY_PREFIX):
            return await self._by_api_key(credential)
        now = self.clock.now()
        claims = auth.read_access_token(self._jwt_key, credential, now)
        async with self.db.read() as session:
            caller = await store.find_by_sign_in(
                session, claims.tenant_id, claims.user_id, claims.sign_in_id, now
            )
        if caller is None:
            raise Unauthenticated("The access token no longer holds; sign in again.")
        return caller

    async def _by_cookie(self, cookie: str) -> store.Caller:
        caller = None
        if auth.is_opaque(cookie, auth.SESSION_PREFIX):
            cookie_hash = await self._hash(cookie)
            async with self.db.read() as session:
                caller = await store.find_by_cookie(session, cookie_hash, self.clock.now())
        if caller is None:
            raise Unauthenticated("This browser's session has ended. Open a fresh login link.")
        return caller

    async def _by_api_key(self, secret: str) -> store.Caller:
        now, caller = self.clock.now(), None
        if auth.is_opaque(secret, auth.API_KEY_PREFIX):
            key_hash = await self._hash(secret)
            async with self.db.read() as session:
                caller = await store.find_by_api_key(session, key_hash, now)
        if caller is None or caller.api_key is None:
            raise Unauthenticated("This API key is not valid: unknown, expired or revoked.")
        last = caller.api_key.last_used_at
        if last is None or now - last >= _TOUCH_EVERY:  # not each time: reads should stay reads
            async with self.db.transaction() as session:
                await store.touch_key(session, caller.api_key.id, now)
        return caller

    # --- login links and browser sessions ----------------------------------------------------------------

    async def create_login_link(self, user_id: str = LOCAL_USER, tenant_id: str = DEFAULT_TENANT) -> str:
        """The full address; it signs in one browser, once, within a day."""
        token, now = auth.new_opaque(auth.LINK_PREFIX), self.clock.now()
        token_hash = await self._hash(token)
        async with self.db.transaction() as session:
            await store.get_user(session, tenant_id, user_id)
            await store.drop_old_links(session, now)
            session.add(
                store.LoginLink(
                    id=new_id("link"),
                    tenant_id=tenant_id,
                    user_id=user_id,
                    hash=token_hash,
                    created_at=now,
                    expires_at=now + auth.LINK_LIFETIME,
                )
            )
        return f"{self.settings.url}/login?link={token}"

    async def redeem_login_link(self, token: str) -> str:
        """Use the link up; the session secret for the browser's cookie."""
        refusal = Unauthenticated(
            "This login link was used already or has expired. `omniforge up` prints a fresh one."
        )
        if not auth.is_opaque(token, auth.LINK_PREFIX):
            raise refusal
        cookie, now = auth.new_opaque(auth.SESSION_PREFIX), self.clock.now()
        token_hash, cookie_hash = await self._hash(token), await self._hash(cookie)
        async with self.db.transaction() as session:
            link = await store.take_link(session, token_hash, now)
            if link is None:
                raise refusal
            session.add(_sign_in(link.tenant_id, link.user_id, now, cookie_hash))
        return cookie

    # --- tokens ------------------------------------------------------------------------------------------

    async def issue_tokens(self, tenant_id: str, user_id: str) -> TokenPair:
        """Start a sign-in for a program: an access token, and a refresh token to follow it."""
        now, hash_key = self.clock.now(), await self._load_hash_key()
        async with self.db.transaction() as session:
            await store.get_user(session, tenant_id, user_id)
            sign_in = _sign_in(tenant_id, user_id, now)
            session.add(sign_in)
            await session.flush()
            return self._next_pair(session, sign_in, now, hash_key)

    async def refresh(self, token: str) -> TokenPair:
        """Exchange a refresh token for the next pair. A token used before ends its whole family."""
        pair = None
        if auth.is_opaque(token, auth.REFRESH_PREFIX):
            hash_key = await self._load_hash_key()
            async with self.db.transaction() as session:
                pair = await self._exchange(session, token, hash_key)
        if pair is None:  # raised outside the transaction, which may just have ended the family
            raise Unauthenticated("This refresh token does not hold; sign in again.")
        return pair

    async def _exchange(self, session: AsyncSession, token: str, hash_key: bytes) -> TokenPair | None:
        now = self.clock.now()
        found = await store.find_refresh_token(session, auth.opaque_hash(hash_key, token))
        if found is None:
            return None
        stored, sign_in, user = found
        if sign_in.ended_at is not None or user.disabled_at is not None:
            return None
        if stored.used_at is not None:  # somebody holds a copy
            sign_in.ended_at = now
            return None
        if stored.expires_at <= now:
            return None
        stored.used_at = now
        sign_in.expires_at = now + auth.REFRESH_LIFETIME
        return self._next_pair(session, sign_in, now, hash_key)

    def _next_pair(
        self, session: AsyncSession, sign_in: store.SignIn, now: datetime, hash_key: bytes
    ) -> TokenPair:
        refresh = auth.new_opaque(auth.REFRESH_PREFIX)
        session.add(
            store.RefreshToken(
                id=new_id("rt"),
                tenant_id=sign_in.tenant_id,
                sign_in_id=sign_in.id,
                hash=auth.opaque_hash(hash_key, refresh),
                created_at=now,
                expires_at=now + auth.REFRESH_LIFETIME,
            )
        )
        claims = auth.AccessClaims(sign_in.user_id, sign_in.tenant_id, sign_in.id)
        access = auth.issue_access_token(self._jwt_key, claims, now)
        return TokenPair(access, refresh, int(auth.ACCESS_LIFETIME.total_seconds()))

    async def logout(self, facts: RequestFacts) -> None:
        """End the sign-in behind the request's credential, with every token of it."""
        check_source(facts, self.settings)
        caller = await self._caller(facts)
        if caller is None or caller.sign_in is None:
            return
        async with self.db.transaction() as session:
            sign_in = await session.get_one(store.SignIn, caller.sign_in.id)
            sign_in.ended_at = self.clock.now()

    # --- API keys ----------------------------------------------------------------------------------------

    async def create_key(
        self, actor: Actor, name: str, permissions: list[str], expires_at: datetime | None = None
    ) -> tuple[store.ApiKey, str]:
        """A key of the caller's own, and its secret, which is not kept. Keys do not make keys."""
        require_for(actor, "key:manage", own=True)
        if actor.by != f"user:{actor.user_id}":
            raise Forbidden("An API key cannot make API keys; a person signs in for that.")
        wanted = expand(permissions)
        lacking = wanted - meet(wanted, actor.permissions)
        if lacking:
            raise Forbidden(
                f"You cannot grant {', '.join(sorted(lacking))}: you do not have it yourself.",
                permission=min(lacking),
            )
        now = self.clock.now()
        if expires_at is not None and expires_at <= now:
            rule = "a time that is still to come"
            given = [{"field": "expires_at", "value": expires_at.isoformat(), "rule": rule}]
            raise Invalid("The key would have expired already.", fields=given)
        secret = auth.new_opaque(auth.API_KEY_PREFIX)
        row = store.ApiKey(
            id=new_id("key"),
            tenant_id=actor.tenant_id,
            user_id=actor.user_id,
            name=name,
            prefix=secret[: len(auth.API_KEY_PREFIX) + 6],
            hash=await self._hash(secret),
            permissions=sorted(wanted),
            created_at=now,
            expires_at=expires_at,
        )
        async with self.db.transaction() as session:
            session.add(row)
        return row, secret

    async def list_keys(self, actor: Actor, paging: Paging) -> tuple[list[store.ApiKey], int]:
        async with self.db.read() as session:
            return await store.list_keys(session, actor.tenant_id, _keys_of(actor), paging)

    async def revoke_key(self, actor: Actor, key_id: str) -> None:
        """From the next request on the key does not hold."""
        async with self.db.transaction() as session:
            key = await store.get_key(session, actor.tenant_id, _keys_of(actor), key_id)
            key.revoked_at = self.clock.now()


def _keys_of(actor: Actor) -> str | None:
    """Whose keys the actor may see: None for everybody's in the tenant."""
    require_for(actor, "key:manage", own=True)
    return None if may_for(actor, "key:manage", own=False) else actor.user_id


async def _keep_an_owner(session: AsyncSession, leaving: store.User) -> None:
    if leaving.role is Role.OWNER and not await store.has_other_owner(session, leaving):
        raise Conflict("This is the tenant's last owner. Make somebody else an owner first.")


def _tenant(tenant_id: str, name: str, parent_id: str | None, now: datetime) -> store.Tenant:
    return store.Tenant(id=tenant_id, parent_id=parent_id, name=name, created_at=now)


def _user(  # noqa: PLR0917 - what a person's row holds
    user_id: str, tenant_id: str, name: str, role: Role, now: datetime, email: str | None = None
) -> store.User:
    return store.User(id=user_id, tenant_id=tenant_id, name=name, email=email, role=role, created_at=now)


def _sign_in(tenant_id: str, user_id: str, now: datetime, cookie_hash: bytes | None = None) -> store.SignIn:
    return store.SignIn(
        id=new_id("in"),
        tenant_id=tenant_id,
        user_id=user_id,
        cookie_hash=cookie_hash,
        created_at=now,
        expires_at=now + auth.REFRESH_LIFETIME,
    )
