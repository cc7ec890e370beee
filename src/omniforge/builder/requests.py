"""Does what the conversation asks for, and tells it what was observed: never more, never less."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from omniforge.agents.content import AgentContent, AgentStatus, Suite, TestMode, Verdict
from omniforge.agents.planner import INBOX
from omniforge.agents.schemas import TestReport
from omniforge.agents.service import AgentService
from omniforge.builder import exchange, store
from omniforge.builder.assistant import Assistant
from omniforge.builder.design import Design
from omniforge.builder.exchange import Outcome, Request
from omniforge.builder.generation import AgentDraft
from omniforge.builder.outline import Follow
from omniforge.builder.seen import (
    WORKS,
    connection_of,
    design_of,
    fields_of,
    names_of,
    place_of_effect,
    plain_effect,
    resource_of,
    shape_of,
)
from omniforge.builder.state import Resource
from omniforge.builder.upkeep.doing import Upkeeper
from omniforge.core.actor import Actor
from omniforge.core.errors import Invalid, OmniForgeError
from omniforge.core.paging import Paging
from omniforge.integrations.schemas import ConnectionStatus
from omniforge.integrations.service import IntegrationService
from omniforge.skills.document import SKILL_FILE

RUN_SECONDS = 30
TEST_SECONDS = 120
FULL_SECONDS = 240
FAULTS_OF_A_SCRIPT = frozenset(
    {"script_failed", "bad_output", "handler_failed", "limit_reached", "step_timeout"}
)
"""Codes that mean the skill itself is at fault, not what it needs."""
"""How long a reply waits for a run that was asked for; after that it is told as started."""


Binding = Callable[[str], str | None]
"""Binds a sign-in at an integration to the browser that asks: the value it was given, None without one."""


def unbound(integration: str) -> None:
    """For callers that are no browser."""


class LibrarySearch(Protocol):
    """Public skills for a step, the best first; nothing below what is worth suggesting."""

    async def search_skills(
        self, actor: Actor, words: str, integrations: tuple[str, ...]
    ) -> tuple[exchange.SkillSeen, ...]: ...


@dataclass(frozen=True, slots=True)
class Doer:
    """The hands of the conversation. Without a `library` nothing is suggested; without an `assistant` no
    language model is asked."""

    agents: AgentService
    integrations: IntegrationService
    library: LibrarySearch | None = None
    assistant: Assistant | None = None

    async def do(
        self, actor: Actor, session_id: str, request: Request, binding: Binding = unbound
    ) -> Outcome:
        """The observed outcome; what our own errors say becomes `Failed`."""
        try:
            return await self._do(actor, session_id, request, binding)
        except OmniForgeError as error:
            return exchange.Failed(error.code, error.message, error.details)

    async def _do(  # noqa: C901 - one line for each request
        self, actor: Actor, session_id: str, request: Request, binding: Binding
    ) -> Outcome:
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
            case exchange.UpkeepRequest():
                return await Upkeeper(self.agents, self.integrations).do(actor, session_id, request, binding)
            case exchange.SearchLibrary(words, integrations):
                return await self._search(actor, words, integrations)
            case exchange.LoadAgent(agent_id):
                return await self._load(actor, agent_id)
            case exchange.CreateAgent():
                return await self._create(actor, request)
            case exchange.RewriteAgent():
                return await self._rewrite(actor, request)
            case exchange.RunTest():
                return await self._test(actor, request)
            case exchange.Activate(agent_id, test_id):
                return await self._activate(actor, agent_id, test_id)
            case exchange.RunAgent(agent_id, example):
                return await self._run(actor, agent_id, example)

    # --- agents

    async def known_agents(self, actor: Actor) -> tuple[exchange.AgentSeen, ...]:
        found, _ = await self.agents.list_agents(actor, Paging(limit=200), own_only=True)
        return tuple(
            exchange.AgentSeen(
                id=agent.id,
                name=agent.name,
                description=agent.description,
                status=agent.status.value,
                next_run=agent.next_fire_at,
                timezone=agent.timezone,
                last_run=None if agent.last_run is None else f"{agent.last_run:%A %d %B at %H:%M} UTC",
                integrations=tuple(agent.integrations),
                skills=tuple(skill.name for skill in agent.skills),
                changed=agent.updated_at,
                own=agent.created_by == actor.user_id,
            )
            for agent in found
            if agent.status is not AgentStatus.ARCHIVED
        )

    async def _search(self, actor: Actor, words: str, integrations: tuple[str, ...]) -> Outcome:
        if self.library is None:
            return exchange.LibraryFound()
        return exchange.LibraryFound(await self.library.search_skills(actor, words, integrations))

    async def _load(self, actor: Actor, agent_id: str) -> Outcome:
        agent = await self.agents.get(actor, agent_id)
        content = AgentContent.model_validate(agent.model_dump(include=set(AgentContent.model_fields)))
        snapshot = await self.agents.launch.pin(actor, agent_id, content)
        async with self.agents.db.read() as session:
            kept = await store.get_design(session, actor.tenant_id, agent_id, snapshot.hash)
        design = Design.model_validate(kept) if kept is not None else design_of(agent)
        return exchange.AgentLoaded(
            agent.id,
            agent.name,
            agent.status.value,
            agent.version,
            design,
            dict(agent.connections),
            **await self._others(actor, agent.id),
        )

    async def _create(self, actor: Actor, request: exchange.CreateAgent) -> Outcome:
        draft = request.draft
        files = await self._written(actor, draft, request.design, ())
        agent = await self.agents.create(actor, fields_of(draft, request.connections), files)
        try:
            await self._prove(actor, agent.id, request)
        except OmniForgeError:
            await self.agents.archive(actor, agent.id)  # what does not run is not left lying around
            raise
        return exchange.AgentSaved(agent.id, agent.name, tuple(draft.skill_files))

    async def _rewrite(self, actor: Actor, request: exchange.RewriteAgent) -> Outcome:
        draft = request.draft
        async with self.agents.db.read() as session:
            kept = await store.designs_of(session, actor.tenant_id, request.agent_id)
        known = tuple(Design.model_validate(one) for one in kept)
        for name, files in (await self._written(actor, draft, request.design, known)).items():
            await self.agents.write_skill(actor, request.agent_id, name, files)
        agent = await self.agents.update(
            actor,
            request.agent_id,
            fields_of(draft, request.connections),
            summary="; ".join(request.changes)[:300],
        )
        await self._prove(actor, request.agent_id, request)
        others = await self._others(actor, agent.id)
        return exchange.AgentSaved(agent.id, agent.name, tuple(draft.skill_files), **others)

    async def _others(self, actor: Actor, agent_id: str) -> dict[str, int]:
        found = await self.agents.sharing.others(actor, agent_id)
        copies = sum(one.how == "copy" for one in found)
        return {"others": len(found) - copies, "copies": copies}

    async def _written(
        self, actor: Actor, draft: AgentDraft, design: Design, known: Sequence[Design]
    ) -> dict[str, dict[str, bytes]]:
        """The files of the skills. What only instructs is written by a model where there is one, once for
        each wish: a step that is as it was keeps its files."""
        if self.assistant is None or not self.assistant.is_there(actor.tenant_id):
            return draft.skill_files
        names = {str(skill.get("key") or skill["name"]): str(skill["name"]) for skill in draft.skills}
        written = dict(draft.skill_files)
        for part in design.parts:
            name = names.get(part.key, part.key)
            if not isinstance(part.does, Follow) or name not in written:
                continue
            if any(part in one.parts for one in known):
                del written[name]
                continue
            page = await self.assistant.write_body(
                actor.tenant_id, written[name][SKILL_FILE], part.does.instructions or part.words
            )
            written[name] = {**written[name], SKILL_FILE: page}
        return written

    async def _prove(
        self, actor: Actor, agent_id: str, request: exchange.CreateAgent | exchange.RewriteAgent
    ) -> None:
        """What was written has been run: once on sample data, before anybody is offered a test. Then its
        design is kept beside exactly this content."""
        dry = exchange.RunTest(agent_id, TestMode.DRY.value, places=request.places, example=request.example)
        report = await self._report(actor, dry)
        if report.verdict is Verdict.FAILED:
            problem = report.problems[0] if report.problems else {}
            code = str(problem.get("code"))
            said = str(problem.get("message", "it stopped unexpectedly"))
            code = "skill_invalid" if code in FAULTS_OF_A_SCRIPT else code
            raise Invalid(f"The skill did not pass its first run on sample data: {said}", code=code)
        async with self.agents.db.transaction() as session:
            design = request.design.model_dump(mode="json")
            await store.put_design(session, actor.tenant_id, agent_id, report.version_hash, design)

    async def _test(self, actor: Actor, request: exchange.RunTest) -> Outcome:
        report = await self._report(actor, request)
        output: object = report.output
        found = cast("dict[str, Any]", output) if isinstance(output, dict) else {}
        problem = report.problems[0] if report.problems else {}
        effects = tuple(
            exchange.Effect(
                plain_effect(str(effect.get("words") or effect.get("summary", ""))),
                str(effect.get("access", "")),
                place_of_effect(effect),
            )
            for effect in report.manifest or report.effects  # the manifest has those of every branch
            if effect.get("tool") != INBOX  # a delivery to the person's own inbox is no change outside
        )
        return exchange.TestFinished(
            test_id=report.test_id,
            mode=report.mode.value,
            verdict=report.verdict.value,
            report=report.text,
            effects=effects,
            read=names_of(found.get("databases") or found.get("read")),
            items=found.get("items") if isinstance(found.get("items"), int) else None,
            sample_data=report.sample_data,
            problem=problem.get("message"),
            code=problem.get("code"),
            faults=tuple(report.fault_words),
            full=report.suite is Suite.FULL,
            steps=tuple((str(step["name"]), str(step["status"])) for step in report.skill_results),
            may_activate=report.may_activate,
        )

    async def _report(self, actor: Actor, request: exchange.RunTest) -> TestReport:
        mode = TestMode(request.mode)
        places = [] if mode is TestMode.LIVE else [shape_of(place) for place in request.places]
        test_id = request.under_way or await self.agents.start_test(
            actor,
            request.agent_id,
            mode,
            request.example,
            suite=Suite.FULL if request.full else Suite.QUICK,
            resources=places,
            confirm_effects=mode is TestMode.LIVE,
        )
        return await self.agents.await_test(actor, test_id, FULL_SECONDS if request.full else TEST_SECONDS)

    async def _activate(self, actor: Actor, agent_id: str, test_id: str) -> Outcome:
        report = await self.agents.await_test(actor, test_id, TEST_SECONDS)
        agent = await self.agents.activate(
            actor,
            agent_id,
            test_id=test_id,
            manifest_hash=report.manifest_hash,
            accept_no_effect=report.verdict is Verdict.NO_EFFECT,  # they were asked, and said yes
            tell_team=False,  # whether to tell them is asked next
        )
        minutes = agent.event_config.interval_minutes if agent.event_config else None
        return exchange.Activated(
            agent.id, agent.name, agent.version, agent.next_fire_at, agent.timezone, minutes
        )

    async def _run(self, actor: Actor, agent_id: str, example: dict[str, Any] | None) -> Outcome:
        agent = await self.agents.get(actor, agent_id)
        execution_id = await self.agents.start_run(actor, agent_id, example)
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
            exchange.Integration(
                view.id,
                view.title,
                view.configured,
                tuple(view.asks),
                tuple(view.words),
                view.sign_in,
                tuple(view.resource_kinds),
                tuple(view.events),
                tuple(tool.name for tool in view.tools),
            )
            for view in views
        )

    async def known_connections(self, actor: Actor) -> tuple[exchange.Connection, ...]:
        found, _ = await self.integrations.list_connections(actor)
        return tuple(connection_of(item) for item in found if item.status is not ConnectionStatus.REVOKED)

    async def _check(self, actor: Actor, integration: str, connection_id: str | None) -> Outcome:
        found, _ = await self.integrations.list_connections(actor, integration)
        wanted = [item for item in found if connection_id in (None, item.id) and item.status in WORKS]
        if not wanted:
            return exchange.ConnectionChecked(integration, None)
        newest = max(wanted, key=lambda item: item.updated_at)
        checked = await self.integrations.check(actor, newest.id)
        return exchange.ConnectionChecked(
            integration, connection_of(checked) if checked.status in WORKS else None
        )

    async def _list(self, actor: Actor, integration: str, connection_id: str | None, sample: bool) -> Outcome:
        if connection_id is None or sample:
            found = await self.integrations.samples.list_resources(integration)
        else:
            found = await self.integrations.list_resources(actor, connection_id)
        return exchange.ResourcesListed(integration, tuple(resource_of(item) for item in found))

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
            described.append(resource_of(found))
        return exchange.ResourcesDescribed(integration, tuple(described))
