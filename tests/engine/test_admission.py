"""Slots under virtual time: limits, cancellation, rates, the machine's load, stalls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from admission_stage import CALM, FULL, A, B, C, Stage, settle
from omniforge.core.config import Settings
from omniforge.core.errors import Invalid
from omniforge.engine.admission import Admission
from omniforge.engine.pressure import Reading, Thresholds
from omniforge.engine.slots import WAITED_FOR, Limits, NeverFits, Rate, SlotRequest
from omniforge.engine.spawning import SpawnLimits, needs_approval


def test_a_number_means_that_many_slots_for_everybody() -> None:
    admission = Admission(2)
    assert admission.try_acquire(A)
    assert admission.try_acquire(A)
    assert not admission.try_acquire(B)
    assert (admission.free, admission.held, admission.waiting, admission.paused) == (0, 2, 0, False)
    admission.release(A)
    assert admission.try_acquire(B)
    assert (admission.held_by("a"), admission.held_by("b")) == (1, 1)


def test_a_tenant_limit_leaves_the_rest_to_others() -> None:
    admission = Admission(Limits(8, per_tenant=2, tenants={"big": 3}))
    assert [admission.try_acquire(A) for _ in range(3)] == [True, True, False]
    assert [admission.try_acquire(SlotRequest("big")) for _ in range(4)] == [True, True, True, False]
    assert admission.free == 3


def test_a_call_counts_for_its_provider_and_for_its_model() -> None:
    admission = Admission(Limits(16, providers={"acme": 3, "acme/large": 1}))
    large, small = (
        SlotRequest("a", provider="acme", model="large"),
        SlotRequest("a", provider="acme", model="small"),
    )
    assert [admission.try_acquire(large) for _ in range(2)] == [True, False]
    assert [admission.try_acquire(small) for _ in range(3)] == [True, True, False]
    assert admission.try_acquire(SlotRequest("a", provider="other"))
    admission.release(large)
    assert admission.try_acquire(large)


def test_sandboxes_and_memory_are_counted() -> None:
    admission = Admission(Limits(16, sandboxes=1, memory_mb=1000))
    assert [admission.try_acquire(SlotRequest("a", sandbox=True)) for _ in range(2)] == [True, False]
    assert [admission.try_acquire(SlotRequest("a", memory_mb=500)) for _ in range(2)] == [True, False]
    admission.release(SlotRequest("a", memory_mb=500))
    assert admission.try_acquire(SlotRequest("a", memory_mb=1000))


async def test_what_can_never_fit_is_refused_at_once() -> None:
    admission = Admission(Limits(4, per_tenant=3, memory_mb=100))
    for request in (SlotRequest("a", slots=5), SlotRequest("a", slots=4), SlotRequest("a", memory_mb=101)):
        assert not admission.try_acquire(request)
        with pytest.raises(NeverFits):
            admission.check(request)
        with pytest.raises(NeverFits):
            await admission.acquire(request)
    assert admission.free == 4
    admission.check(SlotRequest("a", slots=3, memory_mb=100))


@pytest.mark.parametrize("make", [lambda: SlotRequest("a", slots=0), lambda: SlotRequest("a", memory_mb=-1)])
def test_a_request_for_less_than_nothing_is_invalid(make: Callable[[], SlotRequest]) -> None:
    with pytest.raises(Invalid):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Limits(0),
        lambda: Limits(4, per_tenant=0),
        lambda: Limits(4, weights={"a": float("nan")}),
        lambda: Limits(4, providers={"acme": -1}),
        lambda: Limits(4, rates={"acme": Rate(5, 0)}),
    ],
)
def test_limits_below_one_are_invalid(make: Callable[[], Limits]) -> None:
    with pytest.raises(Invalid) as caught:
        make()
    assert caught.value.details["fields"]


def test_what_was_not_held_is_not_given_back() -> None:
    admission = Admission(2)
    assert admission.try_acquire(A)
    admission.release(B)
    assert (admission.free, admission.held_by("a")) == (1, 1)


def test_limits_come_from_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIFORGE_MAX_PROVIDER_CALLS", "acme=8, acme/large=2")
    monkeypatch.setenv("OMNIFORGE_MAX_PROVIDER_RATE", "acme=50")
    monkeypatch.setenv("OMNIFORGE_MAX_TENANT_STEPS", "5")
    monkeypatch.setenv("OMNIFORGE_PRESSURE_MEMORY_HIGH", "80")
    read = Settings(home=tmp_path)
    assert Limits.from_settings(read) == Limits(
        64, per_tenant=5, providers={"acme": 8, "acme/large": 2}, rates={"acme": Rate(50)}
    )
    assert Thresholds.from_settings(read) == Thresholds(memory_high=80)
    assert SpawnLimits.from_settings(read) == SpawnLimits()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_PROVIDER_CALLS", "acme"),
        ("MAX_PROVIDER_CALLS", "acme=many"),
        ("MAX_PROVIDER_RATE", "acme=0"),
        ("MAX_PROVIDER_RATE", "=4"),
        ("MAX_ACTIVE_STEPS", "0"),
        ("PRESSURE_CPU_LOW", "95"),
        ("PRESSURE_MEMORY_HIGH", "60"),
    ],
)
def test_settings_without_sense_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"OMNIFORGE_{name}", value)
    with pytest.raises(ValueError, match=r"validation error"):
        Settings(home=tmp_path)


# --- cancellation --------------------------------------------------------------------------------------


async def test_a_waiter_that_is_cancelled_leaves_the_line() -> None:
    stage = Stage(1)
    await stage.start("first", A, hold=5)
    await stage.start("gone", A)
    await stage.start("next", A)
    stage.tasks["gone"].cancel()
    await settle()
    assert stage.admission.waiting == 1
    await stage.clock.advance(6)
    assert stage.order == ["first", "next"]
    assert stage.admission.free == 1


async def test_a_waiter_that_is_cancelled_as_it_is_served_passes_the_slot_on() -> None:
    admission = Admission(1)
    assert admission.try_acquire(A)
    served = asyncio.create_task(admission.acquire(A))
    after = asyncio.create_task(admission.acquire(B))
    await settle()
    admission.release(A)
    served.cancel()
    await settle()
    assert served.cancelled()
    assert after.done()
    assert (admission.held, admission.waiting, admission.held_by("b")) == (1, 0, 1)


async def test_a_waiter_that_is_cancelled_before_its_turn_does_not_swallow_the_slot() -> None:
    admission = Admission(1)
    assert admission.try_acquire(A)
    gone = asyncio.create_task(admission.acquire(A))
    after = asyncio.create_task(admission.acquire(A))
    await settle()
    gone.cancel()
    admission.release(A)
    await settle()
    assert after.done()
    assert (admission.held, admission.waiting) == (1, 0)


async def test_room_kept_for_a_wide_step_is_given_up_when_it_is_cancelled() -> None:
    stage = Stage(4)
    await stage.start("early", A, hold=1000)
    await stage.start("wide", SlotRequest("b", slots=4))
    await stage.clock.advance(301)
    await stage.start("small", A)
    assert stage.order == ["early"]
    stage.tasks["wide"].cancel()
    await settle()
    assert stage.order == ["early", "small"]
    await stage.finish()


async def test_tenant_room_kept_for_a_wide_step_is_given_up_when_it_is_cancelled() -> None:
    stage = Stage(Limits(16, per_tenant=4))
    await stage.start("early", A, hold=1000)
    await stage.start("wide", SlotRequest("a", slots=4))
    await stage.clock.advance(301)
    await stage.start("small", A)
    assert stage.order == ["early"]
    stage.tasks["wide"].cancel()
    await settle()
    assert stage.order == ["early", "small"]
    await stage.finish()


async def test_room_kept_for_a_step_goes_on_when_it_is_cancelled_in_the_same_moment() -> None:
    stage = Stage(4)
    assert stage.admission.try_acquire(C)
    await stage.start("wide", SlotRequest("b", slots=4))
    await stage.clock.advance(301)
    await stage.start("small", A)
    assert stage.order == []
    stage.tasks["wide"].cancel()
    stage.admission.release(C)
    await settle()
    assert stage.order == ["small"]
    await stage.finish()


async def test_waiters_that_come_and_go_leave_nothing_behind() -> None:
    stage = Stage(1)
    await stage.start("first", A, hold=100)
    for number in range(600):
        await stage.start(f"gone{number}", SlotRequest(f"tenant{number % 7}", priority=number % 3))
        stage.tasks[f"gone{number}"].cancel()
    await settle()
    assert stage.admission.waiting == 0
    await stage.start("last", B)
    await stage.clock.advance(100)
    assert stage.order == ["first", "last"]
    await stage.finish()
    assert stage.admission.free == 1


# --- rates ---------------------------------------------------------------------------------------------


async def test_a_rate_lets_a_burst_through_then_spreads_the_calls() -> None:
    stage = Stage(Limits(16, rates={"acme": Rate(3, seconds=60)}))
    request = SlotRequest("a", provider="acme", model="large")
    for number in range(5):
        await stage.start(f"call{number}", request, hold=0.1)
    await stage.clock.advance(19)
    assert len(stage.order) == 3
    await stage.clock.advance(2)
    assert len(stage.order) == 4
    await stage.clock.advance(20)
    assert len(stage.order) == 5
    assert not stage.admission.try_acquire(request)
    await stage.clock.advance(60)
    assert [stage.admission.try_acquire(request) for _ in range(4)] == [True, True, True, False]


async def test_a_newcomer_does_not_take_the_call_that_a_waiter_waits_for() -> None:
    stage = Stage(Limits(16, rates={"acme": Rate(1, seconds=60)}))
    request = SlotRequest("a", provider="acme")
    await stage.start("call", request, hold=0.1)
    await stage.start("waits", request, hold=0.1)
    stage.clock.seconds += 61
    assert not stage.admission.try_acquire(request)
    await settle()
    assert stage.order == ["call", "waits"]
    await stage.finish()


async def test_a_clock_that_is_set_back_costs_nobody_the_turn() -> None:
    stage = Stage(Limits(1, rates={"acme": Rate(1, seconds=60)}))
    await stage.start("first", SlotRequest("a", provider="acme"), hold=1)
    await stage.clock.advance(30)
    stage.clock.seconds -= 3600
    await stage.start("second", SlotRequest("a", provider="acme"), hold=1)
    await stage.clock.advance(61)
    assert stage.order == ["first", "second"]


# --- the machine's load --------------------------------------------------------------------------------


async def test_under_pressure_nothing_new_starts_and_waiters_go_on_afterwards() -> None:
    stage = Stage(8)
    await stage.start("runs", A, hold=10)
    await stage.load(FULL, 5)
    assert stage.admission.paused
    assert stage.admission.free == 0
    assert not stage.admission.try_acquire(A)
    await stage.start("waits", A)
    await stage.load(FULL, 20)
    assert stage.order == ["runs"]
    await stage.load(CALM, 5)
    assert stage.order == ["runs", "waits"]
    assert stage.events == ["admission.paused", "admission.resumed"]


async def test_a_lowered_limit_lets_a_wide_step_run_alone() -> None:
    stage = Stage(8)
    await stage.start("runs", A, hold=3)
    await stage.load(FULL, 5)
    await stage.start("wide", SlotRequest("a", slots=8))
    await stage.load(CALM, 5)
    assert stage.admission.limit < 8
    assert stage.order == ["runs", "wide"]


async def test_pressure_that_is_not_ours_lets_one_step_run_at_a_time_after_a_minute() -> None:
    stage = Stage(8)
    await stage.load(FULL, 5)
    for name in ("x", "y"):
        await stage.start(name, A, hold=20)
    await stage.load(FULL, 55)
    assert stage.order == []
    await stage.load(FULL, 15)
    assert stage.order == ["x"]
    await stage.load(FULL, 20)
    assert stage.order == ["x", "y"]
    reset = dict(stage.told)["admission.reset"]
    assert (reset["reason"], reset["limit"]) == ("pressure_stays", 1)
    await stage.load(CALM, 5)
    assert stage.events == ["admission.paused", "admission.reset", "admission.resumed"]
    await stage.finish()


PERSON, OTHER_PERSON = SlotRequest("a", priority=WAITED_FOR), SlotRequest("b", priority=WAITED_FOR + 7)


async def test_under_pressure_what_people_wait_for_goes_on_two_at_a_time() -> None:
    stage = Stage(8)
    await stage.start("batch", A, hold=1000)
    await stage.load(FULL, 5)
    for number in range(3):
        await stage.start(f"person{number}", PERSON, hold=10)
    await stage.start("later", A)
    await stage.load(FULL, 5)
    assert stage.order == ["batch", "person0", "person1"]
    assert not stage.admission.try_acquire(OTHER_PERSON)
    await stage.load(FULL, 10)
    assert stage.order == ["batch", "person0", "person1", "person2"]
    assert stage.admission.try_acquire(OTHER_PERSON)
    assert stage.admission.paused
    await stage.finish()


async def test_people_who_are_served_do_not_keep_the_rest_from_going_on_after_a_minute() -> None:
    stage = Stage(8)
    await stage.load(FULL, 5)
    await stage.start("batch", A, hold=20)
    await stage.start("more", A, hold=20)
    for number in range(8):
        await stage.start(f"person{number}", PERSON, hold=30)
    await stage.load(FULL, 55)
    assert "batch" not in stage.order
    await stage.load(FULL, 10)
    assert "batch" in stage.order
    assert "more" not in stage.order
    await stage.finish()


async def test_some_slots_are_spared_for_people_where_there_are_many() -> None:
    many = Admission(16)
    assert [many.try_acquire(A) for _ in range(15)] == [True] * 14 + [False]
    assert [many.try_acquire(PERSON), many.try_acquire(OTHER_PERSON)] == [True, True]
    assert not many.try_acquire(PERSON)
    few = Admission(4)
    assert all(few.try_acquire(A) for _ in range(4))


async def test_a_step_that_needs_every_slot_runs_alone() -> None:
    stage = Stage(16)
    await stage.start("small", A, hold=5)
    await stage.start("wide", SlotRequest("b", slots=16))
    await stage.clock.advance(4)
    assert stage.order == ["small"]
    await stage.clock.advance(2)
    assert stage.order == ["small", "wide"]


async def test_slots_of_people_are_counted_anew_when_some_were_lost() -> None:
    stage = Stage(8)
    assert stage.admission.try_acquire(PERSON)
    assert stage.admission.try_acquire(PERSON)
    stage.admission.holders = lambda: [PERSON]
    await stage.load(FULL, 5)
    await stage.start("waits", OTHER_PERSON)
    await stage.load(FULL, 65)
    assert stage.order == ["waits"]
    await stage.finish()


async def test_slots_that_no_living_step_holds_come_back_after_a_minute_without_allocation() -> None:
    stage = Stage(Limits(2, providers={"acme": 1}))
    acme = SlotRequest("a", provider="acme")
    assert stage.admission.try_acquire(acme)
    assert stage.admission.try_acquire(B)
    stage.admission.holders = lambda: [B]
    await stage.start("waits", acme)
    await stage.load(CALM, 60)
    assert stage.order == []
    await stage.load(CALM, 5)
    assert stage.order == ["waits"]
    assert stage.told[-1] == (
        "admission.reset",
        {"reason": "no_allocation", "released": 1, "held": 1, "waiting": 1, "limit": 2},
    )
    await stage.clock.advance(1)
    assert (stage.admission.held, stage.admission.held_by("b")) == (1, 1)


async def test_slots_of_living_steps_are_not_taken_away_and_a_stall_is_told_once() -> None:
    stage = Stage(1)
    stage.admission.holders = lambda: [A]
    assert stage.admission.try_acquire(A)
    await stage.start("waits", A)
    await stage.load(CALM, 300)
    assert stage.order == []
    assert stage.events == ["admission.reset"]
    stage.admission.release(A)
    await settle()
    assert stage.order == ["waits"]


async def test_work_that_moves_on_is_no_stall() -> None:
    stage = Stage(1)
    for number in range(10):
        await stage.start(f"step{number}", A, hold=45)
    await stage.load(CALM, 300)
    assert stage.events == []
    await stage.finish()


async def test_watch_samples_every_five_seconds_and_a_broken_sampler_means_one_at_a_time() -> None:
    stage = Stage(8)
    looks: list[float] = []

    def sample() -> Reading:
        looks.append(stage.clock.seconds)
        if stage.clock.seconds >= 10:
            raise OSError("no figures")
        return CALM

    watching = asyncio.create_task(stage.admission.watch(sample))
    await stage.clock.advance(45)
    assert looks == [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0]
    assert stage.events == ["admission.limited"]
    assert (stage.admission.limit, stage.admission.paused) == (1, False)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching


# --- runs that start runs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("depth", "started", "asks"),
    [
        (0, 0, False),
        (0, 500, False),
        (1, 0, False),
        (2, 19, False),
        (2, 20, True),
        (1, 21, True),
        (3, 0, True),
    ],
)
def test_runs_start_runs_on_their_own_only_so_far(depth: int, started: int, asks: bool) -> None:
    assert (needs_approval(depth, started, SpawnLimits(depth=2, runs=20)) is not None) == asks
