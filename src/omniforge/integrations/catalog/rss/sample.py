"""Sample feeds: one blog in each of the three formats, from `fixtures/`, relative to a moment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import format_datetime
from html import escape
from pathlib import Path
from typing import Any

import httpx

from omniforge.core.clock import rfc3339

FIXTURES = Path(__file__).parent / "fixtures"
BASE = "https://news.example.com"
PREFIX = "tag:news.example.com,2026:"

Json = dict[str, Any]


class SampleFeeds(httpx.MockTransport):
    """Answers for any host: `.json` with JSON Feed, `atom` with Atom, everything else with RSS."""

    offers = (f"{BASE}/rss.xml", f"{BASE}/atom.xml", f"{BASE}/feed.json")


def transport(
    now: datetime, *, resources: Sequence[Mapping[str, Any]] = (), empty: bool = False
) -> httpx.AsyncBaseTransport:
    raw: list[Json] = json.loads((FIXTURES / "entries.json").read_text(encoding="utf-8"))
    entries = [] if empty else raw
    names = {str(resource.get("id")): str(resource.get("name")) for resource in resources}

    def answer(request: httpx.Request) -> httpx.Response:
        address = str(request.url)
        title = names.get(address, "Acme engineering news")
        if "json" in address:
            return httpx.Response(200, json=as_json(title, entries, now))
        kind, text = ("atom", as_atom) if "atom" in address else ("rss", as_rss)
        headers = {"Content-Type": f"application/{kind}+xml; charset=utf-8"}
        return httpx.Response(200, content=text(title, entries, now).encode(), headers=headers)

    return SampleFeeds(answer)


def _at(entry: Json, now: datetime) -> datetime:
    return (now - timedelta(days=entry["days_ago"])).replace(minute=15, second=0, microsecond=0)


def as_rss(title: str, entries: Sequence[Json], now: datetime) -> str:
    items = "".join(
        f"<item><guid isPermaLink='false'>{PREFIX}{entry['id']}</guid><title>{escape(entry['title'])}</title>"
        f"<link>{BASE}/{entry['id']}</link><author>{escape(entry['author'])}</author>"
        f"<pubDate>{format_datetime(_at(entry, now))}</pubDate>"
        + "".join(f"<category>{escape(tag)}</category>" for tag in entry["tags"])
        + f"<description>{escape(entry['html'])}</description></item>"
        for entry in entries
    )
    return (
        f'<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>{escape(title)}</title>'
        f"<link>{BASE}/</link><description>Samples</description>{items}</channel></rss>"
    )


def as_atom(title: str, entries: Sequence[Json], now: datetime) -> str:
    items = "".join(
        f"<entry><id>{PREFIX}{entry['id']}</id><title>{escape(entry['title'])}</title>"
        f"<link href='{BASE}/{entry['id']}'/><author><name>{escape(entry['author'])}</name></author>"
        f"<published>{rfc3339(_at(entry, now))}</published><updated>{rfc3339(_at(entry, now))}</updated>"
        + "".join(f"<category term='{escape(tag)}'/>" for tag in entry["tags"])
        + f"<content type='html'>{escape(entry['html'])}</content></entry>"
        for entry in entries
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom">'
        f"<id>{BASE}/</id><title>{escape(title)}</title><link href='{BASE}/'/>"
        f"<updated>{rfc3339(now)}</updated>{items}</feed>"
    )


def as_json(title: str, entries: Sequence[Json], now: datetime) -> Json:
    items = [
        {
            "id": PREFIX + entry["id"],
            "url": f"{BASE}/{entry['id']}",
            "title": entry["title"],
            "content_html": entry["html"],
            "date_published": rfc3339(_at(entry, now)),
            "authors": [{"name": entry["author"]}],
            "tags": entry["tags"],
        }
        for entry in entries
    ]
    version = "https://jsonfeed.org/version/1.1"
    return {"version": version, "title": title, "home_page_url": f"{BASE}/", "items": items}
