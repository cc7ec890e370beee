"""Processes seen from the host: what a tree of them uses, when one ends, and capped reading of its pipes."""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """Resident bytes and CPU seconds, including children that have ended."""

    memory_bytes: int = 0
    cpu_seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.memory_bytes + other.memory_bytes, self.cpu_seconds + other.cpu_seconds)


class ProcessTable:
    """`/proc`, read at most once per `max_age` seconds however many trees are watched."""

    def __init__(self, max_age: float = 0.02) -> None:
        self._max_age = max_age
        self._read_at = -max_age
        self._children: dict[int, list[int]] = {}
        self._usage: dict[int, Usage] = {}
        # A thread of its own: watching must not wait behind whatever else the process does in threads.
        self._thread = ThreadPoolExecutor(1, "sandbox-watch")

    async def usage_of(self, root: int) -> Usage:
        """Of the process `root` and everything below it."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._sum, root)

    def _sum(self, root: int) -> Usage:
        if time.monotonic() - self._read_at > self._max_age:
            self._children, self._usage = _read_table()
            self._read_at = time.monotonic()
        total, waiting = Usage(), [root]
        while waiting:
            pid = waiting.pop()
            total += self._usage.get(pid, Usage())
            waiting += self._children.get(pid, ())
        return total


def _read_table() -> tuple[dict[int, list[int]], dict[int, Usage]]:
    children: dict[int, list[int]] = {}
    usage: dict[int, Usage] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb", buffering=0) as stat:
                line = stat.read(4096)
        except OSError:
            continue  # it has ended since it was listed
        # After the name, which may hold anything: state, ppid, …, utime, stime, cutime, cstime, …, rss
        fields = line[line.rindex(b")") + 2 :].split()
        pid, ticks = int(name), sum(int(number) for number in fields[11:15])
        children.setdefault(int(fields[1]), []).append(pid)
        usage[pid] = Usage(int(fields[21]) * PAGE, ticks * TICK)
    return children, usage


async def wait_for_end(pidfd: int) -> None:
    """Until the process behind `pidfd` has ended (for the first process of a namespace: all of them)."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    loop.add_reader(pidfd, lambda: ended.done() or ended.set_result(None))
    try:
        await ended
    finally:
        loop.remove_reader(pidfd)


async def read_capped(pipe: int, limit: int) -> tuple[bytes, bool]:
    """All that comes out of `pipe`, and whether it was more than `limit` bytes. Closes `pipe`.

    Past the limit the pipe is closed at once: the writer feels it instead of costing us anything further.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", buffering=0)
    )
    content = bytearray()
    try:
        while len(content) <= limit and (chunk := await reader.read(65536)):
            content += chunk
    finally:
        transport.close()
    return bytes(content[:limit]), len(content) > limit
