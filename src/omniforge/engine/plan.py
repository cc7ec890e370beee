"""Plan and Step: the immutable DAG that everything runs as, its validation and its hash (pure)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

from omniforge.core.errors import Invalid
from omniforge.engine import templates

PLAN_VERSION = 1
MAX_STEPS = 100_000


class OnError(StrEnum):
    """What a step's final failure means for its run."""

    STOP = "stop"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Retry:
    """When and how often a failed attempt is repeated. Delays in seconds, growing by `factor`."""

    attempts: int = 1
    delay: float = 1.0
    factor: float = 2.0
    max_delay: float = 60.0
    jitter: float = 0.2


@dataclass(frozen=True, slots=True)
class Step:
    """One node of a plan.

    kind: the handler that does it (skill, command, approval, …).
    args: constant arguments of the handler, JSON.
    inputs: values that may hold templates `${key.output.path}`, `${input.path}`.
    needs: keys of steps that must be over before this one starts.
    join: "all": needs that were skipped count as over; "any": at least one need must have completed, else
        this step is skipped too.
    when: CEL over `input` and `steps`; false → skipped.
    timeout: seconds for one attempt, None for no limit.
    """

    key: str
    kind: str
    args: Mapping[str, Any] = field(default_factory=dict[str, Any])
    inputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    needs: tuple[str, ...] = ()
    join: Literal["all", "any"] = "all"
    when: str | None = None
    on_error: OnError = OnError.STOP
    retry: Retry = Retry()
    timeout: float | None = 300.0


@dataclass(frozen=True, slots=True)
class Plan:
    """An immutable DAG of steps. `effects_expected`: a run in which no effect happens is `no_effect`."""

    steps: tuple[Step, ...]
    effects_expected: bool = False
    version: int = PLAN_VERSION

    def to_json(self) -> str:
        """Canonical JSON: equal plans give equal text."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @classmethod
    def from_json(cls, text: str) -> Plan:
        raw = json.loads(text)
        steps: list[Step] = []
        for item in raw["steps"]:
            fields: dict[str, Any] = dict(item)
            fields["needs"] = tuple(item["needs"])
            fields["on_error"] = OnError(item["on_error"])
            fields["retry"] = Retry(**item["retry"])
            steps.append(Step(**fields))
        return cls(steps=tuple(steps), effects_expected=raw["effects_expected"], version=raw["version"])


def children_of(plan: Plan) -> dict[str, list[str]]:
    """Key → keys of the steps that need it."""
    children: dict[str, list[str]] = {step.key: [] for step in plan.steps}
    for step in plan.steps:
        for need in step.needs:
            children[need].append(step.key)
    return children


def waves(plan: Plan) -> list[list[str]]:
    """The steps by dependency: each wave holds what is ready once the waves before are over."""
    children = children_of(plan)
    missing = {step.key: len(step.needs) for step in plan.steps}
    wave = [key for key, count in missing.items() if count == 0]
    found: list[list[str]] = []
    while wave:
        found.append(wave)
        ready: list[str] = []
        for key in wave:
            for child in children[key]:
                missing[child] -= 1
                if missing[child] == 0:
                    ready.append(child)
        wave = ready
    return found


def validate_plan(plan: Plan, kinds: Iterable[str] | None = None) -> None:
    """Raise `Invalid` listing every mistake; nothing is stored of a plan that does not pass."""
    mistakes: list[dict[str, Any]] = []
    if not plan.steps:
        mistakes.append(_mistake("steps", 0, "a plan has at least one step"))
    if len(plan.steps) > MAX_STEPS:
        mistakes.append(_mistake("steps", len(plan.steps), f"at most {MAX_STEPS} steps"))
    known = set[str]()
    known_kinds = None if kinds is None else frozenset(kinds)
    for index, step in enumerate(plan.steps):
        if step.key in known:
            mistakes.append(_mistake(f"steps[{index}].key", step.key, "keys are unique in a plan"))
        known.add(step.key)
        mistakes += _step_mistakes(index, step, known_kinds)
    for index, step in enumerate(plan.steps):
        mistakes += [
            _mistake(f"steps[{index}].needs", need, "names a step of this plan")
            for need in step.needs
            if need not in known
        ]
    if not mistakes:
        mistakes += _cycle_mistakes(plan)
    if not mistakes:
        mistakes += _reference_mistakes(plan)
    if mistakes:
        first = mistakes[0]
        raise Invalid(
            f"This plan cannot run: {first['field']} ({first['value']!r}): {first['rule']}.",
            code="invalid_plan",
            fields=mistakes,
        )


def _mistake(where: str, value: Any, rule: str) -> dict[str, Any]:
    return {"field": where, "value": value, "rule": rule}


def _step_mistakes(index: int, step: Step, kinds: frozenset[str] | None) -> list[dict[str, Any]]:
    at = f"steps[{index}]"
    found: list[dict[str, Any]] = []
    if not templates.KEY.fullmatch(step.key):
        found.append(_mistake(f"{at}.key", step.key, "letters, digits, '-' and '_', at most 128"))
    if kinds is not None and step.kind not in kinds:
        found.append(_mistake(f"{at}.kind", step.kind, f"one of {', '.join(sorted(kinds))}"))
    if step.timeout is not None and step.timeout <= 0:
        found.append(_mistake(f"{at}.timeout", step.timeout, "positive seconds, or none"))
    if step.retry.attempts < 1:
        found.append(_mistake(f"{at}.retry.attempts", step.retry.attempts, "at least 1"))
    if len(set(step.needs)) != len(step.needs):
        found.append(_mistake(f"{at}.needs", list(step.needs), "names each step once"))
    return found


def _cycle_mistakes(plan: Plan) -> list[dict[str, Any]]:
    ordered = sum(len(wave) for wave in waves(plan))
    if ordered == len(plan.steps):
        return []
    path = _find_cycle({step.key: step.needs for step in plan.steps})
    return [_mistake("steps", path, f"no step waits for itself: {' → '.join(path)}")]


def _find_cycle(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """One cycle as a path whose first and last key are the same; the graph is known to have one."""
    safe = set[str]()
    for start in needs:
        path: dict[str, None] = {}
        stack: list[tuple[str, bool]] = [(start, False)]
        while stack:
            key, leaving = stack.pop()
            if leaving:
                path.pop(key)
                safe.add(key)
            elif key in path:
                keys = list(path)
                return [*keys[keys.index(key) :], key][::-1]
            elif key not in safe:
                path[key] = None
                stack.append((key, True))
                stack.extend((need, False) for need in needs[key])
    return []


def _reference_mistakes(plan: Plan) -> list[dict[str, Any]]:
    """Templates and conditions may only read what is over before their step starts."""
    found: list[dict[str, Any]] = []
    steps = {step.key: step for step in plan.steps}
    for index, step in enumerate(plan.steps):
        if not step.inputs and step.when is None:
            continue
        at = f"steps[{index}]"
        reads = [(f"{at}.inputs", name) for name in templates.references(step.inputs)]
        if step.when is not None:
            try:
                reads += [(f"{at}.when", name) for name in templates.condition_references(step.when)]
            except ValueError as error:
                found.append(_mistake(f"{at}.when", step.when, str(error)))
        if not reads:
            continue
        before = _ancestors(step, steps)
        found += [
            _mistake(where, name, "reads a step that is over before this one starts")
            for where, name in reads
            if name not in before
        ]
    return found


def _ancestors(step: Step, steps: Mapping[str, Step]) -> set[str]:
    found = set[str]()
    todo = list(step.needs)
    while todo:
        key = todo.pop()
        if key not in found:
            found.add(key)
            todo.extend(steps[key].needs)
    return found
