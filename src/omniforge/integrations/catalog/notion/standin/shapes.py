"""Notion's JSON for what the workspace holds, and what may be written to it. Pure."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, cast

from omniforge.core.clock import rfc3339
from omniforge.integrations.catalog.notion.standin.query import NotAccepted, moment
from omniforge.integrations.catalog.notion.standin.workspace import (
    Block,
    Field,
    Json,
    Person,
    Row,
    Table,
    Workspace,
    stable_id,
)

LONGEST_TEXT = 2000
MOST_PARTS = 100
LONGEST_OPTION = 100


def rich(words: str) -> list[Json]:
    return [_part({"type": "text", "text": {"content": words}})] if words else []


def _part(given: Json) -> Json:
    words = str(given["text"]["content"])
    looks = ("bold", "italic", "strikethrough", "underline", "code")
    return {
        "type": "text",
        "text": {"content": words, "link": given["text"].get("link")},
        "annotations": {**dict.fromkeys(looks, False), "color": "default", **given.get("annotations", {})},
        "plain_text": words,
        "href": given["text"]["link"].get("url") if given["text"].get("link") else None,
    }


def address(object_id: str) -> str:
    return f"https://www.notion.so/{object_id.replace('-', '')}"


def field_id(field: Field) -> str:
    return "title" if field.type == "title" else stable_id("field", field.name)[:4]


def option(field: Field, name: str) -> Json:
    return {"id": stable_id("option", field.name, name)[:8], "name": name, "color": "default"}


def person_json(person: Person) -> Json:
    return {
        "object": "user",
        "id": person.id,
        "type": "person",
        "name": person.name,
        "avatar_url": None,
        "person": {"email": person.email},
    }


def bot_json(workspace: Workspace, owner: Person) -> Json:
    return {
        "object": "user",
        "id": workspace.bot_id,
        "type": "bot",
        "name": workspace.bot_name,
        "avatar_url": None,
        "bot": {
            "owner": {"type": "user", "user": person_json(owner)},
            "workspace_id": workspace.id,
            "workspace_name": workspace.name,
            "workspace_limits": {"max_file_upload_size_in_bytes": 5_368_709_120},
        },
    }


def database_json(workspace: Workspace, table: Table) -> Json:
    return {
        "object": "database",
        "id": table.id,
        "title": rich(table.name),
        "description": [],
        "parent": {"type": "workspace", "workspace": True},
        "is_inline": False,
        "is_locked": False,
        "in_trash": False,
        "created_time": rfc3339(table.created),
        "last_edited_time": rfc3339(_edited(workspace, table)),
        "data_sources": [{"id": table.source_id, "name": table.name}],
        "icon": None,
        "cover": None,
        "url": address(table.id),
        "public_url": None,
    }


def source_json(workspace: Workspace, table: Table) -> Json:
    return {
        "object": "data_source",
        "id": table.source_id,
        "title": rich(table.name),
        "description": [],
        "parent": {"type": "database_id", "database_id": table.id},
        "database_parent": {"type": "workspace", "workspace": True},
        "is_inline": False,
        "in_trash": False,
        "created_time": rfc3339(table.created),
        "created_by": {"object": "user", "id": workspace.people[0].id},
        "last_edited_time": rfc3339(_edited(workspace, table)),
        "last_edited_by": {"object": "user", "id": workspace.people[0].id},
        "properties": {field.name: _schema(field) for field in table.fields},
        "icon": None,
        "cover": None,
        "url": address(table.id),
        "public_url": None,
    }


def _edited(workspace: Workspace, table: Table) -> datetime:
    return max((row.edited for row in workspace.rows_of(table)), default=table.created)


def _schema(field: Field) -> Json:
    inner: Json = {}
    if field.type in ("select", "multi_select", "status"):
        inner = {"options": [{**option(field, name), "description": None} for name in field.options]}
    if field.type == "status":
        inner["groups"] = []
    if field.type == "number":
        inner["format"] = "number"
    return {
        "id": field_id(field),
        "name": field.name,
        "description": None,
        "type": field.type,
        field.type: inner,
    }


def page_json(workspace: Workspace, table: Table, row: Row, only: set[str] | None = None) -> Json:
    """A page; `only` keeps the properties of those ids or names."""
    fields = [f for f in table.fields if only is None or {field_id(f), f.name} & only]
    return {
        "object": "page",
        "id": row.id,
        "created_time": rfc3339(row.created),
        "last_edited_time": rfc3339(row.edited),
        "created_by": {"object": "user", "id": row.created_by},
        "last_edited_by": {"object": "user", "id": row.created_by},
        "cover": None,
        "icon": None,
        "parent": {"type": "data_source_id", "data_source_id": table.source_id, "database_id": table.id},
        "in_trash": row.in_trash,
        "is_archived": False,
        "is_locked": False,
        "properties": {f.name: _property(workspace, f, row) for f in fields},
        "url": address(row.id),
        "public_url": None,
    }


def _property(workspace: Workspace, field: Field, row: Row) -> Json:
    value: Any = row.values.get(field.name)
    several = cast("list[str]", value or [])
    shown: Any = value
    match field.type:
        case "title" | "rich_text":
            shown = rich(value or "")
        case "select" | "status":
            shown = option(field, value) if value else None
        case "multi_select":
            shown = [option(field, name) for name in several]
        case "people":
            known = (workspace.person(person_id) for person_id in several)
            shown = [person_json(person) for person in known if person]
        case "date":
            shown = {"start": value, "end": None, "time_zone": None} if value else None
        case "checkbox":
            shown = value is True
        case "relation":
            shown = [{"id": page_id} for page_id in several]
        case "created_time":
            shown = rfc3339(row.created)
        case "last_edited_time":
            shown = rfc3339(row.edited)
        case _:
            pass
    made: Json = {"id": field_id(field), "type": field.type, field.type: shown}
    return {**made, "has_more": False} if field.type == "relation" else made


def block_json(workspace: Workspace, block: Block, parent: Json) -> Json:
    content = {**_looks(block.kind), **block.content}
    if isinstance(content.get("rich_text"), list):
        content["rich_text"] = [_part(part) for part in content["rich_text"]]
    return {
        "object": "block",
        "id": block.id,
        "parent": parent,
        "type": block.kind,
        "created_time": rfc3339(block.created),
        "created_by": {"object": "user", "id": workspace.bot_id},
        "last_edited_time": rfc3339(block.created),
        "last_edited_by": {"object": "user", "id": workspace.bot_id},
        "has_children": bool(block.children),
        "in_trash": False,
        block.kind: content,
    }


def _looks(kind: str) -> Json:
    """What a block has besides its text, as it is when nobody chose anything."""
    match kind:
        case "divider":
            return {}
        case "code":
            return {"caption": []}
        case "paragraph":
            return {"color": "default", "icon": None}
        case "heading_1" | "heading_2" | "heading_3":
            return {"color": "default", "is_toggleable": False}
        case "to_do":
            return {"color": "default", "checked": False}
        case _:
            return {"color": "default"}


def delivery_json(workspace: Workspace, about: Json) -> Json:
    """A webhook's body: `{event, page, properties?, author?}` as Notion tells it."""
    row = workspace.rows[str(about["page"])]
    table = workspace.table(row.table_id)
    author = str(about.get("author") or workspace.bot_id)
    kind = "bot" if author == workspace.bot_id else "person"
    data: Json = {
        "parent": {"id": row.table_id, "type": "database", "data_source_id": table.source_id if table else ""}
    }
    if about["event"] == "page.properties_updated":
        names = {field.name: field_id(field) for field in (table.fields if table else [])}
        data["updated_properties"] = [names.get(name, name) for name in about.get("properties", [])]
    return {
        "id": str(uuid.uuid4()),
        "timestamp": rfc3339(workspace.now()),
        "workspace_id": workspace.id,
        "workspace_name": workspace.name,
        "subscription_id": stable_id("subscription"),
        "integration_id": stable_id("integration"),
        "authors": [{"id": author, "type": kind}],
        "accessible_by": [{"id": workspace.bot_id, "type": "bot"}],
        "attempt_number": 1,
        "api_version": "2025-09-03",
        "type": about["event"],
        "entity": {"id": row.id, "type": "page"},
        "data": data,
    }


def written_values(workspace: Workspace, table: Table, properties: Any) -> Json:
    """Property values of a write as plain values; NotAccepted where Notion would refuse."""
    if not isinstance(properties, dict):
        raise NotAccepted("body failed validation: body.properties should be an object")
    values: Json = {}
    for name, given in cast("Json", properties).items():
        field = table.find(name)
        if field is None:
            raise NotAccepted(f"{name} is not a property that exists.")
        if not isinstance(given, dict) or field.type not in given:
            raise NotAccepted(f"{name} is expected to be {field.type}.")
        values[field.name] = _written(workspace, field, cast("Json", given)[field.type])
    return values


def _written(workspace: Workspace, field: Field, given: Any) -> Any:
    match field.type:
        case "title" | "rich_text":
            return written_text(given)
        case "select" | "status" | "multi_select" | "people" | "relation":
            return _chosen(workspace, field, given)
        case "date":
            if given is None:
                return None
            start = str(given.get("start"))
            moment(start)
            return start
        case "checkbox" if isinstance(given, bool):
            return given
        case "number" if given is None or (isinstance(given, int | float) and not isinstance(given, bool)):
            return given
        case "url" | "email" | "phone_number" if given is None or isinstance(given, str):
            return given
        case _:
            raise NotAccepted(f"{field.name} is expected to be {field.type}.")


def _chosen(workspace: Workspace, field: Field, given: Any) -> Any:
    many = field.type not in ("select", "status")
    if not many:
        return None if given is None else _option(field, str(given.get("name")))
    if not isinstance(given, list):
        raise NotAccepted(f"{field.name} is expected to be {field.type}.")
    listed = cast("list[Json]", given)
    if field.type == "multi_select":
        return [_option(field, str(one.get("name"))) for one in listed]
    ids = [str(one.get("id")) for one in listed]
    known = workspace.rows if field.type == "relation" else {p.id for p in workspace.people}
    if missing := [one for one in ids if one not in known]:
        raise NotAccepted(f"{field.name} contains an unknown id: {missing[0]}")
    return ids


def _option(field: Field, name: str) -> str:
    if name not in field.options:
        if "," in name or len(name) > LONGEST_OPTION:
            raise NotAccepted(f"Invalid {field.type} option, commas not allowed: {name}")
        if field.type == "status":
            raise NotAccepted(f'Status option "{name}" does not exist.')
        field.options = [*field.options, name]  # select options are made by being used
    return name


def written_text(given: Any) -> str:
    return "".join(part["text"]["content"] for part in _parts(given))


def _parts(given: Any) -> list[Json]:
    if not isinstance(given, list) or len(cast("list[Any]", given)) > MOST_PARTS:
        raise NotAccepted(f"rich text should be an array of at most {MOST_PARTS} parts")
    for part in cast("list[Any]", given):
        words = part.get("text", {}).get("content") if isinstance(part, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        if not isinstance(words, str):
            raise NotAccepted("rich_text[].text.content should be a string")
        if len(words) > LONGEST_TEXT:
            raise NotAccepted(f"text.content.length should be ≤ `{LONGEST_TEXT}`, instead was `{len(words)}`")
    return cast("list[Json]", given)


def written_blocks(workspace: Workspace, given: Any, depth: int = 0) -> list[Block]:
    """Blocks of a write; at most 100 in one request and two levels, as Notion has it."""
    if given is None:
        return []
    if not isinstance(given, list) or len(cast("list[Any]", given)) > MOST_PARTS or depth > 2:
        raise NotAccepted(f"body.children should be an array of at most {MOST_PARTS} blocks")
    blocks: list[Block] = []
    for raw in cast("list[Any]", given):
        if not isinstance(raw, dict):
            raise NotAccepted("body.children[] should be an object")
        block = cast("Json", raw)
        kind = str(block.get("type"))
        if not isinstance(block.get(kind), dict):
            raise NotAccepted(f"body.children[].{kind} should be defined")
        content = cast("Json", block[kind])
        if "rich_text" in content:
            _parts(content["rich_text"])
        children = written_blocks(workspace, content.pop("children", None), depth + 1)
        blocks.append(Block(workspace.new_id(), kind, content, workspace.now(), children))
    return blocks
