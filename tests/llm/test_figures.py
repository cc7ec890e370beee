"""Prices, counted tokens and budgets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.core.errors import Invalid
from omniforge.llm.budget import Account
from omniforge.llm.choice import ModelName
from omniforge.llm.counting import Correction, count_tokens, most_tokens
from omniforge.llm.prices import Price, Prices
from omniforge.llm.protocol import AskLimits, BudgetExceeded


def test_ones_own_table_goes_before_the_library(tmp_path: Path) -> None:
    table = tmp_path / "prices.json"
    table.write_text(
        '{"date": "2026-01-31", "prices": {"local:*": {"input": 1, "output": 2},'
        ' "local:big": {"input": 3, "output": 4, "cached": 0.5}}}'
    )
    prices = Prices.load(table)
    small, big = prices.of(ModelName("local", "small")), prices.of(ModelName("local", "big"))
    assert small is not None
    assert big is not None
    assert small.of(1_000_000, 1_000_000) == 3
    assert big.of(2_000_000, 0, 1_000_000) == 3.5
    assert str(big.day) == "2026-01-31"


def test_an_unknown_price_is_none() -> None:
    assert Prices().of(ModelName("local", "small")) is None
    assert Prices().of(ModelName("anthropic", "no-such-model-of-theirs")) is None


@pytest.mark.parametrize(
    "content", ["[]", "date: x", "date: 2026-01-31\nprices: {a: {input: -1, output: 1}}"]
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    table = tmp_path / "prices.yaml"
    table.write_text(content)
    with pytest.raises(Invalid, match="prices"):
        Prices.load(table)


@given(st.lists(st.text(max_size=400), max_size=4))
def test_no_text_has_more_tokens_than_we_say_at_most(texts: list[str]) -> None:
    assert count_tokens(texts) <= most_tokens(texts) + 8


def test_the_services_own_count_corrects_ours() -> None:
    correction = Correction()
    assert correction.guarded("m", 1000) == 1250
    correction.learn("m", 1000, 1500)
    assert correction.guarded("m", 1000) == 1575
    correction.learn("m", 1000, 100_000)  # one odd answer moves it a bounded way
    assert correction.guarded("m", 1000) < 4200
    assert correction.guarded("another", 1000) == 1250


def test_one_unknown_price_makes_the_sum_unknown() -> None:
    account = Account(AskLimits())
    account.count(100, 10, 0, Price(1, 1))
    assert account.usage.cost_usd == pytest.approx(0.00011)
    account.count(100, 10, 0, None)
    assert account.usage.cost_usd is None


@given(st.integers(1, 5000), st.integers(1, 3000), st.integers(64, 2000))
def test_an_admitted_answer_never_exceeds_tokens_or_money(tokens: int, asked: int, most: int) -> None:
    price = Price(10, 30)
    account = Account(AskLimits(tokens=tokens, cost_usd=0.05))
    try:
        output = account.output_for(asked, price, most)
    except BudgetExceeded:
        return
    assert 64 <= output <= most
    assert asked + output <= tokens
    assert price.of(asked, output) <= 0.05 + 1e-9
