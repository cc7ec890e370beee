"""Workspaces as sandboxes of Daytona: everything goes through its REST API, a session per program."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import ipaddress
import json
import secrets
import shlex
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from omniforge.core.errors import OmniForgeError
from omniforge.sandboxes.containers import KIT_INSIDE, kit_entries
from omniforge.sandboxes.daytona_api import Daytona
from omniforge.sandboxes.docker_engine import quoted
from omniforge.sandboxes.outputs import BASE, KILLED, check_program, check_skill_name, check_variables
from omniforge.sandboxes.trees import MAX_BYTES, MAX_FILES, TreeRefused, pack_tree, unpack_tree
from omniforge.sandboxes.workspaces import (
    KIT,
    OUTPUT_KEPT,
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
    WorkspaceGone,
    WorkspaceOrder,
)

INSTALLATION, SANDBOX = "omniforge-installation", "omniforge-sandbox"
SESSION = "omniforge-worker"
REMOTE = f"python3 -I {KIT}/sandbox_kit/remote.py"
LIFETIME_MINUTES = 26 * 60
"""After which Daytona removes a sandbox that everybody has forgotten."""
PATIENCE = 300.0
GRACE = 30.0
SECONDS_INSIDE = 60
FRESH_SECONDS = 300.0
"""How long Daytona's list may not know of a new sandbox; it tells that it lags behind."""
PAUSES = (0.05, 0.1, 0.2, 0.5)
LAST_PAUSE = 1.0
MOST_BYTES = MAX_BYTES + MAX_FILES * 2048
BROKEN = ("error", "build_failed")

MAKE_ROOM = (
    f"for d in {WORKSPACE} {SKILLS} {KIT}; do "
    '[ -w "$d" ] || mkdir -p "$d" 2>/dev/null && [ -w "$d" ] '
    '|| { sudo -n mkdir -p "$d" && sudo -n chown "$(id -u):$(id -g)" "$d"; } || exit 1; done'
)


class DaytonaWorkspaces:
    """Limits are those of the snapshot; the network is held by Daytona. Its walls are around the sandbox:
    inside one, what a worker may do as its user it may do to everything of that user."""

    name = "daytona"

    def __init__(self, place: Place) -> None:
        self._place = place
        self._daytona = Daytona(place.daytona_url, place.daytona_key)
        self._fresh: dict[str, float] = {}

    async def create(self, order: WorkspaceOrder) -> Placed:
        body = self._describe(order)
        try:
            made = await self._daytona.call("POST", "/sandbox", doing="make a sandbox", body=body)
        except WorkspaceFailed as error:
            if error.details.get("status") != 409:
                raise
            await self.destroy(str(body["name"]))  # a broken attempt has left it
            made = await self._daytona.call("POST", "/sandbox", doing="make a sandbox", body=body)
        ref = str(made["id"])
        self._fresh[ref] = time.monotonic()
        try:
            told = await self._reach(ref, "started")
            await self._run_inside(ref, MAKE_ROOM, "make room in a sandbox")
            await self._put_kit(ref)
        except (OmniForgeError, asyncio.CancelledError):
            await asyncio.shield(self.destroy(ref))
            raise
        return Placed(ref, str(told.get("snapshot") or body.get("snapshot") or "daytona"))

    async def write_tree(self, ref: str, tree: bytes) -> None:
        archive = pack_tree(await asyncio.to_thread(unpack_tree, tree))
        if await self.worker_alive(ref):
            raise WorkspaceFailed("The workspace is in use: stop what runs there before it is replaced.")
        await self._unpack(ref, archive, WORKSPACE)

    async def read_tree(self, ref: str) -> bytes:
        path = self._fresh_path("tar")
        await self._run_inside(ref, f"{REMOTE} pack {WORKSPACE} {path}", "read the workspace", seconds=300)
        found = await self._daytona.download(ref, path, limit=MOST_BYTES)
        await self._run_inside(ref, f"rm -f {path}", "read the workspace")
        if found is None:
            raise TreeRefused(f"The workspace holds more than {MAX_BYTES >> 20} MB.")
        return await asyncio.to_thread(lambda: pack_tree(unpack_tree(found)))

    async def put_folder(self, ref: str, name: str, tar: bytes) -> None:
        archive = pack_tree(await asyncio.to_thread(unpack_tree, tar), modes=(0o444, 0o555))
        await self._unpack(ref, archive, f"{SKILLS}/{check_skill_name(name)}")

    async def start_worker(self, ref: str, env: Mapping[str, str]) -> None:
        given = check_variables(env)
        if await self.worker_alive(ref):
            return
        ours = {**KIT_INSIDE, "OMNIFORGE_URL": self._place.api_url, "OMNIFORGE_SKILLS": SKILLS}
        path = await self._ask(ref, self._place.worker, KIT, {**BASE, **given, **ours}, None)
        with contextlib.suppress(WorkspaceGone):
            await self._end_session(ref, SESSION)  # that of a worker who has ended
        await self._start(ref, SESSION, f"{REMOTE} run {path}")

    async def stop_worker(self, ref: str) -> None:
        """By stopping the sandbox itself, which nothing inside survives; the kit is put there afresh."""
        try:
            told = await self._daytona.find(ref)
            if told.get("state") == "started":
                await self._daytona.call("POST", f"/sandbox/{quoted(ref)}/stop", doing="stop a sandbox")
                await self._reach(ref, "stopped")
            await self._daytona.call("POST", f"/sandbox/{quoted(ref)}/start", doing="start a sandbox")
            await self._reach(ref, "started")
            await self._put_kit(ref)
        except WorkspaceGone:
            return

    async def worker_alive(self, ref: str) -> bool:
        try:
            if (await self._daytona.find(ref)).get("state") != "started":
                return False
            told = await self._daytona.toolbox(
                ref, "GET", f"/process/session/{SESSION}", doing="look at the worker"
            )
        except WorkspaceGone:
            return False
        commands: list[dict[str, Any]] = told.get("commands") or []
        return bool(commands) and commands[-1].get("exitCode") is None

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
        path = await self._ask(ref, argv, inside, {**BASE, **given}, timeout)
        session = f"omniforge-{secrets.token_hex(8)}"
        started = time.monotonic()
        try:
            command = await self._start(ref, session, f"{REMOTE} run {path}")
            if not await self._wait(ref, session, command, timeout + GRACE):
                await self.stop_worker(ref)
                nothing = b"The command could not be ended in its time, so the sandbox was stopped.\n"
                return self._told({"exit_code": KILLED}, nothing, timeout, time.monotonic() - started)
            raw = await self._daytona.download(ref, f"{path}.done", limit=4 * OUTPUT_KEPT)
            answer: dict[str, Any] = json.loads(raw or b"")
            await self._run_inside(ref, f"rm -f {path}.done", "run a command")
            output = base64.b64decode(answer["output"])
            return self._told(answer, output, timeout, float(answer["seconds"]))
        except (ValueError, KeyError, TypeError) as error:
            raise WorkspaceFailed("The sandbox does not tell how a command ended.") from error
        except asyncio.CancelledError:
            await asyncio.shield(self.stop_worker(ref))
            raise
        finally:
            with contextlib.suppress(WorkspaceFailed, ProviderUnavailable):
                await self._end_session(ref, session)

    async def destroy(self, ref: str) -> None:
        self._fresh.pop(ref, None)
        with contextlib.suppress(WorkspaceGone):
            await self._daytona.find(ref)
            await self._daytona.call("DELETE", f"/sandbox/{quoted(ref)}", doing="remove a sandbox")

    async def list(self) -> list[str]:
        labels, cursor = json.dumps({INSTALLATION: self._place.label}), None
        found = {ref for ref, since in self._fresh.items() if time.monotonic() - since < FRESH_SECONDS}
        while True:
            query = {"labels": labels, "limit": 100} | ({"cursor": cursor} if cursor else {})
            page = await self._daytona.call("GET", "/sandbox", doing="list sandboxes", query=query)
            found |= {
                str(one["id"]) for one in page["items"] if one.get("state") not in ("destroyed", "destroying")
            }
            cursor = page.get("nextCursor")
            if not cursor:
                return sorted(found)

    async def health(self) -> Health:
        try:
            await self._daytona.call("GET", "/sandbox", doing="list sandboxes", query={"limit": 1})
        except (ProviderUnavailable, WorkspaceFailed) as error:
            return Health(healthy=False, isolated=True, message=error.message)
        return Health(healthy=True, isolated=True)

    async def close(self) -> None:
        await self._daytona.close()

    # --- sandboxes -----------------------------------------------------------------------------------------

    def _describe(self, order: WorkspaceOrder) -> dict[str, Any]:
        snapshot = order.image or self._place.daytona_snapshot
        return {
            "name": f"omniforge-{order.sandbox_id}",
            "labels": {INSTALLATION: self._place.label, SANDBOX: order.sandbox_id},
            "public": False,
            "autoStopInterval": 0,
            "ttlMinutes": LIFETIME_MINUTES,
            **({"snapshot": snapshot} if snapshot else {}),
            **self._network_of(order),
        }

    def _network_of(self, order: WorkspaceOrder) -> dict[str, Any]:
        """Daytona holds the network to domains, or to addresses."""
        host = httpx.URL(self._place.api_url).host
        if order.kind == Kind.CHECK and order.network == Network.NONE:
            return {"networkBlockAll": True}
        try:
            address: str | None = str(ipaddress.ip_address(host))
        except ValueError:
            address = None
        is_here = host == "localhost" or (address is not None and not ipaddress.ip_address(address).is_global)
        if order.kind == Kind.TASK and is_here:
            raise ProviderUnavailable(
                f"Daytona's sandboxes cannot reach OmniForge at {self._place.api_url}: "
                "set OMNIFORGE_PUBLIC_URL to an address that is reached from everywhere."
            )
        registries = self._place.registries if order.network == Network.ALLOWLIST else ()
        match order.network:
            case Network.FULL:
                return {}
            case _ if address is not None and not is_here and not registries:
                return {"networkAllowList": f"{address}/{32 if '.' in address else 128}"}
            case _:
                return {"domainAllowList": ",".join([*([] if address else [host]), *registries])}

    async def _reach(self, ref: str, state: str) -> dict[str, Any]:
        """Wait until the sandbox is in this state; it as told then."""
        pauses, given_up = iter(PAUSES), time.monotonic() + PATIENCE
        while time.monotonic() < given_up:
            told = await self._daytona.find(ref)
            if told.get("state") == state:
                return told
            if told.get("state") in BROKEN:
                reason = str(told.get("errorReason") or told["state"])[:300].rstrip(".")
                raise WorkspaceFailed(f"Daytona's sandbox is broken: {reason}.")
            await asyncio.sleep(next(pauses, LAST_PAUSE))
        raise WorkspaceFailed(
            f"Daytona's sandbox was not {state} after {PATIENCE:.0f} seconds.", retryable=True
        )

    # --- inside --------------------------------------------------------------------------------------------

    async def _put_kit(self, ref: str) -> None:
        path = self._fresh_path("tar")
        await self._daytona.upload(ref, path, pack_tree(kit_entries(), below="sandbox_kit"))
        command = f"rm -rf {KIT}/sandbox_kit && python3 -m tarfile -e {path} {KIT} && rm -f {path}"
        await self._run_inside(ref, command, "prepare a sandbox")

    async def _unpack(self, ref: str, archive: bytes, folder: str) -> None:
        path = self._fresh_path("tar")
        await self._daytona.upload(ref, path, archive)
        await self._run_inside(ref, f"{REMOTE} unpack {path} {folder}", "write into a sandbox", seconds=300)

    async def _run_inside(self, ref: str, command: str, doing: str, seconds: int = SECONDS_INSIDE) -> None:
        """A short command of ours."""
        told = await self._daytona.toolbox(
            ref,
            "POST",
            "/process/execute",
            doing=doing,
            body={"command": f"sh -c {shlex.quote(command)}", "timeout": seconds},
            timeout=seconds + GRACE,
        )
        if told.get("exitCode", told.get("code")) != 0:
            said = str(told.get("result") or "").strip().rpartition("\n")[2][:300]
            raise WorkspaceFailed(f"Daytona could not {doing}: {said or 'a command of ours failed there'}.")

    async def _ask(
        self, ref: str, argv: Sequence[str], folder: str, env: Mapping[str, str], seconds: float | None
    ) -> str:
        """Leave there what is to be run, as a file: what stands in a command can be read in its session."""
        path = self._fresh_path("json")
        request = {"argv": list(argv), "folder": folder, "environment": dict(env), "seconds": seconds}
        await self._daytona.upload(ref, path, json.dumps(request).encode())
        return path

    async def _start(self, ref: str, session: str, command: str) -> str:
        doing = "run a command"
        await self._daytona.toolbox(ref, "POST", "/process/session", doing=doing, body={"sessionId": session})
        told = await self._daytona.toolbox(
            ref,
            "POST",
            f"/process/session/{session}/exec",
            doing=doing,
            body={"command": command, "runAsync": True},
        )
        return str(told["cmdId"])

    async def _wait(self, ref: str, session: str, command: str, seconds: float) -> bool:
        """Whether it ended in this time."""
        path, pauses = f"/process/session/{session}/command/{command}", iter(PAUSES)
        try:
            async with asyncio.timeout(seconds):
                while True:
                    told = await self._daytona.toolbox(ref, "GET", path, doing="ask how a command ended")
                    if told.get("exitCode") is not None:
                        return True
                    await asyncio.sleep(next(pauses, LAST_PAUSE))
        except TimeoutError:
            return False

    async def _end_session(self, ref: str, session: str) -> None:
        path = f"/process/session/{session}"
        await self._daytona.toolbox(ref, "DELETE", path, doing="end a session")

    @staticmethod
    def _told(answer: Mapping[str, Any], output: bytes, timeout: float, seconds: float) -> Execution:
        code = int(answer["exit_code"])
        digest = answer.get("hash") or hashlib.sha256(output).hexdigest()
        return Execution(
            exit_code=code,
            output=output[:OUTPUT_KEPT],
            output_hash=str(digest),
            truncated=int(answer.get("length", 0)) > OUTPUT_KEPT,
            timed_out=code == KILLED and seconds >= timeout,
            seconds=seconds,
        )

    @staticmethod
    def _fresh_path(ending: str) -> str:
        return f"/tmp/omniforge-{secrets.token_hex(12)}.{ending}"  # noqa: S108 - of the sandbox, a name nobody guesses
