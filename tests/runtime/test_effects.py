"""Effects over attempts: none twice, none forgotten, none unapproved; doubt goes to a person."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from any_engine import make_engine
from omniforge.core.actor import Actor
from omniforge.core.errors import Conflict, Forbidden, OmniForgeError, Retryable
from omniforge.db import Database
from omniforge.engine.active import Fenced, StepCall
from omniforge.engine.embedded import EmbeddedEngine
from omniforge.engine.plan import Plan, Retry, Step
from omniforge.engine.state import StepResult, Waiting
from omniforge.integrations.errors import PermissionDeniedThere, ServiceDown
from omniforge.integrations.manifest import Access, Lookup
from omniforge.runs.service import WAITS_FOR_EFFECT, Mode, RunService, StartRequest
from omniforge.runs.shown import RunView, run_json
from omniforge.runtime import effects
from omniforge.runtime.bridge import SkillBridge
from omniforge.runtime.effects import EffectHistory
from omniforge.runtime.gate import EffectAsked, EffectGate
from omniforge.runtime.memory import SkillMemory
from omniforge.runtime.tools.policy import EffectLock, EffectNotApproved, ToolPolicy
from omniforge.runtime.tools.protocol import CallScope, Target


@dataclass
class Board:
    """A tool that posts notes; errors come up once each, before or after the note is there.

    looks: whether it can be seen if a note is there.
    """

    notes: list[str] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    looks: bool = False
    looking: list[OmniForgeError] = field(default_factory=list)
    before: list[OmniForgeError] = field(default_factory=list)
    after: list[OmniForgeError] = field(default_factory=list)
    act: Any = None
    name: str = "board.post"
    description: str = "Posts a note."
    access: Access = Access.SEND
    outward: bool = True

    @property
    def input_schema(self) -> dict[str, Any]:
        return {"properties": {"where": {}, "text": {}, "mark": {}}}

    @property
    def finder(self) -> Finder:
        return Finder(board=self)

    def container(self, args: dict[str, Any]) -> str | None:
        return None

    def lookup(self, args: dict[str, Any]) -> Lookup | None:
        return Lookup("board.find", {"mark": args["mark"]}, "note") if self.looks else None

    def check(self, args: dict[str, Any]) -> dict[str, Any]:
        return args

    def subject(self, args: dict[str, Any]) -> str:
        return str(args["where"])

    def target(self, args: dict[str, Any], scope: CallScope) -> Target:
        return Target("board", None, str(args["where"]), str(args["where"]))

    def summary(self, args: dict[str, Any]) -> str:
        return f"posts to {args['where']}"

    async def call(self, args: dict[str, Any], scope: CallScope) -> dict[str, Any]:
        if self.act is not None:
            return await self.act(args, scope)
        if self.before:
            raise self.before.pop()
        self.notes.append(str(args["text"]))
        self.marks.append(str(args["mark"]))
        if self.after:
            raise self.after.pop()
        return {"id": len(self.notes)}

    async def hold(self, args: dict[str, Any], scope: CallScope) -> dict[str, Any]:
        return {"id": 0}


@dataclass
class Finder(Board):
    """Finds a note of the board by its mark."""

    board: Board = field(default_factory=Board)
    name: str = "board.find"
    access: Access = Access.READ

    def summary(self, args: dict[str, Any]) -> str:
        return "looks whether the note is there"

    async def call(self, args: dict[str, Any], scope: CallScope) -> dict[str, Any]:
        if self.board.looking:
            raise self.board.looking.pop()
        marks = self.board.marks
        return {"note": {"id": marks.index(args["mark"]) + 1} if args["mark"] in marks else None}


@dataclass
class House:
    """Runs one step whose script posts `texts`, then fails as often as `failures` says."""

    runs: RunService
    engine: EmbeddedEngine
    database: Database
    board: Board
    home: Path
    texts: list[str]
    failures: int = 0
    where: str = "#team"
    cap: int = 5
    answers: list[Any] = field(default_factory=list)
    later: list[str] | None = None
    bridge: SkillBridge | None = None
    asks: bool = False
    pauses: list[float] = field(default_factory=list)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def step(self, call: StepCall) -> StepResult:
        entry = {
            "tool": "board.post",
            "destination": {"integration": "board", "resource": "#team"},
            "cap": self.cap,
        }
        scope = CallScope("default", "local", Mode(call.run.mode), datetime.now(UTC), Path("/nonexistent"))
        bridge = SkillBridge(
            call=call,
            skill="poster",
            tools={"board.post": self.board},
            policy=ToolPolicy(["board.*"]),
            gate=EffectGate(
                call=call,
                tools={"board.post": self.board, "board.find": self.board.finder},
                lock=EffectLock([entry]),
                mode=scope.mode,
                asks=self.asks,
                pause=self.pause,
            ),
            scope=scope,
            memory=SkillMemory(self.database, "default", "x", scratch=True),
        )
        if call.attempt > 1:  # as the skill step does
            rows = await self.engine.events.read("default", run_id=call.run.id, types=effects.TYPES)
            bridge.gate.take_up(EffectHistory.read(rows, "post"))
        self.bridge, ask = bridge, bridge.serve()
        try:
            for text in self.later if self.later and call.attempt > 1 else self.texts:
                request = {"op": "tool", "tool": "board.post", "args": {"where": self.where, "text": text}}
                self.answers.append((await ask(request))["result"])
        except EffectAsked as error:
            return Waiting(WAITS_FOR_EFFECT, {"question": error.message, **error.details})
        if self.failures:
            self.failures -= 1
            raise Retryable("the script stumbled afterwards")
        return StepResult(output={"report": "posted"}, effects=bridge.gate.done)

    async def run(self, actor: Actor, mode: Mode = Mode.LIVE) -> RunView:
        step = Step(key="post", kind="skill", retry=Retry(attempts=3, delay=0.001))
        run_id = await self.runs.start_run(actor, StartRequest(plan=Plan((step,)), subject="x", mode=mode))
        async with asyncio.timeout(20):
            return await self.runs.wait_for(actor, run_id)

    async def told(self) -> list[str]:
        return [row.type for row in await self.engine.events.read("default", types=effects.TYPES)]


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    handlers: dict[str, Any] = {}
    engine = make_engine(database, handlers, tmp_path, slots=4)
    made = House(RunService(engine, 100), engine, database, Board(), tmp_path, ["one", "two"])
    handlers["skill"] = made.step
    await engine.open()
    yield made
    await engine.close()


async def test_a_second_attempt_is_given_the_first_ones_answers_and_posts_nothing_again(
    house: House, actor: Actor
) -> None:
    house.failures = 2
    assert (await house.run(actor)).run.status == "completed"
    assert house.board.notes == ["one", "two"]
    assert house.answers == [{"id": 1}, {"id": 2}] * 3
    assert await house.told() == ["effect.intended", "effect.recorded"] * 2


async def test_the_same_text_twice_is_two_effects_in_every_attempt(house: House, actor: Actor) -> None:
    house.texts, house.failures = ["same", "same"], 1
    assert (await house.run(actor)).run.status == "completed"
    assert house.board.notes == ["same", "same"]


async def test_a_refusal_that_is_known_to_have_done_nothing_is_tried_again(
    house: House, actor: Actor
) -> None:
    house.board.before.append(ServiceDown("down", retryable=True))
    house.cap = 2
    assert (await house.run(actor)).run.status == "completed"
    assert house.board.notes == ["one", "two"]


async def test_a_lost_answer_ends_with_a_person_instead_of_a_second_post(house: House, actor: Actor) -> None:
    house.board.after.append(ServiceDown("no answer", retryable=True, outcome_unknown=True))
    view = await house.run(actor)
    assert view.run.status == "needs_person"
    error = run_json(view)["error"]
    assert error["code"] == "outcome_unknown"
    assert "posts to #team" in error["message"]
    assert house.board.notes == ["one"]


async def test_an_intent_without_an_outcome_ends_with_a_person(house: House, actor: Actor) -> None:
    posting = asyncio.Event()

    async def never_returns(args: dict[str, Any], scope: CallScope) -> dict[str, Any]:
        house.board.notes.append(str(args["text"]))
        posting.set()
        await asyncio.Event().wait()
        raise AssertionError

    house.board.act = never_returns
    step = Step(key="post", kind="skill")
    run_id = await house.runs.start_run(actor, StartRequest(plan=Plan((step,)), subject="x"))
    await posting.wait()
    await house.engine.close()  # as a kill would: nothing after the call is written
    house.board.act = None
    engine = make_engine(house.database, {"skill": house.step}, house.home, slots=4)
    house.engine, house.runs = engine, RunService(engine, 100)
    await engine.open()
    view = await house.runs.wait_for(actor, run_id)
    await engine.close()
    assert (view.run.status, house.board.notes) == ("needs_person", ["one"])


async def test_a_lost_answer_is_looked_for_and_the_effect_found_counts_as_done(
    house: House, actor: Actor
) -> None:
    house.board.looks = True
    house.board.after.append(ServiceDown("no answer", retryable=True, outcome_unknown=True))
    assert (await house.run(actor)).run.status == "completed"
    assert house.board.notes == ["one", "two"]
    assert house.answers == [{"id": 1}, {"id": 2}]
    assert house.pauses == [2.0]


async def test_what_was_looked_for_and_is_not_there_is_done_once_more(house: House, actor: Actor) -> None:
    house.board.looks = True
    house.cap = 2
    house.board.before.append(ServiceDown("no answer", retryable=True, outcome_unknown=True))
    assert (await house.run(actor)).run.status == "completed"
    assert house.board.notes == ["one", "two"]
    assert len(set(house.board.marks)) == 2
    assert await house.told() == [
        "effect.intended",
        "effect.failed",  # nobody knows
        "effect.failed",  # it is not there
        "effect.intended",
        "effect.recorded",
        "effect.intended",
        "effect.recorded",
    ]


async def test_when_nobody_can_look_either_a_person_has_to(house: House, actor: Actor) -> None:
    house.board.looks = True
    house.board.after.append(ServiceDown("no answer", retryable=True, outcome_unknown=True))
    house.board.looking += [PermissionDeniedThere("no"), ServiceDown("still down", retryable=True)]
    view = await house.run(actor)
    assert (view.run.status, house.board.notes) == ("needs_person", ["one"])


async def test_an_intent_without_an_outcome_is_looked_for_after_a_restart(house: House, actor: Actor) -> None:
    posting = asyncio.Event()

    async def never_returns(args: dict[str, Any], scope: CallScope) -> dict[str, Any]:
        house.board.notes.append(str(args["text"]))
        house.board.marks.append(str(args["mark"]))
        posting.set()
        await asyncio.Event().wait()
        raise AssertionError

    house.board.act, house.board.looks = never_returns, True
    step = Step(key="post", kind="skill")
    run_id = await house.runs.start_run(actor, StartRequest(plan=Plan((step,)), subject="x"))
    await posting.wait()
    await house.engine.close()  # as a kill would: nothing after the call is written
    house.board.act = None
    engine = make_engine(house.database, {"skill": house.step}, house.home, slots=4)
    house.engine, house.runs = engine, RunService(engine, 100)
    await engine.open()
    view = await house.runs.wait_for(actor, run_id)
    await engine.close()
    assert (view.run.status, house.board.notes) == ("completed", ["one", "two"])
    assert house.answers == [{"id": 1}, {"id": 2}]


async def test_the_mark_of_an_effect_is_the_same_in_every_attempt_and_another_for_every_effect(
    house: House, actor: Actor
) -> None:
    house.texts, house.failures = ["same", "same"], 1
    house.board.before.append(ServiceDown("down", retryable=True))
    await house.run(actor)
    assert len(house.board.marks) == len(set(house.board.marks)) == 2
    assert all(mark.startswith("of-") and len(mark) <= 120 for mark in house.board.marks)


async def asked(house: House, actor: Actor) -> str:
    """A run that waits because it wants to post where nobody said it may."""
    house.where, house.asks, house.texts = "#general", True, ["psst"]
    view = await house.run(actor)
    assert (view.run.status, view.steps[0].reason) == ("waiting", "effect")
    return view.run.id


async def test_who_may_edit_sees_the_exact_call_and_allows_it_once(house: House, actor: Actor) -> None:
    run_id = await asked(house, actor)
    rows = await house.engine.events.read("default", run_id=run_id, types=["step.waiting"])
    told = json.loads(rows[-1].payload)
    assert told["content"] == {"where": "#general", "text": "psst"}
    assert told["destination"]["name"] == "#general"
    assert "you approved" in told["question"]
    assert house.board.notes == []
    await house.runs.answer_step(actor, run_id, "post", {"approved": True})
    view = await house.runs.wait_for(actor, run_id)
    assert (view.run.status, house.board.notes) == ("completed", ["psst"])


async def test_an_approval_is_for_that_call_only(house: House, actor: Actor) -> None:
    run_id = await asked(house, actor)
    house.later = ["psst", "psst"]
    await house.runs.answer_step(actor, run_id, "post", {"approved": True})
    view = await house.runs.wait_for(actor, run_id)
    assert (view.run.status, house.board.notes) == ("waiting", ["psst"])
    house.later = ["something else"]
    await house.runs.answer_step(actor, run_id, "post", {"approved": True})
    view = await house.runs.wait_for(actor, run_id)
    assert (view.run.status, house.board.notes) == ("waiting", ["psst"])


async def test_a_no_ends_the_step_and_nothing_is_posted(house: House, actor: Actor) -> None:
    run_id = await asked(house, actor)
    await house.runs.reject_step(actor, run_id, "post", "not there")
    view = await house.runs.wait_for(actor, run_id)
    assert (view.run.status, house.board.notes) == ("failed", [])
    assert run_json(view)["error"]["code"] == "rejected"


@pytest.mark.parametrize("answer", [{"approved": False}, {"text": "fine"}, {"approved": True, "cap": 9}])
async def test_only_a_yes_or_a_no_answers_the_question_for_a_call(
    house: House, actor: Actor, answer: dict[str, Any]
) -> None:
    run_id = await asked(house, actor)
    with pytest.raises(Conflict):
        await house.runs.answer_step(actor, run_id, "post", answer)
    assert house.board.notes == []


async def test_whoever_may_not_edit_cannot_allow_a_call(house: House, actor: Actor) -> None:
    run_id = await asked(house, actor)
    runner = replace(actor, permissions=actor.permissions - {"agent:edit"})
    with pytest.raises(Forbidden):
        await house.runs.answer_step(runner, run_id, "post", {"approved": True})


async def test_doing_it_again_without_a_yes_asks_again(house: House, actor: Actor) -> None:
    run_id = await asked(house, actor)
    await house.runs.answer_step(actor, run_id, "post", None)
    view = await house.runs.wait_for(actor, run_id)
    assert (view.run.status, house.board.notes) == ("waiting", [])


async def test_what_was_not_approved_is_not_posted_however_often_it_is_tried(
    house: House, actor: Actor
) -> None:
    house.where = "#general"
    view = await house.run(actor)
    assert run_json(view)["error"]["code"] == EffectNotApproved.code
    assert (house.board.notes, await house.told()) == ([], [])


async def test_a_cap_counts_over_all_attempts(house: House, actor: Actor) -> None:
    house.cap, house.failures = 1, 1
    house.texts, house.later = ["one"], ["something else"]
    view = await house.run(actor)
    assert run_json(view)["error"]["code"] == EffectNotApproved.code
    assert house.board.notes == ["one"]


async def test_what_an_earlier_attempt_did_is_told_again_within_the_cap(house: House, actor: Actor) -> None:
    house.cap, house.failures, house.texts = 1, 2, ["one"]
    assert (await house.run(actor)).run.status == "completed"
    assert (house.board.notes, house.answers) == (["one"], [{"id": 1}] * 3)


async def test_a_script_cannot_hide_a_refused_effect_behind_a_later_error(house: House, actor: Actor) -> None:
    house.where = "#general"
    await house.run(actor)
    assert house.bridge is not None
    with pytest.raises(Fenced):  # the run is over meanwhile
        await house.bridge.serve()(
            {"op": "tool", "tool": "board.post", "args": {"where": "#team", "text": "x"}}
        )
    assert isinstance(house.bridge.trouble, EffectNotApproved)


async def test_a_preview_holds_everything_back_and_tells_what_it_would_have_done(
    house: House, actor: Actor
) -> None:
    assert (await house.run(actor, Mode.PREVIEW)).run.status == "completed"
    assert house.board.notes == []
    assert await house.told() == ["effect.recorded", "effect.recorded"]


async def test_huge_content_does_not_hide_where_an_effect_went(house: House, actor: Actor) -> None:
    house.texts = ["ж" * 200_000]
    assert (await house.run(actor)).run.status == "completed"
    rows = await house.engine.events.read("default", types=["effect.recorded"])
    assert '"resource":"#team"' in rows[0].payload
