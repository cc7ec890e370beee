"""Workers on the wire: what they say of the task they work on."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from omniforge.board.shapes.words import Given, Json
from omniforge.board.vocabulary import TaskStatus
from omniforge.core.errors import PayloadTooLarge
from omniforge.sandboxes.telemetry import LARGEST
from omniforge.sandboxes.texts import Said, size_of


class ProgressKind(StrEnum):
    STEP_COMPLETED = "step_completed"
    FILE_MODIFIED = "file_modified"
    ERROR = "error"
    INFO = "info"


class WorkerWish(StrEnum):
    """Statuses that a worker may ask for; all but the first are refused with what to do instead."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    BLOCKED = "blocked"


def _fit(details: Json) -> Json:
    if (size := size_of(details)) > LARGEST:
        raise PayloadTooLarge(f"Details may have {LARGEST} bytes.", limit=LARGEST, bytes=size)
    return details


class ProgressGiven(Given):
    event_type: ProgressKind
    message: Said
    details: Annotated[Json, AfterValidator(_fit)] = Field(default_factory=dict)
    progress_percent: Annotated[float, Field(ge=0, le=100)] | None = None


class ProgressKept(Given):
    success: Literal[True] = True
    event_id: str


class StatusGiven(Given):
    status: WorkerWish
    message: Said | None = None


class StatusKept(Given):
    success: Literal[True] = True
    task_id: str
    status: TaskStatus
    updated_at: datetime
