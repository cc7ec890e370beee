"""The local provider: bubblewrap on this computer, watched from outside. Without it, nothing runs."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

from omniforge.core.errors import Invalid
from omniforge.sandboxes.bridge import parse_object, serve_bridge
from omniforge.sandboxes.bubblewrap import Box, start_box
from omniforge.sandboxes.ground import BWRAP, PYTHON, Ground
from omniforge.sandboxes.processes import read_capped, wait_for_end
from omniforge.sandboxes.protocol import (
    Bridge,
    KilledBy,
    Limits,
    SandboxRequest,
    SandboxResult,
    SandboxUnavailable,
)
from omniforge.sandboxes.results import most_bytes, read_results
from omniforge.sandboxes.sessions import BoxSession, last_line, to_its_end
from omniforge.sandboxes.staging import KIT, fill_place, new_place, remove_place

REFUSED = "Until then steps that run code are refused."


class LocalSandbox:
    """Runs each program in a bubblewrap box of its own. Boxes share nothing but the kit, read-only.

    `places`: where copies for running boxes are put (default: the system's temporary folder). As root, boxes
    run as uids of their own, so every user must be able to enter it.
    """

    def __init__(
        self,
        *,
        bwrap: Path = BWRAP,
        python: Path = PYTHON,
        places: Path | None = None,
    ) -> None:
        self._ground = Ground(bwrap=bwrap, python=python, places=places)
        self._is_sound = False

    async def check(self) -> None:
        if self._is_sound:
            return
        kit = self._ground.require_parts(REFUSED)
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
            reason = "; ".join(map(str, answer.get("broken") or [])) or last_line(result.stderr)
            raise SandboxUnavailable(f"The sandbox does not hold on this computer: {reason}. {REFUSED}")
        self._is_sound = True

    async def run(self, request: SandboxRequest, bridge: Bridge | None = None) -> SandboxResult:
        if not request.argv or any("\0" in argument for argument in request.argv):
            raise Invalid("A sandbox needs a program to run, as arguments without NUL characters.")
        await self.check()
        return await self._run(request, self._ground.require_parts(REFUSED), bridge)

    async def _run(self, request: SandboxRequest, kit: Path, bridge: Bridge | None) -> SandboxResult:
        uids = self._ground.uids
        with uids.lease() if uids else nullcontext() as uid:
            place = new_place(self._ground.places)
            try:
                binds = await to_its_end(asyncio.to_thread(self._fill, place, request, kit, uid))
                started = time.monotonic()
                box = self._start(request, binds, uid, has_bridge=bridge is not None)
                return await _Session(box, request.limits, self._ground.table, started).run(bridge)
            finally:
                await to_its_end(asyncio.to_thread(remove_place, place))

    def _fill(self, place: Path, request: SandboxRequest, kit: Path, uid: int | None) -> Mapping[str, Path]:
        return fill_place(place, request, self._ground.kit.ready(kit), owner=uid)

    def _start(
        self, request: SandboxRequest, binds: Mapping[str, Path], uid: int | None, *, has_bridge: bool
    ) -> Box:
        try:
            return start_box(
                self._ground.shell,
                request.argv,
                stdin=request.stdin,
                binds=binds,
                limits=request.limits,
                uid=uid,
                has_bridge=has_bridge,
            )
        except OSError as error:
            raise SandboxUnavailable(f"The sandbox cannot be started: {error}. {REFUSED}") from error


class _Session(BoxSession):
    """The box of one program."""

    async def run(self, bridge: Bridge | None) -> SandboxResult:
        box, limits = self.box, self.limits
        outputs = [
            asyncio.create_task(read_capped(pipe, limit))
            for pipe, limit in (
                (box.stdout, limits.output_bytes),
                (box.stderr, limits.output_bytes),
                (box.results, most_bytes(limits)),
            )
        ]
        finding = asyncio.create_task(self.find_first_process())
        watching = asyncio.create_task(self.watch())
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
            exit_code = await to_its_end(self._clean_up(finding, watching, ending, serving, outputs))
        for task in (finding, serving):
            if task is not None and not task.cancelled():
                task.result()
        (stdout, cut_out), (stderr, cut_err), (results, _) = (task.result() for task in outputs)
        handed_out = read_results(results, limits)
        if killed_by is None and not handed_out.is_ready:
            raise SandboxUnavailable(
                f"bubblewrap cannot make a sandbox on this computer: {last_line(stderr)}. {REFUSED}"
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
            seconds=time.monotonic() - self.started,
            files=handed_out.files,
            left_out=handed_out.left_out,
        )

    async def _clean_up(
        self,
        finding: asyncio.Task[None],
        watching: asyncio.Task[KilledBy],
        ending: asyncio.Task[None],
        serving: asyncio.Task[None] | None,
        outputs: list[asyncio.Task[tuple[bytes, bool]]],
    ) -> int:
        watching.cancel()
        if serving is not None:
            serving.cancel()
        exit_code = await self.end(finding, ending, outputs)
        await asyncio.gather(watching, *([serving] if serving else []), return_exceptions=True)
        return exit_code
