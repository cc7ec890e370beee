"""A client of a running OmniForge: `OmniForgeClient`, and the same without `await` as `SyncClient`."""

from omniforge.client.client import OmniForgeClient, SyncClient
from omniforge.client.shapes import (
    AgentInfo,
    Execution,
    ExecutionEvent,
    Imported,
    Project,
    SkillInfo,
    Spec,
    Task,
    TestResult,
    Ticket,
)

__all__ = [
    "AgentInfo",
    "Execution",
    "ExecutionEvent",
    "Imported",
    "OmniForgeClient",
    "Project",
    "SkillInfo",
    "Spec",
    "SyncClient",
    "Task",
    "TestResult",
    "Ticket",
]
