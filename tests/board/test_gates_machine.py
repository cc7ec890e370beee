"""Whatever is tried, in whatever order, nothing is done by itself that nobody proved and nobody approved."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from tests.board.gate_stage import GateStage, open_gates

from omniforge.board.vocabulary import PhaseId, TicketStatus
from omniforge.db import Database

WAY = [status.value for status in TicketStatus]
GOOD, BAD = {"main.py": "good\n"}, {"main.py": "bad\n"}
PASSES = {"test": {"command": "grep -q good main.py"}}
GATES: list[list[dict[str, Any]] | None] = [
    None,
    [],
    [{"key": "run", "kind": "command", "command": "grep -q good main.py"}],
    [{"key": "run", "kind": "command", "command": "true", "required": False}],
    [{"key": "look", "kind": "approval", "role": "ux", "prompt": "Good?", "applies": "without_proof"}],
    [{"key": "spec", "kind": "rule", "rule": "spec_approved", "applies": "with_spec"}],
]


class Gated(RuleBasedStateMachine):
    """One ticket of an autonomous project, and everybody who could do something to it."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.cleanup = AsyncExitStack()

    @initialize(with_command=st.booleans(), limit=st.integers(0, 2))
    def begin(self, with_command: bool, limit: int) -> None:
        self.loop.run(self._begin({"commands": PASSES if with_command else {}, "max_remediations": limit}))

    async def _begin(self, given: dict[str, Any]) -> None:
        folder = Path(self.cleanup.enter_context(tempfile.TemporaryDirectory()))
        db = Database(f"sqlite+aiosqlite:///{folder / 'board.db'}", synchronous="OFF")
        self.cleanup.push_async_callback(db.close)
        self.stage: GateStage = await self.cleanup.enter_async_context(open_gates(db, folder))
        self.ticket_id = await self.stage.building(given, done=False, autonomous=True)
        self.project_id = (await self.stage.row(self.ticket_id)).project_id

    def teardown(self) -> None:
        try:
            self.loop.run(self.nothing_is_done_unproved())
        finally:
            self.loop.run(self.cleanup.aclose())
            self.loop.close()

    # --- what happens ------------------------------------------------------------------------------

    @rule(files=st.sampled_from([GOOD, BAD]), settle=st.booleans())
    def work(self, files: dict[str, str], settle: bool) -> None:
        self.loop.run(self.stage.work(self.ticket_id, files))
        if settle:
            self.loop.run(self.stage.settle_tasks(self.ticket_id))

    @rule(answers=st.lists(st.sampled_from([None, True, True, False]), min_size=1, max_size=4))
    def go_on(self, answers: list[bool | None]) -> None:
        """What there is to do is done, the ticket goes on, and now and then somebody answers."""
        for yes in answers:
            self.loop.run(self.stage.settle_tasks(self.ticket_id))
            self.loop.run(self.stage.move_on(self.ticket_id))
            if yes is not None:
                self.loop.run(self.answer(yes=yes))

    @rule(kind=st.sampled_from(["test_results", "test_evidence", "requirements_document"]))
    def claim(self, kind: str) -> None:
        phase = PhaseId.TESTING.value
        self.loop.run(self.stage.artifact(self.ticket_id, kind, phase, text="All is well.", passed=99))

    @rule()
    def move_on(self) -> None:
        self.loop.run(self.stage.move_on(self.ticket_id))

    async def answer(self, *, yes: bool) -> None:
        """The oldest question about a gate."""
        for asked in (await self.stage.asked(subject_type="gate_check"))[-1:]:
            decision = "approve" if yes else "reject"
            path = f"/api/v1/approvals/{asked['id']}/decide"
            told = await self.stage.http.post(path, json={"decision": decision, "rationale": "So."})
            assert told.status_code in (200, 409), told.text
        await self.stage.rest()

    @rule(which=st.sampled_from(GATES), status=st.sampled_from(["building", "testing"]))
    def change_gate(self, which: list[dict[str, Any]] | None, status: str) -> None:
        async def change() -> None:
            path = f"/phases/gates/{status}"
            if which is None:
                await self.stage.http.delete(f"/api/v1{path}", params={"project_id": self.project_id})
            else:
                await self.stage.call("PUT", path, project_id=self.project_id, checks=which)

        self.loop.run(change())

    @rule()
    def unblock(self) -> None:
        self.loop.run(self.stage.call("POST", f"/tickets/{self.ticket_id}/unblock"))

    @rule()
    def send_back(self) -> None:
        async def send() -> None:
            path = f"/api/v1/tickets/{self.ticket_id}/regress"
            told = await self.stage.http.post(path, json={"feedback": "Again."})
            assert told.status_code in (200, 409), told.text

        self.loop.run(send())

    # --- what always holds -------------------------------------------------------------------------

    async def nothing_is_done_unproved(self) -> None:
        ticket = await self.stage.row(self.ticket_id)
        decisions = {row.id: row for row in await self.stage.decisions(self.ticket_id)}
        moves = (await self.stage.call("GET", f"/tickets/{self.ticket_id}/history"))["history"]
        for move in moves:
            if move["from_status"] in ("building", "testing") and move["cause"] in ("auto", "results"):
                decision = decisions.get(move["decision_id"] or "")
                if move["to_status"] == "done":
                    assert decision is not None
                    assert await self.stage.is_proved(decision)
                if decision is not None:
                    assert decision.decision in ("go", "conditional-go")
        assert ticket.remediations <= 2
        assert ticket.status in WAY
        assert all(row.state == "terminated" for row in await self.stage.sandboxes())


Gated.TestCase.settings = settings(
    max_examples=6, stateful_step_count=14, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestGated = Gated.TestCase
