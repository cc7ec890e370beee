"""What can be read from Linear: teams, projects, issues, comments, and what was made with a mark."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from omniforge.core.clock import rfc3339
from omniforge.core.errors import Invalid
from omniforge.integrations.catalog.linear import names, shapes
from omniforge.integrations.catalog.linear.arguments import (
    ByMark,
    Nothing,
    OneIssue,
    OneProject,
    OneTeam,
    ReadIssues,
    Search,
)
from omniforge.integrations.catalog.linear.client import Gathered, Linear, id_from, made
from omniforge.integrations.catalog.linear.shapes import Json
from omniforge.integrations.loose import items, mapping, text
from omniforge.integrations.rest import RestClient


async def who_am_i(client: RestClient, _: Nothing) -> Json:
    data, _partial = await Linear(client).ask("WhoAmI")
    viewer, organization = mapping(data.get("viewer")), mapping(data.get("organization"))
    return {
        "user": {
            "id": shapes.known_id(viewer, "a person"),
            "name": text(viewer.get("name")) or text(viewer.get("displayName"), "Linear user"),
        },
        "workspace": {
            "id": shapes.known_id(organization, "a workspace"),
            "name": text(organization.get("name"), "Linear workspace"),
        },
    }


async def list_teams(client: RestClient, args: Search) -> Json:
    found = await Linear(client).all("Teams", "teams", filter=_named(args.search))
    return {"teams": _by_name([_team(team) for team in found.results]), "truncated": found.truncated}


def _team(team: Json) -> Json:
    count = team.get("issueCount")
    return {
        "id": shapes.known_id(team, "a team"),
        "key": text(team.get("key")),
        "name": text(team.get("name")),
        "items": count if isinstance(count, int) else None,
    }


async def list_projects(client: RestClient, args: Search) -> Json:
    linear = Linear(client)
    found = await linear.all("Projects", "projects", filter=_named(args.search))
    projects = [await _counted(linear, project) for project in found.results]
    return {"projects": _by_name(projects), "truncated": found.truncated}


async def _counted(linear: Linear, project: Json) -> Json:
    """A project as it is shown. Linear does not tell how many issues it has, so they are counted."""
    issues = mapping(project.get("issues"))
    count = len(items(issues.get("nodes")))
    if mapping(issues.get("pageInfo")).get("hasNextPage") is True:
        project_id = shapes.known_id(project, "a project")
        count = len((await linear.all("ProjectIssues", "project", "issues", id=project_id)).results)
    progress = project.get("progress")
    return {
        "id": shapes.known_id(project, "a project"),
        "name": text(project.get("name")),
        "url": text(project.get("url")) or None,
        "items": count,
        "state": shapes.name_of(project.get("status")),
        "lead": shapes.name_of(project.get("lead")),
        "teams": [text(team.get("name")) for team in shapes.nodes(project.get("teams"))],
        "progress": round(progress, 4) if isinstance(progress, int | float) else None,
        "start": project.get("startDate"),
        "target": project.get("targetDate"),
    }


async def describe_team(client: RestClient, args: OneTeam) -> Json:
    linear = Linear(client)
    team = (await names.every(linear, names.TEAM, args.team_id))[0]
    team_id = shapes.known_id(team, "a team")
    states = await linear.all("States", "workflowStates", filter=names.of_team(team_id))
    labels = await linear.all("Labels", "issueLabels", filter=names.usable_in(team_id))
    members = await linear.all("TeamMembers", "team", "members", id=team_id)
    in_order = _in_order(states.results)
    people = [shapes.plain_person(user) for user in members.results if user.get("active") is not False]
    return {
        **_team(team),
        "description": text(team.get("description")),
        "states": [{key: text(state.get(key)) for key in ("id", "name", "type")} for state in in_order],
        "labels": _by_name(
            [{key: text(label.get(key)) for key in ("id", "name")} for label in labels.results]
        ),
        "members": _by_name(people),
        "fields": shapes.described_fields(
            [text(state.get("name")) for state in in_order],
            sorted({text(label.get("name")) for label in labels.results}),
            sorted(text(person["name"]) for person in people),
        ),
        "truncated": states.truncated or labels.truncated or members.truncated,
    }


def _in_order(states: list[Json]) -> list[Json]:
    return sorted(states, key=lambda state: cast("float", state.get("position") or 0))


async def describe_project(client: RestClient, args: OneProject) -> Json:
    linear = Linear(client)
    project_id = await names.exactly_one(linear, names.PROJECT, args.project_id)
    found = await linear.all("Projects", "projects", filter={"id": {"eq": project_id}}, limit=1)
    if not found.results:
        raise Invalid(f"Linear has no project {args.project_id[:80]!r} any more.")
    project = found.results[0]
    states: list[str] = []
    for team in shapes.nodes(project.get("teams")):
        of_team = await linear.all("States", "workflowStates", filter=names.of_team(text(team.get("id"))))
        states += [text(state.get("name")) for state in _in_order(of_team.results)]
    return {
        **await _counted(linear, project),
        "description": text(project.get("description")),
        "fields": shapes.described_fields(list(dict.fromkeys(states)), [], []),
    }


async def read_issues(client: RestClient, args: ReadIssues) -> Json:
    linear = Linear(client)
    where = await _filter(linear, args)
    found = await linear.issues(where, args.limit, order=f"{args.order}At")
    cut = any(shapes.labels_cut(issue) for issue in found.results)
    return {
        "issues": [shapes.plain_issue(issue) for issue in found.results],
        "truncated": found.truncated or cut,
    }


async def _filter(linear: Linear, args: ReadIssues) -> Json:
    where: Json = {
        name: window
        for name, window in (
            ("updatedAt", _window(args.updated_after, args.updated_before)),
            ("createdAt", _window(args.created_after, args.created_before)),
            ("completedAt", _window(args.completed_after, args.completed_before)),
        )
        if window
    }
    team_id = await names.exactly_one(linear, names.TEAM, args.team_id) if args.team_id else None
    if team_id:
        where["team"] = {"id": {"eq": team_id}}
    if args.project_id:
        where["project"] = {"id": {"in": await names.ids(linear, names.PROJECT, [args.project_id])}}
    if args.states:
        where["state"] = await names.state_filter(linear, args.states, team_id)
    if args.assignee:
        where["assignee"] = await names.assignee_filter(linear, args.assignee)
    if args.labels:
        where["labels"] = {"some": {"id": {"in": await names.ids(linear, names.LABEL, args.labels)}}}
    if args.priorities:
        where["priority"] = {"in": [names.priority_number(word) for word in args.priorities]}
    if args.search:
        where["title"] = {"containsIgnoreCase": args.search}
    return where


async def read_issue(client: RestClient, args: OneIssue) -> Json:
    linear = Linear(client)
    issue = await linear.one("IssueText", "issue", id=args.issue_id)
    comments = await _comments(linear, shapes.known_id(issue, "an issue"))
    parent = mapping(issue.get("parent"))
    return {
        **shapes.plain_issue(issue),
        "text": text(issue.get("description")),
        "branch": text(issue.get("branchName")),
        "parent": {key: text(parent.get(key)) for key in ("id", "identifier", "title")} if parent else None,
        "comments": [shapes.plain_comment(comment) for comment in comments.results],
        "truncated": comments.truncated or shapes.labels_cut(issue),
    }


async def _comments(linear: Linear, issue_id: str) -> Gathered:
    """The comments of an issue, the oldest first."""
    found = await linear.all("IssueComments", "issue", "comments", id=issue_id)
    found.results.sort(key=lambda comment: (text(comment.get("createdAt")), text(comment.get("id"))))
    return found


async def find_issue(client: RestClient, args: ByMark) -> Json:
    there = await Linear(client).by_id("Issues", "issues", id_from("issue", args.mark))
    return {"issue": made(there) if there else None}


async def find_comment(client: RestClient, args: ByMark) -> Json:
    there = await Linear(client).by_id("Comments", "comments", id_from("comment", args.mark))
    return {"comment": made(there) if there else None}


def _named(search: str | None) -> Json:
    return {"name": {"containsIgnoreCase": search}} if search else {}


def _by_name(shown: list[Json]) -> list[Json]:
    return sorted(shown, key=lambda one: (str(one["name"]).casefold(), str(one["id"])))


def _window(after: datetime | None, before: datetime | None) -> Json:
    window = {"gte": rfc3339(after) if after else None, "lt": rfc3339(before) if before else None}
    return {name: moment for name, moment in window.items() if moment}
