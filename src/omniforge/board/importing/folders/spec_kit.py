"""spec-kit: `specs/<number-feature>/` with spec.md, plan.md, tasks.md and data-model.md. Pure.

FR lines become requirements, user stories tickets with their scenarios as criteria, T lines tasks. Tasks of
no story belong to a ticket of their phase. Setup and foundation come before the stories, polish after them;
tasks marked [P] may be worked on at the same time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from omniforge.board.importing.documents import Json, Place, Source
from omniforge.board.importing.folders.notes import (
    Folder,
    Made,
    Section,
    below,
    domain_of,
    name_of,
    parent_of,
    paths_in,
    sections,
    ticket_ref,
)

_TITLE = re.compile(r"(?i)feature specification:[ \t]*(.*)")
_RULE = re.compile(r"[ \t]*[-*][ \t]+\**FR-([0-9]{1,4})\**:?\**[ \t]*(.*)")
_MUST = re.compile(
    r"(?i)\b(?:the[ \t]+)?([\w-]+(?:[ \t]+[\w-]+){0,4}?)[ \t]+(?:MUST|SHALL|SHOULD)\b(?:[ \t]+be able to)?"
)
_STORY = re.compile(r"(?i)user story[ \t]+([0-9]{1,3})[ \t]*[-\u2013:][ \t]*(.*)")
_PRIORITY = re.compile(r"(?i)[ \t]*\(priority:[ \t]*P([1-9])\).*")
_SCENARIO = re.compile(r"[ \t]*[0-9]{1,3}\.[ \t]+(\**Given.*)")
_TASK = re.compile(r"[ \t]*[-*][ \t]+\[([ xX])\][ \t]+(T[0-9]{1,5})[ \t]+((?:\[[^\]]{1,20}\][ \t]*)*)(.*)")
_PHASE = re.compile(r"(?i)phase[ \t]+[0-9.]{1,6}[ \t]*:[ \t]*(.*)")
PRIORITIES = {"1": "HIGH", "2": "MEDIUM", "3": "LOW"}
FIRST, LAST = 900, 950
"""Numbers of tickets that are no story begin here: those before the stories, and those after."""


def knows(folder: Folder) -> bool:
    texts = {name_of(path): text for path, text in folder}
    is_spec = bool(re.search(r"(?m)^#[ \t]+Feature Specification|\bFR-[0-9]{3}", texts.get("spec.md", "")))
    is_plan = bool(re.search(r"(?m)^[ \t]*- \[[ xX]\] T[0-9]{3}\b", texts.get("tasks.md", "")))
    return is_spec or ("plan.md" in texts and is_plan)


@dataclass(slots=True)
class _Ticket:
    ref: str
    title: str
    description: str
    place: Place
    priority: str = "MEDIUM"
    criteria: list[Json] = field(default_factory=list[Json])
    barrier: list[str] = field(default_factory=list[str])
    """Refs of the tasks that the next one waits for."""
    together: list[str] = field(default_factory=list[str])
    """Refs of the tasks since then that may be worked on at the same time."""
    tasks: int = 0


def read(folder: Folder) -> Source:
    made = Made()
    files = {name_of(path): (path, text) for path, text in folder}
    tickets: dict[str, _Ticket] = {}
    title = next((parent_of(path) for path, _ in folder if parent_of(path)), "spec")
    if "spec.md" in files:
        path, text = files["spec.md"]
        parts = sections(text)
        named = next((found[1] for part in parts if (found := _TITLE.fullmatch(part.title))), "")
        title = named.strip() or title
        _requirements(made, path, parts, domain_of(title))
        tickets |= _stories(path, parts)
    made.source.content["spec"] = {"title": title}
    if "plan.md" in files:
        data = files.get("data-model.md", ("", ""))[1]
        made.source.content["design"] = _design(files["plan.md"][1], data)
        made.source.places["design", 0] = Place(files["plan.md"][0], 1)
    if "tasks.md" in files:
        _plan(made, *files["tasks.md"], tickets)
    _add_tickets(made, tickets)
    return made.source


def _requirements(made: Made, path: str, parts: list[Section], domain: str) -> None:
    for part in parts:
        for offset, line in enumerate(part.lines, 1):
            rule = _RULE.fullmatch(line)
            if rule is None:
                continue
            place, said = Place(path, part.line + offset), rule[2].strip()
            must = _MUST.search(said)
            if must is None or "NEEDS CLARIFICATION" in said:
                made.leave(f"FR-{rule[1]} does not say yet what has to be", place)
                continue
            action = f"THE {must[1]} SHALL {said[must.end() :].strip()}"
            ref = f"REQ-{domain}-API-{int(rule[1]):03d}"
            item = {"ref": ref, "title": said[:200], "action": action, "criteria": [{"text": said}]}
            made.add("requirements", item, place)


def _stories(path: str, parts: list[Section]) -> dict[str, _Ticket]:
    found: dict[str, _Ticket] = {}
    for part in parts:
        story = _STORY.fullmatch(part.title)
        if story is None:
            continue
        priority = _PRIORITY.search(story[2])
        title = _PRIORITY.sub("", story[2]).strip()
        ticket = _Ticket(ticket_ref(int(story[1])), title, part.text or title, Place(path, part.line))
        ticket.priority = PRIORITIES.get(priority[1], "LOW") if priority else "MEDIUM"
        scenarios = [scenario[1] for line in part.lines if (scenario := _SCENARIO.fullmatch(line))]
        ticket.criteria = [{"text": said.replace("**", "").strip()} for said in scenarios]
        found[f"US{int(story[1])}"] = ticket
    return found


def _design(plan: str, data: str) -> Json:
    parts = sections(plan)
    names = ("summary", "technical context", "project structure")
    said = [f"## {name.capitalize()}\n\n{text}" for name in names if (text := below(parts, name))]
    return {"architecture": "\n\n".join(said) or plan.strip(), "data_model": data.strip(), "api_spec": []}


# --- tasks -------------------------------------------------------------------------------------------------


def _plan(made: Made, path: str, text: str, tickets: dict[str, _Ticket]) -> None:
    seen_story = False
    for part in sections(text):
        phase = _PHASE.fullmatch(part.title)
        title = (phase[1] if phase else part.title).strip()
        for offset, line in enumerate(part.lines, 1):
            task = _TASK.fullmatch(line)
            if task is None:
                continue
            place = Place(path, part.line + offset)
            marks = re.findall(r"\[([^\]]+)\]", task[3])
            story = next((mark.upper() for mark in marks if re.fullmatch(r"(?i)US[0-9]+", mark)), None)
            seen_story |= story is not None
            key = story if story in tickets else title
            if key not in tickets:
                others = sum(int(each.ref[4:]) >= FIRST for each in tickets.values())
                number = (LAST if seen_story else FIRST) + others + 1
                tickets[key] = _Ticket(ticket_ref(number), title or "Tasks", part.text[:2_000], place)
            if task[1] in "xX":
                made.leave(f"{task[2]} is done already", place)
            else:
                _add_task(made, tickets[key], task[2], task[4].strip(), place, together="P" in marks)


def _add_task(made: Made, ticket: _Ticket, name: str, title: str, place: Place, *, together: bool) -> None:
    ref = f"TSK-{int(name[1:]):03d}"
    if not together:
        ticket.barrier, ticket.together = ticket.together or ticket.barrier, []
    item: Json = {
        "ref": ref,
        "ticket": ticket.ref,
        "title": title,
        "task_type": "write_tests" if re.search(r"(?i)\btests?\b", title) else "implement_feature",
        "owned_files": paths_in(title),
        "depends_on": list(ticket.barrier),
    }
    made.add("tasks", item, place)
    ticket.tasks += 1
    if together:
        ticket.together.append(ref)
    else:
        ticket.barrier = [ref]


def _add_tickets(made: Made, tickets: dict[str, _Ticket]) -> None:
    """Those of stories, and those of phases that hold work."""
    kept = [each for each in tickets.values() if each.tasks or int(each.ref[4:]) < FIRST]
    first = [each.ref for each in kept if FIRST <= int(each.ref[4:]) < LAST]
    stories = [each.ref for each in kept if int(each.ref[4:]) < FIRST]
    for ticket in kept:
        number = int(ticket.ref[4:])
        if number < FIRST:
            needs = first[-1:]
        elif number < LAST:
            needs = first[: first.index(ticket.ref)][-1:]
        else:
            needs = stories or first[-1:]
        item = {
            "ref": ticket.ref,
            "title": ticket.title,
            "description": ticket.description or ticket.title,
            "priority": ticket.priority,
            "criteria": ticket.criteria,
            "depends_on": needs,
        }
        made.add("tickets", item, ticket.place)
