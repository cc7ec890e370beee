"""Daytona's REST API as far as workspaces ask it: sandboxes that start and stop, and the toolbox in each."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.sandboxes.fake_box import FakeBox
from tests.sandboxes.fake_http import Asked, FakeHttp, Reply

KEY = "dtn_0123456789abcdef"


@dataclass
class Command:
    id: str
    command: str
    exit_code: int | None = None

    def told(self) -> dict[str, Any]:
        told = {"id": self.id, "command": self.command}
        return told if self.exit_code is None else told | {"exitCode": self.exit_code}


@dataclass
class Sandbox:
    id: str
    asked: dict[str, Any]
    box: FakeBox
    state: str = "creating"
    looks: int = 0
    """How often somebody has looked since the last change: states take their time."""
    sessions: dict[str, list[Command]] = field(default_factory=dict[str, list[Command]])


class FakeDaytona:
    """`breaks`: sandboxes do not start."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.sandboxes: dict[str, Sandbox] = {}
        self.breaks = False
        self.http = FakeHttp(self._handle)
        self.url = ""

    async def start(self) -> str:
        self.url = await self.http.start()
        return f"{self.url}/api"

    async def close(self) -> None:
        for sandbox in self.sandboxes.values():
            await sandbox.box.stop()
        await self.http.close()

    async def _handle(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {KEY}":
            return refuse(401, "Invalid credentials", f"not {asked.headers.get('authorization')}")
        match asked.method, [*asked.parts]:
            case "POST", ["api", "sandbox"]:
                return self._create(asked.json())
            case "GET", ["api", "sandbox"]:
                return self._list(asked.query)
            case method, ["api", "sandbox", ref, *action]:
                sandbox = self._find(ref)
                return (
                    refuse(404, "Not Found", f"Sandbox {ref} not found")
                    if sandbox is None
                    else (await self._act(method, sandbox, action))
                )
            case method, ["toolbox", ref, *path]:
                sandbox = self.sandboxes.get(ref)
                if sandbox is None or sandbox.state != "started":
                    return refuse(400, "Bad Request", "Sandbox is not running")
                return await self._use(method, sandbox, path, asked)
            case _:
                return refuse(404, "Not Found", f"Cannot {asked.method} {asked.path}")

    def _find(self, ref: str) -> Sandbox | None:
        return next((one for one in self.sandboxes.values() if ref in (one.id, one.asked.get("name"))), None)

    def _create(self, asked: dict[str, Any]) -> Reply:
        if self._find(str(asked.get("name"))) is not None:
            return refuse(409, "Conflict", f"Sandbox with name {asked['name']} already exists")
        ref = str(uuid.uuid4())
        places = ("workspace", "kit", "skills", "tmp")
        self.sandboxes[ref] = Sandbox(ref, asked, FakeBox(self._root / ref, places))
        return Reply(200, self._told(self.sandboxes[ref]))

    def _told(self, sandbox: Sandbox) -> dict[str, Any]:
        return {
            "id": sandbox.id,
            "organizationId": "org",
            "name": sandbox.asked.get("name", sandbox.id),
            "snapshot": sandbox.asked.get("snapshot", "daytona-small"),
            "user": "daytona",
            "labels": sandbox.asked.get("labels", {}),
            "state": sandbox.state,
            "errorReason": "No available runners" if sandbox.state == "error" else None,
            "toolboxProxyUrl": f"{self.url}/toolbox",
        }

    def _list(self, query: dict[str, str]) -> Reply:
        """Two a page."""
        labels = json.loads(query.get("labels", "{}"))
        found = [
            self._told(one)
            for one in self.sandboxes.values()
            if labels.items() <= one.asked.get("labels", {}).items()
        ]
        start = int(query.get("cursor", 0))
        more = str(start + 2) if start + 2 < len(found) else None
        return Reply(body={"items": found[start : start + 2], "nextCursor": more})

    async def _act(self, method: str, sandbox: Sandbox, action: list[str]) -> Reply:
        match method, action:
            case "GET", []:
                await self._go_on(sandbox)
                return Reply(body=self._told(sandbox))
            case "POST", ["stop"] if sandbox.state == "started":
                sandbox.state, sandbox.looks = "stopping", 0
                return Reply(body=self._told(sandbox))
            case "POST", ["start"] if sandbox.state == "stopped":
                sandbox.state, sandbox.looks = "starting", 0
                return Reply(body=self._told(sandbox))
            case "DELETE", []:
                await sandbox.box.stop()
                del self.sandboxes[sandbox.id]
                await asyncio.to_thread(shutil.rmtree, sandbox.box.root)
                return Reply(body=self._told(sandbox) | {"state": "destroying"})
            case _:
                return refuse(400, "Bad Request", f"Sandbox is {sandbox.state}")

    async def _go_on(self, sandbox: Sandbox) -> None:
        sandbox.looks += 1
        if sandbox.looks < 2:
            return
        match sandbox.state:
            case "creating" if self.breaks:
                sandbox.state = "error"
            case "creating" | "starting":
                sandbox.box.start()
                sandbox.state = "started"
            case "stopping":
                await sandbox.box.stop()
                sandbox.sessions.clear()
                sandbox.state = "stopped"
            case _:
                pass

    async def _use(self, method: str, sandbox: Sandbox, path: list[str], asked: Asked) -> Reply:
        match method, path:
            case "POST", ["process", "execute"]:
                body = asked.json()
                code, output = await sandbox.box.output_of(["bash", "-c", body["command"]])
                return Reply(body={"exitCode": code, "result": output.decode("utf-8", "replace")})
            case "POST", ["process", "session"]:
                name = asked.json()["sessionId"]
                if name in sandbox.sessions:
                    return refuse(409, "Conflict", "session already exists")
                sandbox.sessions[name] = []
                return Reply(201)
            case _, ["process", "session", name, *rest]:
                return await self._session(method, sandbox, name, rest, asked)
            case "POST", ["files", "bulk-upload"]:
                for place, content in uploaded(asked):
                    inside(sandbox, place).write_bytes(content)
                return Reply(200, {})
            case "GET", ["files", "download"]:
                file = inside(sandbox, asked.query["path"])
                if not file.is_file():
                    return refuse(404, "Not Found", f"file not found: {asked.query['path']}")
                return Reply(content=file.read_bytes(), headers={"Content-Type": "application/octet-stream"})
            case _:
                return refuse(404, "Not Found", f"Cannot {method} {asked.path}")

    async def _session(
        self, method: str, sandbox: Sandbox, name: str, rest: list[str], asked: Asked
    ) -> Reply:
        commands = sandbox.sessions.get(name)
        if commands is None:
            return refuse(404, "Not Found", "session not found")
        match method, rest:
            case "GET", []:
                return Reply(body={"sessionId": name, "commands": [one.told() for one in commands]})
            case "DELETE", []:
                del sandbox.sessions[name]
                return Reply(204)
            case "POST", ["exec"]:
                body = asked.json()
                assert body["runAsync"] is True
                command = Command(str(uuid.uuid4()), body["command"])
                commands.append(command)
                await self._run(sandbox, command)
                return Reply(202, {"cmdId": command.id})
            case "GET", ["command", ref]:
                found = [one for one in commands if one.id == ref]
                return Reply(body=found[0].told()) if found else refuse(404, "Not Found", "command not found")
            case _:
                return refuse(404, "Not Found", f"Cannot {method} {asked.path}")

    async def _run(self, sandbox: Sandbox, command: Command) -> None:
        nothing = os.open("/dev/null", os.O_RDWR)
        argv = ["bash", "-c", command.command]
        ended = await sandbox.box.spawn(argv, {}, "/workspace", (nothing, nothing, nothing))
        ended.add_done_callback(lambda done: setattr(command, "exit_code", done.result()))


def inside(sandbox: Sandbox, path: str) -> Path:
    return sandbox.box.root / path.lstrip("/")


def uploaded(asked: Asked) -> list[tuple[str, bytes]]:
    """Pairs of `files[0].path` and `files[0].file`, the path first."""
    boundary = asked.headers["content-type"].partition("boundary=")[2].encode()
    fields: dict[str, bytes] = {}
    for part in asked.body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = re.search(rb'name="(files\[\d+\]\.\w+)"', head)
        assert name is not None
        fields[name[1].decode()] = content.removesuffix(b"\r\n")
    return [(fields["files[0].path"].decode(), fields["files[0].file"])]


def refuse(status: int, error: str, message: str) -> Reply:
    return Reply(status, {"statusCode": status, "error": error, "message": message})
