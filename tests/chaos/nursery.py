"""Processes in no time: one that has imported everything, and forks a life whenever it is told to."""

from __future__ import annotations

import asyncio
import json
import os
import selectors
import signal
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

_TESTS = Path(__file__).parent.parent


@dataclass(eq=False)
class Child:
    """A process that lives, or did. `ended` gives its exit code, negative for the signal that ended it."""

    pid: int
    ended: asyncio.Future[int]

    def send(self, number: signal.Signals) -> None:
        if not self.ended.done():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)


@dataclass
class Nursery:
    """Use as a context. `log` gets what the children write."""

    log: Path
    _orders: dict[int, asyncio.Future[Child]] = field(default_factory=dict[int, "asyncio.Future[Child]"])
    _children: dict[int, Child] = field(default_factory=dict[int, Child])
    _number: int = 0

    async def __aenter__(self) -> Nursery:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "chaos.nursery",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                cwd=_TESTS,
            )
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()  # it kills who is left, then goes
        await self._process.wait()
        await self._reading

    async def bear(self, life: Any) -> Child:
        """A process that does this `Life`."""
        return await self._order("life", asdict(life))

    async def crowd(self, database: Path, seconds: float) -> Child:
        """A process of 50 foreign writers."""
        return await self._order("crowd", {"database": str(database), "seconds": seconds})

    async def _order(self, job: str, values: Mapping[str, Any]) -> Child:
        self._number += 1
        future = self._orders[self._number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        order = {"order": self._number, "job": job, "values": values}
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()
        return await future

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            told = json.loads(line)
            if "pid" in told:
                child = Child(told["pid"], asyncio.get_running_loop().create_future())
                self._children[told["order"]] = child
                self._orders.pop(told["order"]).set_result(child)
            else:
                self._children.pop(told["order"]).ended.set_result(told["code"])


def _do(job: str, values: dict[str, Any]) -> int:
    from chaos import faults  # noqa: PLC0415 - imported long before, see main
    from chaos.life import Life, live  # noqa: PLC0415

    if job == "crowd":
        return 0 if faults.crowd(**values) else 1
    return live(Life(**values))


def _fork(job: str, values: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(2, 1)
        code = _do(job, values)
    except BaseException:  # noqa: BLE001 - the path of a child ends here
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _wake(_number: int, _frame: FrameType | None) -> None:
    """The wake-up file says it."""


def main() -> None:
    """Orders come as lines of JSON; answers go the same way."""
    import chaos.life  # noqa: F401, PLC0415 # pyright: ignore[reportUnusedImport]

    def tell(**values: int) -> None:
        os.write(1, json.dumps(values).encode() + b"\n")

    awake, wakes = os.pipe()
    for end in (awake, wakes):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, _wake)
    signal.set_wakeup_fd(wakes)
    select = selectors.DefaultSelector()
    select.register(0, selectors.EVENT_READ)
    select.register(awake, selectors.EVENT_READ)
    orders: dict[int, int] = {}
    left = b""
    while True:
        for key, _ in select.select():
            data = os.read(key.fd, 1 << 16)
            if key.fd == awake:
                continue
            if not data:
                for pid in orders:
                    os.kill(pid, signal.SIGKILL)
                return
            *lines, left = (left + data).split(b"\n")
            for line in lines:
                order = json.loads(line)
                pid = _fork(order["job"], order["values"])
                orders[pid] = order["order"]
                tell(order=order["order"], pid=pid)
        while orders:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            tell(order=orders.pop(pid), code=os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
