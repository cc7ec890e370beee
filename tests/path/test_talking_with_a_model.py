"""Conversations beside a language model: over HTTP, the model a local server that speaks a vendor's protocol."""

# ruff: noqa: E501 - what people say stands on one line

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.path.journeys import Person, town
from tests.path.test_journey_first_agent import FIRST

from model_server import RunningModels
from omniforge.core.config import ModelSettings
from omniforge.llm.scripts import Asked, FaultKind, Turn

Json = dict[str, Any]
Reader = Callable[[str], Json]

REPORT = {"operation": "report", "service": "notion", "object": "status"}
BODY = """# {title}

Tells in two sentences how the team feels.

## Prerequisites

- The messages of the step before.

## Steps

1. Read what the step before has found.
2. Judge the tone of it.
3. Answer in two sentences.

## Error handling

- Without any message, say that there was nothing to judge.
"""


@pytest.fixture(scope="module")
def models() -> Iterator[RunningModels]:
    server = RunningModels.start()
    yield server
    server.stop()


def settings_for(models: RunningModels) -> dict[str, Any]:
    return {"llm": ModelSettings(default="here:story", servers={"here": f"{models.url}/v1"})}


def said_in(asked: Asked) -> str:
    """The person's message, as it stands between its marks."""
    found = re.findall(r'<data origin="person" mark="(\w+)">\n(.*?)\n</data \1>', asked.text, re.DOTALL)
    return found[-1][1] if found else ""


def model(understands: Reader) -> Callable[[Asked], Turn]:
    """A model that reads messages by `understands`, translates by a mark, and writes the body of a skill."""

    def write(asked: Asked) -> Turn:
        if "You read one message of a person" in asked.text:
            return Turn(value=understands(said_in(asked)))
        if "Say the reply below in the language" in asked.text:
            reply = re.findall(
                r'<data origin="reply" mark="(\w+)">\n(.*?)\n</data \1>', asked.text, re.DOTALL
            )
            return Turn(value={"text": f"Auf Deutsch: {reply[-1][1]}"})
        if "You write the body of a skill" in asked.text:
            title = re.findall(r"a heading `# (.+?)`", asked.text)[-1]
            return Turn(value={"body": BODY.format(title=title)})
        return Turn(value={"output": {"text": "The tone is calm."}, "message": "Judged.", "status": "ok"})

    return write


def by_table(table: Json) -> Reader:
    return lambda said: table.get(said, {})


async def test_a_wish_in_german_is_understood_answered_in_german_and_confirmed_only_by_the_rules(
    tmp_path: Path, models: RunningModels
) -> None:
    table: Json = {
        "Ich hätte gern jeden Montag um acht einen Bericht aus Notion": {
            "language": "de",
            "english": "I would like a report from Notion every Monday at 8am",
            "clauses": [REPORT],
            "schedule": {"cron": "0 8 * * MON"},
        },
        "ja": {"language": "de", "english": "yes", "stance": "yes"},
    }
    models.write(model(by_table(table)))
    async with town(tmp_path / "home", "notion", **settings_for(models)) as anna:
        first = await anna.say("Ich hätte gern jeden Montag um acht einen Bericht aus Notion")
        assert first["text"].startswith("Auf Deutsch: ")
        assert "Notion" in first["text"]
        hedged = await anna.say("ja")
        assert hedged["oauth_url"] is None  # a model's yes connects nothing
        assert (await anna.say("Yes"))["oauth_url"]


async def test_the_first_journey_is_the_same_beside_a_model(tmp_path: Path, models: RunningModels) -> None:
    table: Json = {
        FIRST[0]: {"clauses": [REPORT | {"object": "reports"}]},
        FIRST[4]: {"schedule": {"cron": "30 8 * * MON"}, "details": ["fields: Status", "by Client"]},
        FIRST[5]: {"stance": "amend", "details": ["add the Owner"]},
        FIRST[8]: {"stance": "amend", "details": ["put At Risk first"]},
        **{said: {"stance": "yes"} for said in ("Yes", "Yes please", "Looks good")},
    }
    models.write(model(by_table(table)))
    async with town(tmp_path / "home", "notion", **settings_for(models)) as maya:
        await maya.talk(*FIRST)
        agent = await maya.ask("GET", "/agents/weekly-project-report")
        assert (agent["status"], agent["version"], agent["schedule"]) == ("active", 1, "30 8 * * MON")
        ran = await maya.say("Run my weekly report agent")
        assert "# Weekly Project Report" in ran["text"]


async def test_two_readings_of_a_time_become_a_question(tmp_path: Path, models: RunningModels) -> None:
    wish = "A report from Notion every Monday at 9"
    evening = {"schedule": {"cron": "0 21 * * MON"}}
    models.write(model(by_table({wish: {"clauses": [REPORT], **evening}})))
    async with town(tmp_path / "home", "notion", **settings_for(models)) as person:
        await person.talk(wish, "yes", "Done!")
        both = await person.say("the first two")
        assert "I'm not sure about the time: every Monday at 9:00 in the morning" in both["text"]
        assert "9:00 in the evening" in both["text"]
        details = await person.say("Yes")
        assert "**When**" not in details["text"]
        summary = await person.say("you choose")
        assert "every Monday at 9:00 in the morning" in summary["text"]
        assert summary["data"].get("draft_agent_id") is None


async def test_wishes_that_only_the_model_reads_are_shown_and_built_after_a_yes(
    tmp_path: Path, models: RunningModels
) -> None:
    wish = "Kindly furnish me with whatever has been going on at the boards"
    table: Json = {
        wish: {"clauses": [REPORT], "schedule": {"cron": "0 8 * * FRI"}},
        "what matters, the worrying ones at the top": {
            "stance": "amend",
            "details": ["fields: Status, Owner", "put At Risk first", "as a table"],
        },
    }
    models.write(model(by_table(table)))
    async with town(tmp_path / "home", "notion", **settings_for(models)) as person:
        await person.talk(wish, "yes", "Done!", "the first two")
        summary = await person.say("what matters, the worrying ones at the top")
        assert "At Risk" in summary["text"]
        assert "every Friday at 8:00" in summary["text"]
        assert (await person.ask("GET", "/agents"))["agents"] == []
        made = await person.say("Yes, create it")
        assert made["data"]["draft_agent_id"]


@pytest.mark.parametrize("fault", [FaultKind.GARBAGE, FaultKind.SERVER_ERROR, FaultKind.REFUSED])
async def test_a_model_that_fails_leaves_the_rules_in_the_same_turn_with_one_honest_word(
    tmp_path: Path, models: RunningModels, fault: FaultKind
) -> None:
    models.write(lambda _: Turn(fault=fault, text="{" if fault is FaultKind.GARBAGE else None))
    async with town(tmp_path / "home", "notion", **settings_for(models)) as person:
        first = await person.say("Our weekly reports from Notion boards take hours every Monday")
        assert "went on by fixed rules" in first["text"]
        assert "about 2 minutes" in first["text"]
        second = await person.say("Yes")
        assert second["oauth_url"]
        assert "fixed rules" not in second["text"]


async def test_without_a_model_another_language_is_told_once_that_only_english_is_understood(
    tmp_path: Path,
) -> None:
    async with town(tmp_path / "home", "notion") as person:
        first = await person.say("Ich möchte jeden Montag einen Bericht von Notion")
        assert "English only" in first["text"]
        again = await person.say("und das für jeden Tag, bitte")
        assert "English only" not in again["text"]


async def _judged(person: Person, wish: str) -> Json:
    await person.talk(wish, "yes", "Done!")
    for _ in range(8):
        last = person.replies[-1]
        if last["phase"] == "complete":
            break
        await person.say(last["actions"][0] if last["actions"] else "yes")
    return person.replies[-1]


async def test_judgement_is_written_as_instructions_tested_with_the_model_and_run(
    tmp_path: Path, models: RunningModels
) -> None:
    wish = "Every Friday at 4pm read the messages in #team-updates on Slack and judge the tone of them"
    clauses = [
        {"operation": "report", "service": "slack", "object": "messages", "place": "#team-updates"},
        {"operation": "follow", "object": "tone", "needs": [0], "words": "judge the tone of the messages"},
    ]
    models.write(model(by_table({wish: {"clauses": clauses}})))
    async with town(tmp_path / "home", "slack", **settings_for(models)) as person:
        end = await _judged(person, wish)
        assert end["phase"] == "complete", [reply["text"] for reply in person.replies]
        agent_id = end["data"]["draft_agent_id"]
        agent = await person.ask("GET", f"/agents/{agent_id}")
        assert agent["status"] == "active"
        judging = agent["skills"][-1]["name"]
        page = await person.ask("GET", f"/skills/{judging}", params={"scope": "agent", "agent_id": agent_id})
        assert "Tells in two sentences how the team feels" in page["content"]
        started = await person.ask("POST", f"/agents/{agent_id}/run", json={})
        run = await person.finished(started["execution_id"])
        assert run["status"] == "completed"
        assert "The tone is calm" in str(run["result"])
