"""The other side of a worker, small and strict: it takes in what workers say and notes broken rules."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ValidationError

from omniforge.board.shapes.worker import ResultGiven, ReviewGiven
from omniforge.board.shapes.worker_model import TurnGiven
from omniforge.board.shapes.workers import ProgressGiven
from omniforge.core.errors import OmniForgeError
from omniforge.sandboxes.schemas import EventsGiven, HeartbeatGiven
from omniforge.sandboxes.telemetry import read_told

Json = dict[str, Any]
KIT = Path(__file__).resolve().parents[2] / "sandbox_kit/src"
TOKEN = "ofs_" + "s3cret" * 7
SANDBOX, TASK = "sbx-1", "task-1"
LOST = "lost"
"""A fault: the request is done, its answer never arrives."""
CUT = "cut"
"""A fault: the connection ends before the request is done."""
TELEMETRY = {
    *(f"agent.{one}" for one in ["started", "thought", "replied", "input_received", "tool_used"]),
    *(
        f"agent.{one}"
        for one in ["skill_used", "tool_returned", "interrupted", "errored", "completed", "stopped"]
    ),
    *(f"file.{one}" for one in ("created", "modified", "deleted")),
    *(f"command.{one}" for one in ("started", "output", "completed")),
}
SHAPES: dict[str, type[BaseModel]] = {
    "events": EventsGiven,
    "heartbeat": HeartbeatGiven,
    "model": TurnGiven,
    "progress": ProgressGiven,
    "results": ResultGiven,
    "review": ReviewGiven,
}
"""What the real host takes, by the last part of an address."""
FIELDS = {
    "command.started": {"call_id", "command", "cwd"},
    "command.output": {"call_id", "stream", "text"},
    "command.completed": {"call_id", "exit_code", "duration_ms"},
    "file.created": {"path"},
    "agent.tool_used": {"call_id", "tool", "input"},
    "agent.tool_returned": {"call_id", "ok", "output", "duration_ms"},
    "agent.completed": {"turns", "cost_usd", "tokens_in", "tokens_out", "stop_reason"},
}


@dataclass
class Host:
    """`faults[what]` are used up one by one: a status, `LOST` or `CUT`. `model` writes the model's turns."""

    brief: Json = field(default_factory=dict[str, Any])
    model: Callable[[Json], Json | tuple[int, Json]] = lambda _: {"text": "I have nothing to say."}
    faults: dict[str, list[int | str]] = field(default_factory=lambda: defaultdict(list))
    breaches: list[str] = field(default_factory=list[str])
    events: dict[int, Json] = field(default_factory=dict[int, Json])
    calls: list[str] = field(default_factory=list[str])
    heartbeats: list[Json] = field(default_factory=list[Json])
    commands: list[str] = field(default_factory=list[str])
    messages: list[Json] = field(default_factory=list[Json])
    acknowledged: int = 0
    results: list[Json] = field(default_factory=list[Json])
    """Every body that arrived."""
    reviews: list[Json] = field(default_factory=list[Json])
    progress: list[Json] = field(default_factory=list[Json])
    asked: list[Json] = field(default_factory=list[Json])
    is_revoked: bool = False

    def __post_init__(self) -> None:
        self.changed = threading.Condition()
        self.port = 0
        self.server: ThreadingHTTPServer | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        host = self

        class Handler(Exchange):
            serves = host

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        assert self.server is not None
        self.server.shutdown()
        self.server.server_close()

    def say(self, content: str, message_type: str = "user_message") -> None:
        with self.changed:
            seq = len(self.messages) + 1
            said = {"id": f"msg-{seq}", "seq": seq, "content": content, "message_type": message_type}
            self.messages.append({**said, "timestamp": "2026-11-21T10:00:00Z"})
            self.changed.notify_all()

    def until(self, is_met: Callable[[], Any], seconds: float = 15) -> None:
        with self.changed:
            assert self.changed.wait_for(is_met, seconds), (self.calls, list(self.told()))

    def told(self, *types: str) -> list[Json]:
        """Events in the order of their numbers."""
        found = [self.events[seq] for seq in sorted(self.events)]
        return [one for one in found if not types or one["event_type"] in types]

    def data(self, *types: str) -> list[Json]:
        return [one["event_data"] for one in self.told(*types)]

    def check_shape(self, what: str, body: Json) -> None:
        if what not in SHAPES:
            return
        try:
            read = SHAPES[what].model_validate(body)
            if isinstance(read, EventsGiven):
                read_told(read.each())
        except (ValidationError, OmniForgeError) as error:
            self.breach(f"{what}: {error} {str(body)[:500]}")

    def breach(self, what: str) -> None:
        self.breaches.append(what)

    def answer(self, method: str, path: str, query: Json, body: Json) -> tuple[int, Json]:
        match method, path.removeprefix("/api/v1").strip("/").split("/"):
            case "GET", ["sandbox", "task"]:
                return 200, self.whole_brief()
            case "POST", ["sandbox", "heartbeat"]:
                return self.heartbeat(body)
            case "POST", ["sandbox", "model"]:
                self.asked.append(json.loads(json.dumps(body)))
                turn = self.model(body)
                return turn if isinstance(turn, tuple) else (200, {**TURN, **turn})
            case "POST", ["sandboxes", sandbox, "events"] if sandbox == SANDBOX:
                return self.take_events(body)
            case "GET", ["sandboxes", sandbox, "messages"] if sandbox == SANDBOX:
                return self.give_messages(int(query["after"]), float(query["wait"]))
            case "POST", ["sandbox", "task", task, "progress"] if task == TASK:
                self.progress.append(body)
                return 200, {"success": True, "event_id": "1"}
            case "POST", ["sandbox", "task", task, "review"] if task == TASK:
                return self.take_review(body)
            case "POST", ["sandbox", "task", task, "results"] if task == TASK:
                return self.take_result(body)
            case _:
                self.breach(f"{method} {path}")
                return 404, refusal("not_found")

    def whole_brief(self) -> Json:
        plain: Json = {"task_id": TASK, "attempt": 1, "ticket_id": "ticket-1", "title": "Do it"}
        plain |= {"description": "All of it.", "type": "implement_feature", "priority": "HIGH"}
        plain |= {"criteria": [], "feedback": [], "deliverables": [], "context": {"project_id": "project-1"}}
        bounds = {"time_limit_minutes": 5, "max_turns": 50, "max_cost_usd": 10, "allowed_tools": []}
        return {**plain, "constraints": {**bounds, "owned_files": []}, **self.brief}

    def heartbeat(self, body: Json) -> tuple[int, Json]:
        if body["sandbox_id"] != SANDBOX or body["status"] not in (
            "starting",
            "working",
            "waiting",
            "stopping",
        ):
            self.breach(f"heartbeat {body}")
        if set(body["metrics"]) != {"cpu_percent", "memory_mb", "uptime_seconds"}:
            self.breach(f"metrics {body['metrics']}")
        self.heartbeats.append({**body, "at": time.monotonic()})
        return 200, {"success": True, "commands": self.commands, "lease_expires_at": "2026-11-21T10:00:00Z"}

    def take_events(self, body: Json) -> tuple[int, Json]:
        events: list[Json] = body["events"]
        if not 1 <= len(events) <= 50:
            self.breach(f"{len(events)} events in one call")
        received: list[int] = []
        for event in events:
            seq, highest = event["client_seq"], max(self.events, default=0)
            if seq in self.events:
                if self.events[seq] != event:
                    self.breach(f"event {seq} again with other content")
                continue
            if seq <= highest or seq >= 2**31:
                self.breach(f"event {seq} after {highest}")
            if event["event_type"] not in TELEMETRY or event["source"] not in ("agent", "worker"):
                self.breach(f"event {event}")
            if not set(event["event_data"]) >= FIELDS.get(event["event_type"], set()):
                self.breach(f"fields of {event}")
            if len(json.dumps(event["event_data"])) > 100_000:
                self.breach("an event of more than 100 KB")
            self.events[seq] = event
            received.append(seq)
        duplicates = [one["client_seq"] for one in events if one["client_seq"] not in received]
        return (201 if received else 200), {"received": received, "duplicates": duplicates}

    def give_messages(self, after: int, wait: float) -> tuple[int, Json]:
        if not 0 <= wait <= 30:
            self.breach(f"wait={wait}")
        with self.changed:
            self.acknowledged = max(self.acknowledged, after)
            self.changed.wait_for(lambda: len(self.messages) > after, wait)
            found = self.messages[after:]
        return 200, {"messages": found, "total": len(found), "limit": 50, "offset": 0}

    def take_review(self, body: Json) -> tuple[int, Json]:
        if not body["reason"] or not body["description"]:
            self.breach(f"review {body}")
        self.reviews.append(body)
        return 200, {"success": True, "approval_id": "apr-1", "task_status": "needs_review"}

    def take_result(self, body: Json) -> tuple[int, Json]:
        known = {"status", "summary", "files_changed", "commits", "tests", "artifacts", "notes", "error_code"}
        if not set(body) <= {*known, "attempt"} or body["status"] not in ("completed", "failed", "partial"):
            self.breach(f"result {body}")
        if not 1 <= len(body["summary"].encode()) <= 10_000 or len(json.dumps(body)) > 1_000_000:
            self.breach("a result that is too long")
        for file in body.get("files_changed", ()):
            if file["action"] not in ("created", "modified", "deleted") or file["path"].startswith("/"):
                self.breach(f"file {file}")
        replayed = bool(self.results) and self.results[-1] == body
        if self.results and not replayed:
            self.breach("another result")
        self.results.append(body)
        return 200, {"success": True, "task_id": TASK, "attempt": 1, "replayed": replayed}


TURN: Json = {
    "text": "",
    "calls": [],
    "stop": "end",
    "usage": {"tokens_in": 10, "tokens_out": 2},
    "cost_usd": 0.5,
}


class Exchange(BaseHTTPRequestHandler):
    """One request."""

    serves: Host

    def do_GET(self) -> None:
        self.exchange()

    do_POST = do_GET  # noqa: N815 - the name that is looked for

    def exchange(self) -> None:
        host, parts = self.serves, urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        what = parts.path.rsplit("/", 1)[-1]
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            host.breach("no token")
        fault = host.faults[what].pop(0) if host.faults[what] else None
        if fault == CUT:
            self.close_connection = True
            return
        if isinstance(fault, int):
            self.reply(fault, refusal("rate_limited" if fault == 429 else "internal"))
            return
        if host.is_revoked:
            self.reply(401, refusal("token_revoked"))
            return
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = json.loads(raw or b"{}")
        host.check_shape(what, body)
        status, answer = host.answer(self.command, parts.path, query, body)
        with host.changed:
            host.calls.append(what)
            host.changed.notify_all()
        if fault != LOST:
            self.reply(status, answer)

    def reply(self, status: int, body: Json) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        if status == 429 and "retryable" not in body.get("details", {}):
            self.send_header("retry-after", "0")
        with contextlib.suppress(ConnectionError):  # a worker that has left hears no answer
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it overrides
        """Nobody reads it."""


def refusal(code: str, **details: Any) -> Json:
    return {"error": code, "message": f"It is {code}.", "details": details}


def call(name: str, **given: Any) -> Json:
    """A turn of the model that calls one tool."""
    return {
        "calls": [{"id": f"call-{name}-{time.monotonic_ns()}", "name": name, "input": given}],
        "stop": "tool_calls",
    }


def in_turn(*turns: Json | tuple[int, Json]) -> Callable[[Json], Json | tuple[int, Json]]:
    """A model that says one after the other."""
    left = list(turns)
    return lambda _asked: left.pop(0)


@dataclass
class Worker:
    """A worker that can be started again, with what it has kept."""

    host: Host
    folder: Path
    environment: dict[str, str] = field(default_factory=dict[str, str])
    process: subprocess.Popen[bytes] | None = None

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    def start(self) -> subprocess.Popen[bytes]:
        self.workspace.mkdir(exist_ok=True, parents=True)
        told = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(KIT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMNIFORGE_URL": self.host.url,
            "OMNIFORGE_TOKEN": TOKEN,
            "OMNIFORGE_SANDBOX_ID": SANDBOX,
            "OMNIFORGE_TASK_ID": TASK,
            "OMNIFORGE_WORKSPACE": str(self.workspace),
            "OMNIFORGE_SKILLS": str(self.folder / "skills"),
            "OMNIFORGE_STATE": str(self.folder / "state"),
            "OMNIFORGE_HEARTBEAT_SECONDS": "0.1",
            "OMNIFORGE_MERGE_SECONDS": "0.1",
            "OMNIFORGE_RETRY_SECONDS": "0.02",
            "OMNIFORGE_POLL_SECONDS": "1",
            **self.environment,
        }
        argv = [sys.executable, "-S", "-m", "sandbox_kit.worker"]
        with (self.folder / "said.txt").open("ab") as said:
            self.process = subprocess.Popen(argv, env=told, cwd=self.folder, stdout=said, stderr=said)
        return self.process

    def ended(self, code: int = 0) -> str:
        """Wait for its end; what it wrote."""
        assert self.process is not None
        self.process.wait(30)
        said = (self.folder / "said.txt").read_text()
        assert self.process.returncode == code, said
        return said

    def work(self) -> Json:
        """From start to end; the result."""
        self.start()
        self.ended()
        return self.host.results[-1]


@contextmanager
def open_worker(folder: Path, **environment: str) -> Iterator[Worker]:
    """A worker and its host. What breaks a rule fails the test at its end."""
    host = Host()
    worker = Worker(host, folder, environment)
    try:
        yield worker
        assert host.breaches == []
    finally:
        if worker.process is not None and worker.process.poll() is None:
            worker.process.kill()
            worker.process.wait()
        host.stop()
