"""Calls of one model for one question, whoever makes them: room before a call, tries, figures after it."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from pydantic_ai.exceptions import ModelAPIError

from omniforge.llm.budget import Account
from omniforge.llm.choice import ModelName
from omniforge.llm.counting import Correction, count_tokens, most_tokens
from omniforge.llm.prices import Price, Prices
from omniforge.llm.protocol import AskEvent, AskEventKind
from omniforge.llm.translation import is_retryable, waits

T = TypeVar("T")
Tell = Callable[[AskEvent], Awaitable[None]]
FIRST_WAIT = 0.5
"""Seconds before the second try when the service named no time; doubled for each further one."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How calls are made; the same for every question of an installation."""

    attempts: int
    longest_wait: float
    max_output: int
    correction: Correction
    prices: Prices
    sleep: Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Spoken:
    """Tokens of one call as the service told them, else zero. `tokens_in` includes the cached ones."""

    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0


class Length:
    """How long a question is. Counted once, and only when somebody wants to know."""

    def __init__(self, texts: Callable[[], Sequence[str]]) -> None:
        self._write = texts

    @cached_property
    def texts(self) -> Sequence[str]:
        return self._write()

    @cached_property
    def most(self) -> int:
        return most_tokens(self.texts)

    @cached_property
    def count(self) -> int:
        return count_tokens(self.texts)

    @property
    def is_counted(self) -> bool:
        return "count" in self.__dict__


@dataclass(slots=True)
class Calling:
    """One model before one question. `told`: words of the answer under way have been passed on."""

    name: ModelName
    terms: Terms
    account: Account
    tell: Tell | None
    told: bool = False
    price: Price | None = field(init=False)

    def __post_init__(self) -> None:
        self.price = self.terms.prices.of(self.name)

    def room_for(self, length: Length) -> int:
        """The longest answer the budget has room for, in tokens; BudgetExceeded without room."""
        account, most = self.account, self.terms.max_output
        if account.limits.output is not None:
            most = min(most, account.limits.output)
        expected = length.most
        left = account.tokens_left
        binds = left is not None and expected + most > left
        if binds or (account.limits.cost_usd is not None and self.price is not None):
            expected = self.terms.correction.guarded(str(self.name), length.count)
        return account.output_for(expected, self.price, most)

    async def tried(self, once: Callable[[], Awaitable[T]]) -> T:
        """What a call gives, after as many tries as there may be; the last one's ModelAPIError."""
        for attempt in range(1, self.terms.attempts + 1):
            try:
                return await once()
            except ModelAPIError as error:
                error.__dict__["asked"] = str(self.name)
                await self._wait(error, attempt)
        raise AssertionError("the last try returns or raises")

    async def pass_on(self, kind: AskEventKind, text: str) -> None:
        """New words of the answer under way."""
        if text and self.tell is not None:
            self.told = True
            await self.tell(AskEvent(kind, text))

    def count(
        self, length: Length, spoken: Spoken, said: Callable[[], Sequence[str]], *, whole: bool
    ) -> None:
        """The service's figures; ours where it told none. `whole`: the answer came to its end."""
        tokens_in, tokens_out = spoken.tokens_in, spoken.tokens_out
        name = str(self.name)
        if tokens_in and whole and length.is_counted:
            self.terms.correction.learn(name, length.count, tokens_in)
        if not tokens_in:
            self.account.estimated = True
            tokens_in = self.terms.correction.guarded(name, length.count)
        if not tokens_out:
            self.account.estimated = True
            tokens_out = count_tokens(said())
        self.account.count(tokens_in, tokens_out, spoken.tokens_cached, self.price)

    async def _wait(self, error: ModelAPIError, attempt: int) -> None:
        """Until the next try; raises the error when there is to be none."""
        wanted = waits(error)
        jitter = random.uniform(0.5, 1.0)  # noqa: S311 - spreads tries, guards nothing
        pause = FIRST_WAIT * 2 ** (attempt - 1) * jitter if wanted is None else wanted
        if attempt == self.terms.attempts or not is_retryable(error) or pause > self.terms.longest_wait:
            self.account.iterations -= 1  # a fallback's answer is the same turn
            raise error
        if self.told and self.tell is not None:
            self.told = False
            await self.tell(AskEvent(AskEventKind.STARTED_OVER))
        await self.terms.sleep(pause)
