"""What workers may tell, how they may spell it, and which of it is work. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    PENDING = "pending"
    CREATING = "creating"
    RUNNING = "running"
    COMPLETING = "completing"
    COMPLETED = "completed"
    FAILED = "failed"
    TERMINATED = "terminated"


class SandboxKind(StrEnum):
    TASK = "task"
    CHECK = "check"


class WorkerKind(StrEnum):
    """Our own program, or whoever speaks its protocol from outside."""

    KIT = "kit"
    EXTERNAL = "external"


class ProviderName(StrEnum):
    LOCAL = "local"
    DOCKER = "docker"
    DAYTONA = "daytona"


class MessageType(StrEnum):
    USER_MESSAGE = "user_message"
    INTERRUPT = "interrupt"
    SYSTEM = "system"


class Source(StrEnum):
    """Who in a sandbox tells something."""

    AGENT = "agent"
    WORKER = "worker"


class WorkerStatus(StrEnum):
    STARTING = "starting"
    WORKING = "working"
    WAITING = "waiting"
    STOPPING = "stopping"


HEARTBEAT = "sandbox.heartbeat_received"
MEASURED = "sandbox.measured"
TOOL_USED = "agent.tool_used"

WORK = frozenset(
    {
        "agent.replied",
        TOOL_USED,
        "agent.tool_returned",
        "agent.skill_used",
        "agent.subagent_started",
        "agent.subagent_completed",
        "file.created",
        "file.modified",
        "file.deleted",
        "command.started",
        "command.output",
        "command.completed",
    }
)
"""Whoever tells of this does something; everything else can be told by one that hangs."""

TELEMETRY = WORK | {
    "agent.started",
    "agent.thought",
    "agent.input_received",
    "agent.interrupted",
    "agent.errored",
    "agent.completed",
    "agent.stopped",
    HEARTBEAT,
    MEASURED,
}
"""All that a worker may post."""

SPELLINGS: Mapping[str, str] = MappingProxyType(
    {
        "agent.thinking": "agent.thought",
        "agent.message": "agent.replied",
        "agent.tool_use": TOOL_USED,
        "agent.tool_result": "agent.tool_returned",
        "agent.error": "agent.errored",
        "sandbox.heartbeat": HEARTBEAT,
        "sandbox.metrics": MEASURED,
    }
)
"""Other names that are understood."""

_TOLD_BY_THE_BOARD: Mapping[str, str] = MappingProxyType(
    {
        "project": "created updated archived",
        "column": "updated",
        "spec": "created updated archived completed imported requirements_approved design_approved"
        " approval_cleared phase_started phase_passed phase_failed",
        "requirement": "created updated deleted",
        "criterion": "created updated deleted",
        "ticket": "created updated ranked transitioned held blocked unblocked review_requested approved"
        " rejected review_timed_out dependencies_changed commented duplicate_overridden",
        "phase": "completed",
        "task": "created updated dependencies_changed unblocked queued dequeued claimed started progressed"
        " review_requested completed attempt_failed failed cancelled",
        "result": "submitted",
        "report": "attached verified disputed",
        "receipt": "recorded voided",
        "artifact": "stored",
        "gate": "decided updated",
        "approval": "requested decided",
        "sandbox": "requested spawned started work_finished completed failed terminated message_queued"
        " message_delivered",
        "repository": "connected synced",
        "branch": "pushed",
        "commit": "linked",
        "pull_request": "opened merged closed",
    }
)
NOT_FOR_WORKERS = frozenset(
    f"{noun}.{verb}" for noun, verbs in _TOLD_BY_THE_BOARD.items() for verb in verbs.split()
)
"""Known types that only the host tells."""


def telemetry_type(name: str) -> str:
    """The name under which it is kept; whatever else was given as it is."""
    return SPELLINGS.get(name, name)
