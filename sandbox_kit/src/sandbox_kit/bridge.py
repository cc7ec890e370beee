"""The program's end of the bridge: one request object, one response object, from any number of threads."""

from __future__ import annotations

import itertools
import json
import socket
import threading
from dataclasses import dataclass, field
from typing import Any

MAX_LINE = 1024 * 1024


class ToolError(Exception):
    """The host refused or could not do it. `code` is for programs, `message` for people."""

    def __init__(
        self, code: str, message: str, retryable: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retryable = retryable
        self.retry_after = retry_after


@dataclass
class Waiting:
    """A request without its answer yet."""

    answered: threading.Event = field(default_factory=threading.Event)
    response: dict[str, Any] | None = None


class Bridge:
    """Newline-delimited JSON over a connected socket. Safe to use from several threads at once."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._ids = itertools.count(1)
        self._writing = threading.Lock()
        self._changing = threading.Lock()
        self._waiting: dict[int, Waiting] = {}
        self._is_open = True
        threading.Thread(target=self._read, name="bridge", daemon=True).start()

    def request(self, op: str, **fields: Any) -> Any:
        """The `result` of the response; raises `ToolError`."""
        waiting = Waiting()
        with self._changing:
            if not self._is_open:
                raise ToolError("bridge_closed", "The host has closed the bridge.")
            request_id = next(self._ids)
            self._waiting[request_id] = waiting
        line = json.dumps({"id": request_id, "op": op, **fields}).encode() + b"\n"
        if len(line) > MAX_LINE:
            self._forget(request_id)
            raise ToolError(
                "request_too_large", f"A request may have {MAX_LINE} bytes, this one has {len(line)}."
            )
        try:
            with self._writing:
                self._socket.sendall(line)
        except OSError:
            self._forget(request_id)
            raise ToolError("bridge_closed", "The host has closed the bridge.") from None
        waiting.answered.wait()
        return _result_of(waiting.response)

    def _forget(self, request_id: int) -> None:
        with self._changing:
            self._waiting.pop(request_id, None)

    def _read(self) -> None:
        try:
            with self._socket.makefile("rb") as lines:
                for line in lines:
                    self._answer(json.loads(line))
        except (OSError, ValueError):
            pass  # closed in the middle of a line: nobody gets an answer any more
        finally:
            with self._changing:
                self._is_open = False
                left, self._waiting = self._waiting, {}
            for waiting in left.values():
                waiting.answered.set()

    def _answer(self, response: dict[str, Any]) -> None:
        with self._changing:
            waiting = self._waiting.pop(response.get("id", 0), None)
        if waiting is not None:
            waiting.response = response
            waiting.answered.set()


def _result_of(response: dict[str, Any] | None) -> Any:
    if response is None:
        raise ToolError("bridge_closed", "The host closed the bridge before it answered.")
    if response.get("ok"):
        return response.get("result")
    error: dict[str, Any] = response.get("error") or {}
    raise ToolError(
        str(error.get("code", "unknown")),
        str(error.get("message", "The host gave no reason.")),
        bool(error.get("retryable", False)),
        error.get("retry_after"),
    )
