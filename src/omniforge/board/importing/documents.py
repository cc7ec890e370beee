"""What a spec is made of when it comes as a document, and what can be wrong with it. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from omniforge.board.vocabulary import (
    CheckKind,
    Estimate,
    PhaseId,
    Priority,
    RequirementCategory,
    TaskType,
    TicketStatus,
    TicketType,
)

Json = dict[str, Any]
FORMAT = "omniforge.spec/1"

REQUIREMENT_REF = re.compile(r"REQ-[A-Z0-9]{2,12}-[A-Z0-9]{2,8}-[0-9]{3,9}")
TICKET_REF = re.compile(r"TKT-(?:[A-Z0-9]{2,12}-)?[0-9]{3,9}")
TASK_REF = re.compile(r"TSK-(?:[A-Z0-9]{2,12}-)?[0-9]{3,9}")
DESIGN_REF = re.compile(r"DESIGN-[A-Z0-9][A-Z0-9-]{0,80}-[0-9]{3,9}")

MAX_BYTES = 5_000_000
MAX_ITEMS = {"requirements": 500, "tickets": 200, "tasks": 2000}
MAX_TITLE, MAX_TEXT, MAX_SENTENCE = 500, 50_000, 5_000


class Flaw(StrEnum):
    """Why a document is refused."""

    BAD_REF = "bad_ref"
    DUPLICATE_REF = "duplicate_ref"
    DANGLING_REF = "dangling_ref"
    CYCLE = "cycle"
    MISSING_FIELD = "missing_field"
    MISSING_PARENT = "missing_parent"
    BAD_VALUE = "bad_value"
    NO_ACTION = "no_action"
    NO_CRITERIA = "no_criteria"
    PHASE_CLOSED = "phase_closed"
    TOO_LARGE = "too_large"


class Doubt(StrEnum):
    """What is taken, and better looked at."""

    FEW_CRITERIA = "few_criteria"
    TASK_OVER_4H = "task_over_4h"
    UNCOVERED_REQUIREMENT = "uncovered_requirement"
    TICKET_WITHOUT_TASK = "ticket_without_task"
    NO_ESTIMATE = "no_estimate"
    NO_COMMAND_CHECK = "no_command_check"
    POSSIBLE_DUPLICATE = "possible_duplicate"
    OVERLAPPING_FILES = "overlapping_files"
    NOT_APPROVABLE = "not_approvable"
    ALREADY_STARTED = "already_started"
    """It differs from what is being worked on, which stays as it is."""
    NOT_TAKEN_OVER = "not_taken_over"
    """Part of another format that has no place here."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands; lines count from 1."""

    path: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake or a doubt. `ref` is empty for what is wrong with the whole; `cycle` is `[a, …, a]`."""

    code: Flaw | Doubt
    ref: str
    message: str
    field: str | None = None
    place: Place = Place()
    cycle: tuple[str, ...] = ()

    def shown(self) -> Json:
        """`{code, ref, message, field?, path?, line?, cycle?}`."""
        extra: Json = {"field": self.field, "path": self.place.path, "line": self.place.line}
        if self.cycle:
            extra["cycle"] = list(self.cycle)
        said = {name: value for name, value in extra.items() if value is not None}
        return {"code": self.code.value, "ref": self.ref, "message": self.message, **said}


@dataclass(frozen=True, slots=True)
class Criterion:
    text: str
    kind: CheckKind = CheckKind.TEXT
    check: Json | None = None


@dataclass(frozen=True, slots=True)
class Requirement:
    """`condition` begins with WHEN, WHILE, WHERE or IF, or is empty; `action` says THE … SHALL."""

    ref: str
    title: str
    action: str
    condition: str = ""
    category: RequirementCategory = RequirementCategory.FUNCTIONAL
    priority: Priority = Priority.MEDIUM
    linked_design: str | None = None
    criteria: tuple[Criterion, ...] = ()
    place: Place = field(default=Place(), compare=False)


@dataclass(frozen=True, slots=True)
class Ticket:
    ref: str
    title: str
    description: str
    priority: Priority = Priority.MEDIUM
    estimate: Estimate | None = None
    ticket_type: TicketType = TicketType.COMPONENT
    requirements: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    tags: tuple[str, ...] = ()
    place: Place = field(default=Place(), compare=False)


@dataclass(frozen=True, slots=True)
class Deliverable:
    path: str
    content: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """`ticket` is the ref it belongs to; without a priority it has that of the ticket."""

    ref: str
    ticket: str
    title: str
    phase_id: PhaseId = PhaseId.IMPLEMENTATION
    description: str | None = None
    estimate: Estimate | None = None
    task_type: TaskType = TaskType.IMPLEMENT_FEATURE
    priority: Priority | None = None
    depends_on: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    deliverables: tuple[Deliverable, ...] = ()
    owned_files: tuple[str, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    required_capabilities: tuple[str, ...] = ()
    timeout_seconds: int = 3600
    parent: str | None = None
    work: Json | None = None
    """What is run for it (works.py); None: an agent does it."""
    place: Place = field(default=Place(), compare=False)


Item = Requirement | Ticket | Task


@dataclass(frozen=True, slots=True)
class Spec:
    """A whole document; everything of it may be absent. `design` is in the form people put it."""

    title: str | None = None
    description: str | None = None
    requirements: tuple[Requirement, ...] = ()
    design: Json | None = None
    tickets: tuple[Ticket, ...] = ()
    tasks: tuple[Task, ...] = ()

    def items(self) -> tuple[Item, ...]:
        return (*self.requirements, *self.tickets, *self.tasks)


@dataclass(frozen=True, slots=True)
class Known:
    """Something of the spec that is there already, under the ref documents call it by. `kind` is requirement,
    ticket or task; `needs` are refs it depends on, `ticket` the ref a task belongs to."""

    kind: str
    priority: Priority = Priority.MEDIUM
    status: TicketStatus | None = None
    ticket: str = ""
    needs: tuple[str, ...] = ()


@dataclass(slots=True)
class Source:
    """A spec as it was given: the JSON form, where its parts stand, and what was wrong on the way there.

    `places` leads from (list, index) to the heading of an item, `lines` from (list, index, field) to a line.
    """

    content: Json = field(default_factory=dict[str, Any])
    places: dict[tuple[str, int], Place] = field(default_factory=dict[tuple[str, int], Place])
    lines: dict[tuple[str, int, str], int] = field(default_factory=dict[tuple[str, int, str], int])
    problems: list[Problem] = field(default_factory=list[Problem])
    warnings: list[Problem] = field(default_factory=list[Problem])


def plain(item: Item | Criterion) -> Json:
    """The JSON form of an item, with every field; `place` is not part of it."""
    made = asdict(item)
    made.pop("place", None)
    return json.loads(json.dumps(made))


def content_hash(content: Any) -> str:
    """The same for the same content, whatever the order of names."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def has_architecture(design: Mapping[str, Any] | None) -> bool:
    return bool(design and str(design.get("architecture") or "").strip())
