"""Who answers in place of a model that cannot, when their loops differ."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from omniforge.llm.budget import Account
from omniforge.llm.choice import ModelName
from omniforge.llm.protocol import (
    Answer,
    AnswerInvalid,
    AnswerRefused,
    Ask,
    AskLimits,
    ModelUnavailable,
    OmniForgeError,
    Usage,
)
from omniforge.llm.succession import first_answer, loops


def names(*texts: str) -> list[ModelName]:
    return [ModelName(*text.split(":")) for text in texts]


def test_neighbours_share_a_loop_and_every_agent_has_its_own() -> None:
    found = loops(names("openai:a", "local:b", "claude-agent:c", "claude-agent:d", "openai:e"))
    assert [[name.model for name in group] for group in found] == [["a", "b"], ["c"], ["d"], ["e"]]


class Failing:
    """Fails as it is told to, once for every loop; then answers."""

    def __init__(self, *errors: OmniForgeError, tools: Sequence[str] = ()) -> None:
        self.errors, self.tools = list(errors), tools
        self.asked: list[str] = []
        self.account = Account(AskLimits(seconds=60))

    async def ask(self, names: Sequence[ModelName], ask: Ask) -> Answer:
        self.asked.append(names[0].model)
        self.account.tools += self.tools
        assert ask.limits.seconds is not None
        assert 0 < ask.limits.seconds <= 60
        if self.errors:
            raise self.errors.pop(0)
        return Answer(None, "Here.", Usage(), str(names[0]))

    async def first(self, *models: str) -> Answer:
        ask = Ask("", "x", limits=self.account.limits)
        return await first_answer(ask, names(*models), self.account, self.ask)


async def test_the_next_loop_answers() -> None:
    failing = Failing(ModelUnavailable("down", retryable=True), AnswerRefused("no"))
    answer = await failing.first("claude-agent:a", "openai:b", "claude-agent:c")
    assert (answer.model, failing.asked) == ("claude-agent:c", ["a", "b", "c"])


async def test_nobody_takes_over_once_tools_were_called() -> None:
    failing = Failing(ModelUnavailable("down", retryable=True), tools=["send"])
    with pytest.raises(ModelUnavailable):
        await failing.first("claude-agent:a", "openai:b")
    assert failing.asked == ["a"]


async def test_an_answer_that_stays_wrong_is_not_asked_of_another() -> None:
    failing = Failing(AnswerInvalid("odd"))
    with pytest.raises(AnswerInvalid):
        await failing.first("claude-agent:a", "openai:b")
    assert failing.asked == ["a"]


async def test_when_nobody_answers_the_hopeful_error_is_told() -> None:
    errors = [ModelUnavailable("key", retryable=False), ModelUnavailable("busy", retryable=True)]
    with pytest.raises(ModelUnavailable, match="busy"):
        await Failing(*errors).first("claude-agent:a", "openai:b")
