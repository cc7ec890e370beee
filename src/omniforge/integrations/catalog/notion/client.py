"""Notion's objects through its API: paging, ids, data sources, people, blocks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from omniforge.core.errors import Invalid, OmniForgeError
from omniforge.integrations.catalog.notion.blocks import batches
from omniforge.integrations.catalog.notion.shapes import Json, plain_fields, plain_text, title_of
from omniforge.integrations.errors import ServiceDown
from omniforge.integrations.loose import items, mapping, text
from omniforge.integrations.rest import RestClient

PAGE = 100
"""Most results Notion gives at once."""
AT_ONCE = 3
DEEPEST = 6
MOST_BLOCKS = 2000
MOST_PAGES = 200
"""Pages of results read for one question; more is marked as truncated."""

UUID = re.compile(
    r"(?<![0-9a-f])([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})(?=$|[^0-9a-f-])"
)


def object_id(given: str) -> str:
    """The id in an id or a Notion address, with dashes; Invalid for anything else."""
    found = UUID.findall(given[:2000].lower().partition("?")[0])
    if not found:
        entry = {"field": "id", "value": given[:200], "rule": "a Notion id, or the address of a page"}
        raise Invalid("That is not the id of something in Notion.", fields=[entry])
    return "-".join(found[-1])


@dataclass(slots=True)
class Gathered:
    """Results of all pages; `truncated` when there are more than we or Notion hand out."""

    results: list[Json] = field(default_factory=list[Json])
    truncated: bool = False


class Notion:
    """Notion for one connection."""

    def __init__(self, rest: RestClient) -> None:
        self.rest = rest

    async def me(self) -> Json:
        return await self.rest.get("/v1/users/me")

    async def data_sources(self, search: str | None) -> Gathered:
        """Every data source shared with us, found by title when `search` is given."""
        body: Json = {"filter": {"property": "object", "value": "data_source"}}
        if search:
            body["query"] = search
        return await self._gather(lambda paging: self.rest.post("/v1/search", {**body, **paging}))

    async def database(self, database_id: str) -> Json:
        return await self.rest.get(f"/v1/databases/{object_id(database_id)}")

    async def sources_of(self, database_id: str) -> tuple[Json, list[str]]:
        """A database and the ids of its data sources."""
        database = await self.database(database_id)
        ids = [object_id(text(source.get("id"))) for source in items(database.get("data_sources"))]
        if not ids:
            raise ServiceDown(
                "Notion sent a database without data in it that can be read.",
                retryable=False,
                reason="unreadable",
            )
        return database, ids

    async def schema(self, source_id: str) -> Json:
        """Property objects of a data source by name."""
        source = await self.rest.get(f"/v1/data_sources/{object_id(source_id)}")
        return mapping(source.get("properties"))

    async def rows(self, source_id: str, question: Json, limit: int, *, only_title: bool = False) -> Gathered:
        """Rows of a data source, all pages of them, up to `limit`."""
        path = f"/v1/data_sources/{object_id(source_id)}/query"
        params = [("filter_properties[]", "title")] if only_title else []
        return await self._gather(
            lambda paging: self.rest.post(path, {**question, **paging}, params=params), limit
        )

    async def page(self, page_id: str) -> Json:
        return await self.rest.get(f"/v1/pages/{object_id(page_id)}")

    async def people(self) -> dict[str, str]:
        """User ids by name."""
        found = await self._gather(lambda paging: self.rest.get("/v1/users", _as_params(paging)))
        return {text(user.get("name")): text(user.get("id")) for user in found.results if user.get("name")}

    async def children(self, block_id: str, limit: int = MOST_BLOCKS) -> Gathered:
        path = f"/v1/blocks/{object_id(block_id)}/children"
        return await self._gather(lambda paging: self.rest.get(path, _as_params(paging)), limit)

    async def content(self, page_id: str) -> Gathered:
        """All blocks of a page with `children` filled in, as deep and as many as we read."""
        budget = [MOST_BLOCKS]
        return await self._content(page_id, budget, DEEPEST)

    async def _content(self, block_id: str, budget: list[int], depth: int) -> Gathered:
        found = await self.children(block_id, budget[0])
        budget[0] -= len(found.results)
        for block in found.results:
            if block.get("has_children") is not True or block.get("type") in ("child_page", "child_database"):
                continue
            if depth == 0 or budget[0] <= 0:
                found.truncated = True
                continue
            inside = await self._content(text(block.get("id")), budget, depth - 1)
            block["children"] = inside.results
            found.truncated = found.truncated or inside.truncated
        return found

    async def create(self, source_id: str, properties: Json, blocks: Sequence[Json]) -> Json:
        """A row with its text; what does not fit into one request is appended."""
        first, *following = batches(blocks)
        body: Json = {
            "parent": {"type": "data_source_id", "data_source_id": object_id(source_id)},
            "properties": properties,
            "children": first,
        }
        page = await self.rest.post("/v1/pages", body, changes=True)
        try:
            for batch in following:
                path = f"/v1/blocks/{object_id(text(page.get('id')))}/children"
                await self.rest.patch(path, {"children": batch})
        except OmniForgeError as error:  # the page is there: whoever does it again makes a second one
            raise ServiceDown(
                f"Notion took the page, but not all of its text: {error.message}",
                retryable=False,
                outcome_unknown=True,
            ) from error
        return page

    async def update(self, page_id: str, properties: Json) -> Json:
        return await self.rest.patch(f"/v1/pages/{object_id(page_id)}", {"properties": properties})

    async def _gather(
        self, ask: Callable[[Json], Awaitable[Json]], limit: int = PAGE * MOST_PAGES
    ) -> Gathered:
        """Ask page after page until the end, `limit` results, or a cursor that leads nowhere."""
        gathered = Gathered()
        async for answer in _pages(ask, min(limit, PAGE)):
            if not isinstance(answer.get("results"), list):
                raise ServiceDown(
                    "Notion sent a list that cannot be read.", retryable=True, reason="unreadable"
                )
            gathered.results += items(answer["results"])
            if mapping(answer.get("request_status")).get("type") == "incomplete":
                gathered.truncated = True
            if len(gathered.results) >= limit:
                gathered.truncated |= len(gathered.results) > limit or answer.get("has_more") is True
                del gathered.results[limit:]
                break
        return gathered


async def _pages(ask: Callable[[Json], Awaitable[Json]], size: int) -> AsyncGenerator[Json]:
    paging: Json = {"page_size": max(size, 1)}
    seen: set[str] = set()
    while True:
        answer = await ask(paging)
        yield answer
        cursor = text(answer.get("next_cursor"))
        if answer.get("has_more") is not True or not cursor:
            return
        if cursor in seen or len(seen) >= MOST_PAGES * 10:
            raise ServiceDown("Notion sent a list without an end.", retryable=False, reason="unreadable")
        seen.add(cursor)
        paging = {**paging, "start_cursor": cursor}


def _as_params(paging: Json) -> list[tuple[str, str]]:
    return [(key, str(value)) for key, value in paging.items()]


def row_of(page: Json) -> Json:
    """A page of a database as the reading tools show it."""
    if not text(page.get("id")):
        raise ServiceDown("Notion sent a page that cannot be read.", retryable=True, reason="unreadable")
    return {
        "id": text(page.get("id")),
        "url": text(page.get("url")),
        "title": title_of(page),
        "created_at": text(page.get("created_time")),
        "edited_at": text(page.get("last_edited_time")),
        "fields": plain_fields(page.get("properties")),
    }


def database_name(database: Json) -> str:
    return plain_text(database.get("title")) or "Untitled"


In = TypeVar("In")
Out = TypeVar("Out")


async def each(inputs: Sequence[In], do: Callable[[In], Awaitable[Out]]) -> list[Out]:
    """Do something for each, a few at once, results in order; the first error ends all."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(given: In) -> Out:
        async with gate:
            return await do(given)

    try:
        async with asyncio.TaskGroup() as group:
            tasks: list[asyncio.Task[Any]] = [group.create_task(one(given)) for given in inputs]
    except* OmniForgeError as errors:
        raise _first(errors) from None
    return [task.result() for task in tasks]


def _first(errors: BaseExceptionGroup[OmniForgeError]) -> OmniForgeError:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
