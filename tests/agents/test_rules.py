"""Which agents are refused, with every mistake named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.agents.rules import check_draft, examine
from omniforge.core.errors import Invalid

KNOWN = {"notion": None, "slack": None}


def mistakes(**fields: Any) -> dict[str, str]:
    agent = {"name": "A", "skills": [{"name": "read", "order": 1}], **fields}
    return {item["field"]: item["rule"] for item in examine(agent, KNOWN)[1]}


def two(**second: Any) -> list[dict[str, Any]]:
    return [{"name": "read", "order": 1}, {"name": "post", "order": 2, **second}]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"skills": []}, "skills"),
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"description": "x" * 1025}, "description"),
        ({"id": "Has Space"}, "id"),
        ({"colour": "red"}, "colour"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../etc/passwd"}, "timezone"),
        ({"timezone": "Europe"}, "timezone"),
        ({"trigger_type": "scheduled"}, "schedule"),
        ({"schedule": "0 9 * * MON"}, "schedule"),
        ({"trigger_type": "event_driven"}, "event_config"),
        ({"misfire_policy": "sometimes"}, "misfire_policy"),
        ({"integrations": ["notion", "fax"]}, "integrations[1]"),
        ({"settings": {"on_unlisted_effect": "send"}}, "settings.on_unlisted_effect"),
        ({"skills": two(order=1)}, "skills[1].order"),
        ({"skills": two(order=0)}, "skills[1].order"),
        ({"skills": two(name="Read It")}, "skills[1].name"),
        ({"skills": two(key="read")}, "skills[1].key"),
        ({"skills": two(key="input")}, "skills[1].key"),
        ({"skills": two(source="web")}, "skills[1].source"),
        ({"skills": two(version="1.0")}, "skills[1].version"),
        ({"skills": two(needs=["nobody"])}, "skills[1].needs"),
        ({"skills": two(needs=["post"])}, "skills"),
        ({"skills": two(inputs={"x": "${later.output}"})}, "skills[1].inputs"),
        ({"skills": two(when="steps.read.output.x >")}, "skills[1].when"),
        ({"skills": two(when="steps['nobody'].output.x")}, "skills[1].when"),
        ({"skills": two(when="other == 1")}, "skills[1].when"),
        ({"skills": two(when="x" * 1001)}, "skills[1].when"),
        ({"skills": two(error_strategy="hope")}, "skills[1].error_strategy"),
        ({"skills": two(max_retries=11)}, "skills[1].max_retries"),
        ({"skills": two(timeout_seconds=0)}, "skills[1].timeout_seconds"),
        ({"skills": two(timeout_seconds=3601)}, "skills[1].timeout_seconds"),
    ],
)
def test_a_mistake_is_named_by_its_field(fields: dict[str, Any], named: str) -> None:
    assert list(mistakes(**fields)) == [named]


@pytest.mark.parametrize(
    "cron",
    ["0 9 * *", "0 0 9 * * MON", "@daily", "@every 5m", "60 9 * * *", "0 24 * * *", "0 9 * * FUN",
     "0 9 30 2 *", "0 9 L * *", "0 9 * * MON#2", "*/0 * * * *", "0 9 * * 8", "", "a b c d e", "0 9 5-2 * *"],
)  # fmt: skip
def test_what_is_no_schedule_is_refused_with_an_example(cron: str) -> None:
    found = mistakes(trigger_type="scheduled", schedule=cron)
    assert list(found) == ["schedule"]


@pytest.mark.parametrize(
    "cron",
    ["30 8 * * MON", "0 9 * * mon-fri", "*/15 * * * *", "0 9,16 1,15 * *", "0 9 * JAN-MAR 0,7", "0 9 29 2 *"],
)
def test_schedules_of_five_fields_pass(cron: str) -> None:
    assert mistakes(trigger_type="scheduled", schedule=cron) == {}


def test_the_cycle_is_shown() -> None:
    skills = [
        {"name": "a", "order": 1, "needs": ["c"]},
        {"name": "b", "order": 2, "needs": ["a"]},
        {"name": "c", "order": 3, "needs": ["b"]},
    ]
    assert "→" in mistakes(skills=skills)["skills"]


def test_fields_are_told_by_the_place_they_were_given_at() -> None:
    skills = [{"name": "b", "order": 2, "needs": ["nobody"]}, {"name": "a", "order": 1}]
    assert list(mistakes(skills=skills)) == ["skills[0].needs"]


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        check_draft(
            {
                "name": "A",
                "colour": "red",
                "timezone": "Mars",
                "trigger_type": "scheduled",
                "integrations": ["fax"],
                "skills": [
                    {"name": "read", "order": 1, "timeout_seconds": "soon"},
                    {"name": "post", "order": 1},
                ],
            },
            KNOWN,
        )
    assert {item["field"] for item in refused.value.details["fields"]} == {
        "colour",
        "timezone",
        "schedule",
        "integrations[0]",
        "skills[0].timeout_seconds",
        "skills[1].order",
    }


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["id", "name", "skills", "schedule", "timezone", "trigger_type", "integrations", "settings"]


@given(st.dictionaries(st.sampled_from(FIELDS), json))
def test_whatever_is_sent_is_answered_with_mistakes_or_an_agent(given_: dict[str, Any]) -> None:
    draft, problems = examine(given_, KNOWN)
    assert draft is not None or problems
