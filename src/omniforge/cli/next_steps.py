"""What somebody can do about a refusal: a line or a few below the message (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Json = Mapping[str, Any]


def _fields(details: Json) -> list[str]:
    lines: list[str] = []
    for field in details.get("fields", ()):
        rule = field.get("rule") or f"one of {', '.join(map(str, field.get('allowed', ())))}"
        lines.append(f"{field['field']}: {rule}")
    return lines


def _gate(details: Json) -> list[str]:
    missing = [
        f"{one['key']}: {one['status']}" for one in details.get("criteria", ()) if one["status"] != "pass"
    ]
    return [*missing, "Who may can go on without, with --force --reason WHY."]


def _alike(details: Json) -> list[str]:
    found = [f"{one.get('ref', '')} {one.get('title', '')}".strip() for one in details.get("candidates", ())]
    return [*(f"like {each}" for each in found), "If it is another thing, say --force."]


def _cycle(details: Json) -> list[str]:
    return [f"The way round: {' → '.join(map(str, details.get('cycle', ())))}"]


def _say(*lines: str) -> Callable[[Json], list[str]]:
    return lambda _: list(lines)


_STEPS: Mapping[str, Callable[[Json], list[str]]] = {
    "invalid": _fields,
    "wip_limit": _say("Move something out of that column first, or say --force --reason WHY if you may."),
    "gate_pending": _gate,
    "gate_no_go": _gate,
    "ticket_blocked": _say("omniforge ticket unblock TICKET, once what it waits for is there."),
    "not_approved": _say("omniforge ticket approve TICKET, or reject it."),
    "duplicate_ticket": _alike,
    "dependency_cycle": _cycle,
    "task_finished": _say("omniforge task show TASK tells how it ended."),
    "name_taken": _say("omniforge project list shows what there is."),
}


def next_steps(code: str, details: Json) -> list[str]:
    """Empty where the message says it all."""
    steps = _STEPS.get(code)
    return steps(details) if steps else []
