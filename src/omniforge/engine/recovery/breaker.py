"""When something outside is left alone for a while: the breaker's states and how they change (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

FAILURES = 3
WINDOW = timedelta(minutes=5)
OPEN_FOR = timedelta(minutes=15)
ALERT_AFTER = timedelta(hours=1)
PROBE_LEASE = timedelta(minutes=2)
"""A probe that has not come back by then died with its process; another may go."""
PROBE_TAKES = timedelta(seconds=10)
"""When those who are refused during a probe may ask again."""


class Status(StrEnum):
    CLOSED = "closed"
    """Calls pass."""
    OPEN = "open"
    """Calls are refused."""
    HALF_OPEN = "half_open"
    """One call, the probe, may pass or is under way; all others are refused."""


class Verdict(StrEnum):
    PASS = "pass"  # noqa: S105 - a word, not a password
    PROBE = "probe"
    REFUSE = "refuse"


class Change(StrEnum):
    """What happened to a breaker that others should hear of."""

    OPENED = "opened"
    CLOSED = "closed"
    ALERTED = "alerted"


@dataclass(frozen=True, slots=True)
class BreakerState:
    """Of one name of one tenant. Times are aware UTC.

    failures: those within the window, oldest first, while closed.
    since: when it opened first, over all failed probes; opened_at: when it opened last.
    probe_at: when the probe that is under way was let through.
    alerted: somebody was told that it is open for long.
    """

    failures: tuple[datetime, ...] = ()
    since: datetime | None = None
    opened_at: datetime | None = None
    probe_at: datetime | None = None
    alerted: bool = False

    def status(self, now: datetime) -> Status:
        if self.opened_at is None:
            return Status.CLOSED
        return Status.OPEN if now < self.opened_at + OPEN_FOR else Status.HALF_OPEN

    def retry_at(self, now: datetime) -> datetime:
        """When asking again makes sense; now when it is closed or waits for its probe."""
        if self.opened_at is None:
            return now
        if self.is_probing(now):
            return now + PROBE_TAKES
        return max(now, self.opened_at + OPEN_FOR)

    def is_probing(self, now: datetime) -> bool:
        return self.probe_at is not None and now < self.probe_at + PROBE_LEASE

    def to_json(self) -> dict[str, Any]:
        return {
            "failures": [moment.isoformat() for moment in self.failures],
            "since": _text(self.since),
            "opened_at": _text(self.opened_at),
            "probe_at": _text(self.probe_at),
            "alerted": self.alerted,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> BreakerState:
        return cls(
            failures=tuple(datetime.fromisoformat(moment) for moment in stored.get("failures") or ()),
            since=_moment(stored.get("since")),
            opened_at=_moment(stored.get("opened_at")),
            probe_at=_moment(stored.get("probe_at")),
            alerted=bool(stored.get("alerted", False)),
        )


CLOSED = BreakerState()


def ask(state: BreakerState, now: datetime) -> tuple[BreakerState, Verdict]:
    """Whether a call may go out. A probe changes the state: whoever stores that first has it, nobody else."""
    match state.status(now):
        case Status.CLOSED:
            return state, Verdict.PASS
        case Status.OPEN:
            return state, Verdict.REFUSE
        case Status.HALF_OPEN:
            if state.is_probing(now):
                return state, Verdict.REFUSE
            return replace(state, probe_at=now), Verdict.PROBE


def record_failure(
    state: BreakerState, now: datetime, *, probe: bool = True
) -> tuple[BreakerState, list[Change]]:
    """After a call that got no proper answer. Once it is open, only the probe counts."""
    if state.opened_at is None:
        recent = (*(moment for moment in state.failures if moment > now - WINDOW), now)
        if len(recent) < FAILURES:
            return replace(state, failures=recent), []
        return BreakerState(since=now, opened_at=now), [Change.OPENED]
    if state.probe_at is None or not probe:
        return state, []
    return replace(state, opened_at=now, probe_at=None), [Change.OPENED]


def record_success(state: BreakerState, now: datetime) -> tuple[BreakerState, list[Change]]:
    """After a call that was answered. Only the probe closes an open breaker; no failure is forgiven early."""
    if state.opened_at is None or state.probe_at is None:
        return state, []
    return CLOSED, [Change.CLOSED]


def give_back_probe(state: BreakerState) -> BreakerState:
    """The probe ended without telling anything about the other side: the next call may be it."""
    return replace(state, probe_at=None)


def alert_if_long(state: BreakerState, now: datetime) -> tuple[BreakerState, list[Change]]:
    """Once per opening, when it has been open for too long."""
    if state.since is None or state.alerted or now - state.since <= ALERT_AFTER:
        return state, []
    return replace(state, alerted=True), [Change.ALERTED]


def without_future(state: BreakerState, now: datetime) -> BreakerState:
    """After the clock was set back: what lies ahead is taken for now, so nothing stays open for good."""
    moments = (*state.failures, state.since, state.opened_at, state.probe_at)
    if all(moment is None or moment <= now for moment in moments):
        return state
    return replace(
        state,
        failures=tuple(min(moment, now) for moment in state.failures),
        since=_past(state.since, now),
        opened_at=_past(state.opened_at, now),
        probe_at=_past(state.probe_at, now),
    )


def _past(moment: datetime | None, now: datetime) -> datetime | None:
    return None if moment is None else min(moment, now)


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
