"""Composition root: builds every service of an installation, plugs in step handlers and subscribers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import partial
from typing import Any

from omniforge.agents import public_skills
from omniforge.agents.inbox import Inbox
from omniforge.agents.polls import Poller
from omniforge.agents.service import AgentService
from omniforge.agents.triggers import Scheduler
from omniforge.board.github_rooms import GitHubRooms
from omniforge.board.rooms import BoardRooms, Ground
from omniforge.board.service import BoardService
from omniforge.board.store.queue import Capacity
from omniforge.builder.assistant import Assistant
from omniforge.builder.library import LibrarySuggestions
from omniforge.builder.requests import Doer
from omniforge.builder.service import BuilderService
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock, SystemClock
from omniforge.core.config import Settings
from omniforge.core.crypto import MasterKeys
from omniforge.db import Database
from omniforge.db.migrate import upgrade
from omniforge.engine.active import Handler
from omniforge.engine.admission import Admission, Limits
from omniforge.engine.breakers import Breakers
from omniforge.engine.embedded import Engine
from omniforge.engine.events import Event, EventLog
from omniforge.engine.pressure import Thresholds
from omniforge.engine.sampling import system_sampler
from omniforge.engine.spawning import SpawnLimits
from omniforge.engine.stores import open_engine
from omniforge.engine.telemetry import Telemetry, open_telemetry
from omniforge.integrations.service import IntegrationService
from omniforge.integrations.signin import ConnectionArrived
from omniforge.llm.client import build_models
from omniforge.llm.protocol import ModelClient
from omniforge.runs.service import RunService
from omniforge.runtime.steps.approval import ask_for_approval
from omniforge.runtime.steps.command import CommandStep
from omniforge.runtime.steps.skill import SkillStep
from omniforge.runtime.tools import tool_box
from omniforge.sandboxes import SandboxProvider, open_provider
from omniforge.sandboxes.guests import SandboxEnclosure
from omniforge.sandboxes.service import SandboxService
from omniforge.sandboxes.workspaces import Workspaces, open_workspaces
from omniforge.skills.intake.service import Intake
from omniforge.skills.library.service import LibraryService
from omniforge.skills.service import SkillService
from omniforge.tenants.auth import load_jwt_key
from omniforge.tenants.secrets import SecretBox
from omniforge.tenants.service import DEFAULT_TENANT, TenantService

log = logging.getLogger(__name__)


class Part(StrEnum):
    """What a process does for its installation."""

    SERVER = "server"
    """Answers people, fires schedules, and drives runs unless workers do that."""
    WORKER = "worker"
    """Drives runs, and nothing else (PostgreSQL)."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Every service of one installation, open and running."""

    settings: Settings
    db: Database
    engine: Engine
    tenants: TenantService
    skills: SkillService
    intake: Intake
    library: LibraryService
    integrations: IntegrationService
    runs: RunService
    agents: AgentService
    builder: BuilderService
    rooms: BoardRooms
    github: GitHubRooms
    sandbox: SandboxProvider
    breakers: Breakers
    telemetry: Telemetry

    @property
    def board(self) -> BoardService:
        return self.rooms.board

    def attach(self, state: Any) -> None:
        """Put the services where each slice's endpoints look for theirs."""
        for part in fields(self):
            setattr(state, part.name, getattr(self, part.name))
        self.rooms.attach(state)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings, clock: Clock | None = None, part: Part = Part.SERVER
    ) -> AsyncGenerator[Installation]:
        """Bring data to the newest revision, take up unfinished runs, start schedules; close in reverse."""
        clock = clock or SystemClock()
        settings.home.mkdir(parents=True, exist_ok=True)
        master_keys = MasterKeys.from_settings(settings)
        if master_keys.created is not None:
            log.warning("made a master key for credentials at %s: keep a copy", master_keys.created)
        async with AsyncExitStack() as stack:
            db = Database(settings.database, synchronous=settings.sqlite_synchronous)
            stack.push_async_callback(db.close)
            await upgrade(db.url)
            secrets = SecretBox(master_keys)
            tenants = TenantService(db, settings, clock, secrets, load_jwt_key(settings))
            await tenants.bootstrap()
            skills = SkillService(db, settings.home / "skills")
            integrations = IntegrationService(db, secrets, settings, clock)
            stack.push_async_callback(integrations.close)
            handlers: dict[str, Handler] = {}
            engine = _make_engine(db, handlers, clock, settings, part)
            clock = engine.clock  # on PostgreSQL the database's, the same on every machine
            breakers = Breakers(db, clock, engine.events)
            sandbox = open_provider(settings.sandbox_provider, bwrap=settings.bubblewrap)
            models = build_models(settings, clock=clock, enclosure=SandboxEnclosure(sandbox))
            stack.push_async_callback(models.close)
            handlers |= {
                "skill": SkillStep(
                    db,
                    skills,
                    sandbox,
                    tool_box(settings, integrations, breakers, sandbox),
                    engine.artifacts,
                    engine.events,
                    models,
                    Inbox(db, clock),
                ),
                "command": CommandStep(sandbox),
                "approval": ask_for_approval,
            }
            runs = RunService(engine, settings.max_unfinished_runs, SpawnLimits.from_settings(settings))
            agents = AgentService(db, runs, skills, integrations, clock, settings, tenants=tenants)
            library = _make_library(skills, agents, integrations, engine.events)
            builder = BuilderService(
                db,
                engine.events,
                Doer(agents, integrations, LibrarySuggestions(library), Assistant(models)),
                clock,
                settings,
            )
            workspaces = open_workspaces(settings)
            stack.push_async_callback(workspaces.close)
            rooms = _make_rooms(settings, runs, skills, models, workspaces, secrets)
            github = GitHubRooms.make(
                integrations, rooms.board.commits, secrets, runs, settings.url, rooms.chain.repositories
            )
            handlers |= rooms.handlers | github.handlers
            _tell_of_connections(integrations, agents, builder)
            telemetry = Telemetry()
            if part is Part.SERVER:  # it tells of the workers' runs as well
                telemetry = await stack.enter_async_context(
                    open_telemetry(settings, engine.events, clock, admission=engine.admission)
                )
            house = cls(
                settings,
                db,
                engine,
                tenants,
                skills,
                Intake(skills),
                library,
                integrations,
                runs,
                agents,
                builder,
                rooms,
                github,
                sandbox,
                breakers,
                telemetry,
            )
            await engine.open()
            stack.push_async_callback(engine.close)
            stack.push_async_callback(_stop, asyncio.create_task(engine.admission.watch(system_sampler())))
            if part is Part.WORKER:
                yield house
                return
            await library.open()
            _follow(house)
            stack.push_async_callback(rooms.close)
            for work in (
                Scheduler(agents, clock).run(),
                Poller(agents, clock).run(),
                breakers.watch_long_open(),
            ):
                stack.push_async_callback(_stop, asyncio.create_task(work))
            rooms.chain.dispatch.begin()
            yield house


def _make_engine(
    db: Database, handlers: dict[str, Handler], clock: Clock, settings: Settings, part: Part
) -> Engine:
    """The engine; what its admission decides goes into the log of the installation's own tenant."""
    telling = set[asyncio.Task[None]]()

    async def tell(event: Event) -> None:
        async with db.transaction() as session:
            await engine.events.append(session, DEFAULT_TENANT, event)

    def announce(type_: str, payload: dict[str, Any]) -> None:
        event = Event(type_, "installation", engine.clock.now(), "system:engine", payload)
        task = asyncio.create_task(tell(event))
        telling.add(task)
        task.add_done_callback(telling.discard)

    limits, thresholds = Limits.from_settings(settings), Thresholds.from_settings(settings)
    admission = Admission(limits, clock, announce, thresholds)
    drives = settings.worker_concurrency if part is Part.WORKER or settings.up_drives_runs else 0
    engine = open_engine(db, handlers, clock, settings, drives=drives, admission=admission)
    return engine


def _make_rooms(  # noqa: PLR0917 - what the board stands on
    settings: Settings,
    runs: RunService,
    skills: SkillService,
    models: ModelClient,
    workspaces: Workspaces,
    secrets: SecretBox,
) -> BoardRooms:
    """The board, with sandboxes to work in and repositories to keep what becomes of it."""
    engine = runs.engine
    sandboxes = SandboxService(
        skills.db, engine.events, engine.clock, workspaces, api_url=settings.url, box=secrets
    )
    capacity = Capacity(settings.tenant_sandboxes, settings.board_sandboxes)
    return BoardRooms.make(
        Ground(
            runs,
            sandboxes,
            skills,
            models,
            settings.home / "repositories",
            capacity,
            settings.dispatch_capabilities,
            settings.audit_command,
        )
    )


def _make_library(
    skills: SkillService, agents: AgentService, integrations: IntegrationService, events: EventLog
) -> LibraryService:
    """The public library, known to the agents that use it."""
    library = LibraryService(skills.db, skills, events, agents.clock)
    public_skills.connect(agents.launch.public, library, agents.db, agents.inbox)
    library.publishing.known_ids = partial(_ids_of_connections, integrations)
    return library


def _tell_of_connections(
    integrations: IntegrationService, agents: AgentService, builder: BuilderService
) -> None:
    """Who waits for a connection, or loses one, hears of it."""

    async def go_on(arrived: ConnectionArrived) -> None:
        await builder.tell_arrival(arrived)
        await agents.runs.resume_waiting(arrived.tenant_id, arrived.user_id, "connection")

    integrations.dependants.append(agents.agents_needing)
    integrations.on_disconnected.append(agents.activation.on_disconnected)
    integrations.on_connected.append(go_on)


def _follow(house: Installation) -> None:
    """Agents hear of their runs, and the board and GitHub of what happens on it."""
    events, agents = house.engine.events, house.agents
    events.subscribe("agents.finished", ["run.finished"], agents.on_run_finished)
    events.subscribe("agents.waiting", ["run.waiting"], agents.on_run_waiting)
    events.subscribe("agents.fires", ["run.finished"], agents.fires.on_run_finished)
    house.rooms.follow()
    house.github.follow()


async def _ids_of_connections(integrations: IntegrationService, actor: Actor) -> list[tuple[str, str]]:
    """What must not be published with a skill: ids of the actor's connections and workspaces."""
    if not actor.may("integration:view"):
        return []
    found, _ = await integrations.list_connections(actor)
    ids = [(connection.id, "id of a connection") for connection in found]
    workspaces = {connection.workspace_id for connection in found}
    return ids + [(text, "id of a workspace") for text in sorted(workspaces) if any(map(str.isdigit, text))]


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
