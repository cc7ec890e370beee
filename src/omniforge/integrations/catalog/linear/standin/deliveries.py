"""What Linear's webhooks say: the thing as a plain object, who did it, and what was before."""

from __future__ import annotations

from collections.abc import Mapping

from omniforge.core.clock import rfc3339
from omniforge.integrations.catalog.linear.standin.world import Json, World, latest_first

KINDS = {
    "issue.created": ("Issue", "create"),
    "issue.updated": ("Issue", "update"),
    "issue.removed": ("Issue", "remove"),
    "comment.created": ("Comment", "create"),
}
ISSUE_SCALARS = (
    "id", "createdAt", "updatedAt", "archivedAt", "number", "identifier", "title", "description", "priority",
    "priorityLabel", "estimate", "dueDate", "sortOrder", "startedAt", "completedAt", "canceledAt", "teamId",
    "stateId", "projectId", "assigneeId", "creatorId", "parentId", "labelIds", "url",
)  # fmt: skip
COMMENT_SCALARS = (
    "id",
    "createdAt",
    "updatedAt",
    "archivedAt",
    "body",
    "editedAt",
    "issueId",
    "parentId",
    "userId",
)


def delivery(world: World, about: Json, new_id: str) -> tuple[Json, Mapping[str, str]]:
    """Body and unsigned headers for `{event, id?, actor?, before?}`; without an id it is about the latest."""
    kind, action = KINDS[about["event"]]
    row = world.need(kind, about.get("id") or latest_first(world.rows(kind), "createdAt")[0]["id"])
    data = issue_data(world, row) if kind == "Issue" else comment_data(world, row)
    actor = world.tables["User"][about.get("actor") or row.get("creatorId") or row["userId"]]
    body: Json = {
        "action": action,
        "actor": {**_person(world, actor), "type": "user"},
        "createdAt": rfc3339(world.now()),
        "data": data,
        "url": world.value(kind, row, "url"),
        "type": kind,
        "organizationId": world.organization["id"],
        "webhookId": world.organization["webhookId"],
    }
    if action == "update":
        body["updatedFrom"] = about.get("before") or {"updatedAt": row["createdAt"]}
    return body, {"Linear-Event": kind, "Linear-Delivery": new_id, "User-Agent": "Linear-Webhook"}


def issue_data(world: World, issue: Json) -> Json:
    data = {
        name: world.value("Issue", issue, name) if name in COMPUTED else issue.get(name)
        for name in ISSUE_SCALARS
    }
    state = world.tables["WorkflowState"][issue["stateId"]]
    data["state"] = {name: state[name] for name in ("id", "name", "type", "color")}
    data["team"] = _named(world.tables["Team"][issue["teamId"]], "key")
    data["labels"] = [_named(label, "color") for label in world.related("Issue", issue, "labels")]
    data["subscriberIds"], data["previousIdentifiers"], data["reactionData"] = [], [], []
    for name in ("assignee", "creator"):
        if (person := world.tables["User"].get(issue.get(f"{name}Id") or "")) is not None:
            data[name] = _person(world, person)
    if (project := world.tables["Project"].get(issue.get("projectId") or "")) is not None:
        data["project"] = {**_named(project), "url": world.value("Project", project, "url")}
    return data


COMPUTED = ("url", "priorityLabel")


def comment_data(world: World, comment: Json) -> Json:
    issue = world.tables["Issue"][comment["issueId"]]
    data = {name: comment.get(name) for name in COMMENT_SCALARS}
    data["reactionData"] = []
    data["user"] = _person(world, world.tables["User"][comment["userId"]])
    data["issue"] = {
        **{name: issue[name] for name in ("id", "identifier", "title", "teamId")},
        "url": world.value("Issue", issue, "url"),
        "team": _named(world.tables["Team"][issue["teamId"]], "key"),
    }
    return data


def _named(row: Json, *more: str) -> Json:
    return {name: row[name] for name in ("id", "name", *more)}


def _person(world: World, user: Json) -> Json:
    return {**_named(user, "email"), "avatarUrl": None, "url": world.value("User", user, "url")}
