"""Sample data for dry runs: the workspace of `fixtures/` behind Slack's protocol, inside this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx

from omniforge.integrations.catalog.slack.standin.app import create_app
from omniforge.integrations.catalog.slack.standin.state import StandinState
from omniforge.integrations.catalog.slack.standin.workspace import (
    Workspace,
    empty_workspace,
    fill_with_samples,
)
from omniforge.integrations.fitting import ANYWHERE, FITTING, fitting_values
from omniforge.integrations.loose import text
from omniforge.integrations.standin import Grant, sample_transport


def transport(
    now: datetime, *, resources: Sequence[Mapping[str, Any]] = (), empty: bool = False
) -> httpx.AsyncBaseTransport:
    """Answers every request of a dry run; the same for the same arguments, and gone with the transport."""
    state = StandinState(
        now=lambda: now,
        rate_per_second=None,
        steady=True,
        open_to=Grant(),
        fill=lambda _: sample_workspace(now, resources, empty=empty),
    )
    return sample_transport(create_app(state))


def sample_workspace(
    now: datetime, resources: Sequence[Mapping[str, Any]] = (), *, empty: bool = False
) -> Workspace:
    """The fixture's channels, and one for each channel known from a connection; the app is in all that
    are not private. `empty`: nobody is there and nothing was said.
    """
    workspace = empty_workspace(lambda: now)
    workspace.like = "team-updates"
    for channel in workspace.channels:
        if empty:
            channel.members = [workspace.app.id]
        elif not channel.private and workspace.app.id not in channel.members:
            channel.members.append(workspace.app.id)
    if not empty:
        fill_with_samples(workspace)
    for resource in resources:
        channel_id, name = text(resource.get("id")), text(resource.get("name")).removeprefix("#")
        if channel_id and name:
            workspace.channels = [c for c in workspace.channels if c.name != name or c.name == workspace.like]
            made = workspace.make_up(channel_id, name)
            wanted = fitting_values(resource, now)
            said = wanted.get("text") or wanted.get(ANYWHERE)
            for message in made.messages[-FITTING:] if said else ():
                message.text = f"{message.text} {said}"
    return workspace
