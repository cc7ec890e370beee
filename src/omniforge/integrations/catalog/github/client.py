"""GitHub's REST API for one connection: addresses, and lists read to their end by the Link header."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote

import httpx

from omniforge.integrations.catalog.github.shapes import Json, words
from omniforge.integrations.errors import ServiceDown
from omniforge.integrations.rest import Answer, RestClient

PAGE = 100
"""Most results GitHub gives at once."""
MOST_PAGES = 300
"""Pages read for one question; more is marked as truncated."""

Params = Sequence[tuple[str, str]]
Test = Callable[[Json], bool]


@dataclass(slots=True)
class Gathered:
    """Results of all pages; `truncated` when there are more than we read or GitHub shows."""

    results: list[Json] = field(default_factory=list[Json])
    truncated: bool = False


class GitHub:
    """What the tools ask of GitHub. A repository is `owner/name`."""

    def __init__(self, rest: RestClient) -> None:
        self.rest = rest

    async def me(self) -> Json:
        return await self.rest.get("/user")

    async def one(self, path: str, params: Params = ()) -> Json:
        return await self.rest.get(path, params)

    async def gather(
        self,
        path: str,
        params: Params = (),
        *,
        keep: Test = lambda _: True,
        done: Test = lambda _: False,
        limit: int = PAGE * MOST_PAGES,
    ) -> Gathered:
        """Every result to keep, each once, page after page; until the end, `limit`, or one that is `done`.

        A list that grows while it is read moves its results to later pages, so some come twice.
        """
        gathered, seen = Gathered(), set[str]()
        async for answer, results in self._pages(path, params):
            gathered.truncated |= "partial-results" in answer.headers.get("x-github-sso", "")
            for result in results:
                if done(result):
                    return gathered
                key = _key(result)
                if key in seen or not keep(result):
                    continue
                if len(gathered.results) == limit:
                    gathered.truncated = True
                    return gathered
                seen.add(key)
                gathered.results.append(result)
        return gathered

    async def _pages(self, path: str, params: Params) -> AsyncGenerator[tuple[Answer, list[Json]]]:
        following = path
        asked: Params = [*params, ("per_page", str(PAGE))]
        seen: set[str] = set()
        while True:
            answer = await self.rest.fetch("GET", following, params=asked)
            yield answer, _listed(answer)
            link = next_link(answer)
            if link is None:
                return
            if str(link) in seen or len(seen) >= MOST_PAGES * 2:
                raise ServiceDown("GitHub sent a list without an end.", retryable=False, reason="unreadable")
            seen.add(str(link))
            following, asked = str(link.copy_with(query=None)), list(link.params.multi_items())


def _key(result: Json) -> str:
    """What tells results of one list apart; two files of the same content have the same sha."""
    return words(result, "filename") or words(result, "sha") or str(result.get("id") or result.get("name"))


def _listed(answer: Answer) -> list[Json]:
    results = answer.json
    if not isinstance(results, list):
        raise ServiceDown("GitHub sent a list that cannot be read.", retryable=True, reason="unreadable")
    return [cast("Json", one) for one in cast("list[Any]", results) if isinstance(one, dict)]


def next_link(answer: Answer) -> httpx.URL | None:
    """The address of the next page, from the Link header."""
    links = httpx.Response(200, headers={"link": answer.headers.get("link", "")}).links
    try:
        return httpx.URL(links["next"]["url"])
    except KeyError:
        return None
    except httpx.InvalidURL as error:
        raise ServiceDown(
            "GitHub sent a link that cannot be read.", retryable=False, reason="unreadable"
        ) from error


def repository_path(repository: str, *parts: object) -> str:
    """`/repos/owner/name/…`; slashes of the last part, a path of a file, stay slashes."""
    return "/".join([f"/repos/{repository}", *(quote(str(part), safe="/") for part in parts)])


def second(given: datetime) -> str:
    """A time as GitHub takes it, cut to the second."""
    return given.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
