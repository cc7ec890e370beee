"""Workspaces WITHOUT walls: plain folders and processes of this computer. Only where the settings say so."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from omniforge.sandboxes.containers import kit_folder
from omniforge.sandboxes.folders import Folder, Folders, started_at
from omniforge.sandboxes.outputs import BASE, Transcript, check_program, check_variables, drain
from omniforge.sandboxes.processes import wait_for_end
from omniforge.sandboxes.sessions import to_its_end
from omniforge.sandboxes.trees import pack_tree, unpack_tree
from omniforge.sandboxes.workspaces import (
    WORKSPACE,
    Execution,
    Health,
    Place,
    Placed,
    WorkspaceFailed,
    WorkspaceOrder,
)

MARK = "OMNIFORGE_BARE_WORKSPACE"
"""In the environment of all that runs for a workspace: how it is found, whatever became of its parents."""
WARNING = "Work runs on this computer without walls, as OMNIFORGE_SANDBOX_UNISOLATED says."


class BareWorkspaces:
    """Nothing holds a program here but its good will: no limits, no network of its own. For development."""

    name = "local"

    def __init__(self, place: Place, *, root: Path | None = None) -> None:
        self._place = place
        self._folders = Folders(place.home, root=root, uids=None)
        self._workers: dict[str, subprocess.Popen[bytes]] = {}

    async def create(self, order: WorkspaceOrder) -> Placed:
        folder = await to_its_end(asyncio.to_thread(self._folders.make, order))
        return Placed(folder.ref, "local/unisolated")

    async def write_tree(self, ref: str, tree: bytes) -> None:
        folder = self._folders.find(ref)
        if folder.boxes():
            raise WorkspaceFailed("The workspace is in use: stop what runs there before it is replaced.")
        entries = await asyncio.to_thread(unpack_tree, tree)
        await to_its_end(asyncio.to_thread(folder.replace_tree, entries))

    async def read_tree(self, ref: str) -> bytes:
        folder = self._folders.find(ref)
        return await asyncio.to_thread(lambda: pack_tree(folder.read_tree()))

    async def put_folder(self, ref: str, name: str, tar: bytes) -> None:
        folder = self._folders.find(ref)
        entries = await asyncio.to_thread(unpack_tree, tar)
        await to_its_end(asyncio.to_thread(folder.put_skill, name, entries))

    async def start_worker(self, ref: str, env: Mapping[str, str]) -> None:
        given, folder = check_variables(env), self._folders.find(ref)
        if folder.has_worker():
            return
        ours = {
            "PYTHONPATH": str(kit_folder().parent),
            "OMNIFORGE_URL": self._place.api_url,
            "OMNIFORGE_WORKSPACE": str(folder.tree),
            "OMNIFORGE_SKILLS": str(folder.skills),
        }
        program = self._start(folder, self._place.worker, folder.place, {**given, **ours}, subprocess.DEVNULL)
        self._workers[ref] = program
        folder.add_box(program.pid, "worker")

    async def stop_worker(self, ref: str) -> None:
        with suppress(WorkspaceFailed):
            mark = f"{MARK}={self._folders.find(ref).place}"
            await self._kill(lambda variables: mark in variables)
        worker = self._workers.pop(ref, None)
        if worker is not None:
            worker.wait()

    async def worker_alive(self, ref: str) -> bool:
        with suppress(WorkspaceFailed):
            worker = self._workers.get(ref)
            if worker is not None:
                worker.poll()
            return self._folders.find(ref).has_worker()
        return False

    async def exec(
        self,
        ref: str,
        argv: Sequence[str],
        *,
        cwd: str = ".",
        env: Mapping[str, str] | None = None,
        timeout: float,
    ) -> Execution:
        inside, folder = check_program(argv, cwd, timeout), self._folders.find(ref)
        where = Path(str(folder.tree) + inside.removeprefix(WORKSPACE))
        reading, writing = os.pipe()
        transcript, started, timed_out = Transcript(), time.monotonic(), False
        listening = asyncio.create_task(drain(reading, transcript))
        mark = f"{MARK}_EXEC={id(transcript)}-{started}"
        marked = {**check_variables(env), mark.partition("=")[0]: mark.partition("=")[2]}
        try:
            program = self._start(folder, argv, where, marked, writing)
            os.close(writing)
            pidfd = os.pidfd_open(program.pid)
            try:
                await asyncio.wait_for(wait_for_end(pidfd), timeout)
            except TimeoutError:
                timed_out = True
            finally:
                os.close(pidfd)
                await to_its_end(self._kill(lambda variables: mark in variables))
            code = program.wait()
        except OSError as error:
            os.close(writing)
            transcript.add(f"{argv[0]}: {error.strerror}\n".encode())
            code = 127 if isinstance(error, FileNotFoundError) else 126
        await listening
        seconds = time.monotonic() - started
        return transcript.ended(128 - code if code < 0 else code, timed_out=timed_out, seconds=seconds)

    async def destroy(self, ref: str) -> None:
        await self.stop_worker(ref)
        await to_its_end(asyncio.to_thread(self._folders.remove, ref))

    async def list(self) -> list[str]:
        return await asyncio.to_thread(self._folders.names)

    async def health(self) -> Health:
        return Health(healthy=True, isolated=False, message=WARNING)

    async def close(self) -> None:
        for ref in await self.list():
            await self.stop_worker(ref)
        await asyncio.to_thread(self._folders.tidy)

    def _start(
        self, folder: Folder, argv: Sequence[str], cwd: Path, env: Mapping[str, str], output: int
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            list(argv),
            cwd=cwd,
            env={**BASE, **env, MARK: str(folder.place)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    @staticmethod
    async def _kill(is_meant: Callable[[list[str]], bool]) -> None:
        """Until nobody is left who is meant, by his environment."""
        while pids := [pid for pid in all_pids() if is_meant(variables_of(pid))]:
            for pid in pids:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.01)


def all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def variables_of(pid: int) -> list[str]:
    """None of one that has ended."""
    if started_at(pid) is None:
        return []
    with suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes().decode("utf-8", "replace").split("\0")
    return []
