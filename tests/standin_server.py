"""Local servers of services on ports of their own, and a person who signs in at them."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import uvicorn
from starlette.applications import Starlette

from omniforge.integrations.standin import StandinState


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
class RunningServer:
    """One real server on its own thread; a test gives it a fresh state."""

    app: Starlette
    url: str
    server: uvicorn.Server
    thread: threading.Thread

    @classmethod
    def start(cls, app: Starlette) -> RunningServer:
        config = uvicorn.Config(app, port=0, log_level="critical", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        return cls(app, f"http://127.0.0.1:{port}", server, thread)

    def use(self, state: StandinState) -> None:
        self.app.state.standin = state

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()


async def answer_consent(auth_url: str, decision: str = "allow", **chosen: str) -> dict[str, str]:
    """Do what a person does on the consent page; the query that comes back to the redirect address."""
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(verify=False)) as browser:
        page = await browser.get(auth_url)
        assert page.status_code == 200, page.text
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text))
        form = {name: unescape(value) for name, value in hidden.items()}
        action = re.search(r'<form method="post" action="([^"]*)"', page.text)
        assert action
        target = urljoin(auth_url, unescape(action[1]))
        back = await browser.post(target, data={**form, **chosen, "decision": decision})
    assert back.status_code == 302
    return {name: values[0] for name, values in parse_qs(urlsplit(back.headers["location"]).query).items()}
