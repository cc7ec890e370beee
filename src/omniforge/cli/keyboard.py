"""Lines typed at a terminal, for work that goes on in a thread beside it.

Input is read in the main thread: only there Ctrl+C arrives, and only there it can break off the reading. So
the work, with its event loop, lives in a thread of its own and asks for a line when it wants one.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from importlib import import_module
from queue import SimpleQueue
from threading import Thread
from types import ModuleType
from typing import Any, TypeVar

PROMPT = "you ▸ "
_BOLD_PROMPT = "\001\x1b[1m\002you ▸\001\x1b[0m\002 "
"""With marks that tell line editing which characters take no room."""

_T = TypeVar("_T")


class Keyboard:
    """What the work is given. `line()` is None at the end of the input, and when Ctrl+C `left` it."""

    def __init__(self) -> None:
        self.left = False
        self._wanted: SimpleQueue[asyncio.Future[str | None] | None] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._doing: asyncio.Task[Any] | None = None
        self._failure: BaseException | None = None

    async def line(self) -> str | None:
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._wanted.put(answer)
        return await answer

    async def unless_stopped(self, work: Coroutine[Any, Any, _T]) -> _T | None:
        """What the work gives; None when Ctrl+C broke it off."""
        task = self._doing = asyncio.ensure_future(work)
        try:
            await asyncio.wait([task])
        finally:
            self._doing = None
            task.cancel()  # when it is us who were told to stop
        return None if task.cancelled() else task.result()

    def attend(self, work: Callable[[Keyboard], Awaitable[None]]) -> None:
        """Do the work, and type for it until it is done; raises what it raised, or KeyboardInterrupt."""
        thread = Thread(target=self._do, args=(work,), daemon=True)
        thread.start()
        wanted: asyncio.Future[str | None] | None = None
        going = True
        while going:
            try:
                wanted = self._wanted.get()
                going = wanted is not None
                if wanted is not None:
                    self._give(wanted, _typed())
                wanted = None
            except KeyboardInterrupt:
                self._on_stop(wanted)
                wanted = None
        thread.join()
        if self._failure is not None:
            raise self._failure
        if self.left:
            raise KeyboardInterrupt

    def _do(self, work: Callable[[Keyboard], Awaitable[None]]) -> None:
        async def all_of_it() -> None:
            self._loop = asyncio.get_running_loop()
            await work(self)

        try:
            asyncio.run(all_of_it())
        except BaseException as error:  # noqa: BLE001 - raised again by `attend`, in the main thread
            self._failure = error
        finally:
            self._wanted.put(None)

    def _on_stop(self, wanted: asyncio.Future[str | None] | None) -> None:
        """At the prompt it means leaving; while something is done it breaks that off."""
        sys.stdout.write("\n")
        if wanted is not None:
            self.left = True
            self._give(wanted, None)
        elif self._loop is not None:
            self._call(lambda: self._doing and self._doing.cancel())

    def _give(self, wanted: asyncio.Future[str | None], typed: str | None) -> None:
        self._call(lambda: None if wanted.done() else wanted.set_result(typed))

    def _call(self, what: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the work is over, nobody waits any more
            if self._loop is not None:
                self._loop.call_soon_threadsafe(what)


def _typed() -> str | None:
    try:
        return input(_BOLD_PROMPT if _line_editing() else PROMPT)
    except EOFError:
        sys.stdout.write("\n")
        return None


def prompt_again() -> None:
    """Show the prompt anew, with what was typed so far, after something was printed across it."""
    editing = _line_editing()
    sys.stdout.write(PROMPT + (editing.get_line_buffer() if editing else ""))
    sys.stdout.flush()


def _line_editing() -> ModuleType | None:
    """At a terminal, where the system can do it; the import is what switches it on."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    try:
        return import_module("readline")
    except ImportError:
        return None
