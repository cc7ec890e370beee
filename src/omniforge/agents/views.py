"""Rows of agents as people see them, and what their JSON columns hold (pure)."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from omniforge.agents.content import AgentContent, AgentDraft, AgentStatus, SharingLevel
from omniforge.agents.places import still_to_choose
from omniforge.agents.schemas import Agent, UsageStats
from omniforge.agents.store import AgentRow, VersionRow
from omniforge.core.errors import Conflict

Json = dict[str, Any]


def content_of(row: AgentRow) -> AgentContent:
    """What the agent is to become: its pending edit, or else what it is."""
    return AgentContent.model_validate(row.pending or row.content)


def draft_of(row: AgentRow) -> Json:
    """The agent as something one could have given to make it, pending edit included."""
    named = {"name": row.name, "description": row.description, "connections": dict(row.connections)}
    return {**content_of(row).model_dump(mode="json"), **named}


def set_content(row: AgentRow, content: AgentContent) -> None:
    """Make this what the agent is; the columns queries look at follow."""
    row.content = content.model_dump(mode="json")
    row.trigger_type = content.trigger_type.value
    row.schedule = content.schedule
    row.timezone = content.timezone
    row.misfire_policy = content.misfire_policy.value


def set_names(row: AgentRow, draft: AgentDraft) -> None:
    row.name, row.description = draft.name, draft.description
    row.connections = dict(draft.connections)


def next_version(row: AgentRow) -> int:
    """The version that the agent's next activation stores."""
    return row.version if row.activated_by is None else row.version + 1


def agent_view(row: AgentRow, version: VersionRow | None, problems: list[Json] | None = None) -> Agent:
    content = AgentContent.model_validate(row.content)
    return Agent(
        id=row.id,
        name=row.name,
        description=row.description,
        status=AgentStatus(row.status),
        trigger_type=content.trigger_type,
        schedule=content.schedule,
        timezone=content.timezone,
        misfire_policy=content.misfire_policy,
        event_config=content.event_config,
        misfire_grace_seconds=content.misfire_grace_seconds,
        skills=content.skills,
        integrations=content.integrations,
        settings=content.settings,
        connections=dict(row.connections),
        sharing_level=SharingLevel(row.sharing_level),
        shared_with=list(row.shared_with),
        origin=row.origin,
        usage_stats=UsageStats(
            total_runs=row.total_runs, successful_runs=row.successful_runs, last_run=row.last_run
        ),
        last_run=row.last_run,
        version=row.version,
        pending_version=None if row.pending is None else next_version(row),
        next_fire_at=row.next_fire_at,
        manifest=[] if version is None else version.manifest,
        manifest_hash=None if version is None else version.manifest_hash,
        problems=problems or [],
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def choices_left(row: AgentRow) -> list[Json]:
    """What the owner of a copy has to choose anew before it is of use, as problems of it."""
    return [
        {"code": "choose_again", "message": f"Choose your own {entry['what']}.", **entry}
        for entry in still_to_choose(content_of(row), row.to_choose)
    ]


def change_summary(row: AgentRow, content: AgentContent) -> str:
    """One line for the history, when its author gave none: which fields differ from what runs now."""
    if row.activated_by is None:
        return "First version"
    now = content.model_dump(mode="json")
    changed = [name for name in now if now[name] != row.content.get(name)]
    return f"Changed: {', '.join(changed)}" if changed else "Changed: skill files"


def free_id(name: str, taken: Collection[str]) -> str:
    """An id made of the name, numbered when it is taken."""
    stem = id_stem(name)
    number, candidate = 2, stem
    while candidate in taken:
        number, candidate = number + 1, f"{stem}-{number}"
    return candidate


def id_stem(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:56].strip("-") or "agent"


def id_taken(agent_id: str) -> Conflict:
    return Conflict(f"There is an agent {agent_id} already.", code="id_taken", agent_id=agent_id)
