"""Projects whose repository is at GitHub: connected by a person, and brought up to date on request."""

from __future__ import annotations

import secrets as chance
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import github_reading as read
from omniforge.board import pulls
from omniforge.board.commits import Commits, LinkMethod, Seen
from omniforge.board.errors import PreconditionFailed
from omniforge.board.github import GitHub, path_of, window
from omniforge.board.log import board_event
from omniforge.board.shapes.github import (
    Connected,
    ConnectedList,
    ConnectedRepository,
    ConnectGiven,
    Place,
    Repo,
)
from omniforge.board.store.projects import ProjectRow, get_project
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import ProjectStatus
from omniforge.core.actor import Actor, Role
from omniforge.core.errors import Fatal, NotFound, OmniForgeError, ProviderError, Retryable
from omniforge.core.paging import Paging
from omniforge.engine.active import StepCall
from omniforge.engine.plan import Plan, Retry, Step
from omniforge.engine.state import StepResult
from omniforge.integrations.rest import RestClient
from omniforge.runs.service import RunService, StartRequest
from omniforge.tenants import SecretBox

KIND = "github_sync"
ADDRESS = "/api/v1/github/webhooks/github"
SECONDS = 900.0
MOST = Paging(limit=200)


class GitHubProjects:
    """`url`: where this installation is reached."""

    def __init__(
        self, github: GitHub, commits: Commits, secrets: SecretBox, runs: RunService, url: str
    ) -> None:
        self.db, self.events, self.clock = commits.db, commits.events, commits.clock
        self.github, self.commits, self.secrets, self.runs = github, commits, secrets, runs
        self.address = url.rstrip("/") + ADDRESS

    # --- connect -------------------------------------------------------------------------------------------

    async def connect(self, actor: Actor, given: ConnectGiven) -> Connected:
        """Once the person is known to reach the repository. A secret that is there for this very repository
        stays, unless another is given."""
        actor.require("board:github")
        async with self.db.read() as session:
            _check_active(await get_project(session, actor, given.project_id))
        repo = await self.github.repo(actor, Place(owner=given.owner, repo=given.repo))
        async with self.db.transaction() as session:
            project = await get_project(session, actor, given.project_id, lock=True)
            _check_active(project)
            made = await self._keep_secret(session, project, given)
            await self._keep_place(session, actor, project, repo, given)
        return Connected(
            message=f"{repo.full_name} is connected.",
            project_id=project.id,
            webhook_url=self.address,
            webhook_secret=made,
        )

    async def _keep_secret(
        self, session: AsyncSession, project: ProjectRow, given: ConnectGiven
    ) -> str | None:
        """The secret that was made, None where there is one."""
        before = f"{project.github_owner}/{project.github_repo}".casefold()
        is_same = before == f"{given.owner}/{given.repo}".casefold()
        if given.webhook_secret is None and is_same and project.webhook_secret is not None:
            return None
        made = None if given.webhook_secret else chance.token_urlsafe(32)
        place = (project.tenant_id, ProjectRow.__tablename__, project.id, "webhook_secret")
        project.webhook_secret = await self.secrets.seal(session, *place, given.webhook_secret or made or "")
        return made

    async def _keep_place(
        self,
        session: AsyncSession,
        actor: Actor,
        project: ProjectRow,
        repo: Repo,
        given: ConnectGiven,
    ) -> None:
        owner, name = repo.owner or given.owner, repo.name or given.repo
        now = self.clock.now()
        project.github_owner, project.github_repo, project.github_connected = owner, name, True
        project.github_connected_by = actor.user_id
        project.repository_kind, project.default_branch = "github", repo.default_branch
        project.updated_at = now
        await session.flush()
        ids = {"project_id": project.id}
        event = board_event("repository.connected", f"{owner}/{name}", now, actor.by, **ids)
        event.payload |= {"owner": owner, "repo": name}
        await self.events.append(session, actor.tenant_id, event)

    async def connected(self, actor: Actor, paging: Paging) -> ConnectedList:
        """Newest first."""
        actor.require("board:view")
        where = (ProjectRow.tenant_id == actor.tenant_id, ProjectRow.github_connected.is_(True))
        where = (*where, ProjectRow.status != ProjectStatus.ARCHIVED)
        query = select(ProjectRow).where(*where).order_by(ProjectRow.created_at.desc(), ProjectRow.id.desc())
        async with self.db.read() as session:
            total = await session.scalar(select(func.count()).select_from(ProjectRow).where(*where))
            rows = list(await session.scalars(query.limit(paging.limit).offset(paging.offset)))
        shown = [
            ConnectedRepository(
                project_id=row.id,
                owner=row.github_owner or "",
                repo=row.github_repo or "",
                connected=row.github_connected,
                webhook_configured=row.webhook_secret is not None,
            )
            for row in rows
        ]
        return ConnectedList(repositories=shown, total=total or 0, limit=paging.limit, offset=paging.offset)

    # --- bring up to date ----------------------------------------------------------------------------------

    async def start_sync(self, actor: Actor, project_id: str) -> str:
        """The id of the run that reads commits and pull requests of tickets' branches, through the connection
        of whoever asks."""
        actor.require("board:github")
        async with self.db.read() as session:
            _check_connected(await get_project(session, actor, project_id))
        step = Step("sync", KIND, {"project_id": project_id}, timeout=SECONDS, retry=Retry(attempts=3))
        request = StartRequest(
            Plan((step,)), f"project:{project_id}", trigger_type=KIND, triggered_by=actor.by
        )
        allowed = actor.permissions | {"agent:execute"}
        starter = Actor(actor.tenant_id, actor.user_id, actor.role, actor.by, allowed)
        return await self.runs.start_run(starter, request)

    async def run_sync(self, call: StepCall) -> StepResult:
        """Step kind `github_sync`. Output: `{"commits": linked, "pulls": recorded}`."""
        user_id = str(call.run.facts.get("user_id", ""))
        allowed = frozenset({"board:view", "integration:view"})
        actor = Actor(call.run.tenant_id, user_id, Role.VIEWER, f"user:{user_id}", allowed)
        try:
            done = await self.sync(actor, str(call.step.args["project_id"]))
        except (ProviderError, OmniForgeError) as error:
            refusal = Retryable if error.code in ("github_error", "service_down") else Fatal
            raise refusal(error.message, code=error.code) from error
        return StepResult(done, f"{done['commits']} commits linked, {done['pulls']} pull requests recorded")

    async def sync(self, actor: Actor, project_id: str) -> dict[str, int]:
        async with self.db.read() as session:
            project = await get_project(session, actor, project_id)
            _check_connected(project)
            query = select(TicketRow).where(
                TicketRow.project_id == project.id, TicketRow.branch_name.is_not(None)
            )
            tickets = list(await session.scalars(query.order_by(TicketRow.created_at, TicketRow.id)))
        linked = recorded = 0
        for ticket in tickets:
            linked += await self._sync_commits(actor, project, ticket)
            recorded += await self._sync_pulls(actor, project, str(ticket.branch_name))
        async with self.db.transaction() as session:
            about = f"{project.github_owner}/{project.github_repo}"
            told: dict[str, Any] = {"commits": linked, "pulls": recorded}
            ids = {"project_id": project.id}
            event = board_event("repository.synced", about, self.clock.now(), actor.by, **ids)
            event.payload |= told
            await self.events.append(session, actor.tenant_id, event)
        return {"commits": linked, "pulls": recorded}

    async def _sync_commits(self, actor: Actor, project: ProjectRow, ticket: TicketRow) -> int:
        """Of its branch, beside those of the default branch; none where there is no such branch."""
        ends = f"{project.default_branch}...{ticket.branch_name}"
        try:
            found = await self.github.one(actor, path_of(_place(project), "compare", ends))
        except NotFound:
            return 0
        seen = [
            Seen(shown.sha, shown.message[:20_000], ticket.branch_name, shown.authored_at)
            for shown in (read.commit(one) for one in read.objects(found.get("commits")))
        ]
        async with self.db.transaction() as session:
            kept = await session.get(TicketRow, ticket.id, with_for_update=True)
            if kept is None:
                return 0
            told = await self.commits.link_to(session, kept, seen, LinkMethod.SYNC, actor.by)
            await self.events.append(session, actor.tenant_id, *told)
        return len(told)

    async def _sync_pulls(self, actor: Actor, project: ProjectRow, branch: str) -> int:
        asked = [("state", "all"), ("head", f"{project.github_owner}:{branch}")]

        async def ask(rest: RestClient) -> list[read.Json]:
            return (await window(rest, path_of(_place(project), "pulls"), MOST, asked)).items

        found = await self.github.ask(actor, ask)
        async with self.db.transaction() as session:
            now, record = self.clock.now(), pulls.record_pull
            done = [
                await record(session, self.events, project, one, actor.by, now)
                for one in found
                if read.text(one, "head", "ref") == branch
            ]
        return sum(done)


def _place(project: ProjectRow) -> Place:
    return Place(owner=project.github_owner or "", repo=project.github_repo or "")


def _check_active(project: ProjectRow) -> None:
    if project.status == ProjectStatus.ARCHIVED:
        raise PreconditionFailed("This project is archived; nothing is connected to it.", status="archived")


def _check_connected(project: ProjectRow) -> None:
    if not project.github_connected:
        raise PreconditionFailed("Connect this project with a repository first.", project_id=project.id)
