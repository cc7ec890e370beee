"""One life of an engine's process: from its start until it is killed, together with all its tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

from omniforge.core.errors import Unavailable
from omniforge.simulation.trace import Trace

Answer = TypeVar("Answer")
_CURRENT: ContextVar[Life | None] = ContextVar("life", default=None)
MAX_FAREWELLS = 50
"""Turns in which the tasks of a dead process have to be gone."""


class Lost(Unavailable):
    """The process died before it answered: nobody knows what became of the request."""


class Life:
    """Tasks made inside of it belong to it and end with it; after `die` nothing of it reaches the outside."""

    def __init__(self, number: int, trace: Trace) -> None:
        self.number = number
        self.trace = trace
        self.alive = True
        self.died = asyncio.Event()
        self.tasks: list[asyncio.Task[Any]] = []
        self.at_death: list[Callable[[], None]] = []

    def die(self, why: str) -> None:
        """As kill -9: at once, wherever it is."""
        if self.alive:
            self.alive = False
            self.trace.tell(f"life {self.number} is killed {why}")
            self.died.set()
            for leave in self.at_death:
                leave()

    async def call(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Do something inside this process, asked from outside; `Lost` when it dies meanwhile."""
        context = copy_context()
        context.run(_CURRENT.set, self)
        task = asyncio.get_running_loop().create_task(work, context=context)
        died = asyncio.ensure_future(self.died.wait())
        try:
            await asyncio.wait([task, died], return_when=asyncio.FIRST_COMPLETED)
        finally:
            died.cancel()
        if not self.alive or not task.done():
            raise Lost("The process died.")
        return task.result()

    async def bury(self) -> None:
        """Let the tasks of the dead process unwind; whatever they still do reaches nobody."""
        for _ in range(MAX_FAREWELLS):
            left = [task for task in self.tasks if not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            await asyncio.sleep(0)
        for task in self.tasks:
            if task.done() and not task.cancelled():
                task.exception()  # nobody is left to ask for it
        left = [task for task in self.tasks if not task.done()]
        if left:
            self.trace.blame(f"tasks do not end when they are cancelled: {left[0].get_coro()}")
        self.tasks.clear()


def note_task(
    loop: asyncio.AbstractEventLoop,
    work: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
    context: Context | None = None,
) -> asyncio.Task[Any]:
    """Task factory: a task belongs to the life in whose context it is made."""
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, context=context)  # pyright: ignore[reportArgumentType]
    life = _CURRENT.get() if context is None else context.get(_CURRENT)
    if life is not None:
        life.tasks.append(task)
    return task
