"""Prometheus metrics: counted from the event log, behind the backs of those who write it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from sqlalchemy import select

from omniforge.engine.store import RunRow
from omniforge.engine.telemetry.gauges import Gauge
from omniforge.engine.telemetry.reading import Line, LogReader, number_of, text_of

MAX_VALUES = 100
"""Values one label may take; the rest is counted as `other`, so that nobody can flood what scrapes us."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@+-]{0,79}", re.ASCII)
_STEP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600)
_RUN_SECONDS = (0.05, 0.25, 1, 5, 15, 60, 300, 900, 3600, 6 * 3600, 86400)
_LAG_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15, 60, 300, 3600)

ATTEMPT_ENDS = {
    "step.completed": "completed",
    "step.failed": "failed",
    "step.retried": "retried",
    "step.waiting": "waiting",
    "step.skipped": "skipped",
    "step.cancelled": "cancelled",
}
TOLD = (
    *ATTEMPT_ENDS,
    *("run.queued", "run.finished", "step.started"),
    *("effect.recorded", "effect.failed", "tool.called", "model.called"),
)
"""Events whose payload is looked at."""


class Names:
    """Keeps a label's values few: whatever is no name, or one too many, becomes `other`."""

    def __init__(self) -> None:
        self._seen: dict[str, set[str]] = {}

    def kept(self, label: str, value: str | None) -> str:
        if value is None:
            return "unknown"
        seen = self._seen.setdefault(label, set())
        if value in seen:
            return value
        if len(seen) >= MAX_VALUES or _NAME.fullmatch(value) is None:
            return "other"
        seen.add(value)
        return value


class Times(NamedTuple):
    """When a run was due, and when it was made."""

    due: datetime
    made: datetime


class Counts:
    """What the events add up to since this process came up."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(name, about, labels, namespace="omniforge", registry=registry)

        def histogram(name: str, about: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(name, about, labels, namespace="omniforge", buckets=buckets, registry=registry)

        self.names = Names()
        self.events = counter("events", "Events written to the log.", "type")
        self.started = counter("runs_started", "Runs that were started.", "trigger")
        self.runs = counter("runs", "Runs that ended.", "status")
        self.run_seconds = histogram("run_seconds", "From start to end of a run.", _RUN_SECONDS, "status")
        self.step_seconds = histogram(
            "step_seconds", "Attempts of steps, from start to end.", _STEP_SECONDS, "kind", "status"
        )
        about = "From the time a scheduled run was due to its start."
        self.lag = histogram("schedule_lag_seconds", about, _LAG_SECONDS)
        self.effects = counter("effects", "Writes to other services.", "tool", "outcome")
        self.tools = counter("tool_calls", "Calls of tools that only read.", "tool")
        self.models = counter("model_calls", "Calls of language models.", "model", "outcome")
        self.tokens = counter("model_tokens", "Tokens of language models.", "model", "direction")
        self._open: dict[str, dict[tuple[str, int], tuple[str, datetime]]] = {}

    def count(self, line: Line, times: Times | None = None) -> None:
        """Add one event. A field that is missing is counted as `unknown`, never refused."""
        self.events.labels(self.names.kept("type", line.type)).inc()
        if line.payload is None:
            return
        facts = line.facts()
        match line.type:
            case "run.queued":
                trigger = self.names.kept("trigger", text_of(facts, "trigger_type"))
                self.started.labels(trigger).inc()
                if trigger == "scheduled" and times is not None:
                    self.lag.observe(_seconds(times.due, times.made))
            case "run.finished":
                self._open.pop(line.run_id or "", None)
                status = self.names.kept("status", text_of(facts, "status"))
                self.runs.labels(status).inc()
                if times is not None:
                    self.run_seconds.labels(status).observe(
                        _seconds(times.made, datetime.fromisoformat(line.at))
                    )
            case "effect.recorded" | "effect.failed":
                self._effect(line.type, facts)
            case "tool.called":
                self.tools.labels(self.names.kept("tool", text_of(facts, "tool"))).inc()
            case "model.called":
                self._model(facts)
            case _:
                self._attempt(line, facts)

    def _attempt(self, line: Line, facts: dict[str, Any]) -> None:
        """An attempt is measured when both its ends were seen; one that began before this process was not."""
        step, attempt = line.step, number_of(facts, "attempt")
        if line.run_id is None or step is None:
            return
        at = datetime.fromisoformat(line.at)
        of_run = self._open.setdefault(line.run_id, {})
        if line.type == "step.started":
            kind = self.names.kept("kind", text_of(facts, "kind"))
            of_run[step, int(attempt or 0)] = (kind, at)
            return
        place = (step, int(attempt)) if attempt is not None else _newest(of_run, step)
        began = of_run.pop(place, None) if place is not None else None
        if began is not None:
            kind, start = began
            self.step_seconds.labels(kind, ATTEMPT_ENDS[line.type]).observe(_seconds(start, at))

    def _effect(self, type_: str, facts: dict[str, Any]) -> None:
        outcome = "done" if type_ == "effect.recorded" else "failed"
        if facts.get("held"):
            outcome = "held"
        elif facts.get("outcome_unknown"):
            outcome = "unknown"
        self.effects.labels(self.names.kept("tool", text_of(facts, "tool")), outcome).inc()

    def _model(self, facts: dict[str, Any]) -> None:
        model = self.names.kept("model", text_of(facts, "model"))
        outcome = "failed" if facts.get("code") else "answered"
        self.models.labels(model, outcome).inc()
        for direction in ("input", "output"):
            self.tokens.labels(model, direction).inc(number_of(facts, f"{direction}_tokens") or 0)


def _seconds(start: datetime, end: datetime) -> float:
    """Never less than none: clocks are set back now and then."""
    return max(0.0, (end - start).total_seconds())


def _newest(attempts: Iterable[tuple[str, int]], step: str) -> tuple[str, int] | None:
    return max((place for place in attempts if place[0] == step), default=None)


class _Levels(Collector):
    """The gauges as they were read for this answer."""

    def __init__(self) -> None:
        self.families: list[Metric] = []

    def collect(self) -> Iterator[Metric]:
        yield from self.families


class Metrics:
    """All figures of this installation, as Prometheus reads them.

    Counts begin at zero with the process, as Prometheus expects, with the first event after `begin`.
    """

    def __init__(self, reader: LogReader, gauges: Sequence[Gauge]) -> None:
        self.reader = reader
        self.gauges = gauges
        self._registry = CollectorRegistry()
        self._counts = Counts(self._registry)
        self._levels = _Levels()
        self._registry.register(self._levels)
        ProcessCollector(registry=self._registry)
        self._position = 0
        self._turn = asyncio.Lock()

    async def begin(self) -> None:
        """From now on events count."""
        self._position = await self.reader.newest()

    async def catch_up(self) -> None:
        """Count what has been committed since the last time; every event once."""
        async with self._turn:
            while lines := await self.reader.after(self._position, TOLD):
                await self._take(lines)
                await asyncio.sleep(0)  # a long log must not hold up everybody else

    async def _take(self, lines: Sequence[Line]) -> None:
        """Ask the database first: from then on nothing can fail half-way and be counted again."""
        times = await self._times(lines)
        for line in lines:
            self._position = line.position
            self._counts.count(line, times.get(line.run_id))

    async def _times(self, lines: Sequence[Line]) -> dict[str | None, Times]:
        """Of the runs that began or ended in these lines."""
        ids = {line.run_id for line in lines if line.type in ("run.queued", "run.finished")}
        query = select(RunRow.id, RunRow.logical_time, RunRow.created_at).where(RunRow.id.in_(ids - {None}))
        if not ids:
            return {}
        async with self.reader.db.read() as session:
            rows = (await session.execute(query)).all()
        return {
            run_id: Times(datetime.fromisoformat(due), datetime.fromisoformat(made))
            for run_id, due, made in rows
        }

    async def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """The answer to a scrape, exact up to this moment, and its media type as the Accept header wants."""
        await self.catch_up()
        families: list[Metric] = []
        for gauge in self.gauges:
            labels = () if gauge.label is None else (gauge.label,)
            family = GaugeMetricFamily(gauge.name, gauge.about, labels=labels)
            for value, level in (await gauge.level()).items():
                family.add_metric([value] if labels else [], level)
            families.append(family)
        self._levels.families = families
        encode, media_type = choose_encoder(accept)
        return encode(self._registry), media_type
