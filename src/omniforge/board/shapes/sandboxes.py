"""Sandboxes on the wire as the board sees them: places, and what becomes of a task."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from omniforge.board.vocabulary import TaskStatus


class Waiting(BaseModel):
    task_id: str
    reason: str


class CapacityView(BaseModel):
    """`running` counts sandboxes that take a place, `available` how many more may be had now, which the
    tenant and the installation limit as well; `waiting` are the queued tasks, oldest first."""

    running: int
    max: int
    available: int
    at_capacity: bool
    queued: int
    waiting: list[Waiting]


class Removed(BaseModel):
    status: Literal["terminated"] = "terminated"
    task_status: TaskStatus | None = None
