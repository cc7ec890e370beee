"""HTTP to public addresses only: each name is resolved once, checked, and connected to as checked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, Field

from omniforge.core.errors import Invalid, ProviderError
from omniforge.core.network import NetworkDisabled
from omniforge.core.outward import MAX_REDIRECTS, SECONDS, Guard
from omniforge.core.plaintext import charset_of, text_of_html
from omniforge.integrations.manifest import Access
from omniforge.runs.service import Mode
from omniforge.runtime.tools.protocol import CallScope, Json, LocalTool

MAX_BYTES = 2 * 1_048_576
KEPT_HEADERS = ("content-type", "last-modified", "etag", "date")


class HttpArguments(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str = Field(min_length=8, max_length=2000)
    headers: dict[str, str] = Field(default_factory=dict[str, str], max_length=20)


class PageArguments(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str = Field(min_length=8, max_length=2000)


@dataclass(frozen=True, slots=True)
class Web:
    """The `Http` and `WebFetch` tools: GET over http(s). `allowed_hosts` empty means every public host."""

    allowed_hosts: Sequence[str] = ()
    permitted: Sequence[str] = ()

    async def get(self, args: HttpArguments, scope: CallScope) -> Json:
        if scope.mode is Mode.DRY:
            raise NetworkDisabled("A dry run has no network.")
        guard = Guard(self.allowed_hosts, self.permitted)
        guard.check(args.url)
        async with asyncio.timeout(SECONDS), guard.client() as client:
            return await self._result(await self._fetch(client, args.url, args.headers))

    async def _fetch(self, client: httpx.AsyncClient, url: str, headers: dict[str, str]) -> httpx.Response:
        try:
            request = client.build_request("GET", url, headers=headers)
            return await client.send(request, stream=True, follow_redirects=True)
        except httpx.InvalidURL as error:
            raise Invalid(f"{url[:200]!r} is not an address.", code="address_invalid") from error
        except httpx.TooManyRedirects as error:
            raise Invalid(
                f"More than {MAX_REDIRECTS} redirects.", code="too_many_redirects", url=url
            ) from error
        except httpx.TimeoutException as error:
            raise ProviderError(
                f"{urlsplit(url).hostname} did not answer in time.", retryable=True
            ) from error
        except httpx.HTTPError as error:
            raise ProviderError(f"{urlsplit(url).hostname} cannot be reached.", retryable=True) from error

    async def _result(self, answer: httpx.Response) -> Json:
        data = bytearray()
        truncated = False
        try:
            async for part in answer.aiter_bytes():
                data += part
                if len(data) > MAX_BYTES:
                    truncated = True
                    break
        except httpx.HTTPError as error:
            raise ProviderError("The answer broke off.", retryable=True) from error
        finally:
            await answer.aclose()
        return {
            "status": answer.status_code,
            "url": str(answer.url),
            "headers": {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers},
            "text": bytes(data[:MAX_BYTES]).decode(charset_of(answer.charset_encoding), errors="replace"),
            "truncated": truncated,
        }

    async def page(self, args: PageArguments, scope: CallScope) -> Json:
        """A page as its words."""
        answer = await self.get(HttpArguments(url=args.url), scope)
        is_page = "html" in str(answer["headers"].get("content-type", ""))
        text = text_of_html(str(answer["text"])) if is_page else str(answer["text"])
        return {
            "url": answer["url"],
            "status": answer["status"],
            "text": text,
            "truncated": answer["truncated"],
        }

    def page_tool(self) -> LocalTool:
        return LocalTool(
            name="WebFetch",
            description="Read a public web page as plain text.",
            arguments=PageArguments,
            access=Access.READ,
            run=self.page,
            subject_field="url",
            outward=True,
        )

    def tool(self) -> LocalTool:
        return LocalTool(
            name="Http",
            description="Get a page or JSON from a public web address.",
            arguments=HttpArguments,
            access=Access.READ,
            run=self.get,
            subject_field="url",
            outward=True,
        )
