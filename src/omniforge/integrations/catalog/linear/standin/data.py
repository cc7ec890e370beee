"""The workspaces that are served: "Acme Operations", with issues whose times follow the present."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from omniforge.core.clock import rfc3339
from omniforge.integrations.catalog.linear.standin.world import Json, World, numbered
from omniforge.integrations.standin import stable_id

FIXTURES = Path(__file__).parent.parent / "fixtures"
COUNTS = {"ENG": 132, "DES": 24, "OPS": 12}
SUBJECTS = (
    "search", "sign-in", "invoices", "exports", "notifications", "the mobile app", "permissions", "imports",
    "the dashboard", "onboarding", "audit log", "attachments", "calendar sync", "the public API",
)  # fmt: skip
TASKS = (
    "Speed up {}", "Fix a crash in {}", "Add tests for {}", "Document {}", "Translate {}", "Redesign {}",
    "Clean up {}", "Add filters to {}", "Fix wrong totals in {}", "Let admins configure {}",
)  # fmt: skip
STATE_TURN = (
    "In Progress", "Done", "Todo", "Done", "In Review", "Backlog", "Done", "Canceled", "In Progress",
    "Backlog", "Triage", "Done",
)  # fmt: skip


@cache
def _fixture(name: str) -> Any:
    return json.loads((FIXTURES / name).read_text(encoding="utf-8"))


def sample_issues() -> list[Json]:
    return _fixture("sample_issues.json")


def empty_world(now: Callable[[], datetime], new_id: Callable[[], str], name: str = "") -> World:
    """The people, teams, states, labels and projects of the fixture, without issues."""
    source = _fixture("workspace.json")
    name = name or source["organization"]["name"]
    long_ago = rfc3339(now() - timedelta(days=400))
    organization: Json = {
        "id": stable_id("linear", name),
        "name": name,
        "urlKey": name.lower().replace(" ", "-"),
        "createdAt": long_ago,
        "updatedAt": long_ago,
        "webhookId": stable_id("linear", name, "webhook"),
    }
    world = World(now=now, organization=organization, new_id=new_id)

    def add(kind: str, label: str, /, **row: Any) -> Json:
        return world.add(kind, {"id": stable_id("linear", name, kind, label), "createdAt": long_ago, **row})

    _add_people_and_teams(add, source)
    _add_projects(world, add, source)
    return world


def _add_people_and_teams(add: Callable[..., Json], source: Json) -> None:
    teams = {team["key"]: _add_team(add, team["key"], team) for team in source["teams"]}
    members = {team["key"]: team["members"] for team in source["teams"]}
    for person in source["people"]:
        his = [teams[key]["id"] for key, names in members.items() if person["name"] in names]
        plain = {"active": True, "admin": False, "app": False, "guest": False}
        add("User", person["name"], **{**plain, **person}, teamIds=his)
    for label in source["labels"]:
        team = teams.get(label.get("team", ""))
        place = {"teamId": team["id"] if team else None, "isGroup": label.get("isGroup", False)}
        add("IssueLabel", label["name"], name=label["name"], color=label["color"], description=None, **place)


def _add_team(add: Callable[..., Json], label: str, team: Json) -> Json:
    """A team with the usual states; its people are put in with the people."""
    plain = {"color": "#5e6ad2", "icon": None, "private": False, "timezone": "Europe/Berlin"}
    own = {name: team[name] for name in ("key", "name", "description")}
    made = add("Team", label, **plain, **own, **({"id": team["id"]} if "id" in team else {}))
    for position, state in enumerate(_fixture("workspace.json")["states"]):
        row = {**state, "description": None, "position": float(position), "teamId": made["id"]}
        add("WorkflowState", f"{label}/{state['name']}", **row)
    return made


def add_known_team(world: World, team_id: str, name: str) -> str:
    """A team of that id and name with everybody in it; its key."""
    taken = {team["key"] for team in world.rows("Team")}
    letters = re.sub(r"[^A-Z]", "", name.upper())[:3] or "OWN"
    key = letters if letters not in taken else f"{letters}{len(taken)}"

    def add(kind: str, label: str, /, **row: Any) -> Json:
        return world.add(kind, {"id": stable_id("linear", kind, label), **row})

    _add_team(add, team_id, {"id": team_id, "key": key, "name": name, "description": ""})
    for user in world.rows("User"):
        user["teamIds"].append(team_id)
    return key


def add_known_project(world: World, project_id: str, name: str) -> None:
    """A project of that id and name, otherwise like the first one."""
    first = world.rows("Project")[0]
    world.add(
        "Project", {**first, "id": project_id, "name": name, "slugId": project_id[:12].replace("-", "")}
    )


def _add_projects(world: World, add: Callable[..., Json], source: Json) -> None:
    statuses = {one["name"]: one for one in source["projectStatuses"]}
    for position, one in enumerate(statuses.values()):
        add("ProjectStatus", one["name"], **one, color="#bec2c8", position=float(position))
    people = {user["name"]: user["id"] for user in world.rows("User")}
    teams = {team["key"]: team["id"] for team in world.rows("Team")}
    status_ids = {one["name"]: one["id"] for one in world.rows("ProjectStatus")}
    for project in source["projects"]:
        lead = people[project["lead"]]
        add(
            "Project",
            project["name"],
            name=project["name"],
            slugId=stable_id(project["name"])[:12].replace("-", ""),
            description="",
            color="#bec2c8",
            icon=None,
            priority=0,
            priorityLabel="No priority",
            statusId=status_ids[project["status"]],
            state=statuses[project["status"]]["type"],
            leadId=lead,
            creatorId=lead,
            memberIds=[lead],
            teamIds=[teams[key] for key in project["teams"]],
            startDate=_day(world, project["start"]),
            targetDate=_day(world, project["target"]),
        )


def _day(world: World, days: int | None) -> str | None:
    return None if days is None else (world.now() + timedelta(days=days)).date().isoformat()


def add_issue(world: World, key: str, source: Json) -> Json:
    """An issue as `sample_issues.json` describes it: names instead of ids, days ago instead of times."""
    team = next(team for team in world.rows("Team") if team["key"] == source["team"])
    states = {state["name"]: state for state in world.related("Team", team, "states")}
    people = {user["name"]: user["id"] for user in world.rows("User")}
    labels = {label["name"]: label["id"] for label in world.rows("IssueLabel")}
    projects = {project["name"]: project["id"] for project in world.rows("Project")}
    state, updated = states[source["state"]], _moment(world, source["updated"], key)
    dated = {"started": "startedAt", "completed": "completedAt", "canceled": "canceledAt"}
    moments: Json = dict.fromkeys(dated.values())
    if state["type"] in dated:
        moments[dated[state["type"]]] = updated
    made = {
        "id": stable_id("linear", "issue", key),
        "title": source["title"],
        "description": source["description"] or None,
        "stateId": state["id"],
        "priority": source["priority"],
        "estimate": source["estimate"],
        "dueDate": _day(world, source["due"]),
        "assigneeId": people.get(source["assignee"] or ""),
        "creatorId": people[source["creator"]],
        "labelIds": [labels[name] for name in source["labels"]],
        "projectId": projects.get(source["project"] or ""),
        "parentId": None,
        "sortOrder": 0.0,
        "createdAt": _moment(world, source["created"], key),
        **moments,
    }
    issue = world.add("Issue", numbered(world, team["id"], made))
    issue["updatedAt"] = max(updated, issue["createdAt"])
    for number, comment in enumerate(source["comments"]):
        said = {"id": stable_id("linear", "comment", key, number), "issueId": issue["id"], "editedAt": None}
        said |= {"body": comment["text"], "userId": people[comment["by"]], "parentId": None}
        world.add("Comment", {**said, "createdAt": _moment(world, comment["days"], f"{key}/{number}")})
    return issue


def _moment(world: World, days: float, key: str) -> str:
    """Some minute about noon, that many days ago; the same for the same thing."""
    noon = world.now().replace(hour=12, minute=sum(key.encode()) % 60, second=0, microsecond=0)
    return rfc3339(noon - timedelta(days=days))


def acme_world(now: Callable[[], datetime], new_id: Callable[[], str]) -> World:
    """Acme Operations as the local server shows it: Engineering 132 issues, Design 24, Operations 12."""
    world = empty_world(now, new_id)
    random = Random(20260101)  # noqa: S311 - sample data
    issues = [
        {**issue, "created": issue["created"] + 1, "updated": issue["updated"]} for issue in sample_issues()
    ]
    for team, count in COUNTS.items():
        own = [issue for issue in issues if issue["team"] == team]
        made = [_made_up(world, random, team, number) for number in range(count - len(own))]
        for number, issue in enumerate([*made, *own]):
            add_issue(world, f"{team}/{number}", issue)
    return world


def _made_up(world: World, random: Random, team: str, number: int) -> Json:
    row = next(one for one in world.rows("Team") if one["key"] == team)
    people = [user["name"] for user in world.related("Team", row, "members")]
    labels = [label["name"] for label in world.rows("IssueLabel") if label["teamId"] in (None, row["id"])]
    projects = [project["name"] for project in world.related("Team", row, "projects")]
    created = random.randint(8, 120)
    return {
        "team": team,
        "title": random.choice(TASKS).format(random.choice(SUBJECTS)),
        "description": "",
        "state": STATE_TURN[number % len(STATE_TURN)],
        "priority": number % 5,
        "estimate": random.choice((None, 1, 2, 3, 5)),
        "due": random.choice((None, None, 3, 10, 21)),
        "assignee": random.choice((None, *people)),
        "creator": random.choice(people),
        "labels": [name for name in random.sample(labels, number % 3) if name != "Area"],
        "project": random.choice((None, *projects)),
        "created": created,
        "updated": random.randint(1, created),
        "comments": [],
    }
