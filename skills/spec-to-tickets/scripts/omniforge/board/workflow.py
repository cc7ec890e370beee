"""The workflow: which status follows which, and what belongs to each. The only place that knows it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from omniforge.board.vocabulary import PhaseId, TaskType, TicketStatus


@dataclass(frozen=True, slots=True)
class Stage:
    """One status. `forward` is the next status (its edge has a gate unless `is_ungated`), `back` the only way
    back. `opening` is the task that is made when a ticket comes in without work."""

    status: TicketStatus
    phase: PhaseId
    admits: tuple[PhaseId, ...]
    column: str
    color: str
    wip_limit: int | None
    forward: TicketStatus | None
    back: TicketStatus | None = None
    opening: TaskType | None = None
    is_ungated: bool = False


S, P = TicketStatus, PhaseId
STAGES: tuple[Stage, ...] = (
    Stage(S.BACKLOG, P.BACKLOG, (), "Backlog", "gray", None, S.ANALYZING, is_ungated=True),
    Stage(
        S.ANALYZING,
        P.REQUIREMENTS,
        (P.REQUIREMENTS, P.DESIGN),
        "Analyzing",
        "blue",
        5,
        S.BUILDING,
        opening=TaskType.ANALYZE_REQUIREMENTS,
    ),
    Stage(
        S.BUILDING,
        P.IMPLEMENTATION,
        (P.IMPLEMENTATION,),
        "Building",
        "yellow",
        10,
        S.BUILDING_DONE,
        opening=TaskType.IMPLEMENT_FEATURE,
    ),
    Stage(S.BUILDING_DONE, P.IMPLEMENTATION, (P.DEPLOYMENT,), "Built", "orange", None, S.TESTING),
    Stage(
        S.TESTING,
        P.TESTING,
        (P.TESTING,),
        "Testing",
        "purple",
        8,
        S.DONE,
        back=S.BUILDING,
        opening=TaskType.RUN_TESTS,
    ),
    Stage(S.DONE, P.DONE, (), "Done", "green", None, None),
)
"""In the order of the board."""

_BY_STATUS = {stage.status: stage for stage in STAGES}
STATUS_OF_PHASE = {
    P.BACKLOG: S.BACKLOG,
    P.REQUIREMENTS: S.ANALYZING,
    P.DESIGN: S.ANALYZING,
    P.IMPLEMENTATION: S.BUILDING,
    P.DEPLOYMENT: S.BUILDING_DONE,
    P.TESTING: S.TESTING,
    P.DONE: S.DONE,
}
STARTING_PHASES = (P.BACKLOG, P.REQUIREMENTS, P.IMPLEMENTATION)
"""Phases in which a ticket may begin."""
TASK_PHASES = (P.REQUIREMENTS, P.DESIGN, P.IMPLEMENTATION, P.DEPLOYMENT, P.TESTING)
PHASE_OF_TASK_TYPE = {
    TaskType.ANALYZE_REQUIREMENTS: P.REQUIREMENTS,
    TaskType.RESEARCH: P.REQUIREMENTS,
    TaskType.CREATE_DESIGN: P.DESIGN,
    TaskType.DEPLOY: P.DEPLOYMENT,
    TaskType.RUN_TESTS: P.TESTING,
}
"""Other types belong to the implementation."""


def stage_of(status: TicketStatus) -> Stage:
    return _BY_STATUS[status]


def phase_of(status: TicketStatus) -> PhaseId:
    return _BY_STATUS[status].phase


def statuses_of(phase: PhaseId) -> tuple[TicketStatus, ...]:
    """The statuses a filter by phase selects."""
    shown = tuple(stage.status for stage in STAGES if stage.phase is phase)
    return shown or (STATUS_OF_PHASE[phase],)


def targets_of(status: TicketStatus) -> tuple[TicketStatus, ...]:
    """Every status that may follow, the way forward first."""
    stage = _BY_STATUS[status]
    return tuple(target for target in (stage.forward, stage.back) if target is not None)


def is_legal(from_status: TicketStatus, to_status: TicketStatus) -> bool:
    return to_status in targets_of(from_status)


def is_regress(from_status: TicketStatus, to_status: TicketStatus) -> bool:
    return _BY_STATUS[from_status].back is to_status


def has_gate(from_status: TicketStatus, to_status: TicketStatus) -> bool:
    """Whether the edge is judged by evidence."""
    stage = _BY_STATUS[from_status]
    return stage.forward is to_status and not stage.is_ungated


GATED = tuple(stage.status for stage in STAGES if stage.forward and not stage.is_ungated)


def admits(status: TicketStatus, phase: PhaseId) -> bool:
    """Whether a task of this phase may be worked on while its ticket has this status."""
    return phase in _BY_STATUS[status].admits


def is_open_for(status: TicketStatus, phase: PhaseId) -> bool:
    """Whether a task of this phase may still be made: its place in the workflow is not behind the ticket."""
    order = [stage.status for stage in STAGES]
    return phase in TASK_PHASES and order.index(STATUS_OF_PHASE[phase]) >= order.index(status)


def phase_of_task_type(task_type: TaskType) -> PhaseId:
    return PHASE_OF_TASK_TYPE.get(task_type, P.IMPLEMENTATION)
