"""Virtual time: a loop that jumps to the next timer when nothing is ready, a wall clock that may be set."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

START = datetime(2026, 1, 5, 8, 30, tzinfo=UTC)
MAX_TURNS = 60_000
"""Turns of the loop in one simulation; with more, something goes round in circles."""
FAREWELL_TURNS = 1_000
"""Turns to unwind in after that."""
Answer = TypeVar("Answer")


class Stuck(Exception):
    """Nothing is left that could ever happen, though somebody waits; or it never comes to an end."""


class _Jump(selectors.SelectSelector):
    """Instead of waiting for files it lets time pass. `give_up` is called once when that leads nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.turns = 0
        self.problem: str | None = None
        self.give_up: Callable[[], object] = lambda: None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.turns += 1
        if timeout is None:
            self._note("nothing is left that could ever happen, though somebody still waits")
        elif self.turns > MAX_TURNS:
            self._note(f"no end after {MAX_TURNS} turns of the loop")
        self.now += max(0.0, timeout or 0.0)
        return []

    def _note(self, problem: str) -> None:
        if self.problem is not None and self.turns < MAX_TURNS + FAREWELL_TURNS:
            return
        if self.problem is not None:
            raise Stuck(self.problem)
        self.problem, self.turns = problem, max(self.turns, MAX_TURNS)
        self.give_up()


class VirtualLoop(asyncio.SelectorEventLoop):
    """Sleeps, timeouts and timers take virtual time only; what would go to a thread is done on the loop.

    think: seconds after which the answer of such a thread arrives.
    """

    def __init__(self) -> None:
        self.jump = _Jump()
        self.think: Callable[[], float] = lambda: 0.0
        super().__init__(self.jump)
        self._clock_resolution = 1e-6  # years are long: a nanosecond is lost in the sum

    def time(self) -> float:
        return self.jump.now

    def run_in_executor(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        async def act() -> Any:
            try:
                return func(*args)
            finally:
                await asyncio.sleep(self.think())

        return self.create_task(act())


class VirtualClock:
    """The time of day on a virtual loop. `offset` is what somebody who sets the clock changes."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def now(self) -> datetime:
        return START + timedelta(seconds=asyncio.get_running_loop().time()) + self.offset

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run_virtually(main: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
    """Run the coroutine that `main` makes to its end, in no time. `Stuck` when it has none."""

    async def watched() -> Answer:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        loop.jump.give_up = task.cancel
        return await main()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = cast("VirtualLoop", runner.get_loop())
        try:
            return runner.run(watched())
        except asyncio.CancelledError:
            raise Stuck(loop.jump.problem or "it was cancelled") from None
