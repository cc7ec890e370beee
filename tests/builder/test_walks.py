"""Conversations as different people have them: what is said is used, or asked about, or said not to be possible."""

# ruff: noqa: E501 - what people say stands on one line

from __future__ import annotations

import pytest
from tests.builder.filter_fields import ISSUES, TASKS, is_
from tests.builder.world import CHANNELS, INTEGRATIONS, World

from omniforge.builder.exchange import Integration
from omniforge.builder.outline import Post, Report
from omniforge.builder.state import Pending, Resource
from omniforge.builder.understanding.fields import Field
from omniforge.builder.understanding.shaping import How, Only

GITHUB = Integration(
    "github", "GitHub", kinds=("repository",), words=("github", "pull request", "pull requests", "commits")
)
MAIL = Integration(
    "email",
    "E-mail",
    sign_in="key",
    kinds=("folder",),
    words=("e-mail", "email", "e-mails", "emails"),
    tools=("email.send",),
)
FILES = Integration("files", "Files", sign_in="none", kinds=("file",), words=("csv", "csv file"))


def wide(**places: tuple[Resource, ...]) -> World:
    world = World()
    world.integrations = (*(one for one in INTEGRATIONS if one.name != "email"), GITHUB, FILES, MAIL)
    world.arrived = True
    world.places["github"] = (
        Resource(id="acme/shop", name="acme/shop", kind="repository"),
        Resource(id="acme/app-api", name="acme/app-api", kind="repository"),
    )
    world.places["files"] = (Resource(id="invoices.csv", name="invoices.csv", kind="file"),)
    world.places.update(places)
    return world


def talk(world: World, *messages: str) -> str:
    """Says them all; whatever has to be connected is connected on the way. Everything said to the last one."""
    text = ""
    for message in messages:
        text = world.say(message).text
        while world.state.pending in (Pending.CONNECT, Pending.SIGN_IN):
            text += world.say("yes" if world.state.pending is Pending.CONNECT else "done").text
    return text


def post_of(world: World) -> Post:
    return next(part.does for part in world.state.design.parts if isinstance(part.does, Post))


BUGS = "Every weekday at 8 collect the open GitHub issues labelled bug in acme/wrong and post them to #bugs on Slack"


def test_a_place_that_is_not_there_is_said_and_no_other_put_in_its_place() -> None:
    world = wide()
    world.fields = ISSUES
    text = talk(world, BUGS)
    assert "can't find acme/wrong" in text
    assert "acme/shop" in text
    assert "I'd take" not in text
    text = talk(world, "yes")
    assert world.report.places == ()
    text = talk(world, "acme/shop")
    assert "can't find #bugs" in text
    assert "#leads" in text
    assert "I'd take" not in text
    text = talk(world, "#leads")
    assert post_of(world).place is not None
    text = talk(world, "you choose", "A")
    assert "only labels bug; only state open" in text
    assert world.report.things == ("issues",)
    assert "everything, whenever it was changed *(my suggestion)*" in text


def test_a_repository_is_found_by_its_own_name() -> None:
    world = wide()
    world.fields = ISSUES
    talk(world, "report of the open GitHub issues of shop every day at 9")
    assert [place.name for place in world.report.places] == ["acme/shop"]


def test_what_no_field_tells_is_said_and_left_out() -> None:
    world = wide()
    world.fields = TASKS
    text = talk(world, "Every Friday send me the overdue Linear tasks assigned to Bert")
    assert "'assigned to Bert'" in text
    assert "Anna Berg" in text
    assert [rule.field for rule in world.report.only] == ["due", "state_type"]
    text = talk(world, "only those assigned to Anna")
    assert is_("assignee", "Anna Berg") in world.report.only
    assert len(world.report.only) == 3


def test_a_report_of_what_happened_keeps_its_time() -> None:
    world = wide()
    world.fields = TASKS
    talk(world, "A report of the Linear issues that are done every Monday at 9", "you choose")
    assert world.report.only == (is_("state_type", "completed"),) or world.report.only[0].field == "state"
    assert world.report.window == "last_week"


def test_pull_requests_are_at_github_and_have_a_state_of_their_own() -> None:
    world = wide()
    world.fields = ISSUES
    text = talk(world, "Tell me every Monday which pull requests were merged last week in shop")
    assert "merged_at" in text
    assert world.report.things == ("pull_requests",)
    assert [rule.how for rule in world.report.only] == [How.WITHIN]
    assert "merged at in last week" in talk(world, "you choose")


def test_further_kinds_of_entries_and_their_author_are_taken_in() -> None:
    world = wide()
    world.fields = ISSUES
    talk(
        world, "Tell me every Monday at 8:00 which pull requests were merged last week in shop", "you choose"
    )
    text = talk(world, "also the commits")
    assert "can't find" not in text
    assert world.report.things == ("pull_requests", "commits")
    talk(world, "only those by sam")
    assert world.report.only[-1] == Only(field="author", values=("sam",), how=How.HOLDS)


def test_kinds_of_entries_are_no_information() -> None:
    world = wide()
    world.fields = ISSUES
    text = talk(
        world, "Every Friday at 4pm list the releases and the merged pull requests of shop and app-api"
    )
    assert "Which information" in text
    assert world.report.things == ("pull_requests", "releases")
    assert [place.name for place in world.report.places] == ["acme/shop", "acme/app-api"]
    assert world.report.only == (is_("state", "merged"),)


def test_whose_entries_are_posted_is_not_where_they_are_posted() -> None:
    world = wide(slack=(*CHANNELS, Resource(id="C9", name="#general", kind="channel")))
    world.fields = TASKS
    wish = "Every weekday at 9 post the Linear issues in progress assigned to Maya to the general channel on Slack"
    assert "can't find" not in talk(world, wish)
    there = post_of(world).place
    assert there is not None
    assert there.name == "#general"
    assert is_("assignee", "Maya Lindholm") in world.report.only


def test_a_condition_that_there_are_any_chooses_the_entries() -> None:
    world = wide()
    world.fields = TASKS
    talk(world, "Check Linear every morning; if any task is overdue post it to #urgent")
    assert [rule.how for rule in world.report.only] == [How.BEFORE, How.IS]


def test_a_table_named_by_its_file_is_read_not_taken_for_a_document() -> None:
    world = wide()
    world.fields = (
        Field(name="Customer", type="title"),
        Field(name="Paid", type="checkbox"),
        Field(name="Amount", type="number"),
    )
    text = talk(world, "Read the file invoices.csv every month and send me the unpaid ones", "you choose")
    assert "can't make 'csv'" not in text
    assert [part.service for part in world.state.design.parts] == ["files"]
    assert "only Paid no" in text


def test_the_channel_whose_messages_start_it_is_not_asked_again() -> None:
    world = wide(slack=(*CHANNELS, Resource(id="C9", name="#support", kind="channel")))
    talk(world, "Whenever somebody writes in #support on Slack, post the message to #leads")
    starts = world.state.outline.starts
    assert starts is not None
    assert starts.place is not None
    assert starts.place.name == "#support"


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ("use #leads instead of #team-updates", "#leads"),
        ("make it #urgent", "#urgent"),
        ("make it #nowhere", "#team-updates"),
    ],
)
def test_a_message_is_moved_to_another_channel(said: str, place: str) -> None:
    world = wide()
    talk(world, "weekly notion report of Client Projects to #team-updates on slack", "you choose", "A")
    before = world.report
    text = talk(world, said)
    there = post_of(world).place
    assert there is not None
    assert there.name == place
    assert world.report == before
    assert ("can't find #nowhere" in text) == (said == "make it #nowhere")


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_one_service_takes_the_place_of_another_at_any_question(at: int) -> None:
    world = wide()
    steps = (
        "weekly report of our Notion projects",
        "the first",
        "status and owner as a table",
        "Tuesdays at 10",
    )
    talk(world, *steps[: at + 1])
    world.fields = TASKS
    text = talk(world, "actually Linear instead of Notion")
    assert "Linear instead of Notion" in text
    assert [part.service for part in world.state.design.parts] == ["linear"]
    assert [place.name for place in world.report.places] == ["Engineering"]
    assert world.report.fields in ((), ("state", "assignee", "priority", "due"))
    if at == 3:
        assert world.state.design.schedule is not None
        assert world.state.design.schedule.cron == "0 10 * * TUE"
        assert world.report.format == "table"


@pytest.mark.parametrize("said", ["forget Linear", "without Linear", "drop the Linear part", "remove step 2"])
def test_a_step_goes_at_any_question(said: str) -> None:
    world = wide()
    talk(
        world,
        "Check Notion and Linear every Monday and write one summary",
        said,
        "the first two",
        "you choose",
    )
    assert [part.service for part in world.state.design.parts] == ["notion"]
    assert world.state.pending is Pending.SUMMARY


def test_the_only_step_stays() -> None:
    world = wide()
    text = talk(world, "weekly report of our Notion projects", "forget Notion")
    assert "all there is to do" in text
    assert len(world.state.design.parts) == 1


def test_the_time_is_asked_once_for_several_reports() -> None:
    world = wide()
    talk(world, "Check Notion and Linear and write one summary", "the first two", "you choose")
    assert "When" not in talk(world, "what have you got so far?").partition("Which information")[2]


def test_values_are_chosen_added_and_dropped_again() -> None:
    world = wide()
    talk(world, "weekly report of our Notion projects", "the first", "you choose")
    text = talk(world, "only Initech")
    assert "'Initech'" in text
    assert world.report.only == ()
    talk(world, "only Acme")
    talk(world, "also Globex")
    assert world.report.only == (is_("Client", "Acme", "Globex"),)
    talk(world, "forget the filter")
    assert world.report.only == ()


def test_a_wish_at_another_service_is_a_new_one() -> None:
    world = wide()
    talk(world, "weekly report of Client Projects in Notion", "you choose", "yes", "yes", "looks good", "yes")
    assert world.state.active
    talk(world, "Every day read Linear")
    assert [part.service for part in world.state.design.parts] == ["linear"]


def test_our_suggestions_never_confirm_the_summary() -> None:
    world = wide()
    text = talk(world, "weekly report of Client Projects in Notion", "you choose", "you choose")
    assert world.state.draft_agent_id is None
    assert "yours to say" in text


def test_a_word_for_the_format_may_be_mistyped() -> None:
    world = wide()
    talk(world, "weekly report of Client Projects in Notion", "status and owner in a tabel")
    assert world.report.format == "table"


def test_mail_is_read_from_the_inbox_without_a_question() -> None:
    world = wide(
        email=(
            Resource(id="INBOX", name="INBOX", kind="folder"),
            Resource(id="Sent", name="Sent", kind="folder"),
        )
    )
    text = talk(world, "Summarise the unread e-mails from Anna every morning at 7", "sample data")
    assert [place.name for place in world.report.places] == ["INBOX"]
    assert "from_name" in text
    assert {rule.field for rule in world.report.only} == {"from_name", "seen"}


def test_a_report_of_places_without_information_asks_for_none() -> None:
    world = wide()
    text = talk(world, "Each morning at 8 read the address https://example.com/data and report it")
    assert "There is: ." not in text
    assert isinstance(world.state.design.parts[0].does, Report) is False or "Which information" not in text


# --- what was said at the beginning, and is asked about later -------------------------------------------------


@pytest.mark.parametrize(
    ("said", "question"),
    [
        ("Every other Tuesday at 3pm send me a report of the Notion projects", "every other Tuesday"),
        ("A report of the Notion projects on the first working day of each month", "first working day"),
        ("Twice a week send me a summary of the Notion projects", "which 2 days"),
    ],
)
def test_a_time_that_is_not_clear_is_asked_about_and_nothing_suggested_in_its_place(
    said: str, question: str
) -> None:
    world = wide()
    text = talk(world, said, "Client Projects")
    assert question in text
    assert "every Monday at 9:00" not in text.replace("I'd take every Monday and Thursday", "")
    text = talk(world, "yes", "you choose")
    assert "This is what I understood" in text
    assert "*(my suggestion)*" not in next(line for line in text.splitlines() if "**When:**" in line)


def test_where_a_message_goes_does_not_say_where_its_report_comes_from() -> None:
    world = wide()
    text = talk(world, "Every Tuesday at 3pm make a list of customers without an owner and post it in Slack")
    assert "Where do the things for the report live?" in text
    world = wide()
    talk(world, "Every morning at 8 summarise what was said in #leads")
    [report] = world.state.design.parts
    assert (report.service, isinstance(report.does, Report)) == ("slack", True)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (
            "Remind #leads every Thursday at noon to fill in their timesheets",
            "Reminder: please fill in your timesheets.",
        ),
        ("Say good morning to #leads every day at 9", "Good morning"),
        (
            "Post the number of open projects from Notion to #leads every Monday at 9",
            "Open projects: {items}",
        ),
    ],
)
def test_a_message_says_what_it_was_told_to_say(said: str, text: str) -> None:
    world = wide()
    talk(world, said)
    assert post_of(world).text == text


def test_an_issue_that_gets_a_label_starts_the_agent() -> None:
    world = wide()
    talk(world, "If a GitHub issue gets the label urgent, create a Linear issue for it and tell #leads")
    starts = world.state.outline.starts
    assert starts is not None
    assert (starts.service, starts.event) == ("github", "issue.opened")
    assert {part.condition.words for part in world.state.design.parts if part.condition} == {
        "labels contain urgent"
    }


def test_a_condition_about_entries_is_told_by_their_fields_and_the_report_stays_whole() -> None:
    world = wide()
    wish = "Every Monday at 9 report the Notion projects; if a project is overdue post to #leads, otherwise to #team-updates"
    talk(world, wish, "Client Projects", "you choose")
    assert world.report.only == ()
    first, second = (part.condition for part in world.state.design.parts if isinstance(part.does, Post))
    assert first is not None
    assert [rule.how for rule in first.only][:1] == [How.BEFORE]
    assert second is not None
    assert second.otherwise


def test_a_condition_that_no_field_can_tell_is_said() -> None:
    world = wide()
    world.fields = tuple(field for field in TASKS if field.name != "status")
    text = talk(world, "List the Linear issues every day at 8; when something is purple, tell #leads")
    assert "purple" in text


def test_after_sample_data_showed_nothing_they_are_not_offered_again() -> None:
    world = wide()
    world.verdict, world.may_activate = "no_effect", False
    talk(world, "A report of the Notion projects every Monday at 9", "Client Projects", "you choose", "yes")
    assert "sample data" in talk(world, "yes")
    assert "sample data instead" not in talk(world, "yes")


def test_a_status_that_is_to_be_set_is_a_wish_and_no_question_for_the_agents() -> None:
    world = wide()
    talk(world, "Update the status of overdue projects in Notion to At Risk every night")
    assert [part.does.operation for part in world.state.design.parts] == ["update"]


def test_what_is_left_out_is_not_built() -> None:
    world = wide()
    talk(
        world,
        "Compare the number of open issues in GitHub and Linear every Monday and post the difference to #leads",
    )
    assert world.state.pending is Pending.UNSURE
    talk(world, "leave it out")
    assert "compare" not in {part.does.operation for part in world.state.design.parts}


def test_a_new_row_that_lands_somewhere_starts_the_agent_and_is_not_written_there() -> None:
    world = wide()
    talk(
        world,
        "Whenever a new row lands in our Notion Client Projects database, write me a one-page briefing and post it to #leads",
    )
    assert [part.does.operation for part in world.state.design.parts] == ["brief", "post"]
    assert world.state.outline.starts is not None


def test_two_documents_are_read_where_one_is_checked_against_the_other() -> None:
    world = wide()
    talk(
        world,
        "Read invoices people upload, check the total against the purchase order and tell #leads if they differ by more than 5 percent",
    )
    assert [part.does.operation for part in world.state.design.parts] == [
        "extract",
        "extract",
        "compare",
        "post",
    ]


def test_what_is_left_to_us_for_one_report_is_left_to_us_for_all() -> None:
    world = wide()
    wish = (
        "Every Monday at 7 pull last week's closed issues from Linear and GitHub and post a summary to #leads"
    )
    text = talk(world, wish, "the first one", "acme/shop", "you choose")
    assert "This is what I understood" in text


def test_a_format_that_was_said_holds_for_every_report() -> None:
    world = wide()
    wish = (
        "Every Monday at 7 pull last week's closed issues from Linear and GitHub and post a summary to #leads"
    )
    talk(world, wish, "the first one", "acme/shop", "state, as a table")
    formats = {part.does.format for part in world.state.design.parts if isinstance(part.does, Report)}
    assert [str(one) for one in formats] == ["table"]
