"""Does what the conversation about agents that exist asks for, and tells what was observed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from omniforge.agents.content import AgentContent, AgentStatus, ExecutionStatus, TestMode
from omniforge.agents.places import chosen, shaped
from omniforge.agents.planner import INBOX
from omniforge.agents.schemas import Agent, Execution
from omniforge.agents.service import AgentService
from omniforge.builder.exchange import Effect, UpkeepOutcome, UpkeepRequest
from omniforge.builder.upkeep import exchange as told
from omniforge.builder.upkeep.looking import choice_of, look_at
from omniforge.builder.upkeep.rows import compared_rows
from omniforge.core.actor import Actor
from omniforge.core.errors import NotFound, OmniForgeError
from omniforge.core.paging import Paging
from omniforge.integrations.schemas import ConnectionStatus
from omniforge.integrations.service import IntegrationService

RUN_SECONDS = 60
"""How long a reply waits for a run; after that it is told as still running."""
TEST_SECONDS = 120
WORKS = frozenset({ConnectionStatus.HEALTHY, ConnectionStatus.EXPIRING})
_OVER = frozenset(
    {
        ExecutionStatus.COMPLETED,
        ExecutionStatus.PARTIAL,
        ExecutionStatus.NO_EFFECT,
        ExecutionStatus.FAILED,
        ExecutionStatus.CANCELLED,
        ExecutionStatus.WAITING,
    }
)
Binding = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Upkeeper:
    """The hands of the conversation about agents that exist."""

    agents: AgentService
    integrations: IntegrationService

    async def do(
        self, actor: Actor, session_id: str, request: UpkeepRequest, binding: Binding
    ) -> UpkeepOutcome:
        """The observed outcome; what our own errors say becomes `NotDone`."""
        try:
            return await self._do(actor, session_id, request, binding)
        except OmniForgeError as error:
            names = await self.agents.tenants.names(actor.tenant_id)
            who = names.get(str(error.details.get("ask", "")), "")
            return told.NotDone(error.code, error.message, who, error.details)

    async def _do(  # noqa: C901, PLR0912 - one line for each request
        self, actor: Actor, session_id: str, request: UpkeepRequest, binding: Binding
    ) -> UpkeepOutcome:
        match request:
            case told.LookAt(agent_id):
                return await look_at(self.agents, self.integrations, actor, agent_id)
            case told.StartRun(agent_id):
                return await self._start(actor, agent_id)
            case told.WatchRun():
                return await self._watch(actor, request)
            case told.ListVersions(agent_id):
                return await self._versions(actor, agent_id)
            case told.CompareWith(agent_id, version):
                return await self._compare(actor, agent_id, version)
            case told.GoBack():
                return await self._go_back(actor, request)
            case told.ShareIt():
                return await self._share(actor, request)
            case told.TakeBack(agent_id):
                stopped = await self.agents.sharing.unshare(actor, agent_id)
                return told.TakenBack((await self.agents.get(actor, agent_id)).name, len(stopped))
            case told.Distribute(agent_id):
                return await self._distribute(actor, agent_id)
            case told.TellOthers(agent_id):
                return told.OthersTold(tuple(await self.agents.sharing.tell_others(actor, agent_id)))
            case told.PauseIt(agent_id):
                agent = await self.agents.pause(actor, agent_id)
                return told.Done("paused", agent.id, agent.name, await self._running(actor, agent_id))
            case told.DeleteIt(agent_id):
                name = (await self.agents.get(actor, agent_id)).name
                await self.agents.archive(actor, agent_id)
                return told.Done("deleted", agent_id, name)
            case told.RenameIt(agent_id, name):
                agent = await self.agents.update(actor, agent_id, {"name": name})
                return told.Done("renamed", agent.id, agent.name)
            case told.SwitchOn(agent_id, test_id):
                return await self._switch_on(actor, agent_id, test_id)
            case told.LookForDeleted():
                found, _ = await self.agents.list_agents(
                    actor, Paging(limit=200), status=AgentStatus.ARCHIVED.value, own_only=True
                )
                return told.DeletedFound(tuple((one.id, one.name, one.version) for one in found))
            case told.OpenSignIn(integration):
                return await self._sign_in(actor, session_id, integration, binding)
            case told.LookForConnection(integration):
                return await self._connection(actor, integration)
            case told.ListPlaces(integrations, what):
                return await self._places(actor, integrations, what)
            case told.Choose():
                return await self._choose(actor, request)
            case told.TryIt(agent_id, mode):
                return await self._try(actor, agent_id, mode)
            case _:
                raise NotFound("There is no such thing to do.")

    # --- runs

    async def _start(self, actor: Actor, agent_id: str) -> UpkeepOutcome:
        agent = await self.agents.get(actor, agent_id)
        execution_id = await self.agents.start_run(actor, agent_id)
        execution = await self.agents.executions.get(actor, execution_id)
        return told.RunGoing(execution_id, agent.name, _steps(execution))

    async def _watch(self, actor: Actor, request: told.WatchRun) -> UpkeepOutcome:
        execution = await self.agents.executions.get(actor, request.execution_id)
        began = datetime.fromisoformat(execution.created_at)
        left = RUN_SECONDS - (self.agents.clock.now() - began).total_seconds()
        try:
            async with asyncio.timeout(max(left, 0.1)):
                async for _ in self.agents.runs.follow(actor, request.execution_id):
                    execution = await self.agents.executions.get(actor, request.execution_id)
                    if execution.status in _OVER:
                        break
                    if not request.to_end and _steps(execution) != request.seen:
                        return told.RunGoing(request.execution_id, request.name, _steps(execution))
        except TimeoutError:
            pass  # it is told as it stands
        return _over(request.name, await self.agents.executions.get(actor, request.execution_id))

    async def _running(self, actor: Actor, agent_id: str) -> int:
        found, _ = await self.agents.executions.list_executions(actor, Paging(limit=20), agent_id=agent_id)
        return sum(one.status not in _OVER for one in found)

    # --- versions

    async def _versions(self, actor: Actor, agent_id: str) -> UpkeepOutcome:
        agent = await self.agents.get(actor, agent_id)
        found = await self.agents.versions.list(actor, agent_id, Paging(limit=20))
        return told.VersionsListed(
            agent.name,
            tuple(
                told.VersionSeen(one.version, one.created_at, one.author_name, one.summary, one.is_current)
                for one in found.versions
            ),
        )

    async def _compare(self, actor: Actor, agent_id: str, version: int | None) -> UpkeepOutcome:
        """Without a version: the one before, or, while an edit waits, the one that runs."""
        agent = await self.agents.get(actor, agent_id)
        edited = agent.pending_version is not None
        if version is None:
            version = agent.version if edited else agent.version - 1
        if version < 1 or agent.status is AgentStatus.DRAFT:
            return told.Compared(agent.name, agent.version, None, status=agent.status.value)
        if version == agent.version and not edited:
            return told.NotDone("nothing_to_undo")
        then = await self.agents.versions.get(actor, agent_id, version)
        # From what is now (the edit that waits, if there is one) to what was then.
        back = await self.agents.versions.diff(actor, agent_id, version, None if edited else agent.version)
        now = AgentContent.model_validate(agent.model_dump(include=set(AgentContent.model_fields)))
        was = AgentContent.model_validate(then.snapshot["content"])
        rows = compared_rows(back, now, was)
        return told.Compared(agent.name, agent.version, version, then.summary, agent.status.value, rows)

    async def _go_back(self, actor: Actor, request: told.GoBack) -> UpkeepOutcome:
        await self.agents.versions.rollback(
            actor, request.agent_id, request.version, expected_version=request.expected
        )
        agent = await self.agents.get(actor, request.agent_id)
        return told.WentBack(
            agent.name,
            agent.version,
            request.version,
            agent.status.value,
            agent.next_fire_at,
            agent.timezone,
        )

    # --- sharing

    async def _share(self, actor: Actor, request: told.ShareIt) -> UpkeepOutcome:
        mode = "template" if request.mode == "template" else "team"
        copies = await self.agents.sharing.share(actor, request.agent_id, mode, request.people)
        agent = await self.agents.get(actor, request.agent_id)
        people = {person.id: person.name for person in await self.agents.sharing.people(actor)}
        if mode == "team":
            wanted = list(people) if "tenant" in request.people else request.people
            return told.SharedIt(agent.name, mode, tuple(people.get(one, one) for one in wanted))
        made = tuple(
            (people.get(copy.user_id, copy.user_id), copy.agent_id, tuple(e["what"] for e in copy.to_choose))
            for copy in copies
        )
        return told.SharedIt(agent.name, mode, tuple(person for person, _, _ in made), made)

    async def _distribute(self, actor: Actor, agent_id: str) -> UpkeepOutcome:
        found = await self.agents.sharing.distribution(actor, agent_id)
        agent = await self.agents.get(actor, agent_id)
        holders = tuple((one.name, one.how, one.version, one.status) for one in found.holders)
        return told.Distributed(agent.name, found.current, holders)

    # --- switching on, and finishing

    async def _switch_on(self, actor: Actor, agent_id: str, test_id: str) -> UpkeepOutcome:
        if test_id:
            report = await self.agents.await_test(actor, test_id, TEST_SECONDS)
            agent = await self.agents.activate(
                actor, agent_id, test_id=test_id, manifest_hash=report.manifest_hash
            )
        else:
            agent = await self.agents.activate(actor, agent_id)
        return told.SwitchedOn(agent.id, agent.name, agent.version, agent.next_fire_at, agent.timezone)

    async def _sign_in(
        self, actor: Actor, session_id: str, integration: str, binding: Binding
    ) -> UpkeepOutcome:
        views = {view.id: view for view in await self.integrations.list_integrations(actor)}
        sign_in = await self.integrations.start_sign_in(
            actor, integration, session_id=session_id, browser=binding(integration)
        )
        view = views[integration]
        return told.SignInOpened(integration, view.title, sign_in.auth_url, tuple(view.asks))

    async def _connection(self, actor: Actor, integration: str) -> UpkeepOutcome:
        title = self.agents.launch.title(integration)
        found, _ = await self.integrations.list_connections(actor, integration)
        working = [one for one in found if one.status in WORKS]
        if not working:
            return told.ConnectionSeen(integration, title, None)
        newest = max(working, key=lambda one: one.updated_at)
        proven = await self.integrations.check(actor, newest.id)
        return told.ConnectionSeen(
            integration, title, proven.workspace_name if proven.status in WORKS else None
        )

    async def _places(self, actor: Actor, integrations: Sequence[str], what: str) -> UpkeepOutcome:
        views = {view.id: view for view in await self.integrations.list_integrations(actor)}
        places: list[tuple[str, str, int | None]] = []
        for name in integrations:
            kinds = [kind for kind in views[name].resource_kinds if what.startswith(kind[:4])]
            connections, _ = await self.integrations.list_connections(actor, name)
            working = [one for one in connections if one.status in WORKS]
            if kinds and working:
                newest = max(working, key=lambda one: one.updated_at)
                found = await self.integrations.list_resources(actor, newest.id, kinds[0])
                places += [(one.id, one.name, one.items) for one in found]
        return told.PlacesListed(tuple(places))

    async def _choose(self, actor: Actor, request: told.Choose) -> UpkeepOutcome:
        agent = await self.agents.get(actor, request.agent_id)
        content = AgentContent.model_validate(agent.model_dump(include=set(AgentContent.model_fields)))
        choice = request.choice
        value = shaped(choice.shape, request.places, request.text)
        entry = {"skill": choice.skill, "path": list(choice.path)}
        filled = chosen(content, entry, value).model_dump(mode="json")
        agent = await self.agents.update(
            actor, agent.id, {"skills": filled["skills"], "event_config": filled["event_config"]}
        )
        return told.Chosen(choices_left(agent))

    async def _try(self, actor: Actor, agent_id: str, mode: str) -> UpkeepOutcome:
        test_id = await self.agents.start_test(actor, agent_id, TestMode(mode))
        report = await self.agents.await_test(actor, test_id, TEST_SECONDS)
        effects = tuple(
            Effect(str(one.get("summary", "")), str(one.get("access", "")))
            for one in report.effects
            if one.get("tool") != INBOX
        )
        problem = report.problems[0] if report.problems else {}
        return told.Tried(
            test_id=report.test_id,
            verdict=report.verdict.value,
            report=report.text,
            sample_data=report.sample_data,
            effects=effects,
            words=tuple(str(entry["words"]) for entry in report.manifest),
            problem=problem.get("message"),
        )


def choices_left(agent: Agent) -> tuple[told.Choice, ...]:
    return tuple(choice_of(one) for one in agent.problems if one["code"] == "choose_again")


def _steps(execution: Execution) -> tuple[tuple[str, str], ...]:
    return tuple((str(step["name"]), str(step["status"])) for step in execution.skill_results)


def _over(name: str, done: Execution) -> told.RunOver:
    result, error = done.result or {}, done.error or {}
    status = done.status.value if done.status in _OVER else "running"
    waits = (done.waiting_for or [{}])[0]
    problem = error.get("message") or waits.get("message") or waits.get("question")
    return told.RunOver(
        done.id,
        name,
        status,
        str(result.get("text") or ""),
        _steps(done),
        None if problem is None else str(problem),
        None if error.get("next_step") is None else str(error["next_step"]),
    )
