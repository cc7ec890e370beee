"""Backlog.md: `backlog/tasks/task-42 - Title.md`, a front matter and sections each. Pure.

A task becomes a ticket, the tasks below it (42.1, or with it as parent) its tasks; one without any becomes a
ticket with one task. Acceptance criteria stay criteria.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from omniforge.board.importing.documents import Json, Place, Source
from omniforge.board.importing.folders.notes import (
    Folder,
    Made,
    below,
    front,
    listed,
    name_of,
    sections,
    task_ref,
    ticket_ref,
)

DONE = {"done", "completed", "archived"}
PRIORITIES = {"critical", "high", "medium", "low"}
_ID = re.compile(r"(?i)[a-z]{1,20}-([0-9]{1,6})(?:\.([0-9]{1,4}))?(?:\.[0-9.]+)?")
_CRITERION = re.compile(r"[ \t]*[-*][ \t]+\[[ xX]\][ \t]+(?:#[0-9]{1,4}[ \t]+)?(.*\S)")
_FILE = re.compile(r"[a-z]{1,20}-[0-9][0-9.]* - .*\.md")


def knows(folder: Folder) -> bool:
    return bool(_files(folder))


def _files(folder: Folder) -> Folder:
    """The tasks among documents, decisions and whatever else lies there."""
    return [
        (path, text)
        for path, text in folder
        if _FILE.fullmatch(name_of(path)) and text.lstrip().startswith("---")
    ]


@dataclass(slots=True)
class _Task:
    number: int
    part: int
    title: str
    text: str
    place: Place
    priority: str
    labels: list[str]
    needs: list[str]
    criteria: list[Json]
    parts: list[_Task] = field(default_factory=lambda: list[_Task]())  # noqa: PLW0108 - typed


def read(folder: Folder) -> Source:
    made, found = Made(), dict[tuple[int, int], _Task]()
    for path, text in _files(folder):
        task = _read(made, path, text)
        if task is not None:
            found[task.number, task.part] = task
    for task in found.values():
        if task.part and (task.number, 0) in found:
            found[task.number, 0].parts.append(task)
    heads = [task for task in found.values() if not task.part or (task.number, 0) not in found]
    homes = {key: ticket_ref(_number_of(found, key)) for key in found}
    for task in sorted(heads, key=lambda task: (task.number, task.part)):
        _ticket(made, task, homes)
    return made.source


def _number_of(found: dict[tuple[int, int], _Task], key: tuple[int, int]) -> int:
    """The ticket's number; a part whose whole is done or missing stands alone."""
    number, part = key
    return number if not part or (number, 0) in found else number * 100 + part


def _key(name: str) -> tuple[int, int] | None:
    found = _ID.fullmatch(name.strip())
    return (int(found[1]), int(found[2] or 0)) if found else None


def _read(made: Made, path: str, text: str) -> _Task | None:
    fields, body = front(text)
    place, key = Place(path, 1), _key(str(fields.get("id", "")))
    if key is None:
        made.leave("this has no id such as task-42", place)
        return None
    status = str(fields.get("status", "")).strip().lower()
    if status in DONE:
        made.leave(f"{fields['id']} is {status} already", place)
        return None
    parent = _key(str(fields.get("parent_task_id") or ""))
    if parent is not None and not key[1]:
        key = (parent[0], key[0])
    parts = sections(re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL))
    lines = below(parts, "acceptance criteria").split("\n")
    criteria = [{"text": each[1]} for line in lines if (each := _CRITERION.fullmatch(line))]
    said = [below(parts, name) for name in ("description", "implementation plan", "implementation notes")]
    priority = str(fields.get("priority") or "medium").lower()
    return _Task(
        *key,
        title=str(fields.get("title") or fields["id"]),
        text="\n\n".join(part for part in said if part),
        place=place,
        priority=priority if priority in PRIORITIES else "medium",
        labels=listed(fields.get("labels")),
        needs=listed(fields.get("dependencies")),
        criteria=criteria,
    )


def _ticket(made: Made, task: _Task, homes: dict[tuple[int, int], str]) -> None:
    ref = homes[task.number, task.part]
    inside = task.parts or [task]
    wanted = [key for each in (task, *task.parts) for name in each.needs if (key := _key(name)) in homes]
    ticket: Json = {
        "ref": ref,
        "title": task.title,
        "description": task.text or task.title,
        "priority": task.priority,
        "tags": task.labels,
        "criteria": task.criteria if task.parts else [],
        "depends_on": sorted({homes[key] for key in wanted} - {ref}),
    }
    made.add("tickets", ticket, task.place)
    refs = {(each.number, each.part): task_ref(each.number, each.part) for each in inside}
    for each in inside:
        needs = [refs[key] for name in each.needs if (key := _key(name)) in refs]
        item: Json = {
            "ref": refs[each.number, each.part],
            "ticket": ref,
            "title": each.title,
            "description": each.text or None,
            "priority": each.priority,
            "criteria": each.criteria,
            "depends_on": needs,
        }
        made.add("tasks", item, each.place)
