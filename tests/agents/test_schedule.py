"""When schedules fire, above all on the days the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from omniforge.agents.schedule import MAX_COUNTED, MisfirePolicy, due_fires, fires_after, next_fire, upcoming

BERLIN = "Europe/Berlin"  # 2026: forward on 29 March at 2:00, back on 25 October at 3:00


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(cron: str, zone: str, after: str, count: int) -> list[str]:
    """The next fires as wall-clock time with offset, after a wall-clock time there."""
    place = ZoneInfo(zone)
    start = datetime.fromisoformat(after).replace(tzinfo=place)
    return [f"{at.astimezone(place):%d %H:%M%z}" for at in islice(fires_after(cron, zone, start), count)]


def test_fires_are_wall_clock_times_of_their_zone() -> None:
    assert local("30 8 * * MON", BERLIN, "2026-11-21T10:00", 2) == ["23 08:30+0100", "30 08:30+0100"]
    assert next_fire("30 8 * * MON", BERLIN, utc("2026-11-21T10:00")) == utc("2026-11-23T07:30")


def test_a_time_that_does_not_exist_fires_at_the_first_instant_after_the_gap() -> None:
    assert local("30 2 * * *", BERLIN, "2026-03-28T12:00", 2) == ["29 03:00+0200", "30 02:30+0200"]


def test_several_times_in_the_gap_fire_once() -> None:
    assert local("*/15 2 * * *", BERLIN, "2026-03-28T12:00", 2) == ["29 03:00+0200", "30 02:00+0200"]
    assert local("0 2,3 * * *", BERLIN, "2026-03-28T12:00", 2) == ["29 03:00+0200", "30 02:00+0200"]


def test_a_time_that_comes_twice_fires_the_first_time_only() -> None:
    assert local("30 2 * * *", BERLIN, "2026-10-24T12:00", 2) == ["25 02:30+0200", "26 02:30+0100"]
    assert local("*/30 2 * * *", BERLIN, "2026-10-24T12:00", 3) == [
        "25 02:00+0200",
        "25 02:30+0200",
        "26 02:00+0100",
    ]


def test_after_the_first_of_the_doubled_times_comes_the_next_day() -> None:
    second = utc("2026-10-25T01:10")  # 2:10 for the second time
    assert next_fire("30 2 * * *", BERLIN, second) == utc("2026-10-26T01:30")


@pytest.mark.parametrize("cron", ["0 * * * *", "0 */1 * * *", "0 0-23/1 * * *"])
def test_hourly_schedules_follow_real_time(cron: str) -> None:
    assert local(cron, BERLIN, "2026-03-29T00:30", 3) == ["29 01:00+0100", "29 03:00+0200", "29 04:00+0200"]
    assert local(cron, BERLIN, "2026-10-25T01:30", 3) == ["25 02:00+0200", "25 02:00+0100", "25 03:00+0100"]


def test_a_gap_at_midnight_and_one_of_half_an_hour_are_treated_alike() -> None:
    assert local("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00", 2) == ["24 01:00+0300", "25 00:00+0300"]
    assert local("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00", 2) == [
        "04 02:30+1100",
        "05 02:15+1100",
    ]


def test_cronsim_alone_would_leave_out_a_day_and_double_another() -> None:
    """Why clock changes are not left to the library: minutes with a star in a fixed hour."""
    place = ZoneInfo(BERLIN)
    spring = CronSim("*/15 2 * * *", datetime(2026, 3, 28, 12, tzinfo=place))
    assert next(spring).day == 30
    autumn = CronSim("*/30 2 * * *", datetime(2026, 10, 24, 12, tzinfo=place))
    assert [next(autumn).day for _ in range(5)] == [25, 25, 25, 25, 26]


def test_day_and_weekday_together_mean_either() -> None:
    assert local("0 9 1 * MON", "UTC", "2026-11-21T10:00", 3) == [
        "23 09:00+0000",
        "30 09:00+0000",
        "01 09:00+0000",
    ]


def test_upcoming_fires_are_told_in_the_schedules_zone() -> None:
    found = upcoming("30 8 * * MON", BERLIN, utc("2026-11-21T10:00"), 2)
    assert [at.isoformat() for at in found] == ["2026-11-23T08:30:00+01:00", "2026-11-30T08:30:00+01:00"]


crons = st.tuples(
    st.sampled_from(["0", "30", "*/20", "5,35"]),
    st.sampled_from(["*", "2", "0", "*/3", "1,2,3"]),
    st.sampled_from(["*", "25-29"]),
).map(lambda fields: f"{' '.join(fields)} * *")
zones = st.sampled_from(
    ["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu"]
)
moments = st.integers(0, 2 * 365 * 24 * 60).map(
    lambda minutes: utc("2026-01-01T00:00") + timedelta(minutes=minutes)
)


@given(crons, zones, moments)
def test_fires_rise_and_going_on_from_any_of_them_gives_the_same_rest(
    cron: str, zone: str, after: datetime
) -> None:
    found = list(islice(fires_after(cron, zone, after), 12))
    assert all(one < two for one, two in zip([after, *found], found, strict=False))
    for index in range(len(found) - 1):
        assert next_fire(cron, zone, found[index]) == found[index + 1]


# --- late fires -------------------------------------------------------------------------------------------


def due(policy: str, since: str, now: str, cron: str = "0 * * * *") -> tuple[list[str], int | None, str]:
    found = due_fires(cron, "UTC", MisfirePolicy(policy), utc(since), utc(now))
    assert found.next is not None
    return [f"{at:%d %H:%M}" for at in found.run], found.dropped, f"{found.next:%d %H:%M}"


@pytest.mark.parametrize("policy", ["once", "skip", "all"])
def test_what_is_due_now_runs_whatever_the_policy(policy: str) -> None:
    assert due(policy, "2026-11-21T10:00", "2026-11-21T10:00:59") == (["21 10:00"], 0, "21 11:00")
    assert due(policy, "2026-11-21T10:00", "2026-11-21T10:00") == (["21 10:00"], 0, "21 11:00")


def test_missed_fires_once_skip_all() -> None:
    since, now = "2026-11-21T10:00", "2026-11-21T13:30"
    assert due("once", since, now) == (["21 13:00"], 3, "21 14:00")
    assert due("skip", since, now) == ([], 4, "21 14:00")
    assert due("all", since, now) == (["21 10:00", "21 11:00", "21 12:00", "21 13:00"], 0, "21 14:00")


def test_all_runs_the_oldest_hundred_and_tells_of_the_rest() -> None:
    run, dropped, _ = due("all", "2026-11-01T00:00", "2026-11-06T00:30")
    assert (len(run), run[0], dropped) == (100, "01 00:00", 21)


@pytest.mark.parametrize("policy", list(MisfirePolicy))
def test_years_of_missed_minutes_are_decided_quickly(policy: MisfirePolicy) -> None:
    since, now = utc("2020-01-01T00:00"), utc("2026-11-21T10:00:30")
    found = due_fires("* * * * *", "UTC", policy, since, now)
    assert found.dropped == MAX_COUNTED
    assert found.next == utc("2026-11-21T10:01")
    assert found.run[-1] == utc("2026-11-21T10:00")
    match policy:
        case MisfirePolicy.ONCE:
            assert found.run[0] == utc("2026-11-21T09:59")
        case MisfirePolicy.ALL:
            assert found.run[0] == since
        case MisfirePolicy.SKIP:
            assert len(found.run) == 1


def test_the_latest_of_many_is_found_however_long_ago_it_was() -> None:
    found = due_fires(
        "* * * 1 *", "UTC", MisfirePolicy.ONCE, utc("2026-01-01T00:00"), utc("2026-11-21T10:00")
    )
    assert found.run == (utc("2026-01-31T23:59"),)
    assert found.next == utc("2027-01-01T00:00")
