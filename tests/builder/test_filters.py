"""Which entries a sentence wants, what cannot be expressed, and how both are told."""

# ruff: noqa: E501 - what people say stands on one line

from __future__ import annotations

import pytest
from tests.builder.filter_fields import ISSUES, MAILS, NOT_OVER, PEOPLE, PROJECTS, TASKS, is_

from omniforge.builder.rows import only_words
from omniforge.builder.understanding.fields import Field
from omniforge.builder.understanding.filters import take_filters
from omniforge.builder.understanding.shaping import ANYWHERE, EDITED, How, Only


@pytest.mark.parametrize(
    ("said", "fields", "rules"),
    [
        ("collect the open issues labelled bug", ISSUES, [is_("labels", "bug"), is_("state", "open")]),
        ("open and closed issues tagged docs or bug", ISSUES, [is_("labels", "docs", "bug"), is_("state", "open", "closed")]),
        ("issues opened by sam that mention voucher", ISSUES, [Only(field="author", values=("sam",), how=How.HOLDS), Only(field=ANYWHERE, values=("voucher",), how=How.HOLDS)]),
        ("issues not updated for 2 weeks", ISSUES, [Only(field=EDITED, values=("last_14_days",), how=How.BEFORE)]),
        ("the overdue tasks assigned to Anna", TASKS, [is_("assignee", "Anna Berg"), Only(field="due", values=("today",), how=How.BEFORE), NOT_OVER]),
        ("high priority issues without an owner", TASKS, [Only(field="assignee", how=How.EMPTY), is_("priority", "High")]),
        ("bugs completed last week", TASKS, [Only(field="completed_at", values=("last_week",), how=How.WITHIN), is_("labels", "Bug")]),
        ("urgent tasks in progress due in the next 7 days", TASKS, [Only(field="due", values=("next_7_days",), how=How.WITHIN), is_("priority", "Urgent"), is_("state", "In Progress")]),
        ("unassigned tasks", TASKS, [Only(field="assignee", how=How.EMPTY)]),
        ("new tasks", TASKS, [Only(field="created_at", values=("report",), how=How.WITHIN)]),
        ("the unread e-mails from Anna", MAILS, [Only(field="from_name", values=("Anna",), how=How.HOLDS), is_("seen", "false")]),
        ("e-mails from boss@acme.com with invoice in the subject", MAILS, [Only(field="from", values=("boss@acme.com",), how=How.HOLDS), Only(field="subject", values=("invoice",), how=How.HOLDS)]),
        ("the projects that are At Risk, with owner and due date", PROJECTS, [is_("Status", "At Risk")]),
        ("Acme projects due this week that are not done", PROJECTS, [Only(field="Due Date", values=("this_week",), how=How.WITHIN), is_("Status", "Done", keep=False), is_("Client", "Acme")]),
        ("projects whose client is Globex and budget above 1000", PROJECTS, [is_("Client", "Globex"), Only(field="Budget", values=("1000",), how=How.ABOVE)]),
    ],
)  # fmt: skip
def test_the_choice_of_entries_is_read(said: str, fields: tuple[Field, ...], rules: list[Only]) -> None:
    taken = take_filters(said, fields, loose=True)
    assert (sorted(map(str, taken.rules)), taken.left) == (sorted(map(str, rules)), [])


@pytest.mark.parametrize(
    ("said", "fields", "left"),
    [
        ("issues assigned to me", TASKS, ("assigned to me", PEOPLE)),
        (
            "issues labelled enhancement",
            ISSUES,
            ("labelled enhancement", ("bug", "good first issue", "docs")),
        ),
        ("stale issues", ISSUES, ("stale", ())),
        ("tasks assigned to Anton", TASKS, ("assigned to Anton", PEOPLE)),
        ("unread issues", ISSUES, ("unread", ())),
        ("issues merged last week", ISSUES, ("merged last week", ())),
        ("projects labelled red", PROJECTS, ("labelled red", ())),
    ],
)
def test_a_choice_that_no_field_expresses_is_told_apart(
    said: str, fields: tuple[Field, ...], left: tuple[str, tuple[str, ...]]
) -> None:
    taken = take_filters(said, fields, loose=True)
    assert (taken.rules, taken.left) == ([], [left])


@pytest.mark.parametrize(
    "said",
    [
        "status and owner, as bullets, every Monday at 8:30",
        "what changed last week, by client, without blockers",
        "add the due date and remove priority",
        "change it from Monday to Tuesday",
        "make it a table by client",
        "put overdue first",
        "Looks good",
        "add the new ones",
    ],
)
def test_other_answers_choose_no_entries(said: str) -> None:
    for fields in (PROJECTS, MAILS, TASKS):
        taken = take_filters(said, fields)
        assert (taken.rules, taken.left) == ([], []), fields[0].name


def test_dates_are_told_in_words() -> None:
    rules = [
        Only(field="due", values=("this_week", "next_week"), how=How.WITHIN),
        Only(field="due", how=How.EMPTY),
        Only(field=EDITED, values=("last_14_days",), how=How.BEFORE),
        Only(field=ANYWHERE, values=("refund",), how=How.HOLDS),
    ]
    assert only_words(rules) == (
        "only due in this week or next week; only those without due; only last change before the last 14 days; "
        "only entries with “refund” in them"
    )
