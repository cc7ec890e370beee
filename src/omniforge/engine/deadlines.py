"""Time limits of many short pieces of work, behind one timer."""

from __future__ import annotations

import asyncio


class Limit:
    """How long one piece of work of a task may take."""

    __slots__ = ("cancelling", "expired", "task", "when")

    def __init__(self, task: asyncio.Task[object], when: float) -> None:
        self.task = task
        self.when = when
        self.cancelling = task.cancelling()
        self.expired = False


class Deadlines:
    """What `asyncio.timeout` does, for work that nearly always ends in time: no limit has a timer of its own.

    The task is cancelled at its limit. Whoever set the limit lifts it in every case; `lift` tells whether the
    cancellation was the limit's alone. Seconds by the event loop's clock.
    """

    def __init__(self) -> None:
        self._limits: set[Limit] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0.0

    def set(self, seconds: float) -> Limit:
        """Limit the current task from now on."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        loop = task.get_loop()
        limit = Limit(task, loop.time() + seconds)
        self._limits.add(limit)
        if self._timer is None or limit.when < self._next:
            self._ring_at(loop, limit.when)
        return limit

    def lift(self, limit: Limit) -> bool:
        """True when it had come, and nobody else has cancelled the task since it was set."""
        self._limits.discard(limit)
        return limit.expired and limit.task.uncancel() <= limit.cancelling

    def _ring_at(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = when
        self._timer = loop.call_at(when, self._ring, loop)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        """End what is due. The timer is that of the earliest limit ever set, so often nothing is."""
        self._timer = None
        now = loop.time()
        for limit in [limit for limit in self._limits if limit.when <= now]:
            self._limits.discard(limit)
            limit.expired = True
            limit.task.cancel()
        if self._limits:
            self._ring_at(loop, min(limit.when for limit in self._limits))
