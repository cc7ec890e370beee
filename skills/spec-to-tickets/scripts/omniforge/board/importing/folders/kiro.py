"""Kiro: `.kiro/specs/<feature>/` with requirements.md, design.md and tasks.md. Pure.

Every acceptance criterion is an EARS sentence, so each becomes a requirement, numbered 102 for 1.2. Entries
`1.` of the plan become tickets, `1.2` their tasks; each waits for the one before it, as Kiro works them off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from omniforge.board.importing.documents import Json, Place, Source
from omniforge.board.importing.folders.notes import (
    Folder,
    Made,
    below,
    domain_of,
    name_of,
    parent_of,
    sections,
    task_ref,
    ticket_ref,
)

FILES = frozenset({"requirements.md", "design.md", "tasks.md"})
_REQUIREMENT = re.compile(r"(?i)requirement[ \t]+([0-9]{1,3})(?:[ \t]*[:.\u2013-][ \t]*(.*))?")
_SENTENCE = re.compile(r"[ \t]*(?:[0-9]{1,3}\.)?([0-9]{1,3})[.)][ \t]+(.*)")
_ENTRY = re.compile(r"([ \t]*)[-*][ \t]+\[([ xX~-])\](\*?)[ \t]+([0-9]{1,4})(?:\.([0-9]{1,4}))?\.?[ \t]+(.*)")
_REFERS = re.compile(r"[ \t]*[-*]?[ \t]*_?Requirements?:[ \t]*([0-9., \t]+)_?[ \t]*", re.IGNORECASE)
_NUMBER = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})|([0-9]{1,3})")
_STORY = re.compile(r"\*\*User Story:?\*\*:?[ \t]*(.*)", re.IGNORECASE)
_SHALL = re.compile(r"\bSHALL\b", re.IGNORECASE)
_SUBJECT = re.compile(
    r"(?i)(?:\bTHEN[ \t]+|,[ \t]*|^)(?:THE[ \t]+)?([\w-]+(?:[ \t]+[\w-]+){0,4}?)[ \t]+SHALL\b"
)


def knows(folder: Folder) -> bool:
    if any("/.kiro/specs/" in f"/{path}" for path, _ in folder):
        return True
    names = {name_of(path) for path, _ in folder}
    texts = "\n".join(text for path, text in folder if name_of(path) in FILES)
    return bool(names) and names <= FILES and re.search(r"(?m)^#{2,4} Requirement [0-9]", texts) is not None


@dataclass(slots=True)
class _Entry:
    """One line of the plan, with the notes below it."""

    number: int
    part: int
    title: str
    place: Place
    is_done: bool
    is_optional: bool
    notes: list[str] = field(default_factory=list[str])
    refers: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])


def read(folder: Folder) -> Source:
    made = Made()
    files = {name_of(path): (path, text) for path, text in folder if name_of(path) in FILES}
    known = [path for path, _ in folder if name_of(path) in FILES]
    if len(known) > len(files):
        made.leave("several specs at once: only the last was read; import each by itself", Place(known[0]))
    feature = next((name for path in known if (name := parent_of(path))), "spec")
    made.source.content["spec"] = {"title": feature.replace("-", " ").replace("_", " ").capitalize()}
    numbers: dict[tuple[int, int], str] = {}
    if "requirements.md" in files:
        numbers = _requirements(made, *files["requirements.md"], domain_of(feature))
    if "design.md" in files:
        made.source.content["design"] = _design(files["design.md"][1])
        made.source.places["design", 0] = Place(files["design.md"][0], 1)
    if "tasks.md" in files:
        _plan(made, _entries(*files["tasks.md"]), numbers)
    return made.source


# --- requirements ------------------------------------------------------------------------------------------


def _requirements(made: Made, path: str, text: str, domain: str) -> dict[tuple[int, int], str]:
    """The ref of every numbered sentence."""
    refs: dict[tuple[int, int], str] = {}
    number, title = 0, ""
    for part in sections(text):
        if part.title.lower().startswith("introduction"):
            made.source.content["spec"]["description"] = part.text
        if heading := _REQUIREMENT.fullmatch(part.title):
            number, title = int(heading[1]), (heading[2] or "").strip()
        for offset, line in enumerate(part.lines, 1):
            place = Place(path, part.line + offset)
            if story := _STORY.fullmatch(line.strip()):
                title = title or story[1].strip()
            sentence = _SENTENCE.fullmatch(line)
            if not number or sentence is None:
                continue
            key = (number, int(sentence[1]))
            if not _SHALL.search(sentence[2]):
                made.leave(f"{key[0]}.{key[1]} says nothing that SHALL be", place)
                continue
            refs[key] = f"REQ-{domain}-API-{key[0] * 100 + key[1]:03d}"
            made.add("requirements", _requirement(refs[key], key, title, sentence[2]), place)
    return refs


def _requirement(ref: str, key: tuple[int, int], title: str, sentence: str) -> Json:
    """One SHALL with its subject; further ones are written small, and said after it."""
    said = sentence.replace("**", "").strip()
    subject = _SUBJECT.search(said)
    condition, action = "", said
    if subject:
        condition = said[: subject.start()].strip(" ,")
        action = f"THE {subject[1]} SHALL{said[subject.end() :]}"
    first = _SHALL.search(action)
    if first:
        action = action[: first.end()] + _SHALL.sub("shall", action[first.end() :])
    name = f"{title} ({key[0]}.{key[1]})" if title else f"Requirement {key[0]}.{key[1]}"
    return {
        "ref": ref,
        "title": name[-500:],
        "condition": condition,
        "action": action,
        "criteria": [{"text": said}],
    }


def _design(text: str) -> Json:
    parts = sections(text)
    architecture, data = below(parts, "architecture"), below(parts, "data model")
    taken = ("architecture", "data model")
    titles = [part.title for part in parts if part.level == 2 and not part.title.lower().startswith(taken)]
    notes = "\n\n".join(f"## {title}\n\n{below(parts, title.lower())}" for title in titles)
    return {
        "architecture": architecture or below(parts, "overview") or text.strip(),
        "data_model": data,
        "api_spec": [],
        "notes": notes,
    }


# --- the plan ----------------------------------------------------------------------------------------------


def _entries(path: str, text: str) -> list[_Entry]:
    found: list[_Entry] = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if entry := _ENTRY.fullmatch(line):
            done = entry[2] in "xX"
            part = int(entry[5] or 0)
            place = Place(path, number)
            found.append(_Entry(int(entry[4]), part, entry[6].strip(), place, done, entry[3] == "*"))
        elif found and (refers := _REFERS.fullmatch(line)):
            found[-1].refers += [
                (int(each[0]), int(each[1])) if each[0] else (int(each[2]), 0)
                for each in _NUMBER.findall(refers[1])
            ]
        elif found and line.strip() and not line.startswith("#"):
            found[-1].notes.append(line.strip())
    return found


def _plan(made: Made, entries: list[_Entry], numbers: dict[tuple[int, int], str]) -> None:
    before = ""
    for head in (entry for entry in entries if entry.part == 0):
        parts = [entry for entry in entries if entry.number == head.number and entry.part]
        left = [entry for entry in parts if not entry.is_done]
        for entry in (entry for entry in (head, *parts) if entry.is_done):
            name = f"{entry.number}.{entry.part}" if entry.part else str(entry.number)
            made.leave(f"{name} is done already", entry.place)
        if head.is_done or (parts and not left):
            continue
        ref = ticket_ref(head.number)
        wanted = {ref for entry in (head, *parts) for ref in _refs(entry, numbers)}
        ticket = {
            "ref": ref,
            "title": head.title,
            "description": "\n".join(head.notes) or head.title,
            "requirements": sorted(wanted),
            "depends_on": [before] if before else [],
        }
        made.add("tickets", ticket, head.place)
        _tasks(made, ref, left or [head])
        before = ref


def _refs(entry: _Entry, numbers: dict[tuple[int, int], str]) -> list[str]:
    """Refs of what an entry names; a whole requirement means all of its sentences."""
    return [
        ref
        for (number, part), ref in numbers.items()
        if (number, part) in entry.refers or (number, 0) in entry.refers
    ]


def _tasks(made: Made, ticket: str, entries: list[_Entry]) -> None:
    before = ""
    for entry in entries:
        ref = task_ref(entry.number, entry.part)
        is_test = "test" in entry.title.lower().split()
        task: Json = {
            "ref": ref,
            "ticket": ticket,
            "title": entry.title,
            "description": "\n".join(entry.notes) or None,
            "task_type": "write_tests" if is_test else "implement_feature",
            "depends_on": [before] if before else [],
        }
        if entry.is_optional:
            task["priority"] = "LOW"
        made.add("tasks", task, entry.place)
        before = ref
