"""HTTP to public addresses only: each name is resolved once, checked, and connected to as checked."""

from __future__ import annotations

import asyncio
import codecs
import ipaddress
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

import httpcore
import httpx
from pydantic import BaseModel, ConfigDict, Field

from omniforge.core.errors import Forbidden, Invalid, ProviderError
from omniforge.integrations.manifest import Access
from omniforge.runs.service import Mode
from omniforge.runtime.tools.protocol import CallScope, Json, LocalTool

MAX_BYTES = 2 * 1_048_576
MAX_REDIRECTS = 5
SECONDS = 30.0
CHARSETS = (
    "utf-8",
    "utf-16",
    "utf-32",
    "ascii",
    "iso8859",
    "cp125",
    "koi8",
    "gb",
    "big5",
    "euc_",
    "shift_jis",
    "iso2022",
    "mac-",
)
KEPT_HEADERS = ("content-type", "last-modified", "etag", "date")


class AddressRefused(Forbidden):
    """The address is not a public one, or its host is not on the allow-list."""

    code = "address_refused"


def is_public(address: str) -> bool:
    """Whether an IP address is one that anybody may talk to: not private, loopback, link-local, metadata …"""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            return is_public(str(inner))
        if ip in ipaddress.ip_network("64:ff9b::/96"):
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip.is_global and not ip.is_multicast


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects only to addresses that pass; the name is resolved once and that answer is used."""

    def __init__(self, permitted: Sequence[str] = ()) -> None:
        self._inner = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())
        self._permitted = [ipaddress.ip_network(network) for network in permitted]

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(f"{host} has no address") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for address in addresses:
            if not self._may_reach(address):
                raise AddressRefused(
                    f"{host} is not a public address, so it is not reached from here.", host=host
                )
        return await self._inner.connect_tcp(addresses[0], port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise AddressRefused("Sockets of this computer are not reached from here.")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)

    def _may_reach(self, address: str) -> bool:
        ip = ipaddress.ip_address(address.partition("%")[0])
        return is_public(address) or any(ip in network for network in self._permitted)


def guarded_client(permitted: Sequence[str] = ()) -> httpx.AsyncClient:
    """A client for addresses that come from data. `permitted`: networks that are reached though private."""
    transport = httpx.AsyncHTTPTransport(trust_env=False, retries=0)
    # httpx offers no argument for the network backend; its pool is the one seam.
    transport._pool = httpcore.AsyncConnectionPool(  # pyright: ignore[reportPrivateUsage]
        ssl_context=httpx.create_ssl_context(), network_backend=GuardedBackend(permitted)
    )
    return httpx.AsyncClient(transport=transport, timeout=SECONDS, trust_env=False, follow_redirects=False)


def _charset(answer: httpx.Response) -> str:
    """What the page says it is written in, if pages are; Python also knows codecs that take minutes."""
    try:
        name = codecs.lookup(answer.charset_encoding or "utf-8").name
    except (LookupError, ValueError):
        return "utf-8"
    return name if name.startswith(CHARSETS) else "utf-8"


class HttpArguments(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str = Field(min_length=8, max_length=2000)
    headers: dict[str, str] = Field(default_factory=dict[str, str], max_length=20)


@dataclass(frozen=True, slots=True)
class Web:
    """The `Http` tool: GET over http(s). `allowed_hosts` empty means every public host."""

    allowed_hosts: Sequence[str] = ()
    permitted: Sequence[str] = ()

    async def get(self, args: HttpArguments, scope: CallScope) -> Json:
        if scope.mode is Mode.DRY:
            raise Forbidden("A dry run has no network.", code="network_disabled")
        url = args.url
        async with asyncio.timeout(SECONDS), guarded_client(self.permitted) as client:
            for _ in range(MAX_REDIRECTS + 1):
                self.check_host(url)
                answer = await self._fetch(client, url, args.headers)
                if not answer.has_redirect_location:
                    return await self._result(answer)
                await answer.aclose()
                url = urljoin(url, answer.headers["location"])
        raise Invalid(f"More than {MAX_REDIRECTS} redirects.", code="too_many_redirects", url=args.url)

    def check_host(self, url: str) -> None:
        """Before any connection, on every hop."""
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname or "", parts.port
        except ValueError as error:
            raise Invalid(f"{url[:200]!r} is not an address.", code="address_invalid") from error
        if parts.scheme not in ("http", "https") or not host:
            raise AddressRefused("Only http and https addresses are reached.", url=url[:200])
        if parts.username or parts.password:
            raise AddressRefused("Addresses with a user name in them are not reached.", host=host)
        if self.allowed_hosts and host.lower() not in self.allowed_hosts:
            raise AddressRefused(f"{host} is not on the list of allowed hosts.", host=host)

    async def _fetch(self, client: httpx.AsyncClient, url: str, headers: dict[str, str]) -> httpx.Response:
        try:
            request = client.build_request("GET", url, headers=headers)
            return await client.send(request, stream=True)
        except httpx.InvalidURL as error:
            raise Invalid(f"{url[:200]!r} is not an address.", code="address_invalid") from error
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
            "text": bytes(data[:MAX_BYTES]).decode(_charset(answer), errors="replace"),
            "truncated": truncated,
        }

    def tool(self) -> LocalTool:
        return LocalTool(
            name="Http",
            description="Get a page or JSON from a public web address.",
            arguments=HttpArguments,
            access=Access.READ,
            run=self.get,
            subject_field="url",
        )
