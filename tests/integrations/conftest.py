"""The Notion-faithful server on a free port, and a service that talks to it over real HTTP."""

from __future__ import annotations

import asyncio
import re
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import uvicorn
from pydantic import SecretStr
from starlette.applications import Starlette

from omniforge.core.actor import Actor, Role
from omniforge.core.config import ServiceSettings, Settings
from omniforge.core.crypto import MasterKeys
from omniforge.db import Database
from omniforge.integrations import Connection, IntegrationService, SignIn
from omniforge.integrations.catalog.notion.standin import CLIENT_ID, CLIENT_SECRET, StandinState, create_app
from omniforge.integrations.rest import Patience
from omniforge.tenants import SecretBox


class HandClock:
    """Time moved by hand. Waits are noted and last a moment only."""

    def __init__(self) -> None:
        self.moment = datetime.now(UTC)
        self.waits: list[float] = []

    def now(self) -> datetime:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(min(seconds, 0.005))

    def forward(self, **delta: float) -> None:
        self.moment += timedelta(**delta)


@dataclass
class Notion:
    """The running stand-in: its address and all it remembers."""

    url: str
    state: StandinState

    def paths(self) -> list[str]:
        return [f"{entry.method} {entry.path}" for entry in self.state.requests]

    def database_id(self, name: str) -> str:
        return next(table.id for table in self.state.workspace.tables if table.name == name)


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[str, Starlette]]:
    """One real server for all tests of a process, on its own thread; each test gives it a fresh state."""
    app = create_app(StandinState())
    config = uvicorn.Config(app, port=0, log_level="critical", lifespan="off", ws="none")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.005)
    port = running.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}", app
    running.should_exit = True
    thread.join()


@pytest.fixture
def notion(server: tuple[str, Starlette]) -> Notion:
    url, app = server
    app.state.standin = StandinState(rate_per_second=None)
    return Notion(url, app.state.standin)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def settings(tmp_path: Path, notion: Notion) -> Settings:
    block = ServiceSettings(
        client_id=CLIENT_ID, client_secret=SecretStr(CLIENT_SECRET), redirect_uri=None, base_url=notion.url
    )
    return Settings(home=tmp_path, services={"notion": block})


@pytest.fixture
def secret_box() -> SecretBox:
    return SecretBox(MasterKeys({1: secrets.token_bytes(32)}, "test"))


@pytest.fixture
def make_service(
    database: Database, secret_box: SecretBox, clock: HandClock
) -> Callable[[Settings], IntegrationService]:
    def make(settings: Settings) -> IntegrationService:
        return IntegrationService(
            database,
            secret_box,
            settings,
            clock,
            transport=httpx.AsyncHTTPTransport(verify=False),  # plain HTTP here: no certificates to load
            rate=1000,
            patience=Patience(timeout=5),
        )

    return make


@pytest.fixture
async def service(
    make_service: Callable[[Settings], IntegrationService], settings: Settings
) -> AsyncIterator[IntegrationService]:
    made = make_service(settings)
    yield made
    await made.close()


async def answer_consent(sign_in: SignIn, decision: str = "allow") -> dict[str, str]:
    """Do what a person does on the consent page; the query that comes back to the redirect address."""
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(verify=False)) as browser:
        page = await browser.get(sign_in.auth_url)
        assert page.status_code == 200, page.text
        hidden = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.text))
        form = {name: unescape(value) for name, value in hidden.items() if name != "decision"}
        base = urlsplit(sign_in.auth_url)
        back = await browser.post(
            f"{base.scheme}://{base.netloc}/v1/oauth/authorize", data={**form, "decision": decision}
        )
    assert back.status_code == 302
    return {name: values[0] for name, values in parse_qs(urlsplit(back.headers["location"]).query).items()}


@pytest.fixture
def consent() -> Callable[..., object]:
    return answer_consent


@pytest.fixture
def connect(actor: Actor) -> Callable[[IntegrationService], object]:
    async def connected(service: IntegrationService) -> Connection:
        sign_in = await service.start_sign_in(actor, "notion")
        answer = await answer_consent(sign_in)
        return await service.finish_sign_in(actor, "notion", answer["code"], answer["state"])

    return connected


@pytest.fixture
def viewer(actor: Actor) -> Actor:
    return Actor(actor.tenant_id, "eve", Role.VIEWER, "user:eve", actor.permissions)
