"""Credentials: access tokens (JWT), opaque secrets and how they are hashed. No database."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jwt

from omniforge.core.config import Settings
from omniforge.core.crypto import KeyUnusable, decode_key, read_or_create_key_file
from omniforge.core.errors import Unauthenticated

ISSUER = "omniforge"
AUDIENCE = "omniforge-api"
ACCESS_TYPE = "access"
ALGORITHM = "HS256"
ACCESS_LIFETIME = timedelta(minutes=15)
REFRESH_LIFETIME = timedelta(days=30)
LINK_LIFETIME = timedelta(hours=24)
CLOCK_SKEW = timedelta(seconds=30)
"""How far ahead the clock of another server of the same installation may be."""

API_KEY_PREFIX = "of_sk_"
REFRESH_PREFIX = "of_rt_"
LINK_PREFIX = "of_ll_"
SESSION_PREFIX = "of_ss_"
_OPAQUE = re.compile(r"of_(?:sk|rt|ll|ss)_[A-Za-z0-9_-]{43}", re.ASCII)
_MAX_TOKEN_CHARS = 2048
_REQUIRED = ("exp", "iat", "sub", "jti", "aud", "iss", "typ", "tid", "sid")


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a valid access token says: who, of which tenant, by which sign-in."""

    user_id: str
    tenant_id: str
    sign_in_id: str


def load_jwt_key(settings: Settings) -> bytes:
    """The setting (32 bytes or more), else `keys/jwt.key` in home, made when missing."""
    if settings.jwt_secret is not None:
        secret = settings.jwt_secret.get_secret_value().encode()
        if len(secret) < 32:
            raise KeyUnusable("OMNIFORGE_JWT_SECRET is too short: it must have at least 32 bytes.")
        return secret
    path: Path = settings.home / "keys" / "jwt.key"
    text, _ = read_or_create_key_file(path)
    return decode_key(text.strip(), str(path))


def issue_access_token(key: bytes, claims: AccessClaims, now: datetime) -> str:
    payload = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "typ": ACCESS_TYPE,
        "sub": claims.user_id,
        "tid": claims.tenant_id,
        "sid": claims.sign_in_id,
        "jti": secrets.token_urlsafe(16),
        "iat": int(now.timestamp()),
        "exp": int((now + ACCESS_LIFETIME).timestamp()),
    }
    return jwt.encode(payload, key, ALGORITHM)


def read_access_token(key: bytes, token: str, now: datetime) -> AccessClaims:
    """Unauthenticated unless it is ours, unchanged, of the right kind and inside its time."""
    if len(token) > _MAX_TOKEN_CHARS:
        raise Unauthenticated("The access token is not valid.")
    try:
        payload: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            # Times are checked below, by our own clock.
            options={
                "require": list(_REQUIRED),
                "strict_aud": True,
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise Unauthenticated("The access token is not valid.") from None
    return _checked(payload, now)


def _checked(payload: dict[str, Any], now: datetime) -> AccessClaims:
    issued, expires = payload["iat"], payload["exp"]
    names = [payload[claim] for claim in ("sub", "tid", "sid", "jti")]
    if (
        payload["typ"] != ACCESS_TYPE
        or "nbf" in payload
        or type(issued) is not int
        or type(expires) is not int
        or not all(isinstance(name, str) and 0 < len(name) <= 64 for name in names)
        or issued > (now + CLOCK_SKEW).timestamp()
        or expires - issued > ACCESS_LIFETIME.total_seconds()
    ):
        raise Unauthenticated("The access token is not valid.")
    if expires <= now.timestamp():
        raise Unauthenticated(
            "The access token has expired; get another with the refresh token.", code="token_expired"
        )
    return AccessClaims(payload["sub"], payload["tid"], payload["sid"])


def new_opaque(prefix: str) -> str:
    """A secret of 256 random bits behind a prefix that says what it is."""
    return prefix + secrets.token_urlsafe(32)


def is_opaque(text: str, prefix: str) -> bool:
    return text.startswith(prefix) and _OPAQUE.fullmatch(text) is not None


def opaque_hash(key: bytes, secret: str) -> bytes:
    """What is stored instead of an opaque secret. HMAC-SHA256: 256 random bits need no slow hash."""
    return hmac.digest(key, secret.encode(), hashlib.sha256)
