"""What people say about agents that exist: run, look, share, go back, pause, rename, delete, finish."""

# ruff: noqa: E501 - what people say stands on one line

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.builder.upkeep_world import DRAFT, PAUSED, SALES, WEEKLY, Upkept
from tests.builder.world import NOW

from omniforge.builder.conversation import begin, respond, resume
from omniforge.builder.exchange import AgentSeen, Facts, Integration, Reply, UpkeepRequest
from omniforge.builder.state import ConversationState, Pending
from omniforge.builder.upkeep import exchange as upkeep
from omniforge.builder.upkeep.matter import Choice
from omniforge.builder.vocabulary import forbidden_words

DOING = (
    upkeep.GoBack, upkeep.ShareIt, upkeep.TakeBack, upkeep.PauseIt, upkeep.SwitchOn, upkeep.DeleteIt, upkeep.RenameIt,
)  # fmt: skip


class Talk:
    """A conversation with agents that exist; every reply's words are checked."""

    def __init__(self, *agents: AgentSeen, state: ConversationState | None = None) -> None:
        self.world = Upkept(*agents)
        self.progress: list[str] = []
        self.state = state or begin(self.facts()).state

    def facts(self) -> Facts:
        return Facts(
            now=NOW,
            timezone="Europe/Berlin",
            zone_known=True,
            integrations=(Integration("notion", "Notion"),),
            agents=tuple(self.world.agents),
        )

    def say(self, message: str) -> Reply:
        turn = respond(self.state, message, self.facts())
        for _ in range(12):
            if turn.request is None:
                break
            assert isinstance(turn.request, UpkeepRequest), turn.request
            self.progress.append(turn.progress or "")
            turn = resume(turn.state, self.world.do(turn.request), self.facts())
        reply = turn.reply
        assert reply is not None
        assert reply.text.strip()
        shown = [reply.text, *reply.actions, *(str(card.get("title", "")) for card in reply.cards)]
        assert [hit for text in shown for hit in forbidden_words(text, reply.quoted)] == []
        assert len(reply.actions) <= 4
        self.state = ConversationState.model_validate_json(turn.state.model_dump_json())
        assert self.state == turn.state
        return reply

    def did(self) -> int:
        """How often something with an effect was asked for."""
        return sum(isinstance(request, DOING) for request in self.world.asked)


# --- run and look ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        "Run my weekly report agent",
        "please run the weekly project report",
        "start my weekly report agent now",
    ],
)
def test_an_active_agent_runs_at_once_and_the_result_is_shown(said: str) -> None:
    talk = Talk(WEEKLY, SALES)
    reply = talk.say(said)
    assert talk.world.asked[0] == upkeep.StartRun("weekly")
    assert "# The report" in reply.text
    assert "read: done" in reply.text
    assert reply.cards[0]["type"] == "execution"
    assert "read: is at work" in talk.progress


def test_the_first_one_of_a_list_is_run() -> None:
    talk = Talk(WEEKLY, SALES)
    listed = talk.say("list my agents")
    assert "Weekly Project Report" in listed.text
    assert "Sales Digest" in listed.text
    talk.say("run the second one")
    assert talk.world.asked[0] == upkeep.StartRun("sales")


def test_several_matches_are_listed_and_one_is_chosen() -> None:
    talk = Talk(WEEKLY, AgentSeen("other", "Monthly Project Report", status="active"))
    asked = talk.say("run my project report agent")
    assert "Which one do you mean?" in asked.text
    assert asked.cards[0]["type"] == "choices"
    assert not talk.world.asked
    talk.say("B")
    assert talk.world.asked[0] == upkeep.StartRun("other")


def test_no_match_names_the_nearest() -> None:
    talk = Talk(WEEKLY, SALES)
    reply = talk.say("run my weekly invoices agent")
    assert "I know no agent of that name" in reply.text
    assert "Weekly Project Report" in reply.text
    assert not talk.world.asked


def test_a_draft_is_offered_a_test_or_to_be_finished() -> None:
    talk = Talk(DRAFT)
    reply = talk.say("run my hiring summary")
    assert "is a draft" in reply.text
    tested = talk.say("A")
    assert talk.world.asked[-1] == upkeep.TryIt("draft", "dry")
    assert "sample data" in tested.text


def test_a_paused_agent_is_switched_on_before_it_runs() -> None:
    talk = Talk(PAUSED)
    reply = talk.say("run my monthly budget report")
    assert "is paused" in reply.text
    assert "puts the result in your inbox" in reply.text
    assert talk.did() == 0
    talk.say("yes")
    assert [type(one) for one in talk.world.asked[1:3]] == [upkeep.SwitchOn, upkeep.StartRun]


def test_a_failed_run_is_told_in_plain_words() -> None:
    talk = Talk(WEEKLY)
    talk.world.fail[upkeep.StartRun] = upkeep.NotDone("not_active")
    assert "is not switched on" in talk.say("run my weekly report agent").text


@pytest.mark.parametrize(
    "said",
    [
        "what does my weekly report agent do?",
        "tell me more about the weekly project report",
        "describe the weekly report agent",
    ],
)
def test_details_tell_what_it_does(said: str) -> None:
    talk = Talk(WEEKLY, SALES)
    reply = talk.say(said)
    for fact in (
        "switched on",
        "Reads what changed",
        "every Monday at 8:30",
        "Client Projects",
        "Belongs to:** you",
    ):
        assert fact in reply.text
    assert reply.cards[0]["type"] == "agent"


def test_the_status_of_one_agent_has_its_latest_runs() -> None:
    talk = Talk(WEEKLY, SALES)
    assert "completed" in talk.say("did my weekly report run?").text
    assert "Your agents" in talk.say("status").text


# --- share ----------------------------------------------------------------------------------------


def test_sharing_states_the_facts_offers_both_ways_and_needs_a_yes() -> None:
    talk = Talk(WEEKLY)
    offer = talk.say("Share my weekly report agent with my team")
    for fact in (
        "belongs to you",
        "Notion (Acme HQ)",
        "Client Projects",
        "Ana Lopez",
        "Derek",
        "**A**",
        "**B**",
    ):
        assert fact in offer.text
    asked = talk.say("B")
    assert "as a team agent with **Ana Lopez** and **Derek**" in asked.text
    assert talk.did() == 0
    done = talk.say("Yes")
    assert talk.world.asked[-1] == upkeep.ShareIt("weekly", "team", ("tenant",))
    assert "is a team agent now" in done.text


def test_a_template_goes_to_those_who_were_named() -> None:
    talk = Talk(WEEKLY)
    talk.say("share the weekly report with Ana")
    asked = talk.say("A")
    assert "give **Ana Lopez** a copy" in asked.text
    done = talk.say("yes please")
    assert talk.world.asked[-1] == upkeep.ShareIt("weekly", "template", ("u1",))
    assert "still to choose there: databases" in done.text


def test_who_gets_it_is_asked_when_nobody_was_named_and_more_can_be_added() -> None:
    talk = Talk(WEEKLY)
    talk.say("share it")
    whom = talk.say("A")
    assert "Whom shall I share it with?" in whom.text
    assert "**Derek**" in talk.say("Derek").text
    added = talk.say("yes, but also Ana")
    assert talk.did() == 0
    assert "**Ana Lopez**" in added.text
    talk.say("yes")
    assert talk.world.asked[-1] == upkeep.ShareIt("weekly", "template", ("u2", "u1"))


def test_sharing_with_nobody_there_says_so() -> None:
    talk = Talk(WEEKLY)
    talk.world.people = ()
    assert "nobody else here" in talk.say("share my weekly report with the team").text


def test_taking_it_back_needs_a_yes() -> None:
    talk = Talk(WEEKLY)
    talk.world.shared = ("Derek",)
    assert "from Derek" in talk.say("stop sharing my weekly report").text
    done = talk.say("yes")
    assert talk.did() == 1
    assert "private again" in done.text


# --- versions -------------------------------------------------------------------------------------


def test_undo_shows_what_would_change_back_and_asks() -> None:
    talk = Talk(WEEKLY)
    shown = talk.say("Undo my last change")
    assert "every Friday at 9:00 → every Monday at 8:30" in shown.text
    assert shown.cards[0]["type"] == "diff"
    assert talk.did() == 0
    done = talk.say("yes, go back")
    assert talk.world.asked[-1] == upkeep.GoBack("weekly", 2, 3)
    assert "version 4 now, the same as version 2" in done.text


def test_going_back_to_a_version_by_its_number() -> None:
    talk = Talk(WEEKLY)
    assert "Going back to version 1" in talk.say("go back to version 1 of my weekly report").text
    assert "Going back to version 2" in talk.say("version 2 instead").text
    talk.say("yes")
    assert talk.world.asked[-1] == upkeep.GoBack("weekly", 2, 3)


def test_with_one_version_there_is_nothing_to_undo() -> None:
    talk = Talk(WEEKLY)
    talk.world.version = 1
    assert "nothing to undo" in talk.say("undo my last change").text


def test_the_history_is_shown() -> None:
    talk = Talk(WEEKLY)
    reply = talk.say("show me the version history")
    assert "Version 3** (runs now)" in reply.text
    assert reply.cards[0]["type"] == "history"


def test_who_uses_which_version_is_counted_honestly() -> None:
    reply = Talk(WEEKLY).say("Which version is each customer using?")
    assert "not been offered to customers" in reply.text
    assert "**Version 2**: 1 — Ana Lopez (own copy, draft)" in reply.text
    assert reply.cards[0]["counts"] == {"3": 1, "2": 1}


def test_a_withdrawn_skill_is_said() -> None:
    talk = Talk(WEEKLY)
    talk.world.fail[upkeep.GoBack] = upkeep.NotDone("skill_not_found")
    talk.say("undo my last change")
    assert "withdrawn or is damaged" in talk.say("yes").text


# --- pause, switch on, delete, rename -------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "yes", "request_"),
    [
        ("pause my weekly report agent", "yes", upkeep.PauseIt("weekly")),
        ("pause my weekly report agent", "yes, pause it", upkeep.PauseIt("weekly")),
        ("delete the weekly report agent", "go ahead", upkeep.DeleteIt("weekly")),
        ("rename my weekly report agent to Monday News", "sure", upkeep.RenameIt("weekly", "Monday News")),
        ("switch my monthly budget report back on", "yes, switch it on", upkeep.SwitchOn("paused")),
    ],
)
def test_every_deed_waits_for_a_yes_to_exactly_that(said: str, yes: str, request_: UpkeepRequest) -> None:
    talk = Talk(WEEKLY, SALES, PAUSED)
    talk.say(said)
    assert talk.did() == 0
    talk.say(yes)
    assert talk.world.asked[-1] == request_
    assert talk.did() == 1
    talk.say("yes")
    assert talk.did() == 1


@pytest.mark.parametrize("said", ["no", "cancel", "not now", "go back", "never mind"])
def test_anything_else_does_nothing(said: str) -> None:
    talk = Talk(WEEKLY)
    talk.say("pause my weekly report agent")
    reply = talk.say(said)
    assert talk.did() == 0
    assert talk.state.pending is Pending.WISH
    assert "nothing was changed" in reply.text
    talk.say("yes")
    assert talk.did() == 0


@pytest.mark.parametrize("said", ["maybe", "yes?", "I guess", "what about Tuesday?", "blue", "is that safe?"])
def test_what_is_no_clear_yes_is_asked_again(said: str) -> None:
    talk = Talk(WEEKLY)
    question = talk.say("delete my weekly report agent").text
    again = talk.say(said)
    assert talk.did() == 0
    assert question.split("\n\n")[-1] in again.text
    talk.say("yes")
    assert talk.did() == 1


def test_a_deleted_agent_is_brought_back_after_a_yes() -> None:
    talk = Talk(WEEKLY)
    talk.world.deleted = (("old", "Old Report", 2),)
    assert "was deleted. Shall I bring it back?" in talk.say("bring back Old Report").text
    talk.say("yes")
    assert talk.world.asked[-1] == upkeep.GoBack("old", 2, None)


def test_a_new_name_is_asked_for_when_none_was_said() -> None:
    talk = Talk(WEEKLY)
    assert "What shall I call" in talk.say("rename my weekly report agent").text
    assert "**Status Report**" in talk.say("Status Report").text
    talk.say("yes")
    assert talk.world.asked[-1] == upkeep.RenameIt("weekly", "Status Report")


def test_another_matter_replaces_the_open_one() -> None:
    talk = Talk(WEEKLY, SALES)
    talk.say("pause my weekly report agent")
    talk.say("delete the sales digest agent")
    talk.say("yes")
    assert talk.world.asked[-1] == upkeep.DeleteIt("sales")
    assert talk.did() == 1


def test_it_is_the_agent_that_was_talked_about_last() -> None:
    talk = Talk(WEEKLY, SALES)
    talk.say("what does the sales digest agent do?")
    assert "pause **Sales Digest**" in talk.say("pause it").text


def test_an_open_build_stays_and_is_asked_again_afterwards() -> None:
    talk = Talk(WEEKLY)
    talk.say("Our weekly reports from Notion boards take hours every Monday")
    assert talk.state.pending is Pending.CONNECT
    design = talk.state.design
    talk.say("pause my weekly project report agent")
    done = talk.say("yes")
    assert "is paused" in done.text
    assert "Shall we connect Notion now?" in done.text
    assert (talk.state.pending, talk.state.design) == (Pending.CONNECT, design)


# --- finishing a copy -----------------------------------------------------------------------------


def test_a_copy_is_finished_step_by_step() -> None:
    talk = Talk(DRAFT)
    talk.world.missing = ("notion",)
    talk.world.choices = (
        Choice(skill="read", path=("config", "databases"), what="databases", shape="places"),
        Choice(skill="read", path=("config", "owner_email"), what="owner email"),
    )
    assert "needs your own Notion" in talk.say("finish Hiring Summary").text
    opened = talk.say("Yes")
    assert opened.oauth_url == "https://notion.example/a"
    early = talk.say("done")
    assert "Nothing has arrived" in early.text
    assert early.oauth_url == "https://notion.example/a"
    talk.world.arrived = True
    places = talk.say("done")
    assert "Client Projects (42 entries)" in places.text
    typed = talk.say("both")
    chosen = talk.world.asked[-1]
    assert isinstance(chosen, upkeep.Choose)
    assert [place["id"] for place in chosen.places] == ["d1", "d2"]
    assert "owner email" in typed.text
    offered = talk.say("ana@example.com")
    assert "Shall I test" in offered.text
    tested = talk.say("yes, test it")
    assert talk.world.asked[-1] == upkeep.TryIt("draft", "preview")
    assert "# A report" in tested.text
    asked = talk.say("looks good")
    assert "puts it in the inbox" in asked.text
    assert talk.did() == 0
    done = talk.say("yes, switch it on")
    assert talk.world.asked[-1] == upkeep.SwitchOn("draft", "t1")
    assert "is switched on" in done.text


# --- anything -------------------------------------------------------------------------------------

OPENINGS = [
    "share my weekly report", "undo my last change", "pause my weekly report agent", "delete my weekly report agent",
    "rename my weekly report agent", "finish Hiring Summary", "run my hiring summary", "run my report agent",
]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    opening=st.sampled_from(OPENINGS),
    said=st.lists(st.text("abcdfhijlmnpqtuvw 0123?.!ßÄ漢\u202e'\"<&{", max_size=40), max_size=3),
)
def test_whatever_is_said_gives_a_reply_and_confirms_nothing(opening: str, said: list[str]) -> None:
    talk = Talk(WEEKLY, SALES, DRAFT)
    talk.say(opening)
    for message in said:
        talk.say(message)
        assert talk.did() == 0
