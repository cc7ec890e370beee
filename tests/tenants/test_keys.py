"""API keys: shown once, stored hashed, never stronger than their creator, unknown to other tenants."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from omniforge.core.actor import Role
from omniforge.tenants import TenantService


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
async def people(service: TenantService) -> dict[str, dict[str, str]]:
    """Headers of people: three of one tenant, one of another."""
    await service.create_tenant("acme", "Acme")
    await service.create_tenant("other", "Other")
    headers: dict[str, dict[str, str]] = {}
    for name, tenant, role in [
        ("olga", "acme", Role.OWNER),
        ("dev", "acme", Role.DEVELOPER),
        ("vic", "acme", Role.VIEWER),
        ("eve", "other", Role.OWNER),
    ]:
        await service.create_user(tenant, name.title(), role, user_id=name)
        headers[name] = bearer((await service.issue_tokens(tenant, name)).access_token)
    return headers


People = dict[str, dict[str, str]]


async def make_key(
    http: httpx.AsyncClient, headers: dict[str, str], *permissions: str, **more: Any
) -> dict[str, Any]:
    body = {"name": "ci", "permissions": list(permissions), **more}
    answer = await http.post("/api/v1/keys", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def rights(http: httpx.AsyncClient, secret: str) -> list[str]:
    answer = await http.get("/api/v1/me", headers=bearer(secret))
    assert answer.status_code == 200, answer.text
    return answer.json()["permissions"]


async def test_a_key_is_shown_once_and_works(http: httpx.AsyncClient, people: People) -> None:
    made = await make_key(http, people["dev"], "agent:view", "agent:execute")
    assert re.fullmatch(r"of_sk_[A-Za-z0-9_-]{43}", made["key"])
    assert made["key"].startswith(made["prefix"])
    assert await rights(http, made["key"]) == ["agent:execute", "agent:view"]
    listed = (await http.get("/api/v1/keys", headers=people["dev"])).json()
    assert (listed["total"], listed["limit"], listed["offset"]) == (1, 50, 0)
    assert listed["keys"][0]["id"] == made["id"]
    assert made["key"] not in str(listed)


def bytes_of(database: Path) -> bytes:
    return b"".join(Path(f"{database}{end}").read_bytes() for end in ("", "-wal"))


async def test_no_secret_is_stored_as_it_is(
    http: httpx.AsyncClient, people: People, service: TenantService
) -> None:
    made = await make_key(http, people["dev"], "agent:view")
    link = await service.create_login_link()
    pair = await service.issue_tokens("acme", "dev")
    stored = bytes_of(service.db.path)
    assert made["id"].encode() in stored
    for secret in (made["key"], link.partition("link=")[2], pair.refresh_token):
        assert secret[20:].encode() not in stored


async def test_a_key_acts_as_itself_for_its_creator(
    http: httpx.AsyncClient, people: People, service: TenantService
) -> None:
    made = await make_key(http, people["dev"], "agent:view")
    me = (await http.get("/api/v1/me", headers=bearer(made["key"]))).json()
    assert (me["user"]["id"], me["tenant"]["id"]) == ("dev", "acme")


async def test_an_area_is_granted_whole(http: httpx.AsyncClient, people: People) -> None:
    made = await make_key(http, people["olga"], "org:*")
    assert await rights(http, made["key"]) == ["org:manage", "org:publish", "org:view"]


async def test_nobody_grants_what_they_lack(http: httpx.AsyncClient, people: People) -> None:
    body = {"name": "ci", "permissions": ["agent:view", "user:manage"]}
    answer = await http.post("/api/v1/keys", json=body, headers=people["dev"])
    assert answer.status_code == 403
    assert answer.json()["details"]["permission"] == "user:manage"
    assert (await http.get("/api/v1/keys", headers=people["dev"])).json()["total"] == 0


async def test_a_key_sinks_with_its_creators_role(
    http: httpx.AsyncClient, people: People, service: TenantService
) -> None:
    made = await make_key(http, people["dev"], "agent:view", "agent:edit", "skill:delete")
    await service.set_role("acme", "dev", Role.OPERATOR)
    assert await rights(http, made["key"]) == ["agent:edit:own", "agent:view"]
    await service.set_role("acme", "dev", Role.VIEWER)
    assert await rights(http, made["key"]) == ["agent:view"]
    await service.set_role("acme", "dev", Role.OWNER)
    assert await rights(http, made["key"]) == ["agent:edit", "agent:view", "skill:delete"]


async def test_a_key_ends_with_its_creator(
    http: httpx.AsyncClient, people: People, service: TenantService
) -> None:
    made = await make_key(http, people["dev"], "agent:view")
    await service.disable_user("acme", "dev")
    assert (await http.get("/api/v1/me", headers=bearer(made["key"]))).status_code == 401


async def test_a_key_ends_at_its_time(http: httpx.AsyncClient, people: People, clock: Any) -> None:
    made = await make_key(http, people["dev"], "agent:view", expires_at="2026-11-21T10:05:00Z")
    clock.turn(minutes=4)
    assert await rights(http, made["key"]) == ["agent:view"]
    clock.turn(minutes=1)
    assert (await http.get("/api/v1/me", headers=bearer(made["key"]))).status_code == 401


async def test_a_revoked_key_ends_at_once(http: httpx.AsyncClient, people: People) -> None:
    made = await make_key(http, people["dev"], "agent:view")
    path = f"/api/v1/keys/{made['id']}"
    assert (await http.delete(path, headers=people["dev"])).json() == {"success": True}
    assert (await http.get("/api/v1/me", headers=bearer(made["key"]))).status_code == 401
    assert (await http.get("/api/v1/keys", headers=people["dev"])).json()["keys"] == []
    assert (await http.delete(path, headers=people["dev"])).status_code == 404


async def test_the_last_use_is_noted_once_a_minute(
    http: httpx.AsyncClient, people: People, clock: Any
) -> None:
    made = await make_key(http, people["dev"], "agent:view")
    assert made["last_used_at"] is None

    async def last_use_after(**passed: float) -> str:
        clock.turn(**passed)
        await rights(http, made["key"])
        return (await http.get("/api/v1/keys", headers=people["dev"])).json()["keys"][0]["last_used_at"]

    first = await last_use_after(seconds=1)
    assert first.startswith("2026-11-21T10:00:01")
    assert await last_use_after(seconds=59) == first
    assert await last_use_after(seconds=1) != first


async def test_a_foreign_key_is_unknown_to_another_tenant(http: httpx.AsyncClient, people: People) -> None:
    made = await make_key(http, people["olga"], "agent:view")
    foreign = await http.delete(f"/api/v1/keys/{made['id']}", headers=people["eve"])
    unknown = await http.delete("/api/v1/keys/key_00000000000000000000", headers=people["eve"])
    assert (foreign.status_code, foreign.json()) == (unknown.status_code, unknown.json())
    assert foreign.status_code == 404
    assert (await http.get("/api/v1/keys", headers=people["eve"])).json()["total"] == 0
    assert await rights(http, made["key"]) == ["agent:view"]


async def test_developers_see_their_own_keys_and_owners_see_all(
    http: httpx.AsyncClient, people: People
) -> None:
    of_olga = await make_key(http, people["olga"], "agent:view")
    of_dev = await make_key(http, people["dev"], "agent:view")
    seen = (await http.get("/api/v1/keys", headers=people["dev"])).json()
    assert [key["id"] for key in seen["keys"]] == [of_dev["id"]]
    assert (await http.delete(f"/api/v1/keys/{of_olga['id']}", headers=people["dev"])).status_code == 404
    assert (await http.get("/api/v1/keys", headers=people["olga"])).json()["total"] == 2
    assert (await http.delete(f"/api/v1/keys/{of_dev['id']}", headers=people["olga"])).status_code == 200


async def test_who_may_not_manage_keys_is_told_the_permission(
    http: httpx.AsyncClient, people: People
) -> None:
    body = {"name": "ci", "permissions": ["agent:view"]}
    for answer in (
        await http.get("/api/v1/keys", headers=people["vic"]),
        await http.post("/api/v1/keys", json=body, headers=people["vic"]),
        await http.delete("/api/v1/keys/key_1", headers=people["vic"]),
    ):
        assert answer.status_code == 403
        assert answer.json()["details"]["permission"] == "key:manage"


async def test_a_key_makes_no_keys(http: httpx.AsyncClient, people: People) -> None:
    made = await make_key(http, people["olga"], "key:manage", "agent:view")
    body = {"name": "child", "permissions": ["agent:view"]}
    answer = await http.post("/api/v1/keys", json=body, headers=bearer(made["key"]))
    assert answer.status_code == 403
    assert (await http.get("/api/v1/keys", headers=bearer(made["key"]))).json()["total"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "   "},
        {"name": "x" * 81},
        {"permissions": []},
        {"permissions": ["agent:fly"]},
        {"permissions": "agent:view"},
        {"permissions": ["x" * 61]},
        {"expires_at": "2026-11-21T10:00:00Z"},
        {"expires_at": "2027-01-01T10:00:00"},
        {"expires_at": "soon"},
        {"tenant_id": "other"},
    ],
    ids=str,
)
async def test_a_wrong_request_is_422_and_makes_no_key(
    http: httpx.AsyncClient, people: People, change: dict[str, Any]
) -> None:
    body = {"name": "ci", "permissions": ["agent:view"]} | change
    answer = await http.post("/api/v1/keys", json=body, headers=people["olga"])
    assert answer.status_code == 422
    assert (await http.get("/api/v1/keys", headers=people["olga"])).json()["total"] == 0


async def test_keys_come_in_pages(http: httpx.AsyncClient, people: People, clock: Any) -> None:
    made: list[str] = []
    for _ in range(3):
        made.append((await make_key(http, people["dev"], "agent:view"))["id"])
        clock.turn(seconds=1)
    page = (await http.get("/api/v1/keys?limit=2&offset=1", headers=people["dev"])).json()
    assert [key["id"] for key in page["keys"]] == [made[1], made[0]]
    assert page["total"] == 3
    assert (await http.get("/api/v1/keys?limit=0", headers=people["dev"])).status_code == 422
