"""What a test showed: verdict, effects, and the manifest of effects that activation approves (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from omniforge.agents import faults, readings
from omniforge.agents.content import ExecutionStatus, Suite, TestMode, Verdict
from omniforge.agents.manifest import Sighting, manifest_of
from omniforge.agents.readings import Reading
from omniforge.agents.schemas import TestReport

Json = dict[str, Any]

NOT_SIMULATED = frozenset({"model_not_configured", "network_disabled", "not_simulated"})
"""Codes of what a test has no means to try."""


@dataclass(frozen=True, slots=True)
class Tested:
    """Which test a report is of."""

    test_id: str
    content_hash: str
    mode: TestMode
    created_at: datetime
    suite: Suite = Suite.QUICK


@dataclass(frozen=True, slots=True)
class Seen:
    """One run and what it did. told: what its reads outside integrations, and its calls, told."""

    reading: Reading
    effects: Sequence[Json]
    told: Sequence[tuple[str, Json]] = ()

    def sighting(self, only_if: dict[str, str] | None = None, *, real: bool = False) -> Sighting:
        reads = [
            {"step": payload["step"], "tool": payload["tool"], "host": payload["host"]}
            for type_, payload in self.told
            if type_ == "tool.called" and payload.get("host") and "." not in str(payload["tool"])
        ]
        return Sighting(self.effects, reads, only_if or {}, real)

    def result(self) -> Json:
        """`{input, text, output, effects}`, as cases compare it."""
        result = readings.result_of(self.reading) or {"text": "", "output": None}
        said = [f"{effect['summary']} → {_place(effect)}" for effect in self.effects]
        return {
            "input": self.reading.run["input"],
            "text": result["text"],
            "output": result["output"],
            "effects": said,
        }


@dataclass(frozen=True, slots=True)
class Beside:
    """What the other runs of a test showed, all of them on sample data.

    base: the fault-free run on full sample data. others: sightings of further shapes and branches. rows: the
    fault matrix. cases: compared ones. problems: of runs beside the one that was asked for. runs: those
    without faults.
    """

    base: Seen | None = None
    others: Sequence[Sighting] = ()
    rows: Sequence[Json] = ()
    cases: Sequence[Json] = ()
    problems: Sequence[Json] = field(default_factory=list[Json])
    runs: Sequence[Seen] = ()


def build_report(tested: Tested, seen: Seen, beside: Beside = Beside()) -> TestReport:
    """The report of a run that is over or waits. Its effects come with their content.

    Dry tests of one content differ in id and creation time only: their clock stands still, so they take no
    time, and nothing in their report was measured.
    """
    reading = seen.reading
    result = readings.result_of(reading) or {"text": "", "output": None, "artifacts": []}
    dry = tested.mode is TestMode.DRY
    shown = _ordered(reading, seen.effects) if dry else list(seen.effects)
    if readings.has_content(reading):
        shown.append(readings.inbox_effect(len(shown) + 1, result))
    main = Seen(reading, shown, seen.told).sighting(real=not dry)
    manifest = manifest_of([main, *beside.others], [step["args"] for step in reading.plan["steps"]])
    base = beside.base or (seen if dry else None)
    verdict = _verdict(tested, seen, beside)
    report = TestReport(
        test_id=tested.test_id,
        agent_id=reading.agent_id,
        version_hash=tested.content_hash,
        mode=tested.mode,
        suite=tested.suite,
        input_data=reading.run["input"],
        verdict=verdict,
        may_activate=verdict is Verdict.PASSED,
        deterministic=dry and not reading.facts.get("use_model"),
        sample_data=dry,
        output=result["output"],
        text=result["text"],
        effects=shown,
        manifest=manifest,
        manifest_hash=readings.digest(manifest),
        skill_results=readings.skill_results(reading, timed=not dry),
        faults=list(beside.rows),
        fault_words=faults.sentences(beside.rows),
        cases=list(beside.cases),
        baseline={} if base is None else base.result(),
        problems=[*_problems(seen), *beside.problems, *_wrong(beside)],
        duration_ms=0 if dry else _duration(reading),
        created_at=tested.created_at,
    )
    return _without_id(report, str(reading.run["id"])) if dry else report


def _without_id(report: TestReport, run_id: str) -> TestReport:
    """The id of the run says nothing about what was tested, and is another one every time."""
    text = report.model_dump_json()
    return TestReport.model_validate_json(text.replace(run_id, "this-run")) if run_id in text else report


def _ordered(reading: Reading, effects: Sequence[Json]) -> list[Json]:
    """In plan order: which of two steps at the same time came first says nothing."""
    place = {step["key"]: index for index, step in enumerate(reading.plan["steps"])}
    ordered = sorted(effects, key=lambda effect: place.get(str(effect["step"]), len(place)))
    return [{**effect, "n": number} for number, effect in enumerate(ordered, start=1)]


def _verdict(tested: Tested, seen: Seen, beside: Beside) -> Verdict:
    if _wrong(beside):
        return Verdict.FAILED
    if tested.suite is Suite.REGRESSION and not all(case["passed"] for case in beside.cases):
        return Verdict.FAILED
    reading = seen.reading
    match readings.execution_status(reading):
        case ExecutionStatus.COMPLETED:
            return Verdict.PASSED
        case ExecutionStatus.NO_EFFECT:
            return Verdict.NO_EFFECT
        case ExecutionStatus.PARTIAL if not any(row["error"] for _, row in reading.steps()):
            return Verdict.PASSED  # somebody should look at the result; that is what a test is for
        case _:
            return Verdict.NOT_SIMULATED if _untried(seen) else Verdict.FAILED


def _untried(seen: Seen) -> list[Json]:
    """What kept the run from being simulated, as problems."""
    found: list[Json] = []
    for step, row in seen.reading.steps():
        error = row["error"]
        if error and error["code"] in NOT_SIMULATED:
            found.append({"step": step["key"], "code": error["code"], "message": error["message"]})
    for type_, payload in seen.told:
        if type_ == "tool.called" and payload.get("code") in NOT_SIMULATED:
            message = f"It reads {payload.get('host') or 'a page'}, which a dry run does not; a preview does."
            found.append({"step": payload["step"], "code": payload["code"], "message": message})
    return list({(problem["step"], problem["code"]): problem for problem in found}.values())


def _problems(seen: Seen) -> list[Json]:
    reading, problems = seen.reading, _untried(seen)
    for step, row in reading.steps():
        skill, error, result = step["args"].get("skill", step["key"]), row["error"], row["result"]
        if error and row["status"] in ("failed", "skipped") and error["code"] not in NOT_SIMULATED:
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


def _wrong(beside: Beside) -> list[Json]:
    """Effects that only a fault brings about: they keep an agent from being switched on."""
    found: list[Json] = []
    for row in beside.rows:
        if row["wrong_effects"]:
            message = (
                f"If {row['happens']} at '{row['summary']}', this happens {'; '.join(row['wrong_effects'])}."
            )
            found.append({"step": row["step"], "code": "wrong_effect_under_fault", "message": message})
    return found


def _place(effect: Json) -> str:
    place: Json = effect["destination"] or {}
    return str(place.get("resource") or place.get("name") or "")


def _duration(reading: Reading) -> int:
    started, finished = reading.run["started_at"], reading.run["finished_at"]
    if not started or not finished:
        return 0
    took = datetime.fromisoformat(finished) - datetime.fromisoformat(started)
    return round(took.total_seconds() * 1000)
