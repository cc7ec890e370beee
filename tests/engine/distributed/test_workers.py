"""Three worker processes on one database: killed, frozen, and fair."""

from __future__ import annotations

import asyncio
import signal
from itertools import accumulate

from fleet import Fleet, chain

RUNS, STEPS = 60, 5


async def test_the_runs_of_a_killed_worker_go_on_with_the_others(fleet: Fleet) -> None:
    workers = await fleet.add_workers(3)
    ids = await asyncio.gather(*(fleet.start("t", n, chain(STEPS)) for n in range(RUNS)))
    await asyncio.sleep(0.3)
    workers[0].kill()
    again = await asyncio.gather(*(fleet.start("t", n, chain(STEPS)) for n in range(RUNS)))
    assert again == ids
    await fleet.wait(ids)
    await fleet.check(RUNS, STEPS)
    assert await fleet.rows("SELECT count(*) FROM runs WHERE epoch > 1") != [(0,)]


async def test_a_frozen_worker_that_wakes_up_is_refused(fleet: Fleet) -> None:
    workers = await fleet.add_workers(3)
    plan = chain(STEPS, seconds=(0.2, 0.4))
    ids = await asyncio.gather(*(fleet.start("t", n, plan) for n in range(RUNS)))
    await asyncio.sleep(0.5)
    workers[0].send_signal(signal.SIGSTOP)
    await asyncio.sleep(2.5)
    workers[0].send_signal(signal.SIGCONT)
    await fleet.wait(ids)
    await fleet.check(RUNS, STEPS)
    assert await fleet.rows("SELECT count(*) FROM runs WHERE epoch > 1") != [(0,)]
    # It is of use again.
    workers[1].kill()
    workers[2].kill()
    more = await asyncio.gather(*(fleet.start("t", RUNS + n, plan) for n in range(5)))
    await fleet.wait(more)


async def test_a_worker_that_is_told_to_stop_hands_its_runs_over(fleet: Fleet) -> None:
    first = await fleet.add_worker()
    ids = await asyncio.gather(*(fleet.start("t", n, chain(2, seconds=(1, 1.2))) for n in range(10)))
    while not fleet.log.exists():
        await asyncio.sleep(0.05)
    await fleet.add_worker()
    first.terminate()
    await fleet.wait(ids)
    assert await first.wait() == 0
    await fleet.check(10, 2)


async def test_a_tenant_never_has_more_than_its_places(fleet: Fleet) -> None:
    fleet.places = fleet.engine._journal.places = 3  # pyright: ignore[reportPrivateUsage]
    await fleet.add_workers(3)
    plan = chain(1, seconds=(0.02, 0.06))
    ids = await asyncio.gather(*(fleet.start(f"t{n % 2}", n, plan) for n in range(60)))
    await fleet.wait(ids)
    await fleet.check(60, 1)
    lines = [line.split() for line in fleet.log.read_text().splitlines()]
    for tenant in ("t0", "t1"):
        moments = sorted(
            (float(line[4]), 1 if line[0] == "begin" else -1) for line in lines if line[1] == tenant
        )
        most = max(accumulate(change for _, change in moments))
        assert 2 <= most <= 3


async def test_a_tenant_with_many_runs_does_not_keep_another_waiting(fleet: Fleet) -> None:
    await fleet.add_worker()
    plan = chain(1, seconds=(0.05, 0.05))
    many = await asyncio.gather(*(fleet.start("many", n, plan) for n in range(300)))
    (one,) = await asyncio.gather(fleet.start("one", 0, plan))
    await fleet.wait([one])
    finished = await fleet.rows("SELECT count(*) FROM runs WHERE status = 'completed' AND tenant_id = 'many'")
    assert finished[0][0] < 150
    await fleet.wait(many)
