"""A Docker Engine as far as workspaces ask it: addresses, shapes, statuses, frames and hijacked streams."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tarfile
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.sandboxes.fake_box import FakeBox
from tests.sandboxes.fake_http import Asked, FakeHttp, Hijacked, Reply

VERSION = "1.47"


@dataclass
class Exec:
    config: dict[str, Any]
    container: Container
    is_running: bool = False
    exit_code: int | None = None


@dataclass
class Container:
    id: str
    name: str
    config: dict[str, Any]
    box: FakeBox
    execs: dict[str, Exec] = field(default_factory=dict[str, Exec])


class FakeDocker:
    """`images`: what can be run at once; `pullable`: what a registry would give."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.images = {"python:3.12-slim"}
        self.pullable = {"node:22"}
        self.containers: dict[str, Container] = {}
        self.http = FakeHttp(self._handle)
        self.host = ""

    async def close(self) -> None:
        for container in [*self.containers.values()]:
            await container.box.stop()
        await self.http.close()

    async def _handle(self, asked: Asked) -> Reply:
        if asked.path == "/_ping":
            return Reply(content=b"OK", headers={"Api-Version": VERSION, "Content-Type": "text/plain"})
        version, *parts = asked.parts
        if version != f"v{VERSION}":
            return Reply(400, {"message": f"client version {version} is too new or too old"})
        match asked.method, parts:
            case "GET", ["images", name, "json"]:
                if name not in self.images:
                    return Reply(404, {"message": f"No such image: {name}"})
                return Reply(body={"Id": f"sha256:{uuid.uuid5(uuid.NAMESPACE_URL, name).hex * 2}"})
            case "POST", ["images", "create"]:
                return self._pull(f"{asked.query['fromImage']}:{asked.query['tag']}")
            case "GET", ["containers", "json"]:
                return self._list(json.loads(asked.query.get("filters", "{}")))
            case "POST", ["containers", "create"]:
                return self._create(asked.query["name"], asked.json())
            case method, ["containers", ref, *action]:
                return await self._act(method, ref, action, asked)
            case method, ["exec", ref, action]:
                return await self._exec(method, ref, action, asked)
            case _:
                return Reply(404, {"message": "page not found"})

    def _pull(self, image: str) -> Reply:
        """Says 200 before it knows."""
        lines: list[dict[str, Any]] = [{"status": f"Pulling from {image}"}]
        if image in self.pullable:
            self.images.add(image)
            lines.append({"status": "Download complete"})
        else:
            said = f"pull access denied for {image}, repository does not exist"
            lines.append({"errorDetail": {"message": said}, "error": said})
        content = "".join(json.dumps(line) + "\r\n" for line in lines).encode()
        return Reply(content=content, headers={"Content-Type": "application/json"})

    def _create(self, name: str, config: dict[str, Any]) -> Reply:
        if any(other.name == name for other in self.containers.values()):
            return Reply(409, {"message": f'Conflict. The container name "/{name}" is already in use.'})
        if config["Image"] not in self.images:
            return Reply(404, {"message": f"No such image: {config['Image']}"})
        ref = uuid.uuid4().hex * 2
        self.containers[ref] = Container(ref, name, config, FakeBox(self._root / ref))
        return Reply(201, {"Id": ref, "Warnings": []})

    def _list(self, filters: dict[str, list[str]]) -> Reply:
        wanted = [label.partition("=")[::2] for label in filters.get("label", [])]
        found = [
            {"Id": one.id, "Names": [f"/{one.name}"], "Labels": one.config["Labels"]}
            for one in self.containers.values()
            if all(one.config["Labels"].get(name) == value for name, value in wanted)
        ]
        return Reply(body=found)

    async def _act(self, method: str, ref: str, action: list[str], asked: Asked) -> Reply:
        found = [one for one in self.containers.values() if ref in (one.id, one.name)]
        if not found:
            return Reply(404, {"message": f"No such container: {ref}"})
        container = found[0]
        box = container.box
        match method, action:
            case "POST", ["start"]:
                box.start()
                return Reply(204)
            case "POST", ["restart"]:
                await box.stop()
                box.start()
                return Reply(204)
            case "DELETE", []:
                await box.stop()
                del self.containers[container.id]
                await asyncio.to_thread(shutil.rmtree, box.root)
                return Reply(204)
            case "GET", ["json"]:
                running = [ref for ref, one in container.execs.items() if one.is_running]
                state = {"Running": box.is_running}
                return Reply(
                    body={
                        "Id": container.id,
                        "State": state,
                        "ExecIDs": running or None,
                        "Config": container.config,
                    }
                )
            case "PUT", ["archive"]:
                try:
                    await asyncio.to_thread(box.put, asked.body, asked.query["path"])
                except tarfile.TarError as error:
                    return Reply(400, {"message": str(error)})
                return Reply(200)
            case "GET", ["archive"]:
                content = await asyncio.to_thread(box.get, asked.query["path"])
                return Reply(content=content, headers={"Content-Type": "application/x-tar"})
            case "POST", ["exec"]:
                if not box.is_running:
                    return Reply(409, {"message": f"container {container.id} is not running"})
                exec_id = uuid.uuid4().hex * 2
                container.execs[exec_id] = Exec(asked.json(), container)
                return Reply(201, {"Id": exec_id})
            case _:
                return Reply(404, {"message": "page not found"})

    async def _exec(self, method: str, ref: str, action: str, asked: Asked) -> Reply:
        found = [one.execs[ref] for one in self.containers.values() if ref in one.execs]
        if not found:
            return Reply(404, {"message": f"No such exec instance: {ref}"})
        one = found[0]
        if (method, action) == ("GET", "json"):
            entrypoint, *arguments = one.config["Cmd"]
            process = {"entrypoint": entrypoint, "arguments": arguments}
            return Reply(
                body={
                    "ID": ref,
                    "Running": one.is_running,
                    "ExitCode": one.exit_code,
                    "ProcessConfig": process,
                }
            )
        if asked.json()["Detach"]:
            nothing = os.open("/dev/null", os.O_RDWR)
            await self._spawn(one, (nothing, nothing, nothing))
            return Reply(200)
        await self._attach(one, asked)
        raise Hijacked

    async def _spawn(self, one: Exec, fds: tuple[int, int, int]) -> asyncio.Future[int]:
        env = dict(pair.split("=", 1) for pair in [*one.container.config["Env"], *one.config["Env"]])
        ended = await one.container.box.spawn(one.config["Cmd"], env, one.config["WorkingDir"], fds)
        one.is_running = True

        def note(done: asyncio.Future[int]) -> None:
            one.is_running, one.exit_code = False, done.result()

        ended.add_done_callback(note)
        return ended

    async def _attach(self, one: Exec, asked: Asked) -> None:
        reader, writer = asked.reader, asked.writer
        kind = "application/vnd.docker.multiplexed-stream"
        if asked.headers.get("upgrade") == "tcp":
            first = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp"
        else:
            first = "HTTP/1.1 200 OK"
        writer.write(f"{first}\r\nContent-Type: {kind}\r\n\r\n".encode())
        theirs, stdin = os.pipe()
        outputs = [os.pipe() for _ in range(2)]
        copying = [
            asyncio.create_task(self._frame(pipe[0], stream, writer))
            for stream, pipe in enumerate(outputs, 1)
        ]
        feeding = asyncio.create_task(self._feed(reader, stdin, takes_input=one.config["AttachStdin"]))
        try:
            ended = await self._spawn(one, (theirs, outputs[0][1], outputs[1][1]))
            await asyncio.wait([ended, *([feeding] if one.config["AttachStdin"] else copying)])
            feeding.cancel()
            await asyncio.gather(*copying)
            await ended
        finally:
            for task in (feeding, *copying):
                task.cancel()
            await asyncio.gather(feeding, *copying, return_exceptions=True)

    async def _frame(self, pipe: int, stream: int, writer: asyncio.StreamWriter) -> None:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", buffering=0)
        )
        try:
            while chunk := await reader.read(32768):
                if not writer.is_closing():
                    writer.write(bytes([stream, 0, 0, 0]) + len(chunk).to_bytes(4, "big") + chunk)
        finally:
            transport.close()

    async def _feed(self, reader: asyncio.StreamReader, stdin: int, *, takes_input: bool) -> None:
        """What a client writes; its end closes the command's input."""
        try:
            while takes_input and (chunk := await reader.read(65536)):
                await asyncio.to_thread(os.write, stdin, chunk)
        except ConnectionError:
            pass
        finally:
            os.close(stdin)
