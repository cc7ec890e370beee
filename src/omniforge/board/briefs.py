"""What the worker of an attempt is told: its task, what it is measured by, and what lies around it."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.agents.store import AgentRow
from omniforge.board.branches import branch_name
from omniforge.board.repository import Repositories
from omniforge.board.shapes.tickets import Criterion
from omniforge.board.shapes.worker import (
    Brief,
    BriefContext,
    BriefRequirement,
    BriefSpec,
    BriefTicket,
    Constraints,
)
from omniforge.board.standing import Standing, read_standing, task_criteria
from omniforge.board.store.specs import CriterionRow, RequirementRow, SpecRow
from omniforge.board.store.tickets import TicketRequirementRow
from omniforge.board.vocabulary import PhaseId, Priority, TaskType, WorkKind
from omniforge.core.errors import NotFound
from omniforge.db import Database
from omniforge.sandboxes.tokens import WorkerCall

Json = dict[str, Any]
MAX_TURNS, MAX_COST_USD = 50, 10.0
MOST_FILES = 200
AGENT_OF = {
    PhaseId.REQUIREMENTS: "analyzing",
    PhaseId.DESIGN: "analyzing",
    PhaseId.IMPLEMENTATION: "building",
    PhaseId.DEPLOYMENT: "building",
    PhaseId.TESTING: "testing",
}
"""The project's default agent for a task, by the task's phase."""
BUILT_IN = {
    "analyzing": "You plan: find out what is wanted and write it down so that others can build it.",
    "building": "You build: change the files so that what the task asks for works, and prove that it does.",
    "testing": "You test: show by running it whether what was built does what is wanted.",
}
"""What agents are told where a project has none of its own."""


class Briefs:
    def __init__(self, db: Database, repositories: Repositories) -> None:
        self.db, self.repositories = db, repositories

    async def brief(self, call: WorkerCall) -> Brief:
        """As things stand now."""
        async with self.db.read() as session:
            standing = await read_standing(session, call.tenant_id, call.task_id, call.attempt)
            if standing is None:
                raise NotFound("There is no such task.", task_id=call.task_id)
            task = standing.task
            criteria = [Criterion.model_validate(row) for row in await task_criteria(session, task.id)]
            work = task.work or await _agent(session, standing)
            spec = await _spec(session, standing)
        return Brief(
            task_id=task.id,
            attempt=standing.number,
            ticket_id=task.ticket_id,
            ref=task.ref,
            title=task.title,
            description=task.description,
            type=TaskType(task.task_type),
            phase_id=PhaseId(task.phase_id),
            priority=Priority(task.priority),
            work=work,
            criteria=criteria,
            feedback=task.feedback,
            deliverables=task.deliverables,
            context=await self._context(standing, spec),
            constraints=Constraints(
                time_limit_minutes=task.timeout_seconds / 60,
                max_turns=MAX_TURNS,
                max_cost_usd=MAX_COST_USD,
                allowed_tools=[],
                owned_files=task.owned_files,
            ),
        )

    async def model_of(self, call: WorkerCall) -> str | None:
        """The model that the agent of a task asks; None: the tenant's own."""
        async with self.db.read() as session:
            standing = await read_standing(session, call.tenant_id, call.task_id, call.attempt)
            return None if standing is None else (await _agent(session, standing))["model"]

    async def _context(self, standing: Standing, spec: BriefSpec | None) -> BriefContext:
        project, base = standing.project, standing.attempt.base_commit
        files = await self.repositories.files(project.id, base) if base else []
        owned = standing.task.owned_files
        is_github = project.github_connected and project.github_owner and project.github_repo
        return BriefContext(
            project_id=project.id,
            repository=f"{project.github_owner}/{project.github_repo}" if is_github else "local",
            branch_name=branch_name(standing.ticket),
            base_commit=base,
            relevant_files=[path for path in files if any(fnmatch(path, glob) for glob in owned)][
                :MOST_FILES
            ],
            spec=spec,
            ticket=BriefTicket.model_validate(standing.ticket),
        )


async def _agent(session: AsyncSession, standing: Standing) -> Json:
    """Who does a task that says nothing itself: its agent, the project's for that phase, or the built-in."""
    task = standing.task
    role = AGENT_OF[PhaseId(task.phase_id)]
    chosen = standing.sandbox.agent_id or task.agent_id
    defaults: Json = standing.project.settings.get("default_agents") or {}
    chosen = chosen or defaults.get(role)
    agent = await session.get(AgentRow, (task.tenant_id, chosen)) if chosen else None
    work: Json = {"kind": WorkKind.AGENT.value, "instructions": BUILT_IN[role], "model": None}
    if agent is None:
        return work
    said = (agent.name, agent.description, str(agent.content.get("instructions") or ""))
    model = agent.content.get("model")
    own = "\n\n".join(part for part in said if part)
    return work | {"instructions": own, "model": model, "agent_id": agent.id}


async def _spec(session: AsyncSession, standing: Standing) -> BriefSpec | None:
    ticket = standing.ticket
    spec = await session.get(SpecRow, ticket.spec_id) if ticket.spec_id else None
    if spec is None:
        return None
    linked = select(TicketRequirementRow.requirement_id).where(TicketRequirementRow.ticket_id == ticket.id)
    query = select(RequirementRow).where(RequirementRow.id.in_(linked)).order_by(RequirementRow.position)
    requirements = list(await session.scalars(query))
    texts: dict[str, list[str]] = {}
    of_those = (
        CriterionRow.owner_type == "requirement",
        CriterionRow.owner_id.in_([r.id for r in requirements]),
    )
    for row in await session.scalars(select(CriterionRow).where(*of_those).order_by(CriterionRow.position)):
        texts.setdefault(row.owner_id, []).append(row.text)
    shown = [
        BriefRequirement(
            ref=row.ref,
            title=row.title,
            condition=row.condition,
            action=row.action,
            criteria=texts.get(row.id, []),
        )
        for row in requirements
    ]
    return BriefSpec(id=spec.id, title=spec.title, requirements=shown, design=spec.design)
