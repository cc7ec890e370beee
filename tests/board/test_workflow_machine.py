"""No sequence of moves, blocks, limits and forces breaks the workflow, a limit or the history."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from board_stage import PlainGates, Stage, open_stage
from omniforge.board.store.tickets import TicketRow
from omniforge.board.vocabulary import GateReadiness, GateVerdict, TaskStatus, TicketStatus
from omniforge.board.workflow import has_gate, is_legal, is_regress, stage_of
from omniforge.db import Database

STATUSES = st.sampled_from(list(TicketStatus))
WAYS = st.sampled_from(["forward", "forward", "back"]) | STATUSES
"""Along an edge more often than to anywhere, or nothing would ever come far."""
WHICH = st.integers(0, 3)
LIMITED = st.sampled_from([TicketStatus.ANALYZING, TicketStatus.BUILDING, TicketStatus.TESTING])
READINESS = st.sampled_from([GateReadiness.READY, GateReadiness.WAITING_CHECKS, GateReadiness.NOT_CONFIGURED])


async def empty_board() -> Path:
    """The home of a board with every table and nothing in it, made once in this process."""
    if not _EMPTY:
        folder = tempfile.TemporaryDirectory()
        db = Database(f"sqlite+aiosqlite:///{folder.name}/board.db", synchronous="OFF")
        async with open_stage(db, Path(folder.name), gated=False):
            pass
        await db.close()
        _EMPTY.append(folder)
    return Path(_EMPTY[0].name)


_EMPTY: list[tempfile.TemporaryDirectory[str]] = []


class Workflow(RuleBasedStateMachine):
    """What people and the board may do, over HTTP; the model knows where each ticket has to be."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.cleanup = AsyncExitStack()
        self.ids: list[str] = []
        self.model: dict[str, list[str]] = {}
        """Every status each ticket has had, in order."""
        self.blocked: set[str] = set()
        self.limits: dict[str, int | None] = {"analyzing": 1, "building": 1, "testing": 1}
        self.forced: set[str] = set()
        """Columns somebody was forced into, or whose limit was lowered: they may be over it."""

    @initialize()
    def begin(self) -> None:
        self.loop.run(self._begin())

    async def _begin(self) -> None:
        folder = Path(self.cleanup.enter_context(tempfile.TemporaryDirectory()))
        shutil.copytree(await empty_board(), folder, dirs_exist_ok=True)
        db = Database(f"sqlite+aiosqlite:///{folder / 'board.db'}", synchronous="OFF")
        self.cleanup.push_async_callback(db.close)
        self.stage: Stage = await self.cleanup.enter_async_context(
            open_stage(db, folder, gated=False, has_tables=True)
        )
        assert isinstance(self.stage.board.gates, PlainGates)
        self.gates = self.stage.board.gates
        self.gates.standing["analyzing"] = GateReadiness.READY
        self.gates.verdicts["analyzing"] = GateVerdict.NO_GO
        self.project_id = await self.stage.project()
        ticket_id = await self.stage.ticket(self.project_id, phase_id="PHASE_IMPLEMENTATION")
        await self.stage.bring(ticket_id, "building-done", "testing")
        analyzed = await self.stage.ticket(self.project_id, phase_id="PHASE_REQUIREMENTS")
        waiting = await self.stage.ticket(self.project_id)
        self.ids += [ticket_id, analyzed, waiting]
        self.model[ticket_id] = ["building", "building-done", "testing"]
        self.model |= {analyzed: ["analyzing"], waiting: ["backlog"]}
        for status, limit in self.limits.items():
            path, body = f"/board/columns/{status}", {"project_id": self.project_id, "wip_limit": limit}
            await self.stage.call("PATCH", path, **body)

    def teardown(self) -> None:
        try:
            for ticket_id in self.ids:
                self.history_is_the_way(ticket_id)
        finally:
            self.loop.run(self.cleanup.aclose())
            self.loop.close()

    def ask(self, method: str, path: str, **json: Any) -> tuple[int, dict[str, Any]]:
        async def send() -> tuple[int, dict[str, Any]]:
            answer = await self.stage.http.request(method, f"/api/v1{path}", json=json)
            return answer.status_code, answer.json()

        return self.loop.run(send())

    def standing(self, status: str) -> int:
        return sum(way[-1] == status for way in self.model.values())

    def is_full(self, status: str) -> bool:
        limit = self.limits.get(status)
        return limit is not None and self.standing(status) >= limit

    # --- what people do ----------------------------------------------------------------------------

    @rule(phase=st.sampled_from([None, "PHASE_REQUIREMENTS", "PHASE_IMPLEMENTATION"]))
    def make(self, phase: str | None) -> None:
        if len(self.ids) == 4:
            return
        status = {None: "backlog", "PHASE_REQUIREMENTS": "analyzing"}.get(phase, "building")
        expected = 409 if self.is_full(status) else 201
        given = {"project_id": self.project_id, "title": f"Ticket {len(self.ids)}", "phase_id": phase}
        code, body = self.ask("POST", "/tickets", **given)
        assert code == expected, body
        if code == 201:
            self.ids.append(body["id"])
            self.model[body["id"]] = [status]

    @rule(
        acts=st.lists(
            st.tuples(WHICH, WAYS, st.sampled_from([False, False, True]), st.booleans()),
            min_size=4,
            max_size=10,
        )
    )
    def move(self, acts: list[tuple[int, str, bool, bool]]) -> None:
        for which, way, force, as_card in acts:
            self.move_one(self.ids[which % len(self.ids)], way, force, as_card)

    def move_one(self, ticket_id: str, way: str, force: bool, as_card: bool) -> None:
        source = TicketStatus(self.model[ticket_id][-1])
        stage = stage_of(source)
        to = TicketStatus({"forward": stage.forward, "back": stage.back}.get(way, way) or source)
        if as_card and to is source:
            return
        path = "/board/move" if as_card else f"/tickets/{ticket_id}/transition"
        to_field = {"ticket_id": ticket_id, "target_column_id": to} if as_card else {"to_status": to}
        code, body = self.ask("POST", path, **to_field, force=force, reason="because")
        refusal = self.expected(ticket_id, source, to, force)
        if refusal is None:
            assert code == 200, body
            self.went(ticket_id, to, force)
        else:
            assert (code, body["error"]) == (409, refusal)
            assert {"from", "to", "legal_targets"} <= body["details"].keys()

    def expected(self, ticket_id: str, source: TicketStatus, to: TicketStatus, force: bool) -> str | None:
        """The refusal, in the order of the checks; None when it has to be let through."""
        if not is_legal(source, to):
            return "illegal_move"
        if ticket_id in self.blocked:
            return "ticket_blocked"
        if force:
            return None
        gate = self.gate(ticket_id, source, to) if has_gate(source, to) else None
        if gate is not None:
            return gate
        return "wip_limit" if self.is_full(to) else None

    def gate(self, ticket_id: str, source: TicketStatus, to: TicketStatus) -> str | None:
        readiness = self.gates.standing.get(source, GateReadiness.NOT_CONFIGURED)
        if readiness is GateReadiness.WAITING_CHECKS:
            return "gate_pending"
        if to is TicketStatus.DONE and self.open_tasks(ticket_id):
            return "gate_pending"
        is_no = self.gates.verdicts.get(source) is GateVerdict.NO_GO
        return "gate_no_go" if readiness is GateReadiness.READY and is_no else None

    def open_tasks(self, ticket_id: str) -> int:
        return self.ask("GET", f"/tickets/{ticket_id}")[1]["open_tasks"]

    def went(self, ticket_id: str, to: str, force: bool = False) -> None:
        if force:
            self.forced.add(to)
        self.model[ticket_id].append(to)

    @rule(which=WHICH, alone=st.booleans())
    def advance(self, which: int, alone: bool) -> None:
        ticket_id = self.ids[which % len(self.ids)]
        if alone:
            code, body = self.ask("POST", f"/tickets/{ticket_id}/progress")
            hops = [body["ticket"]["status"]] if body["progressed"] else []
        else:
            code, body = self.ask("POST", f"/board/auto-transition/{ticket_id}")
            hops = body["hops"]
        assert code == 200
        assert not (hops and ticket_id in self.blocked)
        for to in hops:
            assert not self.is_full(to)
            self.went(ticket_id, to)

    @rule(which=WHICH, on=st.booleans())
    def block(self, which: int, on: bool) -> None:
        ticket_id = self.ids[which % len(self.ids)]
        self.loop.run(self._block(ticket_id, on))
        (self.blocked.add if on else self.blocked.discard)(ticket_id)

    async def _block(self, ticket_id: str, on: bool) -> None:
        async with self.stage.db.transaction() as session:
            (await session.get_one(TicketRow, ticket_id)).is_blocked = on

    @rule(which=WHICH, status=st.sampled_from([TaskStatus.COMPLETED, TaskStatus.FAILED]))
    def settle(self, which: int, status: TaskStatus) -> None:
        self.loop.run(self.stage.settle_tasks(self.ids[which % len(self.ids)], status))

    @rule(status=LIMITED, limit=st.integers(1, 2) | st.none())
    def limit(self, status: TicketStatus, limit: int | None) -> None:
        code, _ = self.ask("PATCH", f"/board/columns/{status}", project_id=self.project_id, wip_limit=limit)
        assert code == 200
        self.limits[status] = limit
        if limit is not None and self.standing(status) > limit:
            self.forced.add(status)

    @rule(which=WHICH, readiness=READINESS, verdict=st.sampled_from([GateVerdict.GO, GateVerdict.NO_GO]))
    def judge(self, which: int, readiness: GateReadiness, verdict: GateVerdict) -> None:
        """The gate before this ticket stands so from now on."""
        status = self.model[self.ids[which % len(self.ids)]][-1]
        self.gates.standing[status], self.gates.verdicts[status] = readiness, verdict

    # --- what always holds -------------------------------------------------------------------------

    @rule()
    def the_board_is_where_the_model_is(self) -> None:
        _, body = self.ask("GET", "/tickets")
        assert {one["id"]: one["status"] for one in body["tickets"]} == {
            ticket_id: way[-1] for ticket_id, way in self.model.items()
        }
        for status, limit in self.limits.items():
            if limit is not None and status not in self.forced:
                assert self.standing(status) <= limit

    def history_is_the_way(self, ticket_id: str) -> None:
        _, body = self.ask("GET", f"/tickets/{ticket_id}/history")
        rows = body["history"][::-1]
        assert [row["to_status"] for row in rows] == self.model[ticket_id]
        assert [row["from_status"] for row in rows] == [None, *self.model[ticket_id][:-1]]
        for row, after in itertools.pairwise(rows):
            assert row["seq"] < after["seq"]
            assert is_legal(TicketStatus(row["to_status"]), TicketStatus(after["to_status"]))
        _, ticket = self.ask("GET", f"/tickets/{ticket_id}")
        assert ticket["phase_entry"] == len(rows)
        moves = itertools.pairwise(TicketStatus(status) for status in self.model[ticket_id])
        back = sum(is_regress(source, to) for source, to in moves)
        assert sum(task["task_type"] == "remediation" for task in ticket["tasks"]) == back


Workflow.TestCase.settings = settings(
    max_examples=10,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestWorkflow = Workflow.TestCase
