"""The real thing for tests: a server process of its own, local services, and a person who talks to both."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from omniforge.cli.demo import CONNECT, CONVERSATION, allow, free_port
from omniforge.integrations.standin import find_standins

COMMAND = (sys.executable, "-m", "omniforge.cli.main")
BUILD = tuple(said for said in CONVERSATION if said != "Put At Risk first")
"""The demonstration's conversation, without its change of mind."""


class LocalService:
    """A service's local server, served in this process so that tests can look at and change its state."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.standin = find_standins()[name]
        self.state: Any = self.standin.StandinState(rate_per_second=None)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(self.standin.create_app(self.state), port=self.port, log_level="error")
        self._server = uvicorn.Server(config)
        self._task: asyncio.Task[None] | None = None

    def settings(self, server: str) -> dict[str, str]:
        """The environment that leads an installation at this address to it."""
        prefix = self.name.upper()
        return {
            f"OMNIFORGE_{prefix}_BASE_URL": self.url,
            f"{prefix}_CLIENT_ID": self.standin.CLIENT_ID,
            f"{prefix}_CLIENT_SECRET": self.standin.CLIENT_SECRET,
            f"{prefix}_REDIRECT_URI": f"{server}/oauth/callback/{self.name}",
        }

    async def start(self) -> None:
        self._task = asyncio.create_task(self._server.serve())
        while not self._server.started:
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self._server.should_exit = True
        if self._task is not None:
            await self._task


class Server:
    """`omniforge up` as a process, over a home of its own."""

    def __init__(self, home: Path, *services: LocalService, **settings: str) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        ours = ("OMNIFORGE_", *(f"{name.upper()}_" for name in find_standins()))
        clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.environment = clean | {"OMNIFORGE_HOME": str(home), "OMNIFORGE_PORT": str(self.port)}
        for service in services:
            self.environment |= service.settings(self.url)
        self.environment |= settings
        self.client = httpx.AsyncClient(base_url=self.url, timeout=60)
        self.process: asyncio.subprocess.Process | None = None
        self.output = home.parent / f"{home.name}.log"

    async def start(self) -> None:
        with self.output.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *COMMAND, "up", env=self.environment, cwd=self.home.parent, stdout=log, stderr=log
            )
        async with asyncio.timeout(60):
            while True:
                try:
                    await self.client.get("/health")
                except httpx.TransportError:
                    assert self.process.returncode is None, self.output.read_text()
                    await asyncio.sleep(0.05)
                else:
                    return

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(how)
            await self.process.wait()

    async def close(self) -> None:
        await self.stop()
        await self.client.aclose()

    async def command(self, *args: str, said: str = "") -> tuple[int, str, str]:
        """Run `omniforge …` beside the server: exit code, stdout, stderr."""
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *args,
            env=self.environment | {"COLUMNS": "200"},
            cwd=self.home.parent,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(said.encode())
        return process.returncode or 0, out.decode(), err.decode()

    # --- what a person does

    async def ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer = await self.client.request(method, f"/api/v1{path}", **options)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def talk(self, messages: Sequence[str] = BUILD) -> list[dict[str, Any]]:
        """A conversation from its start; returns the replies."""
        session_id = await self.start_talk()
        replies: list[dict[str, Any]] = []
        for said in messages:
            if said == CONNECT:
                assert "Connected to Acme Operations" in await allow(replies[-1]["oauth_url"])
                continue
            replies.append(await self.say(session_id, said))
        return replies

    async def start_talk(self) -> str:
        """A new conversation; its id."""
        session = await self.ask("POST", "/conversation/start", json={"timezone": "Europe/Berlin"})
        return str(session["session_id"])

    async def say(self, session_id: str, message: str) -> dict[str, Any]:
        return await self.ask("POST", f"/conversation/{session_id}/message", json={"message": message})

    async def connect(self, integration: str) -> str:
        """Sign in at a local service as a person does; the id of the connection."""
        begun = await self.ask("POST", "/oauth/init", json={"integration": integration})
        assert "Connected to" in await allow(begun["auth_url"])
        found = await self.ask("GET", "/connections", params={"integration": integration})
        return str(found["connections"][0]["id"])

    async def finished(self, execution_id: str) -> dict[str, Any]:
        """The execution once it is over."""
        async with asyncio.timeout(60):
            while True:
                execution = await self.ask("GET", f"/executions/{execution_id}")
                if execution["completed_at"] is not None:
                    return execution
                await asyncio.sleep(0.05)

    async def event_types(self, run_id: str) -> list[str]:
        """Every event of a finished run, from the stream, which ends by itself."""
        async with self.client.stream("GET", f"/api/v1/runs/{run_id}/events") as stream:
            lines = [line async for line in stream.aiter_lines() if line.startswith("event: ")]
        return [line.removeprefix("event: ") for line in lines]
