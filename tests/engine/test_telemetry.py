"""Metrics: counted from the log, once, with few labels, in a form Prometheus reads; nothing when off."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,  # pyright: ignore[reportUnknownVariableType]
)
from prometheus_client.parser import text_string_to_metric_families as read_text

from omniforge.core.actor import Actor
from omniforge.core.clock import SystemClock
from omniforge.core.config import Settings
from omniforge.core.errors import Fatal, ProviderError, Retryable
from omniforge.db import Database
from omniforge.engine.active import Handler, StepCall
from omniforge.engine.breakers import Breakers
from omniforge.engine.embedded import EmbeddedEngine
from omniforge.engine.events import Event, EventLog
from omniforge.engine.plan import Plan, Retry, Step
from omniforge.engine.state import StepResult, Waiting
from omniforge.engine.telemetry import open_telemetry
from omniforge.engine.telemetry.gauges import Gauge
from omniforge.engine.telemetry.metrics import MAX_VALUES, Metrics
from omniforge.runs.service import RunService, StartRequest


class House:
    """An engine with one step kind, `do`; what it does stands in `script` under the step's key."""

    def __init__(self, db: Database, home: Path) -> None:
        self.script: dict[str, Callable[[StepCall], Awaitable[Any]]] = {}
        handlers: dict[str, Handler] = {"do": self._do}
        self.engine = EmbeddedEngine(db, handlers, SystemClock(), home, slots=8)
        self.runs = RunService(self.engine, max_unfinished=1000)
        self.settings = Settings(home=home, metrics_enabled=True)

    async def _do(self, call: StepCall) -> Any:
        act = self.script.get(call.step.key)
        return StepResult(output=1) if act is None else await act(call)

    async def finish(self, actor: Actor, *steps: Step, **request: Any) -> str:
        run_id = await self.runs.start_run(actor, StartRequest(plan=Plan(steps), subject="test:1", **request))
        async with asyncio.timeout(20):
            await self.runs.wait_for(actor, run_id)
        return run_id

    def telemetry(self, *gauges: Gauge):
        engine = self.engine
        return open_telemetry(
            self.settings, engine.events, engine.clock, admission=engine.admission, gauges=gauges
        )


@pytest.fixture
async def house(database: Database, tmp_path: Path):
    made = House(database, tmp_path)
    await made.engine.open()
    yield made
    await made.engine.close()


def step(key: str, *needs: str, **more: Any) -> Step:
    return Step(key=key, kind="do", needs=needs, **more)


async def figures(metrics: Metrics | None) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample, as Prometheus reads it."""
    assert metrics is not None
    text, media_type = await metrics.exposition()
    assert media_type.startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in read_text(text.decode())
        for sample in family.samples
    }


def key(name: str, /, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return f"omniforge_{name}", frozenset(labels.items())


async def test_a_run_shows_in_the_figures_at_once(house: House, actor: Actor) -> None:
    async with house.telemetry() as telemetry:
        await house.finish(actor, step("a"), step("b", "a"))
        seen = await figures(telemetry.metrics)
    assert seen[key("runs_total", status="completed")] == 1
    assert seen[key("runs_started_total", trigger="on_demand")] == 1
    assert seen[key("run_seconds_count", status="completed")] == 1
    assert seen[key("step_seconds_count", kind="do", status="completed")] == 2
    assert seen[key("step_seconds_bucket", kind="do", status="completed", le="+Inf")] == 2
    assert seen[key("events_total", type="step.completed")] == 2
    assert seen[key("queue_depth")] == 0
    assert seen[key("runs_active", status="running")] == 0
    assert seen[key("slots_free")] == seen[key("slots_limit")] == 8
    assert seen[key("slots_waiting")] == seen[key("slots_held")] == 0
    assert seen["process_resident_memory_bytes", frozenset()] > 0


async def test_each_end_of_an_attempt_has_its_own_status(house: House, actor: Actor) -> None:
    async def fail_once(call: StepCall) -> StepResult:
        if call.attempt == 1:
            raise Retryable("not yet")
        raise Fatal("never")

    async def ask(_call: StepCall) -> Waiting:
        return Waiting("approval")

    house.script |= {"shaky": fail_once, "ask": ask}
    async with house.telemetry() as telemetry:
        await house.finish(actor, step("shaky", retry=Retry(attempts=2, delay=0.001)))
        waiting = await house.finish(actor, step("ask"))
        seen = await figures(telemetry.metrics)
        assert seen[key("step_seconds_count", kind="do", status="retried")] == 1
        assert seen[key("step_seconds_count", kind="do", status="failed")] == 1
        assert seen[key("step_seconds_count", kind="do", status="waiting")] == 1
        assert key("step_seconds_count", kind="do", status="completed") not in seen
        assert seen[key("runs_total", status="failed")] == 1
        assert seen[key("runs_active", status="waiting")] == 1
        assert waiting


async def test_events_count_once_however_often_somebody_looks(house: House, actor: Actor) -> None:
    async with house.telemetry() as telemetry:
        await house.finish(actor, step("a"))
        await asyncio.gather(*(figures(telemetry.metrics) for _ in range(5)))
        await house.finish(actor, step("a"))
        seen = await figures(telemetry.metrics)
    assert seen[key("runs_total", status="completed")] == 2
    assert seen[key("step_seconds_count", kind="do", status="completed")] == 2


async def test_a_process_that_comes_up_counts_from_zero(house: House, actor: Actor) -> None:
    async with house.telemetry():
        await house.finish(actor, step("a"))
    async with house.telemetry() as telemetry:
        assert key("runs_total", status="completed") not in await figures(telemetry.metrics)
        await house.finish(actor, step("a"))
        assert (await figures(telemetry.metrics))[key("runs_total", status="completed")] == 1


async def test_an_event_that_cannot_be_counted_does_not_stop_the_count(house: House, actor: Actor) -> None:
    odd = [
        Event("step.completed", "step:run_x/a", datetime.now(UTC), "x", {"text": "y" * 20_000}, "run_x"),
        Event("step.started", "step:run_x/a", datetime.now(UTC), "x", {"attempt": "one"}, "run_x"),
        Event("run.finished", "run:run_x", datetime.now(UTC), "x", {"status": {"no": 1}}, "run_x"),
        Event("model.called", "step:run_x/a", datetime.now(UTC), "x", {"input_tokens": -3}, "run_x"),
    ]
    async with house.telemetry() as telemetry:
        async with house.engine.events.db.transaction() as session:
            await house.engine.events.append(session, "default", *odd)
        await house.finish(actor, step("a"))
        seen = await figures(telemetry.metrics)
    assert seen[key("runs_total", status="completed")] == 1
    assert seen[key("runs_total", status="unknown")] == 1
    assert seen[key("model_tokens_total", model="unknown", direction="input")] == 0


async def test_tokens_tools_and_effects_are_counted_by_name(house: House, actor: Actor) -> None:
    async def work(call: StepCall) -> StepResult:
        told = {"provider": "local", "model": "tiny-1", "input_tokens": 120, "output_tokens": 30}
        await call.emit("model.called", {**told, "seconds": 0.5})
        await call.emit("model.called", {**told, "code": "rate_limited", "output_tokens": 0})
        await call.emit("tool.called", {"tool": "Http", "summary": "fetch"})
        await call.emit("effect.recorded", {"tool": "notion.create_page", "key": "k/1", "held": False})
        await call.emit("effect.recorded", {"tool": "notion.create_page", "key": "k/2", "held": True})
        failed = {"tool": "notion.create_page", "key": "k/3", "code": "timeout", "outcome_unknown": True}
        await call.emit("effect.failed", failed)
        return StepResult(output=1)

    house.script["work"] = work
    async with house.telemetry() as telemetry:
        await house.finish(actor, step("work"))
        seen = await figures(telemetry.metrics)
    assert seen[key("model_tokens_total", model="tiny-1", direction="input")] == 240
    assert seen[key("model_tokens_total", model="tiny-1", direction="output")] == 30
    assert seen[key("model_calls_total", model="tiny-1", outcome="answered")] == 1
    assert seen[key("model_calls_total", model="tiny-1", outcome="failed")] == 1
    assert seen[key("tool_calls_total", tool="Http")] == 1
    for outcome in ("done", "held", "unknown"):
        assert seen[key("effects_total", tool="notion.create_page", outcome=outcome)] == 1


async def test_the_lag_of_schedules_is_from_due_to_start(house: House, actor: Actor) -> None:
    due = datetime.now(UTC) - timedelta(seconds=30)
    async with house.telemetry() as telemetry:
        await house.finish(actor, step("a"), trigger_type="scheduled", logical_time=due)
        await house.finish(actor, step("a"), logical_time=due)
        seen = await figures(telemetry.metrics)
    assert seen[key("schedule_lag_seconds_count")] == 1
    assert 29 < seen[key("schedule_lag_seconds_sum")] < 120
    assert seen[key("schedule_lag_seconds_bucket", le="15.0")] == 0


async def test_labels_stay_few_and_plain_whatever_is_told(house: House, actor: Actor) -> None:
    async def shout(call: StepCall) -> StepResult:
        for number in range(MAX_VALUES + 20):
            await call.emit("tool.called", {"tool": f"t{number}"})
        for bad in ('evil"} 1\n', "", "x" * 200, "ключ"):
            await call.emit("tool.called", {"tool": bad})
        return StepResult(output=1)

    house.script["shout"] = shout
    async with house.telemetry() as telemetry:
        run_id = await house.finish(actor, step("shout"))
        seen = await figures(telemetry.metrics)
    tools = {dict(labels)["tool"] for name, labels in seen if name == "omniforge_tool_calls_total"}
    assert len(tools) == MAX_VALUES + 1
    assert seen[key("tool_calls_total", tool="other")] == 24
    said = {value for _, labels in seen for _, value in labels}
    assert not said & {run_id, actor.tenant_id, actor.user_id}


async def test_breakers_show_their_worst_state_among_the_tenants(house: House) -> None:
    engine = house.engine
    breakers = Breakers(engine.events.db, engine.clock, engine.events)
    for tenant, failures in (("one", 3), ("two", 1)):
        for _ in range(failures):
            with pytest.raises(ProviderError):
                async with breakers.watch(tenant, "integration:notion"):
                    raise ProviderError("It is down.", retryable=True)
    async with house.telemetry() as telemetry:
        assert (await figures(telemetry.metrics))[key("breaker_state", name="integration:notion")] == 2


async def test_further_gauges_are_looked_up_when_somebody_asks(house: House) -> None:
    asked: list[int] = []

    async def depth() -> Mapping[str, float]:
        asked.append(1)
        return {"slow": 3.0, "quick": len(asked)}

    async with house.telemetry(Gauge("omniforge_mail_depth", "Mails.", depth, "lane")) as telemetry:
        await figures(telemetry.metrics)
        seen = await figures(telemetry.metrics)
    assert (seen[key("mail_depth", lane="slow")], seen[key("mail_depth", lane="quick")]) == (3, 2)
    assert len(asked) == 2


async def test_openmetrics_is_spoken_to_those_who_ask_for_it(house: House, actor: Actor) -> None:
    async with house.telemetry() as telemetry:
        await house.finish(actor, step("a"))
        assert telemetry.metrics is not None
        text, media_type = await telemetry.metrics.exposition("application/openmetrics-text; version=1.0.0")
    assert media_type.startswith("application/openmetrics-text")
    families = {family.name: family.type for family in read_openmetrics(text.decode())}
    assert families["omniforge_runs"] == "counter"
    assert families["omniforge_step_seconds"] == "histogram"
    assert families["omniforge_queue_depth"] == "gauge"


async def test_off_means_that_nothing_is_subscribed(database: Database, tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    log = EventLog(database)
    async with open_telemetry(Settings(home=tmp_path), log, SystemClock()) as telemetry:
        assert telemetry.metrics is None
        assert telemetry.traces is None
        assert asyncio.all_tasks() == before


OFF = """
import asyncio, sys
from pathlib import Path
import omniforge.bootstrap
from omniforge.core.clock import SystemClock
from omniforge.core.config import Settings
from omniforge.db import Database
from omniforge.engine.events import EventLog
from omniforge.engine.telemetry import open_telemetry

async def main():
    home = Path(sys.argv[1])
    db = Database(f"sqlite+aiosqlite:///{home / 'x.db'}")
    async with open_telemetry(Settings(home=home), EventLog(db), SystemClock()):
        pass
    await db.close()

asyncio.run(main())
ours = [name for name in sys.modules if name.startswith("omniforge.engine.telemetry.")]
never = ("prometheus_client", "opentelemetry.sdk", "opentelemetry.exporter")
print([name for name in never if name in sys.modules] + ours)
"""

MISSING = """
import asyncio, sys
from pathlib import Path
sys.modules["opentelemetry"] = None
from omniforge.core.clock import SystemClock
from omniforge.core.config import Settings
from omniforge.db import Database
from omniforge.engine.events import EventLog
from omniforge.core.errors import Unavailable
from omniforge.engine.telemetry import open_telemetry

async def main():
    home = Path(sys.argv[1])
    db = Database(f"sqlite+aiosqlite:///{home / 'x.db'}")
    await db.create_tables()
    settings = Settings(home=home, otel_endpoint="http://localhost:4318")
    try:
        async with open_telemetry(settings, EventLog(db), SystemClock()):
            print("open")
    except Unavailable as error:
        print(error)
    await db.close()

asyncio.run(main())
"""


def said_by(program: str, home: Path) -> str:
    command = [sys.executable, "-c", program, str(home)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_off_means_that_nothing_is_imported(tmp_path: Path) -> None:
    assert said_by(OFF, tmp_path) == "[]"


def test_an_endpoint_without_the_extra_says_what_to_install(tmp_path: Path) -> None:
    assert "pip install 'omniforge[telemetry]'" in said_by(MISSING, tmp_path)
