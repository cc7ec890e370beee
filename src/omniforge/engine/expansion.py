"""Composite steps: what for_each and subplan become, and the output of a step that became many (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from omniforge.engine.plan import SUBPLAN, Plan, Step, plan_from
from omniforge.engine.state import Scope


def steps_for_items(step: Step, scope: Scope, items: Sequence[Any]) -> tuple[list[Step], list[Scope]]:
    """One step per item, `key[0]`, `key[1]`, …, each seeing its `item` and `index`."""
    steps = [
        replace(step, key=f"{step.key}[{index}]", needs=(), join="all", when=None, for_each=None)
        for index in range(len(items))
    ]
    scopes = [replace(scope, loop={"item": item, "index": index}) for index, item in enumerate(items)]
    return steps, scopes


def steps_of_subplan(step: Step, inputs: Mapping[str, Any]) -> tuple[list[Step], list[Scope]]:
    """The subplan's steps under `key/`; their `input` is what the step's inputs gave."""
    prefix = f"{step.key}/"
    plan = subplan_of(step)
    scope = Scope(prefix=prefix, input=inputs)
    steps = [
        replace(inner, key=prefix + inner.key, needs=tuple(prefix + need for need in inner.needs))
        for inner in plan.steps
    ]
    return steps, [scope] * len(steps)


def subplan_of(step: Step) -> Plan:
    return plan_from(cast("Mapping[str, Any]", step.args["plan"]))


def step_named(plan: Plan, key: str) -> Step:
    """The step that a key such as `a[3]/b` comes from, as its plan or subplan has it."""
    *outer, last = (part.partition("[")[0] for part in key.split("/"))
    for name in outer:
        plan = subplan_of(plan.by_key[name])
    return plan.by_key[last]


def gathered(step: Step, keys: Sequence[str], sinks: Sequence[str], outputs: Mapping[str, Any]) -> Any:
    """The outputs in order for a for_each; for a subplan that of its last step, or of each of several."""
    if step.for_each is not None:
        return [outputs.get(key) for key in keys]
    if len(sinks) == 1:
        return outputs.get(sinks[0])
    return {key.rpartition("/")[2]: outputs.get(key) for key in sinks}


def is_plain(step: Step) -> bool:
    """Whether a step starts without a look at anything but its needs."""
    return step.when is None and step.for_each is None and step.join == "all" and step.kind != SUBPLAN


def root_of(key: str) -> str:
    """The plan's own step that a step such as `key[3]/inner` belongs to."""
    return key.partition("/")[0].partition("[")[0]
