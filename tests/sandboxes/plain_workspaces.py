"""A provider for tests, WITHOUT walls: trees are kept in memory, programs run as plain subprocesses."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omniforge.sandboxes.workspaces import (
    Execution,
    Health,
    Placed,
    WorkspaceFailed,
    WorkspaceGone,
    WorkspaceOrder,
)


def tar_of(files: Mapping[str, str]) -> bytes:
    kept = io.BytesIO()
    with tarfile.open(fileobj=kept, mode="w") as archive:
        for name, text in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return kept.getvalue()


def files_of(tree: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(tree)) as archive:
        members = [one for one in archive.getmembers() if one.isfile()]
        return {one.name: (archive.extractfile(one) or io.BytesIO()).read().decode() for one in members}


@dataclass
class Workspace:
    order: WorkspaceOrder
    folder: Path
    env: dict[str, str] | None = None
    """What its worker was started with; None while it has none."""
    skills: dict[str, bytes] = field(default_factory=dict[str, bytes])


@dataclass
class PlainWorkspaces:
    """`broken`: names of what fails; `before_create` is awaited before a workspace is there."""

    root: Path
    name: str = "local"
    places: dict[str, Workspace] = field(default_factory=dict[str, Workspace])
    broken: set[str] = field(default_factory=set[str])
    gate: asyncio.Event | None = None
    asked_health: int = 0
    destroyed: list[str] = field(default_factory=list[str])

    def _fail(self, what: str) -> None:
        if what in self.broken:
            raise WorkspaceFailed(f"The provider could not {what}.")

    def _place(self, ref: str) -> Workspace:
        if ref not in self.places:
            raise WorkspaceGone("There is no such workspace.", ref=ref)
        return self.places[ref]

    async def create(self, order: WorkspaceOrder) -> Placed:
        self._fail("create")
        if self.gate is not None:
            await self.gate.wait()
        ref = f"plain-{len(self.places) + len(self.destroyed)}-{order.sandbox_id}"
        folder = self.root / ref
        folder.mkdir(parents=True)
        self.places[ref] = Workspace(order, folder)
        return Placed(ref, "plain:1", None)

    async def write_tree(self, ref: str, tree: bytes) -> None:
        self._fail("write_tree")
        with tarfile.open(fileobj=io.BytesIO(tree)) as archive:
            archive.extractall(self._place(ref).folder, filter="data")

    async def read_tree(self, ref: str) -> bytes:
        folder = self._place(ref).folder
        found = [path for path in folder.rglob("*") if path.is_file()]
        return tar_of({str(path.relative_to(folder)): path.read_text() for path in found})

    async def put_folder(self, ref: str, name: str, tar: bytes) -> None:
        self._place(ref).skills[name] = tar

    async def start_worker(self, ref: str, env: Mapping[str, str]) -> None:
        self._fail("start_worker")
        self._place(ref).env = dict(env)

    async def stop_worker(self, ref: str) -> None:
        if ref in self.places:
            self.places[ref].env = None

    async def worker_alive(self, ref: str) -> bool:
        return ref in self.places and self.places[ref].env is not None

    async def exec(
        self,
        ref: str,
        argv: Sequence[str],
        *,
        cwd: str = ".",
        env: Mapping[str, str] | None = None,
        timeout: float,
    ) -> Execution:
        begun = time.monotonic()
        program = await asyncio.create_subprocess_exec(
            *argv,
            cwd=self._place(ref).folder / cwd,
            env={"PATH": os.environ["PATH"], **(env or {})},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(timeout):
                output, _ = await program.communicate()
        except TimeoutError:
            program.kill()
            output, _ = await program.communicate()
            return Execution(137, output, _hash(output), False, True, timeout)
        seconds = time.monotonic() - begun
        return Execution(program.returncode or 0, output, _hash(output), False, False, seconds)

    async def destroy(self, ref: str) -> None:
        self._fail("destroy")
        if self.places.pop(ref, None) is not None:
            self.destroyed.append(ref)

    async def list(self) -> list[str]:
        return sorted(self.places)

    async def health(self) -> Health:
        self.asked_health += 1
        self._fail("health")
        return Health(healthy=True, isolated=False, message="Plain processes, for tests only.")

    async def close(self) -> None:
        self.places.clear()


def _hash(output: bytes) -> str:
    return hashlib.sha256(output).hexdigest()
