"""The runs of the storm: five steps in several shapes, their handlers, and what each must give."""

from __future__ import annotations

import asyncio
import random

from chaos.deaths import Boundary, Death
from chaos.outside import Outside, Told
from omniforge.engine.active import Handler, StepCall
from omniforge.engine.plan import Plan, Step
from omniforge.engine.state import StepResult

STEPS = 5
TENANTS = 4
LAST = f"s{STEPS - 1}"


def _step(key: str, *needs: str, after: str | None = None) -> Step:
    inputs = {need: f"${{{need}.output}}" for need in needs}
    return Step(key=key, kind="work", needs=(*needs, *([after] if after else [])), inputs=inputs)


def _chain() -> Plan:
    return Plan((_step("s0"), *(_step(f"s{n}", f"s{n - 1}") for n in range(1, STEPS))))


def _diamond() -> Plan:
    middle = (_step("s1", "s0"), _step("s2", "s0"), _step("s3", "s0"))
    return Plan((_step("s0"), *middle, _step("s4", "s1", "s2", "s3")))


def _rest() -> Plan:
    rest = Step(key="s2", kind="wait", needs=("s1",), args={"seconds": 0.15})
    return Plan((_step("s0"), _step("s1", "s0"), rest, _step("s3", "s1", after="s2"), _step("s4", "s3")))


_SHAPES = (_chain(), _diamond(), _chain(), _diamond(), _rest())


def resting(nth: int) -> int:
    """Number of a run that is parked for a while, beyond those that are started in order."""
    return 1_000_000 + nth * len(_SHAPES) + len(_SHAPES) - 1


def plan_of(number: int) -> Plan:
    return _SHAPES[number % len(_SHAPES)]


def tenant_of(number: int) -> str:
    return f"tenant{number % TENANTS}"


def key_of(number: int) -> str:
    """Its idempotency key."""
    return f"run-{number}"


def expected_output(number: int) -> list[str]:
    """What the last step gives: every step that worked on the way to it."""
    by_key = {step.key: step for step in plan_of(number).steps}
    seen: set[str] = set()
    open_keys = [LAST]
    while open_keys:
        key = open_keys.pop()
        if key not in seen:
            seen.add(key)
            open_keys += by_key[key].inputs
    return sorted(seen)


def handlers(death: Death, outside: Outside, seconds: tuple[float, float]) -> dict[str, Handler]:
    """`work` takes this long, tells the outside, and dies where it is to."""

    async def work(call: StepCall) -> StepResult:
        death.at(Boundary.BEFORE_HANDLER)
        outside.tell(Told.BEGIN, call.idempotency_key, call.attempt)
        await asyncio.sleep(random.uniform(*seconds) / 2)
        death.at(Boundary.INSIDE_HANDLER)
        outside.tell(Told.EFFECT, call.idempotency_key, call.attempt)
        await asyncio.sleep(random.uniform(*seconds) / 2)
        death.at(Boundary.AFTER_HANDLER)
        seen = {call.step.key}.union(*call.inputs.values())
        return StepResult(output=sorted(seen))

    return {"work": work}
