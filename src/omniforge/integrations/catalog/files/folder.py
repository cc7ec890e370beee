"""One tenant's tables: list, read, write, and rows added once per mark. Blocking: called in a thread."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from omniforge.core.clock import Clock
from omniforge.integrations.catalog.files import tables
from omniforge.integrations.catalog.files.disk import MOST_FILES, TITLE, Disk, Entry, checked_name
from omniforge.integrations.catalog.files.tables import Json, Table
from omniforge.integrations.errors import ResourceNotFound, ServiceDown

MARKS = ".marks.json"
MOST_MARKS = 5_000
"""Marks that are remembered, the latest of them."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A tenant's tables on a disk."""

    disk: Disk
    clock: Clock

    def entries(self, search: str | None) -> tuple[list[Entry], bool]:
        """Files whose name has the words in it, and whether there are more."""
        wanted = (search or "").casefold()
        found = [entry for entry in self.disk.entries() if wanted in entry.name.casefold()]
        return found[:MOST_FILES], len(found) > MOST_FILES

    def table(self, name: str, sheet: str | None = None) -> Table:
        return tables.read_table(name, self._content(name), sheet)

    def append(self, name: str, rows: Sequence[Json], sheet: str | None, mark: str | None) -> Json:
        """Rows at the end of a table, which is made when it is not there. A mark is used once: given again,
        nothing is written and the first answer is repeated.
        """
        checked_name(name)
        with self.disk.locked():
            earlier = self._found(name, mark) if mark else None
            if earlier is not None:
                return earlier
            old = self.disk.read(name)
            table = Table(sheet=sheet) if old is None else tables.read_table(name, old, sheet)
            grown = tables.with_columns(table, rows)
            content = (
                tables.write_table(name, grown)
                if old is None
                else tables.append_table(name, grown, len(rows), old)
            )
            done = {"id": f"{name}#{len(table.rows) + 1}", "file": name, "added": len(rows)}
            self._note(name, old, {mark: {"done": done, "before": _digest(old)}} if mark else {})
            self.disk.write({name: content}, self.clock.now())
            return {**done, "items": len(grown.rows)}

    def replace(self, name: str, rows: Sequence[Json], sheet: str | None) -> Json:
        """A whole table in place of what was there. The same rows again change nothing."""
        checked_name(name)
        with self.disk.locked():
            old = self.disk.read(name)
            before = tables.read_table(name, old).style if old is not None else tables.Style()
            table = tables.with_columns(Table(style=before, sheet=sheet), rows)
            content = tables.write_table(name, table, old)
            self._note(name, old, {})
            self.disk.write({name: content}, self.clock.now())
            return {"id": name, "file": name, "items": len(table.rows), "made": old is None}

    def find(self, name: str, mark: str) -> Json | None:
        """What the mark stands for, if it was written."""
        checked_name(name)
        with self.disk.locked():
            return self._found(name, mark)

    def _found(self, name: str, mark: str) -> Json | None:
        """The mark is noted before the rows are written: whether they were is told by what the file holds."""
        entry = self._marks().get(mark)
        if entry is None or entry["done"]["file"] != name:
            return None
        content = self.disk.read(name)
        if _digest(content) == entry["before"]:
            return None
        items = len(tables.read_table(name, content).rows) if content is not None else 0
        return {**entry["done"], "items": items}

    def _note(self, name: str, old: bytes | None, added: Mapping[str, Json]) -> None:
        """Note marks before the file changes from `old`. Those whose rows never came are forgotten now: once
        the file is another one it could not be told any more.
        """
        marks, now = self._marks(), _digest(old)
        kept = {
            mark: entry
            for mark, entry in marks.items()
            if entry["done"]["file"] != name or entry["before"] != now
        }
        noted = dict(list({**kept, **added}.items())[-MOST_MARKS:])
        if noted != marks:
            self.disk.write({MARKS: json.dumps(noted).encode()}, self.clock.now())

    def _marks(self) -> dict[str, Json]:
        content = self.disk.read(MARKS)
        if content is None:
            return {}
        try:
            parsed: Any = json.loads(content)
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            raise ServiceDown(
                f"{TITLE}: the list of what was added before ({MARKS}) is damaged. Nothing is added twice. "
                "Look at it, or move it away.",
                retryable=False,
            )
        return cast("dict[str, Json]", parsed)

    def _content(self, name: str) -> bytes:
        content = self.disk.read(checked_name(name))
        if content is None:
            known = [entry.name for entry in self.disk.entries()]
            raise ResourceNotFound(f"{TITLE}: there is no {name}.", known=known[:50])
        return content


def _digest(content: bytes | None) -> str:
    return "" if content is None else hashlib.sha256(content).hexdigest()
