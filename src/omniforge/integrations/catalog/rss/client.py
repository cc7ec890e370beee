"""Feeds over HTTP: asked again only if they changed since the last time in this process."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import httpx

from omniforge.core.errors import Invalid
from omniforge.core.plaintext import charset_of
from omniforge.integrations.catalog.rss.feeds import Feed, feeds_in_page, read_feed
from omniforge.integrations.clients import Surroundings
from omniforge.integrations.errors import ServiceDown
from omniforge.integrations.rest import Answer, RestClient, Said, Trouble

TITLE = "News feed"
LARGEST = 2 * 1024 * 1024
MOST_KEPT = 64
LARGEST_KEPT = 512 * 1024
PARSING_SECONDS = 20.0
ACCEPT = (
    "application/rss+xml, application/atom+xml, application/feed+json, application/xml, text/xml, */*;q=0.5"
)


@dataclass(frozen=True, slots=True)
class Feeds:
    """Feeds at any public address. `offered` are addresses to show when nothing was asked for."""

    surroundings: Surroundings
    offered: Sequence[str] = ()

    async def feed(self, url: str) -> Feed:
        """The feed at an address; Invalid names the feeds of a page that is none itself."""
        answer = await self._answer(url)
        headers = {name: answer.headers[name] for name in ("content-type",) if name in answer.headers}
        try:
            async with asyncio.timeout(PARSING_SECONDS):
                found = await asyncio.to_thread(read_feed, answer.body, headers, url)
        except TimeoutError as error:
            raise ServiceDown(f"{TITLE}: this one takes too long to read.", retryable=False) from error
        if found is None:
            raise self._no_feed(url, answer)
        return found

    def _no_feed(self, url: str, answer: Answer) -> Invalid:
        declared = httpx.Response(200, headers=answer.headers).charset_encoding
        page = answer.body.decode(charset_of(declared), errors="replace")
        named = feeds_in_page(page, url)
        hint = f" The page names {named[0]['url']}." if named else ""
        return Invalid(
            f"{TITLE}: there is no feed at this address.{hint}",
            code="no_feed",
            fields=[
                {"field": "url", "value": url[:200], "rule": "the address of a feed (RSS, Atom, JSON Feed)"}
            ],
            feeds=named,
        )

    async def _answer(self, url: str) -> Answer:
        """From the service, or the kept one where it says that nothing changed."""
        self.surroundings.guard.check(url)
        kept = cast("OrderedDict[str, Answer]", self.surroundings.kept.setdefault("answers", OrderedDict()))
        before = kept.get(url)
        condition: dict[str, str] = {}
        if before is not None:
            names = (("etag", "If-None-Match"), ("last-modified", "If-Modified-Since"))
            condition = {asked: before.headers[told] for told, asked in names if told in before.headers}
        host = httpx.URL(url).host
        client = RestClient(
            self.surroundings.http,
            title=f"{TITLE} {host}",
            base_url=str(httpx.URL(url).copy_with(raw_path=b"/")),
            clock=self.surroundings.clock,
            patience=replace(self.surroundings.patience, largest_answer=LARGEST),
            read_trouble=read_trouble,
        )
        headers: dict[str, Any] = {"Accept": ACCEPT, **condition}
        answer = await client.fetch("GET", url, headers=headers, follow=True)
        if answer.status == 304 and before is not None:
            kept.move_to_end(url)
            return before
        kept.pop(url, None)
        if ("etag" in answer.headers or "last-modified" in answer.headers) and len(
            answer.body
        ) <= LARGEST_KEPT:
            kept[url] = answer
            if len(kept) > MOST_KEPT:
                kept.popitem(last=False)
        return answer


def read_trouble(answer: Answer) -> Said | None:
    match answer.status:
        case 401:
            return Said(
                Trouble.FORBIDDEN, f"{TITLE}: this one wants a sign-in, and nobody signs in from here."
            )
        case 404 | 410:
            return Said(Trouble.NOT_FOUND, f"{TITLE}: there is nothing at this address any more.")
        case _:
            return None
