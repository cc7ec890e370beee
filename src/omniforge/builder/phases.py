"""The conversation machine: which phase follows which signal. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    IDLE = "idle"
    DISCOVERY = "discovery"
    OAUTH_FLOW = "oauth_flow"
    REQUIREMENTS = "requirements"
    GENERATION = "generation"
    TESTING = "testing"
    ACTIVATION = "activation"
    COMPLETE = "complete"


class SessionStatus(StrEnum):
    OPEN = "open"
    WAITING = "waiting"
    COMPLETE = "complete"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Signal(StrEnum):
    """What happened: understood from words, or observed as a fact."""

    START = "start"
    CONNECT_AGREED = "connect_agreed"
    READY_TO_ASK = "ready_to_ask"
    CONNECTED = "connected"
    DECLINED = "declined"
    SIGN_IN_FAILED = "sign_in_failed"
    CONFIRMED = "confirmed"
    SERVICE_MISSING = "service_missing"
    DRAFT_READY = "draft_ready"
    DRAFT_INVALID = "draft_invalid"
    TEST_ACCEPTED = "test_accepted"
    TEST_DECLINED = "test_declined"
    CHANGE = "change"
    REWRITE = "rewrite"
    ACTIVATED = "activated"
    NOT_NOW = "not_now"
    FINISH = "finish"
    RETEST = "retest"
    NEW_WISH = "new_wish"
    EDIT = "edit"
    STAY = "stay"
    BACK = "back"
    RESTART = "restart"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Transition:
    """Where to go. `stack` is the way back, newest last; `cancelled` ends the session; `known` is False for a
    signal the phase has no answer to, which then stays."""

    phase: Phase
    stack: tuple[Phase, ...]
    cancelled: bool = False
    known: bool = True


TABLE: dict[tuple[Phase, Signal], Phase] = {
    (Phase.IDLE, Signal.START): Phase.DISCOVERY,
    (Phase.DISCOVERY, Signal.CONNECT_AGREED): Phase.OAUTH_FLOW,
    (Phase.DISCOVERY, Signal.READY_TO_ASK): Phase.REQUIREMENTS,
    (Phase.DISCOVERY, Signal.CONNECTED): Phase.REQUIREMENTS,
    (Phase.DISCOVERY, Signal.DECLINED): Phase.REQUIREMENTS,
    (Phase.OAUTH_FLOW, Signal.CONNECTED): Phase.REQUIREMENTS,
    (Phase.OAUTH_FLOW, Signal.DECLINED): Phase.REQUIREMENTS,
    (Phase.OAUTH_FLOW, Signal.SIGN_IN_FAILED): Phase.OAUTH_FLOW,
    (Phase.REQUIREMENTS, Signal.CONFIRMED): Phase.GENERATION,
    (Phase.REQUIREMENTS, Signal.SERVICE_MISSING): Phase.OAUTH_FLOW,
    (Phase.REQUIREMENTS, Signal.CONNECT_AGREED): Phase.OAUTH_FLOW,
    (Phase.REQUIREMENTS, Signal.REWRITE): Phase.GENERATION,
    (Phase.GENERATION, Signal.DRAFT_READY): Phase.TESTING,
    (Phase.GENERATION, Signal.DRAFT_INVALID): Phase.REQUIREMENTS,
    (Phase.TESTING, Signal.TEST_ACCEPTED): Phase.ACTIVATION,
    (Phase.TESTING, Signal.TEST_DECLINED): Phase.TESTING,
    (Phase.TESTING, Signal.CHANGE): Phase.REQUIREMENTS,
    (Phase.TESTING, Signal.REWRITE): Phase.GENERATION,
    (Phase.TESTING, Signal.CONNECT_AGREED): Phase.OAUTH_FLOW,
    (Phase.TESTING, Signal.SERVICE_MISSING): Phase.OAUTH_FLOW,
    (Phase.ACTIVATION, Signal.ACTIVATED): Phase.COMPLETE,
    (Phase.ACTIVATION, Signal.NOT_NOW): Phase.COMPLETE,
    (Phase.ACTIVATION, Signal.CHANGE): Phase.REQUIREMENTS,
    (Phase.COMPLETE, Signal.FINISH): Phase.ACTIVATION,
    (Phase.COMPLETE, Signal.RETEST): Phase.TESTING,
    (Phase.COMPLETE, Signal.NEW_WISH): Phase.DISCOVERY,
    (Phase.COMPLETE, Signal.EDIT): Phase.REQUIREMENTS,
}


def next_phase(phase: Phase, signal: Signal, stack: Sequence[Phase] = ()) -> Transition:
    """The transition for one signal; total over every phase and signal."""
    way = tuple(stack)
    match signal:
        case Signal.STAY:
            return Transition(phase, way)
        case Signal.BACK:
            return Transition(way[-1], way[:-1]) if way else Transition(phase, ())
        case Signal.RESTART:
            return Transition(Phase.DISCOVERY, ())
        case Signal.CANCEL:
            return Transition(phase, (), cancelled=True)
        case _:
            to = TABLE.get((phase, signal))
    if to is None:
        return Transition(phase, way, known=False)
    if to is Phase.DISCOVERY:
        return Transition(to, ())
    further = way if to is phase else (*way, phase)
    # a phase that was passed before is not walked through twice on the way back
    return Transition(to, further[: further.index(to)] if to in further else further)
