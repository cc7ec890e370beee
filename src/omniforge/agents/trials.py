"""Tests of agents: started, awaited, and reported from what the run left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from omniforge.agents import cases, store
from omniforge.agents.audience import PROBES
from omniforge.agents.content import AgentStatus, ExecutionStatus, Suite, TestMode, Verdict
from omniforge.agents.examples import Examples, input_of_skills
from omniforge.agents.executions import Executions
from omniforge.agents.launch import Launch, Occasion
from omniforge.agents.people import bookkeeper
from omniforge.agents.probes import FEW_LEFT, UNFINISHED, Probes, Trial
from omniforge.agents.reports import Tested, build_report
from omniforge.agents.schemas import CaseView, TestReport
from omniforge.agents.store import AgentRow, TestRow
from omniforge.agents.untried import untried
from omniforge.agents.views import content_of, next_version
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock, new_id
from omniforge.core.errors import Conflict, Invalid, NotFound
from omniforge.core.paging import Paging
from omniforge.db import Database
from omniforge.integrations.errors import ConnectionMissing
from omniforge.runs.service import Mode

Json = dict[str, Any]

TRIGGER = "test"
"""Trigger type of every run of a test, so that none of them counts as use."""


class TestUnderWay(Conflict):
    """The report is not there yet; `details` name the execution to follow."""

    __test__ = False
    code = "test_under_way"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a test is to be. resources: known from a connection (`{id, name, fields}`), for sample data."""

    mode: TestMode = TestMode.DRY
    suite: Suite = Suite.QUICK
    input_data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    resources: Sequence[Mapping[str, Any]] = ()
    confirm_effects: bool = False
    use_model: bool = False


class Trials:
    """Tests of one installation's agents."""

    def __init__(self, db: Database, launch: Launch, executions: Executions, clock: Clock) -> None:
        self.db, self.launch, self.executions, self.clock = db, launch, executions, clock
        self.examples = Examples(launch.integrations)
        self.probes = Probes(executions, launch.integrations.catalog)

    async def start(self, actor: Actor, row: AgentRow, wish: Wish) -> TestRow:
        """Start a test of what the agent is to become.

        A preview needs the connections. A dry run uses none, and takes place at the moment the agent was
        made: the same content always meets the same sample data. A live test has the effects of the last
        passed test of the same content, and no others. Where the wish has no input, an agent that events
        start is given the latest one, and skills that come with an example of their input are given that,
        unless the test is live.
        """
        if row.status == AgentStatus.ARCHIVED.value:
            raise Conflict("This agent was deleted.", code="archived", agent_id=row.id)
        content = content_of(row)
        snapshot = await self.launch.pin(actor, row.id, content)
        manifest: list[Json] = []
        if wish.mode is TestMode.LIVE:
            manifest = await self._confirmed(actor, row, snapshot.hash, wish)
        connections = await self._connections(actor, row, wish.mode)
        now = self.clock.now()
        moment = row.created_at if wish.mode is TestMode.DRY else now
        given = wish.input_data
        if not given and wish.mode is TestMode.DRY:
            given = await self.examples.sample(content, moment, wish.resources)
        elif not given:
            given = await self.examples.latest(actor, content, connections, moment)
        if not wish.input_data and wish.mode is not TestMode.LIVE:
            given = {**await self._own_input(actor.tenant_id, snapshot.skill_hashes), **given}
        occasion = Occasion(
            mode=Mode(wish.mode.value),
            input_data=given,
            trigger_type=TRIGGER,
            logical_time=moment,
            resources=wish.resources,
            use_model=wish.use_model and wish.mode is TestMode.DRY,
        )
        run_id = await self.launch.start(
            actor,
            row,
            snapshot,
            occasion,
            version=next_version(row),
            connections=connections,
            manifest=manifest,
        )
        test = TestRow(
            id=new_id("test"),
            tenant_id=actor.tenant_id,
            agent_id=row.id,
            run_id=run_id,
            mode=wish.mode.value,
            suite=wish.suite.value,
            content_hash=snapshot.hash,
            verdict=None,
            report=None,
            created_by=actor.user_id,
            created_at=now,
        )
        async with self.db.transaction() as session:
            session.add(test)
        await self._advance(test)
        return test

    async def _own_input(self, tenant_id: str, hashes: Mapping[str, str]) -> Json:
        return await input_of_skills(self.launch.skills, tenant_id, dict.fromkeys(hashes.values()))

    async def _is_made_up(self, tenant_id: str, trial: Trial) -> bool:
        """Whether the run was started with the examples that its skills come with."""
        own = await self._own_input(
            tenant_id, {step.key: str(step.args["hash"]) for step in trial.plan.steps}
        )
        given = trial.main.run["input"]
        return bool(own) and all(name in given and given[name] == value for name, value in own.items())

    async def _connections(self, actor: Actor, row: AgentRow, mode: TestMode) -> dict[str, str]:
        if mode is TestMode.DRY:
            return {}
        connections, missing = await self.launch.connections_for(actor, row, content_of(row))
        if missing:
            title = self.launch.title(missing[0])
            raise ConnectionMissing(
                f"This test uses your real {title}. Connect it, or test with sample data.",
                integrations=missing,
            )
        return connections

    async def _confirmed(self, actor: Actor, row: AgentRow, content_hash: str, wish: Wish) -> list[Json]:
        """The effects that a live test may have: those of the last passed test of this content."""
        actor.require("agent:execute")
        async with self.db.read() as session:
            test = await store.last_passed(session, actor.tenant_id, row.id, content_hash)
        if test is None:
            raise Invalid(
                "Before anything real happens it is tested with sample data, exactly as it is now.",
                code="not_tested",
                content_hash=content_hash,
            )
        manifest = TestReport.model_validate(test.report).manifest
        if not wish.confirm_effects:
            raise Invalid(
                "A live test does this for real: "
                + ("; ".join(str(entry["words"]) for entry in manifest) or "nothing outside")
                + ". Say confirm_effects to go on.",
                code="effects_not_confirmed",
                manifest=manifest,
            )
        return manifest

    async def get(self, actor: Actor, test_id: str, agent_id: str | None = None) -> TestRow:
        async with self.db.read() as session:
            row = await store.get_test(session, actor.tenant_id, test_id)
        if agent_id is not None and row.agent_id != agent_id:
            raise NotFound("There is no such test.", test_id=test_id)
        return row

    async def wait(self, actor: Actor, test_id: str, timeout: float | None) -> TestReport:
        """The report, once there is one; `TestUnderWay` when that takes longer than `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while (under_way := await self._advance(await self.get(actor, test_id))) is not None:
                    for run_id in under_way:
                        await self.executions.runs.wait_for(bookkeeper(actor.tenant_id), run_id)
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
        """Build and keep the report of a test whose runs are over or wait for a person; None before that.

        A test does not wait for people: what it would have waited for is in its report, and it is ended.
        """
        if row.report is None and await self._advance(row) is not None:
            return None
        async with self.db.read() as session:
            kept = await store.get_test(session, row.tenant_id, row.id)
        return TestReport.model_validate(kept.report)

    async def _advance(self, row: TestRow) -> list[str] | None:
        """Start what can be started by now; the runs to wait for before more can. None once it has a report.

        However often and by whomever this is called, every run is started once.
        """
        async with self.db.read() as session:
            if (await store.get_test(session, row.tenant_id, row.id)).report is not None:
                return None
            agent = await store.get_agent(session, row.tenant_id, row.agent_id)
            stored = [
                cases.view(case) for case in await cases.list_cases(session, row.tenant_id, row.agent_id)
            ]
        main = await self.executions.runs.get_run(bookkeeper(row.tenant_id), str(row.run_id))
        trial = await self.probes.look(row, main, agent.created_at)
        under_way = await self.probes.start_missing(trial, stored)
        if main.run.status in UNFINISHED:
            under_way.insert(0, main.run.id)
        if under_way:
            return under_way
        await self._keep(row, trial, stored)
        return None

    async def _keep(self, row: TestRow, trial: Trial, stored: Sequence[CaseView]) -> None:
        tested = Tested(row.id, row.content_hash, TestMode(row.mode), row.created_at, Suite(row.suite))
        seen = await self.probes.seen(row.tenant_id, trial.main)
        beside = await self.probes.beside(trial, stored)
        report = build_report(tested, seen, beside)
        if report.verdict is Verdict.NO_EFFECT and tested.mode is not TestMode.LIVE:
            rooms = self.launch.skills, self.launch.integrations.catalog
            missing = await untried(trial.plan, [seen, *beside.runs], *rooms, row.tenant_id)
            report = report.model_copy(update={"may_activate": not missing, "untried": missing})
        if tested.mode is TestMode.PREVIEW and await self._is_made_up(row.tenant_id, trial):
            report = report.model_copy(update={"sample_data": True})
        async with self.db.transaction() as session:
            kept = await store.get_test(session, row.tenant_id, row.id)
            if kept.report is None:
                kept.report, kept.verdict = report.model_dump(mode="json"), report.verdict.value
        waiting = [view.run for view in trial.runs.values() if view.run.status == "waiting"]
        for run_id in [run.id for run in waiting]:
            await self.executions.runs.cancel_run(bookkeeper(row.tenant_id), run_id)
        if trial.main.run["status"] == ExecutionStatus.WAITING.value:
            await self.executions.runs.cancel_run(bookkeeper(row.tenant_id), str(row.run_id))

    async def settle_run(self, tenant_id: str, run_id: str) -> None:
        """Go on with the test that this run was, or belongs to, if it was one."""
        async with self.db.read() as session:
            row = await store.test_of_run(session, tenant_id, run_id)
        if row is not None:
            await self.settle(row)

    async def settle_probe(self, tenant_id: str, subject: str) -> None:
        """Go on with the test that a run of this subject stands beside, once few are left under way."""
        if not subject.startswith(PROBES):
            return
        keeper = bookkeeper(tenant_id)
        _, left = await self.executions.runs.list_runs(keeper, subject=subject, status=UNFINISHED, limit=1)
        if left in (0, FEW_LEFT):
            async with self.db.read() as session:
                row = await store.get_test(session, tenant_id, subject.removeprefix(PROBES))
            await self.settle(row)
