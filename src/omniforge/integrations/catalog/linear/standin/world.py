"""The workspace a local server holds: rows by type, how they hang together, and what follows from them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from omniforge.core.clock import rfc3339
from omniforge.integrations.catalog.linear.standin.execute import Problem
from omniforge.integrations.catalog.linear.standin.graphql import Schema, parse_schema

Json = dict[str, Any]

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
PRIORITY_LABELS = ("No priority", "Urgent", "High", "Medium", "Low")
RELATED: Mapping[tuple[str, str], tuple[str, str]] = {
    ("Team", "states"): ("WorkflowState", "teamId"),
    ("Team", "labels"): ("IssueLabel", "teamId"),
    ("Team", "issues"): ("Issue", "teamId"),
    ("Team", "projects"): ("Project", "teamIds"),
    ("Team", "members"): ("User", "teamIds"),
    ("Project", "issues"): ("Issue", "projectId"),
    ("Issue", "comments"): ("Comment", "issueId"),
    ("Issue", "children"): ("Issue", "parentId"),
    ("Issue", "history"): ("IssueHistory", "issueId"),
}
"""Where the things of a connection point back from: their type, and their field with the id (or ids)."""
LISTED: Mapping[tuple[str, str], tuple[str, str]] = {
    ("Issue", "labels"): ("IssueLabel", "labelIds"),
    ("Project", "teams"): ("Team", "teamIds"),
    ("Project", "members"): ("User", "memberIds"),
    ("User", "teams"): ("Team", "teamIds"),
}
"""Connections whose ids stand in the row itself."""
STOOD_IN_FOR = ("Team", "Project")


@cache
def schema() -> Schema:
    return parse_schema((Path(__file__).parent / "schema.graphql").read_text(encoding="utf-8"))


@dataclass(slots=True)
class World:
    """Rows by type and id. `<field>Id` in a row points to another row."""

    now: Callable[[], datetime]
    organization: Json
    new_id: Callable[[], str]
    stands_in: bool = False
    """Sample data: a team or project that is not known is taken for the first one."""
    tables: dict[str, dict[str, Json]] = field(default_factory=dict[str, dict[str, Json]])

    def rows(self, type_name: str) -> list[Json]:
        return list(self.tables.get(type_name, {}).values())

    def add(self, type_name: str, row: Json) -> Json:
        """Put a row in, with an id and times when it brings none."""
        moment = rfc3339(self.now())
        made: Json = {"id": self.new_id(), "createdAt": moment, "archivedAt": None, **row}
        made.setdefault("updatedAt", made["createdAt"])
        self.tables.setdefault(type_name, {})[made["id"]] = made
        return made

    def find(self, type_name: str, given: str) -> Json | None:
        """By id; issues by their identifier as well, teams by their key."""
        table = self.tables.get(type_name, {})
        row = table.get(given.lower())
        if row is None and type_name in ("Issue", "Team"):
            name = "identifier" if type_name == "Issue" else "key"
            row = next((one for one in table.values() if one[name] == given.upper()), None)
        if row is None and self.stands_in and table:
            row = next(iter(table.values()))
        return row

    def need(self, type_name: str, given: str) -> Json:
        row = self.find(type_name, given)
        if row is None:
            raise missing(type_name)
        return row

    def known_id(self, type_name: str, given: str) -> str:
        table = self.tables.get(type_name, {})
        unknown = given not in table and self.stands_in and type_name in STOOD_IN_FOR
        return next(iter(table), given) if unknown else given

    def related(self, type_name: str, row: Json, name: str) -> list[Json]:
        """The rows of a connection of a row, in the order they came."""
        if (listed := LISTED.get((type_name, name))) is not None:
            kind, key = listed
            table = self.tables.get(kind, {})
            return [table[one] for one in row[key] if one in table]
        kind, key = RELATED[type_name, name]
        wanted = row["id"]
        if key.endswith("Ids"):
            return [one for one in self.rows(kind) if wanted in one[key]]
        return [one for one in self.rows(kind) if one.get(key) == wanted]

    def value(self, type_name: str, row: Json, name: str) -> Any:
        """A field that is no connection: it stands in the row, or is pointed to, or follows from the rest."""
        if (computed := COMPUTED.get((type_name, name))) is not None:
            return computed(self, row)
        kind = schema().types[type_name][name].type.base
        if kind not in schema().types or name in row:
            return row.get(name)
        return self.tables.get(kind, {}).get(row.get(f"{name}Id") or "")


def missing(type_name: str) -> Problem:
    return Problem(
        f"Entity not found: {type_name}",
        code="INPUT_ERROR",
        kind="invalid input",
        shown=f"Could not find referenced {type_name}.",
    )


def invalid(said: str) -> Problem:
    return Problem("Argument Validation Error", code="INVALID_INPUT", kind="invalid input", shown=said)


def _identifier(world: World, issue: Json) -> str:
    return f"{world.tables['Team'][issue['teamId']]['key']}-{issue['number']}"


def _url(world: World, *path: str) -> str:
    return "/".join(("https://linear.app", world.organization["urlKey"], *path))


def _slug(words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:60]


def _issue_url(world: World, issue: Json) -> str:
    return _url(world, "issue", issue["identifier"], _slug(issue["title"]))


def _priority_label(_: World, issue: Json) -> str:
    return PRIORITY_LABELS[int(issue["priority"])]


def _comment_url(world: World, comment: Json) -> str:
    issue = world.tables["Issue"][comment["issueId"]]
    return f"{_issue_url(world, issue)}#comment-{comment['id'][:8]}"


def _branch(world: World, issue: Json) -> str:
    creator = world.tables["User"].get(issue.get("creatorId") or "", {})
    return f"{creator.get('displayName', 'linear')}/{issue['identifier'].lower()}-{_slug(issue['title'])}"


def _open_issues(world: World, team: Json) -> int:
    return sum(issue["archivedAt"] is None for issue in world.related("Team", team, "issues"))


def _progress(world: World, project: Json) -> float:
    issues = world.related("Project", project, "issues")
    done = sum(issue.get("completedAt") is not None for issue in issues)
    return done / len(issues) if issues else 0


def _workspace(world: World, _: Json) -> Json:
    return world.organization


COMPUTED: Mapping[tuple[str, str], Callable[[World, Json], Any]] = {
    ("Issue", "url"): _issue_url,
    ("Issue", "branchName"): _branch,
    ("Issue", "priorityLabel"): _priority_label,
    ("Comment", "url"): _comment_url,
    ("Team", "issueCount"): _open_issues,
    ("Team", "displayName"): lambda _, team: team["name"],
    ("Project", "url"): lambda world, project: _url(world, "project", project["slugId"]),
    ("Project", "progress"): _progress,
    ("User", "url"): lambda world, user: _url(world, "profiles", user["displayName"]),
    ("User", "organization"): _workspace,
    ("Organization", "userCount"): lambda world, _: len(world.rows("User")),
    ("Organization", "createdIssueCount"): lambda world, _: len(world.rows("Issue")),
}


def numbered(world: World, team_id: str, issue: Json) -> Json:
    """An issue with the next number of its team."""
    taken = [one["number"] for one in world.rows("Issue") if one["teamId"] == team_id]
    made = {**issue, "teamId": team_id, "number": max(taken, default=0) + 1}
    return {**made, "identifier": _identifier(world, made)}


def latest_first(rows: Sequence[Json], key: str) -> list[Json]:
    """As Linear orders: by creation or change, the latest first."""
    return sorted(rows, key=lambda row: (row[key], row["id"]), reverse=True)
