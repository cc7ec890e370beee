"""What one can do with agents: make, change, test, activate, pause, run and find them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Unpack

from omniforge.agents import access, finding, rules, schedule, store, views
from omniforge.agents.activation import Activation, Approval, check_version
from omniforge.agents.audience import AgentAudience
from omniforge.agents.cases import Cases
from omniforge.agents.content import AgentDraft, AgentStatus, SharingLevel, Suite, TestMode
from omniforge.agents.deliveries import Deliveries
from omniforge.agents.executions import SUBJECT, Executions
from omniforge.agents.fires import Fires
from omniforge.agents.history import FireHistory
from omniforge.agents.inbox import Inbox
from omniforge.agents.launch import Launch, Occasion, Recipe
from omniforge.agents.listening import Ears
from omniforge.agents.outcomes import Outcomes
from omniforge.agents.people import name_of
from omniforge.agents.planner import plan_for_agent
from omniforge.agents.public_skills import current
from omniforge.agents.rooms import Connections, Skills, StoredSkill
from omniforge.agents.schemas import Agent, ScheduleView, TestReport
from omniforge.agents.sharing import Sharing
from omniforge.agents.store import AgentRow
from omniforge.agents.trials import Trials, Wish
from omniforge.agents.versions import Versions
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock
from omniforge.core.config import Settings
from omniforge.core.errors import Conflict, Invalid
from omniforge.core.paging import Paging
from omniforge.db import Database
from omniforge.engine.events import Event
from omniforge.engine.plan import Plan
from omniforge.engine.state import UNFINISHED
from omniforge.runs.service import RunService
from omniforge.tenants.roles import require_for
from omniforge.tenants.service import TenantService

Json = dict[str, Any]


class NotActive(Conflict):
    """Only active agents run."""

    code = "not_active"


class AgentService:
    """Agents of one installation. Every method is limited to the actor's tenant."""

    def __init__(  # noqa: PLR0917 - one collaborator per room
        self,
        db: Database,
        runs: RunService,
        skills: Skills,
        integrations: Connections,
        clock: Clock,
        settings: Settings,
        *,
        tenants: TenantService,
    ) -> None:
        self.db, self.runs, self.skills, self.integrations = db, runs, skills, integrations
        self.clock, self.settings, self.tenants = clock, settings, tenants
        runs.audience = audience = AgentAudience(db)
        self.executions = Executions(runs, audience)
        self.inbox = Inbox(db, clock)
        self.launch = Launch(runs, skills, integrations, tenants)
        self.trials = Trials(db, self.launch, self.executions, clock)
        self.ears = Ears(db, integrations, settings, clock)
        self.activation = Activation(db, self.launch, runs.engine.events, self.inbox, clock, self.ears)
        self.versions = Versions(db, self.launch, self.activation, clock, self.allowed)
        self.sharing = Sharing(db, tenants, runs, self.activation, clock, self.allowed)
        outcomes = Outcomes(db, self.executions, self.trials, self.inbox, clock)
        self.on_run_finished = outcomes.on_run_finished
        self.on_run_waiting = outcomes.on_run_waiting
        self.fires = Fires(db, tenants, self.activation, runs.engine.events, clock, self.start_run)
        self.deliveries = Deliveries(self.fires, self.inbox, integrations, tenants.secrets, settings)
        self.fire_history = FireHistory(db, clock)
        self.cases = Cases(db, clock, self._row, self._editable)

    # --- make and change -----------------------------------------------------------------------------------

    def validate(self, given: Mapping[str, Any]) -> list[Json]:
        """Every mistake of an agent as it would be given to `create`: `{field, value, rule}`."""
        return rules.examine(given, self.integrations.catalog)[1]

    async def create(
        self,
        actor: Actor,
        given: Mapping[str, Any] | AgentDraft,
        skill_files: Mapping[str, Mapping[str, bytes]] | None = None,
    ) -> Agent:
        """A draft. `given` holds the fields of AgentDraft, `skill_files` the files of its own skills.

        Its zone is the installation's unless one is given.
        """
        require_for(actor, "agent:create", own=True)
        draft = self._checked(given)
        agent_id = await self._unused_id(actor, draft)
        for name, files in (skill_files or {}).items():
            await self.skills.write(actor, name=name, files=files, agent_id=agent_id)
        now = self.clock.now()
        row = AgentRow(
            id=agent_id,
            tenant_id=actor.tenant_id,
            status=AgentStatus.DRAFT.value,
            pending=None,
            sharing_level=SharingLevel.PRIVATE.value,
            shared_with=[],
            origin=None,
            to_choose=[],
            version=1,
            next_fire_at=None,
            total_runs=0,
            successful_runs=0,
            last_run=None,
            created_by=actor.user_id,
            activated_by=None,
            created_at=now,
            updated_at=now,
        )
        views.set_names(row, draft)
        views.set_content(row, draft.content())
        async with self.db.transaction() as session:
            if agent_id in await store.taken_ids(session, actor.tenant_id, agent_id):
                raise views.id_taken(agent_id)
            session.add(row)
            event = Event("agent.created", f"agent:{row.id}", now, actor.by, {"name": row.name})
            await self.runs.engine.events.append(session, actor.tenant_id, event)
        return views.agent_view(row, None)

    async def update(
        self,
        actor: Actor,
        agent_id: str,
        changes: Mapping[str, Any],
        *,
        expected_version: int | None = None,
        summary: str = "",
        replaces: bool = False,
    ) -> Agent:
        """Change some fields, or (`replaces`) all: then what is not given falls back to its default.

        A draft changes in place; an edit of anything else waits for activation.
        """
        row = await self._editable(actor, agent_id)
        check_version(row, expected_version)
        draft = self._checked(changes if replaces else {**views.draft_of(row), **changes})
        content = draft.content()
        waits = row.activated_by is not None and not await self._is_running_content(actor, row, draft)
        async with self.db.transaction() as session:
            kept = await store.get_agent(session, actor.tenant_id, agent_id)
            if kept.updated_at != row.updated_at:
                raise Conflict(
                    "Somebody changed this agent a moment ago.", code="version_conflict", version=kept.version
                )
            views.set_names(kept, draft)
            if kept.activated_by is None:
                views.set_content(kept, content)
            else:
                kept.pending = content.model_dump(mode="json") if waits else None
            kept.summary = summary[:300] or kept.summary
            kept.updated_at = self.clock.now()
            event = Event(
                "agent.updated", f"agent:{agent_id}", kept.updated_at, actor.by, {"fields": sorted(changes)}
            )
            await self.runs.engine.events.append(session, actor.tenant_id, event)
        return await self.get(actor, agent_id)

    async def write_skill(
        self,
        actor: Actor,
        agent_id: str,
        name: str,
        files: Mapping[str, bytes],
        *,
        expected_hash: str | None = None,
    ) -> StoredSkill:
        """Write one of the agent's own skills. What runs keeps its files until the next activation."""
        row = await self._editable(actor, agent_id)
        stored = await self.skills.write(
            actor, name=name, files=files, agent_id=agent_id, expected_hash=expected_hash
        )
        async with self.db.transaction() as session:
            kept = await store.get_agent(session, actor.tenant_id, row.id)
            if kept.activated_by is not None and kept.pending is None:
                kept.pending = dict(kept.content)
            kept.updated_at = self.clock.now()
        return stored

    async def archive(self, actor: Actor, agent_id: str) -> None:
        """Take it out of use: no fires, running executions are cancelled. Its history stays."""
        await self.allowed(actor, agent_id, "agent:delete")
        await self.activation.archive(actor, agent_id)
        unfinished = [status.value for status in UNFINISHED]
        while True:
            views_, _ = await self.runs.list_runs(actor, subject=f"{SUBJECT}{agent_id}", status=unfinished)
            if not views_:
                return
            for view in views_:
                await self.runs.cancel_run(actor, view.run.id)

    # --- look ----------------------------------------------------------------------------------------------

    async def get(self, actor: Actor, agent_id: str) -> Agent:
        """The agent, with what is missing before it can run."""
        row = await self._row(actor, agent_id)
        async with self.db.read() as session:
            versions = await store.versions_of(session, actor.tenant_id, [row])
        problems: list[Json] = []
        if row.status != AgentStatus.ARCHIVED.value:
            problems = await self.launch.problems(actor, row, views.content_of(row))
            problems += views.choices_left(row)
        return views.agent_view(row, versions.get(row.id), problems)

    async def list_agents(
        self,
        actor: Actor,
        paging: Paging,
        *,
        status: str | None = None,
        trigger_type: str | None = None,
        search: str | None = None,
        own_only: bool = False,
    ) -> tuple[list[Agent], int]:
        """own_only: without what admins see only because they are admins."""
        actor.require("agent:view")
        async with self.db.read() as session:
            rows, total = await store.list_agents(
                session,
                actor.tenant_id,
                visible=access.shared_to(actor) if own_only else access.visible_to(actor),
                status=status,
                trigger_type=trigger_type,
                search=search,
                limit=paging.limit,
                offset=paging.offset,
            )
            versions = await store.versions_of(session, actor.tenant_id, rows)
        return [views.agent_view(row, versions.get(row.id)) for row in rows], total

    async def find(self, actor: Actor, words: str) -> list[Agent]:
        """Agents these words can mean ("my weekly report agent"), the likeliest first."""
        actor.require("agent:view")
        async with self.db.read() as session:
            rows = await store.agents_of(session, actor.tenant_id, access.visible_to(actor))
            versions = await store.versions_of(session, actor.tenant_id, rows)
        return finding.matching([views.agent_view(row, versions.get(row.id)) for row in rows], words)

    async def agents_needing(self, tenant_id: str, connection_id: str) -> list[Json]:
        """`{id, name}` of the agents bound to a connection."""
        async with self.db.read() as session:
            rows = await store.agents_of(session, tenant_id)
        return [{"id": row.id, "name": row.name} for row in rows if connection_id in row.connections.values()]

    async def plan(self, actor: Actor, agent_id: str) -> Plan:
        """The plan that the agent, as it is to become, would run as."""
        row = await self._row(actor, agent_id)
        return plan_for_agent(await self.launch.pin(actor, row.id, views.content_of(row)))

    async def schedule(self, actor: Actor, agent_id: str, count: int) -> ScheduleView:
        """When it would run next, whether or not it is switched on."""
        row = await self._row(actor, agent_id)
        if row.schedule is None:
            return ScheduleView(cron=None, timezone=row.timezone, words="Runs when asked to", next=[])
        upcoming = schedule.upcoming(row.schedule, row.timezone, self.clock.now(), count)
        words = schedule.describe(row.schedule)
        return ScheduleView(cron=row.schedule, timezone=row.timezone, words=words, next=upcoming)

    # --- test, switch on, run ------------------------------------------------------------------------------

    async def start_test(
        self,
        actor: Actor,
        agent_id: str,
        mode: TestMode = TestMode.DRY,
        input_data: Mapping[str, Any] | None = None,
        *,
        suite: Suite = Suite.QUICK,
        resources: Sequence[Mapping[str, Any]] = (),
        confirm_effects: bool = False,
        use_model: bool = False,
    ) -> str:
        """Start a test of what the agent is to become; returns the test's id.

        resources: known from a connection (`{id, name, fields}`); sample data take their shape.
        confirm_effects: a live test may have the effects that the last passed one showed.
        use_model: a dry run asks a language model where a skill needs one; it is another one each time then.
        """
        wish = Wish(mode, suite, input_data or {}, resources, confirm_effects, use_model)
        with self.launch.starts.under_way():
            row = await self._editable(actor, agent_id)
            tester = replace(actor, permissions=actor.permissions | {"agent:edit"})  # the row was checked
            return (await self.trials.start(tester, row, wish)).id

    async def await_test(self, actor: Actor, test_id: str, timeout: float | None = None) -> TestReport:
        """The report of a test; `TestUnderWay` when it takes longer than `timeout` seconds."""
        await self.known(actor, (await self.trials.get(actor, test_id)).agent_id)
        return await self.trials.wait(actor, test_id, timeout)

    async def activate(self, actor: Actor, agent_id: str, **approval: Unpack[Approval]) -> Agent:
        """Switch on what was tested and approved; or resume a paused agent that was not changed."""
        row = await self._editable(actor, agent_id)
        await self.activation.activate(actor, row, **approval)
        return await self.get(actor, agent_id)

    async def pause(self, actor: Actor, agent_id: str, reason: str = "") -> Agent:
        """Stop its fires; what runs finishes. `activate` resumes it."""
        await self.allowed(actor, agent_id, "agent:edit")
        await self.activation.pause(actor, agent_id, reason)
        return await self.get(actor, agent_id)

    async def start_run(
        self,
        actor: Actor,
        agent_id: str,
        input_data: Mapping[str, Any] | None = None,
        *,
        trigger_type: str = "on_demand",
        triggered_by: str | None = None,
        logical_time: datetime | None = None,
        idempotency_key: str | None = None,
    ) -> str:
        """Run the current version for real; returns the execution's id once it is durable."""
        actor.require("agent:view")
        actor.require("agent:execute")
        name = await name_of(self.tenants, actor)
        occasion = Occasion(
            input_data=input_data or {},
            trigger_type=trigger_type,
            triggered_by=triggered_by,
            logical_time=logical_time,
            idempotency_key=idempotency_key,
        )
        with self.launch.starts.under_way():
            async with self.db.read() as session:
                row = await store.get_agent(session, actor.tenant_id, agent_id, held=True)
                access.require_sight(actor, row)
                if row.status != AgentStatus.ACTIVE.value:
                    message = f"This agent is {row.status}. Switch it on first."
                    raise NotActive(message, agent_id=agent_id, status=row.status)
                version = await store.get_version(session, actor.tenant_id, agent_id, row.version)
                recipe = Recipe.of(await current(session, version.snapshot), version.manifest)
                connections = {str(title): str(chosen) for title, chosen in row.connections.items()}
                request = recipe.request(actor, agent_id, occasion, version.version, connections, name)
                # It calls services through the connections of whoever switched it on, whoever asks.
                acting = replace(actor, user_id=row.activated_by or actor.user_id)
                return await self.runs.start_run(acting, request)

    # --- small parts ---------------------------------------------------------------------------------------

    async def known(self, actor: Actor, agent_id: str) -> None:
        """NotFound unless the actor sees this agent."""
        await self._row(actor, agent_id)

    async def allowed(self, actor: Actor, agent_id: str, permission: str) -> AgentRow:
        """The agent; NotFound when the actor does not see it, Forbidden without the permission for it."""
        row = await self._row(actor, agent_id)
        if not access.may(actor, row, permission):
            access.refuse(actor, row, permission, await self.tenants.names(actor.tenant_id))
        return row

    async def _row(self, actor: Actor, agent_id: str) -> AgentRow:
        actor.require("agent:view")
        async with self.db.read() as session:
            row = await store.get_agent(session, actor.tenant_id, agent_id)
        access.require_sight(actor, row)
        return row

    async def _editable(self, actor: Actor, agent_id: str) -> AgentRow:
        row = await self.allowed(actor, agent_id, "agent:edit")
        if row.status == AgentStatus.ARCHIVED.value:
            raise Conflict("This agent was deleted.", code="archived", agent_id=agent_id)
        return row

    def _checked(self, given: Mapping[str, Any] | AgentDraft) -> AgentDraft:
        fields = given.model_dump(mode="json") if isinstance(given, AgentDraft) else given
        return rules.check_draft({"timezone": self.settings.timezone, **fields}, self.integrations.catalog)

    async def _unused_id(self, actor: Actor, draft: AgentDraft) -> str:
        stem = draft.id or views.id_stem(draft.name)
        async with self.db.read() as session:
            taken = await store.taken_ids(session, actor.tenant_id, stem)
        if draft.id is None:
            return views.free_id(draft.name, taken)
        if draft.id in taken:
            raise views.id_taken(draft.id)
        return draft.id

    async def _is_running_content(self, actor: Actor, row: AgentRow, draft: AgentDraft) -> bool:
        """Whether this is, skill files included, what the current version holds already."""
        async with self.db.read() as session:
            version = await store.get_version(session, actor.tenant_id, row.id, row.version)
        try:
            snapshot = await self.launch.pin(actor, row.id, draft.content())
        except Invalid:
            return False  # a skill is missing
        return snapshot.hash == version.content_hash
