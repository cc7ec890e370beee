"""Who answers when the model that was meant cannot, and the next one has another loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import groupby

from omniforge.llm.budget import Account
from omniforge.llm.choice import ModelName
from omniforge.llm.protocol import Answer, AnswerRefused, Ask, ContextTooLong, ModelUnavailable
from omniforge.llm.providers import AGENT

AskThem = Callable[[Sequence[ModelName], Ask], Awaitable[Answer]]
GIVES_WAY = (ModelUnavailable, AnswerRefused, ContextTooLong)


def loops(names: Sequence[ModelName]) -> list[list[ModelName]]:
    """The models in their order, by loop: neighbours share ours, an agent has one of its own."""
    numbered = groupby(enumerate(names), key=lambda one: one[0] if one[1].provider == AGENT else -1)
    return [[name for _, name in group] for _, group in numbered]


async def first_answer(ask: Ask, names: Sequence[ModelName], account: Account, ask_them: AskThem) -> Answer:
    """The answer of the first loop that gives one, all within the time of the question.

    Once tools were called nobody takes over: another loop would begin again and do the same things twice.
    """
    clock, given = asyncio.get_running_loop().time, ask.limits.seconds
    until = None if given is None else clock() + given
    failed: list[ModelUnavailable | AnswerRefused | ContextTooLong] = []
    for group in loops(names):
        left = ask
        if until is not None and failed:
            left = replace(ask, limits=replace(ask.limits, seconds=max(until - clock(), 0.0)))
        try:
            return await ask_them(group, left)
        except GIVES_WAY as error:
            failed.append(error)
            if account.tools:
                break
    hopeful = [error for error in failed if getattr(error, "retryable", False)]
    raise (hopeful or failed)[0]
