"""Graphs of dependencies on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from omniforge.board.shapes.tasks import TaskBrief
from omniforge.board.vocabulary import PhaseId, Priority, TaskType


class GraphNode(BaseModel):
    """A task or a ticket. `blocks_count`: how many that are not finished wait for it."""

    id: str
    type: Literal["task", "ticket"]
    ref: str
    label: str
    status: str
    phase_id: PhaseId
    priority: Priority
    task_type: TaskType | None = None
    is_blocked: bool
    blocks_count: int
    ticket_id: str | None = None
    sandbox_id: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None


class GraphEdge(BaseModel):
    """From what is waited for to what waits, from parent to child, from ticket to task."""

    source: str
    target: str
    type: Literal["depends_on", "ticket_depends_on", "parent_child", "ticket_contains"]


class GraphFigures(BaseModel):
    """Of the graph as it is shown. `critical_path`: the longest chain of tasks that are not finished, in the
    order in which they are done."""

    total_tasks: int
    blocked_count: int
    resolved_count: int
    total_edges: int
    critical_path: list[str]
    critical_path_length: int


class Graph(BaseModel):
    nodes: list[GraphNode]
    edges: list[GraphEdge]
    metadata: GraphFigures


class BlockedTasks(BaseModel):
    """What waits for a task."""

    task_id: str
    blocked_tasks: list[TaskBrief]
    blocked_count: int


class BlockingTask(TaskBrief):
    is_complete: bool


class BlockingTasks(BaseModel):
    """What a task waits for."""

    task_id: str
    blocking_tasks: list[BlockingTask]
    all_dependencies_complete: bool
