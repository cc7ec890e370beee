"""What must hold when everything is over: of the rows, of the log, and of the world outside."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from omniforge.engine.events import FIRST_HASH, row_hash
from omniforge.engine.plan import WAIT, Plan
from omniforge.engine.records import STEP_COLUMNS, checksum
from omniforge.engine.state import RunStatus
from omniforge.simulation.people import Known
from omniforge.simulation.places import needs_of, step_at
from omniforge.simulation.reference import COMPLETED, NOT_REACHED, Meaning
from omniforge.simulation.trace import Trace
from omniforge.simulation.world import DAMAGED, World

ENDS = {"step.completed", "step.skipped", "step.failed", "step.cancelled", "step.rejected"}
FINE = (RunStatus.COMPLETED, RunStatus.NO_EFFECT)
FAILED = (RunStatus.FAILED, RunStatus.NEEDS_PERSON, RunStatus.COMPENSATED)


@dataclass(slots=True)
class Story:
    """What the rows and the log tell of one run."""

    run_id: str
    plan: Plan
    status: RunStatus
    error: dict[str, Any] | None
    steps: dict[str, sqlite3.Row] = field(default_factory=dict[str, sqlite3.Row])
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])


def check_everything(world: World, known: Mapping[str, Known], wanted: Mapping[str, str]) -> None:
    """`wanted`: idempotency key → the run id that was told for it."""
    stories = _read(world)
    _check_chain(world)
    trace = world.trace
    for key, run_id in wanted.items():
        if run_id not in stories:
            trace.blame(f"run {run_id} ({key}) is lost")
    for story in stories.values():
        if story.run_id not in known:
            trace.blame(f"run {story.run_id} was made without anybody being told")
            continue
        _check_rows(trace, story)
        _check_order(world, story, forked=known[story.run_id].forked)
        _check_effects(world, story)
        meaning = known[story.run_id].meaning
        if meaning is not None and story.status is not RunStatus.CANCELLED:
            _check_meaning(world, story, meaning, forked=known[story.run_id].forked)


def _read(world: World) -> dict[str, Story]:
    stored = world.stored
    stored.row_factory = sqlite3.Row
    stories: dict[str, Story] = {}
    for row in stored.execute("SELECT id, status, error, plan_hash FROM runs ORDER BY id"):
        error = None if row["error"] is None else json.loads(row["error"])
        plan: Plan = world.plans[row["plan_hash"]]
        stories[row["id"]] = Story(row["id"], plan, RunStatus(row["status"]), error)
    for row in stored.execute(f"SELECT {STEP_COLUMNS} FROM run_steps"):  # noqa: S608 - our own names
        stories[row["run_id"]].steps[row["key"]] = row
    for row in stored.execute("SELECT run_id, type, payload FROM events ORDER BY position"):
        if row["run_id"] in stories:
            stories[row["run_id"]].events.append((row["type"], json.loads(row["payload"])))
    return stories


def _check_chain(world: World) -> None:
    heads: dict[str, tuple[int, str]] = {}
    for row in world.stored.execute("SELECT * FROM events ORDER BY tenant_id, seq"):
        seq, last = heads.get(row["tenant_id"], (0, FIRST_HASH))
        names = ("tenant_id", "seq", "type", "entity", "run_id", "at", "actor", "payload")
        if row["seq"] != seq + 1:
            world.trace.blame(f"the log of {row['tenant_id']} jumps from {seq} to {row['seq']}")
        if row["hash"] != row_hash(last, *(row[name] for name in names)):
            world.trace.blame(f"the chain of {row['tenant_id']} breaks at {row['seq']}")
        heads[row["tenant_id"]] = (row["seq"], row["hash"])


def _check_rows(trace: Trace, story: Story) -> None:
    run_id = story.run_id
    if not story.status.is_over:
        trace.blame(f"run {run_id} never ends: {story.status}")
    for key, row in story.steps.items():
        if row["result"] != DAMAGED and row["checksum"] != checksum(tuple(row)[:-1]):
            trace.blame(f"the row of {run_id}/{key} does not hold")
        if story.status.is_over and row["status"] in (
            "pending",
            "ready",
            "running",
            "waiting",
            "compensating",
        ):
            trace.blame(f"run {run_id} is {story.status}, its step {key} {row['status']}")
    stopped = any(payload.get("signal") == "stop" for _, payload in story.events)
    if story.status in FINE and not stopped:
        for step in story.plan.steps:
            status = story.steps[step.key]["status"] if step.key in story.steps else "not there"
            if status not in ("completed", "skipped"):
                trace.blame(f"run {run_id} is {story.status}, but its step {step.key} is {status}")
    count = Counter(type_ for type_, _ in story.events)
    if count["run.queued"] != 1 or (
        story.status.is_over and count["run.finished"] != 1 + count["run.retried"]
    ):
        trace.blame(
            f"run {run_id} was queued {count['run.queued']} and finished {count['run.finished']} times"
        )
    if story.status.is_over and story.events[-1][0] != "run.finished":
        trace.blame(f"the last that is told of {run_id} is {story.events[-1]}")


def _check_order(world: World, story: Story, *, forked: bool) -> None:
    """What the log says of the order: nothing before its needs, nothing twice, attempts that only grow."""
    run_id, trace = story.run_id, world.trace
    shared = {key for key, row in story.steps.items() if (row["reason"] or "").startswith("shared with")}
    over = set(shared) if forked else set[str]()
    started: dict[str, int] = {}
    completed = Counter[str]()
    for type_, payload in story.events:
        key = str(payload.get("step"))
        if type_ == "run.retried":
            over = {done for done in over if done in shared or completed[done] or _is_skipped(story, done)}
        elif type_ == "step.started":
            missing = [need for need in needs_of(story.plan, key) if need not in over]
            if missing and not any((run_id, need) in world.damaged for need in missing):
                trace.blame(f"{run_id}/{key} is told to start before {missing} were over")
            if payload["attempt"] <= started.get(key, 0):
                trace.blame(f"{run_id}/{key} is told to start as attempt {payload['attempt']} again")
            if completed[key] and (run_id, key) not in world.damaged:
                trace.blame(f"{run_id}/{key} is told to start after it was completed")
            started[key] = payload["attempt"]
        elif type_ in ENDS or (type_ == "step.answered" and not payload["again"]):
            over.add(key)
            if type_ in ("step.completed", "step.answered"):
                completed[key] += 1
                if completed[key] > 1 and (run_id, key) not in world.damaged:
                    trace.blame(f"{run_id}/{key} was completed {completed[key]} times")


def _is_skipped(story: Story, key: str) -> bool:
    return key in story.steps and story.steps[key]["status"] == "skipped"


def _check_effects(world: World, story: Story) -> None:
    """A failed run leaves nothing standing that could be undone, or says that it does."""
    told = {item["step"] for item in (story.error or {}).get("stands", ())}
    for (run_id, key), effect in world.effects.items():
        if run_id != story.run_id or not effect.stands or step_at(story.plan, key).compensate is None:
            continue
        if story.status in FAILED and key not in told:
            row = story.steps.get(key)
            how = "not there" if row is None else f"{row['status']} ({row['reason']})"
            world.trace.blame(
                f"run {run_id} is {story.status}, but what {key} did stands silently: it is {how}"
            )


def _check_meaning(world: World, story: Story, meaning: Meaning, *, forked: bool) -> None:
    """The same as the reference interpreter says."""
    trace, run_id = world.trace, story.run_id
    if meaning.fails:
        if story.status not in FAILED:
            trace.blame(f"run {run_id} is {story.status}, but {_failing(meaning)} must fail")
        for key in story.steps:
            if meaning.status.get(key) == NOT_REACHED and story.steps[key]["status"] in (
                "completed",
                "skipped",
            ):
                trace.blame(f"{run_id}/{key} was done though something before it failed")
        return
    expected = expected_status(story.plan, meaning)
    if story.status is not expected:
        trace.blame(f"run {run_id} is {story.status} ({story.error}), it should be {expected}")
        return
    for key, status in meaning.status.items():
        row = story.steps.get(key)
        if row is None and forked and not key.isidentifier():
            continue  # what a composite step was made of is not taken over when it was finished
        if row is None or row["status"] != status:
            trace.blame(f"{run_id}/{key} is {None if row is None else row['status']}, it should be {status}")
        elif status == COMPLETED and step_at(story.plan, key).kind != WAIT:
            _check_output(trace, f"{run_id}/{key}", row["result"], meaning.output.get(key))


def _check_output(trace: Trace, name: str, stored: str, expected: Any) -> None:
    if stored == DAMAGED:
        return  # after its run was over, so that nobody had to read it again
    result = json.loads(stored)
    if result.get("stored") is None and _timeless(result["output"]) != _timeless(expected):
        trace.blame(f"{name} gave {result['output']!r:.300}, it should give {expected!r:.300}")


def _timeless(value: Any) -> Any:
    """Without the moments that waiting steps give."""
    match value:
        case {"at": _, **others} if not others:
            return None
        case dict():
            return {name: _timeless(part) for name, part in cast("dict[str, Any]", value).items()}
        case list():
            return [_timeless(part) for part in cast("list[Any]", value)]
        case _:
            return value


def _failing(meaning: Meaning) -> list[str]:
    return [key for key, status in meaning.status.items() if status == "failed"]


def expected_status(plan: Plan, meaning: Meaning) -> RunStatus:
    """How a run ends in which nothing fails."""
    done = [key for key, status in meaning.status.items() if status == COMPLETED]
    if plan.effects_expected:
        happened = any(
            step_at(plan, key).args.get("effect") and not _is_group(plan, key, meaning) for key in done
        )
        return RunStatus.COMPLETED if happened else RunStatus.NO_EFFECT
    for key in plan.sinks:
        if key in meaning.excused:
            return RunStatus.COMPLETED
        empty = step_at(plan, key).args.get("empty") and not _is_group(plan, key, meaning)
        if key in done and not empty:
            return RunStatus.COMPLETED
    return RunStatus.NO_EFFECT


def _is_group(plan: Plan, key: str, meaning: Meaning) -> bool:
    step = step_at(plan, key)
    return step.is_composite and not (
        step.for_each is not None and key.endswith("]") and step.kind != "subplan"
    )
