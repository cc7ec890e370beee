"""Daytona over its REST API (shapes of its Python client 0.226): sandboxes, and the toolbox inside each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
from pydantic import SecretStr

from omniforge.core.network import refuse_when_closed
from omniforge.sandboxes.docker_engine import quoted
from omniforge.sandboxes.workspaces import ProviderUnavailable, WorkspaceFailed, WorkspaceGone

SECONDS = 60.0
NOT_SET_UP = "Daytona is not set up: put an API key into OMNIFORGE_DAYTONA_API_KEY."


class Daytona:
    """One account. Without a key every call is `ProviderUnavailable`."""

    def __init__(self, url: str, key: SecretStr | None) -> None:
        self._url, self._key = url.rstrip("/"), key
        secret = "" if key is None else key.get_secret_value()
        self._client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {secret}", "X-Daytona-Source": "omniforge"} if secret else {},
            timeout=SECONDS,
            trust_env=False,
            event_hooks={"request": [refuse_when_closed]},
        )
        self._toolboxes: dict[str, str] = {}

    async def close(self) -> None:
        await self._client.aclose()

    async def call(
        self,
        method: str,
        path: str,
        *,
        doing: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
    ) -> Any:
        response = await self._send(method, self._url + path, doing, params=query, json=body)
        return response.json() if response.content else None

    async def find(self, ref: str) -> dict[str, Any]:
        """The sandbox as Daytona tells it now; `WorkspaceGone` also for one that is being destroyed."""
        found: dict[str, Any] = await self.call("GET", f"/sandbox/{quoted(ref)}", doing="find a sandbox")
        if found.get("state") in ("destroyed", "destroying"):
            raise WorkspaceGone("Daytona has destroyed this sandbox.")
        if found.get("toolboxProxyUrl"):
            self._toolboxes[ref] = str(found["toolboxProxyUrl"]).rstrip("/")
        return found

    async def toolbox(
        self, ref: str, method: str, path: str, *, doing: str, body: Any = None, timeout: float = SECONDS
    ) -> Any:
        response = await self._send_inside(ref, method, path, doing, json=body, timeout=timeout)
        return response.json() if response.content else None

    async def upload(self, ref: str, path: str, content: bytes) -> None:
        await self._send_inside(
            ref,
            "POST",
            "/files/bulk-upload",
            "write into a sandbox",
            data={"files[0].path": path},
            files={"files[0].file": (path.rpartition("/")[2], content, "application/octet-stream")},
            timeout=600.0,
        )

    async def download(self, ref: str, path: str, *, limit: int) -> bytes | None:
        """None when it is more than `limit` bytes."""
        url, found = await self._inside(ref, "/files/download"), bytearray()
        try:
            async with self._client.stream("GET", url, params={"path": path}, timeout=600.0) as response:
                await self._judge(response, "read from a sandbox")
                async for chunk in response.aiter_bytes():
                    found += chunk
                    if len(found) > limit:
                        return None
        except httpx.TransportError as error:
            raise self._unreachable() from error
        return bytes(found)

    async def _send_inside(
        self, ref: str, method: str, path: str, doing: str, **given: Any
    ) -> httpx.Response:
        """A toolbox that is gone with its sandbox answers one way or another: then `WorkspaceGone`."""
        try:
            return await self._send(method, await self._inside(ref, path), doing, **given)
        except WorkspaceFailed:
            await self.find(ref)
            raise

    async def _inside(self, ref: str, path: str) -> str:
        if ref not in self._toolboxes:
            await self.find(ref)
        if ref not in self._toolboxes:
            told = await self.call(
                "GET", f"/sandbox/{quoted(ref)}/toolbox-proxy-url", doing="find the way into a sandbox"
            )
            self._toolboxes[ref] = str(told["url"]).rstrip("/")
        return f"{self._toolboxes[ref]}/{quoted(ref)}{path}"

    async def _send(self, method: str, url: str, doing: str, **given: Any) -> httpx.Response:
        if self._key is None:
            raise ProviderUnavailable(NOT_SET_UP)
        try:
            response = await self._client.request(method, url, **given)
        except httpx.TransportError as error:
            raise self._unreachable() from error
        await self._judge(response, doing)
        return response

    async def _judge(self, response: httpx.Response, doing: str) -> None:
        status = response.status_code
        if status < 400:
            return
        if status in (401, 403):
            raise ProviderUnavailable(
                f"Daytona refuses to {doing} with this key: check OMNIFORGE_DAYTONA_API_KEY and its rights."
            )
        await response.aread()
        try:
            said = response.json()["message"]
        except (ValueError, KeyError, TypeError):
            said = f"status {status}"
        said = "; ".join(map(str, said)) if isinstance(said, list) else str(said)  # pyright: ignore[reportUnknownArgumentType]
        if self._key is not None:
            said = said.replace(self._key.get_secret_value(), "…")
        kind = WorkspaceGone if status == 404 else WorkspaceFailed
        raise kind(
            f"Daytona could not {doing}: {said[:300].rstrip('.')}.",
            retryable=status == 429 or status >= 500,
            status=status,
        )

    def _unreachable(self) -> ProviderUnavailable:
        return ProviderUnavailable(f"Daytona does not answer at {self._url}.")
