"""How much may run under the machine's load (pure): pause, resume, grow, shrink, doubt the measurement."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from omniforge.core.config import Settings


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at the machine, in percent. Stalls are of the last 10 s, None where the kernel has none."""

    cpu: float
    memory: float
    memory_stall: float | None = None
    """Time in which everything that wanted to run waited for memory (PSI `memory full`)."""
    cpu_stall: float | None = None
    """Time in which something that wanted to run waited for a CPU (PSI `cpu some`)."""

    @property
    def is_plausible(self) -> bool:
        stalls = [stall for stall in (self.memory_stall, self.cpu_stall) if stall is not None]
        inside = all(math.isfinite(value) and 0 <= value <= 100 for value in (self.cpu, self.memory, *stalls))
        return inside and self.memory > 0  # a machine that uses no memory does not measure


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Percent and seconds. Between high and low nothing changes: neither pause nor resume, nor growth."""

    cpu_high: float = 90.0
    cpu_low: float = 75.0
    cpu_high_for: float = 30.0
    memory_high: float = 85.0
    memory_low: float = 70.0
    memory_stall_high: float = 20.0
    memory_stall_low: float = 5.0
    cpu_stall_growth: float = 40.0
    """Above this share of queueing for a CPU the limit does not grow."""
    silent_for: float = 30.0

    @classmethod
    def from_settings(cls, settings: Settings) -> Thresholds:
        return cls(
            cpu_high=settings.pressure_cpu_high,
            cpu_low=settings.pressure_cpu_low,
            memory_high=settings.pressure_memory_high,
            memory_low=settings.pressure_memory_low,
        )


class Mode(StrEnum):
    OPEN = "open"
    PAUSED = "paused"
    """Under pressure: what runs drains, nothing new starts."""
    TRIAL = "trial"
    """The pressure stays though nothing of ours runs: one at a time, so that work goes on."""
    BLIND = "blind"
    """Nothing is known of the machine: one at a time."""


Notice = tuple[str, dict[str, Any]]
"""Event type and payload."""

GROWTH_STEPS = 16
"""Calm readings that bring the limit from nothing to the most there is."""


class Governor:
    """Says how many slots may be taken, from readings and times that it is given."""

    def __init__(self, most: int, thresholds: Thresholds | None = None) -> None:
        self.most = most
        self.thresholds = thresholds or Thresholds()
        self.mode = Mode.OPEN
        self.allowed = most
        self.last: Reading | None = None
        self._seen_at: float | None = None
        self._busy_since: float | None = None

    @property
    def limit(self) -> int:
        match self.mode:
            case Mode.OPEN:
                return self.allowed
            case Mode.PAUSED:
                return 0
            case Mode.TRIAL | Mode.BLIND:
                return 1

    def observe(self, now: float, reading: Reading | None, held: int) -> list[Notice]:
        """Take in a reading, None when there is none; `held` is how many slots are taken now."""
        if reading is not None and reading.is_plausible:
            self.last, self._seen_at = reading, now
        elif self._seen_at is None:
            self._seen_at = now
        if now - self._seen_at >= self.thresholds.silent_for:
            return self._go_blind()
        return [] if self.last is None else self._judge(now, self.last, held)

    def try_one(self, held: int) -> bool:
        """Let work go on one at a time when a pause outlasts all that ran; whether that changed anything."""
        if self.mode is not Mode.PAUSED or held:
            return False
        self.mode = Mode.TRIAL
        return True

    def _judge(self, now: float, seen: Reading, held: int) -> list[Notice]:
        reason = self._overload(now, seen)
        calm = self._is_calm(seen)
        match self.mode:
            case Mode.OPEN if reason is not None:
                return self._pause(reason, held)
            case Mode.OPEN if calm and (seen.cpu_stall or 0.0) < self.thresholds.cpu_stall_growth:
                self.allowed = min(self.most, self.allowed + math.ceil(self.most / GROWTH_STEPS))
            case Mode.BLIND if reason is not None:
                return self._pause(reason, held)
            case Mode.BLIND:
                return self._resume("monitoring_back")
            case Mode.PAUSED | Mode.TRIAL if calm:
                return self._resume("pressure_over")
            case _:
                pass
        return []

    def _overload(self, now: float, seen: Reading) -> str | None:
        limits = self.thresholds
        if seen.cpu <= limits.cpu_high:
            self._busy_since = None
        elif self._busy_since is None:
            self._busy_since = now
        if seen.memory > limits.memory_high:
            return "memory"
        if (seen.memory_stall or 0.0) > limits.memory_stall_high:
            return "memory_stall"
        if self._busy_since is not None and now - self._busy_since >= limits.cpu_high_for:
            return "cpu"
        return None

    def _is_calm(self, seen: Reading) -> bool:
        limits = self.thresholds
        return (
            seen.cpu < limits.cpu_low
            and seen.memory < limits.memory_low
            and (seen.memory_stall or 0.0) <= limits.memory_stall_low
        )

    def _pause(self, reason: str, held: int) -> list[Notice]:
        """Half of what was too much, when it was ours at all."""
        self.mode = Mode.PAUSED
        if held:
            self.allowed = max(1, min(self.allowed, held) // 2)
        return [self._notice("admission.paused", reason, limit=self.allowed, held=held)]

    def _resume(self, reason: str) -> list[Notice]:
        self.mode = Mode.OPEN
        return [self._notice("admission.resumed", reason, limit=self.allowed)]

    def _go_blind(self) -> list[Notice]:
        if self.mode is Mode.BLIND:
            return []
        self.mode, self._busy_since = Mode.BLIND, None
        return [self._notice("admission.limited", "monitoring_silent", limit=1)]

    def _notice(self, type_: str, reason: str, **figures: int) -> Notice:
        seen = {} if self.last is None else asdict(self.last)
        return type_, {"reason": reason, **figures, "reading": seen}
