"""Whatever comes and goes: limits hold, nobody starves, nothing is lost, no room is left unused."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from admission_stage import Stage, settle
from omniforge.engine.slots import WAITED_FOR, Ledger, Limits, Rate, SlotRequest
from omniforge.engine.turns import Turns, Waiter

Arrivals = list[tuple[SlotRequest, float]]

LIMITS = Limits(
    5,
    per_tenant=3,
    tenants={"b": 2},
    weights={"c": 2.0},
    providers={"acme": 2, "acme/large": 1},
    rates={"slow": Rate(2, seconds=10)},
    sandboxes=2,
    memory_mb=256,
)

requests = st.builds(
    SlotRequest,
    st.sampled_from(["a", "b", "c"]),
    priority=st.integers(-2, 2) | st.just(WAITED_FOR),
    provider=st.sampled_from([None, None, None, "acme", "slow"]),
    model=st.sampled_from([None, "large", "small"]),
    sandbox=st.booleans(),
    slots=st.sampled_from([1, 1, 1, 2]),
    memory_mb=st.sampled_from([None, None, 64, 100]),
)


def amounts(request: SlotRequest) -> Counter[str]:
    """What a request holds, said independently of the ledger."""
    found = Counter({"total": request.slots, f"tenant {request.tenant_id}": request.slots})
    if request.provider == "acme":
        found["acme"] = 1
        found["acme/large"] = int(request.model == "large")
    found["sandboxes"] = int(request.sandbox)
    found["memory"] = {None: 0, 64: 64, 100: 128}[request.memory_mb]
    return found


MOST = {"total": 5, "tenant a": 3, "tenant b": 2, "tenant c": 3, "acme": 2, "acme/large": 1, "sandboxes": 2}
MOST["memory"] = 256


@dataclass
class Model:
    """What really runs, counted by the steps themselves."""

    stage: Stage
    held: Counter[str] = field(default_factory=Counter[str])
    waiting: dict[int, tuple[SlotRequest, float]] = field(
        default_factory=dict[int, tuple[SlotRequest, float]]
    )
    slow_calls: list[float] = field(default_factory=list[float])

    async def step(self, number: int, request: SlotRequest, hold: float) -> None:
        clock, admission = self.stage.clock, self.stage.admission
        if not admission.try_acquire(request):
            self.waiting[number] = request, clock.seconds
            try:
                await admission.acquire(request)
            finally:
                del self.waiting[number]
        self.held += amounts(request)
        for name, count in self.held.items():
            assert count <= MOST[name], name
        if request.provider == "slow":
            self.slow_calls.append(clock.seconds)
        try:
            await clock.sleep(hold)
        finally:
            self.held.subtract(amounts(request))
            admission.release(request)

    def check_conserving(self) -> None:
        """No waiter fits (waits for a rate aside, and times in which room is kept for long waits)."""
        if any(self.stage.clock.seconds - since > 300 for _, since in self.waiting.values()):
            return
        for request, _ in self.waiting.values():
            needed = self.held + amounts(request)
            fits = all(needed[name] <= most for name, most in MOST.items())
            assert not fits or request.provider == "slow", request

    def check_rate(self) -> None:
        for start, first in enumerate(self.slow_calls):
            for count, last in enumerate(self.slow_calls[start:], 1):
                assert count <= 2 + 2 * (last - first) / 10 + 0.01


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


arrivals = st.tuples(requests, st.sampled_from([0.5, 2.0, 7.0, 150.0]))
moves = st.lists(
    st.one_of(
        arrivals,
        st.sampled_from([1.0, 5.0, 60.0]),
        st.integers(0, 40),
    ),
    min_size=10,
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(moves)
def test_limits_hold_nobody_starves_nothing_is_lost_and_no_room_is_left_unused(
    schedule: list[tuple[SlotRequest, float] | float | int],
) -> None:
    """A tuple arrives, a float passes time, an int cancels that arrival."""

    async def play() -> None:
        model = Model(Stage(LIMITS))
        tasks: list[asyncio.Task[None]] = []
        for move in schedule:
            if isinstance(move, tuple):
                tasks.append(asyncio.create_task(model.step(len(tasks), *move)))
            elif isinstance(move, int):
                if move < len(tasks):
                    tasks[move].cancel()
            else:
                await model.stage.clock.advance(move)
            await settle()
            model.check_conserving()
            assert model.stage.admission.waiting == len(model.waiting)
            assert model.stage.admission.held == model.held["total"]
        await model.stage.clock.advance(150.0 * len(tasks) + 600)
        assert all(task.done() for task in tasks)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [error for error in results if isinstance(error, Exception)] == []
        model.check_rate()
        admission = model.stage.admission
        assert (admission.held, admission.waiting, admission.free) == (0, 0, 5)
        for request, times in (("acme", 2), ("sandbox", 2)):
            asked = SlotRequest("a", provider="acme") if request == "acme" else SlotRequest("a", sandbox=True)
            assert [admission.try_acquire(asked) for _ in range(times + 1)] == [True] * times + [False]
            for _ in range(times):
                admission.release(asked)

    run(play())


crowds: st.SearchStrategy[Arrivals] = st.lists(
    st.tuples(requests, st.sampled_from([0.5, 3.0, 20.0])), min_size=20, max_size=40
)


@settings(max_examples=15, deadline=None)
@given(crowds, st.integers(0, 1000))
def test_every_wait_ends_though_new_work_never_stops_coming(victims: Arrivals, seed: int) -> None:
    async def play() -> None:
        model, random = Model(Stage(LIMITS)), Random(seed)
        first = [asyncio.create_task(model.step(number, *victim)) for number, victim in enumerate(victims)]
        crowd: list[asyncio.Task[None]] = []
        await settle()
        for second in range(700):
            request, hold = victims[random.randrange(len(victims))]
            better = SlotRequest(request.tenant_id, 9, request.provider, request.model, request.sandbox)
            crowd.append(asyncio.create_task(model.step(1000 + second, better, min(hold, 3.0))))
            await model.stage.clock.advance(1)
            if all(task.done() for task in first) and second > 50:
                break
        for task in [*first, *crowd]:
            if task.done():
                task.result()
        assert all(task.done() for task in first)
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
        assert model.stage.admission.held == 0

    run(play())


class Ticket:
    """A turn without an event loop."""

    served = False

    def done(self) -> bool:
        return self.served

    def set_result(self, result: None, /) -> None:
        self.served = True


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(requests, st.integers(0, 30), st.none()), min_size=5, max_size=80))
def test_who_is_next_agrees_with_looking_at_everybody(acts: list[SlotRequest | int | None]) -> None:
    """A request arrives, a number ends that holder's step, None serves whoever is next."""
    ledger = Ledger(LIMITS)
    turns = Turns(ledger)
    waiting: list[Waiter] = []
    holding: list[SlotRequest] = []

    def fits(waiter: Waiter) -> bool:
        request = waiter.request
        return ledger.has_tenant_room(request.tenant_id, request.slots) and ledger.has_room(waiter.needs, 0.0)

    def rank(waiter: Waiter) -> tuple[int, int]:
        return -waiter.request.priority, waiter.seq

    def account(waiter: Waiter) -> float:
        return max(turns.account(waiter.request.tenant_id), turns.present)

    for act in acts:
        match act:
            case SlotRequest():
                waiting.append(turns.add(act, ledger.check(act), 0.0, Ticket()))
            case int():
                if act < len(holding):
                    request = holding.pop(act)
                    ledger.give_back(request)
                    turns.unpark(request.tenant_id)
            case None:
                found = turns.next(0.0)
                fitting = [waiter for waiter in waiting if fits(waiter)]
                assert (found is None) == (not fitting)
                if found is None:
                    continue
                same_tenant = [w for w in fitting if w.request.tenant_id == found.request.tenant_id]
                assert min(same_tenant, key=rank) is found
                assert account(found) == min(map(account, fitting))
                ledger.take(found.request, found.needs)
                turns.charge(found.request.tenant_id, found.needs.slots)
                turns.leave(found)
                found.turn.set_result(None)
                waiting.remove(found)
                holding.append(found.request)
        assert len(turns) == len(waiting)
