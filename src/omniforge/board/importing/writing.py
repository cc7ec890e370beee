"""A spec written down again, as JSON or as Markdown; reading it gives the same spec. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from omniforge.board.importing.documents import (
    FORMAT,
    Criterion,
    Deliverable,
    Item,
    Json,
    Requirement,
    Spec,
    Task,
    Ticket,
    plain,
)
from omniforge.board.importing.markdown import OWN_BLOCK, read_markdown
from omniforge.board.importing.reading import read_spec
from omniforge.board.importing.works import lines_of
from omniforge.board.vocabulary import (
    CheckKind,
    Priority,
    RequirementCategory,
    TaskType,
    TicketType,
    WorkKind,
)
from omniforge.board.workflow import phase_of_task_type

_NEXT = Ticket("TKT-999999999", "next", "next")
_FOLLOWS = f"\n\n## {_NEXT.ref}: next\n\nnext\n"
"""What comes after a part must not become one with it."""


def as_json(spec: Spec) -> Json:
    """The JSON form; fields at their default are left out."""
    head = {"title": spec.title, "description": spec.description}
    written: Json = {"format": FORMAT}
    if said := {name: value for name, value in head.items() if value is not None}:
        written["spec"] = said
    written["requirements"] = [_said(item) for item in spec.requirements]
    if spec.design is not None:
        written["design"] = spec.design
    written["tickets"] = [_said(item) for item in spec.tickets]
    written["tasks"] = [_said(item) for item in spec.tasks]
    return written


def _said(item: Item) -> Json:
    made = {name: value for name, value in plain(item).items() if value not in (None, "", [])}
    for criterion in made.get("criteria", []):
        if criterion["check"] is None:
            del criterion["check"]
    return made


def as_markdown(spec: Spec) -> str:
    """Markdown for people. Parts that its plain form cannot say are written as blocks of JSON."""
    parts = [_front(spec)]
    if spec.description:
        parts.append(_plain_or_block(["# Spec", "", spec.description], "# Spec", spec, "description"))
    if spec.design is not None:
        parts.append(_design(spec))
    if spec.requirements:
        parts += ["# Requirements", *(_item(item) for item in spec.requirements)]
    here = {ticket.ref for ticket in spec.tickets}
    if spec.tickets:
        parts.append("# Tickets")
    for ticket in spec.tickets:
        parts.append(_item(ticket))
        parts += [_item(task, level=3) for task in spec.tasks if task.ticket == ticket.ref]
    if others := [task for task in spec.tasks if task.ticket not in here]:
        parts += ["# Tasks", *(_item(task) for task in others)]
    return "\n\n".join(part.rstrip() for part in parts if part) + "\n"


def _front(spec: Spec) -> str:
    if spec.title is None:
        return ""
    return f"---\ntitle: {json.dumps(spec.title, ensure_ascii=False)}\n---"


def _plain_or_block(lines: Sequence[str], heading: str, spec: Spec, name: str) -> str:
    """The plain lines when they are read as what they say, else the part as a block."""
    text = "\n".join(lines)
    wanted = Spec(**{name: getattr(spec, name)}, tickets=(_NEXT,))
    if read_spec(read_markdown(text + _FOLLOWS)) == (wanted, []):
        return text
    value = getattr(spec, name)
    return f"{heading}\n\n{_block(value if name == 'design' else {name: value})}"


def _block(fields: Any) -> str:
    return f"```{OWN_BLOCK}\n{json.dumps(fields, indent=2, ensure_ascii=False)}\n```"


# --- the design --------------------------------------------------------------------------------------------


def _design(spec: Spec) -> str:
    design = dict(spec.design or {})
    ref = design.pop("ref", None)
    heading = f"# {ref}: Design" if ref else "# Design"
    lines = [heading]
    for title, name in (("Architecture", "architecture"), ("Data model", "data_model")):
        if name in design:
            lines += ["", f"## {title}", "", design.pop(name)]
    if "api_spec" in design:
        rows = design["api_spec"]
        if all(set(row) <= {"method", "endpoint", "description"} for row in rows):
            lines += ["", "## API", "", "| method | endpoint | description |", "|---|---|---|"]
            lines += [
                f"| {row['method']} | {row['endpoint']} | {row.get('description', '')} |" for row in rows
            ]
            del design["api_spec"]
    if "notes" in design:
        lines += ["", "## Notes", "", design.pop("notes")]
    if design:
        lines += ["", _block(design)]
    return _plain_or_block(lines, "# Design", spec, "design")


# --- items -------------------------------------------------------------------------------------------------


def _item(item: Item, level: int = 2) -> str:
    heading = f"{'#' * level} {item.ref}: {item.title}"
    lines = [heading, *_keys(item), "", *_text(item), "", *map(_criterion, item.criteria)]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() if not _has_gaps(item) else "\n".join(lines)
    if _is_read_as(text, item):
        return text
    fields = {name: value for name, value in _said(item).items() if name not in ("ref", "title")}
    return f"{heading}\n\n{_block(fields)}"


def _has_gaps(item: Item) -> bool:
    return "\n\n\n" in str(getattr(item, "description", ""))


def _is_read_as(text: str, item: Item) -> bool:
    """Whether the plain form says exactly this item and nothing else."""
    spec, problems = read_spec(read_markdown(text + _FOLLOWS))
    others = [each for each in spec.items() if each != _NEXT]
    is_whole = len(others) + 1 == len(spec.items()) and spec.title is spec.description is None
    return not problems and others == [item] and is_whole


def _keys(item: Item) -> Iterator[str]:
    match item:
        case Requirement():
            pairs: Iterable[tuple[str, Any]] = (
                ("Priority", None if item.priority is Priority.MEDIUM else item.priority),
                ("Category", None if item.category is RequirementCategory.FUNCTIONAL else item.category),
                ("Design", item.linked_design),
            )
        case Ticket():
            pairs = (
                ("Priority", None if item.priority is Priority.MEDIUM else item.priority),
                ("Estimate", item.estimate),
                ("Type", None if item.ticket_type is TicketType.COMPONENT else item.ticket_type),
                ("Requirements", _list(item.requirements)),
                ("Depends on", _list(item.depends_on)),
                ("Blocks", _list(item.blocks)),
                ("Tags", _list(item.tags)),
            )
        case Task():
            by_type = phase_of_task_type(item.task_type)
            pairs = (
                ("Ticket", item.ticket),
                ("Priority", item.priority),
                ("Estimate", item.estimate),
                ("Type", None if item.task_type is TaskType.IMPLEMENT_FEATURE else item.task_type),
                ("Phase", None if item.phase_id is by_type else item.phase_id),
                ("Depends on", _list(item.depends_on)),
                ("Blocks", _list(item.blocks)),
                ("Files", _list(item.owned_files)),
                ("Deliverables", _paths(item.deliverables)),
                ("Capabilities", _list(item.required_capabilities)),
                ("Timeout", None if item.timeout_seconds == 3600 else item.timeout_seconds),
                ("Parent", item.parent),
            )
    yield from (f"{name}: {value}" for name, value in pairs if value)
    if isinstance(item, Task) and item.work is not None and item.work["kind"] == WorkKind.SKILL:
        yield f"Skill: {item.work['name']}"
        if item.work["inputs"]:
            yield f"Inputs: {json.dumps(item.work['inputs'], ensure_ascii=False)}"


def _list(values: Iterable[str]) -> str:
    return ", ".join(values)


def _paths(deliverables: Iterable[Deliverable]) -> str:
    return ", ".join(each.path for each in deliverables)


def _text(item: Item) -> Iterator[str]:
    if not isinstance(item, Requirement):
        yield item.description or ""
        if isinstance(item, Task) and item.work is not None and item.work["kind"] == WorkKind.COMMANDS:
            yield from ("", "```sh", lines_of(item.work["commands"]), "```")
        return
    yield f"{item.condition}, {item.action}" if item.condition else item.action


def _criterion(criterion: Criterion) -> str:
    check = criterion.check or {}
    match criterion.kind:
        case CheckKind.COMMAND if set(check) == {"command"} and isinstance(check["command"], str):
            return f"- [ ] {criterion.text} `$ {check['command']}`"
        case CheckKind.APPROVAL if set(check) == {"role"}:
            return f"- [ ] {criterion.text} (approval: {check['role']})"
        case _:
            return f"- [ ] {criterion.text}"
