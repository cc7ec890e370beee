"""How a run of an agent reads to people: statuses, results, errors, events under public names (pure).

A run comes in as `runs.service.run_json` shows it, with its plan beside it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from omniforge.agents.content import ExecutionStatus
from omniforge.agents.planner import INBOX

Json = dict[str, Any]

_STATUSES = {
    "queued": ExecutionStatus.PENDING,
    "running": ExecutionStatus.RUNNING,
    "waiting": ExecutionStatus.WAITING,
    "paused": ExecutionStatus.WAITING,
    "completed": ExecutionStatus.COMPLETED,
    "no_effect": ExecutionStatus.NO_EFFECT,
    "cancelled": ExecutionStatus.CANCELLED,
    "failed": ExecutionStatus.FAILED,
    "compensated": ExecutionStatus.FAILED,
    "needs_person": ExecutionStatus.FAILED,
}
_STEP_STATUSES = {
    "ready": "pending",
    "completed": "succeeded",
    "compensating": "running",
    "compensated": "cancelled",
}
_EVENT_TYPES = {
    "run.started": "execution_started",
    "run.waiting": "execution_waiting",
    "run.finished": "execution_finished",
    "step.started": "skill_started",
    "step.progressed": "skill_progress",
    "step.delayed": "skill_progress",
    "step.retried": "skill_retrying",
    "step.waiting": "skill_waiting",
    "step.completed": "skill_completed",
    "step.failed": "skill_failed",
    "step.skipped": "skill_skipped",
    "step.cancelled": "skill_skipped",
    "effect.recorded": "effect_recorded",
    "log.written": "log",
    "tool.called": "log",
}
_NEXT_STEPS = {
    "connection_missing": "Connect it, then run this again.",
    "connection_expired": "Reconnect it, then run this again.",
    "outcome_unknown": "Look there whether it happened, then run this again or leave it.",
    "effect_not_approved": "Test the agent again and approve what it would do, or change it.",
    "model_not_configured": "Set up a language model, or leave this step out.",
    "resource_not_found": "Check whether it was renamed or is no longer shared with us, or pick another.",
    "permission_denied_there": "Give OmniForge access there, then run this again.",
    "sandbox_unavailable": "'omniforge doctor' shows what to install on this computer.",
}
_DELAYS = {
    "slots": "It waits for a free place; other work is under way.",
    "pressure": "It waits for a free place; this computer is very busy just now.",
}
_TOLD_OF_WAITING = frozenset({"question", "message", "tool", "destination", "summary", "content"})
_ANY_NEXT_STEP = "Run it again; if it stops again, show the details to whoever helps you."


@dataclass(frozen=True, slots=True)
class Reading:
    """One run, ready to be read: `run` is its JSON view, `plan` and `facts` what it was started with."""

    run: Json
    plan: Json
    facts: Json

    @property
    def is_over(self) -> bool:
        return self.run["status"] not in ("queued", "running", "waiting", "paused")

    @property
    def agent_id(self) -> str:
        return str(self.run["subject"]).removeprefix("agent:")

    def steps(self) -> list[tuple[Json, Json]]:
        """Each step of the plan with where it stands, in plan order."""
        rows = {row["key"]: row for row in self.run["steps"]}
        return [(step, rows.get(step["key"], _UNTOUCHED)) for step in self.plan["steps"]]


_UNTOUCHED: Json = {
    "status": "pending",
    "attempt": 0,
    "result": None,
    "error": None,
    "reason": None,
    "started_at": None,
    "finished_at": None,
}


def status_of_run(word: str) -> ExecutionStatus:
    """What people are told for the engine's word, as far as it alone can tell."""
    return _STATUSES[word]


def execution_status(reading: Reading) -> ExecutionStatus:
    """`partial` when a step was left out because it failed, or asked for somebody to look.

    A run whose last word is a text for people has had an effect: that text reaches its owner's inbox.
    """
    status = _STATUSES[reading.run["status"]]
    if status not in (ExecutionStatus.COMPLETED, ExecutionStatus.NO_EFFECT):
        return status
    for _, row in reading.steps():
        if row["status"] == "skipped" and row["error"]:
            return ExecutionStatus.PARTIAL
        if row["result"] and row["result"]["signal"] == "flag":
            return ExecutionStatus.PARTIAL
    if status is ExecutionStatus.NO_EFFECT and _has_last_word(reading):
        return ExecutionStatus.COMPLETED
    return status


def _has_last_word(reading: Reading) -> bool:
    """Whether something was written that nobody else was to use, or a decision after which nothing was done.

    A report that was to be sent on is none, and neither is what says that there was nothing to do.
    """
    steps = reading.steps()
    done = {step["key"]: row["result"] for step, row in steps if row["status"] == "completed"}
    for key, result in done.items():
        if not result or result["signal"] != "ok" or not _written(result):
            continue
        followers = [step["key"] for step, _ in steps if key in step["needs"]]
        if not followers or (_has_decided(result) and not any(follower in done for follower in followers)):
            return True
    return False


def _has_decided(result: Json) -> bool:
    """A decision says under `verdict` what it is."""
    output = result["output"]
    return isinstance(output, Mapping) and bool(cast("Json", output).get("verdict"))


def _written(result: Json) -> str:
    """What a step wrote for people, its message aside; empty when it wrote nothing."""
    output = result["output"]
    written = cast("Json", output) if isinstance(output, Mapping) else {}
    texts = (written.get(name) for name in ("report", "text"))
    return next((one for one in texts if isinstance(one, str) and one.strip()), "")


def stopped_with(reading: Reading) -> Json | None:
    """The result of the step that ended the run before its end, when it says why."""
    for _, row in reading.steps():
        result: Json | None = row["result"]
        if row["status"] == "completed" and result and result["signal"] == "stop":
            return result if _written(result) or result["message"] else None
    return None


def result_of(reading: Reading) -> Json | None:
    """`{text, output, artifacts}` of the last step that was done; None when none was.

    The text is its report, or else its message. Artifacts of the last step come first. Of a run that had
    nothing to do the text says so, and what was looked at; of one that was stopped, why.
    """
    done = [row["result"] for _, row in reading.steps() if row["status"] == "completed" and row["result"]]
    stopped = stopped_with(reading)
    if execution_status(reading) is ExecutionStatus.NO_EFFECT and stopped is None:
        return _nothing_done(done)
    if not done:
        return None
    last = stopped or done[-1]
    text = _written(last) or last["message"] or ""
    others = [result for result in done if result is not last]
    artifacts = [artifact for result in [last, *others] for artifact in result["artifacts"]]
    return {"text": text, "output": last["output"], "artifacts": artifacts}


def _nothing_done(done: Sequence[Json]) -> Json:
    """ "Ran, nothing to do: 0 new rows since Monday 8:30." """
    found = " ".join(dict.fromkeys(str(result["message"]).strip() for result in done if result["message"]))
    text = f"Ran, nothing to do: {found}" if found else "Ran, nothing to do."
    return {"text": text, "output": done[-1]["output"] if done else None, "artifacts": []}


def has_content(reading: Reading) -> bool:
    """Whether the result is worth putting in somebody's inbox."""
    result, status = result_of(reading), execution_status(reading)
    done = status in (ExecutionStatus.COMPLETED, ExecutionStatus.PARTIAL)
    done = done or (status is ExecutionStatus.NO_EFFECT and stopped_with(reading) is not None)
    return done and result is not None and bool(result["text"] or result["artifacts"])


def skill_results(reading: Reading, *, timed: bool = True) -> list[Json]:
    """One entry per skill, in plan order; without times where they must not matter."""
    found: list[Json] = []
    for step, row in reading.steps():
        result: Json | None = row["result"]
        entry: Json = {
            "key": step["key"],
            "name": step["args"].get("skill", step["key"]),
            "version": str(step["args"].get("hash", ""))[:12],
            "status": _STEP_STATUSES.get(row["status"], row["status"]),
            "reason": row["reason"],
            "attempt": row["attempt"],
            "output_digest": None if result is None else digest(result["output"]),
            "message": None if result is None else result["message"],
            "error": row["error"],
        }
        if timed:
            entry |= {"started_at": row["started_at"], "completed_at": row["finished_at"]}
        found.append(entry)
    return found


MODEL_CALLED = "model.called"
"""A question to a language model: tokens and price, also of one that failed."""


def usage_of(told: Iterable[Json]) -> Json:
    """`{cost_usd, tokens_in, tokens_out}` of an execution, from what its questions to models told.

    No price where one of them is not known.
    """
    questions = list(told)
    prices = [question.get("cost_usd") for question in questions]
    known = [price for price in prices if price is not None]
    return {
        "cost_usd": round(sum(known), 6) if len(known) == len(prices) else None,
        "tokens_in": sum(int(question.get("input_tokens") or 0) for question in questions),
        "tokens_out": sum(int(question.get("output_tokens") or 0) for question in questions),
    }


def digest(value: Any) -> str:
    """SHA-256 of a JSON value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def error_of(reading: Reading, effects: Sequence[Json]) -> Json | None:
    """What happened, what was and was not done, and the next step; None when nothing went wrong."""
    error: Json | None = reading.run["error"]
    if error is None:
        return None
    names = {step["key"]: step["args"].get("skill", step["key"]) for step, _ in reading.steps()}
    skill = names.get(str(error.get("step")), "this agent")
    message = str(error["message"])
    if error["code"] in ("handler_failed", "script_failed", "bad_output"):
        message = f"The step '{skill}' stopped unexpectedly."
    return {
        "code": error["code"],
        "message": f"{message} {_done(effects)}",
        "details": {**error.get("details", {}), "step": error.get("step")},
        "next_step": _NEXT_STEPS.get(error["code"], _ANY_NEXT_STEP),
    }


def _done(effects: Sequence[Json]) -> str:
    happened = [str(effect["summary"]) for effect in effects if effect["outcome"] == "done"]
    doubtful = [str(effect["summary"]) for effect in effects if effect["outcome"] == "unknown"]
    said: list[str] = []
    if happened:
        said.append(f"Done before that: {_listed(happened)}.")
    if doubtful:
        said.append(f"Nobody saw whether this happened: {_listed(doubtful)}.")
    return " ".join(said) or "Nothing was changed or sent."


def _listed(summaries: Sequence[str]) -> str:
    counted = Counter(summaries)
    said = [summary if times == 1 else f"{summary} ({times} times)" for summary, times in counted.items()]
    return f"{'; '.join(said[:5])}{' and more' if len(said) > 5 else ''}"


def waiting_for(reading: Reading, told: Sequence[Json] = ()) -> list[Json] | None:
    """What a waiting execution waits for, by step. told: what its steps said when they began to wait."""
    said = {str(payload["step"]): payload for payload in told}
    found: list[Json] = []
    for step, row in reading.steps():
        if row["status"] == "waiting":
            key = step["key"]
            more = {name: value for name, value in said.get(key, {}).items() if name in _TOLD_OF_WAITING}
            found.append({"key": key, "skill": step["args"].get("skill"), "reason": row["reason"], **more})
    return found or None


EFFECT_TYPES = ("effect.intended", "effect.recorded", "effect.failed")


def effects_of(told: Iterable[tuple[str, Json]], *, with_content: bool) -> list[Json]:
    """Effects from the types and payloads of their events, numbered in the order they came to an outcome.

    An attempt that tells an effect again is listed once. Last come those whose outcome nobody saw: intended,
    and then neither recorded nor known to have failed.
    """
    done: dict[tuple[str, Any], tuple[str, Json]] = {}
    open_: dict[tuple[Any, Any], Json] = {}
    for index, (type_, payload) in enumerate(told):
        place = (payload.get("attempt"), payload.get("key"))
        match type_:
            case "effect.intended":
                open_[place] = payload
            case "effect.recorded":
                open_.pop(place, None)
                same = (str(payload.get("key", index)), payload.get("content_digest"))
                done.setdefault(same, ("held" if payload.get("held") else "done", payload))
            case _ if not payload.get("outcome_unknown"):
                open_.pop(place, None)
            case _:
                pass
    unseen = [("unknown", payload) for payload in open_.values()]
    return [
        _effect(number, outcome, payload, with_content=with_content)
        for number, (outcome, payload) in enumerate([*done.values(), *unseen], start=1)
    ]


def _effect(number: int, outcome: str, payload: Json, *, with_content: bool) -> Json:
    content = payload.get("content")
    effect: Json = {
        "n": number,
        "step": payload.get("step"),
        "tool": payload.get("tool"),
        "access": payload.get("access"),
        "destination": payload.get("destination"),
        "summary": payload.get("summary", ""),
        "content_digest": payload.get("content_digest") or digest(content),
        "fields": payload.get("fields") or [],
        "origin": payload.get("origin") or {},
        "held": outcome == "held",
        "outcome": outcome,
    }
    if with_content:
        effect["content"] = content
    return effect


def inbox_effect(number: int, result: Json) -> Json:
    """The delivery of a result to its owner's inbox, told like any other effect."""
    return {
        "n": number,
        "step": None,
        "tool": INBOX,
        "access": "write",
        "destination": {"name": "your inbox here"},
        "summary": "puts the report in your inbox here",
        "content_digest": digest(result["text"]),
        "fields": [],
        "origin": {"from": "fixed"},
        "held": False,
        "outcome": "done",
        "content": result["text"],
    }


def event_of(row: Json, names: Mapping[str, str], status: ExecutionStatus | None) -> Json | None:
    """A row of the event log under its public name; None for what is no event of an execution.

    `status` is told with the end of the run; the log itself knows only the engine's word for it.
    """
    type_ = _EVENT_TYPES.get(row["type"])
    if type_ is None:
        return None
    data = {name: value for name, value in row["payload"].items() if name != "step"}
    match row["type"]:
        case "tool.called":
            data = {"level": "info", "text": data.get("summary", ""), "tool": data.get("tool")}
        case "step.delayed":
            data = {"text": _DELAYS.get(str(data.get("reason")), _DELAYS["slots"])}
        case "run.finished" if status is not None:
            data["status"] = status.value
        case _:
            pass
    key = row["payload"].get("step")
    return {
        "type": type_,
        "skill_name": names.get(str(key)),
        "key": key,
        "seq": row["seq"],
        "at": row["at"],
        "data": data,
    }
