"""Any plan means to the engine what it means to a tiny interpreter: joins, conditions, lists, failures."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omniforge.engine.plan import OnError, Plan, Step
from omniforge.simulation.database import InlineDatabase
from omniforge.simulation.faults import Faults
from omniforge.simulation.plans import random_plan
from omniforge.simulation.reference import interpret
from omniforge.simulation.scenario import open_house, simulate


@pytest.fixture(scope="module")
def house() -> Iterator[InlineDatabase]:
    with open_house() as db:
        yield db


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    return random_plan(random.Random(draw(st.integers(0, 2**32))))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=plans(), seed=st.integers(0, 2**32))
def test_the_engine_means_what_the_interpreter_says(house: InlineDatabase, plan: Plan, seed: int) -> None:
    """Without faults; the simulation compares status and output of every step with the interpreter's."""
    outcome = simulate(seed, house, lambda rng: plan, Faults(random.Random(seed), calm=True), verbs=False)
    assert outcome.problems == (), outcome.trace.shown()


def _do(key: str, *needs: str, end: str = "ok", **more: object) -> Step:
    args: dict[str, object] = {"transient": [], "end": end, "n": 2}
    return Step(key, "do", args, needs=needs, **more)  # pyright: ignore[reportArgumentType]


def test_the_interpreter_itself_says_what_the_rules_say() -> None:
    """Skipped needs count as over; a join of any or of a number wants completed ones; failures stop it."""
    plan = Plan(
        (
            _do("a"),
            _do("no", "a", when="input.n > 5"),
            _do("follows", "no"),
            _do("cut", "no", join="any"),
            _do("one", "a", "no", join=1),
            _do("two", "a", "no", join=2),
            _do("excused", end="fatal", on_error=OnError.SKIP),
            _do("each", for_each="input.rows", inputs={"item": "${item}"}),
            _do("fails", "a", end="fatal"),
            _do("never", "fails"),
        )
    )
    meaning = interpret(plan, {"n": 1, "rows": [5, 6]})
    assert meaning.status == {
        "a": "completed",
        "no": "skipped",
        "follows": "completed",
        "cut": "skipped",
        "one": "completed",
        "two": "skipped",
        "excused": "skipped",
        "each[0]": "completed",
        "each[1]": "completed",
        "each": "completed",
        "fails": "failed",
        "never": "not_reached",
    }
    assert [row["seen"]["item"] for row in meaning.output["each"]] == [5, 6]
