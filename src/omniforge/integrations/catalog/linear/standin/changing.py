"""What Linear does with a mutation: checks, defaults, times that follow from states, and a history."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, cast

from omniforge.core.clock import rfc3339
from omniforge.integrations.catalog.linear.standin.execute import Problem
from omniforge.integrations.catalog.linear.standin.world import (
    UUID,
    Json,
    World,
    invalid,
    missing,
    numbered,
)

UUID_4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
SCOPES = {"issueCreate": "issues:create", "issueUpdate": "write", "commentCreate": "comments:create"}
"""The narrowest scope that allows each; `write` allows all of them."""
MOMENTS = {"started": "startedAt", "completed": "completedAt", "canceled": "canceledAt"}
"""What entering a state of the type dates."""
HISTORY = {
    "stateId": ("fromStateId", "toStateId"),
    "assigneeId": ("fromAssigneeId", "toAssigneeId"),
    "priority": ("fromPriority", "toPriority"),
    "projectId": ("fromProjectId", "toProjectId"),
    "title": ("fromTitle", "toTitle"),
    "dueDate": ("fromDueDate", "toDueDate"),
    "estimate": ("fromEstimate", "toEstimate"),
}
REFERENCES = {
    "teamId": "Team",
    "stateId": "WorkflowState",
    "assigneeId": "User",
    "projectId": "Project",
    "parentId": "Issue",
    "issueId": "Issue",
}

Happened = Callable[..., None]


class Writing:
    """Carries out mutations for one person with these scopes."""

    def __init__(self, world: World, viewer: str, scopes: Sequence[str] | None, happened: Happened) -> None:
        self.world, self.viewer, self.scopes, self._happened = world, viewer, scopes, happened
        self._count = 0

    def __call__(self, name: str, arguments: Json) -> Json:
        """The payload of a mutation."""
        self._allow(name)
        self._count += 1
        match name:
            case "issueCreate":
                made = {"issue": self._create(dict(arguments["input"]))}
            case "issueUpdate":
                made = {"issue": self._update(arguments["id"], dict(arguments["input"]))}
            case _:
                made = {"comment": self._comment(dict(arguments["input"]))}
        return {"success": True, "lastSyncId": self._count, **made}

    def _allow(self, name: str) -> None:
        if self.scopes is None or "write" in self.scopes or SCOPES[name] in self.scopes:
            return
        said = f"Invalid scope: `{'write' if SCOPES[name] == 'write' else SCOPES[name]}` required"
        raise Problem(said, code="FORBIDDEN", kind="forbidden", status=403, shown=said)

    def _create(self, given: Json) -> Json:
        team = self._checked(given, given["teamId"])
        if not (given.get("title") or "").strip():
            raise invalid("title should not be empty")
        given["id"] = self._free_id("Issue", given)
        if given.get("stateId") is None:
            given["stateId"] = _first_state(self.world, team)
        started = dict.fromkeys((*MOMENTS.values(), "description", "projectId", "assigneeId", "dueDate"))
        issue: Json = {
            **started, "estimate": None, "parentId": None, "labelIds": [], "priority": 0, "sortOrder": 0.0,
            "creatorId": self.viewer, **given,
        }  # fmt: skip
        issue["priority"] = issue["priority"] or 0
        issue["labelIds"] = list(dict.fromkeys(issue["labelIds"] or []))
        made = self.world.add("Issue", numbered(self.world, team["id"], issue))
        self._date(made)
        self._happened("issue.created", id=made["id"], actor=self.viewer)
        return made

    def _update(self, issue_id: str, given: Json) -> Json:
        issue = self.world.need("Issue", issue_id)
        self._checked(given, issue["teamId"])
        if "title" in given and not (given["title"] or "").strip():
            raise invalid("title should not be empty")
        kept: list[str] = given.pop("labelIds", None) or issue["labelIds"]
        labels = [*kept, *_texts(given.pop("addedLabelIds", None))]
        removed = _texts(given.pop("removedLabelIds", None))
        given["labelIds"] = [one for one in dict.fromkeys(labels) if one not in removed]
        before = {key: issue.get(key) for key, value in given.items() if issue.get(key) != value}
        if not before:
            return issue
        before["updatedAt"] = issue["updatedAt"]
        issue |= {**given, "updatedAt": rfc3339(self.world.now())}
        if "stateId" in before:
            self._date(issue)
        self._note(issue, before)
        self._happened("issue.updated", id=issue["id"], actor=self.viewer, before=before)
        return issue

    def _comment(self, given: Json) -> Json:
        if not given.get("issueId"):
            raise invalid("One of issueId, projectUpdateId or documentContentId must be given.")
        issue = self.world.need("Issue", given["issueId"])
        if not (given.get("body") or "").strip():
            raise invalid("body should not be empty")
        given |= {"id": self._free_id("Comment", given), "issueId": issue["id"], "userId": self.viewer}
        made = self.world.add("Comment", {"editedAt": None, "parentId": None, **given})
        self._happened("comment.created", id=made["id"], actor=self.viewer)
        return made

    def _checked(self, given: Json, team_id: str) -> Json:
        """The team; every reference has to be a UUID of something that is there and fits the team."""
        if UUID.fullmatch(str(team_id).lower()) is None:
            raise invalid("teamId must be a UUID.")
        team = self.world.need("Team", team_id)
        for name, kind in REFERENCES.items():
            if given.get(name) is not None and name != "teamId":
                row = self._referenced(kind, name, given[name])
                if kind == "WorkflowState" and row["teamId"] != team["id"]:
                    raise invalid("stateId must belong to the team of the issue.")
                if kind == "Project" and team["id"] not in row["teamIds"]:
                    raise invalid("Discrepancy between issue team and project teams.")
        for name in ("labelIds", "addedLabelIds"):
            for one in _texts(given.get(name)):
                label = self._referenced("IssueLabel", name, one)
                if label["teamId"] not in (None, team["id"]) or label["isGroup"]:
                    raise invalid(f"{name} must be labels of the team or the workspace.")
        if not 0 <= (given.get("priority") or 0) <= 4:
            raise invalid("priority must not be greater than 4")
        return team

    def _referenced(self, kind: str, name: str, given: str) -> Json:
        if UUID.fullmatch(given.lower()) is None:
            raise invalid(f"{name} must be a UUID.")
        row = self.world.find(kind, given)
        if row is None:
            raise missing(kind)
        return row

    def _free_id(self, kind: str, given: Json) -> str:
        chosen = given.get("id")
        if chosen is None:
            return self.world.new_id()
        if UUID_4.fullmatch(chosen) is None:
            raise invalid("id must be a UUID v4.")
        if chosen in self.world.tables.get(kind, {}):
            raise Problem(
                f"conflict on insert of {kind}",
                code="INPUT_ERROR",
                kind="invalid input",
                shown=f"Entity {kind} with id {chosen} already exists.",
            )
        return chosen

    def _date(self, issue: Json) -> None:
        kind = self.world.tables["WorkflowState"][issue["stateId"]]["type"]
        for name, moment in MOMENTS.items():
            if name == kind:
                issue[moment] = issue[moment] or issue["updatedAt"]
            elif name != "started" or kind in ("backlog", "unstarted", "triage"):
                issue[moment] = None

    def _note(self, issue: Json, before: Json) -> None:
        entry: Json = {"issueId": issue["id"], "actorId": self.viewer, "createdAt": issue["updatedAt"]}
        for name, (was, becomes) in HISTORY.items():
            if name in before:
                entry |= {was: before[name], becomes: issue[name]}
        if "labelIds" in before:
            entry["addedLabelIds"] = _without(issue["labelIds"], before["labelIds"])
            entry["removedLabelIds"] = _without(before["labelIds"], issue["labelIds"])
        if "description" in before:
            entry["updatedDescription"] = True
        self.world.add("IssueHistory", entry)


def _texts(given: Any) -> list[str]:
    return cast("list[str]", given or [])


def _without(these: Sequence[Any], those: Sequence[Any]) -> list[Any]:
    return [one for one in these if one not in those]


def _first_state(world: World, team: Json) -> str:
    """Where issues of a team begin: its first state of the kind Linear starts with."""
    states = sorted(world.related("Team", team, "states"), key=lambda state: state["position"])
    begin = [state for kind in ("backlog", "unstarted") for state in states if state["type"] == kind]
    return (begin or states)[0]["id"]
