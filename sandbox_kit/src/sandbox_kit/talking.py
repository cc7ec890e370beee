"""Runs a program that talks in lines and asks a model over HTTP, without a network: both take the bridge.

    python3 -m sandbox_kit.talking SOCKET PROGRAM ARGUMENT…

The program finds the model at the unix socket SOCKET. Operations: `output {text}` is what it wrote, `input`
waits for what it is to read (`{"text": null}`: no more), `ask {exchange, path, headers, text, more}` is a
request of its own in pieces, of which the last is answered with `{status, type, text}`.
"""

from __future__ import annotations

import codecs
import itertools
import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingUnixStreamServer
from typing import Any

from sandbox_kit.bridge import Bridge, ToolError

PIECE = 150_000
"""Characters in one request, which may have a megabyte once written as JSON."""
PASSED_ON = ("anthropic-beta", "anthropic-version")
READ = 65536


def main(place: str, argv: list[str]) -> int:
    """The exit code of the program."""
    bridge = Bridge(socket.socket(fileno=int(os.environ.pop("OMNIFORGE_BRIDGE_FD"))))
    serve_model(bridge, place)
    program = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    threading.Thread(target=feed, args=(bridge, program.stdin), daemon=True).start()
    tell(bridge, program.stdout)
    return program.wait()


def feed(bridge: Bridge, stdin: Any) -> None:
    """All that the host has for the program."""
    try:
        while (text := bridge.request("input")["text"]) is not None:
            stdin.write(text.encode())
            stdin.flush()
        stdin.close()
    except (ToolError, OSError):
        pass  # one of the two has ended, and with it everything in here


def tell(bridge: Bridge, stdout: Any) -> None:
    """All that the program writes, in order: a piece is answered before the next one goes."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while chunk := stdout.read1(READ):
        if text := decoder.decode(chunk):
            bridge.request("output", text=text)


def serve_model(bridge: Bridge, place: str) -> None:
    numbers = itertools.count(1)

    class Exchange(BaseHTTPRequestHandler):
        """One connection of the program to its model."""

        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            text = self.rfile.read(size).decode("utf-8", "replace")
            headers = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
            try:
                answer: Any = ask(bridge, next(numbers), self.path, headers, text)
            except ToolError as error:
                answer = {"status": 400, "type": "text/plain", "text": error.code}
            self.reply(answer["status"], answer["type"], answer["text"].encode())

        def do_GET(self) -> None:
            self.reply(404, "text/plain", b"")

        def do_HEAD(self) -> None:
            self.reply(200, "text/plain", b"")

        def reply(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self) -> str:
            return "box"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it overrides
            """Nobody reads it."""

    server = ThreadingUnixStreamServer(place, Exchange)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()


def ask(bridge: Bridge, exchange: int, path: str, headers: dict[str, str], text: str) -> Any:
    """The answer to one request, which goes in pieces."""
    last = max(len(text) - 1, 0) // PIECE * PIECE
    for start in range(0, last, PIECE):
        bridge.request("ask", exchange=exchange, text=text[start : start + PIECE], more=True)
    return bridge.request("ask", exchange=exchange, path=path, headers=headers, text=text[last:], more=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
