"""What a plan means, said as plainly as possible: a tiny interpreter to compare the engine with (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from omniforge.core.errors import Fatal, NeedsHuman
from omniforge.engine import templates
from omniforge.engine.plan import SUBPLAN, WAIT, OnError, Plan, Step, plan_from

Seen = dict[str, dict[str, Any]]
COMPLETED, SKIPPED, FAILED, NOT_REACHED = "completed", "skipped", "failed", "not_reached"


@dataclass
class Meaning:
    """What must come of a run: every step's status and output. not_reached: a failure kept it so."""

    status: dict[str, str] = field(default_factory=dict[str, str])
    output: dict[str, Any] = field(default_factory=dict[str, Any])
    excused: set[str] = field(default_factory=set[str])
    """Skipped because they failed where that does not matter."""

    @property
    def fails(self) -> bool:
        return FAILED in self.status.values()


@dataclass(frozen=True)
class Here:
    """Where names are looked up: what stands before keys, what `input` is, `item` and `index`."""

    prefix: str
    input: Mapping[str, Any]
    loop: Mapping[str, Any]


def interpret(plan: Plan, run_input: Mapping[str, Any]) -> Meaning:
    meaning = Meaning()
    _do_all(meaning, plan.steps, Here("", run_input, {}))
    return meaning


def _do_all(meaning: Meaning, steps: Sequence[Step], here: Here) -> bool:
    """Do steps beside each other, each after its needs; whether all of them came to an end."""
    left, prefix = list(steps), here.prefix
    while left:
        step = next(one for one in left if not any(other.key in one.needs for other in left))
        left.remove(step)
        before = [meaning.status[prefix + need] for need in step.needs]
        if FAILED in before or NOT_REACHED in before:
            meaning.status[prefix + step.key] = NOT_REACHED
        else:
            _do(meaning, step, here, before)
    return all(meaning.status[prefix + step.key] in (COMPLETED, SKIPPED) for step in steps)


def _do(meaning: Meaning, step: Step, here: Here, before: Sequence[str]) -> None:
    key = here.prefix + step.key
    seen: Seen = {
        name.removeprefix(here.prefix): {"output": meaning.output.get(name), "status": status}
        for name, status in meaning.status.items()
        if name.startswith(here.prefix)
    }
    wanted = {"all": 0, "any": 1}.get(str(step.join), step.join)
    if before and before.count(COMPLETED) < int(wanted):
        meaning.status[key] = SKIPPED
        return
    try:
        if step.when is not None and not templates.is_true(step.when, here.input, seen):
            meaning.status[key] = SKIPPED
            return
        if step.for_each is None:
            done = _once(meaning, step, key, here, seen)
        else:
            items = templates.items_of(step.for_each, here.input, seen, step.max_items)
            done = _for_each(meaning, step, here, seen, items=items)
    except (Fatal, NeedsHuman) as error:
        _fail(meaning, step, key, error)
        return
    meaning.status[key] = COMPLETED if done else NOT_REACHED


def _for_each(meaning: Meaning, step: Step, here: Here, seen: Seen, *, items: Sequence[Any]) -> bool:
    key = here.prefix + step.key
    children = [f"{key}[{index}]" for index in range(len(items))]
    for index, child in enumerate(children):
        try:
            inside = replace(here, loop={"item": items[index], "index": index})
            done = _once(meaning, step, child, inside, seen)
            meaning.status[child] = COMPLETED if done else NOT_REACHED
        except (Fatal, NeedsHuman) as error:
            _fail(meaning, step, child, error)
    meaning.output[key] = [meaning.output.get(child) for child in children]
    return all(meaning.status[child] in (COMPLETED, SKIPPED) for child in children)


def _fail(meaning: Meaning, step: Step, key: str, error: Fatal | NeedsHuman) -> None:
    """What needs a person is never passed over."""
    excused = step.on_error is OnError.SKIP and isinstance(error, Fatal)
    meaning.status[key] = SKIPPED if excused else FAILED
    if excused:
        meaning.excused.add(key)


def _once(meaning: Meaning, step: Step, key: str, here: Here, seen: Seen) -> bool:
    """Do it; False when it never ends because something inside it failed. Raises when it fails itself."""
    inputs = templates.fill(step.inputs, {"input": here.input, **here.loop, **seen})
    if step.kind == SUBPLAN:
        inner = plan_from(step.args["plan"])
        done = _do_all(meaning, inner.steps, Here(f"{key}/", inputs, {}))
        outputs = {name: meaning.output.get(f"{key}/{name}") for name in inner.sinks}
        meaning.output[key] = next(iter(outputs.values())) if len(outputs) == 1 else outputs
        return done
    if step.args.get("end") == "person":
        raise NeedsHuman("as scripted")
    if step.args.get("says") == "no" or step.args.get("end", "ok") != "ok":
        raise Fatal("as scripted")
    if step.kind != WAIT:
        meaning.output[key] = output_of(step, inputs)
    return True


def output_of(step: Step, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What the handlers of the simulation return."""
    if step.kind == "ask":
        return {"n": 1, "list": [1, 2]}
    count = int(step.args["n"])
    output: dict[str, Any] = {"n": count, "list": list(range(count)), "seen": dict(inputs)}
    if step.args.get("huge"):
        output["pad"] = "x" * 70_000
    return output
