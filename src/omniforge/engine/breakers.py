"""Breakers that last: one per tenant and name, kept in the database, with one probe over all processes."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import String, Text, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from omniforge.core.clock import Clock, rfc3339
from omniforge.core.errors import NotFound, OmniForgeError, ProviderError
from omniforge.db import Base, Database, UtcDateTime
from omniforge.engine.events import Event, EventLog
from omniforge.engine.recovery import breaker
from omniforge.engine.recovery.breaker import BreakerState, Change, Verdict
from omniforge.engine.recovery.policy import FailureKind, classify

ENGINE = "system:engine"
LOOK_EVERY = 300.0
"""Seconds between two looks at breakers that stay open."""
FRESH_FOR = timedelta(seconds=5)
"""How long this process believes what it read: another one may have opened or closed the breaker since."""
MOST_REMEMBERED = 4_096
_DOWN = frozenset({FailureKind.UNREACHABLE, FailureKind.TIMEOUT})

Step = Callable[[BreakerState, datetime], tuple[BreakerState, list[Change]]]


class BreakerRow(Base):
    """`name` says what is outside, e.g. `integration:notion`; `state` is JSON of `BreakerState`."""

    __tablename__ = "breakers"

    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    state: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CircuitOpen(ProviderError):
    """It failed again and again, so it is left alone for a while; nothing was sent."""

    code = "circuit_open"


@dataclass(frozen=True, slots=True)
class BreakerView:
    """How one breaker stands. failures: those that count now; since: open without a break since then."""

    name: str
    status: breaker.Status
    failures: int
    since: datetime | None
    retry_at: datetime | None
    alerted: bool
    updated_at: datetime

    def shown(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "status": self.status.value,
            "failures": self.failures,
            "open_since": rfc3339(self.since) if self.since else None,
            "retry_at": rfc3339(self.retry_at) if self.retry_at else None,
            "alerted": self.alerted,
            "updated_at": rfc3339(self.updated_at),
        }


class Breakers:
    """Ask before a call, tell what became of it; `watch` does both.

    What is closed costs nothing but a read now and then; every change is one transaction with its event.
    """

    def __init__(self, db: Database, clock: Clock, events: EventLog) -> None:
        self.db, self.clock, self.events = db, clock, events
        self._read: dict[tuple[str, str], tuple[BreakerState, datetime]] = {}

    @asynccontextmanager
    async def watch(
        self,
        tenant_id: str,
        name: str,
        *,
        title: str | None = None,
        answered: tuple[type[OmniForgeError], ...] = (),
    ) -> AsyncGenerator[None]:
        """Around one call. Raises CircuitOpen instead of letting it out; learns from how it ends.

        answered: errors that prove that the other side works, such as "not found". What says nothing about it
        (a cancelled call, an argument that was wrong before anything was sent) changes nothing.
        """
        probe = await self.check(tenant_id, name, title=title) is Verdict.PROBE
        try:
            yield
        except OmniForgeError as error:
            if is_down(error):
                await self.record(tenant_id, name, failed=True, probe=probe)
            elif isinstance(error, answered) or classify(error).kind is FailureKind.RATE_LIMITED:
                await self.record(tenant_id, name, failed=False, probe=probe)
            elif probe:
                await self.give_back(tenant_id, name)
            raise
        except BaseException:
            if probe:
                await self.give_back(tenant_id, name)
            raise
        await self.record(tenant_id, name, failed=False, probe=probe)

    async def check(self, tenant_id: str, name: str, *, title: str | None = None) -> Verdict:
        """PASS while closed, PROBE for the one call that finds out if it works again; else CircuitOpen."""
        now = self.clock.now()
        state = await self._known(tenant_id, name, now)
        if state.opened_at is None:
            return Verdict.PASS
        verdict = Verdict.REFUSE

        def ask(current: BreakerState, at: datetime) -> tuple[BreakerState, list[Change]]:
            nonlocal verdict
            current, changes = breaker.alert_if_long(current, at)
            current, verdict = breaker.ask(current, at)
            return current, changes

        if ask(breaker.without_future(state, now), now)[0] != state:
            state = await self._change(tenant_id, name, ask)
        if verdict is Verdict.REFUSE:
            raise self._refusal(name, title, state)
        return verdict

    async def record(self, tenant_id: str, name: str, failed: bool, *, probe: bool = True) -> None:
        """What became of a call that was let out. failed: unreachable, an error of theirs, no answer in time.

        probe: whether it was let out as the probe; who does not know leaves it.
        """
        if failed:
            await self._change(tenant_id, name, partial(breaker.record_failure, probe=probe))
            return
        state = await self._known(tenant_id, name, self.clock.now())
        if probe and state.probe_at is not None:
            await self._change(tenant_id, name, breaker.record_success)

    async def give_back(self, tenant_id: str, name: str) -> None:
        """The probe ended without telling anything about the other side: another may go."""
        state = await self._known(tenant_id, name, self.clock.now())
        if state.probe_at is not None:
            await self._change(tenant_id, name, lambda found, _: (breaker.give_back_probe(found), []))

    async def reset(self, tenant_id: str, name: str, *, actor: str = ENGINE) -> BreakerView:
        """Close it by hand and forget its failures; harmless when closed. NotFound for one never seen."""
        async with self.db.read() as session:
            if await session.get(BreakerRow, (tenant_id, name)) is None:
                raise NotFound(f"There is no breaker {name[:128]!r}.", code="breaker_not_found")

        def close(current: BreakerState, _now: datetime) -> tuple[BreakerState, list[Change]]:
            return breaker.CLOSED, [] if current.opened_at is None else [Change.CLOSED]

        await self._change(tenant_id, name, close, actor=actor)
        return next(view for view in await self.list_breakers(tenant_id) if view.name == name)

    async def list_breakers(self, tenant_id: str) -> list[BreakerView]:
        """Every breaker of the tenant that ever counted a failure, by name."""
        query = select(BreakerRow).where(BreakerRow.tenant_id == tenant_id).order_by(BreakerRow.name)
        async with self.db.read() as session:
            rows = list(await session.scalars(query))
        now = self.clock.now()
        return [_view(row, now) for row in rows]

    async def states(self) -> list[tuple[str, str]]:
        """Name and status of every breaker of every tenant, for measuring."""
        async with self.db.read() as session:
            rows = list(await session.scalars(select(BreakerRow)))
        now = self.clock.now()
        return [(row.name, _view(row, now).status.value) for row in rows]

    async def alert_long_open(self) -> int:
        """Write `breaker.alerted` for each that has been open for over an hour, once; returns how many.

        Calls that are refused do the same; this is for those that nobody calls. Run it every few minutes.
        """
        async with self.db.read() as session:
            rows = list(await session.scalars(select(BreakerRow)))
        now = self.clock.now()
        long_open = [row for row in rows if breaker.alert_if_long(_state(row), now)[1]]
        for row in long_open:
            await self._change(row.tenant_id, row.name, breaker.alert_if_long)
        return len(long_open)

    async def watch_long_open(self) -> None:
        """`alert_long_open` every few minutes, until cancelled."""
        while True:
            await self.clock.sleep(LOOK_EVERY)
            await self.alert_long_open()

    async def _known(self, tenant_id: str, name: str, now: datetime) -> BreakerState:
        remembered = self._read.get((tenant_id, name))
        if remembered is not None and timedelta(0) <= now - remembered[1] < FRESH_FOR:
            return remembered[0]
        async with self.db.read() as session:
            row = await session.get(BreakerRow, (tenant_id, name))
        state = breaker.CLOSED if row is None else _state(row)
        self._remember(tenant_id, name, state, now)
        return state

    async def _change(self, tenant_id: str, name: str, step: Step, *, actor: str = ENGINE) -> BreakerState:
        """Take the stored state one step further; who is second sees what the first has stored."""
        async with self.db.transaction() as session:
            row = await self._locked(session, tenant_id, name)
            now = self.clock.now()
            before = _state(row)
            after, changes = step(breaker.without_future(before, now), now)
            if after != before:
                row.state, row.updated_at = _json(after), now
            for change in changes:
                payload = _payload(name, after, after.since or before.since, now)
                event = Event(f"breaker.{change.value}", f"breaker:{name}", now, actor, payload)
                await self.events.append(session, tenant_id, event)
        self._remember(tenant_id, name, after, now)
        return after

    async def _locked(self, session: AsyncSession, tenant_id: str, name: str) -> BreakerRow:
        """The row, which nobody else changes until this transaction ends; made when it is the first."""
        query = select(BreakerRow).where(BreakerRow.tenant_id == tenant_id, BreakerRow.name == name)
        row = await session.scalar(query.with_for_update())
        if row is not None:
            return row
        made = BreakerRow(
            tenant_id=tenant_id, name=name, state=_json(breaker.CLOSED), updated_at=self.clock.now()
        )
        try:
            async with session.begin_nested():
                session.add(made)
        except IntegrityError:  # another process was faster
            return (await session.scalars(query.with_for_update())).one()
        return made

    def _remember(self, tenant_id: str, name: str, state: BreakerState, now: datetime) -> None:
        self._read.pop((tenant_id, name), None)
        self._read[tenant_id, name] = (state, now)
        while len(self._read) > MOST_REMEMBERED:
            del self._read[next(iter(self._read))]

    def _refusal(self, name: str, title: str | None, state: BreakerState) -> CircuitOpen:
        now = self.clock.now()
        again = state.retry_at(now)
        wait = max(1.0, (again - now).total_seconds())
        return CircuitOpen(
            f"{title or name} did not answer several times in a row, so it is left alone for a while."
            f" The next try is possible in {_spoken(wait)}.",
            retryable=True,
            retry_after=wait,
            breaker=name,
            retry_at=rfc3339(again),
        )


def is_down(error: OmniForgeError) -> bool:
    """Whether the other side did not work: unreachable, its own fault (5xx), no answer in time.

    Not what the request got wrong, not being asked to slow down, and not this breaker's own refusal.
    """
    if not isinstance(error, ProviderError) or isinstance(error, CircuitOpen):
        return False
    return error.retryable and error.retry_after is None and classify(error).kind in _DOWN


def _state(row: BreakerRow) -> BreakerState:
    return BreakerState.from_json(json.loads(row.state))


def _json(state: BreakerState) -> str:
    return json.dumps(state.to_json(), separators=(",", ":"))


def _view(row: BreakerRow, now: datetime) -> BreakerView:
    state = _state(row)
    counted = [moment for moment in state.failures if moment > now - breaker.WINDOW]
    return BreakerView(
        name=row.name,
        status=state.status(now),
        failures=len(counted),
        since=state.since,
        retry_at=state.retry_at(now) if state.opened_at else None,
        alerted=state.alerted,
        updated_at=row.updated_at,
    )


def _payload(name: str, state: BreakerState, since: datetime | None, now: datetime) -> dict[str, Any]:
    payload: dict[str, Any] = {"name": name}
    if since is not None:
        payload |= {"open_since": rfc3339(since), "open_seconds": round((now - since).total_seconds())}
    if state.opened_at is not None:
        payload["retry_at"] = rfc3339(state.retry_at(now))
    return payload


def _spoken(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.0f} minutes"
