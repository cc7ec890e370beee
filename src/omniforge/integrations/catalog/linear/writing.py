"""What can be written to Linear. A mark becomes the id of what is made, so nothing is made twice with it."""

from __future__ import annotations

from collections.abc import Sequence

from omniforge.core.errors import Invalid
from omniforge.integrations.catalog.linear import names, shapes
from omniforge.integrations.catalog.linear.arguments import AddComment, CreateIssue, IssueFields, UpdateIssue
from omniforge.integrations.catalog.linear.client import Linear, id_from, made
from omniforge.integrations.catalog.linear.shapes import Json
from omniforge.integrations.errors import ConflictThere
from omniforge.integrations.loose import mapping, text
from omniforge.integrations.rest import RestClient


async def create_issue(client: RestClient, args: CreateIssue) -> Json:
    linear = Linear(client)
    team_id = await names.exactly_one(linear, names.TEAM, args.team_id)
    given: Json = {"teamId": team_id, "title": args.title, **await _values(linear, args, team_id)}
    if args.labels:
        given["labelIds"] = await _label_ids(linear, args.labels, team_id)
    if args.mark is not None:
        given["id"] = id_from("issue", args.mark)
    try:
        return made(await linear.change("CreateIssue", "issueCreate", input=given))
    except ConflictThere:  # made with this mark before: the id is taken
        there = await linear.by_id("Issues", "issues", given["id"]) if "id" in given else None
        if there is None:
            raise
        return made(there)


async def update_issue(client: RestClient, args: UpdateIssue) -> Json:
    linear = Linear(client)
    issue = await linear.one("IssueTeam", "issue", id=args.issue_id)
    given = await _change(linear, args, text(mapping(issue.get("team")).get("id")))
    issue_id = shapes.known_id(issue, "an issue")
    return made(await linear.change("UpdateIssue", "issueUpdate", id=issue_id, input=given))


async def find_change(client: RestClient, args: UpdateIssue) -> Json:
    """The issue, when it is already as the update would make it."""
    linear = Linear(client)
    issue = await linear.one("IssueText", "issue", id=args.issue_id)
    given = await _change(linear, args, text(mapping(issue.get("team")).get("id")))
    there = all(shapes.holds(issue, name, value) for name, value in given.items())
    return {"issue": made(issue) if there else None}


async def _change(linear: Linear, args: UpdateIssue, team_id: str) -> Json:
    given = await _values(linear, args, team_id)
    if args.title is not None:
        given["title"] = args.title
    if args.add_labels:
        given["addedLabelIds"] = await _label_ids(linear, args.add_labels, team_id)
    if args.remove_labels:
        given["removedLabelIds"] = await names.ids(linear, names.LABEL, args.remove_labels)
    if not given:
        entry = {"field": "arguments", "value": None, "rule": "must name at least one change"}
        raise Invalid("Say what to change about the issue in Linear.", fields=[entry])
    return given


async def _values(linear: Linear, args: IssueFields, team_id: str) -> Json:
    """What was given, as Linear's input wants it. A null that was given takes the value away."""
    inputs = {
        "description": "description", "state": "stateId", "assignee": "assigneeId", "priority": "priority",
        "project": "projectId", "due": "dueDate", "estimate": "estimate",
    }  # fmt: skip
    values: Json = {inputs[name]: None for name in inputs if name in args.model_fields_set}
    if args.description is not None:
        values["description"] = args.description
    if args.state is not None:
        values["stateId"] = await names.exactly_one(linear, names.STATE, args.state, names.of_team(team_id))
    if args.assignee is not None:
        values["assigneeId"] = await names.person_id(linear, args.assignee)
    if args.priority is not None:
        values["priority"] = names.priority_number(args.priority)
    if args.project is not None:
        values["projectId"] = await names.exactly_one(linear, names.PROJECT, args.project)
    if args.due is not None:
        values["dueDate"] = args.due.isoformat()
    if args.estimate is not None:
        values["estimate"] = args.estimate
    return {name: value for name, value in values.items() if value is not None or name not in NEVER_EMPTY}


NEVER_EMPTY = ("stateId", "priority")
"""Every issue has a state and a priority (which may be `none`)."""


async def _label_ids(linear: Linear, wanted: Sequence[str], team_id: str) -> list[str]:
    within = names.usable_in(team_id)
    found = [await names.exactly_one(linear, names.LABEL, name, within) for name in wanted]
    return list(dict.fromkeys(found))


async def add_comment(client: RestClient, args: AddComment) -> Json:
    linear = Linear(client)
    issue = await linear.one("IssueTeam", "issue", id=args.issue_id)
    given: Json = {"issueId": shapes.known_id(issue, "an issue"), "body": args.text}
    if args.mark is not None:
        given["id"] = id_from("comment", args.mark)
    try:
        return made(await linear.change("AddComment", "commentCreate", input=given))
    except ConflictThere:  # made with this mark before: the id is taken
        there = await linear.by_id("Comments", "comments", given["id"]) if "id" in given else None
        if there is None:
            raise
        return made(there)
