"""Steps that become many: for_each and subplan, their order, failures, and restarts in the middle."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine_house import Gate, House, error_of, failing, output_of, returning, statuses, step
from omniforge.core.actor import Actor
from omniforge.core.errors import Fatal, Invalid, Retryable
from omniforge.engine.active import StepCall
from omniforge.engine.plan import SUBPLAN, OnError, Plan, Retry, Step, plan_json
from omniforge.engine.state import StepResult, Waiting

pytestmark = pytest.mark.both_stores

ROWS = {"rows": [{"id": "a"}, {"id": "b"}, {"id": "c"}]}


async def echo(call: StepCall) -> StepResult:
    return StepResult(output=call.inputs)


def each(key: str, *needs: str, over: str = "input.rows", **more: Any) -> Step:
    return step(key, *needs, for_each=over, **more)


def within(key: str, *steps: Step, needs: tuple[str, ...] = (), **more: Any) -> Step:
    return Step(key, SUBPLAN, {"plan": plan_json(Plan(steps))}, needs=needs, **more)


# --- for_each ----------------------------------------------------------------------------------------------


async def test_results_come_in_the_order_of_the_items_whatever_finishes_first(
    house: House, actor: Actor
) -> None:
    async def slower_first(call: StepCall) -> StepResult:
        await asyncio.sleep(0.03 - 0.01 * call.inputs["n"])
        return StepResult(output=[call.inputs["n"], call.inputs["id"]])

    house.script["work"] = slower_first
    view = await house.finish(
        actor, each("work", inputs={"n": "${index}", "id": "${item.id}"}), step("after", "work"), input=ROWS
    )
    assert view.run.status == "completed"
    assert output_of(view, "work") == [[0, "a"], [1, "b"], [2, "c"]]
    assert list(statuses(view)) == ["work", "work[0]", "work[1]", "work[2]", "after"]
    assert house.calls[-1] == ("after", 1)


async def test_templates_see_item_index_input_and_finished_steps(house: House, actor: Actor) -> None:
    house.script |= {"first": returning(StepResult(output={"word": "hello"})), "work": echo}
    inputs = {"text": "${first.output.word} ${item.id}#${index} of ${input.rows.2.id}", "whole": "${item}"}
    view = await house.finish(actor, step("first"), each("work", "first", inputs=inputs), input=ROWS)
    assert output_of(view, "work")[1] == {"text": "hello b#1 of c", "whole": {"id": "b"}}


async def test_items_may_come_from_a_finished_step(house: House, actor: Actor) -> None:
    house.script |= {"list": returning(StepResult(output={"items": [1, 2, 3, 4]})), "work": echo}
    expression = "steps.list.output.items.filter(i, i > 2)"
    view = await house.finish(
        actor, step("list"), each("work", "list", over=expression, inputs={"i": "${item}"})
    )
    assert output_of(view, "work") == [{"i": 3}, {"i": 4}]


async def test_an_empty_list_completes_with_an_empty_list(house: House, actor: Actor) -> None:
    view = await house.finish(actor, each("work"), step("after", "work"), input={"rows": []})
    assert (view.run.status, output_of(view, "work")) == ("completed", [])
    assert house.calls == [("after", 1)]


@pytest.mark.parametrize(
    ("rows", "code"),
    [([1, 2, 3, 4], "too_many_items"), ("abc", "for_each_failed"), ({"a": 1}, "for_each_failed")],
)
async def test_a_list_that_is_none_or_too_long_is_a_clear_failure(
    house: House, actor: Actor, rows: Any, code: str
) -> None:
    view = await house.finish(actor, each("work", max_items=3), input={"rows": rows})
    assert (view.run.status, error_of(view)["code"], error_of(view)["step"]) == ("failed", code, "work")
    assert house.calls == []


async def test_what_cannot_be_expanded_is_skipped_where_the_plan_says_so(house: House, actor: Actor) -> None:
    view = await house.finish(
        actor, each("work", over="input.missing", on_error=OnError.SKIP), step("after", "work")
    )
    assert (view.run.status, statuses(view)) == ("completed", {"work": "skipped", "after": "completed"})


async def test_one_failing_item_under_stop_fails_the_run_and_names_it(house: House, actor: Actor) -> None:
    house.script["work[1]"] = failing(Fatal("no", code="script_failed"))
    view = await house.finish(actor, each("work"), step("after", "work"), input=ROWS)
    assert (view.run.status, error_of(view)["step"]) == ("failed", "work[1]")
    found = statuses(view)
    assert (found["work"], found["work[1]"], found["after"]) == ("cancelled", "failed", "cancelled")


async def test_one_failing_item_under_skip_is_null_among_the_results(house: House, actor: Actor) -> None:
    house.script["work[1]"] = failing(Fatal("no", code="script_failed"))
    view = await house.finish(actor, each("work", on_error=OnError.SKIP), input=ROWS)
    assert view.run.status == "completed"
    assert output_of(view, "work") == [{"key": "work[0]"}, None, {"key": "work[2]"}]
    assert statuses(view)["work[1]"] == "skipped"


async def test_an_item_is_retried_alone(house: House, actor: Actor) -> None:
    async def flaky(call: StepCall) -> StepResult:
        if call.step.key == "work[2]" and call.attempt < 3:
            raise Retryable("busy")
        return StepResult(output=call.attempt)

    house.script["work"] = flaky
    view = await house.finish(actor, each("work", retry=Retry(attempts=3, delay=0.001)), input=ROWS)
    assert output_of(view, "work") == [1, 1, 3]
    assert [house.times(f"work[{i}]") for i in range(3)] == [1, 1, 3]


async def test_a_restart_in_the_middle_does_not_repeat_finished_items(house: House, actor: Actor) -> None:
    gate = Gate(StepResult(output="late"))
    house.script["work[1]"] = gate
    run_id = await house.start(actor, each("work"), step("after", "work"), input=ROWS)
    await house.step_reaches(actor, run_id, "work[0]", "completed")
    await house.step_reaches(actor, run_id, "work[2]", "completed")
    await gate.begun.wait()
    await house.restart()
    view = await house.settled(actor, run_id)
    assert view.run.status == "completed"
    assert output_of(view, "work") == [{"key": "work[0]"}, "late", {"key": "work[2]"}]
    assert [house.times(f"work[{i}]") for i in range(3)] == [1, 2, 1]
    assert house.times("after") == 1


async def test_large_outputs_of_items_are_gathered_whole(house: House, actor: Actor) -> None:
    seen: dict[str, Any] = {}

    async def large(call: StepCall) -> StepResult:
        return StepResult(output=call.inputs["id"] * 70_000)

    async def look(call: StepCall) -> StepResult:
        seen.update(call.inputs)
        return StepResult(output=1)

    house.script |= {"work": large, "look": look}
    view = await house.finish(
        actor,
        each("work", inputs={"id": "${item.id}"}),
        step("look", "work", inputs={"all": "${work.output}"}),
        input=ROWS,
    )
    assert view.run.status == "completed"
    assert seen == {"all": ["a" * 70_000, "b" * 70_000, "c" * 70_000]}


async def test_many_items_run_although_few_at_once(house: House, actor: Actor) -> None:
    view = await house.finish(actor, each("work", inputs={"n": "${item}"}), input={"rows": list(range(700))})
    assert view.run.status == "completed"
    assert len(output_of(view, "work")) == 700


async def test_a_condition_decides_about_the_whole_not_about_the_items(house: House, actor: Actor) -> None:
    view = await house.finish(actor, each("work", when="size(input.rows) > 5"), input=ROWS)
    assert statuses(view) == {"work": "skipped"}


async def test_an_item_that_waits_is_answered_by_its_own_key(house: House, actor: Actor) -> None:
    ask = Step("ask", "approval", {"question": "Go on?"}, for_each="input.rows")
    view = await house.finish(actor, ask, step("after", "ask"), input={"rows": [1, 2]})
    assert view.run.status == "waiting"
    await house.runs.answer_step(actor, view.run.id, "ask[1]", {"approved": "second"})
    assert (await house.settled(actor, view.run.id)).run.status == "waiting"
    await house.runs.answer_step(actor, view.run.id, "ask[0]", {"approved": "first"})
    done = await house.settled(actor, view.run.id)
    assert done.run.status == "completed"
    assert output_of(done, "ask") == [{"approved": "first"}, {"approved": "second"}]


# --- subplan -----------------------------------------------------------------------------------------------


async def test_a_subplan_sees_its_inputs_and_gives_the_output_of_its_last_step(
    house: House, actor: Actor
) -> None:
    house.script["sub/last"] = echo
    inner = within(
        "sub",
        step("one"),
        step("last", "one", inputs={"who": "${input.who}", "one": "${one.output.key}"}),
        needs=("first",),
        inputs={"who": "${first.output.key}"},
    )
    view = await house.finish(actor, step("first"), inner, step("after", "sub"))
    assert view.run.status == "completed"
    assert output_of(view, "sub") == {"who": "first", "one": "sub/one"}
    assert [key for key, _ in house.calls] == ["first", "sub/one", "sub/last", "after"]


async def test_a_subplan_that_ends_in_several_steps_gives_all_their_outputs(
    house: House, actor: Actor
) -> None:
    house.script |= {"sub/l": returning(StepResult(output=1)), "sub/r": returning(StepResult(output=2))}
    view = await house.finish(actor, within("sub", step("root"), step("l", "root"), step("r", "root")))
    assert output_of(view, "sub") == {"l": 1, "r": 2}


async def test_conditions_inside_read_the_steps_beside_them(house: House, actor: Actor) -> None:
    inner = within(
        "sub", step("one"), step("no", "one", when="steps.one.output.key == 'one'"), inputs={"x": 1}
    )
    view = await house.finish(actor, step("one"), inner, step("yes", "sub", when="steps.sub.output == null"))
    found = statuses(view)
    assert (found["sub/no"], found["yes"]) == ("skipped", "completed")


def nested(depth: int) -> Step:
    inner = step("leaf")
    for level in range(depth):
        inner = within(f"s{level}", inner)
    return inner


async def test_plans_within_plans_go_four_deep_and_no_deeper(house: House, actor: Actor) -> None:
    view = await house.finish(actor, nested(3))
    assert (view.run.status, output_of(view, "s2")) == ("completed", {"key": "s2/s1/s0/leaf"})
    with pytest.raises(Invalid, match="at most 4 deep"):
        await house.start(actor, nested(4))


async def test_a_restart_in_the_middle_of_a_subplan_goes_on_where_it_was(house: House, actor: Actor) -> None:
    gate = Gate()
    house.script["outer/sub/two"] = gate
    inner = within("sub", step("one"), step("two", "one"), step("three", "two"))
    run_id = await house.start(actor, within("outer", step("zero"), inner), step("after", "outer"))
    await gate.begun.wait()
    await house.restart()
    assert (await house.settled(actor, run_id)).run.status == "completed"
    assert [house.times(f"outer/{key}") for key in ("zero", "sub/one", "sub/two", "sub/three")] == [
        1,
        1,
        2,
        1,
    ]


async def test_a_failure_inside_names_the_inner_step_and_fails_the_run(house: House, actor: Actor) -> None:
    house.script["sub/one"] = failing(Fatal("broken", code="script_failed"))
    view = await house.finish(actor, within("sub", step("one"), step("two", "one")), step("after", "sub"))
    assert (view.run.status, error_of(view)["step"]) == ("failed", "sub/one")
    assert statuses(view) == {
        "sub": "cancelled",
        "sub/one": "failed",
        "sub/two": "cancelled",
        "after": "cancelled",
    }


async def test_a_mistake_inside_is_told_with_its_place(house: House, actor: Actor) -> None:
    with pytest.raises(Invalid) as refused:
        await house.start(actor, within("sub", Step("one", "nobody")))
    (problem,) = refused.value.details["fields"]
    assert problem["field"] == "steps[0].args.plan.steps[0].kind"
    with pytest.raises(Invalid):
        await house.start(actor, Step("sub", SUBPLAN, {"plan": {"steps": "none"}}))


async def test_a_subplan_is_done_for_each_item(house: House, actor: Actor) -> None:
    gate = Gate(StepResult(output="held"))
    house.script |= {"sub/two": echo, "sub[1]/two": gate}
    inner = within(
        "sub",
        step("one"),
        step("two", "one", inputs={"id": "${input.id}", "one": "${one.output.key}"}),
        for_each="input.rows",
        inputs={"id": "${item.id}"},
    )
    run_id = await house.start(actor, inner, step("after", "sub"), input=ROWS)
    await gate.begun.wait()
    await house.step_reaches(actor, run_id, "sub[2]", "completed")
    await house.restart()
    view = await house.settled(actor, run_id)
    assert view.run.status == "completed"
    assert output_of(view, "sub") == [
        {"id": "a", "one": "sub[0]/one"},
        "held",
        {"id": "c", "one": "sub[2]/one"},
    ]
    assert [house.times(f"sub[{i}]/one") for i in range(3)] == [1, 1, 1]
    assert [house.times(f"sub[{i}]/two") for i in range(3)] == [1, 2, 1]


async def test_items_inside_a_subplan_come_from_its_own_steps(house: House, actor: Actor) -> None:
    house.script |= {"sub/list": returning(StepResult(output=[1, 2])), "sub/work": echo}
    loop = each("work", "list", over="steps.list.output", inputs={"i": "${item}", "who": "${input.who}"})
    view = await house.finish(actor, within("sub", step("list"), loop, inputs={"who": "Maya"}))
    assert output_of(view, "sub") == [{"i": 1, "who": "Maya"}, {"i": 2, "who": "Maya"}]


async def test_a_step_inside_that_waits_survives_a_restart(house: House, actor: Actor) -> None:
    house.script["sub/ask"] = returning(Waiting("approval"))
    view = await house.finish(actor, within("sub", step("one"), step("ask", "one")), step("after", "sub"))
    await house.restart()
    await house.runs.answer_step(actor, view.run.id, "sub/ask", {"yes": True})
    done = await house.settled(actor, view.run.id)
    assert (done.run.status, output_of(done, "sub")) == ("completed", {"yes": True})
    assert house.times("sub/one") == 1


# --- what decides whether a step starts --------------------------------------------------------------------


async def test_a_step_that_needs_n_of_its_needs_counts_completed_ones(house: House, actor: Actor) -> None:
    house.script["b"] = failing(Fatal("no"))
    needs = ("a", "b", "c")
    view = await house.finish(
        actor,
        step("a"),
        step("b", on_error=OnError.SKIP),
        step("c"),
        step("two", *needs, join=2),
        step("three", *needs, join=3),
    )
    found = statuses(view)
    assert (found["two"], found["three"]) == ("completed", "skipped")


async def test_conditions_may_go_through_lists(house: House, actor: Actor) -> None:
    rows = [{"ok": True, "n": 1}, {"ok": False, "n": 2}]
    house.script["rows"] = returning(StepResult(output=rows))
    view = await house.finish(
        actor,
        step("rows"),
        step("all", "rows", when="steps.rows.output.all(r, r.ok)"),
        step("any", "rows", when="steps.rows.output.exists(r, !r.ok && r.n > 1)"),
        step("mapped", "rows", when="steps.rows.output.map(r, r.n) == [1, 2]"),
    )
    found = statuses(view)
    assert (found["all"], found["any"], found["mapped"]) == ("skipped", "completed", "completed")
