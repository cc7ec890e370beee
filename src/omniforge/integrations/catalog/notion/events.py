"""What happens in Notion: new and changed rows of databases, told by Notion or looked for.

Notion rounds created and edited times down to the minute; a row that is changed within the minute it was made
in counts as new only. Deliveries name ids, not contents: the row is read afterwards with `notion.read_page`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from omniforge.core.clock import rfc3339
from omniforge.core.errors import Invalid
from omniforge.integrations.catalog.notion.client import Notion, object_id, row_of
from omniforge.integrations.catalog.notion.shapes import Json
from omniforge.integrations.errors import ServiceDown
from omniforge.integrations.loose import items, mapping, text
from omniforge.integrations.manifest import EventKind, Occurrence
from omniforge.integrations.rest import RestClient

TOLD = {
    "page.created": "row.created",
    "page.properties_updated": "row.updated",
    "page.content_updated": "row.updated",
}
"""Notion's names of what we wait for."""
MOST_ROWS = 10_000


def read_delivery(headers: Mapping[str, str], payload: Json) -> list[Occurrence]:
    """The row a delivery tells of; pages that are in no database are no rows."""
    name, entity = TOLD.get(text(payload.get("type"))), mapping(payload.get("entity"))
    parent = mapping(mapping(payload.get("data")).get("parent"))
    at = _moment(payload.get("timestamp"))
    row, database = _id(entity.get("id")), _id(parent.get("database_id") or parent.get("id"))
    in_database = text(parent.get("type")) in ("database", "database_id", "data_source", "data_source_id")
    if name is None or entity.get("type") != "page" or not (in_database and at and row and database):
        return []
    authors = [text(author.get("id")) for author in items(payload.get("authors"))]
    return [
        Occurrence(
            type=name,
            id=row,
            version=_version(name, rfc3339(at)),
            at=at,
            resource=database,
            item={"id": row},
            author=authors[0] if authors and authors[0] else None,
        )
    ]


async def created_rows(client: RestClient, database_id: str | None, since: datetime) -> list[Occurrence]:
    """Rows made at that time or after."""
    found = await _rows(client, database_id, "created_time", since)
    return [_occurrence("row.created", database, page, "created") for database, page in found]


async def updated_rows(client: RestClient, database_id: str | None, since: datetime) -> list[Occurrence]:
    """Rows changed at that time or after, later than they were made."""
    found = await _rows(client, database_id, "last_edited_time", since)
    return [
        _occurrence("row.updated", database, page, "last_edited")
        for database, page in found
        if page.get("last_edited_time") != page.get("created_time")
    ]


async def _rows(
    client: RestClient, database_id: str | None, field: str, since: datetime
) -> list[tuple[str, Json]]:
    notion = Notion(client)
    found: list[tuple[str, Json]] = []
    for database, source in await _sources(notion, database_id):
        found += [(database, page) for page in await _all_since(notion, source, field, since)]
    return found


async def _sources(notion: Notion, database_id: str | None) -> list[tuple[str, str]]:
    """(database, data source): of one database, or of all that are shared with us."""
    if database_id is not None:
        database, sources = await notion.sources_of(database_id)
        return [(text(database.get("id")), source) for source in sources]
    shared = await notion.data_sources(None)
    if shared.truncated:
        raise ServiceDown(
            "There are more Notion databases than can be watched at once. Pick one.", retryable=False
        )
    parents = [(mapping(one.get("parent")), text(one.get("id"))) for one in shared.results]
    return [
        (text(parent.get("database_id")), source) for parent, source in parents if parent.get("database_id")
    ]


async def _all_since(notion: Notion, source: str, field: str, since: datetime) -> list[Json]:
    """Every row, oldest first; what is left out of a long answer is asked for from where that ended."""
    rows: dict[str, Json] = {}
    start = rfc3339(since)
    while True:
        question: Json = {
            "filter": {"timestamp": field, field: {"on_or_after": start}},
            "sorts": [{"timestamp": field, "direction": "ascending"}],
        }
        part = await notion.rows(source, question, MOST_ROWS)
        rows |= {text(page.get("id")): page for page in part.results}
        last = text(part.results[-1].get(field)) if part.results else start
        if not part.truncated:
            return list(rows.values())
        if last == start:
            raise ServiceDown("Too many rows changed in Notion in one minute to be read.", retryable=False)
        start = last


def _occurrence(name: str, database: str, page: Json, by: str) -> Occurrence:
    at = _moment(page.get("created_time" if by == "created" else "last_edited_time"))
    if at is None:
        raise ServiceDown("Notion sent a page that cannot be read.", retryable=True, reason="unreadable")
    author = text(mapping(page.get(f"{by}_by")).get("id"))
    return Occurrence(
        type=name,
        id=text(page.get("id")),
        version=_version(name, rfc3339(at)),
        at=at,
        resource=database,
        item=row_of(page),
        author=author or None,
    )


def _version(name: str, at: str) -> str:
    """A row is new once, however it is found out; it changes as often as its time does."""
    return "created" if name == "row.created" else at


def _id(given: object) -> str:
    try:
        return object_id(text(given))
    except Invalid:
        return ""


def _moment(given: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text(given))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


EVENTS = (
    EventKind(
        name="row.created",
        title="a new row in a database",
        resource_kind="database",
        push=True,
        poll=created_rows,
        read_tool="notion.read_page",
        read_argument="page_id",
    ),
    EventKind(
        name="row.updated",
        title="a change to a row of a database",
        resource_kind="database",
        push=True,
        poll=updated_rows,
        read_tool="notion.read_page",
        read_argument="page_id",
    ),
)
