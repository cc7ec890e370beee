"""What a run came to say when nothing happened outside: a delivery, or nothing to do."""

from __future__ import annotations

from typing import Any

import pytest

from omniforge.agents import readings
from omniforge.agents.content import ExecutionStatus
from omniforge.agents.readings import Reading

Json = dict[str, Any]


def done(signal: str = "ok", message: str | None = None, **output: Any) -> Json:
    result: Json = {"output": output, "message": message, "signal": signal, "artifacts": []}
    return {"status": "completed", "result": result, "error": None, "reason": None}


SKIPPED: Json = {"status": "skipped", "result": None, "error": None, "reason": "when_false"}
DECIDED = done(verdict="approve", report="**Approve**: They are the same.\n", message="Approve")
REPORT = done(report="# Weekly", message="5 entries")
FOUND = done(rows=[1], message="1 row")
NOTHING = done("empty", report="Nothing changed.", message="0 entries")


def reading(**steps: tuple[Json, tuple[str, ...]]) -> Reading:
    """A run that the engine calls `no_effect`: each step with where it stands, and what it needs."""
    plan: Json = {"steps": [{"key": key, "args": {}, "needs": needs} for key, (_, needs) in steps.items()]}
    rows = [{"key": key, **row} for key, (row, _) in steps.items()]
    return Reading({"status": "no_effect", "steps": rows}, plan, {})


COMPLETED, NO_EFFECT = ExecutionStatus.COMPLETED, ExecutionStatus.NO_EFFECT


@pytest.mark.parametrize(
    ("run", "status", "text"),
    [
        pytest.param(
            reading(look=(FOUND, ()), approve=(DECIDED, ("look",)), reject=(SKIPPED, ("look",))),
            COMPLETED,
            "**Approve**: They are the same.\n",
            id="a decision that nobody needs",
        ),
        pytest.param(
            reading(decide=(DECIDED, ()), post=(SKIPPED, ("decide",))),
            COMPLETED,
            "**Approve**: They are the same.\n",
            id="a decision after which nothing is done",
        ),
        pytest.param(
            reading(decide=(DECIDED, ()), post=(NOTHING, ("decide",))),
            NO_EFFECT,
            "Ran, nothing to do: Approve 0 entries",
            id="a decision that the next step made nothing of",
        ),
        pytest.param(
            reading(report=(REPORT, ()), post=(SKIPPED, ("report",))),
            NO_EFFECT,
            "Ran, nothing to do: 5 entries",
            id="a report that was to be sent on",
        ),
        pytest.param(
            reading(look=(FOUND, ()), report=(REPORT, ("look",)), create=(SKIPPED, ("look",))),
            COMPLETED,
            "# Weekly",
            id="a report of its own beside a change that was not due",
        ),
        pytest.param(
            reading(report=(NOTHING, ())), NO_EFFECT, "Ran, nothing to do: 0 entries", id="nothing matched"
        ),
        pytest.param(
            reading(look=(FOUND, ()), write=(SKIPPED, ("look",))),
            NO_EFFECT,
            "Ran, nothing to do: 1 row",
            id="nothing was written",
        ),
    ],
)
def test_what_is_delivered_counts_and_what_is_not_does_not(
    run: Reading, status: ExecutionStatus, text: str
) -> None:
    result = readings.result_of(run)
    assert result is not None
    assert (readings.execution_status(run), result["text"]) == (status, text)
    assert readings.has_content(run) == (status is COMPLETED)


def test_a_run_that_was_stopped_says_why_to_its_owner() -> None:
    stop = done("stop", message="No PO found.", report="No PO found. Looked in 3 records.\n", found=False)
    run = reading(find=(stop, ()), compare=(SKIPPED, ("find",)))
    assert readings.execution_status(run) is NO_EFFECT
    assert readings.has_content(run)
    result = readings.result_of(run)
    assert result is not None
    assert result["text"] == "No PO found. Looked in 3 records.\n"
    assert result["output"]["found"] is False


def test_a_run_that_was_stopped_without_a_word_has_nothing_to_deliver() -> None:
    run = reading(find=(done("stop"), ()), compare=(SKIPPED, ("find",)))
    result = readings.result_of(run)
    assert result is not None
    assert result["text"] == "Ran, nothing to do."
    assert not readings.has_content(run)
