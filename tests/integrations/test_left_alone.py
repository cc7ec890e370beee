"""An integration's tools behind a breaker: a service that keeps failing is left alone for a while."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from omniforge.engine.breakers import Breakers, CircuitOpen
from omniforge.engine.recovery.breaker import Status
from omniforge.engine.stores import event_log
from omniforge.integrations.catalog.notion.standin import Fault, FaultKind
from omniforge.integrations.errors import RateLimitedThere, ResourceNotFound, ServiceDown
from omniforge.runs.service import Mode
from omniforge.runtime.tools.integration import connected_tools
from omniforge.runtime.tools.protocol import CallScope

Ask = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def breakers(database, clock) -> Breakers:
    return Breakers(database, clock, event_log(database))


@pytest.fixture
async def ask(service, actor, clock, connect, breakers) -> Ask:
    connection = await connect(service)
    tools = {tool.name: tool for tool in connected_tools(service, breakers)}

    async def asked(tool: str, mode: Mode = Mode.LIVE, **args: Any) -> dict[str, Any]:
        places = {"notion": connection.id}
        scope = CallScope(actor.tenant_id, actor.user_id, mode, clock.now(), Path("/nonexistent"), places)
        return await tools[f"notion.{tool}"].call(args, scope)

    return asked


async def fail(ask: Ask, notion, times: int = 3) -> None:
    notion.state.faults.append(Fault(FaultKind.SERVER_ERROR, times=1000, path="/v1/users"))
    for _ in range(times):
        with pytest.raises(ServiceDown):
            await ask("who_am_i")


async def test_after_three_failures_nothing_is_sent_for_fifteen_minutes(ask: Ask, notion, clock) -> None:
    await fail(ask, notion)
    notion.state.faults.clear()
    sent = len(notion.paths())
    with pytest.raises(CircuitOpen) as refused:
        await ask("who_am_i")
    assert len(notion.paths()) == sent
    assert refused.value.message.startswith("Notion did not answer")
    assert 890 < refused.value.retry_after <= 900
    clock.forward(minutes=15, seconds=1)
    assert (await ask("who_am_i"))["user"]["name"] == "Maya Lindholm"
    assert (await ask("who_am_i"))["user"]["name"] == "Maya Lindholm"


async def test_samples_are_given_while_the_service_is_left_alone(ask: Ask, notion) -> None:
    await fail(ask, notion)
    assert await ask("who_am_i", mode=Mode.DRY)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(FaultKind.RATE_LIMITED, times=1000, path="/v1/users", seconds=900), RateLimitedThere),
        (None, ResourceNotFound),
    ],
)
async def test_a_service_that_refuses_is_not_one_that_is_down(  # noqa: PLR0917 - the table's columns
    ask: Ask, notion, breakers, actor, fault: Fault | None, error: type[Exception]
) -> None:
    if fault is not None:
        notion.state.faults.append(fault)
    unknown = "00000000-0000-4000-8000-000000000000"
    for _ in range(4):
        with pytest.raises(error):
            await (ask("who_am_i") if fault else ask("query_database", database_id=unknown))
    assert await breakers.list_breakers(actor.tenant_id) == []


async def test_a_refusal_proves_that_the_service_is_back(ask: Ask, notion, breakers, actor, clock) -> None:
    await fail(ask, notion)
    clock.forward(minutes=16)
    with pytest.raises(ResourceNotFound):
        await ask("query_database", database_id="00000000-0000-4000-8000-000000000000")
    views = await breakers.list_breakers(actor.tenant_id)
    assert [(view.name, view.status) for view in views] == [("integration:notion", Status.CLOSED)]
