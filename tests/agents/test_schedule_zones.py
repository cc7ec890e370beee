"""Schedules against the tz database itself: every change of the clocks there is, and a table of odd ones."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import TZPATH, ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniforge.agents.schedule import check_cron, fires_after, next_fire

FIRST, LAST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SHARDS = 4
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


# --- a second opinion: minute by minute --------------------------------------------------------------------


@dataclass(frozen=True)
class Fields:
    """Cron fields as plain sets, read by other code than ours."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool
    elapsed: bool

    @classmethod
    def of(cls, cron: str) -> Fields:
        minute, hour, day, month, weekday = cron.upper().split()
        return cls(
            numbers(minute, 0, 59),
            numbers(hour, 0, 23),
            numbers(day, 1, 31),
            numbers(month, 1, 12, MONTHS, 1),
            frozenset(number % 7 for number in numbers(weekday, 0, 7, DAYS)),
            not day.startswith("*") and not weekday.startswith("*"),
            "*" in hour or "/" in hour,
        )

    def match(self, wall: datetime) -> bool:
        if wall.minute not in self.minutes or wall.hour not in self.hours or wall.month not in self.months:
            return False
        day, weekday = wall.day in self.days, wall.isoweekday() % 7 in self.weekdays
        return day or weekday if self.either else day and weekday


def numbers(field: str, low: int, high: int, names: Sequence[str] = (), first: int = 0) -> frozenset[int]:
    found: set[int] = set()
    for term in field.split(","):
        span, _, step = term.partition("/")
        begin, _, end = span.partition("-")
        named = {name: number for number, name in enumerate(names, first)}
        start = low if span == "*" else named[begin] if begin in named else int(begin)
        stop = start if not end else 7 if end == "SUN" else named[end] if end in named else int(end)
        if span == "*" or (step and not end):
            stop = high
        found.update(range(start, stop + 1, int(step or 1)))
    return frozenset(found)


def minute_by_minute(cron: str, place: ZoneInfo, begin: datetime, end: datetime) -> list[datetime]:
    """The fires later than `begin` up to `end`: the clock on the wall is looked at every minute."""
    fields, found = Fields.of(cron), list[datetime]()
    at, shown = begin, begin.astimezone(place)
    while at < end:
        at += MINUTE
        before, shown = shown, at.astimezone(place)
        fires = fields.match(shown) and (fields.elapsed or shown.fold == 0)
        wall, now = before.replace(tzinfo=None) + MINUTE, shown.replace(tzinfo=None)
        while wall < now and not fields.elapsed:  # what the clock did not show
            fires = fires or fields.match(wall)
            wall += MINUTE
        if fires:
            found.append(at)
    return found


# --- every change of the clocks ----------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class Change:
    """From this instant on the clocks show another offset (minutes)."""

    at: datetime
    before: int
    after: int


def zone_data(name: str) -> bytes:
    for folder in TZPATH:
        path = Path(folder) / name
        if path.is_file():
            return path.read_bytes()
    return resources.files("tzdata.zoneinfo").joinpath(*name.split("/")).read_bytes()


@cache
def changes() -> dict[Change, str]:
    """Every change from 1990 to 2037 in any zone, each with one of the zones that have it."""
    kinds = {zone_data(name): name for name in sorted(available_timezones())}
    found: dict[Change, str] = {}
    for name in sorted(kinds.values()):
        found.update(dict.fromkeys(changes_of(ZoneInfo(name)), name))
    return found


def changes_of(place: ZoneInfo) -> Iterator[Change]:
    step = timedelta(days=5)
    at, offset = FIRST, minutes_of(place, FIRST)
    while at < LAST:
        if minutes_of(place, at + step) == offset:
            at += step
            continue
        low, high = at, at + step
        while high - low > timedelta(seconds=1):
            middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
            low, high = (middle, high) if minutes_of(place, middle) == offset else (low, middle)
        after = minutes_of(place, high)
        yield Change(high, offset, after)
        at, offset = high, after


def minutes_of(place: ZoneInfo, at: datetime) -> int:
    offset = at.astimezone(place).utcoffset()
    assert offset is not None
    return int(offset.total_seconds()) // 60


def test_the_tz_database_has_the_changes_that_this_looks_at() -> None:
    found = changes()
    assert len(available_timezones()) > 400
    assert len(found) > 4_000
    assert all(change.at.second == 0 for change in found)
    assert {change.after - change.before for change in found} >= {60, -60, 30, -30, 24 * 60, 120, -120}


def comes(cron: str) -> bool:
    try:
        check_cron(cron)
    except ValueError:  # the thirtieth of February
        return False
    return True


def near(change: Change, chance: random.Random) -> str:
    """A schedule that has to do with this change: its times are about that of the wall clock then."""
    wall = (change.at + change.before * MINUTE).replace(tzinfo=None)
    hours = [(wall.hour + more) % 24 for more in (-1, 0, 0, 1, 2)]
    hour, other = chance.choice(hours), chance.choice(hours)
    minute = chance.choice(
        ["0", "30", "*", "*/20", "15,45", "59", "1-5", str(chance.randrange(60)), "*/7", str(wall.minute)]
    )
    hour_field = chance.choice(
        [str(hour), str(hour), f"{hour},{other}", "*", "*/2", "*/3", f"{hour}/5", "0-6"]
    )
    day = chance.choice(["*", "*", "*", str(wall.day), f"{wall.day}-31", "*/2", "1,15,30", "31"])
    weekday = chance.choice(
        ["*", "*", "*", str(wall.isoweekday()), "SUN", "MON-FRI", "0,6", "5-7", "sat,Sun"]
    )
    month = chance.choice(["*", "*", MONTHS[wall.month - 1], f"{wall.month}-12", "*/3"])
    cron = f"{minute} {hour_field} {day} {month} {weekday}"
    return cron if comes(cron) else near(change, chance)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_around_every_change_of_the_clocks_the_fires_are_those_of_a_look_at_every_minute(shard: int) -> None:
    for change, name in islice(sorted(changes().items()), shard, None, SHARDS):
        chance = random.Random(f"{change} {name}")
        place, cron = ZoneInfo(name), near(change, chance)
        gap = max(0, change.after - change.before) * MINUTE
        begin, end = change.at - 3 * HOUR, change.at + 4 * HOUR + min(gap, 2 * HOUR)
        begin += chance.choice([0, 0, 170, 180, 181, 185, 200, 230]) * MINUTE
        expected = minute_by_minute(cron, place, begin, end)
        found = list(until(cron, name, begin, end))
        assert found == expected, f"{cron} in {name} around {change.at}"


def until(cron: str, zone: str, begin: datetime, end: datetime) -> Iterator[datetime]:
    for at in fires_after(cron, zone, begin):
        if at > end:
            return
        yield at


terms = {
    "minute": ["0", "*", "*/15", "30", "5,35", "7-9", "59"],
    "hour": ["*", "*/4", "0", "2", "1,2,3", "0-23/6", "22-23", "23"],
    "day": ["*", "*", "1", "29", "31", "28-31", "*/2"],
    "month": ["*", "*", "2", "MAR,oct", "*/6"],
    "weekday": ["*", "*", "0", "7", "SUN", "1-5", "FRI-SUN"],
}
crons = st.tuples(*(st.sampled_from(values) for values in terms.values())).map(" ".join).filter(comes)
zones = st.sampled_from(sorted(available_timezones()))
moments = st.integers(0, int((LAST - FIRST) / MINUTE)).map(lambda minutes: FIRST + minutes * MINUTE)


@settings(max_examples=60, deadline=None)
@given(crons, zones, moments)
def test_any_schedule_in_any_zone_at_any_time(cron: str, zone: str, begin: datetime) -> None:
    end = begin + timedelta(days=2)
    assert list(until(cron, zone, begin, end)) == minute_by_minute(cron, ZoneInfo(zone), begin, end)


@settings(max_examples=100, deadline=None)
@given(crons, zones, moments, st.integers(0, 3_000))
def test_where_one_begins_to_look_makes_no_difference(
    cron: str, zone: str, begin: datetime, later: int
) -> None:
    other = begin + later * MINUTE
    fires = islice(fires_after(cron, zone, begin), 200)
    after = next((at for at in fires if at > other), None)
    if after is not None:
        assert next_fire(cron, zone, other) == after


# --- the table ---------------------------------------------------------------------------------------------


def table() -> Iterator[Any]:
    """Rows of `schedule_table.txt`: schedule, zone, after when, expected fires."""
    text = Path(__file__).with_name("schedule_table.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    for row, fires in zip(lines[::2], lines[1::2], strict=True):
        what, *rest = row.split(" | ")
        yield pytest.param(*rest, fires.strip().split(", "), id=what)


@pytest.mark.parametrize(("cron", "zone", "after", "expected"), list(table()))
def test_the_table(cron: str, zone: str, after: str, expected: list[str]) -> None:
    place = ZoneInfo(zone)
    check_cron(cron)
    begin = datetime.fromisoformat(after).replace(tzinfo=place)
    found = islice(fires_after(cron, zone, begin), len(expected))
    assert [f"{at.astimezone(place):%d %H:%M%z}" for at in found] == expected


def test_dates_that_are_rare_come_in_their_years() -> None:
    leaps = islice(fires_after("0 9 29 2 *", "UTC", datetime(2090, 1, 1, tzinfo=UTC)), 3)
    assert [at.year for at in leaps] == [2092, 2096, 2104]
    long = islice(fires_after("0 9 31 * *", "UTC", datetime(2026, 1, 1, tzinfo=UTC)), 7)
    assert [at.month for at in long] == [1, 3, 5, 7, 8, 10, 12]


WRONG = """0 9 * * * *; @every 5m; @hourly; 0 9 31 2 *; 0 9 30 2 *; 60 * * * *; 0 24 * * *; * * * *;
0 0 L * *; 0 0 * * 1#2; 0 0 15W * *; 0 0 ? * *; */0 * * * *; 0 0 0 * *;
0 0 * 13 *; 0 0 * * 8; 0 5-2 * * *; ;
0 0 * * MOON; -1 * * * *; 1.5 * * * *; 0 0 * * \u0661"""


@pytest.mark.parametrize("cron", WRONG.replace("\n", " ").split("; "))
def test_what_is_no_schedule_is_refused_with_an_example(cron: str) -> None:
    with pytest.raises(ValueError, match=r"e\.g\. |never"):
        check_cron(cron)
