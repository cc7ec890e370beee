"""Agents written in Python: what they are made of, and what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge import Agent, SkillRef
from omniforge.agents.content import TriggerType
from omniforge.core.errors import Invalid, NotFound

EXAMPLES = Path(__file__).parents[2] / "examples"
EXPENSES = EXAMPLES / "skills" / "expense-check"


def fields_of(error: pytest.ExceptionInfo[Invalid]) -> list[str]:
    return [field["field"] for field in error.value.details["fields"]]


def test_a_mistake_tells_every_field_at_once() -> None:
    with pytest.raises(Invalid) as error:
        Agent(
            "x", skills=["one", SkillRef("two", order=1)], schedule="every monday", integrations=["nowhere"]
        )
    assert sorted(fields_of(error)) == ["integrations[0]", "schedule", "skills[1].order"]


def test_a_word_that_is_no_field_of_an_agent_is_a_mistake() -> None:
    with pytest.raises(Invalid) as error:
        Agent("x", skills=["one"], trigger="scheduled")
    assert fields_of(error) == ["trigger"]


def test_a_reference_with_mistakes_tells_all_of_them() -> None:
    with pytest.raises(Invalid) as error:
        SkillRef("Not A Name", timeout_seconds=0)
    assert "timeout_seconds" in fields_of(error)
    assert "name" in fields_of(error)


def test_skills_run_in_the_order_they_are_listed_in() -> None:
    agent = Agent("x", skills=["one", SkillRef("two"), SkillRef("three")])
    assert [(ref.name, ref.order) for ref in agent.content.skills] == [("one", 1), ("two", 2), ("three", 3)]


@pytest.mark.parametrize(
    ("given_", "kind"),
    [
        ({}, TriggerType.ON_DEMAND),
        ({"schedule": "0 8 * * MON"}, TriggerType.SCHEDULED),
        ({"schedule": "0 8 * * MON", "trigger_type": "scheduled"}, TriggerType.SCHEDULED),
    ],
)
def test_what_starts_it_follows_from_what_is_given(given_: dict[str, Any], kind: TriggerType) -> None:
    assert Agent("x", skills=["one"], **given_).content.trigger_type is kind


def test_its_services_are_those_whose_tools_its_skills_name() -> None:
    agent = Agent("x", skills=["slack-poster", SkillRef("notion-weekly-summary", source="public")])
    assert agent.content.integrations == ["notion", "slack"]
    assert Agent("x", skills=["slack-poster"], integrations=[]).content.integrations == []


def test_a_skill_by_its_folder_has_the_name_of_the_folder() -> None:
    assert SkillRef(path=EXPENSES).name == "expense-check"


async def test_a_folder_without_a_skill_is_told_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match=r"a skill is a folder with a SKILL\.md") as error:
        Agent("x", skills=[SkillRef(path=tmp_path / "empty")])
    assert error.value.details["path"] == str(tmp_path / "empty")


def test_a_file_holds_the_same_agent_again(tmp_path: Path) -> None:
    agent = Agent("weekly", skills=["slack-poster"], schedule="0 8 * * MON", timezone="Europe/Berlin")
    place = tmp_path / "weekly.json"
    place.write_text(json.dumps(agent.to_dict()))
    assert Agent.load(place).content == agent.content


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "x"}'])
def test_a_file_that_holds_no_agent_is_told_by_its_path(tmp_path: Path, text: str) -> None:
    place = tmp_path / "odd.json"
    place.write_text(text)
    with pytest.raises(Invalid, match=r"odd\.json"):
        Agent.load(place)


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)


@given(
    st.lists(NAMES, min_size=1, max_size=5, unique=True), st.dictionaries(NAMES, st.integers(), max_size=3)
)
def test_to_dict_is_the_agent(names: list[str], config: dict[str, int]) -> None:
    reserved = {"input", "config", "prev", "steps"}
    names = [f"{name}-skill" if name in reserved else name for name in names]
    agent = Agent("x", skills=[SkillRef(name, config={**config}) for name in names], integrations=[])
    assert Agent(**agent.to_dict()).content == agent.content
