"""Readers of events who speak ASGI with the application: no server, no port, no waiting."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

Json = dict[str, Any]
HOST = (b"host", b"127.0.0.1:8700")


class Reader:
    """One connection. `hold()` is a reader who takes nothing until `go_on()`."""

    def __init__(self, app: Any, scope: Json) -> None:
        self.app = app
        self.scope = scope
        self.said: asyncio.Queue[Json] = asyncio.Queue()
        self.heard: asyncio.Queue[Json] = asyncio.Queue()
        self._takes = asyncio.Event()
        self._takes.set()
        self.task: asyncio.Task[None] | None = None

    def hold(self) -> None:
        self._takes.clear()

    def go_on(self) -> None:
        self._takes.set()

    async def _send(self, message: Any) -> None:
        await self._takes.wait()
        self.heard.put_nowait(message)

    def start(self) -> None:
        self.task = asyncio.create_task(self.app(self.scope, self.said.get, self._send))

    async def message(self) -> Json:
        async with asyncio.timeout(20):
            return await self.heard.get()

    async def leave(self, kind: str) -> None:
        self.go_on()
        self.said.put_nowait({"type": kind, "code": 1000})
        assert self.task is not None
        async with asyncio.timeout(20):
            await asyncio.gather(self.task, return_exceptions=True)


class Socket(Reader):
    async def event(self) -> Json:
        """The next thing said; an event, a ping or an error."""
        message = await self.message()
        assert message["type"] == "websocket.send", message
        return json.loads(message["text"])

    async def events(self, count: int) -> list[Json]:
        return [await self.event() for _ in range(count)]

    def say(self, **fields: Any) -> None:
        self.said.put_nowait({"type": "websocket.receive", "text": json.dumps(fields)})

    async def closed(self) -> int:
        """The code with which it is closed; what was said before is passed over."""
        while (message := await self.message())["type"] != "websocket.close":
            pass
        return int(message["code"])


@asynccontextmanager
async def socket(
    app: Any, query: str = "", path: str = "/api/v1/ws/events", **headers: str
) -> AsyncIterator[Socket]:
    given = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope: Json = {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "path": path,
        "query_string": query.encode(),
        "headers": [HOST, *given],
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 8700),
        "scheme": "ws",
    }
    reader = Socket(app, scope)
    reader.said.put_nowait({"type": "websocket.connect"})
    reader.start()
    assert (await reader.message())["type"] == "websocket.accept"
    try:
        yield reader
    finally:
        await reader.leave("websocket.disconnect")


class Stream(Reader):
    """Server-sent events."""

    def __init__(self, app: Any, scope: Json) -> None:
        super().__init__(app, scope)
        self._lines = list[str]()

    async def event(self) -> Json:
        """`{id, event, data}` of the next one."""
        while "" not in self._lines:
            message = await self.message()
            assert message["type"] == "http.response.body", message
            self._lines += message["body"].decode().split("\n")[:-1]
        end = self._lines.index("")
        block, self._lines = self._lines[:end], self._lines[end + 1 :]
        if block[0].startswith(":"):
            return {"comment": block[0]}
        fields = dict(line.split(": ", 1) for line in block)
        return {**fields, "data": json.loads(fields["data"])}


@asynccontextmanager
async def stream(app: Any, query: str = "", **headers: str) -> AsyncIterator[Stream]:
    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope: Json = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "path": "/api/v1/events",
        "raw_path": b"/api/v1/events",
        "query_string": query.encode(),
        "headers": [HOST, (b"accept", b"text/event-stream"), *given],
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 8700),
        "scheme": "http",
    }
    reader = Stream(app, scope)
    reader.said.put_nowait({"type": "http.request", "body": b"", "more_body": False})
    reader.start()
    assert (await reader.message())["status"] == 200
    try:
        yield reader
    finally:
        await reader.leave("http.disconnect")
