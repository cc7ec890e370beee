"""What Linear answers to a query: single things, and connections with filter, order and cursors."""

from __future__ import annotations

from typing import Any

from omniforge.integrations.catalog.linear.standin.filters import matches
from omniforge.integrations.catalog.linear.standin.validate import DEFAULT_FIRST
from omniforge.integrations.catalog.linear.standin.world import (
    Json,
    World,
    invalid,
    latest_first,
    missing,
    schema,
)

LISTS = {
    "teams": "Team",
    "projects": "Project",
    "workflowStates": "WorkflowState",
    "issueLabels": "IssueLabel",
    "users": "User",
    "issues": "Issue",
    "comments": "Comment",
}
SINGLE = {"team": "Team", "project": "Project", "issue": "Issue", "comment": "Comment"}
MOST = 250
"""Most things Linear gives at once."""


class Reading:
    """Resolves fields for one person."""

    def __init__(self, world: World, viewer: str) -> None:
        self.world, self.viewer = world, viewer

    def __call__(self, type_name: str, row: Json, name: str, arguments: Json) -> Any:
        """One field of a row; a whole connection when it is one."""
        if type_name == "Query":
            return self._root(name, arguments)
        kind = schema().types[type_name][name].type.base
        if kind.endswith("Connection"):
            rows = self.world.related(type_name, row, name)
            return self._connection(kind.removesuffix("Connection"), rows, arguments)
        if (type_name, name) == ("User", "isMe"):
            return row["id"] == self.viewer
        return self.world.value(type_name, row, name)

    def _root(self, name: str, arguments: Json) -> Any:
        match name:
            case "viewer":
                return self.world.need("User", self.viewer)
            case "organization":
                return self.world.organization
            case name if name in SINGLE:
                return self.world.need(SINGLE[name], str(arguments.get("id") or ""))
            case _:
                return self._connection(LISTS[name], self.world.rows(LISTS[name]), arguments)

    def _connection(self, kind: str, rows: list[Json], arguments: Json) -> Json:
        first = arguments.get("first")
        first = DEFAULT_FIRST if first is None else first
        if not 0 < first <= MOST:
            raise invalid(
                f"first must not be greater than {MOST}." if first > MOST else "first must be positive."
            )
        if arguments.get("before") or arguments.get("last"):
            raise invalid("The local server pages forward only: use first and after.")
        where: Json = arguments.get("filter") or {}
        chosen = [
            row
            for row in rows
            if (row.get("archivedAt") is None or arguments.get("includeArchived"))
            and matches(self.world, self.viewer, kind, row, where)
        ]
        key = arguments.get("orderBy") or "createdAt"
        ordered = latest_first(chosen, key)
        start = self._after(kind, ordered, key, arguments.get("after"))
        part = ordered[start : start + first]
        return {
            "nodes": part,
            "pageInfo": {
                "hasNextPage": start + first < len(ordered),
                "hasPreviousPage": start > 0,
                "startCursor": part[0]["id"] if part else None,
                "endCursor": part[-1]["id"] if part else None,
            },
        }

    def _after(self, kind: str, ordered: list[Json], key: str, cursor: str | None) -> int:
        """A cursor is the id of the last thing on the page before, wherever that thing is by now."""
        if cursor is None:
            return 0
        last = self.world.tables.get(kind, {}).get(cursor)
        if last is None:
            raise missing(kind)
        place = (last[key], last["id"])
        return sum((row[key], row["id"]) >= place for row in ordered)
