"""The first journey as a conversation, in several wordings, with everything people do on the way."""

# ruff: noqa: E501 - what people say stands on one line

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.builder.world import RESOURCES, URL, World

from omniforge.builder.conversation import begin, respond
from omniforge.builder.exchange import (
    Activate,
    AgentSeen,
    Connection,
    CreateAgent,
    Failed,
    ListResources,
    RewriteAgent,
    RunTest,
    StartSignIn,
)
from omniforge.builder.phases import TABLE, Phase, SessionStatus, Signal, next_phase
from omniforge.builder.state import ConversationState, Pending
from omniforge.builder.upkeep.exchange import StartRun

WISH = "Our weekly reports from Notion boards take hours every Monday"
DETAILS = "last week's updates, status, blockers, bullets by client, Monday morning before my 9:00 meeting"

STATIONS = [
    Pending.CONNECT, Pending.SIGN_IN, Pending.RESOURCES, Pending.DETAILS, Pending.SUMMARY, Pending.TEST,
    Pending.ACCEPT, Pending.ACTIVATE, Pending.NONE,
]  # fmt: skip


def at(pending: Pending) -> World:
    """A world whose conversation stands at this question of the journey."""
    world = World()
    steps = [WISH, "Yes", "Done!", "the first two", DETAILS, "Yes", "Yes please", "Looks good", "Yes"]
    for step, reached in zip(steps, STATIONS, strict=True):
        world.arrived = step == "Done!"
        world.say(step)
        assert world.state.pending is reached
        if reached is pending:
            return world
    raise AssertionError(pending)


def test_the_journey_word_for_word() -> None:
    world = World()
    first = world.say(WISH)
    assert (first.phase, world.slots.goal, world.slots.service) == (
        "discovery",
        "weekly report",
        "notion",
    )
    assert "about 2 minutes" in first.text
    assert first.actions

    sign_in = world.say("Yes")
    assert (sign_in.phase, sign_in.oauth_url, world.state.pending_oauth) == ("oauth_flow", URL, "notion")
    assert "Notion asks which pages to share" in sign_in.text

    early = world.say("Done!")
    assert early.phase == "oauth_flow"
    assert "Nothing has arrived" in early.text
    assert early.oauth_url == URL
    world.arrived = True
    connected = world.say("Done!")
    assert connected.phase == "requirements"
    assert "Acme HQ" in connected.text
    assert "Client Projects 42, Internal Initiatives 8, Archived 156" in connected.text

    asked = world.say("the first two")
    assert [s.id for s in world.slots.sources] == ["d1", "d2"]
    assert all(word in asked.text for word in ("information", "format", "When"))

    summary = world.say(DETAILS)
    assert "every Monday at 8:30 in the morning (Europe/Berlin)" in summary.text
    assert "30 minutes before 9:00" in summary.text
    assert "Monday, 23 November 2026 at 08:30" in summary.text
    slots = world.slots
    assert (slots.window, slots.group, slots.format) == ("last_week", "Client", "bullets")
    assert slots.fields == ("Latest Update", "Status", "Blockers")

    revised = world.say("Yes, but also the project owner")
    assert "Owner" in revised.text
    assert world.asked_for(CreateAgent) == 0

    created = world.say("Yes")
    assert created.phase == "testing"
    assert "Weekly Project Report" in created.text
    assert "last week's data" in created.text
    assert world.draft is not None
    assert (world.draft.schedule, world.draft.timezone, world.draft.trigger_type) == (
        "30 8 * * MON",
        "Europe/Berlin",
        "scheduled",
    )
    assert world.draft.integrations == ("notion",)
    assert [skill["name"] for skill in world.draft.skills] == ["notion-weekly-report"]

    tested = world.say("Yes please")
    assert "reads two Notion databases; writes nothing; puts the report in your inbox here" in tested.text
    assert "one JSON entry" in tested.text  # what a service wrote is shown as it is

    reordered = world.say("Put At Risk first")
    assert "At Risk first" in reordered.text
    assert [card["type"] for card in reordered.cards] == ["diff", "test_result"]
    assert world.asked_for(RunTest) == 2

    asked_to_switch_on = world.say("Looks good")
    assert asked_to_switch_on.phase == "activation"
    assert "Europe/Berlin" in asked_to_switch_on.text
    assert "writes nothing" in asked_to_switch_on.text
    assert world.asked_for(Activate) == 0

    active = world.say("Yes")
    assert active.phase == "complete"
    assert "Monday, 23 November 2026 at 08:30 (Europe/Berlin)" in active.text
    assert "inbox" in active.text
    assert "Run my weekly report agent" in active.text

    ran = world.say("Run my weekly report agent")
    assert "has run" in ran.text
    assert world.asked_for(StartRun) == 1


WORDINGS = [
    [
        "Every Friday I spend ages compiling a project status summary from Notion for my boss",
        "sure, go ahead",
        "I've connected it",
        "Client Projects plus the internal ones please",
        "Status, latest update and anything blocking - as bullet points, one section per client. Mondays at 8:30",
        "sounds good, but add the owner too",
        "ok, create it",
        "test it please",
        "can you show the at-risk ones at the top?",
        "perfect",
        "yes, switch it on",
    ],
    [
        "hey, could you do a weekly summary of what's going on in our Notion databases?",
        "yep",
        "it's connected",
        "all but Archived",
        "I want to see the updates from last week plus status and blockers, grouped by customer, in bullets, each Monday at half past eight",
        "and also who the lead is",
        "looks right",
        "go for it",
        "at risk items should come first",
        "great",
        "absolutely",
    ],
    [
        "I need a weekly report from Notion with status, blockers and updates every Monday at 8:30, bullets",
        "Yes please!",
        "finished",
        "A and B",
        "sort them into groups by client",
        "perfect, just include the owner as well",
        "do it",
        "sure",
        "start with At Risk",
        "all good",
        "Yes!",
    ],
    [
        "I waste half my Monday mornings copying stuff from Notion into a document for the team",
        "Yeah let's do that",
        "ok, connected",
        "I only need the client projects and the internal initiatives",
        "I'd like what happened last week: each project's latest update, its status and whether anything's blocking it. "
        "Bullet points, organized by client. I have a 9am meeting Monday so have it ready before then",
        "That's right, but can you also show who owns each project?",
        "Yes, that's it",
        "Sure, run it",
        "Could you move the at risk ones to the top?",
        "Great, that's what I wanted",
        "Yes, turn it on",
    ],
    [
        "Can you pull together a Monday status digest from our Notion boards?",
        "Yes, let's connect it",
        "I think I did it",
        "use Client Projects & Internal Initiatives",
        "Show me updates from last week along with status and blockers. Group the bullets by client and have it ready "
        "on Mondays before my nine o'clock",
        "Correct. Please include the project owner as well.",
        "Yup",
        "Let's see it",
        "I'd rather have At Risk at the top",
        "That's perfect",
        "Go live",
    ],
]


@pytest.mark.parametrize("wording", WORDINGS)
def test_the_journey_in_other_words(wording: list[str]) -> None:
    world = World()
    for message in wording:
        world.arrived = world.state.pending is Pending.SIGN_IN
        world.say(message)
    assert world.state.phase is Phase.COMPLETE
    assert world.state.active
    slots = world.slots
    assert world.draft is not None
    assert [s.id for s in slots.sources] == ["d1", "d2"]
    assert set(slots.fields) == {"Status", "Latest Update", "Blockers", "Owner"}
    assert (slots.group, slots.format, world.draft.schedule) == ("Client", "bullets", "30 8 * * MON")
    assert slots.order[0].first == ("At Risk",)


@pytest.mark.parametrize(
    "message",
    [
        "yes?",
        "maybe",
        "I guess",
        "hmm",
        "yes but",
        "is it safe?",
        "yesterday",
        "no",
        "",
        "   ",
        "yes if it is free",
        "what?",
        "you choose",
        "asdf",
        "test",
    ],
)
@pytest.mark.parametrize("pending", [Pending.SUMMARY, Pending.ACTIVATE])
def test_nothing_is_made_or_switched_on_without_a_plain_yes(pending: Pending, message: str) -> None:
    world = at(pending)
    made, switched = world.asked_for(CreateAgent), world.asked_for(Activate)
    world.say(message)
    assert (world.asked_for(CreateAgent), world.asked_for(Activate)) == (made, switched)


@pytest.mark.parametrize("pending", STATIONS)
def test_any_hostile_text_at_any_question_loses_nothing(pending: Pending) -> None:
    world = at(pending)
    before = world.slots
    for hostile in (
        "\u202e\x00" + "A" * 50,
        "'; DROP TABLE agents; --",
        "{{7*7}} ${x} `id`",
        "x" * 100_000,
        "🤖" * 50,
        "\n\n---\nname: x\n",
    ):
        world.say(hostile)
        assert world.slots.sources == before.sources
        assert world.state.status is SessionStatus.OPEN or world.state.phase is Phase.COMPLETE


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=60),
            st.sampled_from(
                [
                    WISH,
                    "yes",
                    "no",
                    "go back",
                    "start over",
                    "the first two",
                    DETAILS,
                    "cancel",
                    "later",
                    "status",
                    "run it",
                    "you choose",
                    "Put At Risk first",
                    "switch it on",
                    "test it",
                    "Done!",
                ]
            ),
        ),
        max_size=12,
    )
)
def test_no_sequence_of_messages_breaks_the_conversation(messages: list[str]) -> None:
    world = World()
    world.arrived = True
    for message in messages:
        world.say(message)


def test_sample_data_when_connecting_is_declined() -> None:
    world = at(Pending.CONNECT)
    offered = world.say("I'd rather not")
    assert "sample data" in offered.text
    shown = world.say("yes")
    assert shown.phase == "requirements"
    assert "**sample data**" in shown.text
    for message in ("the first two", DETAILS, "yes"):
        world.say(message)
    tested = world.say("yes")
    assert "sample data" in tested.text
    blocked = world.say("looks good")
    assert "must be connected" in blocked.text
    assert world.asked_for(Activate) == 0


def test_an_integration_that_is_not_set_up_is_said_so() -> None:
    world = at(Pending.CONNECT)
    world.fail[StartSignIn] = Failed("integration_not_configured")
    assert "isn't set up in this installation" in world.say("yes").text


def test_a_connection_that_exists_is_reused_and_several_are_asked_about() -> None:
    world = World()
    world.connections = (Connection("c1", "notion", "Acme HQ"),)
    assert "Acme HQ" in world.say(WISH).text
    assert world.state.phase is Phase.REQUIREMENTS
    two = World()
    two.connections = (Connection("c1", "notion", "Acme HQ"), Connection("c2", "notion", "Side Gig"))
    assert "Side Gig" in two.say(WISH).text
    two.say("the second one")
    assert two.state.links["notion"].connection_id == "c2"


def test_amendments_are_taken_at_every_point() -> None:
    world = at(Pending.RESOURCES)
    world.say("the first two, with status and owner, every Tuesday at 10")
    assert world.slots.fields == ("Status", "Owner")
    assert world.slots.schedule is not None
    assert world.slots.schedule.cron == "0 10 * * TUE"
    summary = at(Pending.SUMMARY)
    summary.say("actually make it Thursdays")
    assert summary.slots.schedule is not None
    assert summary.slots.schedule.cron == "30 8 * * THU"
    testing = at(Pending.TEST)
    testing.say("add the due date first")
    tested = at(Pending.TEST)
    tested.say("make it a table")
    assert tested.asked_for(RewriteAgent) == 1
    assert tested.state.phase is Phase.TESTING
    activation = at(Pending.ACTIVATE)
    activation.say("yes, but sort by due date")
    assert (activation.asked_for(Activate), activation.state.phase) == (0, Phase.TESTING)
    assert activation.state.pending is Pending.ACCEPT


def test_an_unclear_time_is_asked_with_an_offer() -> None:
    world = at(Pending.DETAILS)
    asked = world.say("status and blockers as bullets, every other Monday at 9")
    assert "can't skip" in asked.text
    world.say("yes")
    assert world.slots.schedule is not None
    assert world.slots.schedule.cron == "0 9 * * MON"
    assert world.slots.fields == ("Status", "Blockers")
    assert world.state.pending is Pending.SUMMARY


def test_you_choose_takes_what_was_proposed_and_says_so() -> None:
    world = at(Pending.DETAILS)
    text = world.say("you choose").text
    assert "my suggestion" in text
    assert world.state.pending is Pending.SUMMARY


def test_what_is_not_possible_is_said_at_once() -> None:
    world = at(Pending.SUMMARY)
    assert "can't send to Slack yet" in world.say("and post it to Slack as well").text
    assert "can't find 'budget'" in world.say("add the budget").text
    assert "can't make 'pdf'" in world.say("as a pdf please").text


def test_side_questions_are_answered_and_the_question_stays() -> None:
    world = at(Pending.SUMMARY)
    for question in (
        "how will I know it works?",
        "is it safe?",
        "what have you got so far?",
        "how long does it take?",
    ):
        reply = world.say(question)
        assert world.state.pending is Pending.SUMMARY
        assert "With a yes I create it" in reply.text


def test_back_restart_cancel_pause_and_return() -> None:
    world = at(Pending.TEST)
    world.say("go back")
    assert world.state.phase is Phase.REQUIREMENTS
    world.say("yes")
    assert world.asked_for(CreateAgent) == 1  # going on again makes no second agent
    assert world.state.pending is Pending.TEST
    world.say("later")
    assert world.state.status is SessionStatus.WAITING
    world.away = True
    back = world.say("hello")
    assert "Welcome back" in back.text
    assert "Latest Update" in back.text
    world.away = False
    assert world.state.status is SessionStatus.OPEN
    assert "Weekly Project Report" in world.say("start over").text
    assert world.slots.goal is None
    assert world.say("cancel").text
    assert world.state.status is SessionStatus.CANCELLED


def test_no_at_the_test_and_not_now_at_the_end() -> None:
    world = at(Pending.TEST)
    assert "one test that went well" in world.say("no thanks").text
    world.say("switch it on")
    assert world.asked_for(Activate) == 0
    for message in ("ok test it", "looks good", "not now"):
        world.say(message)
    assert (world.state.phase, world.state.active) == (Phase.COMPLETE, False)
    world.say("switch it on")
    assert world.asked_for(Activate) == 0
    world.say("yes")
    assert world.state.active


def test_a_test_without_result_or_with_a_failure_never_leads_to_activation() -> None:
    world = at(Pending.TEST)
    world.verdict, world.may_activate = "no_effect", False
    assert "nothing to report" in world.say("yes").text
    world.verdict = "failed"
    assert "did not work" in world.say("last 30 days").text
    world.say("looks good")
    assert world.state.phase is Phase.TESTING
    assert world.asked_for(Activate) == 0


def test_a_sample_without_anything_to_do_can_be_accepted_when_every_step_was_tried() -> None:
    world = at(Pending.TEST)
    world.verdict = "no_effect"
    assert "sample data instead" in world.say("yes").text
    offered = world.say("yes").text
    assert "Nothing matched in the sample" in offered
    assert "Every step was tried all the same" in offered
    assert world.state.test is not None
    assert (world.state.test.passed, world.state.test.will_do) == (False, True)
    world.say("yes, keep it")
    assert world.state.pending is Pending.ACTIVATE
    world.say("yes")
    assert world.state.active


def test_a_sample_without_anything_to_do_is_not_offered_when_a_step_was_never_seen() -> None:
    world = at(Pending.TEST)
    world.verdict, world.may_activate = "no_effect", False
    world.say("yes")
    assert "Nothing matched" not in world.say("yes").text
    for message in ("yes", "looks good", "switch it on"):
        world.say(message)
    assert world.asked_for(Activate) == 0


def test_after_activation_edit_run_status_and_a_further_wish() -> None:
    world = at(Pending.NONE)
    changed = world.say("put blockers first")
    assert (changed.phase, world.asked_for(RewriteAgent)) == ("testing", 1)
    world.say("looks good")
    assert "old one goes on" in world.say("hmm").text
    world.say("yes")
    assert "Weekly Project Report" in world.say("status").text
    world.say("run it")
    assert world.asked_for(StartRun) == 1
    world.agents = (
        AgentSeen("a1", "Weekly Project Report", status="active"),
        AgentSeen("a2", "Weekly Sales Report", status="active"),
    )
    assert "Which one" in world.say("run my weekly report agent").text
    world.say("the second one")
    assert world.asked_for(StartRun) == 2
    assert "no agent of that name" in world.say("run my invoice agent").text
    world.connections = (Connection("c1", "notion", "Acme HQ"),)
    world.say("I'd like another report from Notion, a daily one")
    assert world.state.draft_agent_id is None
    assert world.state.phase is Phase.REQUIREMENTS


def test_suggested_answers_do_what_they_say() -> None:
    for pending in STATIONS:
        world = at(pending)
        world.arrived = True
        first = respond(world.state, "?", world.facts()).reply
        assert first is not None
        for action in first.actions:
            again = at(pending)
            again.arrived = True
            text = again.say(action).text
            assert "I'm not sure what you mean" not in text, (pending, action)
            assert "I'd rather not guess" not in text, (pending, action)


def test_failures_are_told_plainly_and_can_be_tried_again() -> None:
    world = at(Pending.RESOURCES)
    world.fail[CreateAgent] = Failed("skill_invalid", "Traceback …")
    for message in ("the first two", DETAILS):
        world.say(message)
    failed = world.say("yes")
    assert "missing or damaged" in failed.text
    assert (failed.phase, "Traceback" in failed.text) == ("requirements", False)
    assert world.say("yes").phase == "testing"
    world.fail[RunTest] = Failed("service_down")
    assert "isn't answering" in world.say("yes").text
    assert "Here is the report" in world.say("try again").text
    world.fail[RunTest] = Failed("never heard of", "secret detail")
    assert "secret detail" not in world.say("test it again").text


def test_nothing_shared_is_said_and_can_be_tried_again() -> None:
    world = World(resources=())
    world.arrived = True
    world.say(WISH)
    world.say("yes")
    assert "no database is shared" in world.say("done").text
    world.places["notion"] = RESOURCES
    world.connections = (Connection("c1", "notion", "Acme HQ"),)
    assert "Client Projects 42" in world.say("yes").text
    assert world.asked_for(ListResources) == 2


def test_a_turn_takes_a_few_milliseconds() -> None:
    world = at(Pending.SUMMARY)
    started = time.perf_counter()
    for _ in range(20):
        respond(world.state, "Yes, but also the project owner and make it Tuesdays at 10", world.facts())
    assert (time.perf_counter() - started) / 20 < 0.1


def test_the_first_greeting_asks_for_the_wish() -> None:
    turn = begin(World().facts())
    assert turn.reply is not None
    assert turn.reply.phase == "discovery"


@given(
    st.sampled_from(list(Phase)),
    st.sampled_from(list(Signal)),
    st.lists(st.sampled_from(list(Phase)), max_size=5),
)
def test_the_machine_is_total_and_follows_its_table(phase: Phase, signal: Signal, stack: list[Phase]) -> None:
    step = next_phase(phase, signal, stack)
    if signal is Signal.CANCEL:
        assert step.cancelled
    elif signal is Signal.BACK:
        assert step.phase is (stack[-1] if stack else phase)
    elif (phase, signal) in TABLE:
        assert step.phase is TABLE[phase, signal]
    elif signal is not Signal.RESTART:
        assert step.phase is phase


def test_nobody_gets_past_the_yes_by_signals() -> None:
    assert {key for key, to in TABLE.items() if to is Phase.COMPLETE} == {
        (Phase.ACTIVATION, Signal.ACTIVATED),
        (Phase.ACTIVATION, Signal.NOT_NOW),
    }


def test_state_of_an_empty_session_survives_json() -> None:
    assert ConversationState.model_validate_json(ConversationState().model_dump_json()) == ConversationState()


@pytest.mark.parametrize(
    "amendment",
    [
        "Yes, but also the project owner",
        "sounds right but please also show who owns it",
        "Almost - I'd also want to see who is responsible",
        "nearly: owner is missing",
    ],
)
def test_an_amended_summary_creates_nothing_before_the_next_yes(amendment: str) -> None:
    world = at(Pending.SUMMARY)
    assert "Owner" in world.say(amendment).text
    assert world.asked_for(CreateAgent) == 0
    world.say("yes?")
    assert world.asked_for(CreateAgent) == 0
    world.say("Yes")
    assert world.asked_for(CreateAgent) == 1


def test_answers_that_look_like_a_command_or_a_question() -> None:
    world = at(Pending.DETAILS)
    world.say("status")
    assert world.slots.fields == ("Status",)
    world = at(Pending.DETAILS)
    world.say("what changed last week and who owns it, bullets grouped by client, ready Mondays at 8:30")
    assert (world.slots.window, world.slots.group) == ("last_week", "Client")
    world = at(Pending.ACTIVATE)
    world.say("start it now")
    assert world.asked_for(Activate) == 1
    world = at(Pending.TEST)
    assert "changes nothing" in world.say("will it change anything?").text.lower()
    assert world.asked_for(RunTest) == 0


def test_a_change_that_mentions_a_test_is_made_first() -> None:
    world = at(Pending.ACCEPT)
    world.say("put At Risk first and test it again")
    assert [type(request) for request in world.requests[-2:]] == [RewriteAgent, RunTest]


def test_weekly_work_is_heard_from_the_day_it_is_done() -> None:
    world = World()
    world.say("our Monday status report from Notion eats half a day")
    assert world.slots.goal == "weekly report"
