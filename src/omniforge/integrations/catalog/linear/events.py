"""What happens in Linear: issues created and updated, comments; told by webhooks, or found by asking."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from omniforge.core.clock import rfc3339
from omniforge.core.errors import Invalid
from omniforge.integrations.catalog.linear import shapes
from omniforge.integrations.catalog.linear.client import PAGE, Linear, is_id
from omniforge.integrations.catalog.linear.shapes import Json, nodes
from omniforge.integrations.errors import ServiceDown
from omniforge.integrations.loose import mapping, text
from omniforge.integrations.manifest import EventKind, Occurrence
from omniforge.integrations.rest import RestClient

MOST_AT_ONCE = 100_000
"""More happenings than any poll finds: all of them have to be read, or some would be lost."""
NEAR = timedelta(seconds=5)
"""How far apart an issue's `updatedAt` and its history entry of the same change may be."""


async def created_issues(client: RestClient, resource: str | None, since: datetime) -> list[Occurrence]:
    where = {"createdAt": {"gte": rfc3339(since)}, **_in_team(resource)}
    found = await Linear(client).issues(where, MOST_AT_ONCE, order="createdAt")
    return [_created(issue) for issue in found.results]


async def updated_issues(client: RestClient, resource: str | None, since: datetime) -> list[Occurrence]:
    """Issues changed since; one that was only created then is not among them."""
    where = {"updatedAt": {"gte": rfc3339(since)}, **_in_team(resource)}
    asked = {"filter": where, "first": PAGE}
    found = await Linear(client).all("ChangedIssues", "issues", limit=MOST_AT_ONCE, **asked)
    changed = [issue for issue in found.results if issue.get("updatedAt") != issue.get("createdAt")]
    return [_updated(issue, *_by_history(issue)) for issue in changed]


async def created_comments(client: RestClient, resource: str | None, since: datetime) -> list[Occurrence]:
    """Comments on issues; those on projects and documents are passed over."""
    where: Json = {"createdAt": {"gte": rfc3339(since)}}
    if resource is not None:
        where["issue"] = _in_team(resource)
    asked = {"filter": where, "first": PAGE}
    found = await Linear(client).all("Comments", "comments", limit=MOST_AT_ONCE, **asked)
    return [_commented(comment) for comment in found.results if mapping(comment.get("issue"))]


EVENTS = (
    EventKind(
        name="issue.created",
        title="a new issue in a team",
        resource_kind="team",
        push=True,
        poll=created_issues,
    ),
    EventKind(
        name="issue.updated",
        title="a change to an issue in a team",
        resource_kind="team",
        push=True,
        poll=updated_issues,
    ),
    EventKind(
        name="comment.created",
        title="a new comment on an issue in a team",
        resource_kind="team",
        push=True,
        poll=created_comments,
    ),
)


def read_delivery(headers: Mapping[str, str], payload: Json) -> list[Occurrence]:
    """What a webhook tells of. The body says all; Linear's headers repeat it unsigned."""
    data, actor = mapping(payload.get("data")), text(mapping(payload.get("actor")).get("id")) or None
    try:
        match payload.get("type"), payload.get("action"):
            case "Issue", "create":
                return [_created(data, actor)]
            case "Issue", "update":
                before = mapping(payload.get("updatedFrom"))
                return [_updated(data, actor, shapes.changed_fields(before))]
            case "Comment", "create" if mapping(data.get("issue")):
                return [_commented({**data, "url": payload.get("url")}, actor)]
            case _:
                return []
    except ServiceDown:  # without an id or a time nobody can tell what happened
        return []


def _created(issue: Json, author: str | None = None) -> Occurrence:
    item = shapes.plain_issue(issue)
    return Occurrence(
        type="issue.created",
        id=item["id"],
        version=item["created_at"],
        at=_moment(item["created_at"]),
        resource=item["team_id"] or None,
        item=item,
        author=author or _id_of(issue, "creator"),
    )


def _updated(issue: Json, author: str | None, changed: list[str]) -> Occurrence:
    """`item.changed` lists what the change was about, as far as Linear tells."""
    item = shapes.plain_issue(issue)
    return Occurrence(
        type="issue.updated",
        id=item["id"],
        version=item["updated_at"],
        at=_moment(item["updated_at"]),
        resource=item["team_id"] or None,
        item={**item, "changed": changed},
        author=author,
    )


def _commented(comment: Json, author: str | None = None) -> Occurrence:
    issue = mapping(comment.get("issue"))
    team = text(mapping(issue.get("team")).get("id")) or text(issue.get("teamId"))
    item = shapes.plain_comment(comment)
    return Occurrence(
        type="comment.created",
        id=item["id"],
        version=item["created_at"],
        at=_moment(item["created_at"]),
        resource=team or None,
        item={**item, "issue": shapes.plain_reference(issue)},
        author=author or _id_of(comment, "user"),
    )


def _by_history(issue: Json) -> tuple[str | None, list[str]]:
    """Who made the last change and what it was, when the latest history entry is about that change."""
    latest = next(iter(nodes(issue.get("history"))), None)
    if latest is None:
        return None, []
    apart = _moment(issue.get("updatedAt")) - _moment(latest.get("updatedAt") or latest.get("createdAt"))
    if abs(apart) > NEAR:
        return None, []
    return text(latest.get("actorId")) or None, shapes.changed_fields(latest)


def _in_team(team_id: str | None) -> Json:
    if team_id is None:
        return {}
    if not is_id(team_id):
        entry = {"field": "resource", "value": team_id[:200], "rule": "the id of a Linear team"}
        raise Invalid("That is not the id of a team in Linear.", fields=[entry])
    return {"team": {"id": {"eq": team_id}}}


def _id_of(thing: Json, part: str) -> str | None:
    return text(mapping(thing.get(part)).get("id")) or text(thing.get(f"{part}Id")) or None


def _moment(given: Any) -> datetime:
    """A time as Linear writes it; ServiceDown for anything else."""
    try:
        moment = datetime.fromisoformat(text(given))
    except ValueError:
        raise ServiceDown(
            "Linear sent a time that cannot be read.", retryable=True, reason="unreadable"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
