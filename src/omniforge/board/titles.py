"""Titles of tasks: by a rule, or by a model where one is set up."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from omniforge.board import changes
from omniforge.board.admission import task_event
from omniforge.board.errors import TaskFinished
from omniforge.board.store import tasks as store
from omniforge.board.store.tasks import TaskRow
from omniforge.board.vocabulary import TaskStatus, TaskType
from omniforge.board.workflow import phase_of_task_type
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock
from omniforge.core.errors import OmniForgeError
from omniforge.db import Database
from omniforge.engine.events import EventLog
from omniforge.llm.prompts import load_prompt, spotlight
from omniforge.llm.protocol import Ask, AskLimits, ModelClient

LONGEST = 80
_END = re.compile(r"(?<=[.!?])\s|\n")
_MARKS = re.compile(r"^[\s#>*\-•]+|[\s.]+$")
_SHAPE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "minLength": 1, "maxLength": LONGEST},
        "description": {"type": "string", "minLength": 1, "maxLength": 2_000},
        "task_type": {"type": "string", "enum": [one.value for one in TaskType]},
    },
    "required": ["title", "description", "task_type"],
    "additionalProperties": False,
}


def title_by_rule(text: str) -> str:
    """The first sentence, at most 80 characters; a longer one is cut between words. "Untitled" where there
    are no words."""
    sentences = (_MARKS.sub("", part) for part in _END.split(text.strip()))
    first = " ".join(next((sentence for sentence in sentences if sentence), "Untitled").split())
    if len(first) <= LONGEST:
        return first
    kept = first[: LONGEST - 1]
    words = kept if first[LONGEST - 1].isspace() else kept.rpartition(" ")[0] or kept
    return words.rstrip(" ,;:") + "…"


@dataclass(frozen=True, slots=True)
class Named:
    """A title somebody made. `generated_by`: model or rule."""

    task_id: str
    title: str
    description: str | None
    task_type: TaskType
    generated_by: str


@dataclass(frozen=True, slots=True)
class Naming:
    """One of several tasks that were named, or why not."""

    task_id: str
    title: str
    error: str | None = None


class Titles:
    """`models` None: by the rule alone."""

    def __init__(
        self, db: Database, events: EventLog, clock: Clock, models: ModelClient | None = None
    ) -> None:
        self.db, self.events, self.clock, self.models = db, events, clock, models

    async def name_task(self, actor: Actor, task_id: str, context: str | None = None) -> Named:
        """Give a task a title, and a description where it has none. Errors of the model pass."""
        actor.require("board:edit")
        async with self.db.read() as session:
            task = await store.get_task(session, actor, task_id)
        _check_open(task)
        named = await self._named(actor, task, context)
        async with self.db.transaction() as session:
            task = await store.get_task(session, actor, task_id, lock=True)
            _check_open(task)
            given: dict[str, Any] = {
                "title": named.title,
                "description": task.description or named.description,
            }
            if _may_be_retyped(task, named.task_type):
                given["task_type"] = named.task_type
            changed = changes.apply(task, given)
            task.has_own_title = True
            if changed:
                task.version += 1
                task.updated_at = now = self.clock.now()
                told = task_event("task.updated", task, now, actor.by, changes=changes.short(changed))
                await self.events.append(session, actor.tenant_id, told)
        return replace(
            named, title=task.title, description=task.description, task_type=TaskType(task.task_type)
        )

    async def name_untitled(self, actor: Actor, project_id: str | None, limit: int) -> list[Naming]:
        """Name tasks that nobody gave a title, the oldest first."""
        actor.require("board:edit")
        where = [TaskRow.tenant_id == actor.tenant_id, TaskRow.has_own_title.is_(False)]
        where.append(TaskRow.status.not_in([TaskStatus.COMPLETED, TaskStatus.CANCELLED]))
        if project_id is not None:
            where.append(TaskRow.project_id == project_id)
        query = select(TaskRow.id, TaskRow.title).where(*where).order_by(TaskRow.created_at, TaskRow.id)
        async with self.db.read() as session:
            found = (await session.execute(query.limit(limit))).all()
        done: list[Naming] = []
        for task_id, title in found:
            try:
                named = await self.name_task(actor, task_id)
            except OmniForgeError as error:
                done.append(Naming(task_id, title, error.message))
            else:
                done.append(Naming(task_id, named.title))
        return done

    async def _named(self, actor: Actor, task: TaskRow, context: str | None) -> Named:
        text = task.description or context or task.title
        if self.models is None or not self.models.is_configured(actor.tenant_id):
            kind = TaskType(task.task_type)
            return Named(task.id, title_by_rule(text), task.description, kind, "rule")
        said = {
            "type": task.task_type,
            "title": task.title,
            "description": task.description,
            "context": context,
        }
        shown = [spotlight(value, name) for name, value in said.items() if value]
        instructions = load_prompt("omniforge.board", "title").text
        limits = AskLimits(iterations=4, tokens=20_000, seconds=60)
        answer = await self.models.ask(
            Ask(instructions, "\n\n".join(shown), actor.tenant_id, schema=_SHAPE, limits=limits)
        )
        value = answer.value or {}
        kind = TaskType(value["task_type"])
        return Named(task.id, title_by_rule(value["title"]), value["description"], kind, "model")


def _may_be_retyped(task: TaskRow, wanted: TaskType) -> bool:
    """A task's phase follows from its type; one that is being worked on keeps both."""
    same_phase = phase_of_task_type(wanted).value == task.phase_id
    return same_phase and task.status in (TaskStatus.PENDING, TaskStatus.QUEUED)


def _check_open(task: TaskRow) -> None:
    if TaskStatus(task.status).is_finished:
        raise TaskFinished(f"This task is {task.status}; it is changed no more.", task_status=task.status)
