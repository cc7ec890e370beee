"""Effects over attempts: none twice, none forgotten, none unapproved; doubt goes to a person."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from any_engine import make_engine
from omniforge.core.actor import Actor
from omniforge.core.errors import OmniForgeError, Retryable
from omniforge.db import Database
from omniforge.engine.active import Fenced, StepCall
from omniforge.engine.embedded import EmbeddedEngine
from omniforge.engine.plan import Plan, Retry, Step
from omniforge.engine.state import StepResult
from omniforge.integrations.errors import ServiceDown
from omniforge.integrations.manifest import Access
from omniforge.runs.service import Mode, RunService, StartRequest
from omniforge.runs.shown import RunView, run_json
from omniforge.runtime import effects
from omniforge.runtime.bridge import SkillBridge
from omniforge.runtime.effects import EffectHistory
from omniforge.runtime.memory import SkillMemory
from omniforge.runtime.tools.policy import EffectLock, EffectNotApproved, ToolPolicy
from omniforge.runtime.tools.protocol import CallScope, Target


@dataclass
class Board:
    """A tool that posts notes; `trouble` comes up once each, before or after the note is there."""

    notes: list[str] = field(default_factory=list)
    before: list[OmniForgeError] = field(default_factory=list)
    after: list[OmniForgeError] = field(default_factory=list)
    act: Any = None
    name: str = "board.post"
    description: str = "Posts a note."
    access: Access = Access.SEND
    input_schema: dict[str, Any] = field(default_factory=dict)

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
        if self.after:
            raise self.after.pop()
        return {"id": len(self.notes)}

    async def hold(self, args: dict[str, Any], scope: CallScope) -> dict[str, Any]:
        return {"id": 0}


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
            lock=EffectLock([entry]),
            scope=scope,
            memory=SkillMemory(self.database, "default", "x", scratch=True),
        )
        if call.attempt > 1:  # as the skill step does
            rows = await self.engine.events.read("default", run_id=call.run.id, types=effects.TYPES)
            bridge.take_up(EffectHistory.read(rows, "post"))
        self.bridge, ask = bridge, bridge.serve()
        for text in self.later if self.later and call.attempt > 1 else self.texts:
            request = {"op": "tool", "tool": "board.post", "args": {"where": self.where, "text": text}}
            self.answers.append((await ask(request))["result"])
        if self.failures:
            self.failures -= 1
            raise Retryable("the script stumbled afterwards")
        return StepResult(output={"report": "posted"}, effects=bridge.effects)

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
