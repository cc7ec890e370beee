"""A whole installation served over HTTP, with local services, and a person who talks to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from pydantic import SecretStr
from starlette.types import ASGIApp

from omniforge.api.app import create_app
from omniforge.bootstrap import Installation
from omniforge.builder.vocabulary import forbidden_words
from omniforge.cli.demo import allow, free_port
from omniforge.core.config import ServiceSettings, Settings
from omniforge.integrations.standin import StandinState, find_standins

Json = dict[str, Any]


DATA = ("Partner API rollout", "Partner API discovery")
"""Titles of entries in the local services: what is read there is shown as it stands."""


class Slips(logging.Handler):
    """What the conversation itself found in its replies that no person should be shown. It leaves out what
    people and services wrote, which only it can tell apart."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "technical words" in record.getMessage():
            self.found.append(record.getMessage())


@dataclass
class Person:
    """Talks in one conversation; every reply is checked for words that people are never shown."""

    client: httpx.AsyncClient
    house: Installation
    services: dict[str, StandinState]
    slips: Slips = field(default_factory=Slips)
    session: str = ""
    replies: list[Json] = field(default_factory=list[Json])

    async def ask(self, method: str, path: str, **options: Any) -> Json:
        answer = await self.client.request(method, f"/api/v1{path}", **options)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def begin(self) -> None:
        started = await self.ask("POST", "/conversation/start", json={"timezone": "Europe/Berlin"})
        self.session = started["session_id"]

    async def say(self, message: str, *, quoted: Sequence[str] = ()) -> Json:
        if not self.session:
            await self.begin()
        reply = await self.ask("POST", f"/conversation/{self.session}/message", json={"message": message})
        assert not self.slips.found, self.slips.found
        assert not (
            hits := forbidden_words("\n".join(reply["actions"]), [message, reply["text"], *quoted])
        ), hits
        self.replies.append(reply)
        return reply

    async def talk(self, *messages: str) -> Json:
        """Several messages; whenever a sign-in is offered and "done" comes, the person signs in first, and
        whenever a public skill is suggested, they want one of their own."""
        for message in messages:
            url = self.replies[-1]["oauth_url"] if self.replies else None
            if message.lower().startswith("done") and url:
                await allow(url)
            reply = await self.say(message)
            while "use the public skill" in reply["text"]:
                reply = await self.say("B")
        return self.replies[-1]

    async def finished(self, execution_id: str) -> Json:
        async with asyncio.timeout(120):
            while True:
                execution = await self.ask("GET", f"/executions/{execution_id}")
                if execution["completed_at"] is not None:
                    return execution
                await asyncio.sleep(0.05)

    def sent(self, service: str, *methods: str) -> list[Any]:
        """Requests that reached a local service."""
        wanted = methods or ("POST", "PATCH", "PUT", "DELETE")
        return [request for request in self.services[service].requests if request.method in wanted]


@asynccontextmanager
async def _served(app: ASGIApp, port: int) -> AsyncGenerator[None]:
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="critical", lifespan="off", ws="none"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def town(home: Path, *names: str, **more: Any) -> AsyncGenerator[Person]:
    """The installation at `home`, with `more` settings, and the services of these names, each on a port of
    its own."""
    port, standins = free_port(), find_standins()
    states: dict[str, StandinState] = {}
    settings: dict[str, ServiceSettings] = {}
    async with AsyncExitStack() as stack:
        for name in names:
            there, its_port = standins[name], free_port()
            states[name] = there.StandinState(rate_per_second=None)
            await stack.enter_async_context(_served(there.create_app(states[name]), its_port))
            settings[name] = ServiceSettings(
                client_id=there.CLIENT_ID,
                client_secret=SecretStr(there.CLIENT_SECRET),
                redirect_uri=f"http://127.0.0.1:{port}/oauth/callback/{name}",
                base_url=f"http://127.0.0.1:{its_port}",
            )
        house = await stack.enter_async_context(
            Installation.open(Settings(home=home, port=port, services=settings, **more))
        )
        await stack.enter_async_context(_served(create_app(house), port))
        client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=150)
        await stack.enter_async_context(client)
        person = Person(client, house, states)
        heard = logging.getLogger("omniforge.builder.service")
        heard.addHandler(person.slips)
        stack.callback(heard.removeHandler, person.slips)
        yield person
