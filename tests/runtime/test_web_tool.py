"""The Http tool: public addresses only, on every hop, with limits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from omniforge.core.errors import Forbidden, Invalid, ProviderError
from omniforge.core.outward import AddressRefused
from omniforge.runs.service import Mode
from omniforge.runtime.tools.protocol import CallScope
from omniforge.runtime.tools.web import MAX_BYTES, HttpArguments, Web

Answer = Callable[[str], Awaitable[bytes]]


def scope(mode: Mode = Mode.LIVE) -> CallScope:
    return CallScope("t", "u", mode, datetime(2026, 1, 5, tzinfo=UTC), Path("/nonexistent"))


@pytest.fixture
async def site() -> AsyncIterator[tuple[str, dict[str, bytes]]]:
    """A small web server on loopback; pages are raw answers by path."""
    pages: dict[str, bytes] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
        writer.write(pages.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
        with contextlib.suppress(ConnectionError):  # the other end may have read enough
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}", pages
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:1/", "http://127.0.0.1:1/", "http://0x7f.1:1/", "http://2130706433/", "http://127.1:1/",
        "http://[::1]:1/", "http://[::ffff:127.0.0.1]:1/", "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd", "ftp://example.org/", "gopher://example.org/", "http:///x", "http://user:pw@example.org/",
    ],
)  # fmt: skip
async def test_addresses_inside_are_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(AddressRefused):
        await Web().get(HttpArguments(url=url), scope())


@pytest.mark.parametrize("url", ["http://[bad/", "http://example.org:99999/"])
async def test_what_is_no_address_is_said_to_be_none(url: str) -> None:
    with pytest.raises(Invalid):
        await Web().get(HttpArguments(url=url), scope())


async def test_a_redirect_to_an_inside_address_is_refused(site: tuple[str, dict[str, bytes]]) -> None:
    base, pages = site
    pages["/go"] = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:9/\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(AddressRefused):
        await Web(permitted=["127.0.0.1/32"]).get(HttpArguments(url=f"{base}/go"), scope())


async def test_endless_redirects_end(site: tuple[str, dict[str, bytes]]) -> None:
    base, pages = site
    pages["/loop"] = b"HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(Invalid, match="redirects"):
        await Web(permitted=["127.0.0.1/32"]).get(HttpArguments(url=f"{base}/loop"), scope())


async def test_a_page_comes_back_and_a_huge_one_is_cut_and_said_to_be(
    site: tuple[str, dict[str, bytes]],
) -> None:
    base, pages = site
    pages["/ok"] = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nSet-Cookie: a=b\r\nContent-Length: 5\r\n\r\nhello"
    )
    body = b"x" * (MAX_BYTES + 1000)
    pages["/big"] = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body
    web = Web(permitted=["127.0.0.1/32"])
    page = await web.get(HttpArguments(url=f"{base}/ok"), scope())
    assert (page["status"], page["text"], page["truncated"]) == (200, "hello", False)
    assert page["headers"] == {"content-type": "text/plain"}
    big = await web.get(HttpArguments(url=f"{base}/big"), scope())
    assert (len(big["text"]), big["truncated"]) == (MAX_BYTES, True)


@pytest.mark.parametrize(
    ("charset", "text"),
    [("iso-8859-1", "é"), ("latin1", "é"), ("windows-1252", "é"), ("hex", "\ufffd"), ("punycode", "\ufffd"),
     ("utf-7", "\ufffd"), ("no-such", "\ufffd")],
)  # fmt: skip
async def test_only_charsets_that_pages_are_written_in_are_believed(
    site: tuple[str, dict[str, bytes]], charset: str, text: str
) -> None:
    base, pages = site
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset={charset}\r\nContent-Length: 1\r\n\r\n"
    pages["/page"] = head.encode() + b"\xe9"
    page = await Web(permitted=["127.0.0.1/32"]).get(HttpArguments(url=f"{base}/page"), scope())
    assert page["text"] == text


async def test_an_answer_that_breaks_off_is_a_retryable_error(site: tuple[str, dict[str, bytes]]) -> None:
    base, pages = site
    pages["/half"] = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf"
    with pytest.raises(ProviderError) as refused:
        await Web(permitted=["127.0.0.1/32"]).get(HttpArguments(url=f"{base}/half"), scope())
    assert refused.value.retryable


async def test_hosts_off_the_list_are_refused() -> None:
    with pytest.raises(AddressRefused, match="list of allowed hosts"):
        await Web(allowed_hosts=["example.org"]).get(HttpArguments(url="https://example.com/"), scope())


async def test_a_dry_run_has_no_network() -> None:
    with pytest.raises(Forbidden) as refused:
        await Web().get(HttpArguments(url="https://example.com/"), scope(Mode.DRY))
    assert refused.value.code == "network_disabled"
