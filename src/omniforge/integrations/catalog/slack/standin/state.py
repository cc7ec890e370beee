"""What the local server holds beside sign-in and faults: two workspaces, and a pace for each method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from omniforge.integrations import standin
from omniforge.integrations.catalog.slack.standin.workspace import Workspace, acme_workspace, empty_workspace

CLIENT_ID = "4123121235.9872358710"
CLIENT_SECRET = "local_slack_for_development_only"  # noqa: S105 - opens nothing but the local server
"""The client of the local server. Development uses them as SLACK_CLIENT_ID and SLACK_CLIENT_SECRET."""

PER_MINUTE = {
    "conversations.list": 20,
    "users.list": 20,
    "conversations.history": 50,
    "conversations.replies": 50,
    "conversations.info": 50,
    "conversations.join": 50,
    "conversations.open": 50,
    "users.conversations": 50,
    "chat.update": 50,
    "chat.postMessage": 60,
    "users.lookupByEmail": 50,
    "users.info": 100,
}
"""Requests per minute of each method and workspace, as its tier allows; bursts of a minute's worth pass."""
ANY_OTHER = 200


@dataclass(slots=True, kw_only=True)
class StandinState(standin.StandinState):
    """All of one local Slack. `rate_per_second = None` switches every limit off; `token_seconds` switches
    token rotation on (43200 at Slack), without which tokens do not end and nothing renews them.
    """

    fill: Callable[[Callable[[], datetime]], Workspace] = acme_workspace
    """Makes the workspace that is served."""
    workspace: Workspace = field(init=False)
    second: Workspace = field(init=False)
    """Another workspace of the same person, without channels: "Acme Labs"."""

    def __post_init__(self) -> None:
        self.workspace = self.fill(self.now)
        self.second = empty_workspace(self.now, "second")

    def workspace_of(self, account: str) -> Workspace:
        return self.second if account == self.second.id else self.workspace

    def is_too_fast(self, key: str) -> bool:
        """Token bucket per method and workspace (`key`), filled at the pace of the method's tier."""
        if self.rate_per_second is None:
            return False
        per_minute = PER_MINUTE.get(key.partition(" ")[0], ANY_OTHER)
        level, last = self._level.get(key, (0.0, self.now()))
        level = max(level - (self.now() - last).total_seconds() * per_minute / 60, 0.0)
        refused = level + 1 > per_minute
        self._level[key] = (level if refused else level + 1, self.now())
        return refused

    def new_key(self) -> str:
        """A bot token, as a developer would copy it from the app's settings."""
        grant = standin.Grant(person=self.workspace.app.id, account=self.workspace.id)
        return self.give_key(f"xoxb-{self.new_id()}", grant)
