"""From draft to active and back: what must hold before an agent may have effects, and its schedule."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.agents import access, cases, ledger, store, views
from omniforge.agents.content import AgentStatus, FireStatus, SharingLevel, Snapshot, TestMode, Verdict
from omniforge.agents.due import DueAgent
from omniforge.agents.inbox import Inbox
from omniforge.agents.launch import Launch
from omniforge.agents.listening import Ears, Listening, standing_in
from omniforge.agents.manifest import bounded, unbounded
from omniforge.agents.readings import digest
from omniforge.agents.schedule import next_fire
from omniforge.agents.schemas import Bound, TestReport
from omniforge.agents.store import AgentRow, TestRow, VersionRow
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock
from omniforge.core.errors import Conflict, Invalid, NotFound
from omniforge.db import Database
from omniforge.engine.events import Event, EventLog
from omniforge.tenants.store import users_of

Json = dict[str, Any]


class VersionConflict(Conflict):
    """Somebody changed the agent meanwhile; `details["version"]` is the current version."""

    code = "version_conflict"


class Bell:
    """Wakes whoever waits for the schedules to change."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        rung, self._rung = self._rung, asyncio.Event()
        rung.set()

    def next_ring(self) -> asyncio.Event:
        """Set by the next `ring`. Take it before looking at what may have changed."""
        return self._rung


class Approval(TypedDict, total=False):
    """What somebody approves.

    accept_no_effect: a test with nothing to do in it will do, if it showed every step all the same.
    bounds: where effects may go whose place the data decide.
    tell_team: without it whoever calls sees to it that those who use the agent hear of the new version.
    """

    test_id: str | None
    manifest_hash: str | None
    expected_version: int | None
    accept_no_effect: bool
    bounds: Sequence[Bound]
    tell_team: bool


class Activation:
    def __init__(  # noqa: PLR0917 - one collaborator per room
        self, db: Database, launch: Launch, events: EventLog, inbox: Inbox, clock: Clock, ears: Ears
    ) -> None:
        self.db, self.launch, self.events, self.inbox, self.clock = db, launch, events, inbox, clock
        self.ears = ears
        self.bell = Bell()

    async def activate(
        self,
        actor: Actor,
        row: AgentRow,
        *,
        test_id: str | None = None,
        manifest_hash: str | None = None,
        expected_version: int | None = None,
        accept_no_effect: bool = False,
        bounds: Sequence[Bound] = (),
        tell_team: bool = True,
    ) -> None:
        """Switch on what was tested and approved. Resuming an unchanged agent needs neither.

        Errors: VersionConflict; Invalid with the codes not_tested, connection_missing, manifest_not_approved,
        bound_needed (an effect goes where the data decide, and nobody said where it may).
        """
        check_version(row, expected_version)
        if row.status == AgentStatus.ARCHIVED.value:
            raise Conflict("This agent was deleted.", code="archived", agent_id=row.id)
        content = views.content_of(row)
        unchanged = row.activated_by is not None and row.pending is None
        if unchanged and row.status == AgentStatus.ACTIVE.value:
            return
        tested: tuple[Snapshot, TestReport] | None = None
        if not unchanged:
            snapshot = await self.launch.pin(actor, row.id, content)
            report = await self._passed_test(actor, row, snapshot, test_id, accept_no_effect=accept_no_effect)
            tested = snapshot, report
        connections, missing = await self.launch.connections_for(actor, row, content)
        if missing:
            raise Invalid(
                f"This agent needs your {self.launch.title(missing[0])}. Connect it, then switch it on.",
                code="connection_missing",
                integrations=missing,
            )
        if tested is not None and manifest_hash != tested[1].manifest_hash:
            raise Invalid(
                "Look at what it will do outside and approve exactly that.",
                code="manifest_not_approved",
                manifest=tested[1].manifest,
                manifest_hash=tested[1].manifest_hash,
            )
        manifest = [] if tested is None else _bounded(tested[1].manifest, bounds)
        listening = await self.ears.look(actor, row, content, connections)
        async with self.db.transaction() as session:
            kept = await store.get_agent(session, actor.tenant_id, row.id)
            if kept.updated_at != row.updated_at:
                raise VersionConflict("Somebody changed this agent a moment ago.", version=kept.version)
            if tested is not None:
                stored = self._store_version(session, actor, kept, tested[0], manifest)
                if tell_team:
                    await self._tell_team(session, actor, kept, stored)
                if tested[1].baseline:
                    now = self.clock.now()
                    case = cases.accepted(kept.tenant_id, kept.id, tested[1].baseline, actor.by, now)
                    await cases.put(session, case)
            kept.status, kept.activated_by = AgentStatus.ACTIVE.value, actor.user_id
            kept.paused_reason, kept.connections = "", {**kept.connections, **connections}
            kept.updated_at = self.clock.now()
            kept.next_fire_at = self.next_fire(kept)
            await self.ears.listen(session, kept, listening)
            if listening is not None and listening.stands_in:
                title, text = standing_in(kept.name, listening.config)
                self.inbox.deliver(session, kept, kind="notice", title=title, text=text)
            await self.note(session, actor.by, kept, "agent.activated", version=kept.version)
        if tested is not None:
            await self.launch.public.note_uses(kept.tenant_id, kept.id, tested[0])

    async def _passed_test(
        self,
        actor: Actor,
        row: AgentRow,
        snapshot: Snapshot,
        test_id: str | None,
        *,
        accept_no_effect: bool,
    ) -> TestReport:
        refused = Invalid(
            "Before it goes live it is tested, exactly as it is now. A test changes nothing.",
            code="not_tested",
            content_hash=snapshot.hash,
        )
        if test_id is None:
            raise refused
        test: TestRow | None
        async with self.db.read() as session:
            try:
                test = await store.get_test(session, actor.tenant_id, test_id)
            except NotFound:
                test = None
        if test is None or test.agent_id != row.id or test.report is None:
            raise refused
        if test.mode == TestMode.LIVE.value or test.content_hash != snapshot.hash:
            raise refused
        report = TestReport.model_validate(test.report)
        if test.verdict == Verdict.PASSED.value:
            return report
        if test.verdict != Verdict.NO_EFFECT.value or not report.may_activate:
            raise refused
        if not accept_no_effect:
            raise Invalid(
                "There was nothing to do in its test; every step was tried on sample data all the same. "
                "Say accept_no_effect to switch it on like that.",
                code="not_tested",
                content_hash=snapshot.hash,
                may_activate=True,
            )
        return report

    def _store_version(
        self, session: AsyncSession, actor: Actor, row: AgentRow, snapshot: Snapshot, manifest: list[Json]
    ) -> VersionRow:
        """Keep what was approved as the agent's next version, and make it what runs."""
        stored = VersionRow(
            tenant_id=row.tenant_id,
            agent_id=row.id,
            version=views.next_version(row),
            snapshot=snapshot.model_dump(mode="json"),
            content_hash=snapshot.hash,
            manifest=manifest,
            manifest_hash=digest(manifest),
            summary=row.summary or views.change_summary(row, snapshot.content),
            author=actor.by,
            created_at=self.clock.now(),
        )
        _make_current(session, row, stored)
        return stored

    async def put_back(  # noqa: PLR0917 - which agent, to what, and with what
        self,
        actor: Actor,
        row: AgentRow,
        was: VersionRow,
        connections: Mapping[str, str],
        listening: Listening | None,
        summary: str,
    ) -> None:
        """Make an earlier version the agent's next one, as it was approved. A deleted agent is paused."""
        async with self.db.transaction() as session:
            kept = await store.get_agent(session, row.tenant_id, row.id)
            if kept.updated_at != row.updated_at:
                raise VersionConflict("Somebody changed this agent a moment ago.", version=kept.version)
            same = ("snapshot", "content_hash", "manifest", "manifest_hash")
            stored = VersionRow(
                tenant_id=kept.tenant_id,
                agent_id=kept.id,
                version=kept.version + 1,
                summary=summary[:300],
                author=actor.by,
                created_at=self.clock.now(),
                **{name: getattr(was, name) for name in same},
            )
            payload: Json = {"from": kept.version, "to": was.version, "version": stored.version}
            _make_current(session, kept, stored)
            kept.connections, kept.updated_at = {**kept.connections, **connections}, self.clock.now()
            if kept.status == AgentStatus.ACTIVE.value:
                kept.next_fire_at = self.next_fire(kept)
                await self.ears.listen(session, kept, listening)
            elif kept.status == AgentStatus.ARCHIVED.value:
                kept.status, kept.paused_reason = AgentStatus.PAUSED.value, "It was deleted and brought back."
            await self._tell_team(session, actor, kept, stored)
            await self.note(session, actor.by, kept, "agent.rolled_back", **payload)
        snapshot = Snapshot.model_validate(was.snapshot)
        await self.launch.public.note_uses(kept.tenant_id, kept.id, snapshot)

    async def bring_back_draft(self, actor: Actor, row: AgentRow) -> None:
        """A deleted agent that was never switched on is a draft again."""
        async with self.db.transaction() as session:
            kept = await store.get_agent(session, row.tenant_id, row.id)
            kept.status, kept.updated_at = AgentStatus.DRAFT.value, self.clock.now()
            await self.note(session, actor.by, kept, "agent.restored")

    async def _tell_team(
        self, session: AsyncSession, actor: Actor, row: AgentRow, stored: VersionRow
    ) -> None:
        """Tell everybody else who uses a team agent what is different now."""
        if row.sharing_level != SharingLevel.TEAM.value or stored.version == 1:
            return
        for user in await users_of(session, row.tenant_id):
            uses = user.id == row.created_by or access.is_member(user.id, row)
            if uses and user.id != actor.user_id and user.disabled_at is None:
                title = f"{row.name} was changed"
                text = f"It is at version {stored.version} now. {stored.summary}"
                self.inbox.deliver(session, row, kind="notice", title=title, text=text, to=user.id)

    async def pause(self, actor: Actor, agent_id: str, reason: str) -> None:
        """Stop its fires; what runs finishes. Nothing starts any more once this returns."""
        async with self.db.transaction() as session:
            row = await store.get_agent(session, actor.tenant_id, agent_id)
            if row.status not in (AgentStatus.ACTIVE.value, AgentStatus.PAUSED.value):
                message = f"This agent is not switched on; it is {row.status}."
                raise Conflict(message, code="not_active", agent_id=agent_id, status=row.status)
            if row.status == AgentStatus.ACTIVE.value:
                await self._pause(session, row, actor.by, reason)
        await self.launch.starts.settled()

    async def pause_unattended(self, due: AgentRow | DueAgent, reason: str, notice: str) -> None:
        """Pause an agent that cannot go on by itself, and tell its owner why."""
        async with self.db.transaction() as session:
            row = await store.get_agent(session, due.tenant_id, due.id)
            if row.status != AgentStatus.ACTIVE.value:
                return
            await self.pause_in(session, row, reason, notice)
        await self.launch.starts.settled()

    async def pause_in(self, session: AsyncSession, row: AgentRow, reason: str, notice: str) -> None:
        """The same with a row of the caller's transaction; a start under way meanwhile may still happen."""
        await self._pause(session, row, "system:agents", reason)
        self.inbox.deliver(session, row, kind="notice", title=f"{row.name} is paused", text=notice)

    async def on_disconnected(self, tenant_id: str, connection_id: str) -> None:
        """Pause the agents bound to a connection that is gone, and tell their owners."""
        async with self.db.read() as session:
            rows = await store.agents_of(session, tenant_id)
        for row in rows:
            if connection_id in row.connections.values():
                await self.pause_unattended(
                    row,
                    "A connection it needs was removed.",
                    "A connection this agent needs was removed, so it does not run any more. "
                    "Nothing was sent. Connect again and switch it on.",
                )

    async def _pause(self, session: AsyncSession, row: AgentRow, by: str, reason: str) -> None:
        row.status, row.paused_reason, row.next_fire_at = AgentStatus.PAUSED.value, reason, None
        row.updated_at = self.clock.now()
        await self.ears.stop(session, row, for_good=False)
        why = f"The agent was paused while it waited. {reason}".strip()
        await ledger.give_up(session, row.tenant_id, row.id, FireStatus.PAUSED, why)
        await self.note(session, by, row, "agent.paused", reason=reason)

    async def archive(self, actor: Actor, agent_id: str) -> None:
        async with self.db.transaction() as session:
            row = await store.get_agent(session, actor.tenant_id, agent_id)
            row.status, row.next_fire_at = AgentStatus.ARCHIVED.value, None
            row.updated_at = self.clock.now()
            await self.ears.stop(session, row, for_good=True)
            why = "The agent was deleted while it waited."
            await ledger.give_up(session, row.tenant_id, row.id, FireStatus.DROPPED, why)
            await self.note(session, actor.by, row, "agent.archived")
        await self.launch.starts.settled()

    def next_fire(self, row: AgentRow) -> datetime | None:
        if row.schedule is None:
            return None
        return next_fire(row.schedule, row.timezone, self.clock.now())

    async def note(self, session: AsyncSession, by: str, row: AgentRow, type_: str, **payload: Any) -> None:
        """Write the event with the change it tells of, and wake the scheduler once both are durable."""
        event = Event(type_, f"agent:{row.id}", self.clock.now(), by, payload)
        await self.events.append(session, row.tenant_id, event)
        session.info.setdefault("after_commit", []).append(self.bell.ring)


def _make_current(session: AsyncSession, row: AgentRow, version: VersionRow) -> None:
    session.add(version)
    views.set_content(row, Snapshot.model_validate(version.snapshot).content)
    row.version, row.pending, row.summary = version.version, None, ""


def _bounded(manifest: Sequence[Json], bounds: Sequence[Bound]) -> list[Json]:
    """The manifest as it is approved; Invalid names the effects that still have no bound."""
    made = bounded(manifest, [(bound.step, bound.tool, bound.any_of) for bound in bounds])
    missing = unbounded(made)
    if missing:
        raise Invalid(
            "The data decide where this goes, so say where it may go: "
            + "; ".join(f"'{entry['step']}' {entry['summary']}" for entry in missing)
            + ". A preview with your real data shows the places.",
            code="bound_needed",
            effects=missing,
        )
    return made


def check_version(row: AgentRow, expected: int | None) -> None:
    if expected is not None and expected != row.version:
        raise VersionConflict(
            f"This agent is at version {row.version} by now; look at it before you change it.",
            version=row.version,
        )
