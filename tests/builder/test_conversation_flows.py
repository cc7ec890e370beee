"""Agents of several steps, several services, events and documents, as conversations without any service."""

# ruff: noqa: E501 - what people say stands on one line

from __future__ import annotations

import pytest
from tests.builder.world import INTEGRATIONS, World

from omniforge.builder.exchange import (
    Activate,
    AgentSeen,
    Connection,
    CreateAgent,
    RunAgent,
    RunTest,
    SkillSeen,
)
from omniforge.builder.inputs import read_example
from omniforge.builder.outline import Brief, Content, Extract, Outline, Part, Post
from omniforge.builder.phases import Phase
from omniforge.builder.state import Pending
from omniforge.builder.vocabulary import forbidden_words

TWO = (
    "A weekly report from our Notion projects every Monday at 9, and post a summary to #team-updates in Slack"
)
INSURANCE = (
    "Extract insurance_provider, patient_name and policy_number from the form. If the insurance_provider is "
    "UnitedHealthcare fill the UnitedHealthcare form, if it is Aetna fill the Aetna form, if it is Blue Cross fill the "
    "Blue Cross form. Then check the quality: flag incomplete forms and unknown providers."
)


def wide() -> World:
    """A world with every service."""
    world = World()
    world.integrations = INTEGRATIONS
    return world


def talk(world: World, *messages: str) -> str:
    text = ""
    for message in messages:
        world.arrived = message == "Done!"
        text = world.say(message).text
    return text


def test_each_service_is_connected_after_the_other_and_places_are_resolved() -> None:
    world = wide()
    assert "First Notion must be connected" in talk(world, TWO)
    assert "For that, Slack must be connected" in talk(world, "yes", "Done!")
    assert "Which of them in" in talk(world, "yes", "Done!")
    text = talk(world, "the first two", "status and owner, bullets")
    post = next(part.does for part in world.state.design.parts if isinstance(part.does, Post))
    assert post.place is not None
    assert (post.place.id, post.content) == ("C1", Content.SUMMARY)
    assert "2. Post a message to #team-updates in Slack" in text
    assert world.asked_for(CreateAgent) == 0
    talk(world, "yes")
    assert world.draft is not None
    assert world.draft.integrations == ("notion", "slack")
    assert [skill["needs"] for skill in world.draft.skills] == [[], ["notion-weekly-report"]]


def test_the_last_test_before_switching_on_also_lets_services_fail() -> None:
    world = wide()
    talk(world, TWO, "yes", "Done!", "yes", "Done!", "the first two", "status, bullets", "yes", "yes")
    assert [r.full for r in world.requests if isinstance(r, RunTest)] == [False]
    talk(world, "looks good")
    assert [r.full for r in world.requests if isinstance(r, RunTest)] == [False, True]
    assert (world.state.phase, world.asked_for(Activate)) == (Phase.ACTIVATION, 0)


def test_an_event_starts_a_briefing_of_the_entry() -> None:
    world = wide()
    talk(world, "A briefing for each new entry in Client Projects", "yes", "Done!")
    assert world.state.outline.starts is not None
    assert world.state.outline.starts.place is not None
    assert world.state.outline.starts.place.name == "Client Projects"
    text = talk(world, "status and owner")
    assert "when a new entry appears in Client Projects (Notion)" in text
    brief = world.state.design.parts[0].does
    assert isinstance(brief, Brief)
    assert brief.include == ("Status", "Owner")
    assert "**A** a test on the latest entry" in talk(world, "yes")
    talk(world, "B")
    assert world.requests[-1] == RunTest("a1", "preview", places=world.requests[-1].places)  # type: ignore[union-attr]
    assert world.draft is not None
    assert world.draft.event_config == {
        "integration": "notion", "event": "row.created", "resource": "d1", "interval_minutes": 15, "mode": "poll",
    }  # fmt: skip


def test_a_flow_over_documents_asks_nothing_that_it_was_told() -> None:
    world = wide()
    text = talk(world, INSURANCE)
    assert world.state.pending is Pending.SUMMARY
    assert "only if the insurance provider is Aetna" in text
    assert "after 1, 2, 3 and 4" in text
    talk(world, "yes")
    talk(world, "test it on this:\nInsurance provider: Aetna\nPatient name: Ann")
    test = world.requests[-1]
    assert isinstance(test, RunTest)
    assert test.example == {"document": "Insurance provider: Aetna\nPatient name: Ann"}
    talk(world, "looks good", "yes")
    talk(world, 'run it on this: {"document": "Insurance provider: Cigna"}')
    assert world.requests[-1] == RunAgent("a1", {"document": "Insurance provider: Cigna"})


def test_a_public_skill_is_suggested_with_its_author_and_used_when_wanted() -> None:
    world = wide()
    world.library = (SkillSeen("slack-poster", "Slack Poster", "OmniForge", 12, "1.0.0"),)
    talk(world, TWO, "yes", "Done!", "yes")
    offered = talk(world, "Done!")
    assert "Slack Poster" in offered
    assert "by OmniForge, used by 12 agents" in offered
    talk(world, "A", "the first two", "status, bullets", "yes")
    assert world.draft is not None
    poster = world.draft.skills[1]
    assert (poster["name"], poster["source"], poster["version"]) == ("slack-poster", "public", "1.0.0")
    assert poster["config"] == {"channel": "#team-updates", "content": "summary"}
    assert set(world.draft.skill_files) == {"notion-weekly-report"}


def test_a_change_of_an_agent_that_exists_finds_it_or_asks_which() -> None:
    world = wide()
    world.connections = (Connection("c1", "notion", "Acme HQ"), Connection("c2", "slack", "Acme HQ"))
    talk(
        world,
        "Our weekly reports from Notion boards take hours every Monday",
        "the first two",
        "you choose",
        "yes",
    )
    assert world.draft is not None
    design = world.designs["a1"]
    fresh = wide()
    fresh.connections, fresh.designs = world.connections, {"a1": design, "a2": design}
    fresh.agents = (AgentSeen("a1", "Weekly Project Report", status="active"),)
    assert "does this now" in talk(fresh, "Also post a summary to Slack")
    assert fresh.state.draft_agent_id == "a1"
    assert "I'd take B" in talk(fresh, "#leads")
    talk(fresh, "C")
    assert fresh.draft is not None
    assert len(fresh.draft.skills) == 2
    both = wide()
    both.connections, both.designs = fresh.connections, fresh.designs
    both.agents = (*fresh.agents, AgentSeen("a2", "Weekly Sales Report", status="active"))
    assert "Which agent shall I change" in talk(both, "Also post a summary to Slack")
    talk(both, "the second one")
    assert both.state.draft_agent_id == "a2"


def test_one_build_at_a_time_and_the_first_is_put_aside_only_on_a_yes() -> None:
    world = wide()
    talk(world, TWO)
    before = world.state.design
    assert "one at a time" in talk(world, "create another report about sales from Notion")
    talk(world, "no")
    assert (world.state.design, world.state.pending) == (before, Pending.CONNECT)
    talk(world, "create another report about sales from Notion", "yes")
    assert [one.title for one in world.state.parked] == ["weekly report"]
    talk(world, "go on with the weekly report")
    assert world.state.design == before


def test_a_service_with_typed_data_is_never_asked_for_secrets_here() -> None:
    world = wide()
    text = talk(world, 'Send an e-mail with "Done" to team@example.com every Friday at 4pm')
    if world.state.pending is Pending.KEY:
        assert "secrets don't belong in a conversation" in text
        talk(world, "sample data")
        assert world.state.sample


def test_what_cannot_be_done_is_said() -> None:
    world = wide()
    assert "isn't possible here yet" in talk(world, "publish it to our customers")


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ('run it on this: {"document": "a: b"}', ("run", {"document": "a: b"})),
        ("test it with this:\nTotal: 90", ("test", {"document": "Total: 90"})),
        ("looks good", None),
        ("run it every Monday at 9:00", None),
    ],
)
def test_input_is_read_from_a_message(message: str, found: object) -> None:
    outline = Outline(parts=(Part(key="extract", does=Extract(fields=("total",))),))
    assert read_example(message, outline) == found


def test_the_words_check_knows_plurals_and_spares_what_people_wrote() -> None:
    assert forbidden_words("two webhooks and an API") == ["webhooks", "API"]
    assert forbidden_words("your entry 'API rollout'", ["API rollout"]) == []
