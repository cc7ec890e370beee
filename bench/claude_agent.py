"""What an agent of the Claude Agent SDK costs this computer. `python -m bench.claude_agent`."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Generator, Sized
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil
import uvicorn
from pydantic import SecretStr

from bench.timing import report
from omniforge.core.config import ModelSettings
from omniforge.llm.client import Models
from omniforge.llm.protocol import Ask
from omniforge.llm.scripts import Asked, Script, Turn
from omniforge.llm.standin import ModelServer, create_app
from omniforge.sandboxes.guests import SandboxEnclosure
from omniforge.sandboxes.providers.local import LocalSandbox

QUESTIONS = 10
LIVE = 8
HELD = 300.0
"""Seconds a model would take to answer while memory is looked at."""
LOOK = 0.1
MIB = 1024 * 1024


@dataclass
class Arrivals:
    """When the questions of the programs reached the model."""

    times: list[float] = field(default_factory=list[float])

    def write(self, _asked: Asked) -> Turn:
        self.times.append(time.perf_counter())
        return Turn(text="Here.", usage={"in": 40, "out": 3})


@contextmanager
def _serving(state: ModelServer) -> Generator[str]:
    """The address of a local model server."""
    config = uvicorn.Config(create_app(state), port=0, log_level="critical", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@dataclass(frozen=True)
class Held:
    """What programs that wait for their model have used; `memory` counts shared pages once."""

    programs: int = 0
    memory: int = 0
    cpu: float = 0.0


def _held() -> Held:
    """Of all our children together."""
    held = Held()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            is_program = process.cmdline()[:1] == ["/claude/claude"]
            times = process.cpu_times()
            held = Held(
                held.programs + is_program,
                held.memory + process.memory_full_info().pss,
                held.cpu + times.user + times.system,
            )
    return held


def _wait_for(requests: Sized, number: int) -> None:
    while len(requests) < number:
        time.sleep(LOOK)


async def _holding(models: Models, state: ModelServer, live: int) -> Held:
    """So many questions that all wait for their model at the same time."""
    number = len(state.requests) + live
    questions = [asyncio.create_task(models.ask(Ask("Answer.", "Where?"))) for _ in range(live)]
    await asyncio.to_thread(_wait_for, state.requests, number)
    held = _held()
    for question in questions:
        question.cancel()
    await asyncio.gather(*questions, return_exceptions=True)
    if held.programs != live:
        raise RuntimeError(f"{held.programs} programs live in place of {live}")
    return held


async def main() -> None:
    """One question after the other for the times, then some that wait for their model for the memory."""
    arrivals = Arrivals()
    state = ModelServer(Script(arrivals.write))
    with _serving(state) as url:
        settings = ModelSettings(
            default="claude-agent:one", anthropic_api_key=SecretStr("none"), servers={"anthropic": url}
        )
        models = Models(settings, enclosure=SandboxEnclosure(LocalSandbox()))
        await models.ask(Ask("Answer.", "Where?"))
        starts, wholes = list[float](), list[float]()
        for _ in range(QUESTIONS):
            begun = time.perf_counter()
            await models.ask(Ask("Answer.", "Where?"))
            wholes.append(time.perf_counter() - begun)
            starts.append(arrivals.times[-1] - begun)
        state.delay = HELD
        alone = await _holding(models, state, 1)
        among = await _holding(models, state, LIVE)
        await models.close()
    report(
        {
            "figure": "agent of the Claude Agent SDK",
            "start_s": round(statistics.median(starts), 2),
            "question_s": round(statistics.median(wholes), 2),
            "start_cpu_s": round(alone.cpu, 2),
            "memory_mb": round(alone.memory / MIB),
            f"memory_mb_of_{LIVE}": round(among.memory / MIB),
        }
    )


if __name__ == "__main__":
    asyncio.run(main())
