"""A run's events as spans: run → attempt of a step → call of a tool or model (pure).

Ids follow from what a span is about, so whoever reads the same events gets the same spans, however often.
No span carries text of people or of other services: only names, codes, numbers and ids.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from omniforge.engine.telemetry.reading import Line, number_of, text_of

PARKED = ("run.finished", "run.waiting", "run.paused")
"""After these nothing happens in the run for a while: what has ended until then is sent."""

MAX_NOTES = 100
"""Moments kept of one span."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CODE = re.compile(r"[a-z0-9][a-z0-9_.:-]{0,79}", re.ASCII)
_CODES = ("reason", "status", "code")
_NUMBERS = ("attempt", "delay", "steps")
_CHATTER = ("log.written", "step.progressed")
_BAD_ENDS = frozenset({"failed", "needs_person", "compensated"})
_ATTEMPT_ENDS = {
    "step.completed": "completed",
    "step.failed": "failed",
    "step.retried": "retried",
    "step.waiting": "waiting",
    "step.skipped": "skipped",
    "step.cancelled": "cancelled",
}
Attributes = dict[str, str | int | float | bool]


@dataclass(slots=True)
class Note:
    """Something that happened at one moment of a span."""

    name: str
    at: int
    attributes: Attributes


@dataclass(slots=True)
class Span:
    """Times are nanoseconds since 1970. `error` is a code; `follows` is (trace, span) of what led to it."""

    name: str
    trace_id: int
    span_id: int
    parent_id: int | None
    start: int
    end: int
    attributes: Attributes
    error: str | None = None
    notes: list[Note] = field(default_factory=list[Note])
    follows: tuple[int, int] | None = None
    calls: int = 0


def trace_id_of(run_id: str) -> int:
    return _digest(16, "trace", run_id)


class RunTrace:
    """Takes one run's events in their order and gives each span when it has ended.

    A run that was over and is taken up again gets one more span, below the first.
    """

    def __init__(self, run_id: str, tenant_id: str) -> None:
        self.run_id = run_id
        self.tenant_id = tenant_id
        self.trace_id = trace_id_of(run_id)
        self._about: Attributes = {}
        self._stretch = -1
        self._made = Counter[str]()
        self._run: Span | None = None
        self._steps: dict[str, Span] = {}
        """Attempts, composite steps and undoings under way."""
        self._waits: dict[str, Span] = {}
        self._effects: dict[tuple[str, str], Span] = {}

    def read(self, lines: Iterable[Line], after: int = 0) -> list[Span]:
        """Spans that end with these events; only such that end behind the position `after`."""
        ended: list[Span] = []
        for line in lines:
            spans = self.add(line)
            if line.position > after:
                ended += spans
        return ended

    def add(self, line: Line) -> list[Span]:
        at, facts = nanoseconds(line.at), line.facts()
        run = self._run or self._begin(line, at, facts)
        key = line.step
        if line.type == "run.finished":
            return self._finish(run, at, facts)
        if key is None:
            _note(run, line.type, at, facts)
            return []
        return self._add_of_step(run, key, line.type, at, facts)

    def _add_of_step(self, run: Span, key: str, type_: str, at: int, facts: dict[str, Any]) -> list[Span]:
        match type_:
            case "step.started" | "step.expanded":
                return self._start(run, key, at, facts)
            case "step.compensating":
                lost = self._end(self._steps, key, at, "lost", "lost")
                self._steps[key] = self._child(run, f"undo {_leaf(key)}", at, key)
                return lost
            case "step.compensated" | "step.stands":
                error = "effect_stands" if type_ == "step.stands" else None
                return self._end(self._steps, key, at, type_.removeprefix("step."), error)
            case "step.answered" | "step.rejected":
                return self._end(self._waits, key, at, type_.removeprefix("step."))
            case "effect.intended" | "effect.recorded" | "effect.failed":
                return self._effect(run, key, type_, at, facts)
            case "tool.called" | "model.called":
                return [self._call(run, key, type_, at, facts)]
            case _ if type_ in _ATTEMPT_ENDS:
                return self._end_attempt(run, key, type_, at, facts)
            case _:
                if type_ not in _CHATTER:
                    _note(self._steps.get(key, run), type_, at, facts)
                return []

    # --- the run -------------------------------------------------------------------------------------------

    def _begin(self, line: Line, at: int, facts: dict[str, Any]) -> Span:
        self._stretch += 1
        if line.type == "run.queued":
            told = {
                "omniforge.run.subject": text_of(facts, "subject"),
                "omniforge.run.mode": text_of(facts, "mode"),
            }
            told["omniforge.run.trigger"] = text_of(facts, "trigger_type")
            self._about = {name: value for name, value in told.items() if value is not None}
        name = str(self._about.get("omniforge.run.subject", "")).partition(":")[0]
        span_id = _run_span_id(self.run_id, self._stretch)
        parent = _run_span_id(self.run_id, 0) if self._stretch else None
        own = {"omniforge.run.id": self.run_id, "omniforge.tenant.id": self.tenant_id}
        self._run = Span(
            f"run {name}".strip(), self.trace_id, span_id, parent, at, at, {**own, **self._about}
        )
        led_by = text_of(facts, "parent")
        if led_by is not None and line.type == "run.queued":
            self._run.follows = (trace_id_of(led_by), _run_span_id(led_by, 0))
        return self._run

    def _finish(self, run: Span, at: int, facts: dict[str, Any]) -> list[Span]:
        status = text_of(facts, "status") or "unknown"
        open_ = [*self._effects.values(), *self._waits.values(), *self._steps.values()]
        ended = [_ended(span, at, "cancelled") for span in open_]
        self._effects.clear()
        self._waits.clear()
        self._steps.clear()
        self._run = None
        error = (_error_code(facts) or status) if status in _BAD_ENDS else None
        return [*ended, _ended(run, at, status, error)]

    # --- steps ---------------------------------------------------------------------------------------------

    def _start(self, run: Span, key: str, at: int, facts: dict[str, Any]) -> list[Span]:
        ended = self._end(self._waits, key, at, "over")
        ended += self._end(self._steps, key, at, "lost", "lost")  # its process ended in the middle
        attempt = int(number_of(facts, "attempt") or 0)
        kind = text_of(facts, "kind") or "composite"
        span = self._child(run, f"{kind} {_leaf(key)}", at, key)
        span.attributes |= {"omniforge.step.kind": kind, "omniforge.step.attempt": attempt}
        self._steps[key] = span
        return ended

    def _end_attempt(self, run: Span, key: str, type_: str, at: int, facts: dict[str, Any]) -> list[Span]:
        ended = self._end(self._waits, key, at, "over")
        if key not in self._steps:
            _note(run, type_, at, facts, {"omniforge.step.key": key})
        error = None
        if type_ in ("step.failed", "step.retried") or (type_ == "step.skipped" and facts.get("error")):
            error = _error_code(facts) or "failed"
        ended += self._end(self._steps, key, at, _ATTEMPT_ENDS[type_], error)
        if type_ == "step.waiting":
            reason = _code(facts.get("reason")) or "unknown"
            self._waits[key] = self._child(run, f"wait {reason}", at, key)
        return ended

    def _child(self, run: Span, name: str, at: int, key: str) -> Span:
        container = self._steps.get(_container(key))
        parent = run if container is None else container
        self._made[key] += 1  # the log's order is fixed, so this counts the same every time
        span_id = _digest(8, self.run_id, "step", key, str(self._made[key]))
        return Span(name, self.trace_id, span_id, parent.span_id, at, at, {"omniforge.step.key": key})

    def _end(
        self, open_: dict[str, Span], key: str, at: int, outcome: str, error: str | None = None
    ) -> list[Span]:
        span = open_.pop(key, None)
        return [] if span is None else [_ended(span, at, outcome, error)]

    # --- calls ---------------------------------------------------------------------------------------------

    def _effect(self, run: Span, key: str, type_: str, at: int, facts: dict[str, Any]) -> list[Span]:
        """An effect is told before and after; one that is held back happens at one moment."""
        place = (key, text_of(facts, "key") or "")
        span = self._effects.pop(place, None)
        if span is None:
            span = self._call_span(run, key, _tool_name(facts), at)
            span.attributes |= _tool_facts(facts)
        if type_ == "effect.intended":
            self._effects[place] = span
            return []
        held = "held" if facts.get("held") else "done"
        if type_ == "effect.failed":
            return [_ended(span, at, "failed", _error_code(facts) or "failed")]
        return [_ended(span, at, held)]

    def _call(self, run: Span, key: str, type_: str, at: int, facts: dict[str, Any]) -> Span:
        """Told after the call, with how many `seconds` it took; without them it is a moment."""
        start = at - round((number_of(facts, "seconds") or 0) * 1e9)
        if type_ == "tool.called":
            span = self._call_span(run, key, _tool_name(facts), start)
            span.attributes |= _tool_facts(facts)
        else:
            model = text_of(facts, "model") or "unknown"
            span = self._call_span(run, key, f"chat {model}", start)
            span.attributes |= _model_facts(facts, model)
        code = _error_code(facts)
        return _ended(span, at, "failed" if code else "done", code)

    def _call_span(self, run: Span, key: str, name: str, at: int) -> Span:
        above = self._steps.get(key) or self._steps.get(key.partition("~")[0]) or run
        above.calls += 1
        span_id = _digest(8, self.run_id, format(above.span_id, "x"), "call", str(above.calls))
        return Span(name, self.trace_id, span_id, above.span_id, at, at, {})


def nanoseconds(at: str) -> int:
    return (datetime.fromisoformat(at) - _EPOCH) // timedelta(microseconds=1) * 1_000


def _run_span_id(run_id: str, stretch: int) -> int:
    return _digest(8, run_id, "run", str(stretch))


def _digest(size: int, *parts: str) -> int:
    text = "\x1f".join(parts).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:size], "big") or 1  # zero means "no id"


def _container(key: str) -> str:
    """The composite step that a step is inside of: `a[3]` → `a`, `a/b` → `a`; empty when there is none."""
    if key.endswith("]"):
        return key.rpartition("[")[0]
    return key.rpartition("/")[0]


def _leaf(key: str) -> str:
    """The step's own name, the same for every item of a list."""
    return re.sub(r"\[\d+\]", "", key.rpartition("/")[2])


def _ended(span: Span, at: int, outcome: str, error: str | None = None) -> Span:
    span.end = max(span.start, at)
    span.attributes["omniforge.outcome"] = outcome
    span.error = error
    return span


def _note(span: Span, name: str, at: int, facts: Mapping[str, Any], more: Attributes | None = None) -> None:
    if len(span.notes) >= MAX_NOTES:
        return
    told: Attributes = {f"omniforge.{name}": code for name in _CODES if (code := _code(facts.get(name)))}
    told |= {f"omniforge.{name}": n for name in _NUMBERS if (n := number_of(facts, name)) is not None}
    span.notes.append(Note(name, at, told | (more or {})))


def _code(value: Any) -> str | None:
    """Text that is a code; sentences may say what is nobody's business."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None


def _error_code(facts: Mapping[str, Any]) -> str | None:
    error = facts.get("error", facts)
    return _code(cast("Mapping[str, Any]", error).get("code")) if isinstance(error, Mapping) else None


def _tool_name(facts: Mapping[str, Any]) -> str:
    return f"execute_tool {text_of(facts, 'tool') or 'unknown'}"


def _tool_facts(facts: Mapping[str, Any]) -> Attributes:
    access = {"omniforge.tool.access": access} if (access := text_of(facts, "access")) else {}
    name = text_of(facts, "tool") or "unknown"
    return {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, **access}


def _model_facts(facts: Mapping[str, Any], model: str) -> Attributes:
    told: Attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": model}
    if (provider := text_of(facts, "provider")) is not None:
        told["gen_ai.provider.name"] = provider
    for direction in ("input", "output"):
        if (tokens := number_of(facts, f"{direction}_tokens")) is not None:
            told[f"gen_ai.usage.{direction}_tokens"] = int(tokens)
    return told
