"""The loop between a model and its tools: limits, repeats, refusals, fallbacks, figures."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from model_stage import ModelStage, tool
from omniforge.core.errors import Invalid
from omniforge.llm.protocol import (
    AnswerInvalid,
    AskEventKind,
    AskLimits,
    BudgetExceeded,
    Json,
    ModelUnavailable,
    ToolRefused,
)
from omniforge.llm.scripts import Asked, FaultKind, ToolUse, Turn

SCHEMA: Json = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
LOOK = {"tools": [{"name": "look", "args": {"at": "door"}}]}


class Looking:
    """A tool that counts its calls and may refuse."""

    def __init__(self, refusal: str = "") -> None:
        self.seen: list[Json] = []
        self.refusal = refusal
        self.offer = tool("look", self.look, at="string")

    async def look(self, args: Json) -> Any:
        self.seen.append(args)
        if self.refusal:
            raise ToolRefused(self.refusal)
        return {"seen": args["at"]}


async def test_an_answer_of_the_scripted_model_is_labelled_simulated() -> None:
    answer = await ModelStage.scripted({"text": "Hello."}).ask()
    assert (answer.simulated, answer.model, answer.usage.cost_usd) == (True, "scripted:actor", None)
    assert answer.usage.estimated


async def test_a_function_may_write_the_answers() -> None:
    def write(asked: Asked) -> Turn:
        return Turn(value={"n": len(asked.tools)}) if "count" in asked.text else Turn(text="What?")

    stage = ModelStage.written(write)
    look = Looking()
    assert (await stage.ask("count your tools", schema=SCHEMA, tools=[look.offer])).value == {"n": 2}
    assert (await stage.ask("hm")).text == "What?"


async def test_arguments_are_checked_and_brought_into_form_before_the_call() -> None:
    look = Looking()
    wrong = {"tools": [{"name": "look", "args": {"where": 1}}]}
    broken = {"tools": [{"name": "look", "args": "{'at': 'door',"}]}
    stage = ModelStage.scripted(wrong, broken, {"text": "Done."})
    answer = await stage.ask(tools=[look.offer], stream=True)
    assert look.seen == [{"at": "door"}]
    assert (answer.text, answer.repaired) == ("Done.", True)
    told = [event for event in stage.events if event.kind is AskEventKind.TOOL_RESULT]
    assert [event.data["ok"] for event in told] == [False, True]
    assert "$.at: is missing" in told[0].text


async def test_the_same_failing_call_is_done_three_times_and_then_another_way_is_asked_for() -> None:
    look = Looking(refusal="It is dark.")
    stage = ModelStage.scripted({**LOOK, "times": 5}, {"text": "I cannot see."})
    answer = await stage.ask(tools=[look.offer], stream=True)
    assert answer.text == "I cannot see."
    assert len(look.seen) == 3
    told = [event.text for event in stage.events if event.kind is AskEventKind.TOOL_RESULT]
    assert ["another" in text for text in told] == [False, False, True, True, True]
    assert "It is dark." in told[2]


async def test_a_tool_that_is_not_offered_is_told_to_the_model() -> None:
    stage = ModelStage.scripted({"tools": [{"name": "fly", "args": {}}]}, {"text": "Then not."})
    assert (await stage.ask(tools=[Looking().offer])).text == "Then not."


async def test_what_a_tool_raises_ends_the_question() -> None:
    async def fall(_: Json) -> Any:
        raise ModelUnavailable("not a refusal", retryable=False)

    with pytest.raises(ModelUnavailable, match="not a refusal") as failed:
        await ModelStage.scripted({"tools": [{"name": "fall"}]}).ask(tools=[tool("fall", fall)])
    assert failed.value.details["usage"]["requests"] == 1


async def test_an_answer_that_stays_wrong_is_an_error_after_the_retries() -> None:
    stage = ModelStage.scripted({"value": {"n": "no number"}, "times": 0})
    with pytest.raises(AnswerInvalid) as failed:
        await stage.ask(schema=SCHEMA, retries=2)
    assert failed.value.details["usage"]["requests"] == 3


async def test_an_answer_cut_by_its_length_is_not_taken_for_a_whole_one() -> None:
    half = {"text": '{"n": 1', "is_cut_short": True, "times": 0}
    with pytest.raises(AnswerInvalid):
        await ModelStage.scripted(half).ask(schema=SCHEMA)
    answer = await ModelStage.scripted({"text": "And so", "is_cut_short": True}).ask()
    assert (answer.text, answer.cut_short) == ("And so", True)


async def test_a_schema_that_is_none_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(Invalid):
        await ModelStage.scripted({"text": "x"}).ask(schema={"type": "array"})


async def test_the_turn_that_would_be_one_too_many_is_not_asked_for() -> None:
    look = Looking()
    stage = ModelStage.scripted({**LOOK, "text": "I look.", "times": 0})
    with pytest.raises(BudgetExceeded) as failed:
        await stage.ask(tools=[look.offer], limits=AskLimits(iterations=4))
    details = failed.value.details
    assert (details["limit"], details["granted"], len(look.seen)) == ("iterations", 4, 4)
    assert (details["usage"]["requests"], details["usage"]["tool_calls"]) == (4, 4)
    assert (details["text"], details["tools"]) == ("I look.", ["look"] * 4)


async def test_calls_that_would_be_too_many_are_not_done() -> None:
    look = Looking()
    three = {"tools": [{"name": "look", "args": {"at": str(at)}} for at in range(3)], "times": 0}
    with pytest.raises(BudgetExceeded) as failed:
        await ModelStage.scripted(three).ask(tools=[look.offer], limits=AskLimits(tool_calls=5))
    assert len(look.seen) == 3
    assert failed.value.details["limit"] == "tool_calls"


async def test_a_question_too_long_for_its_budget_is_not_asked() -> None:
    stage = ModelStage.scripted({"text": "x"})
    with pytest.raises(BudgetExceeded) as failed:
        await stage.ask("many words " * 2000, limits=AskLimits(tokens=2000))
    assert failed.value.details["usage"]["requests"] == 0


async def test_tokens_used_are_counted_against_the_next_call() -> None:
    look = Looking()
    stage = ModelStage.scripted({**LOOK, "usage": {"in": 900, "out": 50}, "times": 0})
    with pytest.raises(BudgetExceeded) as failed:
        await stage.ask(tools=[look.offer], limits=AskLimits(tokens=4000, iterations=50))
    usage = failed.value.details["usage"]
    assert usage["tokens_in"] + usage["tokens_out"] <= 4000
    assert usage["requests"] in (3, 4)


async def test_cost_is_counted_from_the_table_and_stops_the_call_that_would_exceed(tmp_path: Any) -> None:
    table = tmp_path / "prices.yaml"
    table.write_text("date: 2026-01-31\nprices:\n  'scripted:*': {input: 1000, output: 2000}\n")
    look = Looking()
    turn = {**LOOK, "usage": {"in": 100, "out": 10}, "times": 0}
    paid = await ModelStage.scripted({**turn, "tools": [], "text": "ok"}, prices=table).ask()
    assert paid.usage.cost_usd == pytest.approx(0.12)
    stage = ModelStage.scripted(turn, prices=table)
    with pytest.raises(BudgetExceeded) as failed:
        await stage.ask(tools=[look.offer], limits=AskLimits(cost_usd=0.6))
    assert failed.value.details["limit"] == "cost_usd"
    assert failed.value.details["usage"]["cost_usd"] <= 0.6
    assert look.seen


async def test_words_of_a_stream_that_breaks_off_are_counted() -> None:
    stage = ModelStage.scripted({"text": "one two three four", "fault": "cut"}, {"text": "whole"})
    answer = await stage.ask(stream=True)
    assert answer.text == "whole"
    assert answer.usage.requests == 2
    alone = await ModelStage.scripted({"text": "whole"}).ask(stream=True)
    assert answer.usage.tokens_out > alone.usage.tokens_out
    assert AskEventKind.STARTED_OVER in [event.kind for event in stage.events]


async def test_the_fallback_answers_and_is_named() -> None:
    stage = ModelStage.scripted(
        {"fault": "overloaded", "times": 3}, {"text": "Here."}, fallbacks=["scripted:understudy"]
    )
    answer = await stage.ask()
    assert (answer.text, answer.model) == ("Here.", "scripted:understudy")
    assert answer.usage.requests == 4


@pytest.mark.parametrize("fault", ["unauthorized", "not_found", "context_too_long", "refused", "no_credit"])
async def test_what_no_repetition_helps_goes_to_the_fallback_at_once(fault: str) -> None:
    stage = ModelStage.scripted({"fault": fault}, {"text": "Here."}, fallbacks=["scripted:understudy"])
    answer = await stage.ask()
    assert (answer.text, answer.usage.requests) == ("Here.", 2)


async def test_after_a_fallback_the_talk_stays_with_it() -> None:
    asked: list[str] = []

    def write(request: Asked) -> Turn:
        asked.append(request.model)
        if request.model == "actor":
            return Turn(fault=FaultKind.UNAUTHORIZED)
        return Turn(value={"n": 1}) if request.turn else Turn(tools=(ToolUse("look", {"at": "door"}),))

    stage = ModelStage.written(write, fallbacks=["scripted:understudy"])
    answer = await stage.ask(schema=SCHEMA, tools=[Looking().offer])
    assert answer.value == {"n": 1}
    assert asked == ["actor", "understudy", "understudy"]


async def test_when_nobody_answers_the_hopeful_error_is_told() -> None:
    stage = ModelStage.scripted(
        {"fault": "unauthorized"}, {"fault": "overloaded", "times": 0}, fallbacks=["scripted:understudy"]
    )
    with pytest.raises(ModelUnavailable) as failed:
        await stage.ask()
    assert (failed.value.code, failed.value.retryable) == ("model_overloaded", True)
    assert "understudy" in failed.value.message


async def test_a_budget_is_not_stretched_by_fallbacks() -> None:
    stage = ModelStage.scripted({"text": "x"}, fallbacks=["scripted:understudy"])
    with pytest.raises(BudgetExceeded):
        await stage.ask("many words " * 2000, limits=AskLimits(tokens=2000))


async def test_a_deadline_holds_while_a_tool_works() -> None:
    stopped = asyncio.Event()

    async def wait(_: Json) -> Any:
        try:
            await asyncio.sleep(30)
        finally:
            stopped.set()

    with pytest.raises(BudgetExceeded) as failed:
        await ModelStage.scripted({"tools": [{"name": "wait"}]}).ask(
            tools=[tool("wait", wait)], limits=AskLimits(seconds=0.1)
        )
    assert failed.value.details["tools"] == ["wait"]
    assert stopped.is_set()


async def test_the_meter_is_told_of_every_question_also_of_one_that_failed() -> None:
    class Books:
        def __init__(self) -> None:
            self.admitted: list[tuple[str, str]] = []
            self.recorded: list[tuple[str, str, int]] = []

        async def admit(self, tenant_id: str, model: str) -> None:
            self.admitted.append((tenant_id, model))

        async def record(self, tenant_id: str, model: str, usage: Any) -> None:
            self.recorded.append((tenant_id, model, usage.requests))

    books = Books()
    stage = ModelStage.scripted({"text": "x"}, {"fault": "unauthorized"}, meter=books)
    await stage.ask(tenant_id="acme")
    with pytest.raises(ModelUnavailable):
        await stage.ask(tenant_id="acme")
    assert books.admitted == [("acme", "scripted:actor")] * 2
    assert books.recorded == [("acme", "scripted:actor", 1)] * 2
