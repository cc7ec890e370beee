"""The guard of addresses that come from data: what is refused, in every form it can be written."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.core.errors import Invalid
from omniforge.core.outward import AddressRefused, Guard, is_public

NOT_PUBLIC = [
    # IPv4: this host, private, shared by carriers, loopback, link-local, documentation, benchmarks …
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.254",
    "127.0.0.1", "127.255.255.254", "169.254.0.1", "169.254.169.254", "169.254.170.2", "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "192.168.255.255",
    "198.18.0.1",
    "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "168.63.129.16",
    # IPv6: unspecified, loopback, private, link-local, site-local, documentation, multicast, discard
    "::", "::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff05::2",
    "2001:db8::1", "3fff::1", "100::1", "5f00::1", "2001::1", "2001:2::1", "2001:10::1",
    # IPv4 in the clothes of IPv6: mapped, compatible, translated, 6to4, Teredo
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:7f00:1", "::ffff:0:127.0.0.1",
    "::127.0.0.1", "::7f00:1", "::8.8.8.8", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1",
    "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2606:4700::1%eth0", "nonsense", "", "8.8.8", "08.8.8.8",
]  # fmt: skip

REFUSED_URLS = [
    # this computer and its neighbours, by name and number
    "http://localhost/", "http://localhost.:1/", "http://LOCALHOST:1/", "http://127.0.0.1/", "http://127.0.0.1:22/",
    "http://127.0.0.1./", "https://10.0.0.5/", "http://192.168.1.1/", "http://0.0.0.0:80/", "http://0/",
    "http://169.254.169.254/latest/meta-data/", "http://100.100.100.200/latest/meta-data/",
    "http://168.63.129.16/machine", "http://192.0.0.192/opc/v2/", "http://[fd00:ec2::254]/latest/",
    # odd forms of numbers
    "http://2130706433/", "http://017700000001/", "http://0x7f000001/", "http://0x7f.0x0.0x0.0x1/",
    "http://0177.0.0.1/", "http://127.1/", "http://127.0.1/", "http://0x7f.1/", "http://127.0.0.01/",
    "http://3232235521/", "http://0xA9FEA9FE/", "http://2852039166/", "http://1.1.1.1.1/", "http://256.256.256.256/",
    "http://0x08080808/", "http://134744072/", "http://10.1/", "http://127.0.0.0x1/", "http://4294967297/",
    # IPv6
    "http://[::]/", "http://[::1]/", "http://[0:0:0:0:0:0:0:1]/", "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/", "http://[::127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://[fe80::1]/",
    "http://[fc00::1]/", "http://[ff02::1]/", "http://[2002:7f00:1::1]/", "http://[::ffff:169.254.169.254]/",
    # other schemes, other tricks
    "file:///etc/passwd", "ftp://example.org/", "gopher://127.0.0.1:6379/_INFO", "dict://127.0.0.1:11211/",
    "data:text/plain,hi", "unix:///run/docker.sock", "http+unix://%2Frun%2Fdocker.sock/", "//127.0.0.1/", "http:///x",
    "http://", "", "javascript:alert(1)", "http://user:pw@example.org/", "http://example.org@127.0.0.1/",
    "http://%31%32%37.0.0.1/", "http://127.0.0.1%00.example.org/", "http://127。0。0。1/", "http://①②⑦.0.0.1/",
    "http://127.0.0.1\\@example.org/", "http://localhost#@example.org/", "http://127.0.0.1?@example.org/",
    "http://metadata.google.internal/", "http://printer.local/", "http://app.localhost/", "http://nas.lan/",
    "http://[bad/", "http://example.org:99999/", "http://example.org:port/", "http://[::1%25lo]/", "http://[v1.x]/",
]  # fmt: skip


def test_the_tables_are_long_enough_to_mean_something() -> None:
    assert len(set(NOT_PUBLIC)) == len(NOT_PUBLIC) >= 60
    assert len(set(REFUSED_URLS)) == len(REFUSED_URLS) >= 60


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_are_not_public_are_told_apart(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("93.184.216.34", "1.1.1.1", "100.128.0.1", "172.32.0.1", "::ffff:1.1.1.1"),
        *("2606:4700:4700::1111", "64:ff9b::101:101"),
    ],
)
def test_public_addresses_pass(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_as_public_in_the_clothes_of_ipv6(ip: object) -> None:
    assert is_public(f"::ffff:{ip}") == is_public(f"64:ff9b::{ip}") == is_public(str(ip))


async def fetched(guard: Guard, client: httpx.AsyncClient, url: str, sent: list[str]) -> None:
    """As every caller does it: the address is checked, then asked for."""
    guard.check(url)
    sent.append((await client.get(url)).text)


@pytest.mark.parametrize("url", REFUSED_URLS)
async def test_addresses_inside_are_refused_before_anything_is_sent(url: str) -> None:
    sent: list[str] = []
    guard = Guard()
    async with guard.client() as client:
        with pytest.raises((AddressRefused, Invalid, httpx.UnsupportedProtocol, httpx.InvalidURL)):
            await fetched(guard, client, url, sent)
    assert sent == []


@pytest.fixture
async def site() -> AsyncIterator[tuple[str, dict[str, bytes]]]:
    """A small web server on loopback; answers are redirects by path."""
    places: dict[str, bytes] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
        place = places.get(path)
        head = b"302 Found\r\nLocation: " + place if place is not None else b"200 OK"
        writer.write(b"HTTP/1.1 " + head + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", places
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    "place",
    ["http://127.0.0.2/", "http://169.254.169.254/", "http://[::1]/", "http://2130706433/", "//10.0.0.1/",
     "http://127.0.0.2.:80/", "http://0x7f000002/", "http://[::ffff:10.0.0.1]/", "http://a:b@127.0.0.1/"],
)  # fmt: skip
async def test_every_hop_is_checked(site: tuple[str, dict[str, bytes]], place: str) -> None:
    base, places = site
    places["/go"] = base.encode() + b"/on"
    places["/on"] = place.encode()
    async with Guard(permitted=["127.0.0.1/32"]).client() as client:
        assert (await client.get(f"{base}/fine", follow_redirects=True)).status_code == 200
        with pytest.raises(AddressRefused):
            await client.get(f"{base}/go", follow_redirects=True)


async def test_a_redirect_off_the_list_is_refused(site: tuple[str, dict[str, bytes]]) -> None:
    base, places = site
    places["/go"] = b"https://example.com/"
    async with Guard(["127.0.0.1"], ["127.0.0.1/32"]).client() as client:
        with pytest.raises(AddressRefused, match="list of allowed hosts"):
            await client.get(f"{base}/go", follow_redirects=True)


async def test_a_private_address_is_resolved_only_where_it_is_permitted() -> None:
    with pytest.raises(AddressRefused):
        await Guard(permitted=["127.0.0.2/32"]).resolve("127.0.0.1", 80)
    assert await Guard(permitted=["127.0.0.0/8"]).resolve("127.0.0.1", 80) == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("entries", "host", "listed"),
    [
        ((), "any.example", True),
        (("api.example.com",), "API.example.com", True),
        (("api.example.com",), "api.example.com.", True),
        (("api.example.com",), "example.com", False),
        (("api.example.com",), "evil-api.example.com", False),
        (("*.example.com",), "a.b.example.com", True),
        (("*.example.com",), "example.com", False),
        (("*.example.com",), "evilexample.com", False),
        (("api.example.com",), "api.example.com.evil.org", False),
    ],
)
def test_the_list_of_hosts_is_matched_whole(entries: tuple[str, ...], host: str, listed: bool) -> None:
    assert Guard(entries).lists(host) is listed
