"""What an attempt is given to begin with: the tree, its branch, what lies beside it, and a real sandbox."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board.attempts import Attempts
from omniforge.board.branches import branch_name
from omniforge.board.moves import system_actor
from omniforge.board.moving import ticket_event
from omniforge.board.repository import Repositories
from omniforge.board.standing import Standing, kept_name, read_standing
from omniforge.board.store.tasks import AttemptRow
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import AttemptOutcome, WorkKind
from omniforge.board.workplaces import Ending
from omniforge.core.errors import OmniForgeError
from omniforge.sandboxes.log import HOST
from omniforge.sandboxes.provisioning import SandboxFailed
from omniforge.sandboxes.service import SandboxService
from omniforge.sandboxes.store import lock_sandbox
from omniforge.sandboxes.trees import Entry, pack_tree
from omniforge.skills.errors import SkillDamaged, SkillNotFound
from omniforge.skills.service import SkillService

GOES_ON = (AttemptOutcome.EVIDENCE_FAILED, AttemptOutcome.REVIEW)
"""After these the next attempt begins with the tree that the last one left."""


@dataclass(frozen=True, slots=True)
class Outfitting:
    """Everything here may be done any number of times."""

    attempts: Attempts
    sandboxes: SandboxService
    repositories: Repositories
    skills: SkillService

    async def outfit(self, tenant_id: str, task_id: str, attempt: int) -> bool:
        """Make the sandbox of an attempt real; one that cannot be had ends it. False: it counts no more."""
        async with self.attempts.db.read() as session:
            standing = await read_standing(session, tenant_id, task_id, attempt)
        if standing is None or not standing.counts:
            return False
        sandbox = standing.sandbox
        has_guest = sandbox.worker == "external" and sandbox.state != "pending"
        if sandbox.state not in ("pending", "creating") or has_guest:
            return True
        try:
            tree = await self.prepare(standing)
            folders = await self._folders(standing)
            await self.sandboxes.provision(sandbox.id, tree, folders=folders)
        except (SkillNotFound, SkillDamaged) as missing:
            await self._give_up(standing, "invalid_input", missing)
        except SandboxFailed as failure:
            await self._give_up(standing, failure.code, failure)
        else:
            return True
        return False

    async def prepare(self, standing: Standing) -> bytes:
        """The tree (tar) an attempt begins with; where that stands is written down."""
        await self.repositories.ensure(standing.project)
        branch = branch_name(standing.ticket)
        base = standing.attempt.base_commit or await self._base(standing, branch)
        async with self.attempts.db.transaction() as session:
            await self._note(session, standing, branch, base)
        return await self.repositories.tree(standing.project.id, base)

    async def _base(self, standing: Standing, branch: str) -> str | None:
        project_id, task_id, before = standing.project.id, standing.task.id, standing.number - 1
        query = select(AttemptRow.outcome).where(AttemptRow.task_id == task_id, AttemptRow.attempt == before)
        async with self.attempts.db.read() as session:
            outcome = await session.scalar(query)
        if outcome in GOES_ON:
            kept = await self.repositories.head(project_id, kept_name(task_id, before))
            if kept is not None:
                return kept
        head = await self.repositories.head(project_id, branch)
        return head or await self.repositories.default_head(project_id)

    async def _note(self, session: AsyncSession, standing: Standing, branch: str, base: str | None) -> None:
        ticket = await session.get_one(TicketRow, standing.ticket.id, with_for_update=True)
        attempt = await session.get_one(AttemptRow, standing.attempt.id)
        sandbox = await lock_sandbox(session, standing.sandbox.id)
        attempt.base_commit = sandbox.base_commit = base
        sandbox.branch = branch
        if ticket.branch_name is None:
            ticket.branch_name, ticket.updated_at = branch, (now := self.attempts.clock.now())
            changes = {"branch_name": [None, branch]}
            told = ticket_event("ticket.updated", ticket, now, HOST, changes=changes)
            await self.attempts.events.append(session, ticket.tenant_id, told)

    async def _folders(self, standing: Standing) -> dict[str, bytes]:
        work = standing.task.work or {}
        if work.get("kind") != WorkKind.SKILL:
            return {}
        name = str(work["name"])
        skill = await self.skills.get(system_actor(standing.task.tenant_id, "dispatch"), name)
        entries = [Entry(path, content) for path, content in sorted(skill.files.items())]
        return {name: await asyncio.to_thread(pack_tree, entries)}

    async def _give_up(self, standing: Standing, code: str, why: OmniForgeError) -> None:
        ending = Ending(AttemptOutcome.FAILED, HOST, error_code=code, message=why.message)
        task = standing.task
        await self.attempts.settle(task.tenant_id, task.id, standing.number, ending)
