"""What rooms below show of agents, connections and places, as the conversation has it; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from omniforge.agents.schemas import Agent
from omniforge.builder import exchange
from omniforge.builder.design import Design
from omniforge.builder.generation import AgentDraft
from omniforge.builder.outline import Condition, Happening, Keep, Outline, Part, Place
from omniforge.builder.state import Resource
from omniforge.builder.understanding.fields import Field
from omniforge.builder.understanding.schedule import Schedule
from omniforge.integrations.schemas import Connection, ConnectionStatus
from omniforge.integrations.schemas import Resource as SeenResource

WORKS = frozenset({ConnectionStatus.HEALTHY, ConnectionStatus.EXPIRING})


def plain_effect(words: str) -> str:
    """An effect's words with values named as people know them."""
    named = re.sub(r"steps\[[^]]*\]\.output\.(\w+)", lambda m: m[1].replace("_", " "), words)
    named = re.sub(r"marks\.(\w+) of '[^']*' is more than 0", lambda m: m[1].replace("_", " "), named)
    named = re.sub(r"\bitems of '[^']*' is more than 0", "something was found", named)
    named = re.sub(r"\bnot \(([^()]*)\)", r"it is not so that \1", named)
    return named.replace("; only if", " only if").removesuffix(", once").replace(", once only if", " only if")


def names_of(value: object) -> tuple[str, ...]:
    """Names of places that a report says it has read."""
    if not isinstance(value, (list, tuple)):
        return ()
    return tuple(str(one) for one in cast("list[object]", value) if isinstance(one, str))


def place_of_effect(effect: dict[str, Any]) -> str:
    destination: dict[str, Any] = effect.get("destination") or {}
    return str(destination.get("name", ""))


def fields_of(draft: AgentDraft, connections: Mapping[str, str]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": draft.name,
        "description": draft.description,
        "trigger_type": draft.trigger_type,
        "schedule": draft.schedule,
        "timezone": draft.timezone,
        "integrations": list(draft.integrations),
        "skills": [dict(skill) for skill in draft.skills],
    }
    event = getattr(draft, "event_config", None)
    fields["event_config"] = dict(event) if event else None
    fields["connections"] = {
        name: chosen for name, chosen in connections.items() if name in draft.integrations
    }
    return fields


def shape_of(place: Resource) -> dict[str, Any]:
    fields = [
        {"name": field.name, "type": field.type, "options": list(field.options)}
        for field in place.fields or ()
    ]
    rules = [{**rule.model_dump(mode="json"), "values": list(rule.values)} for rule in place.only]
    return {"id": place.id, "name": place.name, "fields": fields, **({"only": rules} if rules else {})}


def design_of(agent: Agent) -> Design:
    """Of an agent that was not made in a conversation: its skills as they are."""
    parts: list[Part] = []
    for skill in sorted(agent.skills, key=lambda one: one.order):
        before = [part.key for part in parts][-1:]
        needs = tuple(before if skill.needs is None else skill.needs)
        does = Keep(skill=skill.name, source=skill.source.value, version=skill.version, config=skill.config)
        condition = Condition(words=skill.when, expression=skill.when) if skill.when else None
        parts.append(Part(key=skill.key, does=does, needs=needs, condition=condition))
    event = {"scheduled": "scheduled", "event_driven": "event_driven"}.get(
        agent.trigger_type.value, "on_demand"
    )
    plan = Schedule.model_validate({"cron": agent.schedule or "", "timezone": agent.timezone, "event": event})
    starts = None
    if agent.event_config is not None:
        told = agent.event_config
        place = Place(id=told.resource, name=told.resource) if told.resource else None
        starts = Happening(
            service=told.integration, event=told.event, place=place, interval_minutes=told.interval_minutes
        )
    design = Design(outline=Outline(parts=tuple(parts), starts=starts), destination="inbox")
    return design.having("said", schedule=plan, name=agent.name)


def connection_of(item: Connection) -> exchange.Connection:
    works = item.status in WORKS
    return exchange.Connection(item.id, item.integration_id, item.workspace_name, works, item.created_at)


def resource_of(item: SeenResource) -> Resource:
    fields = None
    if item.fields is not None:
        fields = tuple(
            Field(
                name=str(field["name"]),
                type=str(field.get("type", "text")),
                options=tuple(str(option) for option in field.get("options") or ()),
            )
            for field in item.fields
        )
    return Resource(id=item.id, name=item.name, items=item.items, kind=item.kind, fields=fields)
