"""Sample data for dry runs: the issues of `fixtures/`, answered by Linear's protocol inside this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import httpx

from omniforge.integrations.catalog.linear.shapes import PRIORITIES, Json
from omniforge.integrations.catalog.linear.standin import StandinState, create_app
from omniforge.integrations.catalog.linear.standin.data import (
    add_issue,
    add_known_project,
    add_known_team,
    empty_world,
    sample_issues,
)
from omniforge.integrations.catalog.linear.standin.world import World
from omniforge.integrations.fitting import ANYWHERE, FITTING, fitting_values
from omniforge.integrations.standin import Grant, sample_transport

STATE_TYPE = {
    "Backlog": "backlog",
    "Todo": "unstarted",
    "In Progress": "started",
    "Done": "completed",
    "Canceled": "canceled",
}
_OWN = ("title", "state", "priority", "assignee", "labels", "due", "estimate", "project")


def transport(
    now: datetime, *, resources: Sequence[Mapping[str, Any]] = (), empty: bool = False
) -> httpx.AsyncBaseTransport:
    """Answers every request of a dry run; the same for the same arguments, and gone with the transport."""

    def fill(_: Callable[[], datetime], new_id: Callable[[], str]) -> World:
        return sample_world(now, new_id, resources, empty=empty)

    state = StandinState(now=lambda: now, steady=True, open_to=Grant(), fill=fill)
    return sample_transport(create_app(state))


def sample_world(
    now: datetime,
    new_id: Callable[[], str],
    resources: Sequence[Mapping[str, Any]] = (),
    *,
    empty: bool = False,
) -> World:
    """The fixture's teams with their issues, then each known team or project with some of its own."""
    world = empty_world(lambda: now, new_id)
    world.stands_in = True
    issues: list[Json] = [] if empty else sample_issues()
    for number, issue in enumerate(issues):
        add_issue(world, f"sample/{number}", issue)
    for resource in resources:
        _add_known(world, resource, issues)
    return world


def _add_known(world: World, resource: Mapping[str, Any], issues: Sequence[Json]) -> None:
    """A team, or project when its kind says so, as known from a connection; sample issues are put in."""
    known_id, name = str(resource.get("id")), str(resource.get("name"))
    is_project = resource.get("kind") == "project"
    wanted = fitting_values(resource, world.now())
    known = world.tables["Project" if is_project else "Team"].get(known_id)
    if known is not None:
        issues = issues[:FITTING] if wanted else ()
        place: Json = {"project": known["name"]} if is_project else {"team": known["key"], "project": None}
    elif is_project:
        add_known_project(world, known_id, name)
        place = {"project": name}
    else:
        place = {"team": add_known_team(world, known_id, name), "project": None, "assignee": "Maya Lindholm"}
    for number, issue in enumerate(issue for issue in issues if issue["team"] == "ENG"):
        labels = [label for label in issue["labels"] if label in ("Bug", "Feature", "Improvement")]
        fits = _fitting(world, wanted) if number < FITTING else {}
        add_issue(world, f"{known_id}/{number}", {**issue, "labels": labels, **place, **fits})


def _fitting(world: World, wanted: Mapping[str, str | None]) -> Json:
    """Of an issue as `add_issue` takes it, what makes it pass; what is not known here stays as it is."""
    known = {
        "state": {name: name for name in STATE_TYPE},
        "state_type": {type_: name for name, type_ in reversed(STATE_TYPE.items())},
        "priority": PRIORITIES,
        "assignee": {user["name"]: user["name"] for user in world.rows("User")},
        "labels": {label: [label] for label in ("Bug", "Feature", "Improvement")},
    }
    fits: Json = {}
    for name, value in wanted.items():
        if value is None:
            fits[name] = [] if name == "labels" else 0 if name == "priority" else None
        elif name == "due":
            fits[name] = (date.fromisoformat(value) - world.now().date()).days
        elif name in ("title", ANYWHERE):
            fits["title"] = value
        else:
            found = {key.casefold(): one for key, one in known.get(name, {}).items()}
            plain = value.casefold().removesuffix(" priority")
            if (one := found.get(value.casefold(), found.get(plain))) is not None:
                fits["state" if name == "state_type" else name] = one
    return {name: value for name, value in fits.items() if name in _OWN}
