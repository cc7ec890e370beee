"""Tests of agents: started, awaited, and reported from what the run left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from omniforge.agents import store
from omniforge.agents.executions import Executions
from omniforge.agents.launch import Launch, Occasion
from omniforge.agents.people import bookkeeper
from omniforge.agents.reports import Tested, build_report
from omniforge.agents.schemas import AgentStatus, ExecutionStatus, TestMode, TestReport
from omniforge.agents.store import AgentRow, TestRow
from omniforge.agents.views import content_of, next_version
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock, new_id
from omniforge.core.errors import Conflict, NotFound
from omniforge.core.paging import Paging
from omniforge.db import Database
from omniforge.integrations.errors import ConnectionMissing
from omniforge.runs.service import Mode


class TestUnderWay(Conflict):
    """The report is not there yet; `details` name the execution to follow."""

    __test__ = False
    code = "test_under_way"


class Trials:
    """Tests of one installation's agents."""

    def __init__(self, db: Database, launch: Launch, executions: Executions, clock: Clock) -> None:
        self.db, self.launch, self.executions, self.clock = db, launch, executions, clock

    async def start(
        self,
        actor: Actor,
        row: AgentRow,
        mode: TestMode,
        input_data: Mapping[str, Any],
        resources: Sequence[Mapping[str, Any]],
    ) -> TestRow:
        """Start a test of what the agent is to become.

        A preview needs the connections. A dry run uses none, and takes place at the moment the agent was
        made: the same content always meets the same sample data.
        """
        if row.status == AgentStatus.ARCHIVED.value:
            raise Conflict("This agent was deleted.", code="archived", agent_id=row.id)
        content = content_of(row)
        snapshot = await self.launch.pin(actor, row.id, content)
        connections: dict[str, str] = {}
        if mode is TestMode.PREVIEW:
            connections, missing = await self.launch.connections_for(actor, row, content)
            if missing:
                title = self.launch.title(missing[0])
                raise ConnectionMissing(
                    f"A preview reads your real {title}. Connect it, or test with sample data.",
                    integrations=missing,
                )
        now = self.clock.now()
        occasion = Occasion(
            mode=Mode(mode.value),
            input_data=input_data,
            trigger_type="test",
            logical_time=row.created_at if mode is TestMode.DRY else now,
            resources=resources,
        )
        run_id = await self.launch.start(
            actor, row, snapshot, occasion, version=next_version(row), connections=connections
        )
        test = TestRow(
            id=new_id("test"),
            tenant_id=actor.tenant_id,
            agent_id=row.id,
            run_id=run_id,
            mode=mode.value,
            content_hash=snapshot.hash,
            verdict=None,
            report=None,
            created_by=actor.user_id,
            created_at=now,
        )
        async with self.db.transaction() as session:
            session.add(test)
        return test

    async def get(self, actor: Actor, test_id: str, agent_id: str | None = None) -> TestRow:
        async with self.db.read() as session:
            row = await store.get_test(session, actor.tenant_id, test_id)
        if agent_id is not None and row.agent_id != agent_id:
            raise NotFound("There is no such test.", test_id=test_id)
        return row

    async def wait(self, actor: Actor, test_id: str, timeout: float | None) -> TestReport:
        """The report, once there is one; `TestUnderWay` when that takes longer than `timeout` seconds."""
        row = await self.get(actor, test_id)
        if row.report is None and row.run_id is not None:
            try:
                async with asyncio.timeout(timeout):
                    await self.executions.runs.wait_for(actor, row.run_id)
            except TimeoutError:
                pass  # the report says below that the test is still under way
        return await self.report(actor, test_id)

    async def report(self, actor: Actor, test_id: str, agent_id: str | None = None) -> TestReport:
        """The report of a test that is over."""
        row = await self.get(actor, test_id, agent_id)
        report = await self.settle(row)
        if report is None:
            raise TestUnderWay("This test is still running.", test_id=test_id, execution_id=row.run_id)
        return report

    async def list_reports(
        self, actor: Actor, agent_id: str, mode: TestMode | None, paging: Paging
    ) -> tuple[list[TestReport], int]:
        """Reports of an agent's tests, newest first."""
        async with self.db.read() as session:
            rows, total = await store.list_tests(
                session, actor.tenant_id, agent_id, mode=mode, limit=paging.limit, offset=paging.offset
            )
        return [TestReport.model_validate(row.report) for row in rows], total

    async def settle(self, row: TestRow) -> TestReport | None:
        """Build and keep the report of a test whose run is over or waits for a person; None before that.

        A test does not wait for people: what it would have waited for is in its report, and it is ended.
        """
        if row.report is not None:
            return TestReport.model_validate(row.report)
        keeper = bookkeeper(row.tenant_id)
        reading = await self.executions.reading(keeper, str(row.run_id))
        waits = reading.run["status"] == ExecutionStatus.WAITING.value
        if not reading.is_over and not waits:
            return None
        tested = Tested(row.id, row.content_hash, TestMode(row.mode), row.created_at)
        effects = await self.executions.effects(row.tenant_id, reading, with_content=True)
        report = build_report(tested, reading, effects)
        async with self.db.transaction() as session:
            kept = await store.get_test(session, row.tenant_id, row.id)
            if kept.report is not None:
                return TestReport.model_validate(kept.report)
            kept.report, kept.verdict = report.model_dump(mode="json"), report.verdict.value
        if waits:
            await self.executions.runs.cancel_run(keeper, str(row.run_id))
        return report

    async def settle_run(self, tenant_id: str, run_id: str) -> None:
        """Keep the report of the test that this run was, if it was one."""
        async with self.db.read() as session:
            row = await store.test_of_run(session, tenant_id, run_id)
        if row is not None:
            await self.settle(row)
