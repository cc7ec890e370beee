"""The way out of a workspace: what it lets through, and what it makes of a request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from tests.sandboxes.fake_http import Asked, FakeHttp, Reply

from omniforge.sandboxes.relay import Relay, Ways
from omniforge.sandboxes.workspaces import Network

TOKEN = "Authorization: Bearer ofs_abc"


@pytest.fixture
async def server() -> AsyncGenerator[FakeHttp]:
    async def handle(asked: Asked) -> Reply:
        return Reply(content=asked.path.encode())

    fake = FakeHttp(handle)
    yield fake
    await fake.close()


async def ask(relay: Relay, request: str, body: bytes = b"") -> str:
    reader, writer = await relay.connect()
    writer.write(request.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
    answer = (await asyncio.wait_for(reader.read(), 10)).decode()
    writer.close()
    return answer


async def test_a_request_to_omniforge_arrives_alone_and_without_what_is_for_proxies(
    server: FakeHttp,
) -> None:
    relay = Relay(Ways(f"{await server.start()}/base", Network.NONE, ()))
    request = (
        f"POST http://omniforge/x?y=1 HTTP/1.1\nHost: evil\n{TOKEN}\nCookie: session=1\nX-Forwarded-For: 1\n"
        "Proxy-Connection: keep-alive\nConnection: keep-alive\nContent-Length: 2"
    )
    behind = b"GET /api/v1/agents HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    answer = await ask(relay, request, b"ab" + behind)
    assert answer.startswith("HTTP/1.1 200")
    assert answer.endswith("/base/x")
    (asked,) = server.requests
    assert asked.body == b"ab"
    assert asked.query == {"y": "1"}
    assert set(asked.headers) == {"host", "authorization", "content-length", "connection"}
    assert asked.headers["host"].startswith("127.0.0.1:")
    await relay.close()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ("GET http://omniforge/x HTTP/1.1", 401),
        ("GET http://omniforge/x HTTP/1.1\nAuthorization: Bearer of_sk_abc", 401),
        ("GET http://omniforge/x HTTP/1.1\nAuthorization: Basic b2ZzXw==", 401),
        (f"GET http://omniforge/x HTTP/1.1\n{TOKEN}\nAuthorization: Bearer other", 401),
        (f"POST http://omniforge/x HTTP/1.1\n{TOKEN}\nTransfer-Encoding: chunked", 411),
        (f"POST http://omniforge/x HTTP/1.1\n{TOKEN}\nContent-Length: 1\nContent-Length: 2", 411),
        (f"POST http://omniforge/x HTTP/1.1\n{TOKEN}\nContent-Length: -1", 411),
        (f"POST http://omniforge/x HTTP/1.1\n{TOKEN}\nContent-Length: 99999999", 413),
        ("CONNECT omniforge:443 HTTP/1.1", 403),
        ("CONNECT localhost:1 HTTP/1.1", 403),
        ("GET http://10.0.0.1/ HTTP/1.1", 403),
        ("GET http://someone@example.com/ HTTP/1.1", 400),
        ("GET ftp://example.com/ HTTP/1.1", 400),
        ("GET /x HTTP/1.1", 400),
        ("GET http://omniforge/x HTTP/1.1\nbad header", 400),
        ("nonsense", 400),
        ("GET http://omniforge:99999999/ HTTP/1.1", 400),
    ],
)
async def test_what_is_not_let_through_never_arrives(server: FakeHttp, request_: str, status: int) -> None:
    relay = Relay(Ways(await server.start(), Network.NONE, ()))
    assert (await ask(relay, request_)).startswith(f"HTTP/1.1 {status} ")
    assert server.requests == []
    await relay.close()


async def test_the_server_of_omniforge_is_no_tunnel(server: FakeHttp) -> None:
    address = (await server.start()).removeprefix("http://")
    relay = Relay(Ways(f"http://{address}", Network.FULL, ()))
    assert (await ask(relay, f"CONNECT {address} HTTP/1.1")).startswith("HTTP/1.1 403 ")
    await relay.close()


async def test_registries_are_reached_with_an_allow_list_and_others_are_not(server: FakeHttp) -> None:
    port = (await server.start()).rpartition(":")[2]
    ways = Ways("http://192.0.2.1", Network.ALLOWLIST, ("localhost",), ("127.0.0.0/8", "::1/128"))
    relay = Relay(ways)
    answer = await ask(relay, f"GET http://localhost:{port}/simple HTTP/1.1\nConnection: keep-alive")
    assert answer.endswith("/simple")
    assert (await ask(relay, f"GET http://127.0.0.1:{port}/ HTTP/1.1")).startswith("HTTP/1.1 403 ")
    closed = Relay(Ways("http://192.0.2.1", Network.NONE, ("localhost",), ("127.0.0.0/8",)))
    refused = await ask(closed, f"GET http://localhost:{port}/ HTTP/1.1")
    assert refused.startswith("HTTP/1.1 403 ")
    assert "no network" in refused
    assert len(server.requests) == 1
    await relay.close()
    await closed.close()


async def test_a_tunnel_carries_bytes_both_ways(server: FakeHttp) -> None:
    port = (await server.start()).rpartition(":")[2]
    relay = Relay(Ways("http://192.0.2.1", Network.FULL, (), ("127.0.0.0/8",)))
    reader, writer = await relay.connect()
    writer.write(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 200 Connection established\r\n\r\n"
    writer.write(b"GET /through HTTP/1.1\r\n\r\n")
    assert b"/through" in await asyncio.wait_for(reader.readuntil(b"/through"), 10)
    writer.close()
    await relay.close()


async def test_an_omniforge_that_does_not_answer_is_told() -> None:
    relay = Relay(Ways("http://127.0.0.1:9", Network.NONE, ()))
    answer = await ask(relay, f"GET http://omniforge/ HTTP/1.1\n{TOKEN}")
    assert answer.startswith("HTTP/1.1 502 ")
    await relay.close()
