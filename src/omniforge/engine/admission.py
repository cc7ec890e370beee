"""Slots: a step runs only while it holds what it needs of the machine, its tenant's share, the providers.

Under pressure nothing new starts but, two at a time, what a person sits and waits for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from omniforge.core.clock import Clock, SystemClock
from omniforge.engine.pressure import Governor, Mode, Notice, Reading, Thresholds
from omniforge.engine.slots import WAITED_FOR, Ledger, Limits, Needs, NeverFits, SlotRequest
from omniforge.engine.turns import Turns, Waiter

__all__ = ["WAITED_FOR", "Admission", "Limits", "NeverFits", "SlotRequest", "Thresholds"]

log = logging.getLogger(__name__)

SAMPLE_EVERY = 5.0
STALLED_AFTER = 60.0
"""Seconds without an allocation while work waits, after which the locks are released."""

Announce = Callable[[str, dict[str, Any]], None]


class Admission:
    """Gives out slots: at once when nobody waits, else in turn."""

    def __init__(
        self,
        limits: Limits | int,
        clock: Clock | None = None,
        announce: Announce | None = None,
        thresholds: Thresholds | None = None,
    ) -> None:
        """`announce` is called with event type and payload; it must neither block nor raise."""
        limits = Limits(limits) if isinstance(limits, int) else limits
        self.clock = clock or SystemClock()
        self.holders: Callable[[], Iterable[SlotRequest]] | None = None
        """What is held by steps that live. With it, slots that were lost are found when work stalls."""
        self._announce = announce
        self._ledger = Ledger(limits)
        self._turns = Turns(self._ledger)
        self._waiting = 0
        self._others = 0
        """Of these, the steps that no person waits for."""
        self._governor = Governor(limits.total, thresholds)
        self._last_time = self.clock.now().timestamp()
        self._elapsed = 0.0
        self._progress_at = 0.0
        self._stall_told = False
        self._granted: set[Waiter] = set()
        """Served, but not awake yet."""
        self._alarms: dict[str, asyncio.Task[None]] = {}

    # --- figures -------------------------------------------------------------------------------------------

    @property
    def free(self) -> int:
        """Slots that could be taken now."""
        return max(0, self._ledger.limit - self._ledger.total)

    @property
    def held(self) -> int:
        return self._ledger.total

    @property
    def waiting(self) -> int:
        return self._waiting

    @property
    def limit(self) -> int:
        """Slots in use at most, as the load of the machine allows now; 0 while paused."""
        return self._ledger.limit

    @property
    def paused(self) -> bool:
        return self._governor.mode is Mode.PAUSED

    @property
    def mode(self) -> Mode:
        return self._governor.mode

    def held_by(self, tenant_id: str) -> int:
        return self._ledger.tenants.get(tenant_id, 0)

    # --- take and give back --------------------------------------------------------------------------------

    def check(self, request: SlotRequest) -> None:
        """Raise `NeverFits` when this could not be given even with nothing else running."""
        self._ledger.check(request)

    def try_acquire(self, request: SlotRequest) -> bool:
        """Take it if it is free now and nobody waits for the same. Never waits, never raises."""
        if self._waiting:
            self._serve()
        elif self._ledger.take_slots(request):
            return True
        if self._ledger.is_full:
            return False
        try:
            needs = self._ledger.check(request)
        except NeverFits:
            return False
        if not self._turns.fits(request, needs, self._now()):
            return False
        self._ledger.take(request, needs)
        if self._waiting:
            self._turns.charge(request.tenant_id, request.slots)
            self._note_progress(needs)
        return True

    async def acquire(self, request: SlotRequest) -> None:
        """Wait for it. Raises `NeverFits` at once when waiting would not help."""
        if not self._waiting and self._ledger.take_slots(request):
            return
        needs = self._ledger.check(request)
        now = self._now()
        if not (self._waiting if needs.waited_for else self._others):
            self._progress_at = now
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = self._turns.add(request, needs, now, turn)
        self._waiting += 1
        self._others += not needs.waited_for
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            self._withdraw(waiter)
            raise
        finally:
            self._granted.discard(waiter)

    def release(self, request: SlotRequest) -> None:
        if not self._ledger.give_back(request):
            log.error("a slot of tenant %s was given back that was not held", request.tenant_id)
        if self._waiting:
            self._turns.unpark(request.tenant_id)
            self._serve()

    def _withdraw(self, waiter: Waiter) -> None:
        """Cancelled: out of the line, or, when it was served in the same moment, the slot goes on."""
        if waiter.granted:
            self.release(waiter.request)
            return
        self._leave(waiter)
        if self._waiting:
            self._serve()
            return
        for alarm in self._alarms.values():
            alarm.cancel()
        self._alarms.clear()

    def _leave(self, waiter: Waiter) -> None:
        self._turns.leave(waiter)
        self._waiting -= 1
        self._others -= not waiter.needs.waited_for

    def _serve(self) -> None:
        """Serve whoever is next until nobody who waits fits."""
        ledger, turns = self._ledger, self._turns
        if ledger.is_full:
            return
        now = self._now()
        while self._waiting and not ledger.is_full:
            waiter = turns.next(now)
            if waiter is None:
                break
            ledger.take(waiter.request, waiter.needs)
            turns.charge(waiter.request.tenant_id, waiter.needs.slots)
            self._leave(waiter)
            waiter.granted = True
            self._granted.add(waiter)
            waiter.turn.set_result(None)
            self._note_progress(waiter.needs)
        if self._waiting and ledger.buckets:
            self._set_alarms(now)

    # --- time ----------------------------------------------------------------------------------------------

    def _now(self) -> float:
        """Seconds since the start; a clock that is set back does not set this back."""
        present = self.clock.now().timestamp()
        self._elapsed += max(0.0, present - self._last_time)
        self._last_time = present
        return self._elapsed

    def _set_alarms(self, now: float) -> None:
        """Look again when a rate that somebody waits for allows the next call."""
        for needs in self._turns.needs():
            for name, _ in needs.shared:
                bucket = self._ledger.buckets.get(name)
                if bucket is not None and name not in self._alarms and (delay := bucket.wait(now)) > 0:
                    self._alarms[name] = asyncio.create_task(self._serve_after(name, delay))

    async def _serve_after(self, name: str, delay: float) -> None:
        await self.clock.sleep(delay)
        self._alarms.pop(name, None)
        self._serve()

    # --- the machine's load --------------------------------------------------------------------------------

    async def watch(self, sample: Callable[[], Reading]) -> None:
        """Follow the machine's load, without end. `sample` must not block."""
        while True:
            try:
                reading = sample()
            except Exception as error:  # noqa: BLE001 - whatever breaks the measurement, work goes on carefully
                log.warning("the machine's load cannot be measured: %s", error)
                reading = None
            self.observe(reading)
            await self.clock.sleep(SAMPLE_EVERY)

    def observe(self, reading: Reading | None) -> None:
        """Take in one reading (None: there is none) and act on it."""
        now = self._now()
        self._tell(self._governor.observe(now, reading, self._ledger.total))
        self._ledger.limit = self._governor.limit
        if self._waiting:
            self._serve()
        if self._waiting and now - self._progress_at >= STALLED_AFTER:
            self._release_locks(now)

    def _release_locks(self, now: float) -> None:
        """Nothing was given out for a minute though work waits: let go of everything no living step holds."""
        self._progress_at = now
        lost = 0
        if self.holders is not None:
            lost = self._ledger.recount([*self.holders(), *(waiter.request for waiter in self._granted)])
        lifted = self._governor.try_one(self._ledger.others)
        self._ledger.limit = self._governor.limit
        self._turns.rebuild()
        if lost or lifted or not self._stall_told:
            self._stall_told = True
            figures = {"released": lost, "held": self._ledger.total, "waiting": self._waiting}
            reason = "pressure_stays" if lifted else "no_allocation"
            self._tell([("admission.reset", {"reason": reason, **figures, "limit": self._ledger.limit})])
        self._serve()

    def _note_progress(self, needs: Needs) -> None:
        """People's steps go on under pressure too, which says nothing about those of nobody."""
        if needs.waited_for and self._others:
            return
        self._progress_at = self._elapsed
        self._stall_told = False

    def _tell(self, notices: list[Notice]) -> None:
        for type_, payload in notices:
            if self._announce is not None:
                self._announce(type_, payload)
