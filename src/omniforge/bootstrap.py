"""Composition root: builds every service of an installation, plugs in step handlers and subscribers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from omniforge.agents.service import AgentService
from omniforge.agents.triggers import Scheduler
from omniforge.builder.requests import Doer
from omniforge.builder.service import BuilderService
from omniforge.core.clock import Clock, SystemClock
from omniforge.core.config import Settings
from omniforge.core.crypto import MasterKeys
from omniforge.db import Database
from omniforge.db.migrate import upgrade
from omniforge.engine.active import Handler
from omniforge.engine.embedded import EmbeddedEngine
from omniforge.integrations.service import IntegrationService
from omniforge.integrations.signin import ConnectionArrived
from omniforge.runs.service import RunService
from omniforge.runtime.steps.approval import ask_for_approval
from omniforge.runtime.steps.command import CommandStep
from omniforge.runtime.steps.skill import SkillStep
from omniforge.runtime.tools import tool_box
from omniforge.sandboxes import SandboxProvider, open_provider
from omniforge.skills.service import SkillService
from omniforge.tenants.auth import load_jwt_key
from omniforge.tenants.secrets import SecretBox
from omniforge.tenants.service import TenantService

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Installation:
    """Every service of one installation, open and running."""

    settings: Settings
    db: Database
    engine: EmbeddedEngine
    tenants: TenantService
    skills: SkillService
    integrations: IntegrationService
    runs: RunService
    agents: AgentService
    builder: BuilderService
    sandbox: SandboxProvider

    def attach(self, state: Any) -> None:
        """Put the services where each slice's endpoints look for theirs."""
        for name in ("tenants", "skills", "integrations", "runs", "agents", "builder", "sandbox"):
            setattr(state, name, getattr(self, name))

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings, clock: Clock | None = None) -> AsyncGenerator[Installation]:
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
            engine = EmbeddedEngine(db, handlers, clock, settings.home, slots=settings.max_active_steps)
            sandbox = open_provider(settings.sandbox_provider, bwrap=settings.bubblewrap)
            handlers |= {
                "skill": SkillStep(
                    db, skills, sandbox, tool_box(settings, integrations), engine.artifacts, engine.events
                ),
                "command": CommandStep(sandbox),
                "approval": ask_for_approval,
            }
            runs = RunService(engine, settings.max_unfinished_runs)
            agents = AgentService(db, runs, skills, integrations, clock, settings, tenants=tenants)
            builder = BuilderService(db, engine.events, Doer(agents, integrations), clock, settings)
            integrations.dependants.append(agents.agents_needing)
            integrations.on_disconnected.append(agents.activation.on_disconnected)

            async def go_on(arrived: ConnectionArrived) -> None:
                await runs.resume_waiting(arrived.tenant_id, arrived.user_id, "connection")

            integrations.on_connected.append(go_on)
            house = cls(settings, db, engine, tenants, skills, integrations, runs, agents, builder, sandbox)
            await engine.open()
            stack.push_async_callback(engine.close)
            engine.events.subscribe("agents.finished", ["run.finished"], agents.on_run_finished)
            engine.events.subscribe("agents.waiting", ["run.waiting"], agents.on_run_waiting)
            scheduler = asyncio.create_task(Scheduler(agents, clock).run())
            stack.push_async_callback(_stop, scheduler)
            yield house


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
