"""The limit under the machine's load: pause, resume, growth, silence; and the figures it is judged by."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.engine.pressure import Governor, Mode, Notice, Reading, Thresholds
from omniforge.engine.sampling import container_memory, stalled, system_sampler

CALM = Reading(cpu=20, memory=40)
BETWEEN = Reading(cpu=80, memory=75)
BUSY = Reading(cpu=95, memory=40)
FULL = Reading(cpu=20, memory=86)


def feed(governor: Governor, *readings: Reading | None, start: float = 0.0, held: int = 8) -> list[Notice]:
    """One reading every five seconds."""
    notices: list[Notice] = []
    for number, reading in enumerate(readings):
        notices += governor.observe(start + 5 * number, reading, held)
    return notices


def test_busy_cpu_pauses_after_thirty_seconds_and_not_before() -> None:
    governor = Governor(64)
    assert feed(governor, *[BUSY] * 6) == []
    [(type_, payload)] = feed(governor, BUSY, start=30)
    assert type_ == "admission.paused"
    assert payload["reason"] == "cpu"
    assert payload["reading"]["cpu"] == 95
    assert governor.limit == 0


def test_a_moment_of_less_cpu_starts_the_thirty_seconds_again() -> None:
    governor = Governor(64)
    assert feed(governor, *[BUSY] * 6, CALM, *[BUSY] * 6) == []
    assert governor.mode is Mode.OPEN


def test_memory_pauses_at_once_and_only_a_calm_machine_resumes() -> None:
    governor = Governor(64)
    assert [type_ for type_, _ in feed(governor, FULL)] == ["admission.paused"]
    assert feed(governor, BETWEEN, Reading(74, 71), Reading(76, 60), start=5) == []
    assert governor.limit == 0
    assert [type_ for type_, _ in feed(governor, Reading(74, 69), start=20)] == ["admission.resumed"]
    assert governor.mode is Mode.OPEN


def test_tasks_that_stall_on_memory_pause_though_memory_is_left() -> None:
    governor = Governor(64)
    [(_, payload)] = feed(governor, Reading(20, 40, memory_stall=25.0))
    assert payload["reason"] == "memory_stall"
    assert feed(governor, Reading(20, 40, memory_stall=10.0), start=5) == []
    assert [type_ for type_, _ in feed(governor, Reading(20, 40, memory_stall=1.0), start=10)] == [
        "admission.resumed"
    ]


def test_a_pause_halves_what_ran_and_calm_readings_bring_it_back_step_by_step() -> None:
    governor = Governor(64)
    feed(governor, FULL, CALM, held=20)
    assert governor.limit == 10
    limits: list[int] = []
    for number in range(14):
        feed(governor, CALM, start=10 + 5 * number)
        limits.append(governor.limit)
    assert limits == [14, 18, 22, 26, 30, 34, 38, 42, 46, 50, 54, 58, 62, 64]


def test_a_pause_that_is_not_of_our_making_takes_nothing_away() -> None:
    governor = Governor(64)
    feed(governor, FULL, CALM, held=0)
    assert governor.limit == 64


def test_the_limit_does_not_grow_while_others_queue_for_the_cpu() -> None:
    governor = Governor(64)
    feed(governor, FULL, CALM, Reading(50, 40, cpu_stall=60.0), BETWEEN, held=20)
    assert governor.limit == 10


def test_silence_uses_the_last_good_reading_then_one_at_a_time() -> None:
    governor = Governor(64)
    assert feed(governor, CALM, *[None] * 5) == []
    assert governor.limit == 64
    [(type_, payload)] = feed(governor, None, start=30)
    assert (type_, payload["reason"], governor.limit) == ("admission.limited", "monitoring_silent", 1)
    assert feed(governor, None, None, start=35) == []
    [(type_, payload)] = feed(governor, BETWEEN, start=45)
    assert (type_, payload["reason"], governor.limit) == ("admission.resumed", "monitoring_back", 64)


def test_a_machine_that_was_never_measured_gets_one_at_a_time_after_thirty_seconds() -> None:
    governor = Governor(64)
    assert feed(governor, *[None] * 6) == []
    assert governor.limit == 64
    assert [type_ for type_, _ in feed(governor, None, start=30)] == ["admission.limited"]


def test_silence_while_the_last_good_reading_was_busy_still_pauses() -> None:
    governor = Governor(64)
    notices = feed(governor, *[BUSY] * 5, None, None)
    assert [type_ for type_, _ in notices] == ["admission.paused"]


def test_pressure_seen_when_sight_returns_pauses() -> None:
    governor = Governor(64)
    feed(governor, *[None] * 7)
    assert [type_ for type_, _ in feed(governor, FULL, start=35)] == ["admission.paused"]


@pytest.mark.parametrize(
    "reading",
    [
        Reading(math.nan, 40),
        Reading(20, math.inf),
        Reading(-1, 40),
        Reading(20, 101),
        Reading(20, 0),
        Reading(20, 40, memory_stall=math.nan),
        Reading(20, 40, cpu_stall=-3),
    ],
)
def test_absurd_values_count_as_silence(reading: Reading) -> None:
    governor = Governor(64)
    assert feed(governor, CALM, *[reading] * 5) == []
    assert governor.last == CALM
    assert [type_ for type_, _ in feed(governor, reading, start=30)] == ["admission.limited"]


def test_a_pause_that_outlasts_our_work_lets_one_run_until_the_pressure_is_over() -> None:
    governor = Governor(64)
    feed(governor, FULL, held=4)
    assert not governor.try_one(held=1)
    assert governor.try_one(held=0)
    assert governor.limit == 1
    assert feed(governor, FULL, BETWEEN, start=5) == []
    assert governor.limit == 1
    assert [type_ for type_, _ in feed(governor, CALM, start=15)] == ["admission.resumed"]
    assert governor.limit == 2
    assert not governor.try_one(held=0)


percents = st.floats(allow_nan=True, allow_infinity=True) | st.floats(0, 100)
readings = st.none() | st.builds(Reading, percents, percents, st.none() | percents, st.none() | percents)


@given(
    most=st.integers(1, 200),
    looks=st.lists(st.tuples(readings, st.floats(0, 40), st.integers(0, 200), st.booleans()), max_size=60),
)
def test_whatever_is_measured_the_limit_stays_in_its_bounds(
    most: int, looks: list[tuple[Reading | None, float, int, bool]]
) -> None:
    governor, now, paused = Governor(most), 0.0, False
    for reading, pause, held, stalled_out in looks:
        now += pause
        for type_, payload in governor.observe(now, reading, min(held, most)):
            assert payload["limit"] >= 1
            paused = type_ == "admission.paused"
        if stalled_out:
            paused = paused and not governor.try_one(held=0)
        assert 0 <= governor.limit <= most
        assert (governor.limit == 0) == paused
    for number in range(20):
        governor.observe(now + 5 * (number + 1), CALM, 0)
    assert governor.limit == most


def test_thresholds_are_settable() -> None:
    governor = Governor(8, Thresholds(memory_high=50))
    assert [type_ for type_, _ in feed(governor, Reading(10, 51))] == ["admission.paused"]


# --- figures of the machine --------------------------------------------------------------------------------


def test_a_look_at_this_machine_is_plausible() -> None:
    sample = system_sampler()
    assert sample().is_plausible


def test_stall_figures_are_read_from_the_kernel_format(tmp_path: Path) -> None:
    file = tmp_path / "memory"
    file.write_text(
        "some avg10=12.50 avg60=1.00 avg300=0.00 total=9\nfull avg10=3.25 avg60=0 avg300=0 total=1\n"
    )
    assert stalled(file, "some") == 12.5
    assert stalled(file, "full") == 3.25


@pytest.mark.parametrize("text", ["", "full", "full avg10= avg60=1", "full avg60=1", "some avg10=1"])
def test_stall_figures_that_are_not_there_are_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "memory"
    file.write_text(text)
    assert stalled(file, "full") is None
    assert stalled(tmp_path / "missing", "full") is None


def container(folder: Path, most: str) -> Path:
    (folder / "memory.max").write_text(f"{most}\n")
    (folder / "memory.current").write_text("900\n")
    (folder / "memory.stat").write_text("anon 100\ninactive_file 100\n")
    return folder


def test_memory_of_a_container_counts_against_its_own_limit_without_file_cache(tmp_path: Path) -> None:
    assert container_memory(container(tmp_path, "1000")) == 80.0


def test_a_container_without_a_limit_has_no_figure_of_its_own(tmp_path: Path) -> None:
    assert container_memory(tmp_path) is None
    assert container_memory(container(tmp_path, "max")) is None


def test_a_full_container_shows_on_a_roomy_machine(tmp_path: Path) -> None:
    container(tmp_path, "805")
    assert system_sampler(psi=tmp_path, cgroups=tmp_path)().memory >= 99.0
