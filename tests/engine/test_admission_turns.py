"""Whose turn it is: tenants, priorities, long waits; and that finding out stays cheap."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from admission_stage import A, B, C, Stage
from omniforge.engine import admission as admission_module
from omniforge.engine.admission import Admission
from omniforge.engine.slots import Limits, SlotRequest


async def test_tenants_take_turns_however_many_steps_one_brings() -> None:
    stage = Stage(1)
    await stage.start("first", C, hold=10)
    for number in range(20):
        await stage.start(f"a{number}", A)
    for number in range(3):
        await stage.start(f"b{number}", B)
    await stage.clock.advance(40)
    assert stage.order[1:8] == ["a0", "b0", "a1", "b1", "a2", "b2", "a3"]
    assert stage.order[8:] == [f"a{number}" for number in range(4, 20)]


async def test_a_tenant_with_three_times_the_weight_gets_three_times_the_turns() -> None:
    stage = Stage(Limits(1, weights={"a": 3.0}))
    await stage.start("c", C, hold=10)
    for number in range(30):
        await stage.start(f"a{number}", A)
        await stage.start(f"b{number}", B)
    await stage.clock.advance(10 + 19.5)
    served = Counter(name[0] for name in stage.order[1:21])
    assert served == {"a": 15, "b": 5}
    await stage.finish()


async def test_a_tenant_that_did_not_wait_saves_up_no_turns() -> None:
    stage = Stage(1)
    await stage.start("first", C, hold=1)
    for number in range(30):
        await stage.start(f"a{number}", A)
    await stage.clock.advance(15.5)
    done = len(stage.order)
    for number in range(10):
        await stage.start(f"b{number}", B)
    await stage.clock.advance(6)
    assert Counter(name[0] for name in stage.order[done:]) == {"a": 3, "b": 3}
    await stage.finish()


async def test_a_stream_of_tenants_with_one_step_each_does_not_starve_a_tenant_that_stays() -> None:
    stage = Stage(1)
    await stage.start("first", A)
    for number in range(40):
        await stage.start(f"a{number}", A)
    for second in range(40):
        await stage.start(f"guest{second}", SlotRequest(f"guest{second}"))
        await stage.clock.advance(1)
    assert sum(name.startswith("a") for name in stage.order) >= 5  # more guests wait each second
    await stage.finish()


async def test_steps_that_need_different_things_share_their_tenants_turns() -> None:
    stage = Stage(Limits(1, providers={"acme": 1}))
    await stage.start("first", C, hold=10)
    for name, request in (("a1", A), ("a2", SlotRequest("a", provider="acme")), ("b1", B)):
        await stage.start(name, request)
    await stage.clock.advance(20)
    assert stage.order == ["first", "a1", "b1", "a2"]


async def test_priority_goes_first_within_a_tenant_and_arrival_within_a_priority() -> None:
    stage = Stage(1)
    await stage.start("first", C, hold=10)
    for name, priority in (("low1", 0), ("high1", 5), ("low2", 0), ("high2", 5), ("urgent", 9)):
        await stage.start(name, SlotRequest("a", priority))
    await stage.clock.advance(20)
    assert stage.order[1:] == ["urgent", "high1", "high2", "low1", "low2"]


async def test_a_priority_does_not_take_the_turns_of_another_tenant() -> None:
    stage = Stage(1)
    await stage.start("first", C, hold=10)
    for number in range(10):
        await stage.start(f"a{number}", SlotRequest("a", priority=100))
    await stage.start("b", B)
    await stage.clock.advance(12.5)
    assert "b" in stage.order[1:4]
    await stage.finish()


async def test_what_waited_five_minutes_goes_before_everything_younger() -> None:
    stage = Stage(1)
    await stage.start("first", C, hold=301)
    await stage.start("old", SlotRequest("a", priority=-5))
    await stage.clock.advance(10)
    await stage.start("young", SlotRequest("a", priority=9))
    await stage.clock.advance(295)
    assert stage.order == ["first", "old", "young"]


async def test_a_stream_of_better_steps_starves_nobody() -> None:
    stage = Stage(1)
    await stage.start("stream", SlotRequest("a", priority=9))
    await stage.start("poor", SlotRequest("a"))
    for second in range(320):
        await stage.start(f"stream{second}", SlotRequest("a", priority=9))
        await stage.clock.advance(1)
    assert 295 <= stage.order.index("poor") <= 305
    await stage.finish()


async def test_a_step_that_needs_all_slots_gets_them_under_a_stream_of_small_ones() -> None:
    stage = Stage(4)
    for number in range(4):
        await stage.start(f"early{number}", A, hold=1 + number / 4)
    await stage.start("wide", SlotRequest("b", slots=4))
    for second in range(320):
        await stage.start(f"small{second}", A, hold=3.5)
        await stage.clock.advance(1)
    assert "wide" in stage.order
    assert 290 <= stage.order.index("wide") <= 310
    await stage.finish()


async def test_a_wide_step_gets_its_tenants_slots_under_a_stream_of_the_same_tenant() -> None:
    stage = Stage(Limits(16, per_tenant=4))
    for number in range(4):
        await stage.start(f"early{number}", A, hold=1 + number / 4)
    await stage.start("wide", SlotRequest("a", slots=4))
    for second in range(320):
        await stage.start(f"small{second}", A, hold=3.5)
        await stage.clock.advance(1)
        if second % 50 == 0:
            await stage.start(f"other{second}", B)
            assert stage.order[-1] == f"other{second}"
    assert "wide" in stage.order
    await stage.finish()


async def test_a_long_wait_for_a_provider_holds_up_nobody_else() -> None:
    stage = Stage(Limits(4, providers={"acme": 1}))
    acme = SlotRequest("a", provider="acme")
    await stage.start("call", acme, hold=1000)
    await stage.start("waits", acme)
    await stage.clock.advance(400)
    for name in ("x", "y"):
        await stage.start(name, B, hold=1)
    assert stage.order == ["call", "x", "y"]
    await stage.finish()


async def test_what_waited_long_for_a_provider_finds_its_tenants_room_kept() -> None:
    stage = Stage(Limits(8, per_tenant=2, providers={"acme": 1}))
    await stage.start("call", SlotRequest("b", provider="acme"), hold=400)
    await stage.start("waits", SlotRequest("a", provider="acme"), hold=1000)
    await stage.clock.advance(301)
    for name in ("x", "y"):
        await stage.start(name, A, hold=1000)
    assert not stage.admission.try_acquire(A)
    assert stage.order == ["call", "x"]
    await stage.clock.advance(100)
    assert stage.order == ["call", "x", "waits"]
    await stage.finish()


async def test_a_newcomer_takes_what_no_waiter_can_use_and_nothing_else() -> None:
    stage = Stage(Limits(4, providers={"acme": 1}))
    acme = SlotRequest("a", provider="acme")
    await stage.start("call", acme, hold=10)
    await stage.start("waits", acme)
    assert stage.admission.waiting == 1
    assert stage.admission.try_acquire(B)
    assert not stage.admission.try_acquire(SlotRequest("b", provider="acme", priority=50))
    stage.admission.release(B)
    await stage.finish()


# --- cost ----------------------------------------------------------------------------------------------


def lines_run(work: Callable[[], Awaitable[None]]) -> int:
    """How many lines of the engine run."""
    folder, count = str(Path(admission_module.__file__).parent), 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.startswith(folder):
            return None
        count += event == "line"
        return trace

    async def traced() -> None:
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            await work()
        finally:
            sys.settrace(before)

    asyncio.run(traced())
    return count


@pytest.mark.parametrize("tenants", [1, 10, 1000])
def test_the_cost_of_a_step_does_not_grow_with_the_number_of_waiters(tenants: int) -> None:
    def crowd(size: int) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            admission = Admission(Limits(4, per_tenant=2, providers={"acme": 1}))

            async def step(number: int) -> None:
                provider = "acme" if number % 5 == 0 else None
                request = SlotRequest(f"t{number % tenants}", number % 3, provider)
                await admission.acquire(request)
                await asyncio.sleep(0)
                admission.release(request)

            await asyncio.gather(*(step(number) for number in range(size)))

        return work

    few, many = lines_run(crowd(100)) / 100, lines_run(crowd(1000)) / 1000
    assert many < 2 * few
