"""Who may know of the runs of an agent: whoever sees the agent, and whoever asked for the run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, literal, or_, select

from omniforge.agents import access
from omniforge.agents.store import AgentRow
from omniforge.core.actor import Actor
from omniforge.db import Database
from omniforge.runs.service import RunRow

SUBJECT = "agent:"
"""How the subject of an agent's runs begins."""
PROBES = "test:"
"""How that of the runs beside a test begins; the test's id follows."""
_OF_A_TEST = f"{PROBES}test_"


class AgentAudience:
    def __init__(self, db: Database) -> None:
        self.db = db

    async def hears_of(self, actor: Actor, run: RunRow) -> bool:
        if access.sees_all(actor):
            return True
        if run.triggered_by in _names(actor) or asked_by(run) == actor.user_id:
            return True
        if not run.subject.startswith(SUBJECT):
            return not run.subject.startswith(_OF_A_TEST)
        async with self.db.read() as session:
            place = (run.tenant_id, run.subject.removeprefix(SUBJECT))
            agent = await session.get(AgentRow, place)
        return agent is not None and access.sees(actor, agent)

    async def audible_to(self, actor: Actor) -> ColumnElement[bool] | None:
        if access.sees_all(actor):
            return None
        seen = select(literal(SUBJECT).concat(AgentRow.id)).where(
            AgentRow.tenant_id == actor.tenant_id, access.visible_to(actor)
        )
        return or_(
            ~or_(*(RunRow.subject.startswith(kind, autoescape=True) for kind in (SUBJECT, _OF_A_TEST))),
            RunRow.triggered_by.in_(_names(actor)),
            RunRow.subject.in_(seen),
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


def _names(actor: Actor) -> tuple[str, ...]:
    return actor.by, f"user:{actor.user_id}"
