"""The local provider: bubblewrap on this computer, watched from outside. Without it, nothing runs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Coroutine, Mapping
from contextlib import nullcontext, suppress
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from omniforge.core.errors import Invalid
from omniforge.sandboxes.bridge import parse_object, serve_bridge
from omniforge.sandboxes.bubblewrap import Box, Shell, start_box
from omniforge.sandboxes.kit import Kit
from omniforge.sandboxes.processes import ProcessTable, read_capped, wait_for_end
from omniforge.sandboxes.protocol import (
    Bridge,
    KilledBy,
    Limits,
    SandboxRequest,
    SandboxResult,
    SandboxUnavailable,
)
from omniforge.sandboxes.results import most_bytes, read_results
from omniforge.sandboxes.seccomp import is_supported
from omniforge.sandboxes.staging import KIT, fill_place, new_place, remove_place, usable_uids

T = TypeVar("T")

REFUSED = "Until then steps that run code are refused."
POLL_SECONDS = 0.025
MAX_INODES = 50_000
"""Empty files cost kernel memory that the size of a tmpfs does not count."""


class LocalSandbox:
    """Runs each program in a bubblewrap box of its own. Boxes share nothing but the kit, read-only.

    `places`: where copies for running boxes are put (default: the system's temporary folder). As root, boxes
    run as uids of their own, so every user must be able to enter it.
    """

    def __init__(
        self,
        *,
        bwrap: Path = Path("/usr/bin/bwrap"),
        python: Path = Path("/usr/bin/python3"),
        places: Path | None = None,
    ) -> None:
        self._shell = Shell(bwrap, python)
        self._places = places
        self._kit = Kit(python, places)
        self._table = ProcessTable()
        self._uids = usable_uids(Path("/proc/self/uid_map").read_text()) if os.geteuid() == 0 else None
        self._is_sound = False

    async def check(self) -> None:
        if self._is_sound:
            return
        kit = self._require_parts()
        limits = Limits(wall_seconds=10.0)
        request = SandboxRequest(
            argv=["python3", f"{KIT}/sandbox_kit/canary.py", str(limits.workspace_bytes)], limits=limits
        )
        result = await self._run(request, kit, None)
        try:
            answer = parse_object(result.stdout)
        except ValueError:
            answer = {}
        if result.exit_code or not answer.get("alive") or answer.get("broken") != []:
            reason = "; ".join(map(str, answer.get("broken") or [])) or _last_line(result.stderr)
            raise SandboxUnavailable(f"The sandbox does not hold on this computer: {reason}. {REFUSED}")
        self._is_sound = True

    async def run(self, request: SandboxRequest, bridge: Bridge | None = None) -> SandboxResult:
        if not request.argv or any("\0" in argument for argument in request.argv):
            raise Invalid("A sandbox needs a program to run, as arguments without NUL characters.")
        await self.check()
        return await self._run(request, self._require_parts(), bridge)

    def _require_parts(self) -> Path:
        """The folder of `sandbox_kit`, when everything a box needs is installed."""
        if sys.platform != "linux" or not is_supported():
            raise SandboxUnavailable(
                f"The local sandbox works on Linux on x86_64 and aarch64 only. {REFUSED}"
            )
        for path, package in ((self._shell.bwrap, "bubblewrap"), (self._shell.python, "python3")):
            if not os.access(path, os.X_OK):
                missing = package if path.name != "python3" else f"The operating system's {path}"
                raise SandboxUnavailable(
                    f"{missing} is not installed: apt-get install {package}. {REFUSED}", missing=str(path)
                )
        try:
            return Path(str(resources.files("sandbox_kit")))
        except ModuleNotFoundError:
            raise SandboxUnavailable(
                f"The package sandbox_kit is missing: install OmniForge again. {REFUSED}"
            ) from None

    async def _run(self, request: SandboxRequest, kit: Path, bridge: Bridge | None) -> SandboxResult:
        with self._uids.lease() if self._uids else nullcontext() as uid:
            place = new_place(self._places)
            try:
                binds = await _to_its_end(asyncio.to_thread(self._fill, place, request, kit, uid))
                started = time.monotonic()
                box = self._start(request, binds, uid, has_bridge=bridge is not None)
                return await _Session(box, request.limits, self._table, started).run(bridge)
            finally:
                await _to_its_end(asyncio.to_thread(remove_place, place))

    def _fill(self, place: Path, request: SandboxRequest, kit: Path, uid: int | None) -> Mapping[str, Path]:
        return fill_place(place, request, self._kit.ready(kit), owner=uid)

    def _start(
        self, request: SandboxRequest, binds: Mapping[str, Path], uid: int | None, *, has_bridge: bool
    ) -> Box:
        try:
            return start_box(
                self._shell,
                request.argv,
                stdin=request.stdin,
                binds=binds,
                limits=request.limits,
                uid=uid,
                has_bridge=has_bridge,
            )
        except OSError as error:
            raise SandboxUnavailable(f"The sandbox cannot be started: {error}. {REFUSED}") from error


class _Session:
    """One box from its start to its end."""

    def __init__(self, box: Box, limits: Limits, table: ProcessTable, started: float) -> None:
        self._box = box
        self._limits = limits
        self._table = table
        self._started = started

    async def run(self, bridge: Bridge | None) -> SandboxResult:
        box, limits = self._box, self._limits
        outputs = [
            asyncio.create_task(read_capped(pipe, limit))
            for pipe, limit in (
                (box.stdout, limits.output_bytes),
                (box.stderr, limits.output_bytes),
                (box.results, most_bytes(limits)),
            )
        ]
        finding = asyncio.create_task(self._find_first_process())
        watching = asyncio.create_task(self._watch())
        ending = asyncio.create_task(wait_for_end(box.pidfd))
        serving = None
        if bridge is not None and box.bridge is not None:
            serving = asyncio.create_task(serve_bridge(box.bridge, bridge))
        killed_by: KilledBy | None = None
        try:
            await asyncio.wait({ending, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not ending.done():
                killed_by = watching.result()
        finally:
            exit_code = await _to_its_end(self._clean_up(finding, watching, ending, serving, outputs))
        for task in (finding, serving):
            if task is not None and not task.cancelled():
                task.result()
        (stdout, cut_out), (stderr, cut_err), (results, _) = (task.result() for task in outputs)
        handed_out = read_results(results, limits)
        if killed_by is None and not handed_out.is_ready:
            raise SandboxUnavailable(
                f"bubblewrap cannot make a sandbox on this computer: {_last_line(stderr)}. {REFUSED}"
            )
        if handed_out.exit_code is not None:
            exit_code = handed_out.exit_code
        ran_out_of_disk = exit_code == 128 + signal.SIGXFSZ or (exit_code != 0 and handed_out.is_disk_full)
        if killed_by is None and ran_out_of_disk:
            killed_by = KilledBy.DISK
        return SandboxResult(
            exit_code=exit_code,
            stdout=stdout,
            stderr=stderr,
            truncated=cut_out or cut_err,
            killed_by=killed_by,
            seconds=time.monotonic() - self._started,
            files=handed_out.files,
            left_out=handed_out.left_out,
        )

    async def _find_first_process(self) -> None:
        said, _ = await read_capped(self._box.info, 4096)
        with suppress(ValueError):
            pid = parse_object(said).get("child-pid")
            if isinstance(pid, int):
                self._box.found(pid)

    async def _watch(self) -> KilledBy:
        """Until a limit of the whole box is passed."""
        limits = self._limits
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if time.monotonic() - self._started > limits.wall_seconds:
                return KilledBy.WALL
            usage = await self._table.usage_of(self._box.process.pid)
            if usage.memory_bytes > limits.memory_bytes:
                return KilledBy.MEMORY
            if usage.cpu_seconds > limits.cpu_seconds:
                return KilledBy.CPU
            if self._count_inodes() > MAX_INODES:
                return KilledBy.DISK

    def _count_inodes(self) -> int:
        """In the box's own file systems; 0 where the kernel does not let us look."""
        if self._box.first_pid is None:
            return 0
        with suppress(OSError):
            root = f"/proc/{self._box.first_pid}/root"
            spaces = [os.statvfs(root + place) for place in ("/workspace", "/tmp", "/dev/shm")]  # noqa: S108
            return sum(space.f_files - space.f_ffree for space in spaces)
        return 0

    async def _clean_up(
        self,
        finding: asyncio.Task[None],
        watching: asyncio.Task[KilledBy],
        ending: asyncio.Task[None],
        serving: asyncio.Task[None] | None,
        outputs: list[asyncio.Task[tuple[bytes, bool]]],
    ) -> int:
        """Kill what is left in the box and wait until it is gone; the exit code of bubblewrap."""
        watching.cancel()
        if serving is not None:
            serving.cancel()
        # Bubblewrap tells its first process before that may run, and only a known one is surely killed:
        # one that has not yet bound its life to bubblewrap's would survive it.
        await asyncio.wait({finding})
        self._box.kill()
        await asyncio.wait({ending, *outputs})
        if self._box.first_pidfd is not None:
            await wait_for_end(self._box.first_pidfd)
        await asyncio.gather(watching, *([serving] if serving else []), return_exceptions=True)
        return self._box.close()


def _last_line(stderr: bytes) -> str:
    lines = stderr.decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing").rstrip(".")


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
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
