"""Random plans whose steps say themselves how they will behave, so that what must come of them is known."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from omniforge.engine.plan import SUBPLAN, WAIT, Action, Budget, OnError, Plan, Resources, Retry, Step

FINAL_FAILURES = ("busy", "fatal", "bug", "bad_output", "wrong_type", "person", "hang")
TRANSIENT = ("busy", "busy", "slow_down", "hang")
KINDS = ("do", "ask", "connect", "undo", "probe")


def random_plan(rng: random.Random) -> Plan:
    """A plan of up to about fifteen steps, with everything a plan may hold, that is valid."""
    most = rng.choice((2, 4, 6, 9, 14))
    steps = _steps(rng, rng.randint(1, most), depth=0, gloom=rng.choice((0.0, 0.0, 0.05, 0.2)))
    budget = Budget(tokens=rng.randint(5, 60)) if rng.random() < 0.04 else Budget()
    return Plan(
        tuple(steps),
        effects_expected=rng.random() < 0.15,
        fail_fast=rng.random() < 0.3,
        estimate=float(rng.randint(20, 500)) if rng.random() < 0.06 else None,
        budget=budget,
    )


def random_input(rng: random.Random) -> dict[str, Any]:
    return {"n": rng.randint(0, 4), "rows": [{"id": number} for number in range(rng.randint(0, 4))]}


def _steps(rng: random.Random, count: int, depth: int, gloom: float) -> list[Step]:
    """Steps in topological order, then shuffled: a plan need not be written in order."""
    made: list[Step] = []
    for index in range(count):
        before = [step.key for step in made]
        needs = tuple(rng.sample(before, min(len(before), rng.choice((0, 1, 1, 2, 3)))))
        made.append(_step(rng, f"s{index}", needs, depth, gloom))
    rng.shuffle(made)
    return made


def _step(rng: random.Random, key: str, needs: tuple[str, ...], depth: int, gloom: float) -> Step:
    kind = rng.choices(("do", WAIT, "ask", "connect", SUBPLAN), (80, 5, 5, 3, 6 if depth < 2 else 0))[0]
    step = replace(_of_kind(rng, kind, key, depth, gloom), needs=needs)
    step = replace(step, inputs={**step.inputs, **_inputs(rng, needs)})
    if needs and rng.random() < 0.2:
        step = replace(step, join=rng.choice(("any", rng.randint(1, len(needs)))))
    if rng.random() < 0.15:
        step = replace(step, when=_condition(rng, needs))
    if kind != WAIT and rng.random() < 0.12:
        step = replace(step, for_each=_list(rng, needs), max_items=rng.choice((2, 5, 1000)))
        step = replace(step, inputs={**step.inputs, "item": "${item}", "at": "number ${index}"})
    if rng.random() < 0.25:
        step = replace(step, on_error=rng.choice((OnError.SKIP, OnError.SKIP, OnError.RETRY)))
    return replace(step, priority=rng.choice((0, 0, 0, 5)))


def _of_kind(rng: random.Random, kind: str, key: str, depth: int, gloom: float) -> Step:
    match kind:
        case "wait":
            return Step(key, kind, {"seconds": rng.choice((0.5, 30, 4000, 90_000))})
        case "ask":
            return Step(key, kind, {"says": "no" if rng.random() < gloom else "yes"})
        case "connect":
            return Step(key, kind, {"n": rng.randint(0, 3)})
        case "subplan":
            inner = Plan(tuple(_steps(rng, rng.randint(1, 3), depth + 1, gloom)))
            return Step(key, kind, {"plan": _raw(inner)}, {"n": rng.randint(0, 3), "rows": "${input.rows}"})
        case _:
            return _doing(rng, key, gloom)


def _doing(rng: random.Random, key: str, gloom: float) -> Step:
    """A step of a handler: first what passes by itself, then how it ends, the same every time."""
    attempts = rng.choice((1, 1, 2, 3, 5))
    transient = rng.choices(TRANSIENT, k=rng.randint(0, attempts - 1)) if rng.random() < 0.4 else []
    end = rng.choice(FINAL_FAILURES) if rng.random() < gloom else "ok"
    args: dict[str, Any] = {
        "transient": transient,
        "end": end,
        "took": round(rng.choice((0.0, 0.0, 0.1, 3.0, 20.0)) * rng.random(), 3),
        "n": rng.randint(0, 3),
        "effect": rng.random() < 0.4,
        "emits": rng.choice((0, 0, 0, 1, 3)),
    }
    for name, odds in (("huge", 0.03), ("empty", 0.1), ("rude", 0.04), ("late", 0.06), ("stop", 0.01)):
        if rng.random() < odds:
            args[name] = True
    return Step(
        key,
        "do",
        args,
        retry=Retry(attempts, delay=rng.choice((0.0, 1.0, 30.0)), max_delay=120.0),
        timeout=rng.choice((60.0, 300.0)),
        compensate=_compensation(rng) if rng.random() < 0.3 else None,
        effects=("world.write",) if args["effect"] else (),
        resources=Resources(slots=rng.choice((1, 1, 1, 2)), provider=rng.choice((None, None, "acme"))),
    )


def _compensation(rng: random.Random) -> Action:
    probe = None
    if rng.random() < 0.7:
        says = rng.choice(("truth", "truth", "truth", "nonsense", "fatal"))
        probe = Action("probe", {"says": says, "transient": rng.choice((0, 0, 1))})
    end = rng.choice(("ok", "ok", "ok", "ok", "fatal", "hang"))
    return Action("undo", {"transient": rng.choice((0, 0, 1, 2)), "end": end}, probe=probe)


def _inputs(rng: random.Random, needs: tuple[str, ...]) -> Mapping[str, Any]:
    seen: dict[str, Any] = {}
    for need in needs:
        if rng.random() < 0.5:
            seen[need] = rng.choice(
                (f"${{{need}.output.n}}", f"${{{need}.status}}", f"so: ${{{need}.output.list}}")
            )
    return seen


def _condition(rng: random.Random, needs: tuple[str, ...]) -> str:
    choices = ["true", "input.n > 1", "input.n < 2"]
    for need in needs[:1]:
        choices += [f'steps.{need}.status == "completed"', f'steps["{need}"].status != "skipped"']
        choices += [f"steps.{need}.output.n > 1"] if rng.random() < 0.2 else []
    return rng.choice(choices)


def _list(rng: random.Random, needs: tuple[str, ...]) -> str:
    choices = ["[1, 2, 3]", "input.rows", "[]", "[7]"]
    if needs and rng.random() < 0.3:
        choices.append(f"steps.{needs[0]}.output.list")
    return rng.choice(choices)


def _raw(plan: Plan) -> dict[str, Any]:
    """The plan as a subplan step carries it."""
    return json.loads(plan.to_json())
