"""A plain HTTP/1.1 server for the fakes, which also gives the raw connection to whoever asks to upgrade."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

REASONS = {101: "UPGRADED", 200: "OK", 201: "Created", 204: "No Content", 404: "Not Found", 409: "Conflict"}


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    parts: tuple[str, ...] = ()

    def json(self) -> Any:
        return json.loads(self.body or b"null")


@dataclass
class Reply:
    status: int = 200
    body: Any = None
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])


class Hijacked(Exception):
    """The handler has answered by itself and the connection is over."""


Handler = Callable[[Asked], Awaitable[Reply]]


class FakeHttp:
    """`handle` answers; what it raises as `Reply`-less errors breaks the test that asked."""

    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.requests: list[Asked] = []

    async def start(self, unix: str | None = None) -> str:
        if unix is not None:
            self._server = await asyncio.start_unix_server(self._serve, unix)
            return f"unix://{unix}"
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(task := asyncio.create_task(self._talk(reader, writer)))
        task.add_done_callback(self._tasks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(Hijacked, ConnectionError, asyncio.IncompleteReadError):
                while (asked := await read_request(reader, writer)) is not None:
                    self.requests.append(asked)
                    await answer(writer, await self._handle(asked))
                    if asked.headers.get("connection") == "close":
                        break
        finally:
            writer.close()


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Asked | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head[:-4].split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int((await reader.readline()).strip(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    parts = urlsplit(target)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    segments = tuple(unquote(part) for part in parts.path.strip("/").split("/"))
    return Asked(method, parts.path, query, headers, body, reader, writer, segments)


async def answer(writer: asyncio.StreamWriter, reply: Reply) -> None:
    content = reply.content if reply.content is not None else b""
    headers = dict(reply.headers)
    if reply.content is None and reply.body is not None:
        content = json.dumps(reply.body).encode()
        headers["Content-Type"] = "application/json"
    headers["Content-Length"] = str(len(content))
    lines = [f"HTTP/1.1 {reply.status} {REASONS.get(reply.status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + content)
    await writer.drain()
