"""Does what the conversation asks for, and tells it what was observed: never more, never less."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from omniforge.agents.content import AgentStatus, TestMode, Verdict
from omniforge.agents.planner import INBOX
from omniforge.agents.schemas import TestReport
from omniforge.agents.service import AgentService
from omniforge.builder import exchange
from omniforge.builder.exchange import Outcome, Request
from omniforge.builder.generator import AgentDraft
from omniforge.builder.state import Resource
from omniforge.builder.understanding.fields import Field
from omniforge.core.actor import Actor
from omniforge.core.errors import Invalid, OmniForgeError
from omniforge.core.paging import Paging
from omniforge.integrations.schemas import Connection, ConnectionStatus
from omniforge.integrations.schemas import Resource as SeenResource
from omniforge.integrations.service import IntegrationService

RUN_SECONDS = 60
TEST_SECONDS = 120
FAULTS_OF_A_SCRIPT = frozenset(
    {"script_failed", "bad_output", "handler_failed", "limit_reached", "step_timeout"}
)
"""Codes that mean the skill itself is at fault, not what it needs."""
"""How long a reply waits for a run that was asked for; after that it is told as started."""
WORKS = frozenset({ConnectionStatus.HEALTHY, ConnectionStatus.EXPIRING})


Binding = Callable[[str], str | None]
"""Binds a sign-in at an integration to the browser that asks: the value it was given, None without one."""


def unbound(integration: str) -> None:
    """For callers that are no browser."""


@dataclass(frozen=True, slots=True)
class Doer:
    """The hands of the conversation."""

    agents: AgentService
    integrations: IntegrationService

    async def do(
        self, actor: Actor, session_id: str, request: Request, binding: Binding = unbound
    ) -> Outcome:
        """The observed outcome; what our own errors say becomes `Failed`."""
        try:
            return await self._do(actor, session_id, request, binding)
        except OmniForgeError as error:
            return exchange.Failed(error.code, error.message, error.details)

    async def _do(self, actor: Actor, session_id: str, request: Request, binding: Binding) -> Outcome:
        match request:
            case exchange.StartSignIn(integration):
                sign_in = await self.integrations.start_sign_in(
                    actor, integration, session_id=session_id, browser=binding(integration)
                )
                return exchange.SignInStarted(integration, sign_in.auth_url)
            case exchange.CheckConnection(integration, connection_id):
                return await self._check(actor, integration, connection_id)
            case exchange.ListResources(integration, connection_id, sample):
                return await self._list(actor, integration, connection_id, sample)
            case exchange.DescribeResources(integration, connection_id, ids, sample):
                return await self._describe(actor, integration, connection_id, ids, sample)
            case exchange.CreateAgent(draft, connection_id):
                return await self._create(actor, draft, connection_id)
            case exchange.RewriteAgent(agent_id, draft, _):
                return await self._rewrite(actor, agent_id, draft)
            case exchange.RunTest(agent_id, mode):
                return await self._test(actor, agent_id, mode)
            case exchange.Activate(agent_id, test_id):
                return await self._activate(actor, agent_id, test_id)
            case exchange.RunAgent(agent_id):
                return await self._run(actor, agent_id)

    # --- agents

    async def known_agents(self, actor: Actor) -> tuple[exchange.AgentSeen, ...]:
        found, _ = await self.agents.list_agents(actor, Paging(limit=200))
        return tuple(
            exchange.AgentSeen(
                id=agent.id,
                name=agent.name,
                description=agent.description,
                status=agent.status.value,
                next_run=agent.next_fire_at,
                timezone=agent.timezone,
                last_run=None if agent.last_run is None else f"{agent.last_run:%A %d %B at %H:%M} UTC",
            )
            for agent in found
            if agent.status is not AgentStatus.ARCHIVED
        )

    async def _create(self, actor: Actor, draft: AgentDraft, connection_id: str | None) -> Outcome:
        agent = await self.agents.create(actor, _fields(draft, connection_id), draft.skill_files)
        try:
            await self._prove(actor, agent.id)
        except OmniForgeError:
            await self.agents.archive(actor, agent.id)  # what does not run is not left lying around
            raise
        return exchange.AgentSaved(agent.id, agent.name, tuple(draft.skill_files))

    async def _rewrite(self, actor: Actor, agent_id: str, draft: AgentDraft) -> Outcome:
        for name, files in draft.skill_files.items():
            await self.agents.write_skill(actor, agent_id, name, files)
        agent = await self.agents.update(actor, agent_id, _fields(draft, None))
        await self._prove(actor, agent_id)
        return exchange.AgentSaved(agent.id, agent.name, tuple(draft.skill_files))

    async def _prove(self, actor: Actor, agent_id: str) -> None:
        """What was written has been run: once on sample data, before anybody is offered a test."""
        report = await self._report(actor, agent_id, TestMode.DRY)
        if report.verdict is Verdict.FAILED:
            problem = report.problems[0] if report.problems else {}
            code = str(problem.get("code"))
            said = str(problem.get("message", "it stopped unexpectedly"))
            code = "skill_invalid" if code in FAULTS_OF_A_SCRIPT else code
            raise Invalid(f"The skill did not pass its first run on sample data: {said}", code=code)

    async def _test(self, actor: Actor, agent_id: str, mode: str) -> Outcome:
        report = await self._report(actor, agent_id, TestMode(mode))
        found: dict[str, Any] = report.output or {}
        problem = report.problems[0] if report.problems else {}
        effects = tuple(
            exchange.Effect(
                str(effect.get("summary", "")),
                str(effect.get("access", "")),
                _place(effect),
            )
            for effect in report.effects
            if effect.get("tool") != INBOX  # a delivery to the person's own inbox is no change outside
        )
        return exchange.TestFinished(
            test_id=report.test_id,
            mode=report.mode.value,
            verdict=report.verdict.value,
            report=report.text,
            effects=effects,
            read=tuple(str(name) for name in found.get("databases", ())),
            items=found.get("items"),
            sample_data=report.sample_data,
            problem=problem.get("message"),
            code=problem.get("code"),
        )

    async def _report(self, actor: Actor, agent_id: str, mode: TestMode) -> TestReport:
        test_id = await self.agents.start_test(actor, agent_id, mode)
        return await self.agents.await_test(actor, test_id, TEST_SECONDS)

    async def _activate(self, actor: Actor, agent_id: str, test_id: str) -> Outcome:
        report = await self.agents.await_test(actor, test_id, TEST_SECONDS)
        agent = await self.agents.activate(
            actor, agent_id, test_id=test_id, manifest_hash=report.manifest_hash
        )
        return exchange.Activated(agent.id, agent.name, agent.version, agent.next_fire_at, agent.timezone)

    async def _run(self, actor: Actor, agent_id: str) -> Outcome:
        agent = await self.agents.get(actor, agent_id)
        execution_id = await self.agents.start_run(actor, agent_id)
        try:
            async with asyncio.timeout(RUN_SECONDS):
                await self.agents.runs.wait_for(actor, execution_id)
        except TimeoutError:
            return exchange.RunStarted(execution_id, agent.name)
        done = await self.agents.executions.get(actor, execution_id)
        steps = tuple((str(step["name"]), str(step["status"])) for step in done.skill_results)
        return exchange.RunFinished(
            execution_id,
            agent.name,
            done.status.value,
            str((done.result or {}).get("text") or ""),
            steps,
            str(done.error["message"]) if done.error else None,
        )

    # --- connections

    async def known_integrations(self, actor: Actor) -> tuple[exchange.Integration, ...]:
        views = await self.integrations.list_integrations(actor)
        return tuple(
            exchange.Integration(view.id, view.title, view.configured, tuple(view.asks), tuple(view.words))
            for view in views
        )

    async def known_connections(self, actor: Actor) -> tuple[exchange.Connection, ...]:
        found, _ = await self.integrations.list_connections(actor)
        return tuple(_connection(item) for item in found if item.status is not ConnectionStatus.REVOKED)

    async def _check(self, actor: Actor, integration: str, connection_id: str | None) -> Outcome:
        found, _ = await self.integrations.list_connections(actor, integration)
        wanted = [item for item in found if connection_id in (None, item.id) and item.status in WORKS]
        if not wanted:
            return exchange.ConnectionChecked(integration, None)
        newest = max(wanted, key=lambda item: item.updated_at)
        checked = await self.integrations.check(actor, newest.id)
        return exchange.ConnectionChecked(
            integration, _connection(checked) if checked.status in WORKS else None
        )

    async def _list(self, actor: Actor, integration: str, connection_id: str | None, sample: bool) -> Outcome:
        if connection_id is None or sample:
            found = await self.integrations.samples.list_resources(integration)
        else:
            found = await self.integrations.list_resources(actor, connection_id)
        return exchange.ResourcesListed(tuple(_resource(item) for item in found))

    async def _describe(
        self,
        actor: Actor,
        integration: str,
        connection_id: str | None,
        ids: tuple[str, ...],
        sample: bool,
    ) -> Outcome:
        described: list[Resource] = []
        for resource_id in ids:
            if connection_id is None or sample:
                found = await self.integrations.samples.describe_resource(integration, resource_id)
            else:
                found = await self.integrations.describe_resource(actor, connection_id, resource_id)
            described.append(_resource(found))
        return exchange.ResourcesDescribed(tuple(described))


def _place(effect: dict[str, Any]) -> str:
    destination: dict[str, Any] = effect.get("destination") or {}
    return str(destination.get("name", ""))


def _fields(draft: AgentDraft, connection_id: str | None) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": draft.name,
        "description": draft.description,
        "trigger_type": draft.trigger_type,
        "schedule": draft.schedule,
        "timezone": draft.timezone,
        "integrations": list(draft.integrations),
        "skills": [dict(skill) for skill in draft.skills],
    }
    if connection_id is not None:
        fields["connections"] = dict.fromkeys(draft.integrations, connection_id)
    return fields


def _connection(item: Connection) -> exchange.Connection:
    return exchange.Connection(item.id, item.integration_id, item.workspace_name, item.status in WORKS)


def _resource(item: SeenResource) -> Resource:
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
