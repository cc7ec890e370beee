"""One program in the box of a workspace: watched, to be stopped, and known to every process of ours here."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass

from omniforge.sandboxes.bubblewrap import Box
from omniforge.sandboxes.folders import Folder
from omniforge.sandboxes.outputs import KILLED, Transcript, drain
from omniforge.sandboxes.processes import ProcessTable, read_capped, wait_for_end
from omniforge.sandboxes.protocol import MIB, KilledBy, Limits
from omniforge.sandboxes.sessions import BoxSession, last_line, to_its_end
from omniforge.sandboxes.workspaces import Execution

READY = b'{"ready": true}\n'
DISK_SECONDS = 2.0
"""Between two looks at how much a workspace holds; longer where looking itself takes long."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended, and what it said."""

    exit_code: int
    killed_by: KilledBy | None
    is_ready: bool
    """False: its program never started."""
    is_stopped: bool
    seconds: float
    transcript: Transcript

    @property
    def last_words(self) -> str:
        return last_line(self.execution().output)

    def execution(self) -> Execution:
        code = self.exit_code if self.killed_by is None else KILLED
        is_late = self.killed_by is KilledBy.WALL
        return self.transcript.ended(code, timed_out=is_late, seconds=self.seconds)


class Occupant(BoxSession):
    """Made with a box that has just been started; `ended` is its whole life."""

    poll_seconds = 0.2
    passing = ("/tmp", "/dev/shm")  # noqa: S108 - of the box

    def __init__(
        self,
        box: Box,
        limits: Limits,
        table: ProcessTable,
        started: float,
        *,
        folder: Folder,
        transcript: Transcript,
        role: str,
    ) -> None:
        super().__init__(box, limits, table, started)
        self._folder, self._transcript, self._role = folder, transcript, role
        self._stop = asyncio.Event()
        self._ready: asyncio.Task[tuple[bytes, bool]] = asyncio.create_task(read_capped(box.results, 256))
        self.ended = asyncio.create_task(self._live())

    async def is_ready(self) -> bool:
        """Once its program has started, or never will."""
        said, _ = await asyncio.shield(self._ready)
        return said.startswith(READY)

    async def stop(self) -> None:
        self._stop.set()
        await asyncio.wait({self.ended})

    async def _live(self) -> Ended:
        box = self.box
        ending = asyncio.create_task(wait_for_end(box.pidfd))
        finding = asyncio.create_task(self._register())
        reading = [asyncio.create_task(drain(box.stdout, self._transcript)), self._ready]
        reading.append(asyncio.create_task(read_capped(box.stderr, 1)))
        ends: set[asyncio.Task[KilledBy | None]] = {
            asyncio.create_task(self.watch()),
            asyncio.create_task(self._watch_disk()),
            asyncio.create_task(self._watch_stop()),
        }
        killed_by, has_ended = None, False
        try:
            done, _ = await asyncio.wait({ending, *ends}, return_when=asyncio.FIRST_COMPLETED)
            has_ended = ending in done
            if not has_ended:
                killed_by = next((task.result() for task in done if task.result() is not None), None)
        finally:
            exit_code = await to_its_end(self._clean_up(finding, ending, ends, reading))
        if killed_by not in (None, KilledBy.WALL):
            self._transcript.add(self._explain(killed_by))
        is_stopped = not has_ended and killed_by is None
        seconds = time.monotonic() - self.started
        return Ended(exit_code, killed_by, await self.is_ready(), is_stopped, seconds, self._transcript)

    async def _register(self) -> None:
        await self.find_first_process()
        if self.box.first_pid is not None:
            self._folder.add_box(self.box.first_pid, self._role)

    async def _watch_stop(self) -> None:
        await self._stop.wait()

    async def _watch_disk(self) -> KilledBy:
        pause = DISK_SECONDS
        while True:
            await asyncio.sleep(pause)
            looked = time.monotonic()
            if await asyncio.to_thread(self._folder.is_too_large):
                return KilledBy.DISK
            pause = max(DISK_SECONDS, 20 * (time.monotonic() - looked))

    async def _clean_up(
        self,
        finding: asyncio.Task[None],
        ending: asyncio.Task[None],
        ends: set[asyncio.Task[KilledBy | None]],
        reading: list[asyncio.Task[None] | asyncio.Task[tuple[bytes, bool]]],
    ) -> int:
        for task in ends:
            task.cancel()
        exit_code = await self.end(finding, ending, reading)
        await asyncio.gather(*ends, return_exceptions=True)
        if self.box.first_pid is not None:
            with suppress(OSError):
                self._folder.drop_box(self.box.first_pid)
        return exit_code

    def _explain(self, killed_by: KilledBy | None) -> bytes:
        match killed_by:
            case KilledBy.MEMORY:
                what = f"used more than {self.limits.memory_bytes // MIB} MB of memory"
            case KilledBy.CPU:
                what = f"used more than {self.limits.cpu_seconds:.0f} seconds of processor time"
            case _:
                what = f"left more than {self._folder.order.disk_bytes // MIB} MB or too many files"
        return f"\n[ended: it {what}]\n".encode()
