"""Windows in words, in the agent's zone."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from sandbox_kit.skill import Refused
from sandbox_kit.windows import span_words, window_bounds, zone_of

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
