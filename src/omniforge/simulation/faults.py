"""A journal that is slow, fails for a moment, and loses its process; what it promised is noted."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from omniforge.core.errors import Unavailable
from omniforge.engine.journal import JournalClosed, SqliteJournal
from omniforge.engine.records import Change
from omniforge.simulation.life import Life


@dataclass(slots=True)
class Faults:
    """How often what goes wrong, each a probability; `calm` once nothing may go wrong any more.

    late: changes that a dead process was about to write, to be delivered when another one has taken over.
    """

    rng: random.Random
    slow: float = 0.0
    broken: float = 0.0
    killed: float = 0.0
    calm: bool = False
    kills_left: int = 8
    """Of steps that die with their process again and again the engine thinks that they kill it."""
    late: list[Change] = field(default_factory=list[Change])

    def happens(self, odds: float) -> bool:
        return odds > 0 and not self.calm and self.rng.random() < odds

    def delay(self) -> float:
        """Seconds that a query or a commit takes."""
        if not self.happens(self.slow):
            return 0.0
        return self.rng.choice((0.0, 0.001, 0.02, 0.5, 2.0)) * self.rng.random()


@dataclass(slots=True)
class Promised:
    """What the journal said is durable: run → status, and (run, key) → the row of the step."""

    runs: dict[str, str] = field(default_factory=dict[str, str])
    steps: dict[str, dict[str, tuple[Any, ...]]] = field(
        default_factory=dict[str, dict[str, tuple[Any, ...]]]
    )

    def note(self, change: Change) -> None:
        if change.new_run is not None:
            self.runs.setdefault(change.run_id, "queued")
        if change.status is not None:
            self.runs[change.run_id] = change.status.value
        rows = self.steps.setdefault(change.run_id, {})
        for row in change.steps:
            rows[row[1]] = row


class MortalJournal(SqliteJournal):
    """The real journal; `drop` leaves its files as they are, as kill -9 does."""

    def drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._queue.clear()
        self.db.unsettled = None
        self._files.close()
        connection.close()


BROKEN_FOR = 0.3
"""Seconds in which nothing of a run can be written, once something could not."""
Submit = Callable[[Change], asyncio.Future[Any]]


@dataclass(slots=True)
class _Item:
    change: Change
    submit: Submit
    answer: asyncio.Future[Any]


class FaultyJournal:
    """Hands changes on in order; when the process dies, before or after they were written."""

    def __init__(self, inner: MortalJournal, faults: Faults, life: Life, promised: Promised) -> None:
        self.inner = inner
        self.faults = faults
        self.life = life
        self.promised = promised
        life.at_death.append(inner.drop)
        self._queue: list[_Item] = []
        self._broken: dict[str, float] = {}
        self._pump: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self.inner.open()

    async def close(self) -> None:
        if self._pump is not None:
            await asyncio.wait([self._pump])
        await self.inner.close()

    def start(self, change: Change) -> asyncio.Future[str | None]:
        return self._submit(change, self._start)

    def write(self, change: Change) -> asyncio.Future[bool]:
        return self._submit(change, self._write)

    def _start(self, change: Change) -> asyncio.Future[str | None]:
        answer = self.inner.start(change)
        answer.add_done_callback(lambda done: self._note(change, done, change.run_id))
        return answer

    def _write(self, change: Change) -> asyncio.Future[bool]:
        answer = self.inner.write(change)
        answer.add_done_callback(lambda done: self._note(change, done, True))
        return answer

    def _note(self, change: Change, done: asyncio.Future[Any], promise: Any) -> None:
        if not done.cancelled() and done.exception() is None and done.result() == promise:
            self.promised.note(change)

    def _submit(self, change: Change, submit: Submit) -> asyncio.Future[Any]:
        if not self.life.alive:
            return asyncio.get_running_loop().create_future()
        faults = self.faults
        eventful = faults.slow + faults.broken + faults.killed
        broken = self._broken.get(change.run_id, 0.0) >= asyncio.get_running_loop().time()
        if self._pump is None and not broken and not faults.happens(eventful):
            return submit(change)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.append(_Item(change, submit, answer))
        if self._pump is None:
            self._pump = asyncio.create_task(self._hand_on())
        return answer

    async def _hand_on(self) -> None:
        try:
            while self._queue:
                await asyncio.sleep(self.faults.delay())
                batch = self._queue[: self.faults.rng.randint(1, 4)]
                del self._queue[: len(batch)]
                await self._commit(batch)
        finally:
            self._pump = None

    async def _commit(self, batch: list[_Item]) -> None:
        faults, total = self.faults, self.faults.slow + self.faults.broken + self.faults.killed
        killed = faults.killed / total if total else 0.0
        if self.life.alive and faults.kills_left > 0 and faults.happens(killed / 2):
            faults.late += [item.change for item in (*batch, *self._queue)]
            self.life.die(f"before {_named(batch[0].change)} was written")
        await self._while_alive()
        loop, refused = asyncio.get_running_loop(), [*batch]
        batch = [item for item in batch if self._broken.get(item.change.run_id, 0.0) < loop.time()]
        for item in refused:
            if item not in batch:
                _answer(item, _full())
        if batch and total and faults.happens(faults.broken / total):
            run_id = faults.rng.choice(batch).change.run_id
            self.life.trace.tell(f"the journal cannot write now what happens to {run_id}")
            self._broken[run_id] = loop.time() + BROKEN_FOR
            for item in batch:
                if item.change.run_id == run_id:  # what comes after it in the same run may build on it
                    _answer(item, _full())
            batch = [item for item in batch if item.change.run_id != run_id]
        try:
            written = [item.submit(item.change) for item in batch]
        except JournalClosed as error:
            for item in batch:
                _answer(item, error)
            return
        answers = await asyncio.gather(*written, return_exceptions=True)
        if batch and faults.kills_left > 0 and faults.happens(killed / 2):
            self.life.die(f"after {_named(batch[-1].change)} was written")
        await self._while_alive()
        await asyncio.sleep(faults.delay())
        await self._while_alive()
        for item, value in zip(batch, answers, strict=True):
            _answer(item, value)

    async def _while_alive(self) -> None:
        """The dead write nothing and answer nobody."""
        if not self.life.alive:
            await asyncio.Event().wait()


def _full() -> Unavailable:
    return Unavailable("The disk is full; free some space.", code="disk_full")


def _answer(item: _Item, value: Any) -> None:
    if item.answer.done():
        return
    if isinstance(value, BaseException):
        item.answer.set_exception(value)
    else:
        item.answer.set_result(value)


def _named(change: Change) -> str:
    what = [event.type for event in change.events]
    return f"{', '.join(what) or 'a change'} of {change.run_id}"
