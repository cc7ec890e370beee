"""Traces: spans of runs, steps and calls, the same ids however often; sent to OTLP, again when in doubt."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

import omniforge.engine.breakers  # noqa: F401 # pyright: ignore[reportUnusedImport] - its table is read
from omniforge.core.actor import Actor
from omniforge.core.clock import SystemClock, rfc3339
from omniforge.core.config import Settings
from omniforge.core.errors import Fatal, Invalid, Retryable
from omniforge.db import Database
from omniforge.engine.active import StepCall
from omniforge.engine.embedded import EmbeddedEngine
from omniforge.engine.events import Event
from omniforge.engine.plan import Plan, Retry, Step
from omniforge.engine.state import StepResult, Waiting
from omniforge.engine.stores import event_log
from omniforge.engine.telemetry import open_telemetry
from omniforge.engine.telemetry.otel import OtelSender, otlp_sender, read_headers
from omniforge.engine.telemetry.reading import Line
from omniforge.engine.telemetry.traces import RunTrace, Span, nanoseconds, trace_id_of
from omniforge.runs.service import RunService, StartRequest

RUN = "run_1"
Told = tuple[str, str | None, dict[str, Any]]
SECRET = "Dear Maya, the salary is 90,000"

# --- events become spans -----------------------------------------------------------------------------------


def told(*events: Told) -> list[Line]:
    """Lines of one run, a second apart: (type, key of the step, payload)."""
    start = datetime(2026, 1, 5, 8, tzinfo=UTC)
    return [
        Line(
            position=number + 1,
            tenant_id="t",
            type=type_,
            entity=f"run:{RUN}" if key is None else f"step:{RUN}/{key}",
            run_id=RUN,
            at=rfc3339(start + timedelta(seconds=number)),
            payload=json.dumps(payload),
        )
        for number, (type_, key, payload) in enumerate(events)
    ]


QUEUED: Told = ("run.queued", None, {"subject": "agent:a1", "mode": "live", "trigger_type": "on_demand"})
COMPLETED: Told = ("run.finished", None, {"status": "completed", "error": None})


def started(key: str, attempt: int = 1, kind: str = "skill") -> Told:
    return ("step.started", key, {"step": key, "kind": kind, "attempt": attempt})


def ended(key: str, how: str = "completed", attempt: int = 1, **more: Any) -> Told:
    return (f"step.{how}", key, {"step": key, "attempt": attempt, **more})


def spans_of(*events: Told) -> dict[str, Span]:
    return {span.name: span for span in RunTrace(RUN, "t").read(told(*events))}


def seconds(span: Span) -> float:
    return (span.end - span.start) / 1e9


def test_run_step_and_call_stand_above_each_other() -> None:
    spans = spans_of(
        QUEUED,
        started("report"),
        ("tool.called", "report", {"tool": "Http", "seconds": 0.5}),
        ("model.called", "report", {"model": "m-1", "input_tokens": 9, "output_tokens": 3, "seconds": 0.25}),
        ended("report"),
        COMPLETED,
    )
    run, step = spans["run agent"], spans["skill report"]
    tool, model = spans["execute_tool Http"], spans["chat m-1"]
    assert run.parent_id is None
    assert step.parent_id == run.span_id
    assert tool.parent_id == model.parent_id == step.span_id
    assert [seconds(span) for span in (run, step, tool, model)] == [5, 3, 0.5, 0.25]
    assert {span.trace_id for span in spans.values()} == {trace_id_of(RUN)}
    assert run.attributes["omniforge.run.subject"] == "agent:a1"
    assert step.attributes["omniforge.step.key"] == "report"
    assert model.attributes["gen_ai.usage.output_tokens"] == 3


def test_an_effect_lasts_from_its_intention_to_its_record() -> None:
    effect = {"tool": "notion.create_page", "key": "k/1", "access": "write", "held": False}
    spans = spans_of(
        QUEUED,
        started("a"),
        ("effect.intended", "a", effect),
        ("effect.intended", "a", {**effect, "tool": "mail.send", "key": "k/2"}),
        ("effect.failed", "a", {**effect, "tool": "mail.send", "key": "k/2", "code": "timeout"}),
        ("effect.recorded", "a", effect),
        ("effect.recorded", "a", {**effect, "tool": "slack.post", "key": "k/3", "held": True}),
        ended("a"),
    )
    assert seconds(spans["execute_tool notion.create_page"]) == 3
    assert spans["execute_tool mail.send"].error == "timeout"
    assert seconds(spans["execute_tool slack.post"]) == 0
    assert spans["execute_tool slack.post"].attributes["omniforge.outcome"] == "held"


def test_every_attempt_is_a_span_and_a_lost_one_says_so() -> None:
    trace = RunTrace(RUN, "t")
    spans = trace.read(
        told(
            QUEUED,
            started("a", 1),
            ended("a", "retried", 1, error={"code": "service_down", "message": SECRET}),
            started("a", 2),
            started("a", 3),
            ended("a", "failed", 3, error={"code": "bad_plan"}),
            ("run.finished", None, {"status": "failed", "error": {"code": "bad_plan", "step": "a"}}),
        )
    )
    told_of = [(span.attributes.get("omniforge.step.attempt"), span.error) for span in spans]
    assert told_of == [(1, "service_down"), (2, "lost"), (3, "bad_plan"), (None, "bad_plan")]
    assert len({span.span_id for span in spans}) == 4


def test_inner_steps_stand_below_what_they_are_part_of() -> None:
    spans = RunTrace(RUN, "t").read(
        told(
            QUEUED,
            ("step.expanded", "each", {"step": "each", "steps": 2}),
            started("each[0]"),
            ("step.expanded", "each[1]", {"step": "each[1]", "steps": 1}),
            started("each[1]/deep"),
            ended("each[0]"),
            ended("each[1]/deep"),
            ended("each[1]"),
            ended("each"),
            COMPLETED,
        )
    )
    by_key = {str(span.attributes.get("omniforge.step.key", "run")): span for span in spans}
    above = {key: span.parent_id for key, span in by_key.items()}
    assert above["each"] == by_key["run"].span_id
    assert above["each[0]"] == above["each[1]"] == by_key["each"].span_id
    assert above["each[1]/deep"] == by_key["each[1]"].span_id
    assert by_key["each[0]"].name == "skill each"


def test_waiting_is_no_work_and_undoing_is() -> None:
    spans = spans_of(
        QUEUED,
        started("ask"),
        ("step.waiting", "ask", {"step": "ask", "reason": "approval", "text": SECRET}),
        ("run.waiting", None, {"waiting_for": {"ask": "approval"}}),
        ("step.answered", "ask", {"step": "ask"}),
        ("step.compensating", "pay", {"step": "pay"}),
        ("tool.called", "pay~undo", {"tool": "bank.refund"}),
        ("step.compensated", "pay", {"step": "pay", "happened": True}),
        ("run.finished", None, {"status": "compensated", "error": {"code": "no_funds"}}),
    )
    assert seconds(spans["skill ask"]) == 1
    assert seconds(spans["wait approval"]) == 2
    assert spans["execute_tool bank.refund"].parent_id == spans["undo pay"].span_id
    assert spans["run agent"].error == "no_funds"


def test_a_run_that_is_retried_goes_on_in_the_same_trace() -> None:
    lines = told(
        QUEUED,
        ("run.finished", None, {"status": "failed", "error": {"code": "x"}}),
        ("run.retried", None, {"steps": ["a"]}),
        started("a", 2),
        ended("a", attempt=2),
        COMPLETED,
    )
    first, step, again = RunTrace(RUN, "t").read(lines)
    assert (first.parent_id, again.parent_id, step.parent_id) == (None, first.span_id, again.span_id)
    assert [span.span_id for span in RunTrace(RUN, "t").read(lines, after=2)] == [step.span_id, again.span_id]


def test_a_run_that_another_started_points_to_it() -> None:
    led_by = {**QUEUED[2], "parent": "run_0"}
    spans = spans_of(("run.queued", None, led_by), COMPLETED)
    parent = RunTrace("run_0", "t")
    (root,) = parent.read(
        [
            Line(1, "t", "run.queued", "run:run_0", "run_0", "2026-01-05T08:00:00.000Z", "{}"),
            Line(2, "t", "run.finished", "run:run_0", "run_0", "2026-01-05T08:00:00.000Z", "{}"),
        ]
    )
    assert spans["run agent"].follows == (root.trace_id, root.span_id)


def test_nothing_that_people_or_services_wrote_is_in_a_span() -> None:
    spans = RunTrace(RUN, "t").read(
        told(
            QUEUED,
            started("a"),
            ("tool.called", "a", {"tool": "Http", "summary": SECRET}),
            ("effect.recorded", "a", {"tool": "x", "key": "1", "summary": SECRET, "content": SECRET}),
            ("log.written", "a", {"text": SECRET}),
            ("agent.replied", "a", {"text": SECRET, "reason": SECRET}),
            ended("a", "failed", error={"code": SECRET, "message": SECRET}),
            ("run.paused", None, {"reason": SECRET}),
            ("run.finished", None, {"status": "failed", "error": {"code": "c", "message": SECRET}}),
        )
    )
    assert "Maya" not in repr(spans)
    assert any(note.name == "agent.replied" for span in spans for note in span.notes)


EVENTS: list[Told] = [
    *(started(key, n) for key in ("a", "a[1]", "b/c") for n in (1, 2)),
    *(ended(key, how) for key in ("a", "a[1]") for how in ("completed", "retried", "waiting", "skipped")),
    *((type_, "a", {}) for type_ in ("step.answered", "step.compensating", "step.stands", "odd.thing")),
    *((type_, "a", {"key": "k"}) for type_ in ("effect.intended", "effect.recorded", "tool.called")),
    *((type_, None, {}) for type_ in ("run.waiting", "run.finished", "run.retried")),
    ("step.expanded", "a", {"truncated": True}),
]


@given(st.lists(st.sampled_from(EVENTS), max_size=30))
def test_whatever_the_log_tells_the_spans_form_trees(events: list[Told]) -> None:
    lines = told(QUEUED, *events, COMPLETED)
    spans = RunTrace(RUN, "t").read(lines)
    ids = [span.span_id for span in spans]
    assert spans == RunTrace(RUN, "t").read(lines)
    assert len(set(ids)) == len(ids)
    assert {span.parent_id for span in spans} - {None} <= set(ids)
    assert sum(span.parent_id is None for span in spans) == 1
    begin, end = nanoseconds(lines[0].at), nanoseconds(lines[-1].at)
    assert all(begin <= span.start <= span.end <= end for span in spans)


# --- spans are sent ----------------------------------------------------------------------------------------


class House:
    """An engine with the step kind `do`, and an exporter that keeps what it is given."""

    def __init__(self, db: Database, home: Path) -> None:
        self.script: dict[str, Callable[[StepCall], Awaitable[Any]]] = {}
        self.engine = EmbeddedEngine(db, {"do": self._do}, SystemClock(), home, slots=8)
        self.runs = RunService(self.engine, max_unfinished=1000)
        self.settings = Settings(home=home)
        self.exporter = InMemorySpanExporter()

    async def _do(self, call: StepCall) -> Any:
        act = self.script.get(call.step.key)
        return StepResult(output=1) if act is None else await act(call)

    async def finish(self, actor: Actor, *steps: Step) -> str:
        run_id = await self.runs.start_run(actor, StartRequest(plan=Plan(steps), subject="test:1"))
        async with asyncio.timeout(20):
            await self.runs.wait_for(actor, run_id)
        return run_id

    def telemetry(self, sender: Any = None, settings: Settings | None = None):
        sender = sender or OtelSender(self.exporter, "omniforge")
        engine = self.engine
        return open_telemetry(settings or self.settings, engine.events, engine.clock, sender=sender)

    def sent(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())


@pytest.fixture
async def house(database: Database, tmp_path: Path):
    made = House(database, tmp_path)
    await made.engine.open()
    yield made
    await made.engine.close()


def step(key: str, *needs: str, **more: Any) -> Step:
    return Step(key=key, kind="do", needs=needs, **more)


class Flaky:
    """A collector that is down for a while; keeps ids and names of what it took."""

    def __init__(self, down: int = 0) -> None:
        self.down = down
        self.offered: list[list[int]] = []
        self.took: list[Span] = []

    def send(self, spans: Sequence[Span]) -> bool:
        self.offered.append([span.span_id for span in spans])
        if len(self.offered) <= self.down:
            return False
        self.took += spans
        return True

    def close(self) -> None:
        pass


async def test_a_run_becomes_a_trace(house: House, actor: Actor) -> None:
    async def shaky(call: StepCall) -> StepResult:
        await call.emit("tool.called", {"tool": "Http", "seconds": 0.001})
        if call.attempt == 1:
            raise Retryable(SECRET)
        return StepResult(output=1)

    house.script["b"] = shaky
    async with house.telemetry():
        run_id = await house.finish(actor, step("a"), step("b", "a", retry=Retry(attempts=2, delay=0.001)))
    spans = house.sent()
    named = sorted(span.name for span in spans)
    assert named == ["do a", "do b", "do b", *["execute_tool Http"] * 2, "run test"]
    run = next(span for span in spans if span.name == "run test")
    assert run.context is not None
    assert run.parent is None
    assert run.context.trace_id == trace_id_of(run_id)
    assert run.attributes is not None
    assert run.attributes["omniforge.run.id"] == run_id
    assert run.attributes["omniforge.tenant.id"] == actor.tenant_id
    assert run.resource.attributes["service.name"] == "omniforge"
    steps = [span for span in spans if span.name.startswith("do")]
    assert {span.parent.span_id for span in steps if span.parent} == {run.context.span_id}
    bad = [span for span in steps if span.status.status_code is StatusCode.ERROR]
    assert [(span.attributes or {})["omniforge.outcome"] for span in bad] == ["retried"]
    assert "Maya" not in "".join(span.to_json() for span in spans)
    assert run.start_time is not None
    assert run.end_time is not None
    assert abs(run.end_time / 1e9 - datetime.now(UTC).timestamp()) < 60
    for span in steps:
        assert span.start_time is not None
        assert span.end_time is not None
        assert run.start_time <= span.start_time <= span.end_time <= run.end_time


async def test_runs_of_before_are_not_sent(house: House, actor: Actor) -> None:
    await house.finish(actor, step("a"))
    async with house.telemetry():
        pass
    assert house.sent() == []


async def test_what_a_collector_did_not_take_is_sent_at_the_next_start(house: House, actor: Actor) -> None:
    down = Flaky(down=1_000)
    async with house.telemetry(down):
        run_id = await house.finish(actor, step("a"))
    assert down.took == []
    assert down.offered
    up = Flaky()
    async with house.telemetry(up):
        pass
    assert [span.name for span in up.took] == ["do a", "run test"]
    assert {span.trace_id for span in up.took} == {trace_id_of(run_id)}
    assert [span.span_id for span in up.took] == down.offered[0]
    async with house.telemetry(up):
        pass
    assert len(up.took) == 2


async def test_a_collector_that_was_down_gets_everything_later(house: House, actor: Actor) -> None:
    collector = Flaky(down=1)
    async with house.telemetry(collector) as telemetry:
        await house.finish(actor, step("a"))
        assert telemetry.traces is not None
        while not collector.took:
            await asyncio.sleep(0.02)
    assert collector.offered[0] == collector.offered[1]


async def test_a_run_that_rests_is_sent_in_parts_and_no_part_twice(house: House, actor: Actor) -> None:
    async def ask(_call: StepCall) -> Waiting:
        return Waiting("approval")

    house.script["ask"] = ask
    collector = Flaky()
    async with house.telemetry(collector) as telemetry:
        run_id = await house.finish(actor, step("ask"), step("then", "ask"))
        assert telemetry.traces is not None
        await telemetry.traces.catch_up()
        assert [span.name for span in collector.took] == ["do ask"]
        await house.engine.control.answer(actor.tenant_id, run_id, "ask", "user:x", StepResult(output=1))
        async with asyncio.timeout(20):
            await house.runs.wait_for(actor, run_id)
            while (await house.runs.get_run(actor, run_id)).run.status != "completed":
                await asyncio.sleep(0.01)
    assert [span.name for span in collector.took] == ["do ask", "wait approval", "do then", "run test"]
    assert len({span.span_id for span in collector.took}) == 4


async def test_many_spans_go_out_in_several_requests(house: House, actor: Actor) -> None:
    collector = Flaky()
    async with house.telemetry(collector):
        await house.finish(actor, *(step(f"s{n}") for n in range(700)))
    assert len(collector.took) == 701
    assert [len(offered) for offered in collector.offered] == [500, 201]


async def test_a_part_of_the_runs_can_be_traced(house: House, actor: Actor) -> None:
    collector = Flaky()
    async with house.telemetry(collector, Settings(home=house.settings.home, otel_sample=0)):
        await house.finish(actor, step("a"))
    assert collector.offered == []
    half = Flaky()
    async with house.telemetry(half, Settings(home=house.settings.home, otel_sample=0.5)):
        runs = [await house.finish(actor, step("a")) for _ in range(20)]
    wanted = {trace_id_of(run) for run in runs if trace_id_of(run) & (2**64 - 1) < 2**63}
    assert {span.trace_id for span in half.took} == wanted


@pytest.mark.both_stores
async def test_both_stores_are_read_the_same_way(database: Database, tmp_path: Path) -> None:
    log, collector = event_log(database), Flaky()
    settings = Settings(home=tmp_path, metrics_enabled=True)

    async def tell(*events: Told) -> None:
        async with database.transaction() as session:
            for line, (type_, _, payload) in zip(told(*events), events, strict=True):
                at = datetime.now(UTC)
                await log.append(session, "t", Event(type_, line.entity, at, "system:engine", payload, RUN))

    await tell(QUEUED, started("old"), COMPLETED)
    async with open_telemetry(settings, log, SystemClock(), sender=collector) as telemetry:
        await tell(("run.retried", None, {}), started("a"), ended("a"), COMPLETED)
        assert telemetry.metrics is not None
        figures, _ = await telemetry.metrics.exposition()
    assert [span.name for span in collector.took] == ["skill a", "run agent"]
    assert b'omniforge_runs_total{status="completed"} 1.0' in figures
    assert b'omniforge_step_seconds_count{kind="skill",status="completed"} 1.0' in figures
    assert b"omniforge_queue_depth 0.0" in figures


# --- over the wire -----------------------------------------------------------------------------------------


class Collector(HTTPServer):
    """Receives OTLP over HTTP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.requests: list[tuple[str, str | None, ExportTraceServiceRequest]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Collector  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = ExportTraceServiceRequest.FromString(body)
        self.server.requests.append((self.path, self.headers["x-team"], request))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by the base class
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def test_otlp_over_http_arrives(house: House, actor: Actor, collector: Collector) -> None:
    async def fail(_call: StepCall) -> StepResult:
        raise Fatal(SECRET, code="bad_plan")

    house.script["b"] = fail
    settings = Settings(
        home=house.settings.home,
        otel_endpoint=collector.url,  # pyright: ignore[reportArgumentType]
        otel_headers="x-team=blue%20team",  # pyright: ignore[reportArgumentType]
        otel_service_name="forge-7",
    )
    async with open_telemetry(settings, house.engine.events, house.engine.clock):
        run_id = await house.finish(actor, step("a"), step("b", "a"))
    ((path, team, request),) = collector.requests
    assert (path, team) == ("/v1/traces", "blue team")
    (resource,) = request.resource_spans
    named = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
    assert named["service.name"] == "forge-7"
    spans = {span.name: span for scope in resource.scope_spans for span in scope.spans}
    assert set(spans) == {"run test", "do a", "do b"}
    assert spans["do a"].parent_span_id == spans["run test"].span_id
    assert {span.trace_id for span in spans.values()} == {trace_id_of(run_id).to_bytes(16, "big")}
    assert (spans["do b"].status.code, spans["do b"].status.message) == (2, "bad_plan")


async def test_a_collector_that_is_not_there_holds_nothing_up(house: House, actor: Actor) -> None:
    settings = Settings(home=house.settings.home, otel_endpoint="http://127.0.0.1:9")  # pyright: ignore[reportArgumentType]
    async with open_telemetry(settings, house.engine.events, house.engine.clock):
        run_id = await house.finish(actor, step("a"))
    assert (await house.runs.get_run(actor, run_id)).run.status == "completed"


def test_headers_are_read_as_opentelemetry_writes_them(tmp_path: Path) -> None:
    assert read_headers("Authorization=Basic%20abc=, x-a = 1,") == {"authorization": "Basic abc=", "x-a": "1"}
    settings = Settings(home=tmp_path, otel_endpoint="http://localhost:1", otel_headers="hush")  # pyright: ignore[reportArgumentType]
    with pytest.raises(Invalid) as refused:
        otlp_sender(settings)
    assert "hush" not in str(refused.value)
