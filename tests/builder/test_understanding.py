"""Stance, schedules, references and fields over tables and random text; labelled sentences are in corpus/."""

# ruff: noqa: E501 - what people say stands on one line

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st
from tests.builder.world import FIELDS

from omniforge.builder.understanding.cron_words import next_times, read_back
from omniforge.builder.understanding.fields import Field, match_field
from omniforge.builder.understanding.references import resolve
from omniforge.builder.understanding.schedule import Schedule, read_schedule
from omniforge.builder.understanding.shaping import Only, OrderRule
from omniforge.builder.understanding.slots import Known, Slots, Source, read_slots
from omniforge.builder.understanding.stance import Act, Stance, read_stance
from omniforge.builder.understanding.windows import find_window

NAMES = ["Client Projects", "Internal Initiatives", "Archived"]


@given(st.text(max_size=200))
def test_stance_is_total_and_a_yes_needs_a_word_for_it(text: str) -> None:
    reading = read_stance(text)
    assert isinstance(reading.stance, Stance)


@given(
    st.sampled_from(["yes", "ok", "sure", "go ahead"]),
    st.text(alphabet="bcdfgjklmnpqrvwxz", min_size=4, max_size=12),
)
def test_a_yes_with_an_unknown_word_is_never_a_yes(yes: str, unknown: str) -> None:
    assert read_stance(f"{yes} {unknown}").stance is not Stance.YES


def test_choices_by_letter_ordinal_and_number() -> None:
    assert [read_stance(t).choice for t in ("B", "option c", "the second one", "3", "the last one")] == [
        2,
        3,
        2,
        3,
        -1,
    ]


def test_deeds_are_told_apart() -> None:
    said = {
        "switch it on": Act.ACTIVATE,
        "test it": Act.TEST,
        "create it": Act.CREATE,
        "try again": Act.RETRY,
    }
    assert {text: read_stance(text).act for text in said} == said


@pytest.mark.parametrize(
    ("text", "cron", "zone", "event"),
    [
        ("every Monday at 9am", "0 9 * * MON", None, "scheduled"),
        ("every Monday at 8:30am", "30 8 * * MON", None, "scheduled"),
        ("every morning at 9am", "0 9 * * *", None, "scheduled"),
        ("every weekday at 7", "0 7 * * MON-FRI", None, "scheduled"),
        ("every hour during business hours", "0 9-17 * * MON-FRI", None, "scheduled"),
        ("first of each month", "0 9 1 * *", None, "scheduled"),
        ("every Friday at 4pm Pacific", "0 16 * * FRI", "America/Los_Angeles", "scheduled"),
        ("Monday morning before my 9:00 meeting", "30 8 * * MON", None, "scheduled"),
        ("every 15 minutes", "*/15 * * * *", None, "scheduled"),
        ("when a new row appears", "", None, "event_driven"),
        ("for each new entry", "", None, "event_driven"),
        ("as soon as someone posts", "", None, "event_driven"),
        ("only when I ask", "", None, "on_demand"),
    ],
)
def test_the_rows_everybody_expects(text: str, cron: str, zone: str | None, event: str) -> None:
    found = read_schedule(text)
    assert isinstance(found, Schedule)
    assert (found.cron, found.timezone, found.event) == (cron, zone, event)


def test_a_change_keeps_the_other_half_of_the_plan() -> None:
    base = Schedule(cron="30 8 * * MON", timezone="Europe/Berlin")
    said = {
        "make it 10": "0 10 * * MON",
        "Tuesdays instead": "30 8 * * TUE",
        "Tuesday instead of Monday": "30 8 * * TUE",
        "move it from 8:30 to 9": "0 9 * * MON",
        "actually every weekday": "30 8 * * MON-FRI",
    }
    found = {text: read_schedule(text, base=base) for text in said}
    assert {text: plan.cron for text, plan in found.items() if isinstance(plan, Schedule)} == said


@given(
    st.sampled_from(["Monday", "Tuesdays", "weekdays", "weekends", "the 3rd of each month"]),
    st.integers(6, 23), st.integers(0, 59), st.sampled_from(["", " Berlin time", " Pacific"]),
)  # fmt: skip
def test_every_plan_fires_and_reads_back(day: str, hour: int, minute: int, zone: str) -> None:
    found = read_schedule(f"every {day} at {hour}:{minute:02}{zone}", expected=True)
    assert isinstance(found, Schedule)
    fields = found.cron.split()
    assert fields[:2] == [str(minute), str(hour)]
    CronSim(found.cron, datetime(2026, 1, 1, tzinfo=UTC))
    assert f"{hour}:{minute:02}" in read_back(found.cron, None) or (hour == 12 and minute == 0) or hour > 12


@given(st.text(max_size=300))
def test_any_text_gives_a_plan_that_fires_a_question_or_nothing(text: str) -> None:
    found = read_schedule(text, expected=True)
    if isinstance(found, Schedule) and found.cron:
        next_times(found.cron, found.timezone or "UTC", datetime(2026, 1, 1, tzinfo=UTC))


def test_a_skipped_time_fires_after_the_gap_and_a_doubled_one_once() -> None:
    zone = "Europe/Berlin"
    spring = next_times("30 2 * * *", zone, datetime(2027, 3, 27, 12, tzinfo=UTC), 2)
    assert [t.isoformat() for t in spring] == ["2027-03-28T03:00:00+02:00", "2027-03-29T02:30:00+02:00"]
    autumn = next_times("30 2 * * *", zone, datetime(2026, 10, 24, 12, tzinfo=UTC), 2)
    assert [t.isoformat() for t in autumn] == ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
    hourly = next_times("0 * * * *", zone, datetime(2026, 10, 24, 23, 30, tzinfo=UTC), 3)
    elapsed = [b.astimezone(UTC) - a.astimezone(UTC) for a, b in pairwise(hourly)]
    assert elapsed == [timedelta(hours=1)] * 2
    assert hourly[0].tzinfo == ZoneInfo(zone)


def test_read_back_in_plain_words() -> None:
    assert read_back("30 8 * * MON", "Europe/Berlin") == "every Monday at 8:30 in the morning (Europe/Berlin)"
    assert read_back("0 12 * * *", None) == "every day at noon (12:00)"
    assert read_back("0 0 1 * *", None) == "on the 1st of each month at midnight (0:00)"


@pytest.mark.parametrize(
    ("text", "positions"),
    [
        ("the first two", (0, 1)), ("A and B", (0, 1)), ("1, 2", (0, 1)), ("all but Archived", (0, 1)),
        ("all of them", (0, 1, 2)), ("the last one", (2,)), ("client projects and the internal ones", (0, 1)),
        ("everything except the archive", (0, 1)), ("the second", (1,)), ("C", (2,)), ("both", ()),
        ("internal initatives", (1,)), ("the first four", ()), ("marketing", ()), ("first and third", (0, 2)),
        ("use both except the archive", (0, 1)), ("all the active ones", (0, 1)), ("the two live ones", (0, 1)),
        ("client projects, internal initiatives - leave the archive alone", (0, 1)),
        ("Projects & initiatives, no archive", (0, 1)), ("no, the first two", (0, 1)),
    ],
)  # fmt: skip
def test_references_against_the_list_shown(text: str, positions: tuple[int, ...]) -> None:
    assert resolve(text, NAMES).positions == positions


@given(st.text(max_size=100), st.lists(st.text(max_size=20), max_size=6))
def test_references_stay_inside_the_list(text: str, names: list[str]) -> None:
    assert all(0 <= i < len(names) for i in resolve(text, names).positions)


@pytest.mark.parametrize(
    ("phrase", "names"),
    [
        ("updates", ("Latest Update",)), ("project owner", ("Owner",)), ("deadline", ("Due Date",)),
        ("date", ("Due Date", "Start Date")), ("budget", ()), ("who is responsible", ()), ("customer", ("Client",)),
        ("blocker", ("Blockers",)),
    ],
)  # fmt: skip
def test_words_are_matched_to_real_fields(phrase: str, names: tuple[str, ...]) -> None:
    assert match_field(phrase, FIELDS).names == names


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("last week's updates", "last_week"), ("over the past 10 days", "last_10_days"), ("this week", "this_week"),
        ("since Monday", "since_monday"), ("from the last two weeks", "last_14_days"), ("yesterday", "yesterday"),
        ("previous month", "last_month"), ("month to date", "this_month"), ("the last 24 hours", "last_1_days"),
    ],
)  # fmt: skip
def test_time_spans(text: str, window: str) -> None:
    found = find_window(text)
    assert found
    assert found.window == window


KNOWN = Known(FIELDS, (Source(id="1", name="Client Projects"), Source(id="3", name="Archived")), ("notion",))
BUILT = Slots(
    goal="report", service="notion", sources=(Source(id="1", name="Client Projects"),),
    fields=("Latest Update", "Status", "Blockers"), group="Client",
    schedule=Schedule(cron="30 8 * * MON"), origins={"fields": "said", "group": "said", "schedule": "derived"},
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "slot", "value"),
    [
        ("Yes, but also the project owner", "fields", ("Latest Update", "Status", "Blockers", "Owner")),
        ("remove blockers", "fields", ("Latest Update", "Status")),
        ("owner instead of blockers", "fields", ("Latest Update", "Status", "Owner")),
        ("just status and owner", "fields", ("Status", "Owner")),
        ("no grouping please", "group", None),
        ("group it by owner", "group", "Owner"),
        ("one section per owner", "group", "Owner"),
        ("call it Monday Digest", "name", "Monday Digest"),
        ("make it a table", "format", "table"),
        ("only the last 7 days", "window", "last_7_days"),
        ("no bullets, just text", "format", "plain"),
        ("only at risk and blocked ones", "only", (Only(field="Status", values=("At Risk", "Blocked")),)),
        ("high priority first", "order", (OrderRule(field="Priority", first=("High",)),)),
        ("add the archive as well", "sources", (*BUILT.sources, KNOWN.resources[1])),
    ],
)
def test_amendments_touch_what_they_name(text: str, slot: str, value: object) -> None:
    update = read_slots(text, BUILT, KNOWN, stance=read_stance(text).stance)
    assert getattr(update.slots, slot) == value
    assert update.touched == (slot,)
    assert not update.problems


@pytest.mark.parametrize(
    "text",
    [
        "Put At Risk first",
        "nice, but At Risk should lead",
        "move at risk up",
        "the at risk stuff belongs at the top",
        "at-risk projects on top please",
        "can you show the At Risk ones first?",
        "start with At Risk",
    ],
)
def test_values_come_first_however_it_is_said(text: str) -> None:
    update = read_slots(text, BUILT, KNOWN, stance=read_stance(text).stance)
    assert [(r.field, r.first) for r in update.slots.order] == [("Status", ("At Risk",))]


def test_what_cannot_be_done_is_named_and_changes_nothing() -> None:
    said = {
        "add the budget too": "field",
        "group by region": "group",
        "put overdue first": "order",
        "post it to Slack": "service",
        "as a PDF": "format",
    }
    for text, kind in said.items():
        update = read_slots(text, BUILT, KNOWN, stance=read_stance(text).stance)
        assert [p.kind for p in update.problems] == [kind], text
        assert update.slots == BUILT


@given(st.text(max_size=400))
def test_slots_are_total_over_any_text(text: str) -> None:
    update = read_slots(text, BUILT, KNOWN, stance=read_stance(text).stance, expected=("fields", "schedule"))
    assert Slots.model_validate_json(update.slots.model_dump_json()) == update.slots


def test_long_nasty_text_is_read_in_no_time() -> None:
    for nasty in (
        "a " * 2000,
        "at 9 " * 800,
        "by the the " * 360,
        "yes " * 1000,
        "first " * 660,
        "1,2," * 1000,
        "-" * 4000,
    ):
        started = time.perf_counter()
        read_stance(nasty)
        read_slots(nasty, BUILT, KNOWN, expected=("fields", "schedule"))
        resolve(nasty, NAMES)
        assert time.perf_counter() - started < 2.0, nasty[:20]


def test_fields_survive_strange_names() -> None:
    fields = [Field(name="  "), Field(name="🚀"), Field(name="a" * 1000), Field(name='"; DROP')]
    assert match_field("status", fields).names == ()
