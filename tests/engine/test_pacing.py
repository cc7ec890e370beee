"""A burst is spread over turns of the loop, in order, and a cancelled piece holds nobody up."""

from __future__ import annotations

import asyncio

from omniforge.engine.pacing import Pace


async def test_a_burst_lets_others_in_between_and_keeps_its_order() -> None:
    pace, done, turns = Pace(per_turn=10), list[int](), 0

    async def piece(number: int) -> None:
        if not pace.is_free:
            await pace.take()
        done.append(number)

    pieces = [asyncio.create_task(piece(number)) for number in range(100)]
    while len(done) < 100:
        before = len(done)
        await asyncio.sleep(0)
        turns += 1
        assert len(done) - before <= 20  # what was left of one share, and one more
    await asyncio.gather(*pieces)
    assert done == list(range(100))
    assert turns >= 9


async def test_a_piece_that_is_cancelled_while_it_waits_gives_its_turn_on() -> None:
    pace, done = Pace(per_turn=2), list[int]()

    async def piece(number: int) -> None:
        if not pace.is_free:
            await pace.take()
        done.append(number)

    pieces = [asyncio.create_task(piece(number)) for number in range(9)]
    await asyncio.sleep(0)
    pieces[5].cancel()
    await asyncio.gather(*pieces, return_exceptions=True)
    assert done == [0, 1, 2, 3, 4, 6, 7, 8]
