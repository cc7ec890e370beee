"""Large outputs: kept as artifacts, small in rows and events, whole wherever they are read, damage told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from engine_house import Gate, House, error_of, failing, output_of, returning, statuses, step
from omniforge.core.actor import Actor
from omniforge.core.errors import Fatal
from omniforge.engine.active import StepCall
from omniforge.engine.plan import SUBPLAN, OnError, Plan, Step, plan_json
from omniforge.engine.state import StepResult
from omniforge.runs.shown import run_json

pytestmark = pytest.mark.both_stores

LARGE = {"rows": [{"n": n, "text": "é" * 100} for n in range(500)], "ok": True}


async def look(call: StepCall) -> StepResult:
    return StepResult(output={name: len(value) for name, value in call.inputs.items()})


async def damage(house: House) -> None:
    """Change the bytes of every artifact."""
    if house.db.is_sqlite:
        for path in Path(house.home, "artifacts").rglob("*"):
            if path.is_file():
                path.write_bytes(b"[" + path.read_bytes()[1:])
        return
    async with house.db.transaction() as session:
        await session.execute(text("UPDATE artifacts SET data = '[]'::bytea"))


async def test_a_large_output_is_kept_beside_its_row_and_read_whole(house: House, actor: Actor) -> None:
    house.script |= {"big": returning(StepResult(output=LARGE, message="500 rows")), "look": look}
    view = await house.finish(
        actor,
        step("big"),
        step("look", "big", inputs={"rows": "${big.output.rows}", "text": "all: ${big.output.rows}"}),
        step("when", "big", when="steps.big.output.ok && size(steps.big.output.rows) == 500"),
        step("never", "big", when="size(steps.big.output.rows) < 500"),
        step(
            "each", "big", for_each="steps.big.output.rows.filter(r, r.n < 3)", inputs={"t": "${item.text}"}
        ),
    )
    assert view.run.status == "completed"
    shown = next(item for item in run_json(view)["steps"] if item["key"] == "big")
    assert shown["result"]["output"] is None
    assert shown["result"]["stored"]["bytes"] > 64 * 1024
    assert shown["result"]["message"] == "500 rows"
    assert output_of(view, "look")["rows"] == 500
    found = statuses(view)
    assert (found["when"], found["never"], found["each[2]"]) == ("completed", "skipped", "completed")
    rows = await house.engine.events.read(actor.tenant_id, run_id=view.run.id)
    assert max(len(row.payload) for row in rows) < 16 * 1024
    async with house.db.read() as session:
        sizes = await session.execute(text("SELECT max(length(result)) FROM run_steps"))
        assert sizes.scalar_one() < 64 * 1024


async def test_what_fits_stands_in_its_row(house: House, actor: Actor) -> None:
    house.script["a"] = returning(StepResult(output="x" * (64 * 1024 - 2)))
    view = await house.finish(actor, step("a"))
    assert len(output_of(view, "a")) == 64 * 1024 - 2
    house.script["a"] = returning(StepResult(output="x" * (64 * 1024 - 1)))
    assert output_of(await house.finish(actor, step("a")), "a") is None


async def test_equal_outputs_are_stored_once_and_never_shared_between_tenants(
    house: House, actor: Actor, foreign_actor: Actor
) -> None:
    house.script["a"] = returning(StepResult(output=LARGE))
    hashes: set[str] = set()
    for who in (actor, actor, foreign_actor):
        view = await house.finish(who, step("a"))
        hashes.add(run_json(view)["steps"][0]["result"]["stored"]["sha256"])
    (digest,) = hashes
    for who in (actor, foreign_actor):
        data = await house.engine.artifacts.get(who.tenant_id, digest)
        assert json.loads(data) == LARGE


async def test_a_restart_reads_large_outputs_again(house: House, actor: Actor) -> None:
    gate = Gate()
    house.script |= {"big": returning(StepResult(output=LARGE)), "hold": gate, "look": look}
    each = step("each", "big", for_each="steps.big.output.rows.filter(r, r.n < 2)")
    run_id = await house.start(
        actor,
        step("big"),
        each,
        step("hold", "each"),
        step("look", "hold", inputs={"rows": "${big.output.rows}"}),
    )
    await gate.begun.wait()
    await house.restart()
    view = await house.settled(actor, run_id)
    assert (view.run.status, output_of(view, "look")) == ("completed", {"rows": 500})
    assert house.times("each[0]") == 1


@pytest.mark.parametrize("reads", ["inputs", "when", "for_each"])
async def test_a_damaged_artifact_fails_the_step_that_reads_it(
    house: House, actor: Actor, reads: str
) -> None:
    gate = Gate()
    house.script |= {"big": returning(StepResult(output=LARGE)), "hold": gate}
    more = {
        "inputs": {"inputs": {"rows": "${big.output.rows}"}},
        "when": {"when": "steps.big.output.ok"},
        "for_each": {"for_each": "steps.big.output.rows"},
    }[reads]
    run_id = await house.start(actor, step("big"), step("hold", "big"), step("reader", "hold", **more))
    await gate.begun.wait()
    await damage(house)
    gate.open.set()
    view = await house.settled(actor, run_id)
    assert (view.run.status, statuses(view)["reader"]) == ("failed", "failed")
    assert (error_of(view)["code"], error_of(view)["step"]) == ("artifact_damaged", "reader")
    assert house.times("reader") == 0


async def test_a_damaged_artifact_found_after_a_restart_is_a_failure_not_a_loop(
    house: House, actor: Actor
) -> None:
    gate = Gate()
    house.script |= {"big": returning(StepResult(output=LARGE)), "each[0]": gate}
    each = step("each", "big", for_each="steps.big.output.rows.filter(r, r.n < 2)")
    run_id = await house.start(actor, step("big"), each)
    await gate.begun.wait()
    await house.engine.close()
    await damage(house)
    await house.restart()
    view = await house.settled(actor, run_id)
    assert (view.run.status, error_of(view)["code"]) == ("failed", "artifact_damaged")
    assert error_of(view)["step"] == "each"


async def test_damaged_results_of_items_fail_the_step_that_gathers_them(house: House, actor: Actor) -> None:
    gate = Gate()
    house.script |= {"each[0]": returning(StepResult(output=LARGE)), "each[1]": gate}
    run_id = await house.start(actor, step("each", for_each="input.rows"), input={"rows": [1, 2]})
    await house.step_reaches(actor, run_id, "each[0]", "completed")
    await damage(house)
    gate.open.set()
    view = await house.settled(actor, run_id)
    assert (view.run.status, error_of(view)["code"]) == ("failed", "artifact_damaged")
    assert error_of(view)["step"] == "each"


async def test_a_fork_reads_the_large_outputs_that_it_shares(house: House, actor: Actor) -> None:
    house.script |= {"big": returning(StepResult(output=LARGE)), "look": failing(Fatal("no"))}
    reader = step("look", "big", inputs={"rows": "${big.output.rows}"})
    view = await house.finish(actor, step("big"), reader)
    house.script["look"] = look
    made = await house.runs.fork_run(actor, view.run.id)
    assert output_of(await house.settled(actor, made), "look") == {"rows": 500}
    assert house.times("big") == 1


async def test_a_subplan_is_given_and_gives_large_values(house: House, actor: Actor) -> None:
    house.script |= {"big": returning(StepResult(output=LARGE)), "sub/echo": look}
    inner = plan_json(Plan((step("echo", inputs={"rows": "${input.rows}"}),)))
    view = await house.finish(
        actor,
        step("big"),
        Step("sub", SUBPLAN, {"plan": inner}, {"rows": "${big.output.rows}"}, needs=("big",)),
    )
    assert output_of(view, "sub") == {"rows": 500}


async def test_more_than_the_limit_in_all_is_a_clear_failure(house: House, actor: Actor) -> None:
    house.script["each"] = returning(StepResult(output="x" * 6_000_000))
    view = await house.finish(actor, step("each", for_each="input.rows"), input={"rows": [1, 2, 3]})
    assert (view.run.status, error_of(view)["code"], error_of(view)["step"]) == (
        "failed",
        "bad_output",
        "each",
    )


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError("not even this")


@pytest.mark.parametrize(
    "output", [Odd(), b"bytes", {"a": {1, 2}}, float("inf"), "\ud800", {1: {2: object()}}]
)
async def test_what_cannot_be_written_fails_the_step_and_never_the_engine(
    house: House, actor: Actor, output: Any
) -> None:
    house.script["a"] = returning(StepResult(output=output))
    view = await house.finish(actor, step("a", on_error=OnError.SKIP), step("b", "a"))
    assert (view.run.status, statuses(view)["b"]) == ("completed", "completed")
    assert run_json(view)["steps"][0]["error"]["code"] == "bad_output"


async def test_an_answer_that_is_no_result_is_a_clear_failure(house: House, actor: Actor) -> None:
    for answer in (None, {"output": 1}, "done"):
        house.script["a"] = returning(answer)
        view = await house.finish(actor, step("a"))
        assert error_of(view)["code"] == "bad_output"
