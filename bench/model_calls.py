"""A question through our port beside the same through pydantic-ai alone. `python -m bench.model_calls`."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from pydantic_ai import Agent

from bench.timing import report
from omniforge.core.config import ModelSettings
from omniforge.llm.client import Models
from omniforge.llm.protocol import Ask
from omniforge.llm.providers.scripted import ScriptedModel
from omniforge.llm.scripts import Script, Turn

QUESTIONS = 100
ROUNDS = 5
SAID = Turn(text="Here.", usage={"in": 40, "out": 3}, times=0)


async def _ms(ask: Callable[[], Awaitable[object]]) -> float:
    begun = time.perf_counter()
    for _ in range(QUESTIONS):
        await ask()
    return (time.perf_counter() - begun) * 1000 / QUESTIONS


async def main() -> None:
    """Both sides in turns in one process, an agent made per question on either side."""
    models = Models(ModelSettings(default="scripted:one"), script=Script([SAID]))
    model = ScriptedModel("one", Script([SAID]))

    async def ours() -> object:
        return await models.ask(Ask("Answer.", "Where?"))

    async def alone() -> object:
        return await Agent(model, instructions="Answer.").run("Where?")

    await ours()
    await alone()
    found = [(await _ms(ours), await _ms(alone)) for _ in range(ROUNDS)]
    mine = statistics.median(mine for mine, _ in found)
    theirs = statistics.median(theirs for _, theirs in found)
    report(
        {
            "figure": "question to a model",
            "omniforge_ms": round(mine, 2),
            "pydantic_ai_ms": round(theirs, 2),
            "ratio": round(mine / theirs, 2),
        }
    )
    await models.close()


if __name__ == "__main__":
    asyncio.run(main())
