"""One question from its first call to its answer. pydantic-ai's agent is the loop; this sets it up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from pydantic_ai import Agent, ModelRetry, StructuredDict
from pydantic_ai.capabilities import ModelFallback
from pydantic_ai.exceptions import AgentRunError, ContentFilterError, FallbackExceptionGroup, ModelAPIError
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import UsageLimits

from omniforge.llm.budget import Account
from omniforge.llm.mending import check_schema, fitted
from omniforge.llm.protocol import Answer, Ask, Json
from omniforge.llm.served import ServedModel
from omniforge.llm.tools import OfferedTools
from omniforge.llm.translation import translated

NO_LIMITS = UsageLimits(request_limit=None)
"""Ours are looked at before a call, theirs after it."""
WRONG = "The answer is not as asked for. Correct this and give the whole answer again:\n"


async def answer(
    ask: Ask, models: Sequence[ServedModel], account: Account, simulated: frozenset[str]
) -> Answer:
    """The answer of the first model that gives one. `simulated` are the names of scripted ones."""
    deadline = asyncio.timeout(ask.limits.seconds)
    try:
        async with deadline:
            result = await _run(ask, models, account)
    except (AgentRunError, FallbackExceptionGroup) as error:
        ours = translated(error, str(models[0].name), account.so_far)
        if ours is None:
            raise
        raise ours from None
    except TimeoutError:
        if not deadline.expired():
            raise
        raise account.out_of_time() from None
    name = result.response.model_id or str(models[0].name)
    value = cast("Json", result.output) if ask.schema is not None else None
    return Answer(
        value=value,
        text="" if ask.schema is not None else str(result.output),
        usage=account.usage,
        model=name,
        simulated=name in simulated,
        repaired=account.repaired,
        cut_short=account.cut_short,
    )


async def _run(ask: Ask, models: Sequence[ServedModel], account: Account) -> Any:
    first, *others = models
    offered = OfferedTools(tuple(ask.tools), ask.on_event, ask.limits.iterations)
    agent: Agent[object, Any] = Agent(
        first,
        output_type=_output_type(ask),
        instructions=ask.instructions,
        retries={"output": ask.retries, "tools": ask.limits.iterations},
        tools=offered.tools(),
        capabilities=[ModelFallback(*others, fallback_on=(ModelAPIError, ContentFilterError), sticky=True)]
        if others
        else [],
    )
    if ask.schema is not None:
        agent.output_validator(_checks(ask, ask.schema))
    settings: ModelSettings = {} if ask.temperature is None else {"temperature": ask.temperature}
    return await agent.run(ask.prompt, model_settings=settings, usage_limits=NO_LIMITS)


def _output_type(ask: Ask) -> Any:
    if ask.schema is None:
        return str
    check_schema(ask.schema)
    return StructuredDict(ask.schema, name="answer", description="The answer, in the shape asked for.")


def _checks(ask: Ask, schema: Json) -> Any:
    def check(value: Json) -> Json:
        fitting, problems = fitted(value, schema)
        if not problems and ask.check is not None:
            problems = list(ask.check(fitting))
        if problems:
            raise ModelRetry(WRONG + "\n".join(f"- {problem}" for problem in problems))
        return fitting

    return check
