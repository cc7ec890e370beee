"""The way out to addresses that come from data: public ones only, on every hop, connected to as checked."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import httpcore
import httpx

from omniforge.core.errors import Forbidden, Invalid
from omniforge.core.network import check_network

MAX_REDIRECTS = 5
SECONDS = 30.0

NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments; one cloud's metadata service lives here
        "192.88.99.0/24",  # relays of 6to4
        "168.63.129.16/32",  # a cloud's metadata service on a public-looking address
        "2001::/23",  # Teredo and other protocol assignments
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "3fff::/20",
    )
)
"""What Python's own tables (of any version we run on) call public and is not."""
UNICAST = ipaddress.ip_network("2000::/3")
TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""IPv6 addresses that stand for an IPv4 address and are translated on the way."""
NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+", re.IGNORECASE)
HOME_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


class AddressRefused(Forbidden):
    """The address is not a public one, or its host is not on the allow-list."""

    code = "address_refused"


def is_public(address: str) -> bool:
    """Whether an IP address is one that anybody may talk to: not private, loopback, link-local, metadata …"""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if ip in TRANSLATED:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        if ip not in UNICAST or ip.scope_id is not None:
            return False
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in NOT_PUBLIC)


def _is_plain(host: str) -> bool:
    """Whether a host that ends like a number is an IPv4 address as everybody writes it."""
    try:
        return str(ipaddress.IPv4Address(host)) == host
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Guard:
    """Where this installation may reach.

    `allowed_hosts` (`api.example.com`, `*.example.com`, `*`): empty means every public host. `permitted`:
    networks that are reached though private.
    """

    allowed_hosts: Sequence[str] = ()
    permitted: Sequence[str] = ()

    def check(self, url: str) -> str:
        """The host of an http(s) address; before any connection, on every hop."""
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname or "", parts.port
        except ValueError as error:
            raise Invalid(f"{url[:200]!r} is not an address.", code="address_invalid") from error
        if parts.scheme not in ("http", "https") or not host:
            raise AddressRefused("Only http and https addresses are reached.", url=url[:200])
        if parts.username or parts.password:
            raise AddressRefused("Addresses with a user name in them are not reached.", host=host)
        self.check_host(host)
        return host

    def check_host(self, host: str) -> None:
        """The name alone; what it resolves to is checked by `resolve`."""
        if not self.lists(host):
            raise AddressRefused(f"{host[:200]} is not on the list of allowed hosts.", host=host[:200])
        name = host.lower().rstrip(".")
        if "%" in host or (not self.permitted and f".{name}".endswith(HOME_NAMES)):
            raise AddressRefused(f"{host[:200]} is a name for things inside.", host=host[:200])
        if NUMBER.fullmatch(name.rpartition(".")[2]) and not _is_plain(host):
            raise AddressRefused(f"{host[:200]} is a number in disguise.", host=host[:200])

    def lists(self, host: str) -> bool:
        """Whether the list of allowed hosts has this one, or there is no list."""
        name = host.lower().rstrip(".")
        return not self.allowed_hosts or any(
            entry in ("*", name) or (entry.startswith("*.") and name.endswith(entry[1:]))
            for entry in self.allowed_hosts
        )

    async def resolve(self, host: str, port: int) -> list[str]:
        """The host's addresses, all of them checked. OSError when it has none."""
        check_network()
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for address in addresses:
            if not self._may_reach(address):
                raise AddressRefused(
                    f"{host} is not a public address, so it is not reached from here.", host=host
                )
        return addresses

    def _may_reach(self, address: str) -> bool:
        if is_public(address):
            return True
        ip = ipaddress.ip_address(address)
        return any(ip in ipaddress.ip_network(network) for network in self.permitted)

    def client(self, transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
        """A client of ours: no proxies, no redirects unless asked for, capped in time."""
        return httpx.AsyncClient(
            transport=transport or GuardedTransport(self),
            timeout=SECONDS,
            trust_env=False,
            max_redirects=MAX_REDIRECTS,
        )


class GuardedTransport(httpx.AsyncBaseTransport):
    """Checks the address of every request, those of redirects included."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._inner = httpx.AsyncHTTPTransport(trust_env=False, retries=0)
        # httpx offers no argument for the network backend; its pool is the one seam.
        self._inner._pool = httpcore.AsyncConnectionPool(  # pyright: ignore[reportPrivateUsage]
            ssl_context=httpx.create_ssl_context(trust_env=False), network_backend=GuardedBackend(guard)
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        check_network()
        self._guard.check(str(request.url))
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


class LocalTransport(httpx.AsyncBaseTransport):
    """One local server in place of every address: what passes the guard goes there, with its own `Host`."""

    def __init__(self, guard: Guard, address: str) -> None:
        self._guard, self._place = guard, httpx.URL(address)
        self._inner = httpx.AsyncHTTPTransport(trust_env=False, verify=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        check_network()
        self._guard.check(str(request.url))
        place = self._place
        there = request.url.copy_with(scheme=place.scheme, host=place.host, port=place.port)
        sent = httpx.Request(request.method, there, headers=request.headers, stream=request.stream)
        sent.extensions = request.extensions
        return await self._inner.handle_async_request(sent)

    async def aclose(self) -> None:
        await self._inner.aclose()


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects only to addresses that pass; a name is resolved once, and that answer is used."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._inner = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await self._guard.resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} has no address") from error
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses[:4]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise AddressRefused("Sockets of this computer are not reached from here.")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)
