"""Of all tokens only a good one is accepted; refresh tokens are used once, and a copy ends the family."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from omniforge.core.actor import Role
from omniforge.core.config import Settings
from omniforge.core.crypto import KeyUnusable
from omniforge.core.errors import Conflict, NotFound, Unauthenticated
from omniforge.tenants import TenantService
from omniforge.tenants.auth import AccessClaims, issue_access_token, load_jwt_key, read_access_token

KEY = secrets.token_bytes(32)
NOW = datetime.fromisoformat("2026-11-21T10:00:00+00:00")
SECOND = int(NOW.timestamp())
CLAIMS = AccessClaims("ana", "acme", "in_1")


def good_payload() -> dict[str, Any]:
    return jwt.decode(issue_access_token(KEY, CLAIMS, NOW), options={"verify_signature": False})


def signed(key: bytes = KEY, algorithm: str = "HS256", **changes: Any) -> str:
    return jwt.encode(good_payload() | changes, key, algorithm)


def without_claim(claim: str) -> str:
    return jwt.encode({name: value for name, value in good_payload().items() if name != claim}, KEY, "HS256")


def encoded(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def with_tampered_payload() -> str:
    header, _, signature = issue_access_token(KEY, CLAIMS, NOW).split(".")
    return f"{header}.{encoded(good_payload() | {'tid': 'other'})}.{signature}"


def without_signature(algorithm: str) -> str:
    return f"{encoded({'alg': algorithm, 'typ': 'JWT'})}.{encoded(good_payload())}."


def with_header(**header: Any) -> str:
    return jwt.encode(good_payload(), KEY, "HS256", headers=header)


FORGED: dict[str, Callable[[], str]] = {
    "alg none": lambda: without_signature("none"),
    "alg None": lambda: without_signature("None"),
    "alg empty": lambda: without_signature(""),
    "signature cut off": lambda: without_signature("HS256"),
    "HS384": lambda: signed(KEY + KEY, "HS384"),
    "HS512": lambda: signed(KEY + KEY, "HS512"),
    "another key": lambda: signed(secrets.token_bytes(32)),
    "tampered payload": with_tampered_payload,
    "unknown critical header": lambda: with_header(crit=["of"], of=1),
    "expired": lambda: signed(iat=SECOND - 901, exp=SECOND - 1),
    "expires this second": lambda: signed(iat=SECOND - 900, exp=SECOND),
    "issued in the future": lambda: signed(iat=SECOND + 60, exp=SECOND + 120),
    "lives too long": lambda: signed(exp=SECOND + 10**9),
    "not before": lambda: signed(nbf=SECOND + 60),
    "exp as text": lambda: signed(exp=str(SECOND + 60)),
    "exp as truth": lambda: signed(exp=True),
    "exp as fraction": lambda: signed(exp=SECOND + 60.5),
    "exp endless": lambda: signed(exp=10**400),
    "iat as text": lambda: signed(iat="now"),
    "wrong aud": lambda: signed(aud="another-api"),
    "aud as list": lambda: signed(aud=["omniforge-api", "other"]),
    "wrong iss": lambda: signed(iss="somebody"),
    "wrong typ": lambda: signed(typ="refresh"),
    "typ as list": lambda: signed(typ=["access"]),
    "empty sub": lambda: signed(sub=""),
    "sub as number": lambda: signed(sub=1),
    "tenant as object": lambda: signed(tid={"$ne": ""}),
    **{
        f"no {claim}": lambda claim=claim: without_claim(claim)
        for claim in ("exp", "iat", "sub", "jti", "aud", "iss", "typ", "tid", "sid")
    },
    "refresh token": lambda: "of_rt_" + secrets.token_urlsafe(32),
    "garbage": lambda: "not.a.token",
    "two parts": lambda: "a.b",
    "only dots": lambda: "..",
    "empty": lambda: "",
    "beyond ascii": lambda: "é.ü.☃",
    "huge": lambda: signed(extra="x" * 3000),
    "payload is a list": lambda: jwt.PyJWS().encode(b"[1]", KEY, "HS256"),
    "payload is no JSON": lambda: jwt.PyJWS().encode(b"\xff{", KEY, "HS256"),
    "deeply nested payload": lambda: jwt.PyJWS().encode(b"[" * 1400, KEY, "HS256"),
}


def test_the_good_token_is_accepted() -> None:
    assert read_access_token(KEY, issue_access_token(KEY, CLAIMS, NOW), NOW) == CLAIMS
    assert read_access_token(KEY, signed(), NOW) == CLAIMS


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_token_is_refused(kind: str) -> None:
    with pytest.raises(Unauthenticated):
        read_access_token(KEY, FORGED[kind](), NOW)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*good_payload(), "nbf", "x"]), json_values, max_size=4))
def test_whatever_stands_in_a_signed_payload_it_is_claims_or_refused(changes: dict[str, Any]) -> None:
    token = jwt.PyJWS().encode(json.dumps(good_payload() | changes).encode(), KEY, "HS256")
    try:
        claims = read_access_token(KEY, token, NOW)
    except Unauthenticated:
        return
    assert isinstance(claims.user_id, str)
    assert isinstance(claims.tenant_id, str)


@given(st.dictionaries(st.sampled_from(["alg", "typ", "crit", "b64", "kid", "jwk", "zip"]), json_values))
def test_whatever_stands_in_an_unsigned_header_it_is_refused(header: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        read_access_token(KEY, f"{encoded(header)}.{encoded(good_payload())}.AAAA", NOW)


@given(st.text(max_size=200))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        read_access_token(KEY, text, NOW)


def test_the_signing_key_is_made_once_and_is_private(settings: Settings) -> None:
    key = load_jwt_key(settings)
    path = settings.home / "keys" / "jwt.key"
    assert len(key) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_jwt_key(settings) == key


def test_a_short_signing_secret_is_refused() -> None:
    with pytest.raises(KeyUnusable, match="32 bytes"):
        load_jwt_key(Settings(jwt_secret=SecretStr("x" * 31)))
    assert load_jwt_key(Settings(jwt_secret=SecretStr("x" * 32))) == b"x" * 32


@pytest.fixture
async def ana(service: TenantService) -> str:
    await service.create_tenant("acme", "Acme")
    await service.create_user("acme", "Olga", Role.OWNER, user_id="olga")
    return await service.create_user("acme", "Ana", Role.OPERATOR, user_id="ana")


async def me(http: httpx.AsyncClient, token: str) -> httpx.Response:
    return await http.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})


async def test_a_token_speaks_for_its_person_and_tenant(
    http: httpx.AsyncClient, service: TenantService, ana: str
) -> None:
    pair = await service.issue_tokens("acme", ana)
    answer = (await me(http, pair.access_token)).json()
    assert (answer["user"]["id"], answer["tenant"]["id"], answer["role"]) == ("ana", "acme", "operator")
    assert "agent:edit:own" in answer["permissions"]
    assert "agent:edit" not in answer["permissions"]


async def test_the_tenant_is_never_taken_from_a_header(
    http: httpx.AsyncClient, service: TenantService, ana: str
) -> None:
    pair = await service.issue_tokens("acme", ana)
    headers = {
        "Authorization": f"Bearer {pair.access_token}",
        "X-Tenant-Id": "default",
        "X-Tenant": "default",
    }
    assert (await http.get("/api/v1/me", headers=headers)).json()["tenant"]["id"] == "acme"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic bG9jYWw6",
        "bearer x",
        "Token of_sk_x",
        "Bearer of_sk_",
        "Bearer of_sk_" + "a" * 43,
        "Bearer null",
        "Bearer " + "a" * 5000,
        "Bearer a.b.c, Bearer d.e.f",
        "Bearer of_rt_" + "a" * 43,
    ],
)
async def test_an_invalid_credential_never_falls_back_to_the_local_owner(
    http: httpx.AsyncClient, header: str
) -> None:
    assert (await http.get("/api/v1/me")).status_code == 200
    answer = await http.get("/api/v1/me", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json()["error"] == "unauthenticated"


async def test_two_authorization_headers_are_refused(
    http: httpx.AsyncClient, service: TenantService, ana: str
) -> None:
    token = (await service.issue_tokens("acme", ana)).access_token
    twice = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
    assert (await http.get("/api/v1/me", headers=twice)).status_code == 401


@pytest.mark.parametrize(
    "claims",
    [
        AccessClaims("nobody", "acme", ""),
        AccessClaims("ana", "default", ""),
        AccessClaims("ana", "acme", "in_0"),
    ],
    ids=["unknown person", "another tenant", "unknown sign-in"],
)
async def test_a_well_signed_token_of_nobody_is_refused(
    http: httpx.AsyncClient, service: TenantService, ana: str, settings: Settings, claims: AccessClaims
) -> None:
    key, now = load_jwt_key(settings), service.clock.now()
    pair = await service.issue_tokens("acme", ana)
    sign_in = read_access_token(key, pair.access_token, now).sign_in_id
    token = issue_access_token(
        key, AccessClaims(claims.user_id, claims.tenant_id, claims.sign_in_id or sign_in), now
    )
    assert (await me(http, token)).status_code == 401


async def test_an_access_token_ends_after_a_quarter_of_an_hour(
    http: httpx.AsyncClient, service: TenantService, ana: str, clock: Any
) -> None:
    pair = await service.issue_tokens("acme", ana)
    assert pair.expires_in == 900
    clock.turn(seconds=899)
    assert (await me(http, pair.access_token)).status_code == 200
    clock.turn(seconds=1)
    answer = await me(http, pair.access_token)
    assert (answer.status_code, answer.json()["error"]) == (401, "token_expired")


async def test_a_disabled_person_is_out_at_once(
    http: httpx.AsyncClient, service: TenantService, ana: str
) -> None:
    pair = await service.issue_tokens("acme", ana)
    await service.disable_user("acme", ana)
    assert (await me(http, pair.access_token)).status_code == 401
    with pytest.raises(Unauthenticated):
        await service.refresh(pair.refresh_token)


async def test_logout_ends_access_and_refresh_tokens(
    http: httpx.AsyncClient, service: TenantService, ana: str
) -> None:
    pair, other = await service.issue_tokens("acme", ana), await service.issue_tokens("acme", ana)
    headers = {"Authorization": f"Bearer {pair.access_token}"}
    answer = await http.post("/api/v1/auth/logout", headers=headers)
    assert answer.json() == {"success": True}
    assert (await me(http, pair.access_token)).status_code == 401
    assert (await http.post("/api/v1/auth/logout", headers=headers)).status_code == 401
    with pytest.raises(Unauthenticated):
        await service.refresh(pair.refresh_token)
    assert (await me(http, other.access_token)).status_code == 200


async def test_a_refresh_token_is_exchanged_for_the_next_pair(
    http: httpx.AsyncClient, service: TenantService, ana: str, clock: Any
) -> None:
    pair = await service.issue_tokens("acme", ana)
    for _ in range(3):
        clock.turn(days=29)
        answer = await http.post("/api/v1/auth/refresh", json={"refresh": pair.refresh_token})
        assert set(answer.json()) == {"access_token", "refresh_token", "expires_in"}
        assert (await me(http, answer.json()["access_token"])).status_code == 200
        pair = type(pair)(**answer.json())


async def test_a_refresh_token_used_twice_ends_the_whole_family(
    http: httpx.AsyncClient, service: TenantService, ana: str
) -> None:
    first = await service.issue_tokens("acme", ana)
    second = await service.refresh(first.refresh_token)
    again = await http.post("/api/v1/auth/refresh", json={"refresh": first.refresh_token})
    assert again.status_code == 401
    assert (await me(http, second.access_token)).status_code == 401
    with pytest.raises(Unauthenticated):
        await service.refresh(second.refresh_token)


async def test_a_refresh_token_ends_after_thirty_days(service: TenantService, ana: str, clock: Any) -> None:
    pair = await service.issue_tokens("acme", ana)
    clock.turn(days=30)
    with pytest.raises(Unauthenticated):
        await service.refresh(pair.refresh_token)


@pytest.mark.parametrize("token", ["", "x", "of_rt_", "of_rt_" + "a" * 43, "of_sk_" + "a" * 43, "é" * 40])
async def test_what_is_no_refresh_token_is_refused(http: httpx.AsyncClient, token: str) -> None:
    assert (await http.post("/api/v1/auth/refresh", json={"refresh": token})).status_code == 401


async def test_an_access_token_does_not_refresh(service: TenantService, ana: str) -> None:
    pair = await service.issue_tokens("acme", ana)
    with pytest.raises(Unauthenticated):
        await service.refresh(pair.access_token)


async def test_the_last_owner_cannot_leave(service: TenantService, ana: str) -> None:
    for step in (service.disable_user("acme", "olga"), service.set_role("acme", "olga", Role.ADMIN)):
        with pytest.raises(Conflict, match="last owner"):
            await step
    await service.set_role("acme", ana, Role.OWNER)
    await service.disable_user("acme", "olga")
    with pytest.raises(Conflict, match="last owner"):
        await service.disable_user("acme", ana)


async def test_a_person_of_another_tenant_is_unknown(service: TenantService, ana: str) -> None:
    with pytest.raises(NotFound):
        await service.issue_tokens("default", ana)
    with pytest.raises(NotFound):
        await service.set_role("default", ana, Role.OWNER)
