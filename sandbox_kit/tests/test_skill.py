"""Scripts as they are run: a process with a request on stdin and the bridge at a descriptor."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sandbox_kit.skill import read_request

SOURCE = Path(__file__).resolve().parents[1] / "src"
REQUEST: dict[str, Any] = {
    "protocol": 1,
    "run_id": "r1",
    "step": "collect",
    "skill": {"name": "weekly", "version": "1"},
    "input": {"name": "Ada"},
    "config": {"greeting": "Hello"},
    "context": {"now": "2026-11-21T10:00:00Z"},
    "tools": [],
}


def start(
    script: str, stdin: bytes, bridge: socket.socket | None = None
) -> subprocess.CompletedProcess[bytes]:
    code = "from sandbox_kit.skill import *\n" + script
    environment = {"PYTHONPATH": str(SOURCE), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    if bridge is not None:
        environment["OMNIFORGE_BRIDGE_FD"] = str(bridge.fileno())
    return subprocess.run(
        [sys.executable, "-B", "-c", code],
        input=stdin,
        env=environment,
        pass_fds=[bridge.fileno()] if bridge else [],
        capture_output=True,
        timeout=20,
        check=False,
    )


def test_main_gets_the_request_and_its_result_is_the_last_line() -> None:
    script = (
        "def main(request):\n"
        "    print('working', end='')\n"
        "    text = request.config['greeting'] + ' ' + request.input['name']\n"
        "    output = {'text': text, 'step': request.step, 'at': request.context['now']}\n"
        "    return {'output': output, 'status': 'flag'}\n"
        "run(main)"
    )
    ended = start(script, json.dumps(REQUEST).encode())
    *log, last = ended.stdout.decode().splitlines()
    assert (ended.returncode, log) == (0, ["working"])
    assert json.loads(last) == {
        "output": {"text": "Hello Ada", "step": "collect", "at": "2026-11-21T10:00:00Z"},
        "status": "flag",
    }


def test_a_crash_prints_the_traceback_and_exits_with_1() -> None:
    ended = start("def main(request): return 1 / 0\nrun(main)", json.dumps(REQUEST).encode())
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert b"ZeroDivisionError" in ended.stderr
    assert b"Traceback" in ended.stderr


@pytest.mark.parametrize(
    ("result", "complaint"),
    [
        ("None", "object under"),
        ("{'output': 1}", "object under"),
        ("{'output': {}, 'status': 'great'}", "status must be one of"),
        ("{'output': {'x': float('nan')}}", "JSON"),
        ("{'output': {'x': object()}}", "JSON"),
    ],
)
def test_a_result_that_breaks_the_protocol_is_an_error_of_the_script(result: str, complaint: str) -> None:
    ended = start(f"run(lambda request: {result})", json.dumps(REQUEST).encode())
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert complaint in ended.stderr.decode()


@pytest.mark.parametrize("stdin", [b"", b"[]", b"{}", b'{"protocol": 2}', b"\xff"])
def test_a_request_of_another_protocol_is_refused(stdin: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - JSON's own errors are among them
        read_request(stdin)


def test_every_call_becomes_the_agreed_request() -> None:
    script = (
        "log('hello'); log('careful', level='warning'); progress(1, 2, 'half'); state_set('seen', [1])\n"
        "print(state_get('seen'), state_get('none', 'default')); state_delete('seen')\n"
        "print(ask('Which?', ['a', 'b']), model('Sum up', {'type': 'object'}))"
    )
    answers: dict[str, Any] = {"ask": "a", "model": {"s": 1}}
    seen: list[dict[str, Any]] = []
    ours, theirs = socket.socketpair()
    with ThreadPoolExecutor(1) as pool, ours, theirs:
        running = pool.submit(start, script, b"", theirs)
        with ours.makefile("rwb") as lines:
            for _ in range(9):
                request = json.loads(lines.readline())
                seen.append(request)
                result = [1] if request.get("key") == "seen" else answers.get(request["op"])
                lines.write(json.dumps({"id": request["id"], "ok": True, "result": result}).encode() + b"\n")
                lines.flush()
        ended = running.result()
    assert ended.stdout.decode().splitlines() == ["[1] default", "a {'s': 1}"], ended.stderr
    assert [{k: v for k, v in request.items() if k != "id"} for request in seen] == [
        {"op": "log", "level": "info", "text": "hello"},
        {"op": "log", "level": "warning", "text": "careful"},
        {"op": "progress", "done": 1, "total": 2, "text": "half"},
        {"op": "state", "action": "set", "key": "seen", "value": [1]},
        {"op": "state", "action": "get", "key": "seen"},
        {"op": "state", "action": "get", "key": "none"},
        {"op": "state", "action": "delete", "key": "seen"},
        {"op": "ask", "question": "Which?", "choices": ["a", "b"]},
        {"op": "model", "prompt": "Sum up", "schema": {"type": "object"}},
    ]
