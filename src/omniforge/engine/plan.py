"""Plan and Step: the immutable DAG that everything runs as, its graph, its JSON and its hash (pure)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal, cast

PLAN_VERSION = 2
SUBPLAN, WAIT = "subplan", "wait"
BUILT_IN = frozenset({SUBPLAN, WAIT})
"""Kinds that the engine does itself."""


class OnError(StrEnum):
    """What a step's final failure means for its run; `retry`: `stop`, after three attempts or as told."""

    STOP = "stop"
    SKIP = "skip"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Retry:
    """When and how often a failed attempt is repeated. Delays in seconds, growing by `factor`.

    ladder: follow the whole recovery catalogue (simpler prompts, repairs, other providers), in its bounds.
    partial: an incomplete result will do, with a warning, when the ladder comes to that.
    """

    attempts: int = 1
    delay: float = 1.0
    factor: float = 2.0
    max_delay: float = 60.0
    jitter: float = 0.2
    ladder: bool = False
    partial: bool = False


PLAIN_RETRY = Retry()


@dataclass(frozen=True, slots=True)
class Resources:
    """What a step holds while it runs: slots, memory (a hint, MB), a place at a provider or sandbox host.

    fallbacks: providers to turn to when that one is down, in order.
    """

    slots: int = 1
    memory_mb: int | None = None
    provider: str | None = None
    model: str | None = None
    sandbox: bool = False
    fallbacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that may be used: model tokens, money (USD). None: no bound."""

    tokens: int | None = None
    money: float | None = None


NO_BUDGET = Budget()
PLAIN_RESOURCES = Resources()


@dataclass(frozen=True, slots=True)
class Action:
    """Something a handler does beside the steps: the undoing of a step, or the question whether it happened.

    probe: asked first when nobody knows whether the step's effect happened; gives `{"happened": bool}`.
    """

    kind: str
    args: Mapping[str, Any] = field(default_factory=dict[str, Any])
    inputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    retry: Retry = Retry(attempts=3)
    timeout: float | None = 60.0
    probe: Action | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One node of a plan.

    kind: the handler that does it (skill, command, approval, …); `wait` and `subplan` are built in.
    args: constant arguments of the handler, JSON.
    inputs: values that may hold templates `${key.output.path}`, `${input.path}`; under for_each `${item}`
        and `${index}` too.
    needs: keys of steps that must be over before this one starts.
    join: "all": needs that were skipped count as over; "any" or a number n: at least one, or n, of the needs
        must have completed, else this step is skipped too. It never starts before all needs are over, so
        what it sees does not depend on timing.
    when: CEL over `input` and `steps`; false → skipped.
    for_each: CEL that gives a list; the step is done once per item as `key[0]`, `key[1]`, …, and its output
        is the list of their outputs, in order. More than max_items fail it.
    timeout: seconds for one attempt, None for no limit.
    compensate: how to undo this step when the run fails later.
    effects: what it may write outside, declared, e.g. `notion.append_blocks`.
    priority: larger goes first where slots are short.
    """

    key: str
    kind: str
    args: Mapping[str, Any] = field(default_factory=dict[str, Any])
    inputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    needs: tuple[str, ...] = ()
    join: Literal["all", "any"] | int = "all"
    when: str | None = None
    for_each: str | None = None
    max_items: int = 1000
    on_error: OnError = OnError.STOP
    retry: Retry = PLAIN_RETRY
    timeout: float | None = 300.0
    compensate: Action | None = None
    effects: tuple[str, ...] = ()
    priority: int = 0
    resources: Resources = PLAIN_RESOURCES
    budget: Budget = NO_BUDGET

    @property
    def is_composite(self) -> bool:
        """Whether it expands into steps of its own instead of being handled."""
        return self.for_each is not None or self.kind == SUBPLAN


@dataclass(frozen=True, slots=True)
class Graph:
    """Who waits for whom, by places in the plan: lists of numbers, for plans of 100,000 steps.

    children: place → places of the steps that need it, None for none. missing: place → how many needs.
    order: topological; shorter than the plan when there is a cycle. dangling: (place, need that is no step).
    """

    place: dict[str, int]
    children: list[list[int] | None]
    missing: list[int]
    order: list[int]
    dangling: list[tuple[int, str]]


@dataclass(frozen=True)
class Plan:
    """An immutable DAG of steps.

    effects_expected: a run in which no effect happens is `no_effect`.
    fail_fast: when a step fails, stop the others at once instead of letting those under way finish.
    estimate: seconds; a run that takes twice as long is paused for a person to decide.
    """

    steps: tuple[Step, ...]
    effects_expected: bool = False
    fail_fast: bool = False
    estimate: float | None = None
    budget: Budget = NO_BUDGET
    version: int = PLAN_VERSION

    def to_json(self) -> str:
        """Canonical JSON: equal plans give equal text."""
        return self._json

    @cached_property
    def _json(self) -> str:
        return json.dumps(_plain(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @cached_property
    def hash(self) -> str:
        return hashlib.sha256(self._json.encode()).hexdigest()

    @cached_property
    def graph(self) -> Graph:
        """Its edges both ways and a topological order. Linear in steps and needs."""
        steps = self.steps
        place = dict(zip([step.key for step in steps], range(len(steps)), strict=True))
        children: list[list[int] | None] = [None] * len(steps)
        missing = [0] * len(steps)
        dangling: list[tuple[int, str]] = []
        for number, step in enumerate(steps):
            needs = step.needs
            if not needs:
                continue
            missing[number] = len(needs)
            for need in needs:
                parent = place.get(need)
                if parent is None:
                    dangling.append((number, need))
                elif (known := children[parent]) is None:
                    children[parent] = [number]
                else:
                    known.append(number)
        return Graph(place, children, missing, _order(children, missing), dangling)

    def children_of(self, key: str) -> list[str]:
        """Keys of the steps that need this one."""
        graph = self.graph
        return [self.steps[child].key for child in graph.children[graph.place[key]] or ()]

    @cached_property
    def by_key(self) -> dict[str, Step]:
        return {step.key: step for step in self.steps}

    @cached_property
    def reads(self) -> dict[str, frozenset[str]]:
        """Filled as it is asked for: key → the steps that step sees, needed ones and those it refers to."""
        return {}

    @cached_property
    def sinks(self) -> tuple[str, ...]:
        """Keys of the steps that nobody needs."""
        children = self.graph.children
        return tuple(step.key for number, step in enumerate(self.steps) if children[number] is None)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        return plan_from(json.loads(text))


def _order(children: list[list[int] | None], missing: list[int]) -> list[int]:
    """Kahn's algorithm (1962)."""
    left = missing.copy()
    order = [number for number, count in enumerate(left) if not count]
    for number in order:  # grows while it is walked
        for child in children[number] or ():
            left[child] -= 1
            if not left[child]:
                order.append(child)
    return order


def waves(plan: Plan) -> list[list[str]]:
    """The steps by dependency: each wave holds what is ready once the waves before are over."""
    graph = plan.graph
    depth = [0] * len(plan.steps)
    found: list[list[str]] = []
    for number in graph.order:
        step = plan.steps[number]
        level = max((depth[graph.place[need]] + 1 for need in step.needs), default=0)
        depth[number] = level
        if level == len(found):
            found.append([])
        found[level].append(step.key)
    return found


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan as a JSON object with every field."""
    return asdict(plan)


def _plain(value: Any) -> Any:
    """Dataclasses as objects without what has its default; tuples as lists."""
    if isinstance(value, Plan | Step | Action | Retry | Resources | Budget):
        made: dict[str, Any] = {}
        for part in fields(value):
            held = getattr(value, part.name)
            if part.default is MISSING:
                default = part.default_factory() if part.default_factory is not MISSING else MISSING
            else:
                default = part.default
            if part.name == "version" or held != default:
                made[part.name] = _plain(held)
        return made
    if isinstance(value, tuple):
        return [_plain(part) for part in cast("tuple[Any, ...]", value)]
    return value


def plan_from(raw: Mapping[str, Any]) -> Plan:
    """A plan from its JSON object. KeyError, TypeError or ValueError when it has not a plan's shape."""
    given = dict(raw)
    given["steps"] = tuple(step_from(item) for item in raw["steps"])
    if "budget" in given:
        given["budget"] = Budget(**given["budget"])
    return Plan(**given)


def step_from(raw: Mapping[str, Any]) -> Step:
    """A step from its JSON object; errors as `plan_from`."""
    given = dict(raw)
    for name in ("needs", "effects"):
        if name in given:
            given[name] = tuple(given[name])
    if "on_error" in given:
        given["on_error"] = OnError(given["on_error"])
    if "retry" in given:
        given["retry"] = Retry(**given["retry"])
    if "resources" in given:
        wanted: dict[str, Any] = dict(given["resources"])
        wanted["fallbacks"] = tuple(wanted.get("fallbacks", ()))
        given["resources"] = Resources(**wanted)
    if "budget" in given:
        given["budget"] = Budget(**given["budget"])
    if given.get("compensate") is not None:
        given["compensate"] = _action_from(given["compensate"])
    return Step(**given)


def _action_from(raw: Mapping[str, Any]) -> Action:
    given = dict(raw)
    if "retry" in given:
        given["retry"] = Retry(**given["retry"])
    if given.get("probe") is not None:
        given["probe"] = _action_from(given["probe"])
    return Action(**given)
