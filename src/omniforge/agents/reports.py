"""What a test showed: verdict, effects, and the manifest of effects that activation approves (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from omniforge.agents import readings
from omniforge.agents.readings import Reading
from omniforge.agents.schemas import ExecutionStatus, TestMode, TestReport, Verdict

Json = dict[str, Any]

EACH_CAP = 200
"""How often one run may repeat an effect that its test showed more than once."""


@dataclass(frozen=True, slots=True)
class Tested:
    """Which test a report is of."""

    test_id: str
    content_hash: str
    mode: TestMode
    created_at: datetime


def build_report(tested: Tested, reading: Reading, effects: Sequence[Json]) -> TestReport:
    """The report of a run that is over or waits. `effects` come with their content.

    Dry tests of one content differ in id and creation time only: their clock stands still, so they take no
    time, and nothing in their report was measured.
    """
    result = readings.result_of(reading) or {"text": "", "output": None, "artifacts": []}
    shown = list(effects)
    if readings.has_content(reading):
        shown.append(readings.inbox_effect(len(shown) + 1, result))
    dry = tested.mode is TestMode.DRY
    manifest = manifest_of(shown)
    return TestReport(
        test_id=tested.test_id,
        agent_id=reading.agent_id,
        version_hash=tested.content_hash,
        mode=tested.mode,
        verdict=_verdict(reading),
        deterministic=dry,
        sample_data=dry,
        output=result["output"],
        text=result["text"],
        effects=shown,
        manifest=manifest,
        manifest_hash=readings.digest(manifest),
        skill_results=readings.skill_results(reading, timed=not dry),
        problems=_problems(reading),
        duration_ms=0 if dry else _duration(reading),
        created_at=tested.created_at,
    )


def manifest_of(effects: Sequence[Json]) -> list[Json]:
    """The distinct effects, in order: where each may go and how often in one run."""
    found: dict[str, Json] = {}
    for effect in effects:
        entry = {name: effect[name] for name in ("step", "tool", "access", "destination")}
        known = found.setdefault(
            readings.digest(entry), {**entry, "cardinality": "one", "cap": 0, "summary": effect["summary"]}
        )
        known["cap"] += 1
    for entry in found.values():
        if entry["cap"] > 1:
            entry |= {"cardinality": "each", "cap": max(EACH_CAP, entry["cap"])}
    return list(found.values())


def _verdict(reading: Reading) -> Verdict:
    match readings.execution_status(reading):
        case ExecutionStatus.COMPLETED:
            return Verdict.PASSED
        case ExecutionStatus.NO_EFFECT:
            return Verdict.NO_EFFECT
        case ExecutionStatus.PARTIAL if not any(row["error"] for _, row in reading.steps()):
            return Verdict.PASSED  # somebody should look at the result; that is what a test is for
        case _:
            return Verdict.FAILED


def _problems(reading: Reading) -> list[Json]:
    problems: list[Json] = []
    for step, row in reading.steps():
        skill, error, result = step["args"].get("skill", step["key"]), row["error"], row["result"]
        if error and row["status"] in ("failed", "skipped"):
            problems.append({"step": step["key"], "code": error["code"], "message": error["message"]})
        if row["status"] == "waiting":
            message = f"'{skill}' would wait for {row['reason']}."
            problems.append({"step": step["key"], "code": f"waits_for_{row['reason']}", "message": message})
        if result and result["signal"] == "flag":
            message = result["message"] or f"'{skill}' asks somebody to look at its result."
            problems.append({"step": step["key"], "code": "flagged", "message": message})
    error = reading.run["error"]
    if error and not any(problem["code"] == error["code"] for problem in problems):
        problems.append({"step": error.get("step"), "code": error["code"], "message": error["message"]})
    return problems


def _duration(reading: Reading) -> int:
    started, finished = reading.run["started_at"], reading.run["finished_at"]
    if not started or not finished:
        return 0
    took = datetime.fromisoformat(finished) - datetime.fromisoformat(started)
    return round(took.total_seconds() * 1000)
