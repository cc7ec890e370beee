"""Two people at one board with its gates, in any order: nothing moves that may not, and all of it is told."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import func, select
from tests.board.gate_stage import GateStage, open_gates

from omniforge.board.store.tickets import TicketHistoryRow, TicketRow
from omniforge.board.vocabulary import TicketStatus
from omniforge.board.workflow import is_legal, stage_of
from omniforge.core.actor import Role
from omniforge.db import Database
from omniforge.engine.events import EventRow

Json = dict[str, Any]
WHO = st.integers(0, 1)
WHICH = st.integers(0, 3)
WAYS = st.sampled_from(["forward", "forward", "forward", "back", *TicketStatus])
LIMITS = {"analyzing": 1, "building": 2, "testing": 1}
MOVES = {"illegal_move", "ticket_blocked", "not_approved", "wip_limit", "gate_pending", "gate_no_go"}
"""Refusals of a move, which all say where the ticket may go."""
KEPT = ("status", "version", "archived", "is_blocked", "approval_status", "phase_entry")


class People(RuleBasedStateMachine):
    """Everything is asked over HTTP, by the owner or by somebody who may force nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.cleanup = AsyncExitStack()
        self.ids: list[str] = []
        self.said = Counter[str]()
        """How many comments there are."""

    @initialize(reviewed=st.booleans(), passes=st.sampled_from([True, True, False]))
    def begin(self, reviewed: bool, passes: bool) -> None:
        self.loop.run(self._begin("all" if reviewed else "off", "true" if passes else "false"))

    async def _begin(self, review: str, command: str) -> None:
        folder = Path(self.cleanup.enter_context(tempfile.TemporaryDirectory()))
        db = Database(f"sqlite+aiosqlite:///{folder / 'board.db'}", synchronous="OFF")
        self.cleanup.push_async_callback(db.close)
        self.stage: GateStage = await self.cleanup.enter_async_context(open_gates(db, folder))
        other = await self.cleanup.enter_async_context(await self.stage.sign_in(Role.DEVELOPER))
        self.people: list[httpx.AsyncClient] = [self.stage.http, other]
        given = {"ticket_human_review": review, "commands": {"test": {"command": command}}}
        self.project_id = await self.stage.project(settings=given)
        for status, limit in LIMITS.items():
            body = {"project_id": self.project_id, "wip_limit": limit}
            await self.stage.call("PATCH", f"/board/columns/{status}", **body)
        for phase in ("PHASE_IMPLEMENTATION", "PHASE_BACKLOG"):
            self.ids.append(await self.stage.ticket(self.project_id, phase_id=phase))

    def teardown(self) -> None:
        try:
            if self.ids:
                self.loop.run(self.everything_is_told())
        finally:
            self.loop.run(self.cleanup.aclose())
            self.loop.close()

    # --- asking ------------------------------------------------------------------------------------

    def ask(self, who: int, method: str, path: str, **body: Any) -> tuple[int, Json]:
        """One request, and what has to hold of every answer to one."""
        return self.loop.run(self._ask(who, method, path, body))

    async def _ask(self, who: int, method: str, path: str, body: Json) -> tuple[int, Json]:
        before, last = await self.tickets(), await self.last_event()
        answer = await self.people[who].request(method, f"/api/v1{path}", json=body)
        told: Json = answer.json()
        after = await self.tickets()
        assert answer.status_code < 500, told
        if answer.status_code >= 400:
            assert told.keys() == {"error", "message", "details"}
            assert (after, await self.last_event()) == (before, last), f"{path} {told} has written something"
            if told["error"] in MOVES:
                assert {"from", "to", "legal_targets"} <= told["details"].keys(), told
        for ticket_id, was in before.items():
            now = after[ticket_id]
            assert now["version"] >= was["version"]
            if any(now[name] != was[name] for name in ("status", "archived", "phase_entry")):
                assert now["version"] > was["version"], (path, was, now)
        await self.stage.rest()
        return answer.status_code, told

    async def tickets(self) -> dict[str, Json]:
        async with self.stage.db.read() as session:
            rows = await session.scalars(select(TicketRow).where(TicketRow.project_id == self.project_id))
            return {row.id: {name: getattr(row, name) for name in KEPT} for row in rows}

    async def last_event(self) -> int:
        async with self.stage.db.read() as session:
            return await session.scalar(select(func.max(EventRow.seq))) or 0

    def one(self, which: int) -> str:
        return self.ids[which % len(self.ids)]

    # --- what people do ----------------------------------------------------------------------------

    @precondition(lambda self: len(self.ids) < 4)
    @rule(who=WHO, phase=st.sampled_from([None, "PHASE_REQUIREMENTS", "PHASE_IMPLEMENTATION"]))
    def make(self, who: int, phase: str | None) -> None:
        given = {"project_id": self.project_id, "title": f"Ticket {len(self.ids)}", "phase_id": phase}
        code, told = self.ask(who, "POST", "/tickets", check_duplicates=False, **given)
        assert code in (201, 409), told
        if code == 201:
            self.ids.append(told["id"])

    @rule(who=WHO, which=WHICH, way=WAYS, force=st.booleans(), as_card=st.booleans())
    def move(self, who: int, which: int, way: str, force: bool, as_card: bool) -> None:
        ticket_id = self.one(which)
        source = TicketStatus(self.loop.run(self.stage.row(ticket_id)).status)
        stage = stage_of(source)
        to = {"forward": stage.forward, "back": stage.back}.get(way, way) or source
        path = "/board/move" if as_card else f"/tickets/{ticket_id}/transition"
        given = {"ticket_id": ticket_id, "target_column_id": to} if as_card else {"to_status": to}
        forced = {"force": True, "reason": "because"} if force else {}
        code, told = self.ask(who, "POST", path, **given, **forced)
        if force and who == 1:
            assert code in (403, 409) or (as_card and to == source), told
        elif code == 200 and to != source:
            assert is_legal(source, TicketStatus(to))

    @rule(who=WHO, which=WHICH)
    def regress(self, who: int, which: int) -> None:
        code, told = self.ask(who, "POST", f"/tickets/{self.one(which)}/regress", feedback="Again.")
        assert code in (200, 409), told

    @rule(who=WHO, which=WHICH, on=st.booleans(), remediate=st.booleans())
    def block(self, who: int, which: int, on: bool, remediate: bool) -> None:
        path = f"/tickets/{self.one(which)}"
        if on:
            given = {"blocker_type": "environment", "remediate": remediate}
            code, told = self.ask(who, "POST", f"{path}/block", **given)
        else:
            code, told = self.ask(who, "POST", f"{path}/unblock")
        assert code in (200, 409, 422), told

    @rule(who=WHO, which=WHICH, yes=st.sampled_from([True, True, False]))
    def review(self, who: int, which: int, yes: bool) -> None:
        more = {} if yes else {"rejection_reason": "No."}
        path = f"/tickets/{'approve' if yes else 'reject'}"
        code, told = self.ask(who, "POST", path, ticket_id=self.one(which), **more)
        assert code in (200, 409), told

    @rule(who=WHO, which=WHICH)
    def comment(self, who: int, which: int) -> None:
        ticket_id = self.one(which)
        code, told = self.ask(who, "POST", f"/tickets/{ticket_id}/comments", text="Look")
        assert code == 201, told
        self.said[ticket_id] += 1

    @rule(who=WHO, which=WHICH, away=st.booleans())
    def archive(self, who: int, which: int, away: bool) -> None:
        code, told = self.ask(who, "PATCH", f"/tickets/{self.one(which)}", archived=away)
        assert code in (200, 409), told

    @rule(who=WHO, which=WHICH, hops=st.integers(1, 3))
    def work(self, who: int, which: int, hops: int) -> None:
        """What there is to do is done, and the ticket goes on as far as its gates let it."""
        ticket_id = self.one(which)
        self.loop.run(self.stage.work(ticket_id))
        for _ in range(hops):
            self.loop.run(self.stage.settle_tasks(ticket_id))
            code, told = self.ask(who, "POST", f"/board/auto-transition/{ticket_id}")
            assert code == 200, told

    @rule(who=WHO, yes=st.booleans())
    def answer(self, who: int, yes: bool) -> None:
        for asked in self.loop.run(self.stage.asked())[:1]:
            given = {"decision": "approve" if yes else "reject", "rationale": "So."}
            code, told = self.ask(who, "POST", f"/approvals/{asked['id']}/decide", **given)
            assert code in (200, 409), told

    # --- what always holds -------------------------------------------------------------------------

    @invariant()
    def no_column_is_fuller_than_it_may_be(self) -> None:
        if self.ids:
            self.loop.run(self._columns())

    async def _columns(self) -> None:
        """But by those who were forced into it."""
        standing = (TicketHistoryRow.to_status == TicketRow.status) & TicketRow.archived.is_(False)
        entered = func.max(TicketHistoryRow.seq)
        query = select(TicketRow.status, TicketHistoryRow.forced, entered).where(
            TicketHistoryRow.ticket_id == TicketRow.id, standing
        )
        async with self.stage.db.read() as session:
            last = (await session.execute(query.group_by(TicketRow.id))).all()
        count = Counter(status for status, forced, _ in last if not forced)
        assert all(count[status] <= limit for status, limit in LIMITS.items()), count

    async def everything_is_told(self) -> None:
        events = await self.stage.events("ticket.created", "ticket.transitioned", "ticket.commented")
        for ticket_id in self.ids:
            own = [one for one in events if one["payload"]["ids"]["ticket_id"] == ticket_id]
            moves = [one for one in own if one["type"] != "ticket.commented"]
            assert len(own) - len(moves) == self.said[ticket_id]
            listed = await self.stage.call("GET", f"/tickets/{ticket_id}/history", limit=200)
            rows = listed["history"][::-1]
            ways = [one["payload"].get("to_status", one["payload"].get("status")) for one in moves]
            assert [row["to_status"] for row in rows] == ways
            assert [row["seq"] for row in rows] == [one["seq"] for one in moves]
            for row, after in itertools.pairwise(rows):
                assert after["from_status"] == row["to_status"]
                assert is_legal(TicketStatus(row["to_status"]), TicketStatus(after["to_status"]))
            assert all(row["by"] == "user:local" for row in rows if row["forced"])
            ticket = await self.stage.row(ticket_id)
            assert (ticket.status, ticket.phase_entry) == (rows[-1]["to_status"], len(rows))
            if ticket.status == TicketStatus.DONE and not rows[-1]["forced"]:
                decisions = {one.id: one for one in await self.stage.decisions(ticket_id)}
                decision = decisions[rows[-1]["decision_id"]]
                assert decision.decision in ("go", "conditional-go")
                assert await self.stage.is_proved(decision)


People.TestCase.settings = settings(
    max_examples=6, stateful_step_count=16, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestPeople = People.TestCase
