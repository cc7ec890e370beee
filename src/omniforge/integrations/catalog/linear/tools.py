"""What can be done in Linear: the tools, what they say they do, and where their writes go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import httpx

from omniforge.integrations.catalog.linear import arguments, reading, writing
from omniforge.integrations.catalog.linear.trouble import read_trouble
from omniforge.integrations.manifest import Access, Arguments, Destination, IntegrationTool, Lookup

__all__ = ["TOOLS", "read_trouble", "samples"]


def _container(key: str) -> Callable[[Arguments], Destination | None]:
    def destination(args: Arguments) -> Destination | None:
        given = str(args.get(key) or "").strip()
        return Destination(given, given) if given else None

    return destination


def _looked_up(tool: str, found: str) -> Callable[[Arguments], Lookup | None]:
    def lookup(args: Arguments) -> Lookup | None:
        mark = args.get("mark")
        return Lookup(f"linear.{tool}", {"mark": mark}, found) if mark else None

    return lookup


CONDITIONS = {
    "team_id": "team",
    "project_id": "project",
    "states": "in state",
    "assignee": "assigned to",
    "labels": "labelled",
    "priorities": "of priority",
    "updated_after": "updated since",
    "created_after": "created since",
    "completed_after": "completed since",
}


def _which(args: Arguments) -> str:
    """The conditions of a reading in plain words."""
    parts = [
        f"{word} {', '.join(map(str, args[key])) if isinstance(args[key], list) else args[key]}"
        for key, word in CONDITIONS.items()
        if args.get(key)
    ]
    return f" ({'; '.join(parts)})" if parts else ""


def _changes(args: Arguments) -> str:
    told = [key.replace("_", " ") for key in args if key not in ("issue_id", "mark")]
    return ", ".join(told) or "nothing"


def samples(
    now: datetime, *, resources: Sequence[Arguments] = (), empty: bool = False
) -> httpx.AsyncBaseTransport:
    """The sample workspace of `fixtures/`, behind Linear's own protocol and without a network."""
    from omniforge.integrations.catalog.linear import sample  # noqa: PLC0415 - only dry runs need it

    return sample.transport(now, resources=resources, empty=empty)


TOOLS: tuple[IntegrationTool, ...] = (
    IntegrationTool(
        name="linear.who_am_i",
        description="Says which person and which workspace the connection belongs to.",
        arguments=arguments.Nothing,
        access=Access.READ,
        summary=lambda _: "looks up whose Linear this is",
        run=reading.who_am_i,
    ),
    IntegrationTool(
        name="linear.list_teams",
        description="Lists the teams we can see, each with its number of issues.",
        arguments=arguments.Search,
        access=Access.READ,
        summary=lambda _: "lists Linear teams",
        run=reading.list_teams,
    ),
    IntegrationTool(
        name="linear.list_projects",
        description="Lists the projects we can see, each with its number of issues.",
        arguments=arguments.Search,
        access=Access.READ,
        summary=lambda _: "lists Linear projects",
        run=reading.list_projects,
    ),
    IntegrationTool(
        name="linear.describe_team",
        description="Lists the states, labels and members of a team, and the fields of its issues.",
        arguments=arguments.OneTeam,
        access=Access.READ,
        summary=lambda _: "reads the states, labels and members of a Linear team",
        run=reading.describe_team,
    ),
    IntegrationTool(
        name="linear.describe_project",
        description="Tells about a project: its state, lead, teams, progress, and the fields of its issues.",
        arguments=arguments.OneProject,
        access=Access.READ,
        summary=lambda _: "reads about a Linear project",
        run=reading.describe_project,
    ),
    IntegrationTool(
        name="linear.read_issues",
        description="Reads issues by team, project, state, assignee, label, priority and time.",
        arguments=arguments.ReadIssues,
        access=Access.READ,
        summary=lambda args: f"reads Linear issues{_which(args)}",
        run=reading.read_issues,
    ),
    IntegrationTool(
        name="linear.read_issue",
        description="Reads one issue with its text and all its comments.",
        arguments=arguments.OneIssue,
        access=Access.READ,
        summary=lambda _: "reads a Linear issue with its comments",
        run=reading.read_issue,
    ),
    IntegrationTool(
        name="linear.create_issue",
        description="Creates an issue in a team.",
        arguments=arguments.CreateIssue,
        access=Access.WRITE,
        summary=lambda args: f"creates a Linear issue “{str(args.get('title', ''))[:80]}”",
        run=writing.create_issue,
        destination=_container("team_id"),
        lookup=_looked_up("find_issue", "issue"),
    ),
    IntegrationTool(
        name="linear.update_issue",
        description="Changes an issue: title, text, state, assignee, priority, project, labels, due date.",
        arguments=arguments.UpdateIssue,
        access=Access.WRITE,
        summary=lambda args: f"changes {_changes(args)} of a Linear issue",
        run=writing.update_issue,
        destination=_container("issue_id"),
        lookup=lambda args: Lookup("linear.find_change", dict(args), "issue"),
    ),
    IntegrationTool(
        name="linear.add_comment",
        description="Comments on an issue; those who follow it are told.",
        arguments=arguments.AddComment,
        access=Access.SEND,
        summary=lambda _: "comments on a Linear issue",
        run=writing.add_comment,
        destination=_container("issue_id"),
        lookup=_looked_up("find_comment", "comment"),
    ),
    IntegrationTool(
        name="linear.find_issue",
        description="Finds the issue that was created with a given idempotency mark.",
        arguments=arguments.ByMark,
        access=Access.READ,
        summary=lambda _: "checks whether the issue was created already",
        run=reading.find_issue,
    ),
    IntegrationTool(
        name="linear.find_change",
        description="Says whether an issue is already as an update would make it.",
        arguments=arguments.UpdateIssue,
        access=Access.READ,
        summary=lambda args: f"looks whether {_changes(args)} of a Linear issue is changed already",
        run=writing.find_change,
    ),
    IntegrationTool(
        name="linear.find_comment",
        description="Finds the comment that was added with a given idempotency mark.",
        arguments=arguments.ByMark,
        access=Access.READ,
        summary=lambda _: "checks whether the comment was added already",
        run=reading.find_comment,
    ),
)
