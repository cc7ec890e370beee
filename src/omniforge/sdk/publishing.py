"""An agent of a program brought into an installation: made or changed, tested, switched on."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from omniforge.client import AgentInfo, OmniForgeClient, TestResult
from omniforge.core.errors import Conflict, NotFound

Json = dict[str, Any]
Files = Mapping[str, Mapping[str, bytes]]


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where an agent is now. `problems`: `{code, message}` of what is missing before it can run."""

    agent_id: str
    version: int
    status: str
    url: str
    problems: list[Json] = field(default_factory=list[Json])


async def publish(client: OmniForgeClient, fields: Mapping[str, Any], files: Files) -> AgentInfo:
    """The agent of this id, or without one of this name, as it is described here; made if need be.

    Its own skills go with it. The same content again is no change.
    """
    known = await _known(client, fields)
    agent_id = known.id if known is not None else (await client.agents.create(fields)).id
    for name, folder in files.items():
        await client.skills.save(name, folder, agent_id=agent_id)
    if known is not None:
        await client.agents.replace(agent_id, fields)
    return await client.agents.get(agent_id)


async def _known(client: OmniForgeClient, fields: Mapping[str, Any]) -> AgentInfo | None:
    if fields.get("id"):
        try:
            return await client.agents.get(str(fields["id"]))
        except NotFound:
            return None
    named = [one for one in await client.agents.list(search=fields["name"]) if one.name == fields["name"]]
    if len(named) > 1:
        ids = ", ".join(one.id for one in named)
        message = f"{len(named)} agents are called {fields['name']!r}; give Agent the id of one: {ids}."
        raise Conflict(message, code="several_agents")
    return named[0] if named else None


async def switch_on(client: OmniForgeClient, agent: AgentInfo) -> AgentInfo:
    """Test it with sample data, say on stderr what it may do outside, and activate exactly that."""
    if agent.status == "active" and agent.pending_version is None:
        return agent
    test = None
    if agent.status == "draft" or agent.pending_version is not None:
        test = await client.agents.test(agent.id)
        if not test.may_activate:
            raise NotPassed(agent.name, test)
        tell(agent.name, test)
    return await client.agents.activate(agent.id, test=test)


def tell(name: str, test: TestResult) -> None:
    """What it will do outside, on stderr."""
    words = "; ".join(str(entry["words"]) for entry in test.manifest) or "changes nothing outside"
    sys.stderr.write(f"{name}, each time it runs: {words}\n")


class NotPassed(Conflict):
    """The test before the run did not pass; `details["problems"]` and `details["error"]` say why."""

    code = "not_tested"

    def __init__(self, name: str, test: TestResult) -> None:
        failed = [skill["error"] for skill in test.skill_results if skill.get("error")]
        told = [str(item["message"]) for item in (*failed, *test.problems)]
        why = f": {told[0]}" if told else "."
        super().__init__(
            f"{name} did not pass its test with sample data ({test.verdict}){why}",
            verdict=test.verdict,
            problems=test.problems,
            error=failed[0] if failed else None,
        )
