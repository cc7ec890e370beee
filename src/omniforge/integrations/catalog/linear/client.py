"""Linear's objects through its GraphQL API: operations, complete paging, ids that come from marks."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from omniforge.integrations.catalog.linear.queries import operations
from omniforge.integrations.catalog.linear.shapes import Json
from omniforge.integrations.catalog.linear.trouble import is_partial
from omniforge.integrations.errors import RefusedThere, ServiceDown
from omniforge.integrations.loose import items, mapping, text
from omniforge.integrations.rest import RestClient

PAGE = 100
"""Issues read at once: keeps one question within the 10,000 points of complexity that Linear allows."""
MOST = 10_000
"""Results read for one question; more is marked as truncated."""


def id_from(kind: str, mark: str) -> str:
    """The id a thing gets that is made with a mark: always the same one, and a UUID v4 as Linear wants it."""
    digest = hashlib.sha256(f"omniforge/linear/{kind}/{mark}".encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def is_id(given: str) -> bool:
    try:
        return str(uuid.UUID(given)) == given.lower()
    except ValueError:
        return False


@dataclass(slots=True)
class Gathered:
    """Results of all pages; `truncated` when there are more than we read, or Linear left parts out."""

    results: list[Json] = field(default_factory=list[Json])
    truncated: bool = False


class Linear:
    """Linear for one connection."""

    def __init__(self, rest: RestClient) -> None:
        self.rest = rest

    async def ask(self, operation: str, **variables: Any) -> tuple[Json, bool]:
        """The data of a query, and whether parts of it are missing."""
        answer = await self._send(operation, variables, changes=False)
        return mapping(answer.get("data")), is_partial(answer)

    async def one(self, operation: str, root: str, **variables: Any) -> Json:
        data, _ = await self.ask(operation, **variables)
        found = mapping(data.get(root))
        if not found:
            raise _unreadable()
        return found

    async def change(self, operation: str, root: str, **variables: Any) -> Json:
        """Do a mutation; what it made or changed."""
        answer = await self._send(operation, variables, changes=True)
        payload = mapping(mapping(answer.get("data")).get(root))
        if payload.get("success") is False:
            raise RefusedThere("Linear did not carry it out, and does not say why.")
        entity = mapping(payload.get("comment" if root == "commentCreate" else "issue"))
        if not text(entity.get("id")):
            raise ServiceDown(
                "Linear's answer does not say what was written. I'll look there first.",
                retryable=True,
                outcome_unknown=True,
            )
        return entity

    async def all(self, operation: str, *path: str, limit: int = MOST, **variables: Any) -> Gathered:
        """Every page of the connection at `path` of the answer, each thing once, up to `limit`.

        What moves to another page while we read comes twice, so ids seen before are passed over.
        """
        gathered, cursor = Gathered(), None
        seen: set[str] = set()
        cursors: set[str] = set()
        while True:
            data, partial = await self.ask(operation, **variables, after=cursor)
            found, info = _page(data, path)
            gathered.results += [thing for thing in found if text(thing.get("id")) not in seen]
            seen.update(text(thing.get("id")) for thing in found)
            gathered.truncated |= partial
            more, cursor = info.get("hasNextPage") is True, text(info.get("endCursor"))
            if len(gathered.results) >= limit:
                gathered.truncated |= more or len(gathered.results) > limit
                del gathered.results[limit:]
                return gathered
            if not more:
                return gathered
            if not cursor or cursor in cursors:
                raise ServiceDown("Linear sent a list without an end.", retryable=False, reason="unreadable")
            cursors.add(cursor)

    async def issues(self, where: Json, limit: int = MOST, *, order: str = "updatedAt") -> Gathered:
        """Issues that match a filter, the latest first."""
        variables: Json = {"filter": where, "first": min(limit, PAGE), "orderBy": order}
        return await self.all("Issues", "issues", limit=limit, **variables)

    async def by_id(self, operation: str, root: str, thing_id: str) -> Json | None:
        """The thing of that id, or None. By a filter: asking for what is not there is an error."""
        variables: Json = {"filter": {"id": {"eq": thing_id}}, "first": 1}
        if root == "issues":
            variables["archived"] = True
        found = await self.all(operation, root, limit=1, **variables)
        return found.results[0] if found.results else None

    async def _send(self, operation: str, variables: Json, *, changes: bool) -> Json:
        body = {"operationName": operation, "query": operations()[operation], "variables": variables}
        return await self.rest.post("/graphql", body, changes=changes)


def _page(data: Json, path: Sequence[str]) -> tuple[list[Json], Json]:
    connection = data
    for name in path:
        connection = mapping(connection.get(name))
    if not isinstance(connection.get("nodes"), list):
        raise _unreadable()
    return items(connection["nodes"]), mapping(connection.get("pageInfo"))


def _unreadable() -> ServiceDown:
    return ServiceDown("Linear sent an answer that cannot be read.", retryable=True, reason="unreadable")


def made(entity: Json) -> Json:
    """What a write answers, and what is found by a mark."""
    shown = {"id": text(entity.get("id")), "url": text(entity.get("url"))}
    return {**shown, "identifier": text(entity.get("identifier"))} if "identifier" in entity else shown
