"""An installation's agents over a real engine and database; skills and connections are small ones of ours."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from any_engine import make_engine
from omniforge.agents.content import TestMode
from omniforge.agents.schemas import Agent, TestReport
from omniforge.agents.service import AgentService
from omniforge.core.actor import Actor
from omniforge.core.config import Settings
from omniforge.core.crypto import MasterKeys
from omniforge.core.errors import NotFound
from omniforge.db import Database
from omniforge.engine.active import StepCall
from omniforge.engine.state import StepResult, Waiting
from omniforge.integrations.schemas import Connection, ConnectionKind, ConnectionStatus
from omniforge.runs.service import RunService
from omniforge.tenants import SecretBox, TenantService
from omniforge.tenants.auth import load_jwt_key

Act = Callable[[StepCall], Awaitable[StepResult | Waiting]]

START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)  # a Saturday


class TurnableClock:
    """Stands still until a test turns it; sleepers wake when their time has come."""

    def __init__(self, moment: datetime = START) -> None:
        self.moment = moment
        self._turned = asyncio.Event()

    def now(self) -> datetime:
        return self.moment

    def turn_to(self, moment: datetime) -> None:
        self.moment = moment
        turned, self._turned = self._turned, asyncio.Event()
        turned.set()

    def turn(self, **by: float) -> None:
        self.turn_to(self.moment + timedelta(**by))

    async def sleep(self, seconds: float) -> None:
        until = self.moment + timedelta(seconds=seconds)
        while self.moment < until:
            await self._turned.wait()


@dataclass(frozen=True)
class Stored:
    name: str
    hash: str


class ShelfOfSkills:
    """Skills by tenant, agent and name. The content hash is that of the files."""

    def __init__(self) -> None:
        self.hashes: dict[tuple[str, str | None, str], str] = {}
        self.files: dict[tuple[str, str], dict[str, bytes]] = {}

    async def write(
        self,
        actor: Actor,
        *,
        name: str,
        files: Mapping[str, bytes],
        agent_id: str | None,
        expected_hash: str | None = None,
    ) -> Stored:
        digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
        self.hashes[actor.tenant_id, agent_id, name] = digest
        self.files[actor.tenant_id, digest] = dict(files)
        return Stored(name, digest)

    async def pin(self, actor: Actor, name: str, agent_id: str | None, source: str) -> str:
        for owner in (agent_id, None):
            found = self.hashes.get((actor.tenant_id, owner, name))
            if found:
                return found
        raise NotFound(f"There is no skill {name} here.", code="skill_not_found")

    async def snapshot(self, tenant_id: str, content_hash: str) -> dict[str, bytes]:
        try:
            return dict(self.files[tenant_id, content_hash])
        except KeyError:
            raise NotFound("There is no such version of a skill.") from None


class Titled:
    def __init__(self, title: str) -> None:
        self.title = title


class DeskOfConnections:
    """Connections by person; `status` can be changed by a test."""

    def __init__(self) -> None:
        self.catalog: dict[str, Any] = {"notion": Titled("Notion"), "slack": Titled("Slack")}
        self.connections: list[tuple[str, str, Connection]] = []

    def connect(self, actor: Actor, integration: str, connection_id: str, **more: Any) -> None:
        fields: dict[str, Any] = {
            "workspace_id": f"w-{connection_id}",
            "workspace_name": "Acme",
            "kind": ConnectionKind.OAUTH,
            "status": ConnectionStatus.HEALTHY,
            "reason": "It works.",
            "scopes": [],
            "expires_at": None,
            "last_used_at": None,
            "created_at": START,
            "updated_at": START,
        }
        made = Connection(id=connection_id, integration_id=integration, **{**fields, **more})
        self.connections.append((actor.tenant_id, actor.user_id, made))

    async def list_connections(
        self, actor: Actor, integration: str | None = None
    ) -> tuple[list[Connection], int]:
        found = [
            connection
            for tenant_id, user_id, connection in self.connections
            if (tenant_id, user_id) == (actor.tenant_id, actor.user_id)
            and integration in (None, connection.integration_id)
        ]
        return found, len(found)


class House:
    """`script` says what a skill does, by its name; `calls` keeps what was called."""

    def __init__(
        self, db: Database, home: Path, clock: TurnableClock, tenants: TenantService, settings: Settings
    ) -> None:
        self.db, self.home, self.clock = db, home, clock
        self.script: dict[str, Act] = {}
        self.calls: list[StepCall] = []
        self.skills = ShelfOfSkills()
        self.desk = DeskOfConnections()
        self.tenants = tenants
        self.engine = make_engine(db, {"skill": self._do}, home, slots=16, clock=clock)
        self.runs = RunService(self.engine, max_unfinished=1000)
        self.agents = AgentService(db, self.runs, self.skills, self.desk, clock, settings, tenants=tenants)

    async def _do(self, call: StepCall) -> StepResult | Waiting:
        self.calls.append(call)
        act = self.script.get(str(call.step.args["skill"]))
        return StepResult(output={"report": "# Weekly"}, message="Done.") if act is None else await act(call)

    async def shelve(self, actor: Actor, *names: str, text: bytes = b"---\n---\n") -> None:
        for name in names:
            await self.skills.write(actor, name=name, files={"SKILL.md": text}, agent_id=None)

    async def make(self, actor: Actor, *skills: str, **fields: Any) -> Agent:
        """A draft made of these skills (`weekly-report` when none is named), in this order."""
        names = skills or ("weekly-report",)
        await self.shelve(actor, *names)
        given = {"name": "Weekly Project Report", "skills": references(*names), **fields}
        return await self.agents.create(actor, given)

    async def tested(self, actor: Actor, agent_id: str, mode: TestMode = TestMode.DRY) -> TestReport:
        example = {"event": {"id": "t-0", "type": "example", "at": "", "resource": None, "item": {}}}
        test_id = await self.agents.start_test(actor, agent_id, mode, example)
        return await self.agents.await_test(actor, test_id, 20)

    async def switch_on(self, actor: Actor, agent_id: str) -> Agent:
        report = await self.tested(actor, agent_id)
        return await self.agents.activate(
            actor, agent_id, test_id=report.test_id, manifest_hash=report.manifest_hash
        )

    async def active(self, actor: Actor, *skills: str, **fields: Any) -> Agent:
        return await self.switch_on(actor, (await self.make(actor, *skills, **fields)).id)

    async def finish(self, actor: Actor, agent_id: str, **more: Any) -> Any:
        """Run the agent and return its execution once it is over or waits."""
        execution_id = await self.agents.start_run(actor, agent_id, **more)
        async with asyncio.timeout(20):
            await self.runs.wait_for(actor, execution_id)
        return await self.agents.executions.get(actor, execution_id)

    async def settle(self, execution_id: str, type_: str = "run.finished", times: int = 1) -> None:
        """Hand the event of a run to its subscriber, as the event log does (perhaps more than once)."""
        async with self.db.read() as session:
            tenant_id = (await _run_tenant(session, execution_id)) or "default"
        rows = await self.engine.events.read(tenant_id, run_id=execution_id, types=[type_])
        hear = {
            "run.finished": self.agents.on_run_finished,
            "run.waiting": self.agents.on_run_waiting,
        }[type_]
        for row in rows * times:
            await hear(row, tenant_id)


async def _run_tenant(session: Any, run_id: str) -> str | None:
    from sqlalchemy import text  # noqa: PLC0415

    return await session.scalar(text("SELECT tenant_id FROM runs WHERE id = :id"), {"id": run_id})


def references(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "order": order} for order, name in enumerate(names, start=1)]


def saying(result: StepResult | Waiting) -> Act:
    async def act(call: StepCall) -> StepResult | Waiting:
        return result

    return act


def failing(error: Exception) -> Act:
    async def act(call: StepCall) -> StepResult:
        raise error

    return act


def posting(*channels: str, report: str = "") -> Act:
    """A skill that posts to each of these channels, and tells so as the bridge does."""

    async def act(call: StepCall) -> StepResult:
        for number, channel in enumerate(channels, start=1):
            effect = {
                "n": number,
                "key": f"{call.idempotency_key}/{number}",
                "tool": "slack.post_message",
                "access": "send",
                "destination": {
                    "integration": "slack",
                    "connection": None,
                    "resource": channel,
                    "name": channel,
                },
                "summary": f"posts to {channel}",
                "content": {"text": "hello"},
                "content_digest": "d",
                "held": call.run.mode != "live",
            }
            await call.emit("effect.recorded", effect)
        return StepResult(
            output={"report": report} if report else {}, message="Posted.", effects=len(channels)
        )

    return act


@pytest.fixture
def clock() -> TurnableClock:
    return TurnableClock()


@pytest.fixture
async def house(database: Database, tmp_path: Path, clock: TurnableClock) -> AsyncIterator[House]:
    settings = Settings(home=tmp_path / "home")
    box = SecretBox(MasterKeys.from_settings(settings))
    tenants = TenantService(database, settings, clock, box, load_jwt_key(settings))
    await tenants.bootstrap()
    made = House(database, tmp_path, clock, tenants, settings)
    await made.engine.open()
    yield made
    await made.engine.close()
