"""Who is told of which event, by what it happened to: as a question, and as a condition of a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, or_, select

from omniforge.agents import access
from omniforge.agents.audience import AgentAudience, Asking, hears, names_of
from omniforge.agents.store import AgentRow
from omniforge.core.actor import Actor
from omniforge.engine.envelopes import id_of, kind_of
from omniforge.engine.events import EventRow
from omniforge.runs.service import RunRow
from omniforge.runs.shown import TRACE, may_see

RUNS = ("run", "step")
AGENT = "agent"
OWN = ("connection", "conversation")
"""Of these, each person is told their own."""
BOARD = (
    *("project", "column", "spec", "requirement", "criterion", "ticket", "task", "sandbox"),
    *("result", "report", "receipt", "artifact", "gate", "approval"),
    *("repository", "branch", "commit", "pull_request"),
)
NEEDS: Mapping[str, str] = {
    **dict.fromkeys((*RUNS, AGENT, *OWN, "installation"), "agent:view"),
    "breaker": "integration:view",
    "public_skill": "skill:view",
    **dict.fromkeys(BOARD, "board:view"),
}
"""What an event happened to → the permission to be told of it. What is not here is told to admins only."""
MOST_KNOWN = 20_000
"""Runs whose askers are remembered."""


@dataclass(frozen=True, slots=True)
class Circle:
    """What decides who hears of one event, beside the event itself."""

    run: Asking | None = None
    agent: AgentRow | None = None


NOBODY = Circle()


def require_any(actor: Actor) -> None:
    """Forbidden for whoever is told of nothing at all."""
    if not any(actor.may(permission) for permission in NEEDS.values()):
        actor.require("agent:view")


def is_told(actor: Actor, row: EventRow, circle: Circle) -> bool:
    """Whether the event is for the actor, who is of its tenant."""
    kind, _, entity_id = row.entity.partition(":")
    needed = NEEDS.get(kind)
    if kind in OWN:
        return actor.may(NEEDS[kind]) and row.actor in names_of(actor)
    if not (access.sees_all(actor) if needed is None else actor.may(needed)):
        return False
    if kind != "sandbox" and not may_see(actor.role, row.type):
        return False
    if kind in RUNS and not access.sees_all(actor):
        return circle.run is not None and hears(actor, circle.run, circle.agent)
    if kind == AGENT and not access.sees_all(actor):
        return circle.agent is not None and circle.agent.id == entity_id and access.sees(actor, circle.agent)
    return True


class Hearing:
    """Rows of the log with their circles."""

    def __init__(self, audience: AgentAudience) -> None:
        self.audience = audience
        self._askings: dict[str, Asking] = {}

    async def circles(self, tenant_id: str, rows: Sequence[EventRow]) -> list[Circle]:
        """One per row of the tenant, in their order: as their agents are shared now."""
        await self._learn(tenant_id, {row.run_id for row in rows if row.run_id and _kind(row) in RUNS})
        askings = [self._askings.get(row.run_id or "") if _kind(row) in RUNS else None for row in rows]
        wanted = [
            asking.agent_id if asking else row.entity.partition(":")[2] if _kind(row) == AGENT else None
            for asking, row in zip(askings, rows, strict=True)
        ]
        ids = {agent_id for agent_id in wanted if agent_id is not None}
        agents = await self.audience.agents(tenant_id, ids) if ids else {}
        found = zip(askings, wanted, strict=True)
        return [Circle(asking, agents.get(agent_id or "")) for asking, agent_id in found]

    async def _learn(self, tenant_id: str, run_ids: set[str]) -> None:
        unknown = run_ids - self._askings.keys()
        if not unknown:
            return
        if len(self._askings) > MOST_KNOWN:
            self._askings.clear()
            unknown = run_ids
        self._askings |= await self.audience.askings(tenant_id, unknown)

    async def condition(self, actor: Actor) -> ColumnElement[bool]:
        """`is_told` as a condition on the events of the actor's tenant."""
        open_kinds = [kind for kind, needed in NEEDS.items() if actor.may(needed) and kind not in OWN]
        told: list[ColumnElement[bool]] = []
        if access.sees_all(actor):
            told += [kind_of.in_(open_kinds), kind_of.not_in(list(NEEDS))]
        else:
            told.append(kind_of.in_([kind for kind in open_kinds if kind not in (*RUNS, AGENT)]))
            audible = await self.audience.audible_to(actor)
            if actor.may(NEEDS[AGENT]) and audible is not None:
                told += _of_agents(actor, audible)
        if actor.may(NEEDS[OWN[0]]):
            told.append(and_(kind_of.in_(OWN), EventRow.actor.in_(names_of(actor))))
        hidden = [type_ for type_ in sorted(TRACE) if not may_see(actor.role, type_)]
        plain = or_(EventRow.type.not_in(hidden), kind_of == "sandbox")
        return and_(or_(*told), plain) if hidden else or_(*told)


def _of_agents(actor: Actor, audible: ColumnElement[bool]) -> list[ColumnElement[bool]]:
    runs = select(RunRow.id).where(RunRow.tenant_id == actor.tenant_id, audible)
    seen = select(AgentRow.id).where(AgentRow.tenant_id == actor.tenant_id, access.visible_to(actor))
    return [
        and_(kind_of.in_(RUNS), EventRow.run_id.in_(runs)),
        and_(kind_of == AGENT, id_of.in_(seen)),
    ]


def _kind(row: EventRow) -> str:
    return row.entity.partition(":")[0]
