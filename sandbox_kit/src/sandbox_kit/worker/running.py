"""Commands in the workspace: told as they run, ended with all that they started."""

from __future__ import annotations

import codecs
import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sandbox_kit.worker.control import Control
from sandbox_kit.worker.telemetry import Telemetry, plain

READ = 65536
TICK = 0.05
GRACE = 1.0
"""Seconds between the polite and the other end of a command, and for output after its end."""
CROWDED = 100
"""Events not taken yet above which output is told less often."""
LONGEST_TOLD = 8_000
"""Characters of output in one event."""
HEAD, TAIL = 8_000, 24_000
"""Characters kept of a command's output."""


@dataclass(frozen=True)
class Ran:
    """How a command ended. `exit_code` is 128 + n after signal n; `output`: beginning and end of both its
    streams."""

    exit_code: int
    output: str
    seconds: float
    timed_out: bool = False

    @property
    def tail(self) -> str:
        return self.output[-LONGEST_TOLD:].strip()


class Kept:
    """Text as it comes: its first and its last characters."""

    def __init__(self, head: int = HEAD, tail: int = TAIL) -> None:
        self._most_head, self._most_tail = head, tail
        self._head, self._tail, self._left_out = "", "", 0

    def add(self, text: str) -> None:
        room = self._most_head - len(self._head)
        self._head += text[:room] if room > 0 else ""
        self._tail += text[max(room, 0) :]
        if (over := len(self._tail) - self._most_tail) > 0:
            self._left_out += over
            self._tail = self._tail[over:]

    def text(self) -> str:
        if not self._left_out:
            return self._head + self._tail
        return f"{self._head}\n[… {self._left_out} characters left out …]\n{self._tail}"

    def __bool__(self) -> bool:
        return bool(self._head or self._tail)


class Teller:
    """Output of one call, merged: at most one event in `interval` seconds, however much there is. What a
    short command says is one event, at its end."""

    def __init__(self, telemetry: Telemetry, call_id: str, interval: float) -> None:
        self._telemetry, self._call_id, self._interval = telemetry, call_id, interval
        self._told, self._is_first = time.monotonic(), True
        self._kept = Kept(LONGEST_TOLD // 4, LONGEST_TOLD - LONGEST_TOLD // 4)

    def add(self, text: str) -> None:
        self._kept.add(text)

    def tell(self, *, is_last: bool = False) -> None:
        """Tell what there is when it is due. The last words wait until they are."""
        interval = self._interval * (10 if self._telemetry.backlog > CROWDED else 1)
        due = self._told + interval - time.monotonic()
        if not self._kept or (due > 0 and not is_last):
            return
        if is_last and not self._is_first:
            time.sleep(max(0.0, due))
        self._telemetry.tell("command.output", call_id=self._call_id, stream="stdout", text=self._kept.text())
        self._told, self._is_first = time.monotonic(), False
        self._kept = Kept(LONGEST_TOLD // 4, LONGEST_TOLD - LONGEST_TOLD // 4)


class Place(Protocol):
    """What running a command needs to know."""

    @property
    def control(self) -> Control: ...
    @property
    def telemetry(self) -> Telemetry: ...
    @property
    def environment(self) -> Mapping[str, str]: ...
    @property
    def workspace(self) -> Path: ...
    @property
    def merge(self) -> float: ...


class Commands:
    """Runs one command at a time. What a command leaves running goes on until `end_all`."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._groups: list[int] = []

    def shell(self, command: str, *, call_id: str, cwd: str = ".", timeout: float | None = None) -> Ran:
        """Raises `Stopped` and `Interrupted`, after the command was ended."""
        return self.run(["/bin/sh", "-c", command], command, call_id=call_id, cwd=cwd, timeout=timeout)

    def run(
        self,
        argv: Sequence[str],
        shown: str,
        *,
        call_id: str,
        cwd: str = ".",
        timeout: float | None = None,
        hear: Callable[[bytes], None] | None = None,
        **more: Any,
    ) -> Ran:
        """`shown` is what people read, `hear` gets all output; `more` goes to the process. Told as command.*.
        A command that cannot be started ends with 127."""
        place, begun = self._place, time.monotonic()
        place.telemetry.tell("command.started", call_id=call_id, command=shown, cwd=cwd)
        process, timed_out, kept = None, False, Kept()
        until = None if timeout is None else begun + timeout
        try:
            with self._started(argv, cwd, more) as process:
                timed_out = self._follow(process, kept, call_id, until, hear)
        except OSError as error:
            kept.add(f"{error.filename or argv[0]}: {error.strerror}")
        finally:
            seconds = time.monotonic() - begun
            exit_code = 127 if process is None else process.returncode
            exit_code = 128 - exit_code if exit_code < 0 else exit_code
            place.telemetry.tell(
                "command.completed", call_id=call_id, exit_code=exit_code, duration_ms=round(seconds * 1000)
            )
        return Ran(exit_code, place.telemetry.masked(plain(kept.text())), seconds, timed_out)

    def end_all(self) -> None:
        """End what commands have left running."""
        for group in self._groups:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        self._groups.clear()

    @contextlib.contextmanager
    def _started(
        self, argv: Sequence[str], cwd: str, more: dict[str, Any]
    ) -> Generator[subprocess.Popen[bytes]]:
        place = self._place
        given: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT, **more}
        environment = {**place.environment, **given.pop("env", {})}
        start: Any = subprocess.Popen
        process: subprocess.Popen[bytes] = start(
            list(argv),
            cwd=place.workspace / cwd,
            env=environment,
            stdout=subprocess.PIPE,
            start_new_session=True,
            **given,
        )
        self._groups.append(process.pid)
        try:
            yield process
        finally:
            if process.poll() is None:
                _end(process)

    def _follow(
        self,
        process: subprocess.Popen[bytes],
        kept: Kept,
        call_id: str,
        until: float | None,
        hear: Callable[[bytes], None] | None,
    ) -> bool:
        """Until its end; whether it took too long and was ended."""
        place, left = self._place, threading.Event()
        chunks = _read_in_background(process, left)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        teller = Teller(place.telemetry, call_id, place.merge)
        over, timed_out = None, False
        try:
            while True:
                try:
                    chunk = chunks.get(timeout=TICK)
                except queue.Empty:
                    chunk = b""
                if chunk is None:
                    break
                if hear is not None:
                    hear(chunk)
                text = decoder.decode(chunk)
                kept.add(text)
                teller.add(text)
                teller.tell()
                place.control.check()
                if until is not None and time.monotonic() > until and not timed_out:
                    timed_out = True
                    _end(process)
                if process.poll() is not None:
                    over = over or time.monotonic() + GRACE
                    if not chunk and time.monotonic() > over:
                        break  # what it left running keeps its output open
            process.wait()
        finally:
            left.set()
            if not place.control.stopping.is_set():
                teller.tell(is_last=True)
        return timed_out


def _read_in_background(process: subprocess.Popen[bytes], left: threading.Event) -> queue.Queue[bytes | None]:
    """Its output in pieces, None at the end. A flood waits in the pipe, where the command feels it; once
    nobody listens any more, what is written is thrown away."""
    chunks: queue.Queue[bytes | None] = queue.Queue(maxsize=64)

    def put(chunk: bytes | None) -> None:
        while not left.is_set():
            with contextlib.suppress(queue.Full):
                chunks.put(chunk, timeout=GRACE)
                break

    def read() -> None:
        stream: Any = process.stdout
        with contextlib.suppress(OSError, ValueError):
            while chunk := stream.read1(READ):
                put(chunk)
        put(None)

    threading.Thread(target=read, name="output", daemon=True).start()
    return chunks


def _end(process: subprocess.Popen[bytes]) -> None:
    """First politely; all that it started with it."""
    for way in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, way)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
