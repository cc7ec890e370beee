"""The phases, as the workflow has them, and how much stands in each."""

from __future__ import annotations

from sqlalchemy import func, select

from omniforge.board.columns import NOTHING
from omniforge.board.shapes.board import Phase, PhaseCounts, Phases
from omniforge.board.store import cards
from omniforge.board.store import projects as store
from omniforge.board.store.cards import CardFilter
from omniforge.board.store.tasks import TaskRow
from omniforge.board.vocabulary import PhaseId, TaskType
from omniforge.board.workflow import STATUS_OF_PHASE, TASK_PHASES, phase_of_task_type, stage_of, statuses_of
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock
from omniforge.core.errors import NotFound
from omniforge.db import Database

NAMES = {
    PhaseId.BACKLOG: "Backlog",
    PhaseId.REQUIREMENTS: "Requirements",
    PhaseId.DESIGN: "Design",
    PhaseId.IMPLEMENTATION: "Implementation",
    PhaseId.DEPLOYMENT: "Deployment",
    PhaseId.TESTING: "Testing",
    PhaseId.DONE: "Done",
}


def phase_view(phase: PhaseId) -> Phase:
    """`statuses` are those a filter by the phase selects, `next` the phases its tickets may come to."""
    held = TASK_PHASES if phase in TASK_PHASES else ()
    home = stage_of(STATUS_OF_PHASE[phase])
    ways: dict[PhaseId, None] = {}
    for status in statuses_of(phase):
        stage = stage_of(status)
        ways |= {stage_of(to).phase: None for to in (stage.forward, stage.back) if to is not None}
    return Phase(
        id=phase,
        name=NAMES[phase],
        order=list(PhaseId).index(phase),
        statuses=list(statuses_of(phase)),
        is_terminal=home.forward is None,
        task_types=[one for one in TaskType if held and phase_of_task_type(one) is phase],
        next=[other for other in ways if other is not phase],
    )


class BoardPhases:
    def __init__(self, db: Database, clock: Clock) -> None:
        self.db, self.clock = db, clock

    def all(self, actor: Actor) -> Phases:
        actor.require("board:view")
        found = [phase_view(phase) for phase in PhaseId]
        return Phases(phases=found, total=len(found))

    async def one(self, actor: Actor, phase_id: str, project_id: str | None) -> PhaseCounts:
        actor.require("board:view")
        phase = next((one for one in PhaseId if one == phase_id.upper()), None)
        if phase is None:
            raise NotFound("There is no such phase.", phase_id=phase_id[:64], known=list(PhaseId))
        tasks = select(func.count()).select_from(TaskRow)
        tasks = tasks.where(TaskRow.tenant_id == actor.tenant_id, TaskRow.phase_id == phase)
        async with self.db.read() as session:
            if project_id is not None:
                await store.get_project(session, actor, project_id)
                tasks = tasks.where(TaskRow.project_id == project_id)
            wanted = CardFilter(project_id=project_id)
            counts = await cards.counts_by_status(session, actor, wanted, self.clock.now())
            task_count = await session.scalar(tasks) or 0
        tickets = sum(counts.get(status, NOTHING).total for status in statuses_of(phase))
        return PhaseCounts(**phase_view(phase).model_dump(), ticket_count=tickets, task_count=task_count)
