"""What happens in feeds: an entry is published. Told by asking; feeds deliver nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from omniforge.core.errors import Invalid
from omniforge.integrations.catalog.rss.client import Feeds
from omniforge.integrations.catalog.rss.feeds import Json
from omniforge.integrations.manifest import EventKind, Occurrence


async def published(feeds: Feeds, resource: str | None, since: datetime) -> list[Occurrence]:
    """Entries published since then. One without a date counts as of that very moment each time, so that who
    remembers the ids of the moment sees it once. A feed shows only its latest entries: what left it is lost.
    """
    if resource is None:
        entry = {"field": "resource", "value": None, "rule": "the address of a feed"}
        raise Invalid("Which feed?", fields=[entry])
    feed = await feeds.feed(resource)
    return [
        Occurrence(
            type="entry.published",
            id=entry.id,
            version="1",  # an entry is published once, however often it is corrected
            at=entry.at or since,
            resource=resource,
            item=entry.shown,
            author=entry.shown["author"] or None,
        )
        for entry in feed.entries
        if entry.at is None or entry.at >= since
    ]


EVENTS: tuple[EventKind, ...] = (
    EventKind(name="entry.published", title="a new entry in a feed", resource_kind="feed", poll=published),
)


def read_delivery(headers: Mapping[str, str], payload: Json) -> list[Occurrence]:
    return []
