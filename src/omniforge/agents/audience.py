"""Who may know of the runs of an agent: whoever sees the agent, and whoever asked for the run."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, literal, or_, select
from sqlalchemy.orm import load_only

from omniforge.agents import access
from omniforge.agents.store import AgentRow
from omniforge.core.actor import Actor
from omniforge.db import Database
from omniforge.db.functions import json_text
from omniforge.runs.service import RunRow

SUBJECT = "agent:"
"""How the subject of an agent's runs begins."""
PROBES = "test:"
"""How that of the runs beside a test begins; the test's id follows."""
_OF_A_TEST = f"{PROBES}test_"


@dataclass(frozen=True, slots=True)
class Asking:
    """What of a run decides who may know of it; none of it ever changes."""

    subject: str
    triggered_by: str
    asked_by: str

    @classmethod
    def of(cls, run: RunRow) -> Asking:
        return cls(run.subject, run.triggered_by, asked_by(run))

    @property
    def agent_id(self) -> str | None:
        """The agent whose run it is."""
        return self.subject.removeprefix(SUBJECT) if self.subject.startswith(SUBJECT) else None


def hears(actor: Actor, run: Asking, agent: AgentRow | None) -> bool:
    """Whether the actor may know of the run; `agent`: the one whose run it is, if there is one."""
    if access.sees_all(actor) or run.triggered_by in names_of(actor) or run.asked_by == actor.user_id:
        return True
    if run.agent_id is None:
        return not run.subject.startswith(_OF_A_TEST)
    return agent is not None and access.sees(actor, agent)


class AgentAudience:
    def __init__(self, db: Database) -> None:
        self.db = db

    async def hears_of(self, actor: Actor, run: RunRow) -> bool:
        asking = Asking.of(run)
        if access.sees_all(actor) or asking.agent_id is None:
            return hears(actor, asking, None)
        found = await self.agents(run.tenant_id, [asking.agent_id])
        return hears(actor, asking, found.get(asking.agent_id))

    async def agents(self, tenant_id: str, ids: Collection[str]) -> dict[str, AgentRow]:
        """By their ids; of each, only what says who may see it."""
        shared = load_only(AgentRow.created_by, AgentRow.sharing_level, AgentRow.shared_with)
        query = select(AgentRow).where(AgentRow.tenant_id == tenant_id, AgentRow.id.in_(ids))
        async with self.db.read() as session:
            return {row.id: row for row in await session.scalars(query.options(shared))}

    async def askings(self, tenant_id: str, run_ids: Collection[str]) -> dict[str, Asking]:
        """Of the tenant's runs, by their ids."""
        told = load_only(RunRow.subject, RunRow.triggered_by, RunRow.facts)
        query = select(RunRow).where(RunRow.tenant_id == tenant_id, RunRow.id.in_(run_ids))
        async with self.db.read() as session:
            return {row.id: Asking.of(row) for row in await session.scalars(query.options(told))}

    async def audible_to(self, actor: Actor) -> ColumnElement[bool] | None:
        if access.sees_all(actor):
            return None
        seen = select(literal(SUBJECT).concat(AgentRow.id)).where(
            AgentRow.tenant_id == actor.tenant_id, access.visible_to(actor)
        )
        return or_(
            ~or_(*(RunRow.subject.startswith(kind, autoescape=True) for kind in (SUBJECT, _OF_A_TEST))),
            RunRow.triggered_by.in_(names_of(actor)),
            RunRow.subject.in_(seen),
            json_text(RunRow.facts, "user", "id") == actor.user_id,
        )

    async def closed_to(self, actor: Actor, runs: Sequence[RunRow]) -> set[str]:
        """Ids of those runs whose results are not for the actor: of other people's private agents."""
        if actor.by.startswith("system:"):
            return set()
        ids = {run.subject.removeprefix(SUBJECT) for run in runs}
        async with self.db.read() as session:
            rows = await session.scalars(
                select(AgentRow).where(AgentRow.tenant_id == actor.tenant_id, AgentRow.id.in_(ids))
            )
            agents = {row.id: row for row in rows}
        return {
            run.id
            for run in runs
            if not access.reads_results(actor, agents.get(run.subject.removeprefix(SUBJECT)), asked_by(run))
        }


def asked_by(run: RunRow) -> str:
    """The id of the person a run was started by or for."""
    facts: dict[str, Any] = json.loads(run.facts)
    return asker_of(facts)


def asker_of(facts: Mapping[str, Any]) -> str:
    user: Mapping[str, Any] = facts.get("user") or {}
    return str(user.get("id", ""))


def names_of(actor: Actor) -> tuple[str, ...]:
    """How the log calls the actor: by the credential they came with, and as a person."""
    return actor.by, f"user:{actor.user_id}"
