"""Due agents started many at a time: what their runs need is read once for all of them."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.agents import due as queries
from omniforge.agents import ledger
from omniforge.agents.content import FireKind, FireStatus
from omniforge.agents.due import DueAgent
from omniforge.agents.executions import SUBJECT
from omniforge.agents.fires import SCHEDULER, fire_key
from omniforge.agents.launch import Launch, Occasion, Recipe
from omniforge.agents.ledger import Entry, Waits
from omniforge.agents.people import standing_person
from omniforge.agents.public_skills import current
from omniforge.agents.schedule import LATE, DueFires, MisfirePolicy, due_fires
from omniforge.core.actor import Actor
from omniforge.core.errors import NotFound, OmniForgeError, RateLimited
from omniforge.db import Database
from omniforge.runs import fired

log = logging.getLogger(__name__)

STARTED_TOGETHER = 100
"""Starts that share a transaction of the journal; more would keep everybody else waiting too long."""
MADE_TOGETHER = 100
MAX_RECIPES = 2_000
COALESCED = "One fire of the schedule waits already and stands for this one."

Place = tuple[str, str]
"""Tenant and agent, or tenant and person."""
RecipeKey = tuple[str, str | None, str | None]


@dataclass(slots=True)
class Decision:
    """What becomes of the fires of one agent: these runs are started, the others go into the ledger."""

    agent: DueAgent
    due: DueFires
    start: list[datetime] = field(default_factory=list[datetime])
    entries: list[Entry] = field(default_factory=list[Entry])


@dataclass(slots=True)
class Batch:
    """What became of some agents that were due."""

    claimed: Sequence[DueAgent]
    is_last: bool
    """Whether no more were due."""
    fired: list[Decision] = field(default_factory=list["Decision"])
    unattended: list[DueAgent] = field(default_factory=list[DueAgent])
    """Whoever switched these on may no longer run agents."""
    failed: set[Place] = field(default_factory=set[Place])
    full: set[str] = field(default_factory=set[str])
    """Tenants that have as many runs as they may have."""
    untried: Counter[str] = field(default_factory=Counter[str])
    """How many agents of each full tenant were not even tried."""


@dataclass(frozen=True, slots=True)
class _Needs:
    """What the starts of one batch are made of; an error where it could not be had."""

    people: dict[Place, tuple[Actor, str] | None]
    recipes: dict[Place, Recipe | Exception]
    busy: Busy


@dataclass(frozen=True, slots=True)
class Busy:
    """What keeps fires from starting at once: runs of their agents, fires that wait; keys that have a run."""

    running: Counter[tuple[str, str]]
    waits: Waits
    started: dict[str, dict[str, str]]
    """Tenant → key → run, of the agents that have unfinished runs."""


class DueStarts:
    """Starts the runs of due agents. Each fire is one run, whoever else starts it as well."""

    def __init__(self, db: Database, launch: Launch) -> None:
        self.db, self.launch = db, launch
        self._recipes: OrderedDict[RecipeKey, Recipe] = OrderedDict()

    async def start_due(
        self, now: datetime, limit: int, *, but_not: Collection[Place], but_not_of: Collection[str]
    ) -> Batch:
        """Start what is due, without these agents and these tenants' ones.

        From the look at an agent until its runs are durable nobody is told that it has been switched off.
        """
        limit += len(but_not)
        with self.launch.starts.under_way():
            async with self.db.read() as session:
                due = await queries.claim_due(session, now, limit, sorted(but_not_of))
                claimed = [agent for agent in due if agent.place not in but_not]
                batch = Batch(claimed, is_last=len(due) < limit)
                needs = _Needs(
                    await self._people(claimed),
                    await self._load(session, claimed),
                    await _busy(session, claimed),
                )
                await self._start_all(now, needs, batch)
        for tenant_id, count in batch.untried.items():
            log.warning("%d more due agents of tenant %s are not fired yet: it is full", count, tenant_id)
        return batch

    async def _start_all(self, now: datetime, needs: _Needs, batch: Batch) -> None:
        """Each part is on its way before the last one is durable, so that none waits for what those do."""
        async with asyncio.TaskGroup() as group:
            for first in range(0, len(batch.claimed), STARTED_TOGETHER):
                for agent in batch.claimed[first : first + STARTED_TOGETHER]:
                    group.create_task(self._try_start(agent, now, needs, batch))
                await asyncio.sleep(0)

    async def _try_start(self, agent: DueAgent, now: datetime, needs: _Needs, batch: Batch) -> None:
        """One agent that cannot be started stays due, and does not hold up the others."""
        person = needs.people[agent.tenant_id, agent.person]
        if person is None:
            batch.unattended.append(agent)
            return
        if agent.tenant_id in batch.full:
            batch.untried[agent.tenant_id] += 1
            batch.failed.add(agent.place)
            return
        policy = MisfirePolicy(agent.misfire_policy)
        try:
            due = due_fires(agent.schedule, agent.timezone, policy, agent.next_fire_at, now, agent.grace)
            decision = decide(agent, due, needs.busy, now)
            await self._start(agent, decision.start, person, needs.recipes[agent.place])
        except OmniForgeError as error:
            if isinstance(error, RateLimited):
                batch.full.add(agent.tenant_id)
            batch.failed.add(agent.place)
            log.warning("agent %s of tenant %s is not fired yet: %s", agent.id, agent.tenant_id, error)
        except Exception:
            # The path ends here: a fault of one agent must not reach the others.
            batch.failed.add(agent.place)
            log.exception("agent %s of tenant %s could not be fired", agent.id, agent.tenant_id)
        else:
            batch.fired.append(decision)

    async def _start(
        self,
        agent: DueAgent,
        times: Sequence[datetime],
        person: tuple[Actor, str],
        recipe: Recipe | Exception,
    ) -> None:
        if isinstance(recipe, Exception):
            raise recipe
        actor, name = person
        connections = {str(title): str(chosen) for title, chosen in agent.connections.items()}
        for at in times:
            occasion = Occasion(
                trigger_type="scheduled",
                triggered_by=SCHEDULER,
                logical_time=at,
                idempotency_key=fire_key(agent.id, at),
            )
            request = recipe.request(actor, agent.id, occasion, agent.version, connections, name)
            await self.launch.runs.start_run(actor, request)

    async def _people(self, agents: Sequence[DueAgent]) -> dict[Place, tuple[Actor, str] | None]:
        """Whoever switched them on, with the rights and names of today; None: may not run agents."""
        keys = list({(agent.tenant_id, agent.person) for agent in agents})
        found = await asyncio.gather(*(self._person(*key) for key in keys))
        return dict(zip(keys, found, strict=True))

    async def _person(self, tenant_id: str, user_id: str) -> tuple[Actor, str] | None:
        found = await standing_person(self.launch.tenants, tenant_id, user_id)
        return found if found is not None and found[0].may("agent:execute") else None

    # --- what runs -----------------------------------------------------------------------------------------

    async def _load(
        self, session: AsyncSession, agents: Sequence[DueAgent]
    ) -> dict[Place, Recipe | Exception]:
        """What each agent runs as. A version never changes, so what it was made into is kept."""
        broken: dict[Place, Exception] = {}
        missing = self._missing(agents)
        await self._make(session, list({_key(agent): agent for agent in missing}.values()), broken)
        # Where that one of them is damaged, the others are asked; where it is not, it speaks for them.
        await self._make(session, self._missing(missing), broken)
        loaded: dict[Place, Recipe | Exception] = {}
        for agent in agents:
            key, place = _key(agent), agent.place
            recipe = self._recipes.get(key)
            if recipe is not None:
                self._recipes.move_to_end(key)
            loaded[place] = recipe or broken.get(place) or _no_version(agent)
        for key in {_key(agent) for agent in agents}:
            if key in self._recipes and self._recipes[key].floats:
                del self._recipes[key]  # made anew at each run
        while len(self._recipes) > MAX_RECIPES:
            self._recipes.popitem(last=False)
        return loaded

    def _missing(self, agents: Sequence[DueAgent]) -> list[DueAgent]:
        return [agent for agent in agents if agent.content_hash and _key(agent) not in self._recipes]

    async def _make(
        self, session: AsyncSession, agents: Sequence[DueAgent], broken: dict[Place, Exception]
    ) -> None:
        """Make recipes of stored versions; adds those that are damaged to `broken`."""
        keys = {agent.place: _key(agent) for agent in agents}
        for first in range(0, len(agents), MADE_TOGETHER):
            part = agents[first : first + MADE_TOGETHER]
            for tenant_id, agent_id, snapshot, manifest in await queries.snapshots_of(session, part):
                key = keys[tenant_id, agent_id]
                if key not in self._recipes:
                    try:
                        self._recipes[key] = Recipe.of(await current(session, snapshot), manifest)
                    except (OmniForgeError, ValueError, LookupError) as error:
                        broken[tenant_id, agent_id] = error


async def _busy(session: AsyncSession, agents: Sequence[DueAgent]) -> Busy:
    running = await fired.count_unfinished(session, [_subject(agent) for agent in agents])
    keys: dict[str, list[str]] = {}
    for agent in agents:
        if _subject(agent) in running:
            keys.setdefault(agent.tenant_id, []).append(fire_key(agent.id, agent.next_fire_at))
    started = {tenant: await fired.runs_of_keys(session, tenant, found) for tenant, found in keys.items()}
    return Busy(running, await ledger.waiting(session, [agent.place for agent in agents]), started)


def decide(agent: DueAgent, due: DueFires, busy: Busy, now: datetime) -> Decision:
    """Which of an agent's fires start, as far as it may run; of the others one waits for the rest of them.

    Late ones that are all to run wait each: that is what was asked for.
    """
    decision = Decision(agent, due)
    started = busy.started.get(agent.tenant_id, {})
    free = agent.concurrency - busy.running[_subject(agent)] if agent.place not in busy.waits.all else 0
    waits = agent.place in busy.waits.schedules
    runs_each = agent.misfire_policy == MisfirePolicy.ALL.value
    for at in due.run:
        if fire_key(agent.id, at) in started:
            continue
        if free > 0:
            decision.start.append(at)
            free -= 1
        elif not waits or (runs_each and now - at > LATE):
            decision.entries.append(_entry(agent, at, FireStatus.WAITING, "It waits for a run to end."))
            waits = True
        else:
            decision.entries.append(_entry(agent, at, FireStatus.COALESCED, COALESCED))
    decision.entries += [
        _entry(agent, missed.at, FireStatus.DROPPED, missed.reason, missed.count) for missed in due.missed
    ]
    return decision


def _entry(agent: DueAgent, at: datetime, status: FireStatus, reason: str, count: int = 1) -> Entry:
    return Entry(
        tenant_id=agent.tenant_id,
        agent_id=agent.id,
        key=fire_key(agent.id, at) + ("" if count == 1 else "+"),
        kind=FireKind.SCHEDULE,
        at=at,
        status=status,
        reason=reason,
        count=count,
    )


def refused(agent: DueAgent, reason: str) -> Entry:
    """The fire of an agent that nobody may run."""
    return _entry(agent, agent.next_fire_at, FireStatus.REFUSED, reason)


def _subject(agent: DueAgent) -> tuple[str, str]:
    return agent.tenant_id, f"{SUBJECT}{agent.id}"


def _key(agent: DueAgent) -> RecipeKey:
    """What a version's content is told apart by; of one tenant, so that no damage reaches another one."""
    return agent.tenant_id, agent.content_hash, agent.manifest_hash


def _no_version(agent: DueAgent) -> NotFound:
    return NotFound("There is no such version.", agent_id=agent.id, version=agent.version)
