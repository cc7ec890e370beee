"""What GitHub is given by itself: a ticket's branch as work is merged into it, and its pull request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

from omniforge.board import github_reading as read
from omniforge.board import pulls
from omniforge.board.branches import branch_name
from omniforge.board.github import GitHub, in_our_words
from omniforge.board.next_actions import BUILT
from omniforge.board.pushing import Pushes, is_at_github
from omniforge.board.repository import Remote
from omniforge.board.shapes.github import Place
from omniforge.board.starting import run_starter
from omniforge.board.store.projects import ProjectRow
from omniforge.board.store.tickets import TicketRow
from omniforge.core.actor import Actor, Role
from omniforge.core.config import ServiceSettings
from omniforge.core.errors import (
    Conflict,
    Fatal,
    Forbidden,
    OmniForgeError,
    Retryable,
    Unavailable,
)
from omniforge.engine.active import StepCall
from omniforge.engine.events import EventRow
from omniforge.engine.plan import Plan, Retry, Step
from omniforge.engine.state import StepResult
from omniforge.runs.service import RunService, StartRequest
from omniforge.sandboxes.log import HOST

Json = dict[str, Any]
KIND = "github_push"
SECONDS = 600.0
TAKES = ("repository.connected", "repository.synced")
"""After these the main branch there may be ahead of ours."""
GIVES = ("task.completed", "ticket.transitioned")
"""After these the branch of a ticket may hold something new, or be ready to be looked at."""
GITHUB = "https://github.com"
AGAIN = ("github_error", "service_down", "rate_limited")


@dataclass(frozen=True, slots=True)
class Lender:
    """Where projects' repositories are, opened with the credential of who connected each: git is lent it for
    one command."""

    github: GitHub
    settings: ServiceSettings

    @property
    def root(self) -> str | None:
        """None: a local server stands in for GitHub, and there is nothing git could talk to."""
        return self.settings.git_url or (GITHUB if self.settings.base_url is None else None)

    @asynccontextmanager
    async def remote(self, project: ProjectRow) -> AsyncGenerator[Remote]:
        if self.root is None:
            raise Unavailable("Git talks to no GitHub here.", next="OMNIFORGE_GITHUB_GIT_URL")
        url = f"{self.root.rstrip('/')}/{project.github_owner}/{project.github_repo}.git"
        async with in_our_words(), self.github.integrations.lent(who_connected(project), "github") as token:
            yield Remote(url, token)


def who_connected(project: ProjectRow) -> Actor:
    """Whoever connected the project, for what the host does in their name."""
    if project.github_connected_by is None:
        raise Forbidden("Nobody has connected this project with GitHub yet.", project_id=project.id)
    allowed = frozenset({"board:view", "board:github", "integration:view"})
    return Actor(project.tenant_id, project.github_connected_by, Role.VIEWER, HOST, allowed)


@dataclass(frozen=True, slots=True)
class GitHubPushes:
    """A reader of the log. What it does are runs of their own, so that GitHub may be away for a while."""

    pushes: Pushes
    lender: Lender
    runs: RunService
    types: tuple[str, ...] = (*TAKES, *GIVES)
    turns: WeakValueDictionary[str, asyncio.Lock] = field(
        default_factory=WeakValueDictionary[str, asyncio.Lock]
    )
    """By ticket or project: what is asked twice at once is done once, and found done."""

    async def hear(self, row: EventRow, tenant_id: str) -> None:
        ids: dict[str, str] = json.loads(row.payload).get("ids", {})
        ticket_id = ids.get("ticket_id") if row.type in GIVES else None
        if self.lender.root is None or (row.type in GIVES and ticket_id is None):
            return
        async with self.pushes.db.read() as session:
            project = await session.get(ProjectRow, ids.get("project_id", ""))
        if project is None or project.tenant_id != tenant_id or not is_at_github(project):
            return
        about = f"ticket:{ticket_id}" if ticket_id else f"project:{project.id}"
        args = {"project_id": project.id, "ticket_id": ticket_id}
        step = Step("push", KIND, args, timeout=SECONDS, retry=Retry(attempts=5, delay=5.0))
        key = f"{KIND}/{row.position}"
        request = StartRequest(Plan((step,)), about, trigger_type=KIND, idempotency_key=key)
        await self.runs.start_run(run_starter(tenant_id), request)

    async def run_push(self, call: StepCall) -> StepResult:
        """Step kind `github_push`. Output: `{"sha": where the branch stands, "pull": a number or null}`."""
        project_id, ticket_id = call.step.args["project_id"], call.step.args["ticket_id"]
        turn = self.turns.setdefault(str(ticket_id or project_id), asyncio.Lock())
        try:
            async with turn:
                done = await (self._give(str(ticket_id)) if ticket_id else self._take(str(project_id)))
        except OmniForgeError as error:
            refusal = Retryable if error.code in AGAIN else Fatal
            raise refusal(error.message, code=error.code) from error
        return StepResult(done, f"stands at {done['sha']}" if done["sha"] else "nothing to give or take")

    async def _take(self, project_id: str) -> Json:
        async with self.pushes.db.read() as session:
            project = await session.get_one(ProjectRow, project_id)
        return {"sha": await self.pushes.take_over(project), "pull": None}

    async def _give(self, ticket_id: str) -> Json:
        sha = await self.pushes.push_ticket(ticket_id)
        return {"sha": sha, "pull": await self._open_pull(ticket_id) if sha else None}

    async def _open_pull(self, ticket_id: str) -> int | None:
        """Ask once for the branch to be taken in, where the project wants that; the number of the request."""
        async with self.pushes.db.read() as session:
            ticket = await session.get_one(TicketRow, ticket_id)
            project = await session.get_one(ProjectRow, ticket.project_id)
            is_wanted = bool(project.settings.get("auto_pull_request")) and ticket.status in BUILT
            if not is_wanted or await pulls.has_pull(session, ticket):
                return None
        place = Place(owner=project.github_owner or "", repo=project.github_repo or "")
        body = {
            "title": f"{ticket.ref}: {ticket.title}"[:256],
            "head": branch_name(ticket),
            "base": project.default_branch,
            "body": ticket.description or "",
        }
        try:
            made = await self.lender.github.write_pull(who_connected(project), place, body)
        except Conflict:  # somebody opened one meanwhile; a sync or GitHub itself tells of it
            return None
        async with self.pushes.db.transaction() as session:
            now = self.pushes.clock.now()
            await pulls.record_pull(session, self.pushes.events, project, made, HOST, now)
        return read.pull(made).number
