"""Feeds as plain data: RSS and Atom by feedparser, JSON Feed by its few fields (pure)."""

from __future__ import annotations

import calendar
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

from omniforge.core.clock import rfc3339
from omniforge.core.plaintext import text_of_html

MOST_ENTRIES = 1_000
LONGEST_TEXT = 50_000
LONGEST_LINE = 1_000
KINDS = ("application/rss+xml", "application/atom+xml", "application/feed+json")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `at`: when it was published, else changed; None when the feed does not say."""

    id: str
    at: datetime | None
    shown: Json


@dataclass(frozen=True, slots=True)
class Feed:
    title: str
    site: str
    entries: list[Entry] = field(default_factory=list[Entry])
    truncated: bool = False


def read_feed(content: bytes, headers: Mapping[str, str], address: str) -> Feed | None:
    """The feed in an answer; None when it is none."""
    start = content.lstrip()[:1]
    if start in (b"{", b"["):
        return _json_feed(content, address)
    # a stream, because feedparser takes bytes for the name of a file first
    import feedparser  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs] - slow to load

    parsed = cast("Any", feedparser).parse(
        io.BytesIO(content), response_headers={**headers, "content-location": address}
    )
    if not parsed.get("version"):
        return None
    about, found = cast("Json", parsed["feed"]), cast("list[Json]", parsed["entries"])
    entries = [_entry(entry, address) for entry in found[:MOST_ENTRIES]]
    title, site = _line(about.get("title")) or address, _link(about.get("link"), address)
    return Feed(title, site, _told_apart(entries), len(found) > MOST_ENTRIES)


def feeds_in_page(content: str, address: str) -> list[Json]:
    """The feeds a web page names as its own: `{url, title}`."""
    reader = _Links(address)
    reader.feed(content[:500_000])
    return reader.found[:20]


def _entry(entry: Json, address: str) -> Entry:
    published = _moment(entry.get("published_parsed"))
    # looked for first: asked directly, feedparser gives the other time and a warning
    edited = _moment(entry["updated_parsed"]) if "updated_parsed" in entry else None
    link, title = _link(entry.get("link"), address), _line(entry.get("title"))
    summary, body = str(entry.get("summary") or ""), entry.get("content")
    longer = cast("list[Json]", body)[0].get("value") if isinstance(body, list) and body else ""
    tags = [_line(tag.get("term")) for tag in cast("list[Json]", entry.get("tags") or [])[:30]]
    return _shaped(
        str(entry.get("id") or "")[:LONGEST_LINE],
        published,
        edited,
        link,
        title,
        _line(entry.get("author")),
        text_of_html(str(longer or summary)),
        [tag for tag in tags if tag],
    )


def _shaped(  # noqa: PLR0917 - the parts of an entry
    given_id: str,
    published: datetime | None,
    edited: datetime | None,
    link: str,
    title: str,
    author: str,
    text: str,
    tags: list[str],
) -> Entry:
    """An entry without an id of its own is known by its link, else by what it says."""
    known = given_id or link or hashlib.sha256(f"{title}\n{text}".encode()).hexdigest()
    shown: Json = {
        "id": known,
        "title": title or text[:80],
        "url": link,
        "author": author,
        "published_at": rfc3339(published) if published else None,
        "edited_at": rfc3339(edited) if edited else None,
        "text": text[:LONGEST_TEXT],
        "tags": tags,
    }
    return Entry(known, published or edited, shown)


def _told_apart(entries: list[Entry]) -> list[Entry]:
    """Each id once, the first one; newest first as far as dates are known."""
    once: dict[str, Entry] = {}
    for entry in entries:
        once.setdefault(entry.id, entry)
    return sorted(once.values(), key=_age)


def _age(entry: Entry) -> float:
    return -entry.at.timestamp() if entry.at else 0.0


def _json_feed(content: bytes, address: str) -> Feed | None:
    try:
        parsed: Any = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(parsed, dict):
        return None
    feed = cast("Json", parsed)
    items: Any = feed.get("items")
    if not str(feed.get("version", "")).startswith("https://jsonfeed.org/version/") or not isinstance(
        items, list
    ):
        return None
    found = [cast("Json", item) for item in cast("list[Any]", items) if isinstance(item, dict)]
    entries = [_json_entry(item, address) for item in found[:MOST_ENTRIES]]
    title, site = _line(feed.get("title")) or address, _link(feed.get("home_page_url"), address)
    return Feed(title, site, _told_apart(entries), len(found) > MOST_ENTRIES)


def _json_entry(item: Json, address: str) -> Entry:
    authors: Any = item.get("authors") or [item.get("author")]
    first = cast("list[Any]", authors)[0] if isinstance(authors, list) and authors else None
    tags: Any = item.get("tags")
    html = item.get("content_html")
    return _shaped(
        str(item.get("id") or "")[:LONGEST_LINE],
        _iso(item.get("date_published")),
        _iso(item.get("date_modified")),
        _link(item.get("url"), address),
        _line(item.get("title")),
        _line(cast("Json", first).get("name")) if isinstance(first, dict) else "",
        text_of_html(html)
        if isinstance(html, str)
        else str(item.get("content_text") or item.get("summary") or ""),
        [_line(tag) for tag in cast("list[Any]", tags)[:30]] if isinstance(tags, list) else [],
    )


def _moment(parsed: Any) -> datetime | None:
    """feedparser's time, which is UTC; None for one that no calendar has."""
    try:
        return datetime.fromtimestamp(calendar.timegm(parsed), UTC) if parsed else None
    except (ValueError, OverflowError, TypeError, OSError):
        return None


def _iso(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None
    if found is None:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _line(value: Any) -> str:
    return " ".join(text_of_html(value).split())[:LONGEST_LINE] if isinstance(value, str) else ""


def _link(value: Any, address: str) -> str:
    """A web address, or nothing: feeds name all kinds of schemes."""
    if not isinstance(value, str) or not value:
        return ""
    try:
        whole = urljoin(address, value.strip())
        return whole[:2000] if urlsplit(whole).scheme in ("http", "https") else ""
    except ValueError:
        return ""


class _Links(HTMLParser):
    """`<link rel="alternate" type="application/rss+xml" href="…">`."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.found: list[Json] = []
        self._address = address

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag != "link" or "alternate" not in given.get("rel", "").lower().split():
            return
        link = _link(given.get("href"), self._address)
        if link and given.get("type", "").lower().partition(";")[0].strip() in KINDS:
            self.found.append({"url": link, "title": given.get("title", "")[:LONGEST_LINE] or link})
