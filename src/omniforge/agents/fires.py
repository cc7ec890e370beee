"""Fires of agents: taken down once, run one after the other, and kept when they cannot be."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.agents import access, ledger, store
from omniforge.agents.activation import Activation
from omniforge.agents.content import AgentContent, AgentStatus, FireKind, FireStatus, TriggerType
from omniforge.agents.executions import SUBJECT
from omniforge.agents.ledger import Entry, FireRow, Place
from omniforge.agents.people import standing_person
from omniforge.agents.store import AgentRow
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock
from omniforge.core.errors import Invalid, OmniForgeError
from omniforge.db import Database
from omniforge.engine.events import Event, EventLog, EventRow
from omniforge.runs import fired
from omniforge.runs.inputs import check_input
from omniforge.tenants.service import TenantService

log = logging.getLogger(__name__)

Json = dict[str, Any]
StartRun = Callable[..., Coroutine[Any, Any, str]]
"""`AgentService.start_run`."""

SCHEDULER = "scheduler"
MOST_WAITING = 1_000
"""Events of one agent that wait for their turn."""
HOUR = timedelta(hours=1)
MAX_KEY = 90
UNATTENDED = "The person who switched it on may no longer run agents."
UNATTENDED_NOTICE = (
    "The person who switched this agent on may no longer run agents here, so it does not run by itself any "
    "more. Nothing was sent. Somebody who may run agents can switch it on again."
)
_PLAIN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class EventFire:
    """Something that happened at a service and calls an agent.

    key: what makes it the same happening, of this agent and integration; it begins with `row:` for a row that
    was found there, whoever found it. event: what the run gets as `input_data.event`.
    """

    key: str
    event: Json
    at: datetime
    integration: str

    @property
    def kind(self) -> FireKind:
        return FireKind.ROW if self.key.startswith("row:") else FireKind.DELIVERY


@dataclass(frozen=True, slots=True)
class Fired:
    """What became of a fire. `run_id` once it has one; `duplicate`: it had been taken down before."""

    status: FireStatus
    run_id: str | None = None
    duplicate: bool = False


class Fires:
    """Takes down what calls an agent, and starts what waits.

    A fire is written down before anything is started of it, and goes on waiting until its run is durable:
    whatever happens in between, it is started under the same key and is the same run.
    """

    def __init__(  # noqa: PLR0917 - one collaborator per room
        self,
        db: Database,
        tenants: TenantService,
        activation: Activation,
        events: EventLog,
        clock: Clock,
        start: StartRun,
    ) -> None:
        self.db, self.tenants, self.activation = db, tenants, activation
        self.events, self.clock, self._start = events, clock, start

    # --- taking down ---------------------------------------------------------------------------------------

    async def fire_event(self, tenant_id: str, agent_id: str, fire: EventFire) -> Fired:
        """Take one fire down and start it if it may start now. NotFound for an unknown agent."""
        (found,) = await self.fire_events(tenant_id, agent_id, [fire])
        return found

    async def fire_events(self, tenant_id: str, agent_id: str, fires: Sequence[EventFire]) -> list[Fired]:
        """The same for many, in their order."""
        async with self.db.transaction() as session:
            taken = await self.take_down(session, tenant_id, agent_id, fires)
        if not any(was.status is FireStatus.WAITING for was in taken):
            return taken
        started = await self.start_waiting(tenant_id, agent_id)
        self.activation.bell.ring()  # the scheduler looks after what could not be started
        runs = [started.get(key_of(agent_id, fire)) for fire in fires]
        return [
            replace(was, status=FireStatus.STARTED, run_id=run_id) if run_id else was
            for was, run_id in zip(taken, runs, strict=True)
        ]

    async def take_down(
        self, session: AsyncSession, tenant_id: str, agent_id: str, fires: Sequence[EventFire]
    ) -> list[Fired]:
        """Write fires down in the caller's transaction; call `start_waiting` once that is over.

        What waits after it is durable and will run. Too many in an hour pause the agent.
        """
        agent = await store.get_agent(session, tenant_id, agent_id)
        keys = [key_of(agent_id, fire) for fire in fires]
        runs = await fired.runs_of_keys(session, tenant_id, keys)
        rows = await ledger.known_keys(session, tenant_id, agent_id, keys)
        room = await self._room(session, agent)
        found: list[Fired] = []
        entries: list[Entry] = []
        for key, fire in zip(keys, fires, strict=True):
            if key in runs:
                found.append(Fired(FireStatus.STARTED, runs[key], duplicate=True))
                continue
            if key in rows:
                found.append(Fired(rows[key], duplicate=True))
                continue
            entry = _entry(agent, key, fire, room)
            entries.append(entry)
            rows[key] = entry.status
            found.append(Fired(entry.status))
        await ledger.enter(session, self.clock.now(), entries)
        if room.hourly < 0:
            await self._stop(session, agent)
        await self._tell(session, agent, [e for e in entries if e.status is FireStatus.DROPPED])
        return found

    async def _room(self, session: AsyncSession, agent: AgentRow) -> _Room:
        """How many more may wait, and how many more may come in this hour."""
        place = (agent.tenant_id, agent.id)
        content = AgentContent.model_validate(agent.content)
        # Whoever looked after the agent since then has seen what came before.
        since = max(self.clock.now() - HOUR, agent.updated_at)
        came = await ledger.count_since(session, *place, since)
        came += await fired.count_fired(session, agent.tenant_id, f"{SUBJECT}{agent.id}", since)
        waits = await ledger.waiting(session, [place])
        return _Room(
            waiting=MOST_WAITING - waits.all.get(place, 0), hourly=content.settings.max_fires_per_hour - came
        )

    async def _stop(self, session: AsyncSession, agent: AgentRow) -> None:
        limit = AgentContent.model_validate(agent.content).settings.max_fires_per_hour
        await self.activation.pause_in(
            session,
            agent,
            f"It was called more than {limit} times in an hour.",
            f"This agent was called more than {limit} times in an hour, which is more than it may be, so it "
            "is paused. What had not started yet was not run; the list of its fires shows it. Look at what "
            "calls it, then switch it on again or allow more.",
        )

    async def _tell(self, session: AsyncSession, agent: AgentRow, dropped: Sequence[Entry]) -> None:
        if not dropped:
            return
        payload: Json = {"reason": dropped[0].reason, "dropped": len(dropped), "first": dropped[0].key}
        event = Event("fire.dropped", f"agent:{agent.id}", self.clock.now(), "system:agents", payload)
        await self.events.append(session, agent.tenant_id, event)

    # --- starting what waits -------------------------------------------------------------------------------

    async def start_waiting(self, tenant_id: str, agent_id: str) -> dict[str, str]:
        """Start what waits of an agent, as far as it may run now; returns key → run of what was started."""
        place = (tenant_id, agent_id)
        started: dict[str, str] = {}
        while (found := await self._next(*place)) is not None:
            agent, row = found
            person = await self._person(agent)
            if person is None:
                await self.activation.pause_unattended(agent, UNATTENDED, UNATTENDED_NOTICE)
                break
            try:
                run_id = await self._start(person, agent_id, **_occasion(row))
            except Invalid as error:
                await self._refuse(place, row.fire_key, error.message)
                continue
            except (OmniForgeError, ValueError, LookupError) as error:
                # The tenant is full, the agent was switched off just now, its version is damaged.
                log.warning("a fire of agent %s of tenant %s goes on waiting: %s", agent_id, tenant_id, error)
                break
            async with self.db.transaction() as session:
                await ledger.take_out(session, *place, [row.fire_key])
            started[row.fire_key] = run_id
        return started

    async def start_all_waiting(self) -> int:
        """Start whatever waits and may run now; returns how many agents still have something that waits."""
        async with self.db.read() as session:
            places = list((await ledger.waiting(session)).all)
        for tenant_id, agent_id in places:
            try:
                await self.start_waiting(tenant_id, agent_id)
            except Exception:
                # The path ends here: a fault of one agent must not reach the others.
                log.exception("what waits of agent %s of tenant %s did not start", agent_id, tenant_id)
        if not places:
            return 0
        async with self.db.read() as session:
            return len((await ledger.waiting(session)).all)

    async def on_run_finished(self, event: EventRow, tenant_id: str) -> None:
        """Start what waited for this run to end."""
        async with self.db.read() as session:
            agents = await ledger.agents_waiting(session, tenant_id)
            subject = await fired.subject_of(session, tenant_id, str(event.run_id)) if agents else ""
        agent_id = subject.removeprefix(SUBJECT)
        if agent_id in agents:
            await self.start_waiting(tenant_id, agent_id)

    async def _next(self, tenant_id: str, agent_id: str) -> tuple[AgentRow, FireRow] | None:
        """The fire that may start now, with its agent."""
        async with self.db.read() as session:
            row = await ledger.oldest_waiting(session, tenant_id, agent_id)
            if row is None:
                return None
            agent = await store.get_agent(session, tenant_id, agent_id)
            if agent.status != AgentStatus.ACTIVE.value:
                return None
            subject = (tenant_id, f"{SUBJECT}{agent_id}")
            running = (await fired.count_unfinished(session, [subject]))[subject]
        limit = AgentContent.model_validate(agent.content).settings.concurrency
        return None if running >= limit else (agent, row)

    async def _person(self, agent: AgentRow) -> Actor | None:
        """Whoever switched it on, unless they may no longer run agents."""
        found = await standing_person(self.tenants, agent.tenant_id, agent.activated_by or agent.created_by)
        if found is None or not found[0].may("agent:execute") or not access.sees(found[0], agent):
            return None
        return found[0]

    async def _refuse(self, place: Place, key: str, reason: str) -> None:
        async with self.db.transaction() as session:
            await ledger.refuse(session, *place, key, reason)


@dataclass(slots=True)
class _Room:
    """How many more fires of an agent may wait, and how many more may come in this hour."""

    waiting: int
    hourly: int


def _entry(agent: AgentRow, key: str, fire: EventFire, room: _Room) -> Entry:
    status, reason = _decide(agent, fire, room)
    waits = status is FireStatus.WAITING
    room.waiting -= waits
    return Entry(
        tenant_id=agent.tenant_id,
        agent_id=agent.id,
        key=key,
        kind=fire.kind,
        at=fire.at,
        status=status,
        reason=reason,
        event=fire.event if waits else None,
        source=fire.integration if waits else None,
    )


def _decide(agent: AgentRow, fire: EventFire, room: _Room) -> tuple[FireStatus, str]:
    if agent.status == AgentStatus.PAUSED.value:
        return FireStatus.PAUSED, "The agent was paused when it came."
    if agent.status != AgentStatus.ACTIVE.value:
        return FireStatus.REFUSED, f"The agent was not switched on when it came; it was {agent.status}."
    room.hourly -= 1
    if room.hourly < 0:
        return FireStatus.PAUSED, "Too many came in an hour, so the agent was paused."
    try:
        check_input({"event": fire.event})
    except Invalid as error:
        return FireStatus.REFUSED, error.message
    if room.waiting <= 0:
        return FireStatus.DROPPED, f"{MOST_WAITING} of them waited already."
    return FireStatus.WAITING, ""


def _occasion(row: FireRow) -> Json:
    """What `start_run` is told of a fire that waited."""
    scheduled = row.kind == FireKind.SCHEDULE.value
    return {
        "input_data": None if scheduled else {"event": row.event},
        "trigger_type": (TriggerType.SCHEDULED if scheduled else TriggerType.EVENT_DRIVEN).value,
        "triggered_by": SCHEDULER if scheduled else f"event:{row.source}",
        "logical_time": datetime.fromisoformat(row.logical_time),
        "idempotency_key": row.fire_key,
    }


def fire_key(agent_id: str, at: datetime) -> str:
    """What makes a schedule's fire the same fire: the agent and the time it is about."""
    return f"fire:{agent_id}:{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def key_of(agent_id: str, fire: EventFire) -> str:
    """The same of an event. What a stranger made it of may be anything, of any length."""
    key = fire.key
    if len(key) > MAX_KEY or not _PLAIN.fullmatch(key):
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        key = f"row:{digest}" if fire.kind is FireKind.ROW else digest
    return f"event:{agent_id}:{fire.integration}:{key}"
