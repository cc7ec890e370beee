"""Windows in words, in the agent's zone."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from sandbox_kit.skill import Refused, Request
from sandbox_kit.windows import Span, moment_of, span_of, span_words, window_bounds, zone_of

NOW = datetime(2026, 11, 25, 8, 30, tzinfo=timezone.utc)  # noqa: UP017 - Python 3.9; a Wednesday


def day(number: int) -> datetime:
    return NOW.replace(day=number, hour=0, minute=0)


@pytest.mark.parametrize(
    ("words", "bounds"),
    [
        ("last_week", (day(16), day(23))),
        ("This week", (day(23), NOW)),
        ("yesterday", (day(24), day(25))),
        ("today", (day(25), NOW)),
        ("last-7-days", (day(18), NOW)),
        ("the past 2 weeks", (day(11), NOW)),
        ("1 day", (day(24), NOW)),
    ],
)
def test_a_window_is_understood_however_it_is_written(words: str, bounds: tuple[datetime, datetime]) -> None:
    assert window_bounds(words, NOW) == bounds


@pytest.mark.parametrize("words", ["", "soon", "last 0 days", "last month", "7"])
def test_another_window_is_refused_with_those_there_are(words: str) -> None:
    with pytest.raises(Refused, match="last_week, this_week"):
        window_bounds(words, NOW)


def test_a_zone_that_is_not_known_here_is_said_and_days_follow_the_moment_given() -> None:
    zone, note = zone_of({"timezone": "Mars/Olympus", "now": "2026-11-25T08:30:00+02:00"})
    assert zone is not None
    assert NOW.astimezone(zone).hour == 10
    assert "Mars/Olympus" in note
    assert zone_of({"timezone": "Europe/Berlin", "now": "2026-11-25T08:30:00Z"})[1] == ""


def test_a_span_names_its_last_day() -> None:
    assert span_words(day(16), day(23)) == "16 November 2026 to 22 November 2026"


def spanned(window: str | None, now: str, zone: str = "Europe/Berlin") -> Span:
    context = {"now": now, "timezone": zone}
    config = {} if window is None else {"window": window}
    return span_of(Request(input={}, config=config, context=context, tools=[], run_id="", step="", skill={}))


@pytest.mark.parametrize(
    ("window", "after", "before"),
    [
        ("yesterday", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),
        ("last_7_days", "2026-10-19T00:00:00+02:00", "2026-10-26T08:30:00+01:00"),
        ("last_1_days", "2026-10-25T08:30:00+01:00", "2026-10-26T08:30:00+01:00"),
        ("since_friday", "2026-10-23T00:00:00+02:00", "2026-10-26T08:30:00+01:00"),
        ("last_month", "2026-09-01T00:00:00+02:00", "2026-10-01T00:00:00+02:00"),
        ("this_month", "2026-10-01T00:00:00+02:00", "2026-10-26T08:30:00+01:00"),
        ("this_week", "2026-10-26T00:00:00+01:00", "2026-10-26T08:30:00+01:00"),
    ],
)
def test_the_window_of_the_settings_over_a_clock_change(window: str, after: str, before: str) -> None:
    span = spanned(window, "2026-10-26T07:30:00+00:00")
    assert span.after is not None
    assert span.before is not None
    assert (span.after.isoformat(), span.before.isoformat()) == (after, before)


def test_no_window_is_no_bound() -> None:
    for window in (None, "all"):
        span = spanned(window, "2026-10-26T07:30:00+00:00")
        assert (span.after, span.before, span.words) == (None, None, "whenever it was changed")
        assert span.holds(NOW)
        assert span.holds(None)


def test_a_span_holds_its_first_moment_and_not_its_last() -> None:
    span = Span(day(1), day(2))
    assert [span.holds(moment) for moment in (day(1), day(2), None)] == [True, False, True]


def test_a_zone_that_is_not_known_here_is_told() -> None:
    span = spanned("last_week", "2026-11-16T08:30:00+01:00", "Nowhere/Land")
    assert "UTC+01:00" in span.note
    assert span.after is not None
    assert span.after.isoformat() == "2026-11-09T00:00:00+01:00"
    with pytest.raises(Refused):
        spanned("next tuesday", "2026-11-16T08:30:00+01:00")


@pytest.mark.parametrize("text", ["", "soon", "2026-11-20", "2026-11-20T10:00:00", None])
def test_what_is_no_moment_with_a_zone_is_none(text: str | None) -> None:
    assert moment_of(text) is None
