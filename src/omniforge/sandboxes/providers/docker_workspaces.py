"""Workspaces as containers of a Docker Engine: no privileges, no network but our relay, limits of its own."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from omniforge.core.errors import OmniForgeError
from omniforge.sandboxes.containers import EXECUTE, FORWARD, KIT_INSIDE, kit_entries
from omniforge.sandboxes.docker_engine import Engine, quoted
from omniforge.sandboxes.folders import REF
from omniforge.sandboxes.outputs import BASE, Transcript, check_program, check_skill_name, check_variables
from omniforge.sandboxes.relay import API_INSIDE, ENVIRONMENT, Relay, Ways
from omniforge.sandboxes.trees import MAX_BYTES, MAX_FILES, TreeRefused, pack_tree, unpack_tree
from omniforge.sandboxes.tunnel import Tunnel
from omniforge.sandboxes.workspaces import (
    KIT,
    SKILLS,
    WORKSPACE,
    Execution,
    Health,
    Network,
    Place,
    Placed,
    ProviderUnavailable,
    WorkspaceFailed,
    WorkspaceGone,
    WorkspaceOrder,
)

log = logging.getLogger(__name__)

INSTALLATION, SANDBOX, NETWORK = "omniforge.installation", "omniforge.sandbox", "omniforge.network"
USER = 1000
IDLE = ("/bin/sh", "-c", "trap exit TERM; while :; do sleep 3600 & wait; done")
"""What a container does while nobody works in it."""
GRACE = 15.0
"""Seconds after its time that a command is given to be ended from inside."""
MOST_BYTES = MAX_BYTES + MAX_FILES * 2048
STARTS_WITHIN = 10.0
WIPE = "chmod -R u+rwX . 2>/dev/null; find . -mindepth 1 -delete"


class DockerWorkspaces:
    """A container has no network at all. What is inside reaches our relay through a command of ours that
    carries connections over its own stdin and stdout, so that a daemon elsewhere works as well."""

    name = "docker"

    def __init__(self, place: Place) -> None:
        self._place = place
        self._engine = Engine(place.docker_host)
        self._tunnels: dict[str, asyncio.Task[None]] = {}
        self._relays: dict[str, Relay] = {}

    async def create(self, order: WorkspaceOrder) -> Placed:
        image = order.image or self._place.image
        image_id = await self._find_image(image)
        name = f"omniforge-{order.sandbox_id}"
        described = self._describe(order, image)
        try:
            made = await self._make(name, described)
        except WorkspaceFailed as error:
            if error.details.get("status") != 409:
                raise
            await self.destroy(name)  # a broken attempt has left it
            made = await self._make(name, described)
        ref = str(made["Id"])
        try:
            await self._put(ref, pack_tree((), owner=USER, below=WORKSPACE[1:]))
            await self._put(ref, pack_tree((), below=SKILLS[1:]))
            await self._put(ref, pack_tree(kit_entries(), below="kit/sandbox_kit"))
            await self._engine.call("POST", f"/containers/{ref}/start", doing="start a container")
        except OmniForgeError:
            await self.destroy(ref)
            raise
        return Placed(ref, f"{image}@{image_id}")

    async def write_tree(self, ref: str, tree: bytes) -> None:
        archive = pack_tree(await asyncio.to_thread(unpack_tree, tree), owner=USER, below=WORKSPACE[1:])
        if await self._has_worker(ref):
            raise WorkspaceFailed("The workspace is in use: stop what runs there before it is replaced.")
        wiped = await self.exec(ref, ["/bin/sh", "-c", WIPE], timeout=60.0)
        if wiped.exit_code:
            raise WorkspaceFailed("The old content of the workspace could not be removed.")
        await self._put(ref, archive)

    async def read_tree(self, ref: str) -> bytes:
        found = await self._engine.download(
            f"/containers/{quoted(ref)}/archive",
            doing="read the workspace",
            query={"path": WORKSPACE},
            limit=MOST_BYTES,
        )
        if found is None:
            raise TreeRefused(f"The workspace holds more than {MAX_BYTES >> 20} MB.")
        return await asyncio.to_thread(lambda: pack_tree(unpack_tree(found, below=WORKSPACE[1:])))

    async def put_folder(self, ref: str, name: str, tar: bytes) -> None:
        entries = await asyncio.to_thread(unpack_tree, tar)
        await self._put(ref, pack_tree(entries, below=f"{SKILLS[1:]}/{check_skill_name(name)}"))

    async def start_worker(self, ref: str, env: Mapping[str, str]) -> None:
        given = check_variables(env)
        if await self._has_worker(ref):
            return
        await self._open_tunnel(ref)
        ours = {**BASE, **ENVIRONMENT, **given, **KIT_INSIDE}
        ours |= {"OMNIFORGE_URL": API_INSIDE, "OMNIFORGE_SKILLS": SKILLS}
        exec_id = await self._prepare(ref, self._place.worker, ours, secrets=given, folder=KIT)
        await self._engine.call(
            "POST", f"/exec/{exec_id}/start", doing="start the worker", body={"Detach": True, "Tty": False}
        )

    async def stop_worker(self, ref: str) -> None:
        """By starting the container anew: nothing escapes that, and it needs no process more inside."""
        await self._drop_tunnel(ref)
        with suppress(WorkspaceGone):
            await self._restart(ref)

    async def worker_alive(self, ref: str) -> bool:
        try:
            is_alive = await self._has_worker(ref)
        except WorkspaceGone:
            return False
        if is_alive:
            await self._open_tunnel(ref)  # that of a process of ours that has ended
        return is_alive

    async def exec(
        self,
        ref: str,
        argv: Sequence[str],
        *,
        cwd: str = ".",
        env: Mapping[str, str] | None = None,
        timeout: float,
    ) -> Execution:
        inside, given = check_program(argv, cwd, timeout), check_variables(env)
        await self._open_tunnel(ref)
        program = [*EXECUTE, str(timeout), inside, "--", *argv]
        exec_id = await self._prepare(ref, program, {**BASE, **ENVIRONMENT, **given}, secrets=given)
        transcript, started, is_stuck = Transcript(), time.monotonic(), False
        try:
            async with asyncio.timeout(timeout + GRACE):
                async for piece in self._engine.output(exec_id, "run a command"):
                    transcript.add(piece)
        except TimeoutError:
            is_stuck = True
            await self.stop_worker(ref)
        except asyncio.CancelledError:
            await asyncio.shield(self.stop_worker(ref))
            raise
        seconds = time.monotonic() - started
        code = 137 if is_stuck else await self._exit_code(exec_id)
        timed_out = is_stuck or (code == 137 and seconds >= timeout)
        return transcript.ended(code, timed_out=timed_out, seconds=seconds)

    async def destroy(self, ref: str) -> None:
        await self._drop_tunnel(ref)
        relay = self._relays.pop(ref, None)
        if relay is not None:
            await relay.close()
        with suppress(WorkspaceGone):
            await self._engine.call(
                "DELETE",
                f"/containers/{quoted(ref)}",
                doing="remove a container",
                query={"force": "true", "v": "true"},
            )

    async def list(self) -> list[str]:
        filters = json.dumps({"label": [f"{INSTALLATION}={self._place.label}"]})
        found = await self._engine.call(
            "GET", "/containers/json", doing="list containers", query={"all": "true", "filters": filters}
        )
        return [str(container["Id"]) for container in found]

    async def health(self) -> Health:
        try:
            await self._engine.ping()
        except (ProviderUnavailable, WorkspaceFailed) as error:
            return Health(healthy=False, isolated=True, message=error.message)
        return Health(healthy=True, isolated=True)

    async def close(self) -> None:
        for ref in tuple(self._tunnels):
            await self._drop_tunnel(ref)
        relays, self._relays = self._relays, {}
        for relay in relays.values():
            await relay.close()
        await self._engine.close()

    # --- containers ----------------------------------------------------------------------------------------

    def _describe(self, order: WorkspaceOrder, image: str) -> dict[str, Any]:
        labels = {INSTALLATION: self._place.label, SANDBOX: order.sandbox_id, NETWORK: str(order.network)}
        return {
            "Image": image,
            "Entrypoint": list(IDLE),
            "Cmd": [],
            "User": f"{USER}:{USER}",
            "Env": pairs({**BASE}),
            "Labels": labels,
            "Hostname": "sandbox",
            "StopTimeout": 0,
            "HostConfig": {
                "Memory": order.memory_bytes,
                "MemorySwap": order.memory_bytes,
                "NanoCpus": int(order.cpus * 1_000_000_000),
                "PidsLimit": order.processes,
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges:true"],
                "Privileged": False,
                "NetworkMode": "none",
                "Init": True,
                "IpcMode": "private",
                "RestartPolicy": {"Name": "no"},
                "Ulimits": [
                    {"Name": "core", "Soft": 0, "Hard": 0},
                    {"Name": "fsize", "Soft": order.disk_bytes, "Hard": order.disk_bytes},
                ],
            },
        }

    async def _make(self, name: str, described: dict[str, Any]) -> Any:
        return await self._engine.call(
            "POST", "/containers/create", doing="make a container", query={"name": name}, body=described
        )

    async def _find_image(self, image: str) -> str:
        path = f"/images/{quoted(image)}/json"
        doing = f"find the image {image}"
        try:
            found = await self._engine.call("GET", path, doing=doing)
        except WorkspaceGone:
            await self._engine.pull(image)
            found = await self._engine.call("GET", path, doing=doing)
        return str(found["Id"])

    async def _put(self, ref: str, archive: bytes) -> None:
        await self._engine.call(
            "PUT",
            f"/containers/{quoted(ref)}/archive",
            doing="write into a container",
            query={"path": "/"},
            content=archive,
        )

    async def _restart(self, ref: str) -> None:
        await self._engine.call(
            "POST", f"/containers/{quoted(ref)}/restart", doing="stop what runs there", query={"t": 0}
        )

    # --- commands ------------------------------------------------------------------------------------------

    async def _prepare(
        self,
        ref: str,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        secrets: Mapping[str, str] | None = None,
        takes_input: bool = False,
        folder: str = WORKSPACE,
    ) -> str:
        """A command that is ready to be started; its id."""
        made = await self._engine.call(
            "POST",
            f"/containers/{quoted(ref)}/exec",
            doing="run a command",
            body={
                "Cmd": list(argv),
                "Env": pairs(env),
                "User": f"{USER}:{USER}",
                "WorkingDir": folder,
                "AttachStdin": takes_input,
                "AttachStdout": True,
                "AttachStderr": not takes_input,
                "Tty": False,
                "Privileged": False,
            },
            secrets=secrets,
        )
        return str(made["Id"])

    async def _exit_code(self, exec_id: str) -> int:
        """A daemon may close the output a moment before it has written down how the command ended."""
        for pause in (0.0, 0.02, 0.1, 0.5, 2.0):
            await asyncio.sleep(pause)
            told = await self._engine.call("GET", f"/exec/{exec_id}/json", doing="ask how a command ended")
            if not told["Running"] and told["ExitCode"] is not None:
                return int(told["ExitCode"])
        raise WorkspaceFailed("Docker does not tell how a command ended.", retryable=True)

    async def _has_worker(self, ref: str) -> bool:
        """Whoever of our processes has started it."""
        told = await self._engine.call("GET", f"/containers/{quoted(ref)}/json", doing="look at a container")
        if not told["State"]["Running"]:
            return False
        exec_ids: list[str] = told.get("ExecIDs") or []
        for exec_id in exec_ids:
            with suppress(WorkspaceGone):
                one = await self._engine.call("GET", f"/exec/{exec_id}/json", doing="look at a command")
                process = one["ProcessConfig"]
                if one["Running"] and [process["entrypoint"], *process["arguments"]] == list(
                    self._place.worker
                ):
                    return True
        return False

    # --- the way out ---------------------------------------------------------------------------------------

    async def _open_tunnel(self, ref: str) -> None:
        """The way out of this container, unless it is open. Another process of ours may hold it: then
        `forward` ends, because its port is taken, and connections go through that one."""
        running = self._tunnels.get(ref)
        if running is not None and not running.done():
            return
        if not REF.fullmatch(ref):
            raise WorkspaceGone(f"There is no container {ref[:100]!r}.")
        told = await self._engine.call("GET", f"/containers/{ref}/json", doing="look at a container")
        labels: dict[str, str] = told["Config"]["Labels"]
        network = Network(labels.get(NETWORK, Network.NONE))
        if ref not in self._relays:
            place = self._place
            self._relays[ref] = Relay(Ways(place.api_url, network, place.registries, place.permitted))
        exec_id = await self._prepare(ref, FORWARD, BASE, takes_input=True)
        opened = asyncio.Event()
        task = asyncio.create_task(self._keep_tunnel(exec_id, self._relays[ref], opened))
        task.add_done_callback(lambda _: opened.set())
        self._tunnels[ref] = task
        try:
            await asyncio.wait_for(opened.wait(), STARTS_WITHIN)
        except TimeoutError:
            raise WorkspaceFailed("The container does not open its way out.", retryable=True) from None

    async def _keep_tunnel(self, exec_id: str, relay: Relay, opened: asyncio.Event) -> None:
        try:
            async with self._engine.attach(exec_id, "open the way out") as (pieces, send):
                await Tunnel(relay, pieces, send, opened).serve()
        except (OmniForgeError, OSError) as error:
            log.warning("A container has lost its way out: %s", error)

    async def _drop_tunnel(self, ref: str) -> None:
        task = self._tunnels.pop(ref, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def pairs(env: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in env.items()]
