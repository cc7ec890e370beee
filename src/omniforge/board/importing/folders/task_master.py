"""task-master: tasks.json, `{tasks: […]}` or one list per tag. Pure.

Its tasks become tickets, their subtasks tasks; a task without subtasks becomes a ticket with one task.
"""

from __future__ import annotations

import json
from typing import Any, cast

from omniforge.board.importing.documents import Json, Place, Source
from omniforge.board.importing.folders.notes import Folder, Made, name_of, task_ref, ticket_ref

DONE = {"done", "completed", "cancelled", "canceled", "deferred"}
TAG = "master"


def knows(folder: Folder) -> bool:
    return _file(folder) is not None


def _file(folder: Folder) -> tuple[str, str] | None:
    """The first that is such a list; beside it lie texts that say the same."""
    files = (each for each in folder if name_of(each[0]) == "tasks.json")
    return next((each for each in files if _lists(each[1])), None)


def _lists(text: str) -> dict[str, list[Json]]:
    """The lists of tasks by tag; nothing when this is another kind of file."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    whole = cast("Json", content)
    tagged = {TAG: whole} if "tasks" in whole else whole
    found: dict[str, list[Json]] = {}
    for tag, holder in tagged.items():
        tasks: Any = cast("Json", holder).get("tasks") if isinstance(holder, dict) else None
        if isinstance(tasks, list) and all(_is_task(task) for task in cast("list[Any]", tasks)):
            found[tag] = cast("list[Json]", tasks)
    return found


def _is_task(task: Any) -> bool:
    return isinstance(task, dict) and "id" in task and "title" in task and "ref" not in task


def read(folder: Folder) -> Source:
    made, (path, text) = Made(), _file(folder) or ("", "{}")
    lists, place = _lists(text), Place(path)
    tag = TAG if TAG in lists else next(iter(lists), TAG)
    for other in lists.keys() - {tag}:
        made.leave(f"the tasks of the tag {other[:60]} are another list; only {tag} was read", place)
    open_tasks = [task for task in lists.get(tag, []) if not _is_done(made, task, str(task["id"]), place)]
    numbers = {str(task["id"]): _number(task["id"]) for task in open_tasks}
    for task in open_tasks:
        _ticket(made, task, numbers, place)
    return made.source


def _number(value: Any) -> int:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0


def _is_done(made: Made, task: Json, name: str, place: Place) -> bool:
    status = str(task.get("status", "pending")).lower()
    if status in DONE:
        made.leave(f"{name[:60]} is {status} already", place)
    return status in DONE


def _ticket(made: Made, task: Json, numbers: dict[str, int], place: Place) -> None:
    number = numbers[str(task["id"])]
    strategy = str(task.get("testStrategy") or "").strip()
    parts = [str(task.get(name) or "").strip() for name in ("description", "details")]
    ticket: Json = {
        "ref": ticket_ref(number),
        "title": task["title"],
        "description": "\n\n".join(part for part in parts if part) or str(task["title"]),
        "priority": task.get("priority") or "medium",
        "depends_on": [
            ticket_ref(numbers[str(each)]) for each in task.get("dependencies") or () if str(each) in numbers
        ],
    }
    if strategy:
        ticket["criteria"] = [{"text": strategy[:5_000]}]
    made.add("tickets", ticket, place)
    given: list[Json] = task.get("subtasks") or []
    left = [each for each in given if not _is_done(made, each, f"{task['id']}.{each.get('id')}", place)]
    here = {_number(each.get("id")) for each in left}
    for each in left:
        made.add("tasks", _task(each, number, here), place)
    if not given:
        made.add("tasks", _alone(ticket, number), place)


def _task(each: Json, number: int, here: set[int]) -> Json:
    """It depends on numbers of its sisters, or on `2.1`; other tickets are waited for by its ticket."""
    needs: list[str] = []
    for name in map(str, each.get("dependencies") or ()):
        home, _, part = name.rpartition(".")
        if home in ("", str(number)) and _number(part) in here:
            needs.append(task_ref(number, _number(part)))
    parts = [str(each.get(name) or "").strip() for name in ("description", "details")]
    strategy = str(each.get("testStrategy") or "").strip()
    return {
        "ref": task_ref(number, _number(each.get("id"))),
        "ticket": ticket_ref(number),
        "title": each.get("title"),
        "description": "\n\n".join(part for part in parts if part) or None,
        "depends_on": needs,
        "criteria": [{"text": strategy[:5_000]}] if strategy else [],
    }


def _alone(ticket: Json, number: int) -> Json:
    named = {name: ticket[name] for name in ("title", "description")}
    return {"ref": task_ref(number), "ticket": ticket["ref"], **named, "criteria": ticket.get("criteria", [])}
