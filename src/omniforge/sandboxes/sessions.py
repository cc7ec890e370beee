"""One box from its start to its end: it is watched, and nothing of it is left."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from omniforge.sandboxes.bridge import parse_object
from omniforge.sandboxes.bubblewrap import Box
from omniforge.sandboxes.processes import ProcessTable, read_capped, wait_for_end
from omniforge.sandboxes.protocol import KilledBy, Limits

T = TypeVar("T")

MAX_INODES = 50_000
"""Empty files cost kernel memory that the size of a tmpfs does not count."""
PASSING = ("/workspace", "/tmp", "/dev/shm")  # noqa: S108 - of the box
"""Its file systems that live in memory."""


class BoxSession:
    """Watches a box, ends it, and waits until it is gone."""

    poll_seconds = 0.025
    passing = PASSING

    def __init__(self, box: Box, limits: Limits, table: ProcessTable, started: float) -> None:
        self.box = box
        self.limits = limits
        self.table = table
        self.started = started

    async def find_first_process(self) -> None:
        said, _ = await read_capped(self.box.info, 4096)
        with suppress(ValueError):
            pid = parse_object(said).get("child-pid")
            if isinstance(pid, int):
                self.box.found(pid)

    async def watch(self) -> KilledBy:
        """Until a limit of the whole box is passed."""
        limits = self.limits
        while True:
            await asyncio.sleep(self.poll_seconds)
            if time.monotonic() - self.started > limits.wall_seconds:
                return KilledBy.WALL
            usage = await self.table.usage_of(self.box.process.pid)
            if usage.memory_bytes > limits.memory_bytes:
                return KilledBy.MEMORY
            if usage.cpu_seconds > limits.cpu_seconds:
                return KilledBy.CPU
            if self._count_inodes() > MAX_INODES:
                return KilledBy.DISK

    def _count_inodes(self) -> int:
        """In the box's own file systems; 0 where the kernel does not let us look."""
        if self.box.first_pid is None:
            return 0
        with suppress(OSError):
            root = f"/proc/{self.box.first_pid}/root"
            spaces = [os.statvfs(root + place) for place in self.passing]
            return sum(space.f_files - space.f_ffree for space in spaces)
        return 0

    async def end(
        self, finding: asyncio.Task[None], ending: asyncio.Task[None], outputs: Iterable[asyncio.Task[Any]]
    ) -> int:
        """Kill what is left in the box and wait until it is gone; the exit code of bubblewrap."""
        # Bubblewrap tells its first process before that may run, and only a known one is surely killed:
        # one that has not yet bound its life to bubblewrap's would survive it.
        await asyncio.wait({finding})
        self.box.kill()
        await asyncio.wait({ending, *outputs})
        if self.box.first_pidfd is not None:
            await wait_for_end(self.box.first_pidfd)
        return self.box.close()


def last_line(stderr: bytes) -> str:
    lines = stderr.decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing").rstrip(".")


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Not to be interrupted: a cancellation that comes meanwhile is raised afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return task.result()
