"""What has to happen with one attempt of a task, as a plan. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from omniforge.engine.plan import Plan, Retry, Step

Json = dict[str, Any]


class StepKind(StrEnum):
    """What the engine calls its steps by."""

    SPAWN = "task_spawn"
    WORK = "task_work"
    VERIFY = "task_verify"
    SETTLE = "task_settle"
    ADVANCE = "task_advance"


WORK_STEP = "work"
"""The step that waits until something came of the attempt."""
AGAIN = Retry(attempts=4, delay=1.0, factor=3.0)
"""Of steps that may be done any number of times. A try of the work itself is a new attempt, not a new try."""
LONGEST_SPAWN = 300.0
LONGEST_VERIFY = 6 * 3600.0
"""Every command of a task has a limit of its own."""


def plan_for_attempt() -> Plan:
    """The same plan for every attempt; which one it is stands in the run's input."""
    return Plan(
        steps=(
            Step("spawn", StepKind.SPAWN, retry=AGAIN, timeout=LONGEST_SPAWN),
            Step(WORK_STEP, StepKind.WORK, needs=("spawn",), timeout=60.0),
            Step("verify", StepKind.VERIFY, needs=(WORK_STEP,), retry=AGAIN, timeout=LONGEST_VERIFY),
            Step(
                "settle",
                StepKind.SETTLE,
                inputs={"verdict": "${verify.output.verdict}"},
                needs=("verify",),
                retry=AGAIN,
                timeout=LONGEST_SPAWN,
            ),
            Step("advance", StepKind.ADVANCE, needs=("settle",), retry=AGAIN, timeout=LONGEST_SPAWN),
        )
    )


def input_for_attempt(task_id: str, attempt: int) -> Json:
    return {"task_id": task_id, "attempt": attempt}


def key_of_attempt(task_id: str, attempt: int) -> str:
    """The same run, whoever starts it and however often."""
    return f"task/{task_id}/{attempt}"
