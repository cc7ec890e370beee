"""The only way out of a workspace: an HTTP proxy of ours that decides what is reached.

Inside, `http://omniforge` is the OmniForge API. Of the rest, `Network` tells what is reached, and no private
address ever is. Requests to the API must bear a sandbox's token: without one, a server for a single user on
this computer would take them for its owner's.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from omniforge.core.errors import OmniForgeError
from omniforge.core.outward import Guard
from omniforge.sandboxes.workspaces import Network

ALIAS = "omniforge"
"""The host of the API as programs inside know it."""
API_INSIDE = f"http://{ALIAS}"
PROXY = "http://127.0.0.1:3128"
"""Where `sandbox_kit.forward` listens."""
TOKEN = "ofs_"  # noqa: S105 - how every token begins, not one
PIECE = 65536
MAX_HEAD = 65536
MAX_BODY = 16 * 1024 * 1024
SECONDS_TO_ASK = 30.0
SECONDS_TO_CONNECT = 15.0
SECONDS_OF_SILENCE = 600.0
SECONDS_TO_SWALLOW = 5.0
ADDRESSES_TRIED = 4

NOT_PASSED_ON = frozenset(
    {"connection", "keep-alive", "te", "trailer", "upgrade", "cookie", "forwarded", "x-real-ip", "expect"}
)

PROXIED = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), PROXY)
ENVIRONMENT = PROXIED | dict.fromkeys(("NO_PROXY", "no_proxy"), "localhost,127.0.0.1,::1")
"""Makes programs inside use it, but not among themselves."""


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Refused(Exception):
    """A request that is not relayed: the status and one sentence for whoever asked."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    """The first lines of one request."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]]

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]


class Ways:
    """What may be reached from one workspace, and the connection to it."""

    def __init__(
        self, api_url: str, network: Network, registries: Sequence[str], permitted: Sequence[str] = ()
    ) -> None:
        self.api = httpx.URL(api_url)
        self._network = network
        self._guard = Guard(registries if network is Network.ALLOWLIST else (), permitted)

    def is_api(self, host: str, port: int) -> bool:
        return host == self.api.host and port == (self.api.port or default_port(self.api.scheme))

    async def open(self, host: str, port: int) -> Ends:
        if self._network is Network.NONE or (
            self._network is Network.ALLOWLIST and not self._guard.allowed_hosts
        ):
            raise Refused("403 Forbidden", f"This sandbox has no network, so {host[:200]} is not reached.")
        try:
            self._guard.check_host(host)
            addresses = await self._guard.resolve(host, port)
        except OmniForgeError as error:
            raise Refused("403 Forbidden", error.message) from error
        except (OSError, UnicodeError) as error:
            raise Refused("502 Bad Gateway", f"{host[:200]} has no address.") from error
        return await connect(addresses[:ADDRESSES_TRIED], port)

    async def open_api(self) -> Ends:
        secured = ssl.create_default_context() if self.api.scheme == "https" else None
        return await connect([self.api.host], self.api.port or default_port(self.api.scheme), secured)


class Relay:
    """Answers the connections of one workspace on a unix socket."""

    def __init__(self, ways: Ways) -> None:
        self._ways = ways
        self._server: asyncio.Server | None = None
        self._answering: set[asyncio.Task[None]] = set()

    async def start(self, path: Path, owner: int | None) -> None:
        """Listen at `path`, of which only `owner` may make use."""
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            # Through the folder's descriptor: the name of a socket may have 107 bytes only.
            short = f"/proc/self/fd/{folder}/{path.name}"
            with suppress(FileNotFoundError):
                os.unlink(short)
            self._server = await asyncio.start_unix_server(self._accept, short, limit=MAX_HEAD)
            os.chmod(short, 0o600)
            if owner is not None:
                os.chown(short, owner, owner)
        finally:
            os.close(folder)

    async def connect(self) -> Ends:
        """A connection to it that needs no name on the disk."""
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=theirs, limit=MAX_HEAD)
        self._answering.add(task := asyncio.create_task(self._answer_once(reader, writer)))
        task.add_done_callback(self._answering.discard)
        return await asyncio.open_connection(sock=ours)

    async def _answer_once(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.answer(reader, writer)
        finally:
            writer.close()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in tuple(self._answering):
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of ours: streams complain about theirs when it is cancelled.
        self._answering.add(task := asyncio.create_task(self._answer_once(reader, writer)))
        task.add_done_callback(self._answering.discard)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, or one tunnel."""
        with suppress(OSError):
            try:
                head = await asyncio.wait_for(read_head(reader), SECONDS_TO_ASK)
                if head is not None:
                    await self._relay(head, reader, writer)
            except Refused as refusal:
                body = f"{refusal}\n".encode()
                writer.write(
                    f"HTTP/1.1 {refusal.status}\r\nContent-Type: text/plain; charset=utf-8\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                    + body
                )
                await writer.drain()
                writer.write_eof()
                await asyncio.wait_for(swallow(reader), SECONDS_TO_SWALLOW)
            except TimeoutError:
                pass  # whoever asks so slowly is not waiting for an answer

    async def _relay(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if head.method == "CONNECT":
            host, port = split_authority(head.target, 443)
            is_api = self._ways.api.scheme == "https" and self._ways.is_api(host, port)
            there = await (connect([host], port) if is_api else self._ways.open(host, port))
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await exchange((reader, writer), there)
            return
        try:
            parts = urlsplit(head.target)
            host, port = (parts.hostname or "").lower(), parts.port or 80
        except ValueError as error:
            raise Refused("400 Bad Request", "The address cannot be read.") from error
        if parts.scheme != "http" or not host or parts.username is not None:
            raise Refused("400 Bad Request", "Ask for http://host/path, or CONNECT host:port.")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if (host, port) == (ALIAS, 80) or self._ways.is_api(host, port):
            await self._ask_api(head, path, reader, writer)
            return
        there = await self._ways.open(host, port)
        there[1].write(render(head, path, parts.netloc))
        await exchange((reader, writer), there)

    async def _ask_api(
        self, head: Head, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """One request and no more: a second one behind it would not have been looked at."""
        bearing = head.values("authorization")
        if len(bearing) != 1 or not bearing[0].startswith(f"Bearer {TOKEN}"):
            raise Refused("401 Unauthorized", "Requests to OmniForge need this sandbox's token.")
        lengths = head.values("content-length") or ["0"]
        if head.values("transfer-encoding") or len(lengths) > 1 or not lengths[0].isdecimal():
            raise Refused("411 Length Required", "Requests to OmniForge tell the length of their body.")
        length = int(lengths[0])
        if length > MAX_BODY:
            raise Refused("413 Content Too Large", f"A request to OmniForge may have {MAX_BODY} bytes.")
        body = await reader.readexactly(length) if length else b""
        there_reader, there_writer = await self._ways.open_api()
        try:
            api = self._ways.api
            there_writer.write(render(head, api.path.rstrip("/") + path, api.netloc.decode()) + body)
            await there_writer.drain()
            await pump(there_reader, writer)
        finally:
            there_writer.close()


def default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """None when nothing was asked."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError as error:
        raise Refused(
            "431 Request Header Fields Too Large", "The head of the request is too long."
        ) from error
    first, *lines = raw[:-4].decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or not first.isprintable():
        raise Refused("400 Bad Request", "This is not a request of HTTP/1.1.")
    headers: list[tuple[str, str]] = []
    for line in lines:
        name, colon, value = line.partition(":")
        is_name = bool(name) and all(sign.isalnum() or sign in "!#$%&'*+-.^_`|~" for sign in name)
        if not colon or not is_name or any(sign in value for sign in "\r\n\0"):
            raise Refused("400 Bad Request", "A header of the request is broken.")
        headers.append((name, value.strip()))
    return Head(words[0], words[1], headers)


def render(head: Head, path: str, host: str) -> bytes:
    """The request as its server gets it: one, with nothing that is for proxies."""
    kept = [
        f"{name}: {value}"
        for name, value in head.headers
        if name.lower() not in NOT_PASSED_ON
        and not name.lower().startswith(("proxy-", "x-forwarded-"))
        and name.lower() != "host"
    ]
    lines = [f"{head.method} {path} HTTP/1.1", f"Host: {host}", *kept, "Connection: close"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def split_authority(target: str, default: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{target}")
        host, port = parts.hostname, parts.port or default
    except ValueError:
        host, port = None, default
    if not host or "@" in target or "/" in target:
        raise Refused("400 Bad Request", "CONNECT wants host:port.")
    return host.lower(), port


async def connect(addresses: Sequence[str], port: int, secured: ssl.SSLContext | None = None) -> Ends:
    for address in addresses:
        with suppress(OSError):
            opening = asyncio.open_connection(address, port, ssl=secured)
            return await asyncio.wait_for(opening, SECONDS_TO_CONNECT)
    raise Refused("502 Bad Gateway", "The other side does not answer.")


async def exchange(here: Ends, there: Ends) -> None:
    """Both directions, until the answer is over or nothing has been said for long."""
    sending = asyncio.create_task(pump(here[0], there[1]))
    try:
        await pump(there[0], here[1])
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        there[1].close()


async def swallow(reader: asyncio.StreamReader) -> None:
    """What is still being asked: closed before that was read, a connection takes its answer with it."""
    for _ in range(MAX_BODY // PIECE):
        if not await reader.read(PIECE):
            return


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All that comes, to its end or until the other side listens no more."""
    with suppress(OSError, TimeoutError):
        while chunk := await asyncio.wait_for(reader.read(PIECE), SECONDS_OF_SILENCE):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
