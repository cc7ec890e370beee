"""Plans: what is refused and how it is said; hashes; waves; templates."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.core.errors import Invalid
from omniforge.engine.plan import OnError, Plan, Retry, Step, waves
from omniforge.engine.recovery.policy import Failure
from omniforge.engine.recovery.retry import retry
from omniforge.engine.templates import fill
from omniforge.engine.validation import validate_plan


def step(key: str, *needs: str, **more: Any) -> Step:
    return Step(key=key, kind="do", needs=needs, **more)


BAD: list[tuple[list[Step], str]] = [
    ([], "at least one step"),
    ([step("a"), step("a")], "keys are unique"),
    ([step("a", "ghost")], "names a step of this plan"),
    ([step("a", "a")], "a → a"),
    ([step("a", "c"), step("b", "a"), step("c", "b")], "no step waits for itself"),
    ([step("a b")], "letters, digits"),
    ([step("a", timeout=0)], "positive seconds"),
    ([step("a", timeout=-1.0)], "positive seconds"),
    ([step("a", retry=Retry(attempts=0))], "at least 1"),
    ([step("a"), step("b", "a", "a")], "each step once"),
    ([step("a"), step("b", inputs={"x": "${a.output}"})], "over before this one starts"),
    ([step("a", inputs={"deep": [{"x": "${ghost.output}"}]})], "over before this one starts"),
    ([step("a"), step("b", when="steps.a.output == 1")], "over before this one starts"),
    ([step("a", when="1 +")], "cannot be parsed"),
    ([step("a", when="secret == 1")], "only input and steps"),
    ([Step(key="a", kind="mystery")], "one of do"),
]


@pytest.mark.parametrize(("steps", "said"), BAD)
def test_a_plan_that_cannot_run_is_refused_with_the_reason(steps: list[Step], said: str) -> None:
    with pytest.raises(Invalid) as refused:
        validate_plan(Plan(tuple(steps)), ["do"])
    assert refused.value.code == "invalid_plan"
    assert any(said in field["rule"] for field in refused.value.details["fields"])


def test_every_mistake_is_listed_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        validate_plan(Plan((step("a", "ghost", timeout=0), step("a b"))), ["do"])
    assert len(refused.value.details["fields"]) == 3


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Acyclic plans: each step needs some of those before it."""
    size = draw(st.integers(1, 12))
    steps: list[Step] = []
    for index in range(size):
        needs = draw(st.lists(st.integers(0, index - 1), unique=True, max_size=4)) if index else []
        join = draw(st.sampled_from(["all", "any"]))
        on_error = draw(st.sampled_from(list(OnError)))
        steps.append(step(f"s{index}", *(f"s{n}" for n in needs), join=join, on_error=on_error))
    return Plan(tuple(draw(st.permutations(steps))))


@given(plans())
def test_waves_put_every_step_after_what_it_needs(plan: Plan) -> None:
    validate_plan(plan)
    wave_of = {key: number for number, wave in enumerate(waves(plan)) for key in wave}
    assert set(wave_of) == {s.key for s in plan.steps}
    assert all(wave_of[need] < wave_of[s.key] for s in plan.steps for need in s.needs)


@given(plans())
def test_a_plan_survives_json_with_the_same_hash(plan: Plan) -> None:
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert again.hash == plan.hash


@given(plans(), st.integers(0, 11), st.integers(0, 11))
def test_a_cycle_is_found_and_its_path_is_named(plan: Plan, a: int, b: int) -> None:
    first, second = plan.steps[a % len(plan.steps)], plan.steps[b % len(plan.steps)]
    looped = [
        step(s.key, *{*s.needs, *({second.key} if s is first else ()), *({first.key} if s is second else ())})
        for s in plan.steps
    ]
    with pytest.raises(Invalid) as refused:
        validate_plan(Plan(tuple(looped)))
    path = refused.value.details["fields"][0]["value"]
    needs = {s.key: s.needs for s in looped}
    assert path[0] == path[-1]
    assert all(
        later in needs[earlier] or earlier in needs[later] for earlier, later in itertools.pairwise(path)
    )


def test_a_whole_template_keeps_its_type_and_inside_text_becomes_text() -> None:
    seen = {"a": {"output": {"rows": [{"n": 1}], "none": None}, "status": "completed"}}
    assert fill("${a.output.rows}", {"input": {}, **seen}) == [{"n": 1}]
    assert fill("${a.output.rows.0.n}", {"input": {}, **seen}) == 1
    assert fill("n=${a.output.rows.0.n}, ${input.who}!", {"input": {"who": "Maya"}, **seen}) == "n=1, Maya!"
    assert fill({"x": ["${a.output.none}", "${a.output.missing.deep}"]}, seen) == {"x": [None, None]}
    assert fill("${a.output.rows} and ${nothing}", {"input": {}, **seen}) == '[{"n": 1}] and '


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_filling_any_text_never_fails_and_inserted_text_is_not_read_again(
    text: str, given_input: dict[str, str]
) -> None:
    fill(text, {"input": given_input})
    assert fill("${input.x}", {"input": {"x": "${input.y}", "y": "secret"}}) == "${input.y}"


@given(st.integers(1, 10), st.floats(0, 100))
def test_retries_stop_at_the_limit_and_never_undercut_a_named_time(attempts: int, named: float) -> None:
    failure = Failure("service_down", "down", True, retry_after=named)
    policy = Retry(attempts=attempts)
    waits = [retry(failure, n, policy, "seed") for n in range(1, attempts + 1)]
    assert waits[-1] is None
    assert all(wait is not None and wait.delay >= named for wait in waits[:-1])
    assert waits == [retry(failure, n, policy, "seed") for n in range(1, attempts + 1)]
