"""What the local server holds beside sign-in and faults: the workspaces it serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from omniforge.integrations import standin
from omniforge.integrations.catalog.notion.standin.data import acme_workspace
from omniforge.integrations.catalog.notion.standin.workspace import Workspace, empty_workspace, stable_id

CLIENT_ID = "1f0d872b-594c-80a4-b2f4-00370af2b13f"
CLIENT_SECRET = "secret_local_notion_for_development_only"  # noqa: S105 - opens nothing but the local server
"""The client of the local server. Development uses them as NOTION_CLIENT_ID and NOTION_CLIENT_SECRET."""


@dataclass(slots=True, kw_only=True)
class StandinState(standin.StandinState):
    """All of one local Notion."""

    fill: Callable[[Callable[[], datetime]], Workspace] = acme_workspace
    """Makes the workspace that is served."""
    workspace: Workspace = field(init=False)
    second: Workspace = field(init=False)
    """Another workspace of the same person, without pages: "Acme Labs"."""

    def __post_init__(self) -> None:
        self.workspace = self.fill(self.now)
        self.workspace.new_id = self.new_id
        self.second = empty_workspace(self.now)
        self.second.id, self.second.name = stable_id("second workspace"), "Acme Labs"
        self.second.tables.clear()

    def workspace_of(self, account: str) -> Workspace:
        return self.second if account == self.second.id else self.workspace

    def new_key(self) -> str:
        """An internal access key, as a developer would copy it from Notion's settings."""
        person = self.workspace.people[0].id
        return self.give_key(f"ntn_{self.new_id()}", standin.Grant(person=person, account=self.workspace.id))
