"""What recovery can decide about a failed attempt, and how a decision is told (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Move(StrEnum):
    """Which rung of which ladder a decision is; a history counts them."""

    BACK_OFF = "back_off"
    SIMPLER = "simpler"
    COMPACT = "compact"
    OTHER_MODEL = "other_model"
    REFORMAT = "reformat"
    FRESH = "fresh"
    PARTIAL = "partial"
    FIX = "fix"
    WAIT = "wait"
    NEXT_PROVIDER = "next_provider"
    EARLIER_CHECKPOINT = "earlier_checkpoint"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Again:
    """Start another attempt after `delay` seconds; its handler is told `hints`.

    Hints, all of them optional:
    context: "full" | "minimal" | "essential".
    compact: true, shorten what was said so far.
    model: "larger" | "cheaper".
    provider: index into the list of providers, 0 is the first choice.
    feedback: text, what was wrong; data, never instructions.
    reformat: true, the same answer again in the schema.
    fix: name of the check that failed.
    partial: true, what there is will do, with a warning.
    checkpoint: "previous".
    """

    delay: float
    reason: str
    hints: Mapping[str, Any] = field(default_factory=dict[str, Any])
    move: Move = Move.BACK_OFF


@dataclass(frozen=True, slots=True)
class Later:
    """Give the slot back and put the step in the queue again after `delay` seconds."""

    delay: float
    reason: str
    hints: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The step has failed."""

    reason: str


@dataclass(frozen=True, slots=True)
class AskPerson:
    """Only a person can decide how to go on."""

    reason: str


@dataclass(frozen=True, slots=True)
class Probe:
    """Of a compensation: ask the service whether the effect stands, before anything else is tried."""

    reason: str


Decision = Again | Later | GiveUp | AskPerson

_UNTOLD = frozenset({"feedback"})


def told(decision: Decision) -> dict[str, Any]:
    """The decision as an event's payload shows it: what, why, when, and what changes (not the long texts)."""
    match decision:
        case Again(delay, reason, hints, move):
            return _told("again", reason, delay, hints) | {"move": move.value}
        case Later(delay, reason, hints):
            return _told("later", reason, delay, hints) | {"move": Move.LATER.value}
        case GiveUp(reason):
            return {"decision": "give_up", "reason": reason}
        case AskPerson(reason):
            return {"decision": "ask_person", "reason": reason}


def _told(name: str, reason: str, delay: float, hints: Mapping[str, Any]) -> dict[str, Any]:
    changes = {key: value for key, value in hints.items() if key not in _UNTOLD}
    return {"decision": name, "reason": reason, "delay": round(delay, 3), "hints": changes}
