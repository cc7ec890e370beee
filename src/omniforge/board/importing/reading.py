"""The JSON form of a spec read into documents: every field checked, every mistake named. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar, cast

from omniforge.board.importing import documents as d
from omniforge.board.importing.definitions import read_criterion
from omniforge.board.importing.designs import read_design
from omniforge.board.importing.documents import Flaw, Json, Place, Problem, Source
from omniforge.board.importing.values import Wrong, one_line, refs, strings, text
from omniforge.board.importing.works import read_work
from omniforge.board.vocabulary import (
    Estimate,
    PhaseId,
    Priority,
    RequirementCategory,
    TaskType,
    TicketType,
)
from omniforge.board.workflow import TASK_PHASES, phase_of_task_type

Read = Callable[[Any], Any]
Word = TypeVar("Word", bound=StrEnum)
Made = TypeVar("Made")


@dataclass(slots=True)
class Reading:
    """One reading of one source; problems gather in it."""

    source: Source
    problems: list[Problem] = field(default_factory=list[Problem])

    def item(self, kind: str, index: int, given: Any) -> tuple[Json, str, Place]:
        """The fields of one item that could be read, its ref, and its place."""
        place = self.source.places.get((kind, index), Place())
        if not isinstance(given, dict):
            self.problems.append(Problem(Flaw.BAD_VALUE, "", "this is no object with fields", kind, place))
            return {}, "", place
        values = cast("Json", given)
        ref = _shown_ref(values.get("ref"))
        form = FORMS[kind]
        made: Json = {}
        for name, value in values.items():
            wrong = self._field(form, made, name, value)
            if wrong is not None:
                line = self.source.lines.get((kind, index, name), place.line)
                where = Place(place.path, line)
                self.problems.append(Problem(wrong.code, ref, str(wrong), wrong.field or name, where))
        for name in REQUIRED[kind]:
            if values.get(name) in (None, "", []):
                code = MISSING.get(name, Flaw.MISSING_FIELD)
                self.problems.append(Problem(code, ref, f"{name} is missing", name, place))
        return made, ref, place

    @staticmethod
    def _field(form: Mapping[str, Read], made: Json, name: str, value: Any) -> Wrong | None:
        read = form.get(name)
        if read is None:
            return Wrong(f"there is no such field; known are {', '.join(sorted(form))}")
        if value is None:
            return None
        try:
            made[name] = read(value)
        except Wrong as wrong:
            return wrong
        return None


def read_spec(source: Source) -> tuple[d.Spec, list[Problem]]:
    """The documents, and every mistake of their fields. Items that lack what makes them are left out."""
    reading, content = Reading(source, list(source.problems)), source.content
    too_many = list(_too_many(content))
    if too_many:
        return d.Spec(), too_many
    for name in content.keys() - {"format", "spec", "design", "options", *d.MAX_ITEMS}:
        reading.problems.append(Problem(Flaw.BAD_VALUE, "", "there is no such field", name[:100]))
    if content.get("format", d.FORMAT) != d.FORMAT:
        reading.problems.append(Problem(Flaw.BAD_VALUE, "", f"the format is {d.FORMAT}", "format"))
    head = _head(reading, content.get("spec"))
    spec = d.Spec(
        title=head.get("title"),
        description=head.get("description"),
        requirements=tuple(_items(reading, "requirements", _requirement)),
        design=_design(reading, content.get("design")),
        tickets=tuple(_items(reading, "tickets", _ticket)),
        tasks=tuple(_items(reading, "tasks", _task)),
    )
    return spec, reading.problems


def _too_many(content: Json) -> Iterable[Problem]:
    for kind, most in d.MAX_ITEMS.items():
        given = content.get(kind)
        if isinstance(given, list) and (count := len(cast("list[Any]", given))) > most:
            yield Problem(Flaw.TOO_LARGE, "", f"{count} {kind}: at most {most} in one spec", kind)


def _head(reading: Reading, given: Any) -> Json:
    if given is None:
        return {}
    made, _, _ = reading.item("spec", 0, given)
    return made


def _design(reading: Reading, given: Any) -> Json | None:
    if given is None:
        return None
    place = reading.source.places.get(("design", 0), Place())
    design, wrongs = read_design(given)
    for wrong in wrongs:
        line = reading.source.lines.get(("design", 0, wrong.field), place.line)
        where = Place(place.path, line)
        reading.problems.append(Problem(wrong.code, "", str(wrong), f"design.{wrong.field}", where))
    return design


def _items(reading: Reading, kind: str, make: Callable[[Json, Place], Made]) -> Iterable[Made]:
    given = reading.source.content.get(kind, [])
    if not isinstance(given, list):
        reading.problems.append(Problem(Flaw.BAD_VALUE, "", f"{kind} is a list", kind))
        return
    for index, each in enumerate(cast("list[Any]", given)):
        made, ref, place = reading.item(kind, index, each)
        if ref:
            yield make({"ref": ref, **made}, place)


def _requirement(made: Json, place: Place) -> d.Requirement:
    fields: Any = {"title": "", "action": "", **made}
    return d.Requirement(**fields, place=place)


def _ticket(made: Json, place: Place) -> d.Ticket:
    sections = [(name, said) for name in SECTIONS if (said := made.pop(name, None))]
    description = "\n\n".join([made.pop("description", ""), *(_section(*each) for each in sections)])
    fields: Any = {"title": "", **made}
    return d.Ticket(**fields, description=description.strip(), place=place)


def _section(name: str, said: str | tuple[str, ...]) -> str:
    body = said if isinstance(said, str) else "\n".join(f"- {each}" for each in said)
    return f"{SECTIONS[name]}\n\n{body}"


def _task(made: Json, place: Place) -> d.Task:
    by_type = phase_of_task_type(made.get("task_type", TaskType.IMPLEMENT_FEATURE))
    fields: Any = {"title": "", "ticket": "", "phase_id": by_type, **made}
    return d.Task(**fields, place=place)


SECTIONS = {
    "approach": "**Approach**",
    "key_files": "**Key files**",
    "testing": "**Testing**",
    "rollback": "**Rollback**",
}
"""Parts of a ticket that become sections of its description, where everybody reads them."""


# --- fields ------------------------------------------------------------------------------------------------


def _shown_ref(value: Any) -> str:
    return value.strip()[:64] if isinstance(value, str) else ""


def _ref(pattern: re.Pattern[str], example: str, value: Any) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value.strip()):
        raise Wrong(f"a ref is written like {example}", code=Flaw.BAD_REF)
    return value.strip()


def _word(kind: type[Word], value: Any, *, allowed: Iterable[Word] | None = None) -> Word:
    """One of the words, in any case."""
    words = {word.value.lower(): word for word in (allowed or kind)}
    found = words.get(value.strip().lower()) if isinstance(value, str) else None
    if found is None:
        raise Wrong(f"one of {', '.join(word.value for word in words.values())}")
    return found


def read_phase(value: Any) -> PhaseId:
    """A phase of tasks, by its id or its name."""
    spelled = f"PHASE_{value.strip()}" if isinstance(value, str) and "_" not in value else value
    try:
        return _word(PhaseId, spelled, allowed=TASK_PHASES)
    except Wrong:
        names = ", ".join(phase.removeprefix("PHASE_").capitalize() for phase in TASK_PHASES)
        raise Wrong(f"one of {', '.join(TASK_PHASES)}, or {names}") from None


def _seconds(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 60 <= value <= 86_400:
        raise Wrong("a whole number of seconds from 60 to 86400")
    return value


def _criteria(value: Any) -> tuple[d.Criterion, ...]:
    if not isinstance(value, list):
        raise Wrong("a list of criteria")
    given = cast("list[Any]", value)
    if len(given) > 200:
        raise Wrong("at most 200 criteria")
    made: list[d.Criterion] = []
    for index, each in enumerate(given):
        try:
            made.append(read_criterion(each))
        except Wrong as wrong:
            inner = f".{wrong.field}" if wrong.field else ""
            raise Wrong(str(wrong), field=f"criteria[{index}]{inner}", code=wrong.code) from None
    return tuple(made)


def _deliverables(value: Any) -> tuple[d.Deliverable, ...]:
    if not isinstance(value, list):
        raise Wrong("a list of {path, content}")
    made: list[d.Deliverable] = []
    for each in cast("list[Any]", value)[:201]:
        given = cast("Json", each) if isinstance(each, dict) else {"path": each}
        if given.keys() - {"path", "content"}:
            raise Wrong("a deliverable has path and content")
        content = given.get("content") or ""
        made.append(d.Deliverable(one_line(given.get("path"), 1000), text(content, 5_000)))
    if len(made) > 200:
        raise Wrong("at most 200 deliverables")
    return tuple(made)


def _work(value: Any) -> Json:
    try:
        return read_work(value)
    except Wrong as wrong:
        raise Wrong(str(wrong), field=f"work.{wrong.field}" if wrong.field else "work") from None


_title = partial(one_line, longest=d.MAX_TITLE)
_long = partial(text, longest=d.MAX_TEXT)
_sentence = partial(text, longest=d.MAX_SENTENCE)
_SHARED: dict[str, Read] = {
    "title": _title,
    "priority": partial(_word, Priority),
    "criteria": _criteria,
}
FORMS: dict[str, dict[str, Read]] = {
    "spec": {"title": _title, "description": _long},
    "requirements": _SHARED
    | {
        "ref": partial(_ref, d.REQUIREMENT_REF, "REQ-AUTH-API-001"),
        "condition": _sentence,
        "action": _sentence,
        "category": partial(_word, RequirementCategory),
        "linked_design": partial(one_line, longest=100),
    },
    "tickets": _SHARED
    | {
        "ref": partial(_ref, d.TICKET_REF, "TKT-001"),
        "description": _long,
        "estimate": partial(_word, Estimate),
        "ticket_type": partial(_word, TicketType),
        "requirements": refs,
        "depends_on": refs,
        "blocks": refs,
        "tags": partial(strings, longest=64, most=50),
        "approach": _long,
        "key_files": partial(strings, longest=1000, most=200),
        "testing": _long,
        "rollback": _long,
    },
    "tasks": _SHARED
    | {
        "ref": partial(_ref, d.TASK_REF, "TSK-001"),
        "ticket": partial(one_line, longest=64),
        "description": _long,
        "estimate": partial(_word, Estimate, allowed=(Estimate.S, Estimate.M, Estimate.L)),
        "phase_id": read_phase,
        "task_type": partial(_word, TaskType),
        "depends_on": refs,
        "blocks": refs,
        "deliverables": _deliverables,
        "owned_files": partial(strings, longest=1000, most=200),
        "required_capabilities": partial(strings, longest=64, most=50),
        "timeout_seconds": _seconds,
        "parent": partial(one_line, longest=64),
        "work": _work,
    },
}
REQUIRED = {
    "spec": (),
    "requirements": ("ref", "title", "action", "criteria"),
    "tickets": ("ref", "title", "description"),
    "tasks": ("ref", "ticket", "title"),
}
MISSING = {
    "action": Flaw.NO_ACTION,
    "criteria": Flaw.NO_CRITERIA,
    "ticket": Flaw.MISSING_PARENT,
}
"""What has a name of its own when it is missing."""
