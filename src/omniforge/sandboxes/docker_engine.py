"""The Docker Engine over its HTTP API, as far as workspaces need it: requests, errors, streams."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx

from omniforge.core.network import refuse_when_closed
from omniforge.sandboxes.workspaces import ProviderUnavailable, WorkspaceFailed, WorkspaceGone

SECONDS = 60.0
SECONDS_TO_PULL = 1800.0
FRAME = 8
"""Bytes before each piece of a command's output: which stream, three zeros, how many bytes follow."""
SHORTEST_SECRET = 6


class Engine:
    """One daemon, at `unix:///path`, `tcp://host:port` or `http(s)://host:port`."""

    def __init__(self, host: str) -> None:
        self._host = host
        scheme, _, rest = host.rpartition("://")
        transport = httpx.AsyncHTTPTransport(uds=rest) if scheme in ("", "unix") else None
        base = {"": "http://docker", "unix": "http://docker", "tcp": f"http://{rest}"}.get(scheme, host)
        self._client = httpx.AsyncClient(
            base_url=base,
            transport=transport,
            timeout=SECONDS,
            trust_env=False,
            event_hooks={"request": [refuse_when_closed]},
        )
        self._version = ""

    async def close(self) -> None:
        await self._client.aclose()

    async def ping(self) -> None:
        """`ProviderUnavailable` when no daemon answers. It is spoken to in the version it says it speaks."""
        response = await self._send("GET", "/_ping", doing="answer")
        version = response.headers.get("api-version", "")
        self._version = f"/v{version}" if version else ""

    async def call(
        self,
        method: str,
        path: str,
        *,
        doing: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content: bytes | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> Any:
        """The JSON of the answer, None when there is none. `secrets` are kept out of an error's message."""
        response = await self._send(
            method, await self._at(path), doing, query=query, body=body, content=content, secrets=secrets
        )
        is_json = response.headers.get("content-type", "").startswith("application/json")
        return response.json() if is_json and response.content else None

    async def download(self, path: str, *, doing: str, query: Mapping[str, Any], limit: int) -> bytes | None:
        """None when it is more than `limit` bytes."""
        found = bytearray()
        try:
            async with self._client.stream("GET", await self._at(path), params=query) as response:
                await self._judge(response, doing)
                async for chunk in response.aiter_raw():
                    found += chunk
                    if len(found) > limit:
                        return None
        except httpx.TransportError as error:
            raise self._unreachable() from error
        return bytes(found)

    async def pull(self, image: str) -> None:
        """A daemon tells in the stream of its progress that it failed, long after it has said 200."""
        name, _, tag = image.rpartition(":") if ":" in image.rpartition("/")[2] else (image, "", "latest")
        response = await self._send(
            "POST",
            await self._at("/images/create"),
            f"get the image {image}",
            query={"fromImage": name, "tag": tag},
            timeout=SECONDS_TO_PULL,
        )
        for line in response.text.splitlines():
            told = _told(line)
            if "error" in told:
                raise WorkspaceFailed(f"Docker could not get the image {image}: {str(told['error'])[:300]}")

    async def output(self, exec_id: str, doing: str) -> AsyncGenerator[bytes]:
        """What a command says, stdout and stderr as they come, until it has ended."""
        request = self._client.build_request(
            "POST",
            await self._at(f"/exec/{exec_id}/start"),
            json={"Detach": False, "Tty": False},
            timeout=httpx.Timeout(SECONDS, read=None),
        )
        try:
            response = await self._client.send(request, stream=True)
            try:
                await self._judge(response, doing)
                async for piece in demultiplex(response.aiter_raw()):
                    yield piece
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            raise self._unreachable() from error

    @asynccontextmanager
    async def attach(self, exec_id: str, doing: str) -> AsyncGenerator[tuple[AsyncIterator[bytes], Any]]:
        """Both directions of a command: what it says, and a function that writes to it."""
        try:
            async with self._client.stream(
                "POST",
                await self._at(f"/exec/{exec_id}/start"),
                json={"Detach": False, "Tty": False},
                headers={"Connection": "Upgrade", "Upgrade": "tcp"},
            ) as response:
                if response.status_code != 101:
                    await self._judge(response, doing)
                    raise WorkspaceFailed(f"Docker could not {doing}: it does not open the connection.")
                stream = response.extensions["network_stream"]

                async def pieces() -> AsyncIterator[bytes]:
                    while chunk := await stream.read(65536, timeout=None):
                        yield chunk

                yield demultiplex(pieces()), stream.write
        except httpx.TransportError as error:
            raise self._unreachable() from error

    async def _at(self, path: str) -> str:
        if not self._version:
            await self.ping()
        return self._version + path

    async def _send(
        self,
        method: str,
        path: str,
        doing: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content: bytes | None = None,
        secrets: Mapping[str, str] | None = None,
        timeout: float = SECONDS,
    ) -> httpx.Response:
        headers = {} if content is None else {"Content-Type": "application/x-tar"}
        try:
            response = await self._client.request(
                method, path, params=query, json=body, content=content, headers=headers, timeout=timeout
            )
        except httpx.TransportError as error:
            raise self._unreachable() from error
        await self._judge(response, doing, secrets)
        return response

    async def _judge(
        self, response: httpx.Response, doing: str, secrets: Mapping[str, str] | None = None
    ) -> None:
        if response.status_code < 400:
            return
        try:
            said = str(json.loads(await response.aread())["message"])
        except (ValueError, KeyError, TypeError):
            said = f"status {response.status_code}"
        for secret in sorted((secrets or {}).values(), key=len, reverse=True):
            said = said.replace(secret, "…") if len(secret) >= SHORTEST_SECRET else said
        kind = WorkspaceGone if response.status_code == 404 else WorkspaceFailed
        raise kind(
            f"Docker could not {doing}: {said[:300].rstrip('.')}.",
            retryable=response.status_code >= 500,
            status=response.status_code,
        )

    def _unreachable(self) -> ProviderUnavailable:
        return ProviderUnavailable(
            f"Docker does not answer at {self._host}. Start it, or set OMNIFORGE_DOCKER_HOST to where it is."
        )


async def demultiplex(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The content of the frames that a command without a terminal is told in, both streams alike."""
    waiting, left = bytearray(), 0
    async for chunk in chunks:
        waiting += chunk
        while waiting:
            if left == 0:
                if len(waiting) < FRAME:
                    break
                left = int.from_bytes(waiting[4:FRAME], "big")
                del waiting[:FRAME]
                continue
            piece = bytes(waiting[:left])
            del waiting[:left]
            left -= len(piece)
            yield piece


def _told(line: str) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except (ValueError, TypeError):
        return {}


def quoted(name: str) -> str:
    return quote(name, safe="")
