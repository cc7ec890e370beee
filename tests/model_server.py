"""A local model server on a port of its own: scripts and faults for tests that talk to a model.

server = RunningModels.start()
server.say({"text": "Hello"}, {"tools": [{"name": "look", "args": {"at": 1}}]}, {"value": {"ok": True}})
server.state.requests  # what arrived
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette

from omniforge.llm.scripts import Script, Turn, Writer, parse_turns
from omniforge.llm.standin import ModelServer, create_app


@dataclass
class RunningModels:
    """One real server on its own thread."""

    app: Starlette
    url: str
    server: uvicorn.Server
    thread: threading.Thread

    @classmethod
    def start(cls) -> RunningModels:
        app = create_app()
        server = uvicorn.Server(
            uvicorn.Config(app, port=0, log_level="critical", lifespan="off", ws="none", backlog=2048)
        )
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        return cls(app, f"http://127.0.0.1:{port}", server, thread)

    @property
    def state(self) -> ModelServer:
        return self.app.state.standin

    def say(self, *turns: dict[str, Any] | Turn, **state: Any) -> ModelServer:
        """A fresh state with these turns; `state` are further fields (`keys`, `delay`)."""
        parsed = [turn if isinstance(turn, Turn) else parse_turns([turn])[0] for turn in turns]
        return self.use(ModelServer(Script(parsed), **state))

    def write(self, writer: Writer, **state: Any) -> ModelServer:
        """A fresh state whose answers a function writes from what was asked."""
        return self.use(ModelServer(Script(writer), **state))

    def use(self, state: ModelServer) -> ModelServer:
        self.app.state.standin = state
        return state

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()
