"""GET /metrics: figures for the local owner and the installation's administrators, for nobody else."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from omniforge.api.app import create_app
from omniforge.bootstrap import Installation
from omniforge.core.actor import Role
from omniforge.core.config import Settings

BASE = "http://127.0.0.1:8700"


@asynccontextmanager
async def serving(settings: Settings) -> AsyncGenerator[tuple[Installation, httpx.AsyncClient]]:
    async with Installation.open(settings) as house:
        transport = httpx.ASGITransport(create_app(house), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            yield house, client


async def test_the_local_owner_reads_them(tmp_path: Path) -> None:
    async with serving(Settings(home=tmp_path, metrics_enabled=True)) as (_, client):
        answer = await client.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain")
        names = {family.name for family in text_string_to_metric_families(answer.text)}
        refused = await client.get("/metrics", headers={"Sec-Fetch-Mode": "navigate"})
        rebound = await client.get("/metrics", headers={"Host": "evil.example"})
    assert {"omniforge_queue_depth", "omniforge_runs", "omniforge_slots_free"} <= names
    assert refused.status_code == 401
    assert rebound.status_code == 403


async def test_switched_off_they_say_how_to_switch_them_on(tmp_path: Path) -> None:
    async with serving(Settings(home=tmp_path)) as (_, client):
        answer = await client.get("/metrics")
    assert answer.status_code == 404
    assert answer.json()["error"] == "metrics_off"
    assert "OMNIFORGE_METRICS_ENABLED" in answer.json()["message"]


@pytest.mark.parametrize(
    ("role", "tenant", "status"),
    [
        (None, "default", 401),
        (Role.VIEWER, "default", 403),
        (Role.DEVELOPER, "default", 403),
        (Role.ADMIN, "default", 200),
        (Role.OWNER, "other", 403),
    ],
)
async def test_with_sign_in_they_are_for_the_installations_administrators(
    tmp_path: Path, role: Role | None, tenant: str, status: int
) -> None:
    settings = Settings.model_validate(
        {
            "home": tmp_path,
            "metrics_enabled": True,
            "auth_required": True,
            "credential_encryption_key": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        }
    )
    async with serving(settings) as (house, client):
        await house.tenants.create_tenant("other", "Other")
        headers: dict[str, str] = {}
        if role is not None:
            user = await house.tenants.create_user(tenant, "Somebody", role)
            tokens = await house.tenants.issue_tokens(tenant, user)
            headers["Authorization"] = f"Bearer {tokens.access_token}"
        answer = await client.get("/metrics", headers=headers)
    assert answer.status_code == status


async def test_a_key_that_may_only_read_this_is_enough_for_prometheus(tmp_path: Path) -> None:
    async with serving(Settings(home=tmp_path, metrics_enabled=True)) as (_, client):
        body = {"name": "prometheus", "permissions": ["audit:view"]}
        key = (await client.post("/api/v1/keys", json=body)).json()["key"]
        narrow = {"name": "other", "permissions": ["agent:view"]}
        other = (await client.post("/api/v1/keys", json=narrow)).json()["key"]
        answers = [
            await client.get("/metrics", headers={"Authorization": f"Bearer {secret}"})
            for secret in (key, other)
        ]
    assert [answer.status_code for answer in answers] == [200, 403]
