"""Examples of what agents are started with, so that they can be tried before anything happens."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from omniforge.agents.content import AgentContent, EventConfig
from omniforge.agents.events import Match, event_of, match
from omniforge.agents.hooks import integration_of
from omniforge.agents.listening import Sources
from omniforge.agents.rooms import Connections, Skills
from omniforge.core.actor import Actor
from omniforge.core.errors import Invalid, OmniForgeError
from omniforge.integrations.manifest import Integration, Occurrence
from omniforge.integrations.samples import sample_client

Json = dict[str, Any]

RECENT = timedelta(days=30)
EVER = timedelta(days=1000)
OWN = "examples/input.json"
"""A skill's example of what it reads from the input of a run: an object."""
LONGEST = 100_000


class Examples:
    """The latest happening that would have started an agent: at the service, or in its sample data."""

    def __init__(self, sources: Connections) -> None:
        self.sources = cast("Sources", sources)

    async def sample(
        self, content: AgentContent, now: datetime, resources: Sequence[Mapping[str, Any]]
    ) -> Json:
        """Input for a test on sample data; empty for an agent that no events start."""
        config, integration = self._asked(content)
        if config is None or integration is None:
            return {}
        kind = integration.event(config.event)
        if kind is None or kind.poll is None:
            raise _no_example(config, "has no sample")
        found: list[Occurrence] = []
        async with sample_client(integration, now, resources=resources) as client:
            offered = await _offered(client, integration, kind.resource_kind)
            for resource in (config.resource, *offered, None):
                try:
                    found = await kind.poll(client, resource, now - EVER)
                except OmniForgeError:
                    continue  # the samples know nothing under this id, or only what lies somewhere
                if found:
                    break
        return _input_of(config, found, "has no sample")

    async def latest(
        self, actor: Actor, content: AgentContent, connections: Mapping[str, str], now: datetime
    ) -> Json:
        """Input for a test on what is really there; empty for an agent that no events start."""
        config, integration = self._asked(content)
        if config is None or integration is None:
            return {}
        kind = integration.event(config.event)
        if kind is None or kind.poll is None:
            raise _no_example(config, "cannot be looked up")
        connection = connections.get(integration.id, integration.id)
        place = (actor.tenant_id, actor.user_id, connection)
        found = await self.sources.poll(*place, config.event, config.resource, now - RECENT)
        return _input_of(config, found, f"did not happen in the last {RECENT.days} days")

    def _asked(self, content: AgentContent) -> tuple[EventConfig | None, Integration | None]:
        config = content.event_config
        return config, None if config is None else integration_of(self.sources, config.integration)


async def input_of_skills(skills: Skills, tenant_id: str, hashes: Iterable[str]) -> Json:
    """What the examples of these skills make together; of one name that of the first skill."""
    given: Json = {}
    for content_hash in hashes:
        data = (await skills.snapshot(tenant_id, content_hash)).get(OWN, b"")
        try:
            own: Any = json.loads(data) if 0 < len(data) <= LONGEST else {}
        except ValueError:
            continue  # its own mistake, and no reason not to test the agent
        given = {**own, **given} if isinstance(own, dict) else given
    return given


async def _offered(client: Any, integration: Integration, kind_name: str | None) -> list[str]:
    """Ids of the places that the samples have of this kind."""
    kinds = [kind for kind in integration.manifest.resources if kind.kind == kind_name]
    if not kinds:
        return []
    listed = await integration.tool(kinds[0].list_tool).call(client, {})
    return [str(one["id"]) for one in listed.get(kinds[0].list_key, [])]


def _input_of(config: EventConfig, found: Sequence[Occurrence], why_none: str) -> Json:
    """Rather one that the agent's filter lets through."""
    if not found:
        raise _no_example(config, why_none)
    ordered = sorted(found, key=lambda one: (one.at, one.id, one.version))
    anywhere = config.model_copy(update={"resource": None})
    fitting = [one for one in ordered if match(anywhere, one, None) is Match.YES]
    event = event_of((fitting or ordered)[-1])
    return {"event": {**event, "resource": config.resource or event["resource"]}}


def _no_example(config: EventConfig, why: str) -> Invalid:
    return Invalid(
        f"{config.event} of {config.integration} {why}: give an example as input_data.event, "
        "with id, type, at, resource and item.",
        code="no_example",
        integration=config.integration,
        event=config.event,
    )
