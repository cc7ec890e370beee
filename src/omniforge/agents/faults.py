"""The fault matrix: what an agent does when a service fails it, at each call and in each way (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omniforge.agents.content import ExecutionStatus
from omniforge.agents.readings import digest

Json = dict[str, Any]

FAULTS: Mapping[str, str] = {
    "unauthorized": "{service} signs us out (401)",
    "forbidden": "{service} does not let us do it (403)",
    "not_found": "{service} cannot find it any more (404)",
    "conflict": "somebody changes the same thing in {service} at that moment (409)",
    "rate_limited": "{service} asks us to slow down (429)",
    "server_error": "{service} fails inside (500)",
    "unavailable": "{service} is down (503)",
    "timeout": "{service} does not answer",
    "empty": "{service} has nothing to show",
}
"""Kinds of faults, as the sample data know them, in words."""
MAX_CALLS = 24
"""Calls that are tried; of more alike ones the first and the last speak for the others."""
UNEXPLAINED = frozenset({"handler_failed", "internal"})
"""Codes that tell people nothing."""
ENDS = {
    ExecutionStatus.COMPLETED: "it finishes all the same",
    ExecutionStatus.PARTIAL: "it goes on without that part",
    ExecutionStatus.NO_EFFECT: "it finds nothing to do",
    ExecutionStatus.FAILED: "it stops",
    ExecutionStatus.WAITING: "it waits for you and then carries on",
    ExecutionStatus.CANCELLED: "it is ended",
}


@dataclass(frozen=True, slots=True)
class OutwardCall:
    """One call of the fault-free run that left the computer, or would have; it was made of `requests`."""

    step: str
    number: int
    tool: str
    writes: bool
    requests: int
    summary: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One call with one fault."""

    call: OutwardCall
    kind: str

    @property
    def name(self) -> str:
        return f"fault:{self.call.step}:{self.call.number}:{self.kind}"

    def sample(self) -> Json:
        """What the run is told of it. The last request of a write is the one that writes."""
        call = self.call
        return {
            "name": self.name,
            "fault": {
                "step": call.step,
                "call": call.number,
                "kind": self.kind,
                "first": max(1, call.requests) if call.writes else 1,
                "writes": call.writes,
            },
        }


@dataclass(frozen=True, slots=True)
class Ended:
    """How the run of a cell ended. message: what people are told, empty when nothing went wrong."""

    status: ExecutionStatus
    message: str
    code: str | None
    retries: int
    effects: Sequence[Json]


def calls_of(told: Sequence[tuple[str, Json]], order: Sequence[str]) -> list[OutwardCall]:
    """The outward calls that a run's events tell of, in plan order, the first and last of those alike."""
    found: dict[tuple[str, int], OutwardCall] = {}
    for type_, payload in told:
        number, tool = int(payload.get("call") or 0), str(payload.get("tool"))
        if not number or "." not in tool or type_ not in ("tool.called", "effect.recorded"):
            continue
        step, writes = str(payload["step"]), type_ == "effect.recorded"
        requests, summary = int(payload.get("requests") or 1), str(payload.get("summary", ""))
        found.setdefault((step, number), OutwardCall(step, number, tool, writes, requests, summary))
    place = {key: index for index, key in enumerate(order)}
    ordered = sorted(
        found.values(), key=lambda call: (place.get(call.step, len(place)), call.step, call.number)
    )
    alike: dict[tuple[str, str], list[OutwardCall]] = {}
    for call in ordered:
        alike.setdefault((call.step, call.tool), []).append(call)
    kept = {call for calls in alike.values() for call in (calls[0], calls[-1])}
    return [call for call in ordered if call in kept][:MAX_CALLS]


def cells_of(calls: Sequence[OutwardCall]) -> list[Cell]:
    """Every fault at every call; nothing to show is no fault of a write."""
    return [Cell(call, kind) for call in calls for kind in FAULTS if not (call.writes and kind == "empty")]


def judge(cell: Cell, ended: Ended, free: Sequence[Json], allowed: Sequence[Json], service: str) -> Json:
    """One row of the matrix. free: effects of the fault-free run; allowed: of all runs without faults.

    A row passes when the run ends with words that people understand, nothing happens twice, and nothing
    happens that does not happen without the fault.
    """
    wrong = [*_doubled(ended.effects, free), *_foreign(ended.effects, [*free, *allowed])]
    explained = ended.code not in UNEXPLAINED and ended.status is not ExecutionStatus.CANCELLED
    happens = FAULTS[cell.kind].format(service=service)
    return {
        "step": cell.call.step,
        "call": cell.call.number,
        "tool": cell.call.tool,
        "summary": cell.call.summary,
        "service": service,
        "fault": cell.kind,
        "happens": happens,
        "status": ended.status.value,
        "code": ended.code,
        "message": ended.message,
        "retries": ended.retries,
        "effects": [str(effect["summary"]) for effect in ended.effects],
        "wrong_effects": wrong,
        "passed": not wrong and explained,
    }


def _where(effect: Json) -> str:
    return digest([effect["step"], effect["tool"], effect["destination"]])


def _doubled(effects: Sequence[Json], free: Sequence[Json]) -> list[str]:
    """What would happen more often than without the fault, as far as anybody knows."""
    same = Counter((_where(effect), effect["content_digest"]) for effect in effects)
    before = Counter((_where(effect), effect["content_digest"]) for effect in free)
    twice = {key for key, count in same.items() if count > max(1, before[key])}
    said = {str(e["summary"]) for e in effects if (_where(e), e["content_digest"]) in twice}
    return [f"twice: {summary}" for summary in sorted(said)]


def _foreign(effects: Sequence[Json], known: Sequence[Json]) -> list[str]:
    places = {_where(effect) for effect in known}
    return sorted({f"not without the fault: {e['summary']}" for e in effects if _where(e) not in places})


def sentences(rows: Sequence[Json]) -> list[str]:
    """The matrix for somebody who is afraid of breaking things: one sentence per way of failing."""
    groups: dict[str, dict[tuple[Any, ...], list[Json]]] = {}
    for row in rows:
        outcome = (row["status"], row["code"], tuple(row["effects"]), tuple(row["wrong_effects"]))
        groups.setdefault(str(row["happens"]), {}).setdefault(outcome, []).append(row)
    said: list[str] = []
    for happens, outcomes in groups.items():
        said += [_sentence(happens, alike, alone=len(outcomes) == 1) for alike in outcomes.values()]
    return said


def _sentence(happens: str, alike: Sequence[Json], *, alone: bool) -> str:
    first = alike[0]
    steps = ", ".join(dict.fromkeys(f"'{row['step']}'" for row in alike))
    tries = max(int(row["retries"]) for row in alike)
    said = f"If {happens}{'' if alone else f' during {steps}'}, "
    if tries:
        said += f"it tries again{f' up to {tries} times' if tries > 1 else ''}; "
    said += ENDS[ExecutionStatus(first["status"])]
    said += "." if not first["message"] else f", and you are told: “{first['message']}”"
    if first["wrong_effects"]:
        return f"{said} WRONG: {'; '.join(first['wrong_effects'])}."
    effects = list(first["effects"])
    return said if not effects else f"{said} Done by then: {'; '.join(dict.fromkeys(effects))}."
