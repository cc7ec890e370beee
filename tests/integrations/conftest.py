"""The Notion-faithful server on a free port, and a service that talks to it over real HTTP."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from omniforge.core.actor import Actor, Role
from omniforge.core.config import ServiceSettings, Settings
from omniforge.core.crypto import MasterKeys
from omniforge.db import Database
from omniforge.integrations import Connection, IntegrationService, SignIn
from omniforge.integrations.catalog.notion.standin import CLIENT_ID, CLIENT_SECRET, StandinState, create_app
from omniforge.integrations.rest import Patience
from omniforge.tenants import SecretBox
from standin_server import HandClock, RunningServer, answer_consent


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
def server() -> Iterator[RunningServer]:
    """One real server for all tests of a process; each test gives it a fresh state."""
    running = RunningServer.start(create_app())
    yield running
    running.stop()


@pytest.fixture
def notion(server: RunningServer) -> Notion:
    state = StandinState(rate_per_second=None)
    server.use(state)
    return Notion(server.url, state)


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


async def give_consent(sign_in: SignIn, decision: str = "allow", **chosen: str) -> dict[str, str]:
    return await answer_consent(sign_in.auth_url, decision, **chosen)


@pytest.fixture
def consent() -> Callable[..., object]:
    return give_consent


@pytest.fixture
def connect(actor: Actor) -> Callable[[IntegrationService], object]:
    async def connected(service: IntegrationService, **chosen: str) -> Connection:
        sign_in = await service.start_sign_in(actor, "notion")
        answer = await give_consent(sign_in, **chosen)
        return await service.finish_sign_in(actor, "notion", answer["code"], answer["state"])

    return connected


@pytest.fixture
def viewer(actor: Actor) -> Actor:
    return Actor(actor.tenant_id, "eve", Role.VIEWER, "user:eve", actor.permissions)
