"""What follows the end of a run: it is counted once and told once to the agent's owner."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.agents import access, readings, store
from omniforge.agents.audience import SUBJECT, asker_of
from omniforge.agents.content import ExecutionStatus
from omniforge.agents.executions import Executions, read
from omniforge.agents.inbox import Inbox
from omniforge.agents.people import bookkeeper
from omniforge.agents.readings import Reading
from omniforge.agents.store import AgentRow, OutcomeRow
from omniforge.agents.trials import TRIGGER, Trials
from omniforge.core.clock import Clock
from omniforge.core.errors import NotFound
from omniforge.db import Database
from omniforge.engine.events import EventRow
from omniforge.runs.service import Mode
from omniforge.runs.shown import RunView

Json = dict[str, Any]

STAYS_DONE = "What is done stays done; it goes on from there."
QUIET_RUNS = 3
"""After so many runs in a row that found nothing to do, their owner is told."""


class Outcomes:
    """Reads the event log; each method may be given the same event any number of times."""

    def __init__(
        self, db: Database, executions: Executions, trials: Trials, inbox: Inbox, clock: Clock
    ) -> None:
        self.db, self.executions, self.trials = db, executions, trials
        self.inbox, self.clock = inbox, clock

    async def on_run_finished(self, event: EventRow, tenant_id: str) -> None:
        """Count a live run and deliver its result or failure; keep the report of a test."""
        view = await self._view(event, tenant_id)
        if view is None:
            return
        if not view.run.subject.startswith(SUBJECT):
            await self.trials.settle_probe(tenant_id, view.run.subject)
            return
        reading = read(view)
        if reading.run["mode"] != Mode.LIVE.value or reading.run["trigger_type"] == TRIGGER:
            await self.trials.settle_run(tenant_id, reading.run["id"])
            return
        effects = await self.executions.effects(tenant_id, reading, with_content=False)
        async with self.db.transaction() as session:
            await self._settle(session, tenant_id, reading, effects)

    async def on_run_waiting(self, event: EventRow, tenant_id: str) -> None:
        """Tell the owner that a live run waits for somebody; to a test that is an end."""
        view = await self._view(event, tenant_id)
        if view is None:
            return
        if not view.run.subject.startswith(SUBJECT):
            await self.trials.settle_probe(tenant_id, view.run.subject)
            return
        if view.run.mode != Mode.LIVE.value:
            await self.trials.settle_run(tenant_id, view.run.id)
            return
        reading = read(view)
        reasons = json.loads(event.payload).get("waiting_for", {})
        run_id = reading.run["id"]
        told = await self.executions.told(tenant_id, run_id, ["step.waiting"])
        questions = [str(payload["question"]) for _, payload in told if payload.get("question")]
        async with self.db.transaction() as session:
            agent = await session.get(AgentRow, (tenant_id, reading.agent_id))
            if agent is None or await store.has_item(session, tenant_id, run_id, "waiting"):
                return
            what = ", ".join(sorted({str(reason) for reason in reasons.values()})) or "an answer"
            self.inbox.deliver(
                session,
                agent,
                kind="waiting",
                title=f"{agent.name} waits for you",
                text=" ".join([*questions[-1:], f"It waits for: {what}.", STAYS_DONE]),
                run_id=run_id,
            )

    async def _view(self, event: EventRow, tenant_id: str) -> RunView | None:
        """The run that an event is about; None when nobody knows it."""
        try:
            return await self.executions.runs.get_run(bookkeeper(tenant_id), str(event.run_id))
        except NotFound:
            return None

    async def _settle(
        self, session: AsyncSession, tenant_id: str, reading: Reading, effects: list[Json]
    ) -> None:
        run_id, now = reading.run["id"], self.clock.now()
        if await session.get(OutcomeRow, run_id) is not None:
            return
        status = readings.execution_status(reading)
        session.add(
            OutcomeRow(
                run_id=run_id,
                tenant_id=tenant_id,
                agent_id=reading.agent_id,
                status=status.value,
                finished_at=now,
            )
        )
        await session.flush()
        agent = await session.get(AgentRow, (tenant_id, reading.agent_id))
        if agent is None:
            return
        agent.total_runs += 1
        agent.successful_runs += status is ExecutionStatus.COMPLETED
        agent.last_run = now
        await self._tell(session, agent, reading, status, effects)

    async def _tell(
        self,
        session: AsyncSession,
        agent: AgentRow,
        reading: Reading,
        status: ExecutionStatus,
        effects: list[Json],
    ) -> None:
        run_id = reading.run["id"]
        result = readings.result_of(reading)
        match status:
            case ExecutionStatus.COMPLETED | ExecutionStatus.PARTIAL | ExecutionStatus.NO_EFFECT if (
                result is not None and readings.has_content(reading)
            ):
                note = " (please have a look)" if status is ExecutionStatus.PARTIAL else ""
                for person in _hearers(agent, reading):
                    self.inbox.deliver(
                        session,
                        agent,
                        kind="result",
                        title=f"{agent.name}{note}",
                        text=result["text"],
                        run_id=run_id,
                        artifacts=result["artifacts"],
                        to=person,
                    )
            case ExecutionStatus.FAILED:
                error = readings.error_of(reading, effects) or {"message": "It stopped.", "next_step": ""}
                for person in _hearers(agent, reading):
                    self.inbox.deliver(
                        session,
                        agent,
                        kind="failure",
                        title=f"{agent.name} did not finish",
                        text=f"{error['message']} {error['next_step']}".strip(),
                        run_id=run_id,
                        to=person,
                    )
            case ExecutionStatus.NO_EFFECT:
                quiet = await store.quiet_runs(session, agent.tenant_id, agent.id)
                if quiet % QUIET_RUNS == 0:
                    found = f" The last one said: {result['text']}" if result and result["text"] else ""
                    self.inbox.deliver(
                        session,
                        agent,
                        kind="notice",
                        title=f"{agent.name} found nothing to do",
                        text=f"It ran {QUIET_RUNS} times in a row and there was nothing to do.{found}",
                        run_id=run_id,
                    )
            case _:
                pass


def _hearers(agent: AgentRow, reading: Reading) -> list[str]:
    """Its owner, and whoever asked for this run of a team agent."""
    asked = asker_of(reading.facts)
    return [agent.created_by, asked] if access.is_member(asked, agent) else [agent.created_by]
