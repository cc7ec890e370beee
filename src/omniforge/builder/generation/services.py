"""What each service can do for a part: which tools are called with which arguments, as tables.

Everything that is generated for a service comes from here, so that a service is added by its rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from omniforge.builder.outline import Operation

TITLES = {
    "notion": "Notion",
    "slack": "Slack",
    "linear": "Linear",
    "github": "GitHub",
    "email": "E-mail",
    "files": "Files",
    "http": "Web address",
    "rss": "News feed",
    "webhook": "Another program",
}
QUERY_TOOLS = {
    "notion": "notion.query_database",
    "linear": "linear.read_issues",
    "github": "github.list_issues",
    "slack": "slack.read_messages",
    "rss": "rss.read_feed",
    "email": "email.read_messages",
    "files": "files.read_file",
    "http": "http.get",
}
"""Services that a report can be made from, and the tool that reads their entries."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How entries of one kind are read. `place`: the argument for the place, or one for each kind of place.
    `rows`: where the entries stand in the answer; `title` and `at`: what they are called and when they
    changed, where their own names for it are not the usual ones."""

    tool: str
    place: str | Mapping[str, str]
    rows: str
    after: str = ""
    before: str = ""
    title: str = ""
    at: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    limited: bool = True
    """Whether the tool takes a `limit`."""

    def constant(self, kind: str = "") -> dict[str, Any]:
        """As a generated script has it."""
        where = self.place if isinstance(self.place, str) else dict(self.place)
        named = {"tool": self.tool, "place": where, "after": self.after, "before": self.before}
        named |= {"list": self.rows, "title": self.title, "at": self.at, "kind": kind}
        named |= {"with": dict(self.extra), "limited": self.limited}
        return {name: value for name, value in named.items() if value}


@dataclass(frozen=True, slots=True)
class Readings:
    """What a report of a service reads: `noun` is the kind of place (one, many), `things` its kinds of
    entries; the first one where nothing is said."""

    noun: tuple[str, str]
    entries: str
    things: Mapping[str, Reading]


READINGS: dict[str, Readings] = {
    "notion": Readings(
        ("database", "databases"),
        "entries",
        {"entries": Reading("notion.query_database", "database_id", "rows", "edited_after", "edited_before")},
    ),
    "linear": Readings(
        ("place", "places"),
        "issues",
        {
            "issues": Reading(
                "linear.read_issues",
                {"team": "team_id", "project": "project_id"},
                "issues",
                "updated_after",
                "updated_before",
                at="updated_at",
            )
        },
    ),
    "github": Readings(
        ("repository", "repositories"),
        "issues",
        {
            "issues": Reading(
                "github.list_issues",
                "repository",
                "issues",
                "updated_after",
                "updated_before",
                at="updated_at",
            ),
            "pull_requests": Reading(
                "github.list_pull_requests",
                "repository",
                "pull_requests",
                "updated_after",
                "updated_before",
                at="updated_at",
            ),
            "commits": Reading(
                "github.list_commits", "repository", "commits", "after", "before", "message", "at"
            ),
            "releases": Reading(
                "github.list_releases",
                "repository",
                "releases",
                "published_after",
                "published_before",
                "name",
                "published_at",
            ),
        },
    ),
    "slack": Readings(
        ("channel", "channels"),
        "messages",
        {"messages": Reading("slack.read_messages", "channel", "messages", "after", "before", "text", "at")},
    ),
    "rss": Readings(
        ("feed", "feeds"),
        "entries",
        {"entries": Reading("rss.read_feed", "url", "entries", "after", "before", at="published_at")},
    ),
    "email": Readings(
        ("folder", "folders"),
        "messages",
        {
            "messages": Reading(
                "email.read_messages",
                "folder",
                "messages",
                "after",
                "before",
                "subject",
                "received_at",
                {"limit": 200},
            )
        },
    ),
    "files": Readings(
        ("file", "files"), "rows", {"rows": Reading("files.read_file", "file", "rows", "after", "before")}
    ),
    "http": Readings(
        ("address", "addresses"), "entries", {"entries": Reading("http.get", "url", "json", limited=False)}
    ),
}


_PULL_REQUEST = 'call("github.read_pull_request", repository=entry["place"], number=number_of(entry))'
LOOKS: dict[str, Mapping[str, str]] = {
    "notion": {"": 'call("notion.read_page", page_id=entry["id"])'},
    "linear": {"": 'call("linear.read_issue", issue_id=entry["id"])', "comment.created": ""},
    "github": {
        "": 'call("github.read_issue", repository=entry["place"], number=number_of(entry))',
        "pull_request.opened": _PULL_REQUEST,
        "pull_request.merged": _PULL_REQUEST,
        "push": "",
        "release.published": "",
    },
    "slack": {"": ""},
    "email": {"": ""},
    "rss": {"": ""},
    "webhook": {"": ""},
}
"""Service → event → how a script reads its thing in full; "" is every other event. Where nothing is read,
what came with the event is all there is."""
LINKED = {"notion": 'call("notion.read_page", page_id=linked)'}
"""How a script reads what a field points to."""


@dataclass(frozen=True, slots=True)
class Sending:
    """How a script sends a message. In `arguments` it knows `where` (the place), `message`, and `thing` where
    it is said `about` each of the things the run is about. `room`: characters that the service takes."""

    tool: str
    arguments: str
    room: int
    noun: str
    about: bool = False
    found_in: bool = False
    """Whether the things are looked up in their place first, so that nothing else is commented on."""


SENDINGS: dict[str, Mapping[str, Sending]] = {
    "slack": {
        "": Sending("slack.post_message", "channel=where, text=message", 38_000, "channel"),
        "person": Sending("slack.send_direct_message", "person=where, text=message", 38_000, "person"),
    },
    "email": {
        "": Sending(
            "email.send",
            "to=listed(where), subject=subject_of(request, message), text=message",
            400_000,
            "address",
        )
    },
    "linear": {
        "": Sending(
            "linear.add_comment",
            'issue_id=thing["id"], text=message',
            90_000,
            "team",
            about=True,
            found_in=True,
        )
    },
    "github": {
        "": Sending(
            "github.add_comment",
            "repository=where, number=number_of(thing), text=message",
            60_000,
            "repository",
            about=True,
        )
    },
    "http": {
        "": Sending(
            "http.post",
            'url=where, json={"title": subject_of(request, message), "text": message}',
            200_000,
            "address",
        )
    },
}
"""Service → kind of place → how it is sent there; "" is every other kind."""


@dataclass(frozen=True, slots=True)
class Writing:
    """How a script makes or changes an entry. In `arguments` it knows `where`, `values`, and either `title`
    and `text`, or the `thing` that is changed. `types`: what a value has to be, by name; other names go into
    the text. `schema`: the call that tells the names and types instead. `found_in`: the thing is looked up in
    its place first, so that nothing else can be touched."""

    tool: str
    arguments: str
    noun: str
    types: Mapping[str, str] | None = None
    schema: str = ""
    found_in: bool = False


_FIELDS_OF_DATABASE = 'call("notion.describe_database", database_id=where)["fields"]'

MAKINGS: dict[str, Writing] = {
    "notion": Writing(
        "notion.create_page",
        "database_id=where, fields=with_title(values, types, title), text=text",
        "database",
        schema=_FIELDS_OF_DATABASE,
    ),
    "linear": Writing(
        "linear.create_issue",
        "team_id=where, title=title, description=text, **values",
        "team",
        {
            "state": "text", "assignee": "text", "priority": "word", "project": "text", "due": "date",
            "estimate": "number", "labels": "list",
        },
    ),
    "github": Writing(
        "github.create_issue",
        "repository=where, title=title, text=text, **values",
        "repository",
        {"labels": "list", "assignees": "list", "milestone": "text"},
    ),
    "files": Writing("files.append_rows", "file=where, rows=rows_found(request, values)", "file"),
    "http": Writing("http.post", 'url=where, json=values or {"title": title, "text": text}', "address"),
}  # fmt: skip
CHANGES: dict[str, Writing] = {
    "notion": Writing(
        "notion.update_page",
        'page_id=thing["id"], fields=values',
        "database",
        schema=_FIELDS_OF_DATABASE,
        found_in=True,
    ),
    "linear": Writing(
        "linear.update_issue",
        'issue_id=thing["id"], **values',
        "team",
        {
            "title": "text", "description": "text", "state": "text", "assignee": "text", "priority": "word",
            "project": "text", "due": "date", "estimate": "number", "add_labels": "list",
            "remove_labels": "list",
        },
        found_in=True,
    ),
    "github": Writing(
        "github.update_issue",
        "repository=where, number=number_of(thing), **values",
        "repository",
        {
            "title": "text", "text": "text", "labels": "list", "assignees": "list", "state": "word",
            "state_reason": "word",
        },
    ),
}  # fmt: skip
FETCHES = {"http": 'call("http.get", url=where)', "rss": 'call("rss.read_feed", url=where)'}

SUPPORTED: dict[Operation, frozenset[str]] = {
    Operation.REPORT: frozenset(READINGS),
    Operation.BRIEF: frozenset(LOOKS),
    Operation.FETCH: frozenset(FETCHES),
    Operation.POST: frozenset(SENDINGS),
    Operation.CREATE: frozenset(MAKINGS),
    Operation.UPDATE: frozenset(CHANGES),
}
"""Which services can do what; the other operations work on what earlier parts found, and need none."""


def can(operation: Operation, service: str | None) -> bool:
    """Whether a part of this operation can be written for a service (None: for none)."""
    if operation is Operation.FETCH and service is None:
        return True
    allowed = SUPPORTED.get(operation)
    return allowed is None or service in allowed
