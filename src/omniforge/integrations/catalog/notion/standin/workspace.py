"""The workspace the local server holds: people, databases with their fields, pages, blocks."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from omniforge.integrations.standin.state import Json, stable_id

FIXTURES = Path(__file__).parent.parent / "fixtures"


@dataclass(slots=True)
class Person:
    id: str
    name: str
    email: str


@dataclass(slots=True)
class Field:
    name: str
    type: str
    options: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class Table:
    """A database with its one data source."""

    id: str
    source_id: str
    name: str
    fields: list[Field]
    created: datetime

    def find(self, name: str) -> Field | None:
        return next((f for f in self.fields if name in (f.name, stable_id("field", f.name)[:4])), None)

    @property
    def title(self) -> str:
        return next(f.name for f in self.fields if f.type == "title")


@dataclass(slots=True)
class Block:
    id: str
    kind: str
    content: Json
    created: datetime
    children: list[Block] = field(default_factory=list["Block"])


@dataclass(slots=True)
class Row:
    """A page in a database. Values are plain: text, option name, list of names or user ids, ISO date."""

    id: str
    table_id: str
    created: datetime
    edited: datetime
    created_by: str
    values: Json
    blocks: list[Block] = field(default_factory=list[Block])
    in_trash: bool = False


@dataclass(slots=True)
class Workspace:
    id: str
    name: str
    bot_id: str
    bot_name: str
    people: list[Person]
    now: Callable[[], datetime]
    tables: list[Table] = field(default_factory=list[Table])
    rows: dict[str, Row] = field(default_factory=dict[str, Row])
    stand_in_for: str | None = None
    """Table that answers for ids nobody knows (samples of databases whose fields are not known)."""
    new_id: Callable[[], str] = lambda: str(uuid.uuid4())

    def table(self, table_id: str) -> Table | None:
        known = next((t for t in self.tables if table_id in (t.id, t.source_id)), None)
        if known is None and self.stand_in_for is not None:
            return next(t for t in self.tables if t.id == self.stand_in_for)
        return known

    def rows_of(self, table: Table) -> list[Row]:
        return [row for row in self.rows.values() if row.table_id == table.id and not row.in_trash]

    def person(self, person_id: str) -> Person | None:
        return next((person for person in self.people if person.id == person_id), None)

    def block(self, block_id: str) -> Block | None:
        pending = [block for row in self.rows.values() for block in row.blocks]
        while pending:
            block = pending.pop()
            if block.id == block_id:
                return block
            pending += block.children
        return None


@cache
def read_fixture(name: str) -> Json:
    content: Json = json.loads((FIXTURES / name).read_text(encoding="utf-8"))
    return content


def empty_workspace(now: Callable[[], datetime]) -> Workspace:
    """People and databases of `fixtures/workspace.json`, without any page."""
    source = read_fixture("workspace.json")
    clients: list[str] = source["clients"]
    people = [Person(stable_id("person", p["name"]), p["name"], p["email"]) for p in source["people"]]
    workspace = Workspace(
        stable_id("workspace"), source["workspace"], stable_id("bot"), source["bot"], people, now
    )
    created = now() - timedelta(days=500)
    for database in source["databases"]:
        fields = [
            Field(
                f["name"], f["type"], clients if f.get("options") == "clients" else list(f.get("options", []))
            )
            for f in database["fields"]
        ]
        name = database["name"]
        table = Table(stable_id("database", name), stable_id("source", name), name, fields, created)
        workspace.tables.append(table)
    return workspace


def paragraph(words: str) -> Json:
    return {"rich_text": [{"type": "text", "text": {"content": words}}]}


def make_blocks(row_id: str, text: str, created: datetime) -> list[Block]:
    """Simple Markdown (headings, bullets, paragraphs) as blocks; an indented one goes into the one above."""
    blocks: list[Block] = []
    for number, line in enumerate(part for part in text.split("\n") if part.strip()):
        stripped = line.strip()
        kind, words = "paragraph", stripped
        for sign, name in (("## ", "heading_2"), ("- ", "bulleted_list_item")):
            if stripped.startswith(sign):
                kind, words = name, stripped.removeprefix(sign)
        block = Block(stable_id("block", row_id, number), kind, paragraph(words), created)
        if line.startswith("  ") and blocks:
            blocks[-1].children.append(block)
        else:
            blocks.append(block)
    return blocks
