"""The whole application in this process, with a second tenant and everybody's credentials."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from omniforge.api.app import create_app
from omniforge.bootstrap import Installation
from omniforge.core.actor import Role
from omniforge.core.config import Settings

BASE = "http://127.0.0.1:8700"


@dataclass
class Application:
    """`local` is the owner at this computer; `member(role)` signs in others."""

    house: Installation
    transport: httpx.ASGITransport
    local: httpx.AsyncClient

    async def member(
        self, role: Role, tenant_id: str = "default", name: str | None = None
    ) -> httpx.AsyncClient:
        user_id = await self.house.tenants.create_user(tenant_id, name or role.value, role)
        tokens = await self.house.tenants.issue_tokens(tenant_id, user_id)
        return self.client({"Authorization": f"Bearer {tokens.access_token}"})

    def client(self, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self.transport, base_url=BASE, headers=headers)


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[Application]:
    async with Installation.open(Settings(home=tmp_path / "home")) as house:
        transport = httpx.ASGITransport(create_app(house), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as local:
            await house.tenants.create_tenant("other", "Other")
            yield Application(house, transport, local)
