"""From agents to plans: what each field becomes, and that the same agent is always the same plan."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.agents.content import AgentContent, Snapshot
from omniforge.agents.planner import plan_for_agent
from omniforge.agents.rules import examine
from omniforge.engine.plan import OnError, Plan, Retry, waves
from omniforge.engine.validation import validate_plan


def snapshot(*skills: dict[str, Any], **content: Any) -> Snapshot:
    made = AgentContent.model_validate({"skills": list(skills), **content})
    return Snapshot(content=made, skill_hashes={ref.key: f"hash-of-{ref.name}" for ref in made.skills})


def steps(*skills: dict[str, Any], **content: Any) -> dict[str, Any]:
    return {step.key: step for step in plan_for_agent(snapshot(*skills, **content)).steps}


def skill(name: str, order: int, **more: Any) -> dict[str, Any]:
    return {"name": name, "order": order, **more}


def test_without_needs_each_skill_needs_the_one_of_the_next_lower_order() -> None:
    made = steps(skill("c", 30), skill("a", 1), skill("b", 7))
    assert {key: step.needs for key, step in made.items()} == {"a": (), "b": ("a",), "c": ("b",)}
    assert all(step.join == "any" for step in made.values())


def test_given_needs_are_taken_in_ascending_order_and_none_starts_at_once() -> None:
    made = steps(
        skill("one", 1), skill("two", 2, needs=[]), skill("both", 3, needs=["two", "one"], when="input.x")
    )
    assert made["two"].needs == ()
    assert made["both"].needs == ("one", "two")
    assert made["both"].when == "input.x"


def test_a_step_carries_its_skill_config_grant_and_its_own_part_of_the_manifest() -> None:
    manifest = [
        {"step": "read", "tool": "notion.create_page", "destination": {"resource": "d1"}, "cap": 1},
        {"step": "post", "tool": "slack.post_message", "destination": {"resource": "#a"}, "cap": 1},
        {"step": None, "tool": "Inbox", "destination": {"name": "your inbox here"}, "cap": 1},
    ]
    plan = plan_for_agent(
        snapshot(skill("read", 1, config={"days": 7}), skill("post", 2), integrations=["slack", "notion"]),
        manifest,
    )
    assert plan.steps[0].kind == "skill"
    assert plan.steps[0].args == {
        "skill": "read",
        "hash": "hash-of-read",
        "config": {"days": 7},
        "tool_grant": ["notion.*", "slack.*"],
        "manifest": [manifest[0]],
    }
    assert plan.steps[1].args["manifest"] == [manifest[1]]
    assert plan.effects_expected


def test_a_report_in_the_inbox_is_no_effect_outside() -> None:
    only_inbox: list[dict[str, Any]] = [{"step": None, "tool": "Inbox", "destination": {}, "cap": 1}]
    assert not plan_for_agent(snapshot(skill("read", 1)), only_inbox).effects_expected


@pytest.mark.parametrize(
    ("fields", "on_error", "attempts"),
    [
        ({}, OnError.STOP, 1),
        ({"error_strategy": "skip", "max_retries": 5}, OnError.SKIP, 1),
        ({"error_strategy": "retry"}, OnError.STOP, 4),
        ({"error_strategy": "retry", "max_retries": 0}, OnError.STOP, 1),
    ],
)
def test_strategies_become_retries_and_what_follows_a_failure(
    fields: dict[str, Any], on_error: OnError, attempts: int
) -> None:
    step = steps(skill("a", 1, timeout_seconds=40, **fields))["a"]
    assert (step.on_error, step.retry, step.timeout) == (on_error, Retry(attempts=attempts), 40.0)


def test_config_is_filled_into_inputs_with_its_type_and_other_references_stay() -> None:
    inputs = {
        "days": "${config.window.days}",
        "text": "last ${config.window.days} days of ${input.who}",
        "list": ["${config.absent}", "${read.output.rows}"],
    }
    config = {"window": {"days": 7}}
    step = steps(skill("read", 1), skill("post", 2, inputs=inputs, config=config))["post"]
    assert step.inputs == {
        "days": 7,
        "text": "last 7 days of ${input.who}",
        "list": [None, "${read.output.rows}"],
    }


def test_a_skill_can_be_used_twice_under_keys_of_its_own() -> None:
    made = steps(skill("post", 1, key="team"), skill("post", 2, key="boss"))
    assert {key: step.args["skill"] for key, step in made.items()} == {"team": "post", "boss": "post"}


@st.composite
def agents(draw: st.DrawFn) -> dict[str, Any]:
    """Valid agents: needs name skills of lower order only."""
    count = draw(st.integers(1, 6))
    orders = draw(st.lists(st.integers(1, 50), min_size=count, max_size=count, unique=True).map(sorted))
    made: list[dict[str, Any]] = []
    for index, order in enumerate(orders):
        fields: dict[str, Any] = {}
        if draw(st.booleans()):
            fields["needs"] = (
                draw(st.lists(st.sampled_from([f"s{i}" for i in range(index)]), unique=True)) if index else []
            )
        if fields.get("needs"):
            fields["inputs"] = {"x": f"${{{fields['needs'][0]}.output.y}}"}
        fields["error_strategy"] = draw(st.sampled_from(["stop", "skip", "retry"]))
        fields["config"] = draw(st.dictionaries(st.text(max_size=3), st.integers(), max_size=2))
        made.append(skill(f"s{index}", order, **fields))
    return {"name": "A", "skills": draw(st.permutations(made))}


@given(agents())
def test_every_valid_agent_gives_a_valid_plan_and_equal_agents_the_same(agent: dict[str, Any]) -> None:
    draft, problems = examine(agent, {})
    assert problems == []
    assert draft is not None
    hashes = {ref.key: ref.name for ref in draft.skills}
    plan = plan_for_agent(Snapshot(content=draft.content(), skill_hashes=hashes))
    validate_plan(plan)
    assert sum(len(wave) for wave in waves(plan)) == len(draft.skills)
    turned = draft.model_copy(update={"skills": draft.skills[::-1], "name": "Another name"})
    again = plan_for_agent(Snapshot(content=turned.content(), skill_hashes=dict(reversed(hashes.items()))))
    assert again.hash == plan.hash
    assert Plan.from_json(plan.to_json()).hash == plan.hash
