"""Web addresses and feeds through the service, over real HTTP to a local server in place of every host."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from omniforge.core.config import ServiceSettings, Settings
from omniforge.core.errors import Invalid, OmniForgeError
from omniforge.core.outward import AddressRefused
from omniforge.integrations import IntegrationService
from omniforge.integrations.catalog.rss import sample
from omniforge.integrations.catalog.rss.feeds import feeds_in_page, read_feed

NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
ITEMS = "https://shop.example.com/items"


class Site:
    """Answers by method and path; remembers the heads and bodies of requests."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.heads: list[str] = []
        self.bodies: list[bytes] = []

    def says(self, place: str, body: bytes, status: str = "200 OK", *headers: str) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
        self.answers[place] = "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        length = next((int(x.split(":")[1]) for x in head.lower().split("\r\n") if "content-length:" in x), 0)
        self.bodies.append(await reader.readexactly(length))
        method, path, _ = head.split(" ", 2)
        fallback = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        unchanged = b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"
        writer.write(
            unchanged
            if 'if-none-match: "1"' in head.lower()
            else self.answers.get(f"{method} {path}", fallback)
        )
        await writer.drain()
        writer.close()


@pytest.fixture
async def site() -> AsyncIterator[tuple[Site, str]]:
    made = Site()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    yield made, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()


@pytest.fixture
async def service(make_service, tmp_path, site) -> AsyncIterator[IntegrationService]:
    local = ServiceSettings(base_url=site[1])
    made = make_service(
        Settings(
            home=tmp_path,
            services={"http": local, "rss": local},
            fetch_allowed_hosts=["shop.example.com", "news.example.com"],
        )
    )
    yield made
    await made.close()


@pytest.fixture
def call(service, actor):
    async def called(name: str, **args: object) -> dict:
        integration = name.partition(".")[0]
        return await service.call_tool(actor.tenant_id, actor.user_id, integration, name, args)

    return called


async def test_json_is_read_and_written_at_listed_hosts(call, site):
    site[0].says("GET /items?limit=5&all=true", b'[{"id": 1}]')
    found = await call("http.get", url=ITEMS, params={"limit": 5, "all": True})
    assert (found["status"], found["json"]) == (200, [{"id": 1}])
    assert "Host: shop.example.com" in site[0].heads[0]
    assert "authorization" not in site[0].heads[0].lower()
    site[0].says("POST /items", b'{"id": 2}', "201 Created")
    made = await call("http.post", url=ITEMS, json=[1, {"a": "ü"}], mark="run-1.1")
    assert (made["status"], made["json"]) == (201, {"id": 2})
    assert json.loads(site[0].bodies[1]) == [1, {"a": "ü"}]
    assert "Idempotency-Key: run-1.1" in site[0].heads[1]
    for tool, method in (("put", "PUT"), ("patch", "PATCH")):
        site[0].says(f"{method} /items/2", b"")
        assert (await call(f"http.{tool}", url=f"{ITEMS}/2", json={"a": 1}))["text"] == ""
    site[0].says("DELETE /items/2", b"", "204 No Content")
    assert (await call("http.delete", url=f"{ITEMS}/2"))["status"] == 204


async def test_nothing_is_written_without_a_list_of_hosts(make_service, actor, tmp_path, site):
    local = {"http": ServiceSettings(base_url=site[1])}
    service = make_service(Settings(home=tmp_path, services=local))
    with pytest.raises(AddressRefused, match="OMNIFORGE_FETCH_ALLOWED_HOSTS"):
        await service.call_tool(
            actor.tenant_id, actor.user_id, "http", "http.post", {"url": ITEMS, "json": {}}
        )
    await service.close()
    assert site[0].heads == []


@pytest.mark.parametrize(
    "url", ["https://evil.example/x", "http://127.0.0.1/", "http://2130706433/", "file:///x.y"]
)
async def test_other_hosts_are_refused_before_anything_is_sent(call, site, url):
    for tool in ("http.get", "http.delete"):
        with pytest.raises((AddressRefused, Invalid)):
            await call(tool, url=url)
    with pytest.raises((AddressRefused, Invalid)):
        await call("rss.read_feed", url=url)
    assert site[0].heads == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer x"},
        {"cookie": "a=b"},
        {"Host": "a"},
        {"X-A": "a\r\nB: c"},
        {"X A": "b"},
        {"Content-Length": "1"},
    ],
)
async def test_credentials_and_broken_headers_are_not_taken(call, site, headers):
    with pytest.raises(Invalid):
        await call("http.get", url=ITEMS, headers=headers)
    assert site[0].heads == []


async def test_reading_follows_redirects_to_listed_hosts_and_writing_follows_none(call, site):
    site[0].says("GET /items", b"", "302 Found", "Location: https://news.example.com/there")
    site[0].says("GET /there", b'{"here": true}')
    assert (await call("http.get", url=ITEMS))["json"] == {"here": True}
    site[0].says("GET /items", b"", "302 Found", "Location: https://evil.example/")
    with pytest.raises(AddressRefused):
        await call("http.get", url=ITEMS)
    site[0].says("POST /items", b"", "307 Temporary Redirect", "Location: /there")
    sent = len(site[0].heads)
    with pytest.raises(OmniForgeError):
        await call("http.post", url=ITEMS, json={})
    assert len(site[0].heads) == sent + 1


async def test_what_is_not_there_is_found_to_be_missing(call, site):
    assert (await call("http.find", url=f"{ITEMS}/7")) == {"answer": None}
    site[0].says("GET /items/7", b"plain", "200 OK", "Content-Type: text/plain")
    assert (await call("http.find", url=f"{ITEMS}/7"))["answer"]["text"] == "plain"
    with pytest.raises(OmniForgeError) as gone:
        await call("http.get", url=f"{ITEMS}/8")
    assert gone.value.code == "resource_not_found"


async def test_too_large_an_answer_is_refused(call, site):
    site[0].says("GET /items", b"x" * (2 * 1024 * 1024 + 1))
    with pytest.raises(OmniForgeError) as large:
        await call("http.get", url=ITEMS)
    assert large.value.code == "answer_too_large"


async def test_a_feed_that_did_not_change_is_not_sent_again(call, site):
    feed = json.dumps({"version": "https://jsonfeed.org/version/1", "title": "T", "items": [{"id": "a"}]})
    site[0].says("GET /feed", feed.encode(), "200 OK", 'ETag: "1"')
    for _ in range(2):
        found = await call("rss.read_feed", url="https://news.example.com/feed")
        assert [entry["id"] for entry in found["entries"]] == ["a"]
    assert "If-None-Match" not in site[0].heads[0]
    assert 'If-None-Match: "1"' in site[0].heads[1]


async def test_new_entries_are_found_by_polling(service, actor, site):
    site[0].says(
        "GET /feed",
        sample.as_rss("T", json.loads((sample.FIXTURES / "entries.json").read_text()), NOW).encode(),
    )
    since = datetime(2026, 11, 20, tzinfo=UTC)
    address = "https://news.example.com/feed"
    found = await service.poll(actor.tenant_id, actor.user_id, "rss", "entry.published", address, since)
    assert [(one.id, one.resource) for one in found] == [
        (f"{sample.PREFIX}faster-builds", address),
        (f"{sample.PREFIX}release-3-2", address),
    ]
    with pytest.raises(Invalid, match="cannot be asked"):
        await service.poll(actor.tenant_id, actor.user_id, "rss", "entry.eaten", address, since)


async def test_a_page_names_its_feeds(call, site):
    page = b'<html><link rel="alternate" type="application/rss+xml" href="/feed" title="News"></html>'
    site[0].says("GET /", page, "200 OK", "Content-Type: text/html")
    with pytest.raises(Invalid, match=r"https://news\.example\.com/feed") as refusal:
        await call("rss.read_feed", url="https://news.example.com/")
    assert refusal.value.details["feeds"] == [{"url": "https://news.example.com/feed", "title": "News"}]
    found = await call("rss.find_feeds", search="https://news.example.com/")
    assert [feed["id"] for feed in found["feeds"]] == ["https://news.example.com/feed"]


def test_the_three_formats_say_the_same():
    raw = json.loads((sample.FIXTURES / "entries.json").read_text())
    texts = [
        sample.as_rss("T", raw, NOW),
        sample.as_atom("T", raw, NOW),
        json.dumps(sample.as_json("T", raw, NOW)),
    ]
    read = [read_feed(text.encode(), {}, "https://news.example.com/x") for text in texts]
    shown = [
        [{k: v for k, v in e.shown.items() if k != "edited_at"} for e in feed.entries]
        for feed in read
        if feed
    ]
    assert len(shown) == 3
    assert shown[0] == shown[1] == shown[2]
    assert shown[0][0]["text"].startswith("We moved the caches")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"hello", b"<html><p>no feed</p></html>", b"{}", b"[1]", b'{"version": 3, "items": []}',
        b"\xff\xfe\x00",
        b'{"version": "https://jsonfeed.org/version/1", "items": 3}', b"{" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_feed_is_told_as_none(content: bytes):
    assert read_feed(content, {}, "https://a.example/") is None


def test_entities_are_not_multiplied_and_odd_entries_are_read():
    bomb = b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "' + b"x" * 1000 + b'">' + b"".join(
        f'<!ENTITY a{n} "{f"&a{n - 1 if n else str()};" * 10}">'.encode() for n in range(8)
    )  # fmt: skip
    feed = read_feed(
        bomb + b"]><rss version='2.0'><channel><title>&a7;</title></channel></rss>", {}, "https://a.example/"
    )
    assert feed is None or len(feed.title) <= 1000
    item = b"<item><link>javascript:alert(1)</link><pubDate>never</pubDate></item>"
    odd = b"<rss version='2.0'><channel>" + item + b"</channel></rss>"
    parsed = read_feed(odd, {}, "https://a.example/")
    assert parsed is not None
    assert (parsed.entries[0].at, parsed.entries[0].shown["url"]) == (None, "")
    assert (
        feeds_in_page(
            '<link rel=alternate type="application/rss+xml" href="javascript:x">', "https://a.example"
        )
        == []
    )
