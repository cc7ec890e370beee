"""Local servers in place of the services outside: started together, with the settings that lead to them."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import FrameType
from typing import Any

import uvicorn
from rich.console import Console

from omniforge.core.errors import Invalid, Unavailable
from omniforge.integrations.standin import Hook, Standin, find_standins

HOST = "127.0.0.1"
WEBHOOK_SECRET = "local-{}-signs-with-this"  # noqa: S105 - opens nothing but the local server

ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Place:
    """One local server on its port."""

    name: str
    standin: Standin
    port: int
    server: str
    """Address of the installation that will be connected."""

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def webhook_secret(self) -> str:
        return WEBHOOK_SECRET.format(self.name)

    def settings(self) -> dict[str, str]:
        """The environment that connects an installation to it."""
        prefix = self.name.upper()
        return {
            f"OMNIFORGE_{prefix}_BASE_URL": self.url,
            f"{prefix}_CLIENT_ID": self.standin.CLIENT_ID,
            f"{prefix}_CLIENT_SECRET": self.standin.CLIENT_SECRET,
            f"{prefix}_REDIRECT_URI": f"{self.server}/oauth/callback/{self.name}",
            f"{prefix}_WEBHOOK_SECRET": self.webhook_secret,
        }

    def app(self) -> ASGIApp:
        """The server; it tells the installation of everything that happens in it."""
        hook = Hook(f"{self.server}/webhooks/{self.name}", self.webhook_secret)
        return self.standin.create_app(self.standin.StandinState(hooks=[hook]))


def choose(port: int, only: str, server: str) -> list[Place]:
    """The local servers wanted, on consecutive ports in the order of names; Invalid for a name nobody has."""
    found = find_standins()
    wanted = [name.strip() for name in only.split(",") if name.strip()] or list(found)
    if unknown := sorted(set(wanted) - set(found)):
        rule = f"some of: {', '.join(found)}"
        raise Invalid(
            f"There is no local server for {', '.join(unknown)}. There are: {', '.join(found)}.",
            fields=[{"field": "only", "value": only, "rule": rule}],
        )
    names = [name for name in found if name in wanted]
    return [Place(name, found[name], port + number, server) for number, name in enumerate(names)]


async def serve(port: int, only: str, server: str, console: Console, *, as_json: bool = False) -> None:
    """Start them, print the environment that leads to them, and serve until stopped."""
    places = choose(port, only, server.rstrip("/"))
    with ExitStack() as stack:
        sockets = [stack.enter_context(_bound(place)) for place in places]
        show(places, console, as_json=as_json)
        config = uvicorn.Config(by_port(places), log_level="warning", lifespan="off", ws="none")
        for number in (
            signal.SIGINT,
            signal.SIGTERM,
        ):  # uvicorn raises it again at its end, which is a good one
            signal.signal(number, _stopped)
        await uvicorn.Server(config).serve(sockets=sockets)


def _stopped(number: int, frame: FrameType | None) -> None:
    """Nothing more to do."""


def by_port(places: Sequence[Place]) -> ASGIApp:
    """All of them as one application, told apart by the port a request came to."""
    apps = {place.port: place.app() for place in places}

    async def dispatch(scope: Any, receive: Any, send: Any) -> None:
        await apps[scope["server"][1]](scope, receive, send)

    return dispatch


def _bound(place: Place) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOST, place.port))
    except OSError as error:
        bound.close()
        raise Unavailable(
            f"Port {place.port}, wanted for {place.name}, is not free. Choose another start with --port.",
            port=place.port,
            reason=error.strerror,
        ) from None
    return bound


def show(places: Sequence[Place], console: Console, *, as_json: bool) -> None:
    if as_json:
        told = {place.name: {"url": place.url, "environment": place.settings()} for place in places}
        console.print_json(json.dumps({"services": told}), indent=None)
        return
    console.print(
        "Local servers with sample data. To connect an installation to them, put this into its .env:"
    )
    for place in places:
        console.print(f"\n# {place.name}: {place.url}", highlight=False)
        for name, value in place.settings().items():
            console.print(f"{name}={value}", highlight=False, soft_wrap=True)
    console.print("\nStop with Ctrl+C.")
