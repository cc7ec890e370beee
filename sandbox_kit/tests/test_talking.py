"""A program's lines and its requests to a model, as the host hears them over the bridge."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import sandbox_kit

ASKING = """
import socket, sys
from http.client import HTTPConnection
sys.stdout.write("got " + sys.stdin.readline()); sys.stdout.flush()
class Unix(HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
model = Unix("model")
body = ("ä" * 400_000).encode()
model.request("POST", "/v1/messages?x=1", body, {"anthropic-beta": "b", "x-api-key": "none"})
answer = model.getresponse()
print(answer.status, answer.headers["content-type"], answer.read().decode())
model.request("GET", "/other"); last = model.getresponse(); print(last.status, last.read()); model.close()
sys.exit(sys.stdin.read() != "")
"""


class Host:
    """Answers the operations of one program and keeps what it was asked."""

    def __init__(self, lines: list[str | None]) -> None:
        self.lines, self.asked = lines, list[dict[str, Any]]()
        self.mine, self.theirs = socket.socketpair()

    def serve(self) -> None:
        with self.mine.makefile("rwb") as channel:
            for line in channel:
                request = json.loads(line)
                self.asked.append(request)
                channel.write(
                    json.dumps({"id": request["id"], "ok": True, "result": self.answer(request)}).encode()
                )
                channel.write(b"\n")
                channel.flush()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["op"]:
            case "input":
                return {"text": self.lines.pop(0)}
            case "ask" if not request["more"]:
                return {"status": 201, "type": "text/x", "text": "déjà"}
            case _:
                return {}

    def of(self, op: str) -> list[dict[str, Any]]:
        return [request for request in self.asked if request["op"] == op]


def test_lines_and_requests_go_over_the_bridge(tmp_path: Path) -> None:
    place = str(tmp_path / "model.sock")
    host = Host(["a line\n", None])
    serving = threading.Thread(target=host.serve, daemon=True)
    serving.start()
    ended = subprocess.run(
        [sys.executable, "-m", "sandbox_kit.talking", place, sys.executable, "-c", ASKING, place],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(sandbox_kit.__file__).parents[1]),
            "OMNIFORGE_BRIDGE_FD": str(host.theirs.fileno()),
        },
        pass_fds=[host.theirs.fileno()],
        check=False,
        timeout=30,
    )
    host.theirs.close()
    serving.join(10)
    host.mine.close()
    assert ended.returncode == 0
    assert (
        "".join(request["text"] for request in host.of("output")) == "got a line\n201 text/x déjà\n404 b''\n"
    )
    pieces = host.of("ask")
    assert "".join(request["text"] for request in pieces) == "ä" * 400_000
    assert [request["more"] for request in pieces] == [True, True, False]
    assert len({request["exchange"] for request in pieces}) == 1
    assert (pieces[-1]["path"], pieces[-1]["headers"]) == ("/v1/messages?x=1", {"anthropic-beta": "b"})
