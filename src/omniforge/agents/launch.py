"""From an agent's row to a started run: pinned skills, bound connections, plan, facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from omniforge.agents.content import AgentContent, SkillReference, Snapshot
from omniforge.agents.executions import SUBJECT
from omniforge.agents.people import name_of
from omniforge.agents.planner import plan_for_agent
from omniforge.agents.public_skills import PublicSkills
from omniforge.agents.rooms import Connections, Skills
from omniforge.agents.starts import Starts
from omniforge.agents.store import AgentRow
from omniforge.core.actor import Actor
from omniforge.core.errors import Invalid, NotFound
from omniforge.engine.plan import Plan
from omniforge.engine.slots import WAITED_FOR
from omniforge.integrations.schemas import Connection, ConnectionStatus
from omniforge.runs.service import Mode, RunService, StartRequest
from omniforge.tenants.service import TenantService

Json = dict[str, Any]

BY_HAND = frozenset({"on_demand", "test"})
"""Trigger types of what somebody asks for."""
AT_HAND = WAITED_FOR + 10
"""Priority of what a person waits for; a little more than the tries of a test, which are waited for too."""
USABLE = frozenset({ConnectionStatus.HEALTHY, ConnectionStatus.EXPIRING})


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why a run is started, with what, and what else its steps are told."""

    mode: Mode = Mode.LIVE
    input_data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    trigger_type: str = "on_demand"
    triggered_by: str | None = None
    logical_time: datetime | None = None
    idempotency_key: str | None = None
    resources: Sequence[Mapping[str, Any]] = ()
    """Resources known from a connection (`{id, name, fields}`), which sample data take the shape of."""
    use_model: bool = False
    """Whether a dry run may ask a language model."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an agent's snapshot runs as."""

    plan: Plan
    timezone: str
    floats: bool = False
    """Whether its skills may be newer ones at the next run."""

    @classmethod
    def of(cls, snapshot: Snapshot, manifest: Sequence[Mapping[str, Any]] = ()) -> Recipe:
        plan = plan_for_agent(snapshot, manifest)
        return cls(plan, snapshot.content.timezone, bool(snapshot.floating))

    def request(  # noqa: PLR0917 - whose, which, why and with what
        self,
        actor: Actor,
        agent_id: str,
        occasion: Occasion,
        version: int,
        connections: Mapping[str, str],
        name: str,
    ) -> StartRequest:
        """What the door is asked for. name: of the actor, as people call them."""
        facts = {
            "agent_id": agent_id,
            "agent_version": version,
            "timezone": self.timezone,
            "connections": dict(connections),
            "resources": [dict(resource) for resource in occasion.resources],
            "user": {"id": actor.user_id, "name": name},
        }
        if occasion.use_model:
            facts["use_model"] = True
        return StartRequest(
            plan=self.plan,
            subject=f"{SUBJECT}{agent_id}",
            input=occasion.input_data,
            mode=occasion.mode,
            trigger_type=occasion.trigger_type,
            triggered_by=occasion.triggered_by,
            logical_time=occasion.logical_time,
            facts=facts,
            idempotency_key=occasion.idempotency_key,
            priority=_priority(actor, occasion),
        )


def _priority(actor: Actor, occasion: Occasion) -> int:
    """What a person starts is waited for; what starts by itself, or by a program, has time."""
    by_hand = occasion.trigger_type in BY_HAND and actor.by.startswith("user:")
    return AT_HAND if by_hand else 0


@dataclass(frozen=True, slots=True)
class Launch:
    """Starts runs of agents. Whether the agent may run at all has been decided before."""

    runs: RunService
    skills: Skills
    integrations: Connections
    tenants: TenantService
    starts: Starts = field(default_factory=Starts)
    public: PublicSkills = field(default_factory=PublicSkills)

    async def pin(self, actor: Actor, agent_id: str, content: AgentContent) -> Snapshot:
        """The content with every skill resolved to its files, once; Invalid when one is gone."""
        hashes: dict[str, str] = {}
        versions: dict[str, str] = {}
        for reference in content.skills:
            try:
                pinned = await self.public.pin(actor, agent_id, reference)
                if pinned is not None:
                    hashes[reference.key], versions[reference.key] = pinned.hash, pinned.version
                else:
                    hashes[reference.key] = await self._pin_own(actor, agent_id, reference)
            except NotFound as error:
                raise Invalid(error.message, code=error.code, skill=reference.name) from error
        return Snapshot(content=content, skill_hashes=hashes, skill_versions=versions)

    async def _pin_own(self, actor: Actor, agent_id: str, reference: SkillReference) -> str:
        return await self.skills.pin(actor, reference.name, agent_id, reference.source.value)

    async def connections_for(
        self, actor: Actor, row: AgentRow, content: AgentContent
    ) -> tuple[dict[str, str], list[str]]:
        """Integration → connection that can be used now, and the integrations that have none.

        The agent's own choice counts; without one, the person's connection, the newest of several.
        """
        chosen: dict[str, str] = {}
        missing: list[str] = []
        for integration in content.integrations:
            offered, _ = await self.integrations.list_connections(actor, integration)
            usable = [connection for connection in offered if connection.status in USABLE]
            wanted = row.connections.get(integration)
            found = [c for c in usable if wanted in (None, c.id)]
            if found:
                chosen[integration] = max(found, key=_newest).id
            else:
                missing.append(integration)
        return chosen, missing

    async def start(
        self,
        actor: Actor,
        row: AgentRow,
        snapshot: Snapshot,
        occasion: Occasion,
        *,
        version: int,
        connections: Mapping[str, str],
        manifest: Sequence[Mapping[str, Any]] = (),
    ) -> str:
        """Start it through the one door; returns the run id once the run is durable."""
        name = await name_of(self.tenants, actor)
        recipe = Recipe.of(snapshot, manifest)
        request = recipe.request(actor, row.id, occasion, version, connections, name)
        return await self.runs.start_run(actor, request)

    async def problems(self, actor: Actor, row: AgentRow, content: AgentContent) -> list[Json]:
        """What is missing before this can run: `{code, message}`."""
        found: list[Json] = []
        for reference in content.skills:
            try:
                if await self.public.pin(actor, row.id, reference) is None:
                    await self._pin_own(actor, row.id, reference)
            except NotFound as error:
                found.append({"code": error.code, "message": error.message, "skill": reference.name})
        _, missing = await self.connections_for(actor, row, content)
        for integration in missing:
            message = f"This agent needs your {self.title(integration)}."
            found.append({"code": "connection_missing", "message": message, "integration": integration})
        return found

    def title(self, integration: str) -> str:
        known = self.integrations.catalog.get(integration)
        return str(getattr(known, "title", integration))


def _newest(connection: Connection) -> datetime:
    return connection.updated_at
