"""Everything that has to do with GitHub, put together."""

from __future__ import annotations

from dataclasses import dataclass

from omniforge.board.commits import Commits
from omniforge.board.deliveries import Deliveries
from omniforge.board.github import GitHub
from omniforge.board.github_projects import KIND, GitHubProjects
from omniforge.engine.active import Handler
from omniforge.integrations import IntegrationService
from omniforge.runs.service import RunService
from omniforge.tenants import SecretBox


@dataclass(frozen=True, slots=True)
class GitHubRooms:
    """By the names under which endpoints look for them."""

    repositories: GitHub
    projects: GitHubProjects
    deliveries: Deliveries

    @classmethod
    def make(
        cls,
        integrations: IntegrationService,
        commits: Commits,
        secrets: SecretBox,
        runs: RunService,
        url: str,
    ) -> GitHubRooms:
        """`url`: where this installation is reached."""
        repositories, known = GitHub(integrations), integrations.catalog.get("github")
        signed = known.manifest.webhook if known else None
        projects = GitHubProjects(repositories, commits, secrets, runs, url)
        return cls(repositories, projects, Deliveries(commits, secrets, signed))

    @property
    def handlers(self) -> dict[str, Handler]:
        """What the engine does for GitHub."""
        return {KIND: self.projects.run_sync}
