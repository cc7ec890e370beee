"""Everything that has to do with GitHub, put together."""

from __future__ import annotations

from dataclasses import dataclass

from omniforge.board.commits import Commits
from omniforge.board.deliveries import Deliveries
from omniforge.board.github import GitHub
from omniforge.board.github_projects import KIND, GitHubProjects
from omniforge.board.github_pushes import KIND as PUSH
from omniforge.board.github_pushes import GitHubPushes, Lender
from omniforge.board.pushing import Pushes
from omniforge.board.repository import Repositories
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
    pushes: GitHubPushes

    @classmethod
    def make(  # noqa: PLR0917 - what GitHub has to do with
        cls,
        integrations: IntegrationService,
        commits: Commits,
        secrets: SecretBox,
        runs: RunService,
        url: str,
        kept: Repositories,
    ) -> GitHubRooms:
        """`url`: where this installation is reached. `kept`: the projects' repositories here."""
        repositories, known = GitHub(integrations), integrations.catalog.get("github")
        signed = known.manifest.webhook if known else None
        projects = GitHubProjects(repositories, commits, secrets, runs, url)
        lender = Lender(repositories, integrations.settings.service("github"))
        pushes = Pushes(commits.db, commits.events, commits.clock, kept, lender.remote)
        giving = GitHubPushes(pushes, lender, runs)
        return cls(repositories, projects, Deliveries(commits, secrets, signed), giving)

    @property
    def handlers(self) -> dict[str, Handler]:
        """What the engine does for GitHub."""
        return {KIND: self.projects.run_sync, PUSH: self.pushes.run_push}

    def follow(self) -> None:
        """Hear what happens, from where it was heard last."""
        self.pushes.pushes.events.subscribe("board.github", self.pushes.types, self.pushes.hear)
