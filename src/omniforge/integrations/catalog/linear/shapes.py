"""Linear's objects as plain values, whether they come from GraphQL or in a webhook. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omniforge.integrations.errors import ServiceDown
from omniforge.integrations.loose import items, mapping, text

Json = dict[str, Any]

PRIORITIES = {"none": 0, "urgent": 1, "high": 2, "medium": 3, "low": 4}
"""Linear counts them so; 0 is none."""
STATE_TYPES = ("triage", "backlog", "unstarted", "started", "completed", "canceled", "duplicate")
CLOSED = ("completed", "canceled", "duplicate")

CHANGES = {
    "stateId": "state", "fromStateId": "state",
    "assigneeId": "assignee", "fromAssigneeId": "assignee", "toAssigneeId": "assignee",
    "priority": "priority", "fromPriority": "priority",
    "projectId": "project", "fromProjectId": "project", "toProjectId": "project",
    "teamId": "team", "fromTeamId": "team",
    "labelIds": "labels", "addedLabelIds": "labels", "removedLabelIds": "labels",
    "dueDate": "due", "fromDueDate": "due", "toDueDate": "due",
    "estimate": "estimate", "fromEstimate": "estimate", "toEstimate": "estimate",
    "title": "title", "fromTitle": "title",
    "description": "description", "updatedDescription": "description",
}  # fmt: skip
"""What a webhook (`updatedFrom`) and the history call a changed field, and what the reading tools call it."""


def nodes(value: Any) -> list[Json]:
    """The objects of a connection; webhooks hold plain lists in the same places."""
    return items(value) if isinstance(value, list) else items(mapping(value).get("nodes"))


def name_of(value: Any) -> str | None:
    return text(mapping(value).get("name")) or None


def plain_issue(issue: Json) -> Json:
    """An issue as the tools show it. Times are RFC 3339; what is not set is None."""
    state, team = mapping(issue.get("state")), mapping(issue.get("team"))
    return {
        "id": known_id(issue, "an issue"),
        "identifier": text(issue.get("identifier")),
        "title": text(issue.get("title")),
        "url": text(issue.get("url")),
        "state": text(state.get("name")),
        "state_type": text(state.get("type")),
        "priority": text(issue.get("priorityLabel"), "No priority"),
        "assignee": name_of(issue.get("assignee")),
        "team": text(team.get("name")),
        "team_id": text(team.get("id")) or text(issue.get("teamId")),
        "project": name_of(issue.get("project")),
        "labels": [text(label.get("name")) for label in nodes(issue.get("labels"))],
        "estimate": issue.get("estimate"),
        "due": issue.get("dueDate"),
        "creator": name_of(issue.get("creator")),
        "created_at": text(issue.get("createdAt")),
        "updated_at": text(issue.get("updatedAt")),
        "started_at": issue.get("startedAt"),
        "completed_at": issue.get("completedAt"),
        "canceled_at": issue.get("canceledAt"),
    }


def plain_comment(comment: Json) -> Json:
    return {
        "id": known_id(comment, "a comment"),
        "text": text(comment.get("body")),
        "author": name_of(comment.get("user")) or name_of(comment.get("botActor")),
        "url": text(comment.get("url")),
        "created_at": text(comment.get("createdAt")),
        "updated_at": text(comment.get("updatedAt")),
    }


def plain_reference(issue: Json) -> Json:
    """What a comment says about its issue."""
    return {key: text(issue.get(key)) for key in ("id", "identifier", "title", "url")}


def plain_person(user: Json) -> Json:
    return {
        "id": known_id(user, "a person"),
        "name": text(user.get("name")) or text(user.get("displayName")),
        "email": text(user.get("email")) or None,
    }


def labels_cut(issue: Json) -> bool:
    """Whether an issue has more labels than were read with it."""
    return mapping(mapping(issue.get("labels")).get("pageInfo")).get("hasNextPage") is True


def changed_fields(before: Mapping[str, Any]) -> list[str]:
    """Our names of the fields that a webhook's `updatedFrom` or a history entry tells of, in order of name.

    A webhook names a field that was empty before as null; the history has every name and fills some.
    """
    is_history = "actorId" in before
    told = [key for key, value in before.items() if not is_history or _is_told(value)]
    return sorted({CHANGES[key] for key in told if key in CHANGES})


def _is_told(value: Any) -> bool:
    return value is not None and value is not False and value != []


def holds(issue: Json, name: str, value: Any) -> bool:
    """Whether an issue is already as a field of Linear's update would make it."""
    labels = {text(label.get("id")) for label in nodes(issue.get("labels"))}
    match name:
        case "addedLabelIds":
            return labels.issuperset(value)
        case "removedLabelIds":
            return labels.isdisjoint(value)
        case "description":  # Linear lays Markdown out anew
            return text(issue.get(name)).split() == (value or "").split()
        case _ if name.endswith("Id"):
            return mapping(issue.get(name.removesuffix("Id"))).get("id") == value
        case _:
            return issue.get(name) == value


def described_fields(states: list[str], labels: list[str], people: list[str]) -> list[Json]:
    """The fields of an issue in a team as the reading tools show them."""
    return [
        {"name": "identifier", "type": "text"},
        {"name": "title", "type": "title"},
        {"name": "state", "type": "status", "options": states},
        {"name": "state_type", "type": "select", "options": list(STATE_TYPES)},
        {"name": "priority", "type": "select", "options": ["No priority", "Urgent", "High", "Medium", "Low"]},
        {"name": "assignee", "type": "people", "options": people},
        {"name": "project", "type": "text"},
        {"name": "labels", "type": "multi_select", "options": labels},
        {"name": "estimate", "type": "number"},
        {"name": "due", "type": "date"},
        {"name": "creator", "type": "people", "options": people},
        {"name": "created_at", "type": "date"},
        {"name": "updated_at", "type": "date"},
        {"name": "started_at", "type": "date"},
        {"name": "completed_at", "type": "date"},
        {"name": "canceled_at", "type": "date"},
    ]


def known_id(found: Json, what: str) -> str:
    """The id; an object without one is an answer that cannot be read."""
    if not text(found.get("id")):
        raise ServiceDown(f"Linear sent {what} that cannot be read.", retryable=True, reason="unreadable")
    return text(found.get("id"))
