"""What one question was granted and has used: looked at before every call, filled after it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from omniforge.llm.prices import Price
from omniforge.llm.protocol import AskLimits, BudgetExceeded, Usage

LEAST_OUTPUT = 64
"""Tokens below which no answer is worth asking for."""
LONGEST_WORDS = 2000


@dataclass(slots=True)
class Account:
    """The figures of one question. `cost` is None as soon as one call had no known price."""

    limits: AskLimits
    iterations: int = 0
    requests: int = 0
    tool_calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    cost: float | None = 0.0
    estimated: bool = False
    repaired: bool = False
    cut_short: bool = False
    words: str = ""
    tools: list[str] = field(default_factory=list[str])

    @property
    def usage(self) -> Usage:
        return Usage(
            self.requests,
            self.tool_calls,
            self.tokens_in,
            self.tokens_out,
            self.tokens_cached,
            None if self.cost is None else round(self.cost, 9),
            self.estimated,
        )

    @property
    def so_far(self) -> dict[str, Any]:
        """For the details of an error: what was spent and done."""
        return {
            "usage": asdict(self.usage),
            "text": self.words[-LONGEST_WORDS:],
            "tools": list(self.tools),
        }

    def start_iteration(self) -> None:
        """One more turn of the model, unless it is one too many."""
        if self.iterations >= self.limits.iterations:
            raise self._exceeded("iterations", self.limits.iterations, "turns")
        self.iterations += 1

    @property
    def tokens_left(self) -> int | None:
        if self.limits.tokens is None:
            return None
        return self.limits.tokens - self.tokens_in - self.tokens_out

    def output_for(self, tokens_in: int, price: Price | None, most: int) -> int:
        """How long the answer to a question of so many tokens may be; BudgetExceeded without room."""
        output = most
        if self.tokens_left is not None:
            output = min(output, self.tokens_left - tokens_in)
            if output < min(LEAST_OUTPUT, most):
                raise self._exceeded("tokens", self.limits.tokens, "tokens")
        if self.limits.cost_usd is not None and price is not None:
            left = self.limits.cost_usd - (self.cost or 0.0) - price.of(tokens_in, 0)
            if price.tokens_out > 0:
                output = min(output, int(left / price.of(0, 1)))
            if left < 0 or output < min(LEAST_OUTPUT, most):
                raise self._exceeded("cost_usd", self.limits.cost_usd, "US dollars")
        return output

    def count(self, tokens_in: int, tokens_out: int, tokens_cached: int, price: Price | None) -> None:
        """One call's figures."""
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out
        self.tokens_cached += tokens_cached
        if price is None or self.cost is None:
            self.cost = None if tokens_in + tokens_out else self.cost
        else:
            self.cost += price.of(tokens_in, tokens_out, tokens_cached)

    def use_tools(self, names: list[str]) -> None:
        """The calls of one answer: all of them, or none when they would be too many."""
        granted = self.limits.tool_calls
        if granted is not None and self.tool_calls + len(names) > granted:
            raise self._exceeded("tool_calls", granted, "tool calls")
        self.tool_calls += len(names)
        self.tools += names

    def out_of_time(self) -> BudgetExceeded:
        return self._exceeded("seconds", self.limits.seconds, "seconds")

    def _exceeded(self, limit: str, granted: float | None, unit: str) -> BudgetExceeded:
        return BudgetExceeded(
            f"The limit of {granted:,g} {unit} for this question is used up.",
            limit=limit,
            granted=granted,
            **self.so_far,
        )
