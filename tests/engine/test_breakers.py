"""Breakers over a real database: shared, durable, told in the log, and free while nothing fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from omniforge.core.errors import Fatal, Invalid, NotFound, OmniForgeError, ProviderError
from omniforge.db import Database
from omniforge.engine.breakers import Breakers, CircuitOpen, is_down
from omniforge.engine.recovery.breaker import Status, Verdict
from omniforge.engine.recovery.policy import FailureKind, classify
from omniforge.engine.stores import event_log

pytestmark = pytest.mark.both_stores

T, NAME = "default", "integration:notion"


@dataclass
class HandClock:
    moment: datetime = field(default_factory=lambda: datetime(2026, 11, 21, 12, tzinfo=UTC))

    def now(self) -> datetime:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)

    def forward(self, **delta: float) -> None:
        self.moment += timedelta(**delta)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def breakers(database: Database, clock: HandClock) -> Breakers:
    return Breakers(database, clock, event_log(database))


@pytest.fixture
def statements(database: Database) -> Iterator[list[str]]:
    """Every statement that is sent to the database from now on."""
    sent: list[str] = []

    def note(_c: Any, _cur: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield sent
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)


def down(**details: Any) -> ProviderError:
    return ProviderError("It is down.", retryable=True, **details)


async def open_it(breakers: Breakers, tenant: str = T) -> None:
    for _ in range(3):
        await breakers.record(tenant, NAME, failed=True)


async def told(breakers: Breakers, tenant: str = T) -> list[str]:
    return [row.type for row in await breakers.events.read(tenant)]


async def call(breakers: Breakers, error: BaseException | None = None, **more: Any) -> str:
    async with breakers.watch(T, NAME, **more):
        if error is not None:
            raise error
    return "ok"


async def test_three_failures_open_it_and_calls_are_refused_in_plain_words(
    breakers: Breakers, clock: HandClock
) -> None:
    await open_it(breakers)
    clock.forward(minutes=5)
    with pytest.raises(CircuitOpen) as refused:
        await breakers.check(T, NAME, title="Notion")
    assert (refused.value.code, refused.value.retryable, refused.value.retry_after) == (
        "circuit_open",
        True,
        600,
    )
    assert refused.value.message.startswith("Notion did not answer")
    assert "10 minutes" in refused.value.message
    assert classify(refused.value).kind is FailureKind.UNREACHABLE
    assert not is_down(refused.value)
    assert await told(breakers) == ["breaker.opened"]


async def test_another_tenant_and_another_name_are_not_concerned(breakers: Breakers) -> None:
    await open_it(breakers)
    assert await breakers.check("other", NAME) is Verdict.PASS
    assert await breakers.check(T, "anthropic") is Verdict.PASS
    assert await breakers.list_breakers("other") == []


async def test_what_is_open_stays_open_over_a_restart_and_in_every_process(
    breakers: Breakers, database: Database, clock: HandClock
) -> None:
    other = Breakers(database, clock, event_log(database))
    await other.check(T, NAME)
    await open_it(breakers)
    clock.forward(seconds=6)  # what the other one has read is no longer believed
    with pytest.raises(CircuitOpen):
        await other.check(T, NAME)
    with pytest.raises(CircuitOpen):
        await Breakers(database, clock, event_log(database)).check(T, NAME)


async def test_exactly_one_of_many_callers_in_two_processes_is_the_probe(
    breakers: Breakers, database: Database, clock: HandClock
) -> None:
    other = Breakers(database, clock, event_log(database))
    await open_it(breakers)
    clock.forward(minutes=15)
    answers = await asyncio.gather(
        *(each.check(T, NAME) for _ in range(10) for each in (breakers, other)), return_exceptions=True
    )
    assert answers.count(Verdict.PROBE) == 1
    assert sum(isinstance(answer, CircuitOpen) for answer in answers) == 19
    await breakers.record(T, NAME, failed=False)
    assert await call(breakers) == "ok"
    clock.forward(seconds=6)
    assert await call(other) == "ok"
    assert await told(breakers) == ["breaker.opened", "breaker.closed"]


async def test_first_failures_of_two_processes_at_once_are_all_counted(
    breakers: Breakers, database: Database, clock: HandClock
) -> None:
    other = Breakers(database, clock, event_log(database))
    await asyncio.gather(*(each.record(T, NAME, failed=True) for each in (breakers, other, breakers)))
    assert [view.status for view in await breakers.list_breakers(T)] == [Status.OPEN]
    assert await told(breakers) == ["breaker.opened"]


async def test_a_bad_probe_opens_it_again(breakers: Breakers, clock: HandClock) -> None:
    await open_it(breakers)
    clock.forward(minutes=15)
    with pytest.raises(ProviderError):
        await call(breakers, down())
    with pytest.raises(CircuitOpen) as refused:
        await call(breakers)
    assert refused.value.retry_after == 900


async def test_working_calls_cost_no_statement_once_the_breaker_is_known(
    breakers: Breakers, statements: list[str]
) -> None:
    await call(breakers)
    assert not any(sent.startswith(("INSERT", "UPDATE")) for sent in statements)
    statements.clear()
    for _ in range(100):
        await call(breakers)
    assert statements == []


async def test_a_success_after_failures_writes_nothing_either(
    breakers: Breakers, statements: list[str]
) -> None:
    await breakers.record(T, NAME, failed=True)
    statements.clear()
    await call(breakers)
    assert statements == []


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (down(), True),
        (down(outcome_unknown=True), True),
        (down(code="timeout"), True),
        (down(retry_after=5.0), False),
        (down(code="rate_limited_there"), False),
        (ProviderError("No.", retryable=False), False),
        (Invalid("You got that wrong."), False),
        (Fatal("No."), False),
        (ValueError("ours"), False),
        (asyncio.CancelledError(), False),
    ],
)
async def test_only_what_is_the_other_sides_fault_counts(
    breakers: Breakers, error: BaseException, counts: bool
) -> None:
    for _ in range(3):
        with pytest.raises(type(error)):
            await call(breakers, error)
    assert [view.status for view in await breakers.list_breakers(T)] == ([Status.OPEN] if counts else [])


@pytest.mark.parametrize("error", [Invalid("Wrong."), ValueError("x"), asyncio.CancelledError()])
async def test_a_probe_that_tells_nothing_makes_way_for_the_next(
    breakers: Breakers, clock: HandClock, error: BaseException
) -> None:
    await open_it(breakers)
    clock.forward(minutes=15)
    with pytest.raises(type(error)):
        await call(breakers, error)
    assert await call(breakers) == "ok"
    assert await told(breakers) == ["breaker.opened", "breaker.closed"]


@pytest.mark.parametrize("error", [NotFound("Gone."), down(code="rate_limited_there")])
async def test_a_probe_that_is_answered_with_a_refusal_closes_it(
    breakers: Breakers, clock: HandClock, error: OmniForgeError
) -> None:
    await open_it(breakers)
    clock.forward(minutes=15)
    with pytest.raises(type(error)):
        await call(breakers, error, answered=(NotFound,))
    assert await told(breakers) == ["breaker.opened", "breaker.closed"]


async def test_calls_that_were_under_way_neither_open_it_again_nor_end_the_probe(
    breakers: Breakers, clock: HandClock
) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(error: BaseException | None) -> None:
        async with breakers.watch(T, NAME):
            begun.set()
            await go.wait()
            if error is not None:
                raise error

    under_way = [asyncio.create_task(slow(error)) for error in (down(), None, Invalid("x"))]
    await begun.wait()
    await open_it(breakers)
    clock.forward(minutes=15)
    assert await breakers.check(T, NAME) is Verdict.PROBE
    go.set()
    await asyncio.gather(*under_way, return_exceptions=True)
    with pytest.raises(CircuitOpen):  # the probe is still out
        await breakers.check(T, NAME)
    await breakers.record(T, NAME, failed=False)
    assert await told(breakers) == ["breaker.opened", "breaker.closed"]


async def test_open_for_over_an_hour_is_told_once_whether_it_is_called_or_not(
    breakers: Breakers, clock: HandClock
) -> None:
    await open_it(breakers)
    await open_it(breakers, "other")
    clock.forward(minutes=59)
    assert await breakers.check(T, NAME) is Verdict.PROBE
    await breakers.record(T, NAME, failed=True)
    clock.forward(minutes=2)
    assert await breakers.alert_long_open() == 2
    for _ in range(3):
        with pytest.raises(CircuitOpen):
            await breakers.check(T, NAME)
    assert await breakers.alert_long_open() == 0
    assert (await told(breakers)).count("breaker.alerted") == 1
    assert (await told(breakers, "other")).count("breaker.alerted") == 1


async def test_a_refused_call_alone_tells_that_it_has_been_open_for_long(
    breakers: Breakers, clock: HandClock
) -> None:
    await open_it(breakers)
    clock.forward(minutes=59)
    await breakers.check(T, NAME)
    await breakers.record(T, NAME, failed=True)
    clock.forward(minutes=2)
    with pytest.raises(CircuitOpen):
        await breakers.check(T, NAME)
    assert (await told(breakers))[-1] == "breaker.alerted"


async def test_a_person_closes_it_by_hand(breakers: Breakers) -> None:
    await open_it(breakers)
    for _ in range(2):
        view = await breakers.reset(T, NAME, actor="user:maya")
        assert (view.status, view.failures, view.retry_at) == (Status.CLOSED, 0, None)
    assert await call(breakers) == "ok"
    rows = await breakers.events.read(T, types=["breaker.closed"])
    assert [row.actor for row in rows] == ["user:maya"]
    for tenant, name in ((T, "unknown"), ("other", NAME)):
        with pytest.raises(NotFound):
            await breakers.reset(tenant, name)


async def test_the_list_shows_how_each_stands(breakers: Breakers, clock: HandClock) -> None:
    await open_it(breakers)
    await breakers.record(T, "anthropic", failed=True)
    shown = [view.shown() for view in await breakers.list_breakers(T)]
    assert [(entry["name"], entry["status"], entry["failures"]) for entry in shown] == [
        ("anthropic", "closed", 1),
        (NAME, "open", 0),
    ]
    assert (shown[1]["open_since"], shown[1]["retry_at"]) == (
        "2026-11-21T12:00:00.000Z",
        "2026-11-21T12:15:00.000Z",
    )
    clock.forward(minutes=20)
    assert sorted(await breakers.states()) == [("anthropic", "closed"), (NAME, "half_open")]
