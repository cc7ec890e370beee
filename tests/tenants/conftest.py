"""A tenant service over a fresh database, a clock one can turn, and a small app around the routers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from omniforge.core.config import Settings
from omniforge.core.crypto import MasterKeys
from omniforge.core.errors import OmniForgeError
from omniforge.db import Database
from omniforge.tenants import SecretBox, TenantService
from omniforge.tenants.auth import load_jwt_key
from omniforge.tenants.endpoints import pages, router


class TurnableClock:
    """Stands still until a test turns it."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def turn(self, **by: float) -> None:
        self.moment += timedelta(**by)

    async def sleep(self, seconds: float) -> None:
        self.turn(seconds=seconds)


@pytest.fixture
def clock() -> TurnableClock:
    return TurnableClock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
async def service(database: Database, settings: Settings, clock: TurnableClock) -> TenantService:
    box = SecretBox(MasterKeys.from_settings(settings))
    service = TenantService(database, settings, clock, box, load_jwt_key(settings))
    await service.bootstrap()
    return service


@pytest.fixture
def app(service: TenantService) -> FastAPI:
    app = FastAPI()
    app.include_router(router)
    app.include_router(pages)
    app.state.tenants = service

    @app.exception_handler(OmniForgeError)
    async def answer(_: Request, error: OmniForgeError) -> JSONResponse:
        body = {"error": error.code, "message": error.message, "details": error.details}
        return JSONResponse(body, error.status)

    return app


Connect = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def connect(app: FastAPI) -> Connect:
    """Open a client; by default one on this computer that is no browser."""

    def open_client(
        *, base: str = "http://127.0.0.1:8700", client: str = "127.0.0.1", **headers: str
    ) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app, client=(client, 50_000))
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.AsyncClient(transport=transport, base_url=base, headers=named)

    return open_client


@pytest.fixture
async def http(connect: Connect) -> AsyncIterator[httpx.AsyncClient]:
    async with connect() as client:
        yield client
