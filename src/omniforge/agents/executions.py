"""Executions: the runs of agents under their public name, read from runs and the event log."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from omniforge.agents import readings
from omniforge.agents.audience import SUBJECT, AgentAudience
from omniforge.agents.readings import Reading
from omniforge.agents.schemas import Execution, ExecutionEvent
from omniforge.core.actor import Actor
from omniforge.core.errors import Forbidden, NotFound
from omniforge.core.paging import Paging
from omniforge.engine.events import EventRow
from omniforge.engine.plan import plan_json
from omniforge.runs.service import Mode, RunService
from omniforge.runs.shown import RunView, run_json

Json = dict[str, Any]

_PAGE = 500


class Executions:
    """Read, follow and cancel. Every method is limited to the actor's tenant."""

    def __init__(self, runs: RunService, audience: AgentAudience) -> None:
        self.runs, self.audience = runs, audience

    async def get(self, actor: Actor, execution_id: str) -> Execution:
        return await self._one(actor, await self._view(actor, execution_id))

    async def list_executions(
        self, actor: Actor, paging: Paging, *, agent_id: str | None = None, mode: str | None = None
    ) -> tuple[list[Execution], int]:
        """Newest first, of one agent or of all, with the total."""
        subject = f"{SUBJECT}{agent_id or ''}"
        views, total = await self.runs.list_runs(
            actor, subject=subject, mode=mode, limit=paging.limit, offset=paging.offset
        )
        closed = await self.audience.closed_to(actor, [view.run for view in views])
        shown = [await self._shown(actor, read(view), closed=view.run.id in closed) for view in views]
        return shown, total

    async def cancel_execution(self, actor: Actor, execution_id: str) -> Execution:
        """No effect starts after this returns. Harmless when the execution is over."""
        await self.reading(actor, execution_id)
        return await self._one(actor, await self.runs.cancel_run(actor, execution_id))

    async def get_artifact(self, actor: Actor, execution_id: str, sha256: str) -> tuple[Json, bytes]:
        """An artifact of this execution: what is known of it, and its bytes."""
        view = await self._view(actor, execution_id)
        if await self.audience.closed_to(actor, [view.run]):
            raise Forbidden("What this agent gives is for its owner only.", execution_id=execution_id)
        result = readings.result_of(read(view))
        for artifact in (result or {}).get("artifacts", ()):
            if artifact["sha256"] == sha256:
                return artifact, await self.runs.engine.artifacts.get(actor.tenant_id, sha256)
        raise NotFound("This execution has no such file.", sha256=sha256)

    async def list_events(self, actor: Actor, execution_id: str, after: int = 0) -> list[ExecutionEvent]:
        """What has happened so far."""
        reading = await self.reading(actor, execution_id)
        rows = await self._rows(actor, execution_id, after=after)
        return [event for row in rows if (event := self._event(row, reading)) is not None]

    async def follow(
        self, actor: Actor, execution_id: str, after: int = 0
    ) -> AsyncGenerator[ExecutionEvent, None]:
        """All events after `after`, those to come included; the last one is always `execution_finished`."""
        reading = await self.reading(actor, execution_id)
        if reading.is_over:
            for event in await self.list_events(actor, execution_id, after):
                yield event
            return
        async for row in self.runs.follow(actor, execution_id, after):
            if row.type == "run.finished":
                reading = await self.reading(actor, execution_id)
            event = self._event(row, reading)
            if event is not None:
                yield event

    async def reading(self, actor: Actor, execution_id: str) -> Reading:
        """The run of an agent, ready to be read; NotFound for anything else."""
        return read(await self._view(actor, execution_id))

    async def _view(self, actor: Actor, execution_id: str) -> RunView:
        try:
            view = await self.runs.get_run(actor, execution_id)
        except NotFound:
            view = None
        if view is None or not view.run.subject.startswith(SUBJECT):
            raise NotFound("There is no such execution.", execution_id=execution_id)
        return view

    async def _one(self, actor: Actor, view: RunView) -> Execution:
        closed = await self.audience.closed_to(actor, [view.run])
        return await self._shown(actor, read(view), closed=bool(closed))

    async def effects(self, tenant_id: str, reading: Reading, *, with_content: bool) -> list[Json]:
        """What happened, and what may have: an effect without an outcome has `outcome: "unknown"`."""
        told = await self.told(tenant_id, reading.run["id"], readings.EFFECT_TYPES)
        return readings.effects_of(told, with_content=with_content)

    async def told(self, tenant_id: str, run_id: str, types: Sequence[str]) -> list[tuple[str, Json]]:
        """A run's events of these types, with their payloads."""
        told: list[tuple[str, Json]] = []
        after = 0
        while True:
            rows = await self.runs.engine.events.read(
                tenant_id, run_id=run_id, after=after, types=types, limit=_PAGE
            )
            told += [(row.type, json.loads(row.payload)) for row in rows]
            if len(rows) < _PAGE:
                return told
            after = rows[-1].seq

    async def _rows(self, actor: Actor, execution_id: str, after: int) -> Sequence[EventRow]:
        found: list[EventRow] = []
        while True:
            rows = await self.runs.engine.events.read(
                actor.tenant_id, run_id=execution_id, after=after, limit=_PAGE
            )
            found += rows
            if len(rows) < _PAGE:
                return found
            after = rows[-1].seq

    def _event(self, row: EventRow, reading: Reading) -> ExecutionEvent | None:
        names = {step["key"]: str(step["args"].get("skill", step["key"])) for step, _ in reading.steps()}
        status = readings.execution_status(reading) if row.type == "run.finished" else None
        event = readings.event_of(row.shown(), names, status)
        return None if event is None else ExecutionEvent(**event)

    async def _shown(self, actor: Actor, reading: Reading, *, closed: bool = False) -> Execution:
        """closed: how it went, without what it gave."""
        run = reading.run
        live = run["mode"] == Mode.LIVE.value
        types = (*readings.EFFECT_TYPES, readings.MODEL_CALLED)
        told = await self.told(actor.tenant_id, run["id"], types)
        questions = [payload for type_, payload in told if type_ == readings.MODEL_CALLED]
        done = [entry for entry in told if entry[0] != readings.MODEL_CALLED]
        effects = readings.effects_of(done, with_content=not live)
        waits: list[Json] = []
        if run["status"] == "waiting":
            waits = [said for _, said in await self.told(actor.tenant_id, run["id"], ["step.waiting"])]
        return Execution(
            id=run["id"],
            agent_id=reading.agent_id,
            agent_version=reading.facts.get("agent_version"),
            status=readings.execution_status(reading),
            mode=run["mode"],
            trigger_type=run["trigger_type"],
            triggered_by=run["triggered_by"],
            logical_time=run["logical_time"],
            created_at=run["created_at"],
            started_at=run["started_at"],
            completed_at=run["finished_at"],
            result=None if closed else readings.result_of(reading),
            error=readings.error_of(reading, effects),
            skill_results=readings.skill_results(reading),
            effects=effects,
            waiting_for=readings.waiting_for(reading, waits),
            **readings.usage_of(questions),
        )


def read(view: RunView) -> Reading:
    return Reading(run_json(view), plan_json(view.plan), json.loads(view.run.facts))
