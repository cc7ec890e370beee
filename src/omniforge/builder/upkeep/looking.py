"""An agent as it stands, gathered for the conversation."""

from __future__ import annotations

from typing import Any

from omniforge.agents import access
from omniforge.agents.content import AgentContent
from omniforge.agents.places import without_places
from omniforge.agents.schemas import Agent, Execution
from omniforge.agents.service import AgentService
from omniforge.builder.upkeep.exchange import Looked
from omniforge.builder.upkeep.matter import Choice, Person
from omniforge.builder.upkeep.rows import when_words
from omniforge.core.actor import Actor
from omniforge.core.errors import OmniForgeError
from omniforge.core.paging import Paging
from omniforge.integrations.service import IntegrationService
from omniforge.skills.document import load

LATEST = 5
"""Runs that are told."""
_ENDED = {
    "completed": "completed",
    "partial": "completed in part",
    "no_effect": "nothing to do",
    "failed": "did not work",
    "cancelled": "was stopped",
    "waiting": "waits for somebody",
}


async def look_at(
    agents: AgentService, integrations: IntegrationService, actor: Actor, agent_id: str
) -> Looked:
    agent = await agents.get(actor, agent_id)
    content = AgentContent.model_validate(agent.model_dump(include=set(AgentContent.model_fields)))
    names = await agents.tenants.names(actor.tenant_id)
    people = {person.id: person for person in await agents.sharing.people(actor)}
    runs, _ = await agents.executions.list_executions(
        actor, Paging(limit=LATEST), agent_id=agent_id, mode="live"
    )
    row = await agents.allowed(actor, agent_id, "agent:view")
    shared = list(people) if access.EVERYBODY in agent.shared_with else agent.shared_with
    _, left = without_places(content)
    return Looked(
        agent_id=agent.id,
        name=agent.name,
        description=agent.description,
        status=agent.status.value,
        version=agent.version,
        owner="you" if agent.created_by == actor.user_id else names.get(agent.created_by, agent.created_by),
        may_edit=access.may(actor, row, "agent:edit"),
        may_share=access.may(actor, row, "agent:share"),
        when=when_words(content),
        next_run=agent.next_fire_at,
        timezone=agent.timezone,
        paused_reason=row.paused_reason,
        waiting_edit=agent.pending_version is not None,
        steps=await _steps(agents, actor, agent, content),
        places=tuple(dict.fromkeys(title for place in left for title in place.titles)),
        connections=await _connections(agents, integrations, actor, agent),
        effects=tuple(str(entry.get("words", entry.get("summary", ""))) for entry in agent.manifest),
        runs=tuple(_line(one) for one in runs),
        total=agent.usage_stats.total_runs,
        succeeded=agent.usage_stats.successful_runs,
        shared_with=tuple(names.get(one, one) for one in shared if one != actor.user_id),
        people=tuple(Person(id=one.id, name=one.name, email=one.email or "") for one in people.values()),
        missing=tuple(one["integration"] for one in agent.problems if one["code"] == "connection_missing"),
        integrations=tuple(agent.integrations),
        titles={name: agents.launch.title(name) for name in agent.integrations},
        choices=tuple(choice_of(one) for one in agent.problems if one["code"] == "choose_again"),
    )


def choice_of(problem: dict[str, Any]) -> Choice:
    return Choice(
        skill=problem["skill"],
        path=tuple(problem["path"]),
        what=problem["what"],
        shape=str(problem.get("shape", "id")),
    )


async def _steps(
    agents: AgentService, actor: Actor, agent: Agent, content: AgentContent
) -> tuple[tuple[str, str], ...]:
    """(key, what it does) of each skill, as its own description says."""
    found: list[tuple[str, str]] = []
    for use in sorted(content.skills, key=lambda use: use.order):
        try:
            one = AgentContent(skills=[use])
            pinned = await agents.launch.pin(actor, agent.id, one)
            files = await agents.skills.snapshot(actor.tenant_id, pinned.skill_hashes[use.key])
            words = load(files["SKILL.md"], folder=use.name).description
        except OmniForgeError:
            words = "is missing or damaged"
        condition = f" (only if {use.when})" if use.when else ""
        found.append((use.key, f"{words.rstrip('.')}{condition}"))
    return tuple(found)


async def _connections(
    agents: AgentService, integrations: IntegrationService, actor: Actor, agent: Agent
) -> tuple[str, ...]:
    """The connections it uses: by workspace where they are the actor's own."""
    mine, _ = await integrations.list_connections(actor)
    workspaces = {one.id: one.workspace_name for one in mine}
    found: list[str] = []
    for name in agent.integrations:
        workspace = workspaces.get(agent.connections.get(name, ""))
        own = [one for one in mine if one.integration_id == name]
        if workspace is None and name not in agent.connections and own:
            workspace = max(own, key=lambda one: one.updated_at).workspace_name
        title = agents.launch.title(name)
        found.append(f"{title} ({workspace})" if workspace else title)
    return tuple(found)


def _line(one: Execution) -> str:
    at = (one.completed_at or one.created_at)[:16].replace("T", " at ")
    status = _ENDED.get(one.status.value, "is under way")
    why = f": {one.error['message']}" if one.error else ""
    return f"{at} UTC: {status}{why}"
