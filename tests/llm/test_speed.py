"""What a model costs those who ask none, and those who ask many at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from model_server import RunningModels
from model_stage import NAMES, ModelStage

HEAVY = {"pydantic_ai", "anthropic", "openai", "tiktoken", "genai_prices", "httpx2", "json_repair"}


@pytest.mark.parametrize(
    "module", ["omniforge", "omniforge.cli.main", "omniforge.llm.client", "omniforge.bootstrap"]
)
def test_without_a_question_no_vendors_code_is_loaded(module: str) -> None:
    code = f"import sys, {module}\nprint(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
async def test_many_questions_wait_side_by_side(models: RunningModels, provider: str) -> None:
    """All of them arrive while not one is answered."""
    state = models.say({"text": "Late.", "fault": "slow", "seconds": 600, "times": 0})
    stage = ModelStage.over(models, NAMES[provider])
    asked = [asyncio.create_task(stage.ask()) for _ in range(100)]
    while len(state.requests) < 100 and not any(one.done() for one in asked):
        await asyncio.sleep(0.02)
    arrived, answered = len(state.requests), sum(one.done() for one in asked)
    for one in asked:
        one.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    await stage.client.close()
    assert (arrived, answered) == (100, 0)


async def test_a_redirect_takes_no_key_along(models: RunningModels) -> None:
    stage = ModelStage.over(models, NAMES["local"])
    seen: list[bytes] = []

    async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(2000))
        writer.write(b"HTTP/1.1 307 Moved\r\nLocation: " + models.url.encode() + b"/v1/chat/completions\r\n")
        writer.write(b"Content-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(elsewhere, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    stage.client.settings.servers["local"] = f"http://127.0.0.1:{port}/v1"
    state = models.say({"text": "x"})
    with pytest.raises(Exception, match="service"):
        await stage.ask()
    assert seen
    assert state.requests == []
    server.close()
    await stage.client.close()
