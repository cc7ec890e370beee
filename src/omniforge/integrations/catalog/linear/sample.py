"""Sample data for dry runs: the issues of `fixtures/`, answered by Linear's protocol inside this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx

from omniforge.integrations.catalog.linear.shapes import Json
from omniforge.integrations.catalog.linear.standin import StandinState, create_app
from omniforge.integrations.catalog.linear.standin.data import (
    add_issue,
    add_known_project,
    add_known_team,
    empty_world,
    sample_issues,
)
from omniforge.integrations.catalog.linear.standin.world import World
from omniforge.integrations.standin import Grant, sample_transport


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
    if known_id in world.tables["Project" if is_project else "Team"]:
        return
    if is_project:
        add_known_project(world, known_id, name)
        place: Json = {"project": name}
    else:
        place = {"team": add_known_team(world, known_id, name), "project": None, "assignee": "Maya Lindholm"}
    for number, issue in enumerate(issue for issue in issues if issue["team"] == "ENG"):
        labels = [label for label in issue["labels"] if label in ("Bug", "Feature", "Improvement")]
        add_issue(world, f"{known_id}/{number}", {**issue, "labels": labels, **place})
