"""The way out of a box that has no network: a proxy at 127.0.0.1:3128, whose connections leave by one socket.

    python3 forward.py SOCKET     each connection is one to the unix socket SOCKET
    python3 forward.py -          all of them over stdin and stdout, in pieces (`Tunnel`)

What may be reached is decided on the other side; here nothing is known but bytes.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading

PORT = 3128
HEAD = struct.Struct(">II")
"""Before each piece: the connection's number and how many bytes follow; none = this side writes no more."""
PIECE = 65536


def listen() -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", PORT))
    listening.listen(64)
    return listening


def start_beside(path: str) -> None:
    """Forward to the unix socket `path` in a process that nobody waits for, until the box ends."""
    listening = listen()
    if pid := os.fork():
        os.waitpid(pid, 0)
        listening.close()
        return
    if os.fork():
        os._exit(0)
    os.setsid()
    nothing = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != listening.fileno():
            close(int(name))
    serve(listening, path)


def close(descriptor: int) -> None:
    try:  # noqa: SIM105 - contextlib is too much to import here
        os.close(descriptor)
    except OSError:
        pass


def serve(listening: socket.socket, path: str) -> None:
    while True:
        inner, _ = listening.accept()
        outer = socket.socket(socket.AF_UNIX)
        try:
            outer.connect(path)
        except OSError:
            inner.close()
            continue
        for source, target in ((inner, outer), (outer, inner)):
            threading.Thread(target=pump, args=(source, target), daemon=True).start()


def pump(source: socket.socket, target: socket.socket) -> None:
    """One direction, to its end. The other goes on: an answer may come before all was asked."""
    try:
        while chunk := source.recv(PIECE):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        try:  # noqa: SIM105 - contextlib is too much to import here
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def abandon(end: socket.socket) -> None:
    try:  # noqa: SIM105 - contextlib is too much to import here
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


class Tunnel:
    """Many connections over one pair of pipes, each with a number of its own."""

    def __init__(self, reading: int, writing: int) -> None:
        self._incoming = os.fdopen(reading, "rb")
        self._outgoing = os.fdopen(writing, "wb", buffering=0)
        self._writing = threading.Lock()
        self._connections: dict[int, socket.socket] = {}

    def serve(self, listening: socket.socket) -> None:
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()
        while head := self._incoming.read(HEAD.size):
            number, size = HEAD.unpack(head)
            content = self._incoming.read(size)
            connection = self._connections.get(number)
            if connection is None:
                continue
            try:
                connection.sendall(content) if size else connection.shutdown(socket.SHUT_WR)
            except OSError:
                abandon(connection)
            if not size:
                del self._connections[number]  # whoever still reads from it holds it as well

    def _accept(self, listening: socket.socket) -> None:
        number = 0
        while True:
            connection, _ = listening.accept()
            number += 1
            self._connections[number] = connection
            threading.Thread(target=self._read, args=(number, connection), daemon=True).start()

    def _read(self, number: int, connection: socket.socket) -> None:
        try:
            while chunk := connection.recv(PIECE):
                self._send(number, chunk)
        except OSError:
            pass
        self._send(number, b"")

    def _send(self, number: int, content: bytes) -> None:
        with self._writing:
            left = memoryview(HEAD.pack(number, len(content)) + content)
            while left:
                left = left[self._outgoing.write(left) or 0 :]


def main(way_out: str) -> None:
    listening = listen()
    if way_out == "-":
        os.write(1, HEAD.pack(0, 0))  # it is there
        Tunnel(0, 1).serve(listening)
    else:
        serve(listening, way_out)


if __name__ == "__main__":
    main(sys.argv[1])
