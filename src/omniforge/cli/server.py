"""`omniforge up`: the server of this installation, and a client for the other commands."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn
from rich.console import Console

from omniforge.core.collector import calm_collector
from omniforge.core.config import Settings
from omniforge.core.errors import OmniForgeError, Unavailable
from omniforge.core.logs import set_up_logs

if TYPE_CHECKING:
    from omniforge.bootstrap import Installation

START_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers. `task` ends when the server does."""

    house: Installation
    task: asyncio.Task[None]


@asynccontextmanager
async def serving(settings: Settings, log_level: str = "error") -> AsyncGenerator[Running]:
    """The installation, open and answering; it stops at the end of the block, or when a signal says so."""
    from omniforge.api.app import create_app  # noqa: PLC0415 - the whole application; only servers need it
    from omniforge.bootstrap import Installation  # noqa: PLC0415

    check_port(settings)
    async with Installation.open(settings) as house:
        config = uvicorn.Config(
            create_app(house),
            host=settings.host,
            port=settings.port,
            log_level=log_level,
            log_config=None,
            lifespan="off",
            access_log=False,  # it would keep one-time links and sign-in codes
            timeout_graceful_shutdown=5,
            server_header=False,
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        try:
            while not server.started and not task.done():
                await asyncio.sleep(0.02)
            yield Running(house, task)
        finally:
            server.should_exit = True
            await task


def check_port(settings: Settings) -> None:
    """Say that the port is taken before anything is opened."""
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise Unavailable(
                f"Port {settings.port} on {settings.host} is in use; is OmniForge running already? "
                "Another port can be set with --port or OMNIFORGE_PORT.",
                code="port_in_use",
                port=settings.port,
            ) from error


async def serve(settings: Settings, console: Console, log_level: str | None = None) -> None:
    """Serve until interrupted; prints the address and a one-time login link once it answers."""
    from omniforge.sandboxes import SandboxUnavailable  # noqa: PLC0415
    from omniforge.tenants.local import check_binding  # noqa: PLC0415

    check_binding(settings)
    level = (log_level or settings.log_level).upper()
    set_up_logs(settings.log_format, level)
    async with serving(settings, level.lower()) as running:
        calm_collector()
        console.print(f"OmniForge is up at [bold]{settings.url}[/bold]  (data in {settings.home})")
        if not settings.auth_required:
            link = await running.house.tenants.create_login_link()
            console.print(f"Open this once to sign in:  {link}", soft_wrap=True, highlight=False)
        try:
            await running.house.sandbox.check()
        except SandboxUnavailable as error:
            console.print(f"[yellow]{error.message}[/yellow]", highlight=False)
        console.print("Talk to it here with: omniforge chat      Stop with Ctrl+C")
        await running.task


@asynccontextmanager
async def api(settings: Settings) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of this installation's server; starts one for as long as the command runs if none answers."""
    headers: dict[str, str] = {}
    if settings.api_key is not None:
        headers["Authorization"] = f"Bearer {settings.api_key.get_secret_value()}"
    timeout = httpx.Timeout(120, connect=5)
    async with httpx.AsyncClient(base_url=settings.url, headers=headers, timeout=timeout) as client:
        if await _answers(client):
            yield client
            return
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(serving(settings))
            except Unavailable as error:
                if error.code not in ("already_running", "port_in_use"):
                    raise
                await _wait_for_start(client)  # somebody else's server was just starting
            yield client


async def _wait_for_start(client: httpx.AsyncClient) -> None:
    for _ in range(int(START_SECONDS / 0.2)):
        if await _answers(client):
            return
        await asyncio.sleep(0.2)
    raise Unavailable(
        f"Another OmniForge process works on these data, but it does not answer at {client.base_url}. "
        "If it listens elsewhere, name its port with --port.",
        code="already_running",
    )


async def _answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health")).is_success
    except httpx.HTTPError:
        return False


async def ask(client: httpx.AsyncClient, method: str, path: str, **options: Any) -> dict[str, Any]:
    """One request; what the server refuses comes out as an error with the server's own words."""
    try:
        answer = await client.request(method, path, **options)
    except httpx.HTTPError as error:
        raise Unavailable(f"{client.base_url} does not answer: {error or type(error).__name__}") from error
    try:
        body = answer.json()
    except ValueError as error:
        raise Unavailable(f"{client.base_url} answered something unreadable.") from error
    if answer.is_error:
        raise Refused.of(answer.status_code, body, answer.reason_phrase)
    return body


async def sent_events(stream: httpx.Response) -> AsyncGenerator[tuple[str, dict[str, Any]]]:
    """(event, data) of an event stream, as they come."""
    kind = "message"
    async for line in stream.aiter_lines():
        if line.startswith("event:"):
            kind = line[6:].strip()
        elif line.startswith("data:"):
            yield kind, json.loads(line[5:])


class Refused(OmniForgeError):
    """The server said no; the message is its own."""

    http_status: int = 0

    @classmethod
    def of(cls, status: int, body: dict[str, Any], reason: str = "") -> Refused:
        refused = cls(str(body.get("message", reason)), code=body.get("error"))
        refused.http_status = status
        refused.details = body.get("details") or {}
        return refused
