"""What can be done with feeds: find them, see what they are, read their entries in a time window."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from omniforge.core.errors import Invalid
from omniforge.integrations.catalog.rss import sample
from omniforge.integrations.catalog.rss.client import Feeds
from omniforge.integrations.catalog.rss.feeds import Entry, Json
from omniforge.integrations.clients import Surroundings
from omniforge.integrations.manifest import Access, Arguments, IntegrationTool

FIELDS = (
    *(("title", "text"), ("url", "url"), ("author", "text"), ("published_at", "date"), ("edited_at", "date")),
    *(("text", "text"), ("tags", "list")),
)

Url = Annotated[str, StringConstraints(min_length=8, max_length=2000)]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FindFeeds(_Arguments):
    search: str | None = Field(default=None, max_length=2000, description="Address of a feed or a web page.")


class OneFeed(_Arguments):
    url: Url


class ReadFeed(OneFeed):
    after: AwareDatetime | None = Field(default=None, description="Published then or later.")
    before: AwareDatetime | None = Field(default=None, description="Published earlier.")
    search: str | None = Field(default=None, max_length=200, description="Words in title, text or tags.")
    limit: int = Field(default=200, ge=1, le=1000)


async def find_feeds(feeds: Feeds, args: FindFeeds) -> Json:
    """The feed at an address, or those a page names. A feed that cannot be read is left out."""
    addresses = [args.search] if args.search else list(feeds.offered)
    found: list[Json] = []
    for address in addresses:
        try:
            found.append(await _described(feeds, address))
        except Invalid as error:
            if error.code != "no_feed":
                raise
            found += [
                {"id": named["url"], "name": named["title"], "url": named["url"], "items": None}
                for named in error.details["feeds"]
            ]
    return {"feeds": found}


async def _described(feeds: Feeds, address: str) -> Json:
    feed = await feeds.feed(address)
    return {"id": address, "name": feed.title, "url": feed.site or address, "items": len(feed.entries)}


async def describe_feed(feeds: Feeds, args: OneFeed) -> Json:
    shown = await _described(feeds, args.url)
    return {**shown, "fields": [{"name": name, "type": kind} for name, kind in FIELDS]}


async def read_feed(feeds: Feeds, args: ReadFeed) -> Json:
    """Entries without a date are read only where no time window is asked for."""
    feed = await feeds.feed(args.url)
    found = [entry for entry in feed.entries if _within(entry, args.after, args.before)]
    if args.search:
        wanted = args.search.casefold()
        found = [entry for entry in found if wanted in _words(entry)]
    return {
        "feed": {"title": feed.title, "url": args.url, "site": feed.site},
        "entries": [entry.shown for entry in found[: args.limit]],
        "truncated": feed.truncated or len(found) > args.limit,
    }


def _within(entry: Entry, after: datetime | None, before: datetime | None) -> bool:
    if entry.at is None:
        return after is None and before is None
    return (after is None or entry.at >= after) and (before is None or entry.at < before)


def _words(entry: Entry) -> str:
    return " ".join([entry.shown["title"], entry.shown["text"], *entry.shown["tags"]]).casefold()


@asynccontextmanager
async def open_client(surroundings: Surroundings) -> AsyncGenerator[Feeds]:
    yield Feeds(surroundings, surroundings.offered)


samples = sample.transport


def _site(args: Arguments) -> str:
    try:
        return urlsplit(str(args.get("url") or args.get("search") or "")).hostname or "the web"
    except ValueError:
        return "the web"


TOOLS: tuple[IntegrationTool, ...] = (
    IntegrationTool(
        name="rss.find_feeds",
        description="Finds the feeds at a web address, each with its number of entries.",
        arguments=FindFeeds,
        access=Access.READ,
        summary=lambda args: f"looks for news feeds of {_site(args)}",
        run=find_feeds,
    ),
    IntegrationTool(
        name="rss.describe_feed",
        description="Tells what a feed is called and what its entries have.",
        arguments=OneFeed,
        access=Access.READ,
        summary=lambda args: f"looks at the news feed of {_site(args)}",
        run=describe_feed,
    ),
    IntegrationTool(
        name="rss.read_feed",
        description="Reads entries of a feed (RSS, Atom, JSON Feed), within a time window.",
        arguments=ReadFeed,
        access=Access.READ,
        summary=lambda args: f"reads the news feed of {_site(args)}",
        run=read_feed,
    ),
)
