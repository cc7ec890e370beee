"""What a skill script needs: `run(main)` reads the request and prints the result, the rest asks the host.

from sandbox_kit.skill import Request, call, run

def main(request: Request) -> dict:
    pages = call("notion.query_database", database_id=request.config["database_id"])
    return {"output": {"count": len(pages["results"])}}

run(main)
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import traceback
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Sequence, cast  # noqa: UP035 - Python 3.9 reads this too

from sandbox_kit.bridge import Bridge, ToolError

__all__ = [
    "Refused",
    "Request",
    "ToolError",
    "ask",
    "call",
    "log",
    "model",
    "progress",
    "run",
    "state_delete",
    "state_get",
    "state_set",
]

PROTOCOL = 1
STATUSES = ("ok", "empty", "stop", "flag")


class Refused(Exception):
    """Raise it from `main` when the work cannot be done as asked; people are shown the message."""


@dataclass(frozen=True)
class Request:
    """What the script is asked to do. `context["now"]` is the run's logical time, not the clock's."""

    input: dict[str, Any]
    config: dict[str, Any]
    context: dict[str, Any]
    tools: list[dict[str, Any]]
    run_id: str
    step: str
    skill: dict[str, Any]


def run(main: Callable[[Request], Mapping[str, Any]]) -> None:
    """Answer the request on stdin with what `main` returns, as the last line of stdout, and exit.

    `main` returns `{"output": {…}}` and may add `message`, `artifacts` (a list of `{"path", "title"}`) and
    `status` (`ok`, `empty`: nothing to do, `stop`: end the run here, `flag`: done, but a person should look).
    `Refused` tells people why it cannot be done. Any other exception, or anything else returned, ends the
    script with exit code 1 and the reason on stderr.
    """
    try:
        line = _checked(main(read_request(sys.stdin.buffer.read())))
    except Refused as refusal:
        line = json.dumps({"output": {}, "status": "refused", "message": str(refusal)[:2000]})
    except Exception:  # noqa: BLE001 - the path of the script ends here
        traceback.print_exc()
        sys.stderr.flush()
        sys.exit(1)
    sys.stdout.write(f"\n{line}\n")
    sys.stdout.flush()


def read_request(raw: bytes) -> Request:
    """Raises `ValueError` for anything but a request of this protocol."""
    data: Any = json.loads(raw)
    fields: dict[str, Any] = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    if fields.get("protocol") != PROTOCOL:
        raise ValueError(f"stdin must hold one request of protocol {PROTOCOL}")
    return Request(
        input=fields.get("input") or {},
        config=fields.get("config") or {},
        context=fields.get("context") or {},
        tools=fields.get("tools") or [],
        run_id=fields.get("run_id") or "",
        step=fields.get("step") or "",
        skill=fields.get("skill") or {},
    )


def _checked(result: Any) -> str:
    fields: Mapping[str, Any] = cast("Mapping[str, Any]", result) if isinstance(result, Mapping) else {}
    if not isinstance(fields.get("output"), Mapping):
        raise TypeError('main must return a dict with an object under "output"')
    if fields.get("status", "ok") not in STATUSES:
        raise ValueError(f"status must be one of {', '.join(STATUSES)}")
    return json.dumps(fields, ensure_ascii=False, allow_nan=False)


def call(tool: str, /, **args: Any) -> Any:
    """The result of a tool such as `notion.query_database`; raises `ToolError`."""
    return _bridge().request("tool", tool=tool, args=args)


def log(text: str, level: str = "info") -> None:
    """A line for the run's log. It has arrived when this returns."""
    _bridge().request("log", level=level, text=text)


def progress(done: float, total: float | None = None, text: str = "") -> None:
    _bridge().request("progress", done=done, total=total, text=text)


def state_get(key: str, default: Any = None) -> Any:
    """What the agent remembered under `key` in an earlier run, or `default`."""
    value = _bridge().request("state", action="get", key=key)
    return default if value is None else value


def state_set(key: str, value: Any) -> None:
    _bridge().request("state", action="set", key=key, value=value)


def state_delete(key: str) -> None:
    _bridge().request("state", action="delete", key=key)


def ask(question: str, choices: Sequence[str] = ()) -> str:
    """The answer of a person. The step waits for it."""
    return str(_bridge().request("ask", question=question, choices=list(choices)))


def model(prompt: str, schema: Mapping[str, Any] | None = None) -> Any:
    """The model's text, or an object when `schema` is given; `ToolError` `model_not_configured`."""
    return _bridge().request("model", prompt=prompt, schema=schema)


_opening = threading.Lock()
_opened: dict[int, Bridge] = {}


def _bridge() -> Bridge:
    number = os.environ.get("OMNIFORGE_BRIDGE_FD")
    if number is None:
        raise ToolError("no_bridge", "This program was started without a bridge to the host.")
    with _opening:
        fd = int(number)
        if fd not in _opened:
            _opened[fd] = Bridge(socket.socket(fileno=fd))
        return _opened[fd]
