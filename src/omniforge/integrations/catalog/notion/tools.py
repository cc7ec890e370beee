"""What can be done in Notion: the tools, their arguments, and where their writes go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import httpx

from omniforge.core.clock import rfc3339
from omniforge.core.errors import Invalid
from omniforge.integrations.catalog.notion import blocks as markdown
from omniforge.integrations.catalog.notion import filters, shapes
from omniforge.integrations.catalog.notion.arguments import (
    MOST_ROWS,
    CreatePage,
    FindChange,
    FindPage,
    ListDatabases,
    Nothing,
    OneDatabase,
    OnePage,
    QueryDatabase,
    UpdatePage,
)
from omniforge.integrations.catalog.notion.client import (
    Gathered,
    Notion,
    database_name,
    each,
    object_id,
    row_of,
)
from omniforge.integrations.catalog.notion.shapes import Json
from omniforge.integrations.errors import ConflictThere, ServiceDown
from omniforge.integrations.loose import mapping, text
from omniforge.integrations.manifest import Access, Arguments, Destination, IntegrationTool, Lookup
from omniforge.integrations.rest import RestClient

LOOKED_AT_FOR_MARK = 25


async def who_am_i(client: RestClient, _: Nothing) -> Json:
    me = await Notion(client).me()
    bot = mapping(me.get("bot"))
    owner = mapping(mapping(bot.get("owner")).get("user")) or me
    if not text(me.get("id")):
        raise ServiceDown("Notion did not say who we are.", retryable=True, reason="unreadable")
    return {
        "user": {"id": text(owner.get("id")), "name": text(owner.get("name"), "Notion user")},
        "workspace": {
            "id": text(bot.get("workspace_id")) or text(me.get("id")),
            "name": text(bot.get("workspace_name")) or text(me.get("name"), "Notion workspace"),
        },
        "acts_as": {"id": text(me.get("id")), "name": text(me.get("name"), "OmniForge")},
    }


async def list_databases(client: RestClient, args: ListDatabases) -> Json:
    notion = Notion(client)
    found = await notion.data_sources(args.search)
    by_database: dict[str, list[Json]] = {}
    for source in found.results:
        database_id = text(mapping(source.get("parent")).get("database_id"))
        if database_id and source.get("in_trash") is not True:
            by_database.setdefault(database_id, []).append(source)

    async def counted(source: Json) -> Gathered:
        return await notion.rows(text(source.get("id")), {}, MOST_ROWS, only_title=True)

    async def described(entry: tuple[str, list[Json]]) -> tuple[Json, bool]:
        database_id, sources = entry
        counts = [await counted(source) for source in sources]
        name, url = shapes.plain_text(sources[0].get("title")), text(sources[0].get("url"))
        if len(sources) > 1 or not name:
            database = await notion.database(database_id)
            name, url = database_name(database), text(database.get("url"))
        shown: Json = {
            "id": database_id,
            "name": name,
            "url": url,
            "items": sum(len(count.results) for count in counts),
        }
        return shown, any(count.truncated for count in counts)

    entries = await each(list(by_database.items()), described)
    databases = sorted((shown for shown, _ in entries), key=lambda d: (str(d["name"]).lower(), d["id"]))
    return {"databases": databases, "truncated": found.truncated or any(cut for _, cut in entries)}


async def describe_database(client: RestClient, args: OneDatabase) -> Json:
    notion = Notion(client)
    database, sources = await notion.sources_of(args.database_id)
    schema = await _schema(notion, sources)
    return {
        "id": text(database.get("id")),
        "name": database_name(database),
        "fields": shapes.described_fields(schema),
    }


async def query_database(client: RestClient, args: QueryDatabase) -> Json:
    notion = Notion(client)
    _, sources = await notion.sources_of(args.database_id)
    question = await _question(notion, sources, args)
    found = Gathered()
    for source in sources:
        part = await notion.rows(source, question, args.limit + 1 - len(found.results))
        found.results += part.results
        found.truncated |= part.truncated
        if len(found.results) > args.limit:
            break
    rows = [row_of(page) for page in found.results[: args.limit]]
    cut = any(shapes.is_cut(page.get("properties")) for page in found.results[: args.limit])
    return {"rows": rows, "truncated": found.truncated or cut or len(found.results) > args.limit}


async def _question(notion: Notion, sources: Sequence[str], args: QueryDatabase) -> Json:
    conditions = [
        *filters.time_window("last_edited_time", _moment(args.edited_after), _moment(args.edited_before)),
        *filters.time_window("created_time", _moment(args.created_after), None),
    ]
    question: Json = {}
    needs_schema = bool(args.filters) or (args.sort and args.sort.field not in filters.TIMESTAMPS)
    schema = await _schema(notion, sources) if needs_schema else {}
    asked = {text(mapping(schema.get(one.field)).get("type")) for one in args.filters}
    people = await notion.people() if "people" in asked else {}
    conditions += [filters.condition(one.field, one.op, one.value, schema, people) for one in args.filters]
    if (together := filters.joined(conditions)) is not None:
        question["filter"] = together
    if args.sort:
        question["sorts"] = [filters.order(args.sort.field, args.sort.direction, schema)]
    return question


async def read_page(client: RestClient, args: OnePage) -> Json:
    notion = Notion(client)
    page = await notion.page(args.page_id)
    content = await notion.content(text(page.get("id"), args.page_id))
    row = row_of(page)
    return {
        **{key: row[key] for key in ("id", "title", "url", "created_at", "edited_at", "fields")},
        "text": markdown.markdown([block for block in content.results if not _is_mark(block)]),
        "truncated": content.truncated or shapes.is_cut(page.get("properties")),
    }


async def create_page(client: RestClient, args: CreatePage) -> Json:
    notion = Notion(client)
    _, sources = await notion.sources_of(args.database_id)
    schema = await notion.schema(sources[0])
    properties = shapes.property_values(args.fields, schema, await _people(notion, args.fields, schema))
    body = markdown.blocks_of(args.text or "")
    if args.mark is not None:
        body.insert(0, mark_block(args.mark))
    return _made(await notion.create(sources[0], properties, body))


async def update_page(client: RestClient, args: UpdatePage) -> Json:
    notion = Notion(client)
    page = await notion.page(args.page_id)
    schema = mapping(page.get("properties"))
    properties = shapes.property_values(args.fields, schema, await _people(notion, args.fields, schema))
    try:
        return _made(await notion.update(args.page_id, properties))
    except ConflictThere:  # somebody was at the page just then: one more look, one more try
        await notion.page(args.page_id)
        return _made(await notion.update(args.page_id, properties))


async def find_page(client: RestClient, args: FindPage) -> Json:
    """Look among the pages we made last: the mark is the first block of a page made with one."""
    notion = Notion(client)
    _, sources = await notion.sources_of(args.database_id)
    us = text((await notion.me()).get("id"))
    question: Json = {"sorts": [{"timestamp": "created_time", "direction": "descending"}]}
    recent = await notion.rows(sources[0], question, LOOKED_AT_FOR_MARK * 4, only_title=True)
    ours = [page for page in recent.results if mapping(page.get("created_by")).get("id") == us]
    for page in ours[:LOOKED_AT_FOR_MARK]:
        first = await notion.children(text(page.get("id")), limit=1)
        if any(_mark_of(block) == args.mark for block in first.results):
            return {"page": _made(page)}
    return {"page": None}


async def find_change(client: RestClient, args: FindChange) -> Json:
    """The page, when its fields have these values already; compared as they would be written."""
    notion = Notion(client)
    page = await notion.page(args.page_id)
    schema = mapping(page.get("properties"))
    wanted = shapes.property_values(args.fields, schema, await _people(notion, args.fields, schema))
    there = all(shapes.holds(mapping(schema[name]), mapping(value)) for name, value in wanted.items())
    return {"page": _made(page) if there else None}


MARK = "Added by OmniForge, mark "


def mark_block(mark: str) -> Json:
    """A small grey line that tells people where the page came from, and us which write made it."""
    content = {"type": "text", "text": {"content": MARK + mark}, "annotations": {"color": "gray"}}
    return {"object": "block", "type": "paragraph", "paragraph": {"rich_text": [content]}}


def _mark_of(block: Json) -> str | None:
    words = shapes.plain_text(mapping(block.get("paragraph")).get("rich_text"))
    return words.removeprefix(MARK) if words.startswith(MARK) else None


def _is_mark(block: Json) -> bool:
    return _mark_of(block) is not None


async def _schema(notion: Notion, sources: Sequence[str]) -> Json:
    """Fields of all data sources of a database; the first one wins a name."""
    merged: Json = {}
    for source in sources:
        merged = {**await notion.schema(source), **merged}
    return merged


async def _people(notion: Notion, fields: Json, schema: Json) -> dict[str, str]:
    wanted = any(mapping(schema.get(name)).get("type") == "people" for name in fields)
    return await notion.people() if wanted else {}


def _made(page: Json) -> Json:
    if not text(page.get("id")):
        raise ServiceDown(
            "Notion's answer does not say what was written. I'll look there first.",
            retryable=True,
            outcome_unknown=True,
        )
    return {"id": text(page.get("id")), "url": text(page.get("url"))}


def _moment(given: datetime | None) -> str | None:
    return rfc3339(given) if given else None


def _container(key: str) -> Any:
    def destination(args: Arguments) -> Destination | None:
        try:
            resource = object_id(str(args.get(key, "")))
        except Invalid:
            return None
        return Destination(resource, resource)

    return destination


def _looked_up_by_mark(args: Arguments) -> Lookup | None:
    if not args.get("mark"):
        return None
    return Lookup("notion.find_page", {key: args[key] for key in FindPage.model_fields}, "page")


def _fields(args: Arguments) -> str:
    return ", ".join(mapping(args.get("fields"))) or "nothing"


def _window(args: Arguments) -> str:
    parts = [
        f"{word} {args[key]}"
        for key, word in (("edited_after", "edited since"), ("edited_before", "edited before"))
        if args.get(key)
    ]
    return f" ({', '.join(parts)})" if parts else ""


def samples(
    now: datetime, *, resources: Sequence[Arguments] = (), empty: bool = False
) -> httpx.AsyncBaseTransport:
    """The sample workspace of `fixtures/`, behind Notion's own protocol and without a network."""
    from omniforge.integrations.catalog.notion import sample  # noqa: PLC0415 - only dry runs need it

    return sample.transport(now, resources=resources, empty=empty)


TOOLS: tuple[IntegrationTool, ...] = (
    IntegrationTool(
        name="notion.who_am_i",
        description="Says which person and which workspace the connection belongs to.",
        arguments=Nothing,
        access=Access.READ,
        summary=lambda _: "looks up whose Notion this is",
        run=who_am_i,
    ),
    IntegrationTool(
        name="notion.list_databases",
        description="Lists the databases shared with us, each with its number of items.",
        arguments=ListDatabases,
        access=Access.READ,
        summary=lambda _: "lists Notion databases",
        run=list_databases,
    ),
    IntegrationTool(
        name="notion.describe_database",
        description="Lists the fields of a database with their types and options.",
        arguments=OneDatabase,
        access=Access.READ,
        summary=lambda _: "reads the fields of a Notion database",
        run=describe_database,
    ),
    IntegrationTool(
        name="notion.query_database",
        description="Reads rows of a database, within a time window and by conditions on fields.",
        arguments=QueryDatabase,
        access=Access.READ,
        summary=lambda args: f"reads a Notion database{_window(args)}",
        run=query_database,
    ),
    IntegrationTool(
        name="notion.read_page",
        description="Reads a page: its fields, and its text as Markdown.",
        arguments=OnePage,
        access=Access.READ,
        summary=lambda _: "reads a Notion page",
        run=read_page,
    ),
    IntegrationTool(
        name="notion.create_page",
        description="Adds a row to a database, with text when given.",
        arguments=CreatePage,
        access=Access.WRITE,
        summary=lambda args: f"adds a page to a Notion database, filling {_fields(args)}",
        run=create_page,
        destination=_container("database_id"),
        lookup=_looked_up_by_mark,
    ),
    IntegrationTool(
        name="notion.update_page",
        description="Changes fields of a page.",
        arguments=UpdatePage,
        access=Access.WRITE,
        summary=lambda args: f"changes {_fields(args)} of a Notion page",
        run=update_page,
        destination=_container("page_id"),
        lookup=lambda args: Lookup(
            "notion.find_change", {key: args[key] for key in FindChange.model_fields}, "page"
        ),
    ),
    IntegrationTool(
        name="notion.find_page",
        description="Finds the page that was created with a given idempotency mark.",
        arguments=FindPage,
        access=Access.READ,
        summary=lambda _: "checks whether the page was added already",
        run=find_page,
    ),
    IntegrationTool(
        name="notion.find_change",
        description="Says whether fields of a page have given values already.",
        arguments=FindChange,
        access=Access.READ,
        summary=lambda args: f"looks whether {_fields(args)} of a Notion page is changed already",
        run=find_change,
    ),
)
