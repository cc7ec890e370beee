"""Workspaces on this computer: a folder that stays, and a bubblewrap box around whatever works in it."""

from __future__ import annotations

import asyncio
import os
import platform
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from omniforge.sandboxes.bridge import parse_object
from omniforge.sandboxes.bubblewrap import Interior, start_box
from omniforge.sandboxes.folders import Folder, Folders
from omniforge.sandboxes.ground import Ground
from omniforge.sandboxes.occupants import Occupant
from omniforge.sandboxes.outputs import BASE, Transcript, check_program, check_variables
from omniforge.sandboxes.processes import ProcessTable
from omniforge.sandboxes.protocol import MIB, Limits, SandboxUnavailable
from omniforge.sandboxes.relay import API_INSIDE, ENVIRONMENT, Relay, Ways
from omniforge.sandboxes.seccomp import OWN_LOOPBACK
from omniforge.sandboxes.sessions import to_its_end
from omniforge.sandboxes.trees import pack_tree, unpack_tree
from omniforge.sandboxes.workspaces import (
    KIT,
    SKILLS,
    WORKSPACE,
    Execution,
    Health,
    Kind,
    Network,
    Place,
    Placed,
    ProviderUnavailable,
    WorkspaceFailed,
    WorkspaceOrder,
)

OTHERWISE = "Until then no work of the board is done in local sandboxes."
TEMPORARY = 512 * MIB
"""`/tmp` of each box; it lives in memory."""
OPEN_FILES = 1024
RELAY = "/relay"
TABLE_AGE = 0.2
"""Seconds; many boxes live for hours, and looking at all processes for each of them more often costs."""
LOG_KEPT = 64 * 1024
CERTIFICATES = {path: Path(path) for path in ("/etc/ssl/certs",) if Path(path).is_dir()}
"""Of public authorities, as far as this computer has them."""


class LocalWorkspaces:
    """Workers and commands live in boxes of this process and end with it; folders stay.

    A box sees the system read-only, its folder, a `/tmp` and a loopback of its own. The one way out is our
    relay, behind the proxy at 127.0.0.1:3128. A limit that is passed kills all that is in the box.
    """

    name = "local"

    def __init__(self, place: Place, *, root: Path | None = None) -> None:
        """root: where the folders are; default below `place.home`."""
        self._place = place
        self._ground = Ground(bwrap=place.bubblewrap)
        self._folders = Folders(place.home, root=root, uids=self._ground.uids)
        self._table = ProcessTable(TABLE_AGE)
        self._relays: dict[str, Relay] = {}
        self._turn = asyncio.Lock()
        self._occupants: dict[str, set[Occupant]] = {}
        self._checking = asyncio.Lock()
        self._is_sound = False

    async def create(self, order: WorkspaceOrder) -> Placed:
        await self._check()
        await self.destroy(order.sandbox_id)  # a broken attempt may have left it
        folder = await to_its_end(asyncio.to_thread(self._folders.make, order))
        return Placed(folder.ref, f"local/{platform.system().lower()}-{platform.release()}")

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
        given = check_variables(env)
        ours = {"PYTHONPATH": KIT, "OMNIFORGE_URL": API_INSIDE, "OMNIFORGE_SKILLS": SKILLS}
        await self._check()
        folder = self._folders.find(ref)
        if folder.has_worker():
            return
        occupant = await self._start(
            folder, self._place.worker, KIT, {**given, **ours}, wall=365 * 86400.0, role="worker"
        )
        if not await occupant.is_ready():
            ended = await occupant.ended
            raise ProviderUnavailable(f"The local sandbox cannot be started: {ended.last_words}. {OTHERWISE}")

    async def stop_worker(self, ref: str) -> None:
        with suppress(WorkspaceFailed):
            folder = self._folders.find(ref)
            for occupant in tuple(self._occupants.get(ref, ())):
                await occupant.stop()
            await folder.kill_boxes()

    async def worker_alive(self, ref: str) -> bool:
        with suppress(WorkspaceFailed):
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
        await self._check()
        return await self._exec(ref, argv, cwd, env, timeout)

    async def _exec(
        self, ref: str, argv: Sequence[str], cwd: str, env: Mapping[str, str] | None, timeout: float
    ) -> Execution:
        inside = check_program(argv, cwd, timeout)
        folder = self._folders.find(ref)
        occupant = await self._start(folder, argv, inside, check_variables(env), wall=timeout, role="exec")
        try:
            ended = await asyncio.shield(occupant.ended)
        except asyncio.CancelledError:
            await occupant.stop()
            raise
        if ended.is_stopped:
            raise WorkspaceFailed("The command was ended, because all work in the workspace was stopped.")
        if not ended.is_ready and not ended.killed_by:
            raise ProviderUnavailable(f"The local sandbox cannot be started: {ended.last_words}. {OTHERWISE}")
        return ended.execution()

    async def destroy(self, ref: str) -> None:
        await self.stop_worker(ref)
        relay = self._relays.pop(ref, None)
        if relay is not None:
            await relay.close()
        self._occupants.pop(ref, None)
        await to_its_end(asyncio.to_thread(self._folders.remove, ref))

    async def list(self) -> list[str]:
        return await asyncio.to_thread(self._folders.names)

    async def health(self) -> Health:
        try:
            await self._check()
        except ProviderUnavailable as error:
            return Health(healthy=False, isolated=True, message=error.message)
        return Health(healthy=True, isolated=True)

    async def close(self) -> None:
        for occupants in tuple(self._occupants.values()):
            for occupant in tuple(occupants):
                await occupant.stop()
        relays, self._relays = self._relays, {}
        for relay in relays.values():
            await relay.close()
        await asyncio.to_thread(self._folders.tidy)

    async def _check(self) -> None:
        """Once per process: that the walls of a workspace's box hold."""
        try:
            self._ground.require_parts(OTHERWISE)
        except SandboxUnavailable as error:
            raise ProviderUnavailable(error.message) from error
        async with self._checking:
            if not self._is_sound:
                await self._try_walls()
                self._is_sound = True

    async def _try_walls(self) -> None:
        try:
            order = WorkspaceOrder(sandbox_id=f"canary-{os.getpid()}-{id(self)}", kind=Kind.CHECK)
            folder = await to_its_end(asyncio.to_thread(self._folders.make, order))
        except OSError as error:
            raise ProviderUnavailable(f"Workspaces cannot be made on this computer: {error}.") from error
        try:
            argv = ["python3", f"{KIT}/sandbox_kit/canary.py", str(TEMPORARY), "workspace"]
            done = await self._exec(folder.ref, argv, ".", None, 20.0)
        finally:
            await self.destroy(folder.ref)
        try:
            answer = parse_object(done.output)
        except ValueError:
            answer = {}
        if done.exit_code or not answer.get("alive") or answer.get("broken") != []:
            said = done.output.decode("utf-8", "replace").strip().rpartition("\n")[2]
            reason = "; ".join(map(str, answer.get("broken") or [])) or said
            raise ProviderUnavailable(f"The sandbox does not hold on this computer: {reason}. {OTHERWISE}")

    async def _start(
        self, folder: Folder, argv: Sequence[str], cwd: str, env: Mapping[str, str], *, wall: float, role: str
    ) -> Occupant:
        """Start a program in a box of its own; our side of it lives until the box has ended."""
        try:
            kit = self._ground.require_parts(OTHERWISE)
            kit = await asyncio.to_thread(self._ground.kit.ready, kit)
        except SandboxUnavailable as error:
            raise ProviderUnavailable(error.message) from error
        order = folder.order
        way_out = await self._way_out(folder)
        limits = Limits(
            wall_seconds=wall,
            cpu_seconds=order.cpu_seconds,
            memory_bytes=order.memory_bytes,
            processes=order.processes,
            file_bytes=order.disk_bytes,
            workspace_bytes=TEMPORARY,
        )
        interior = Interior(
            writable={WORKSPACE: folder.tree},
            environment={**BASE, **ENVIRONMENT, **env},
            families=OWN_LOOPBACK,
            cwd=cwd,
            hides_packages=False,
            open_files=OPEN_FILES,
            hands_out=False,
            socket=way_out,
        )
        binds = {
            f"{KIT}/sandbox_kit": kit,
            SKILLS: folder.skills,
            RELAY: folder.relay,
            **self._folders.system_files(),
            **CERTIFICATES,
        }
        started = time.monotonic()
        try:
            box = start_box(
                self._ground.shell,
                argv,
                stdin=b"",
                binds=binds,
                limits=limits,
                uid=folder.uid,
                interior=interior,
            )
        except OSError as error:
            raise ProviderUnavailable(f"The sandbox cannot be started: {error}. {OTHERWISE}") from error
        kept = Transcript(LOG_KEPT) if role == "worker" else Transcript()
        occupant = Occupant(box, limits, self._table, started, folder=folder, transcript=kept, role=role)
        mates = self._occupants.setdefault(folder.ref, set())
        mates.add(occupant)
        occupant.ended.add_done_callback(lambda _: mates.discard(occupant))
        return occupant

    async def _way_out(self, folder: Folder) -> str:
        """The relay's socket as the box sees it; one relay per workspace and process."""
        name = f"{os.getpid()}.sock"
        async with self._turn:
            if folder.ref not in self._relays:
                place = self._place
                ways = Ways(place.api_url, Network(folder.order.network), place.registries, place.permitted)
                relay = Relay(ways)
                await relay.start(folder.relay / name, folder.uid)
                self._relays[folder.ref] = relay
        return f"{RELAY}/{name}"
