"""Gates on the wire: their checks, how they stand before a ticket, what was decided."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from omniforge.board.shapes.tickets import Decision
from omniforge.board.shapes.words import AnyPhase, Feedback, Given, Id, Json, Listing
from omniforge.board.vocabulary import GateReadiness, GateVerdict, TicketStatus
from omniforge.core.paging import Paging


class Gate(BaseModel):
    """The checks for leaving a status. `is_default`: the project has none of its own."""

    project_id: str
    from_status: TicketStatus
    to_status: TicketStatus
    checks: list[Json]
    is_default: bool


class Gates(BaseModel):
    gates: list[Gate]
    total: int


class GateGiven(Given):
    """Every check says `key` and `kind`, and what belongs to its kind."""

    project_id: Id
    checks: list[Json] = Field(max_length=100)


class Standpoint(Given):
    """Which gate is meant; without either, the one before the ticket."""

    from_status: TicketStatus | None = None
    phase_id: AnyPhase | None = None


class GateStatus(BaseModel):
    """How a gate stands. Criteria: `{key, tier, kind, status, required, waivable, detail, evidence?, …}`."""

    ticket_id: str
    from_status: TicketStatus
    to_status: TicketStatus | None
    readiness: GateReadiness
    requirements_met: bool
    missing_artifacts: list[str]
    criteria: list[Json]
    last_decision: Decision | None


class Validated(BaseModel):
    """What came of looking at a gate now. `run_id`: commands are running."""

    ticket_id: str
    from_status: TicketStatus
    to_status: TicketStatus | None
    gate_status: Literal["passed", "failed", "pending"]
    readiness: GateReadiness
    requirements_met: bool
    decision: Decision | None
    criteria: list[Json]
    blocking_reasons: list[str]
    run_id: str | None


def _as_condition(value: Any) -> Any:
    return {"text": value} if isinstance(value, str) else value


class Condition(Given):
    """Under which something is set aside. `task_id`: the task that will make it good."""

    text: Feedback
    due_at: datetime | None = None
    task_id: Id | None = None


class Waive(Given):
    check_key: Annotated[str, Field(min_length=1, max_length=200)]
    rationale: Feedback
    conditions: list[Annotated[Condition, BeforeValidator(_as_condition)]] = Field(
        min_length=1, max_length=50
    )


class DecisionQuery(Paging):
    model_config = ConfigDict(extra="forbid")

    ticket_id: Id | None = None
    project_id: Id | None = None
    decision: GateVerdict | None = None


class DecisionList(Listing):
    decisions: list[Decision]
