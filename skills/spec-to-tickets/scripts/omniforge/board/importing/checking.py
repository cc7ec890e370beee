"""A whole spec judged at once: refs that lead nowhere, cycles, what lacks. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

from omniforge.board.graphs import find_cycle
from omniforge.board.importing.documents import (
    Flaw,
    Item,
    Known,
    Place,
    Problem,
    Requirement,
    Source,
    Spec,
    Task,
    Ticket,
)
from omniforge.board.importing.doubts import doubts
from omniforge.board.importing.phrases import OPENS, shall_at, shalls
from omniforge.board.importing.reading import read_spec
from omniforge.board.workflow import is_open_for

KINDS: dict[type[Item], str] = {Requirement: "requirement", Ticket: "ticket", Task: "task"}


@dataclass(frozen=True, slots=True)
class Judged:
    """Nothing may be written while there are problems; warnings keep nobody."""

    spec: Spec
    problems: list[Problem]
    warnings: list[Problem]


def judge(source: Source, known: Mapping[str, Known] | None = None, *, has_design: bool = False) -> Judged:
    """Everything that is wrong with a source. `known` is what the spec holds, `has_design` whether it has a
    design already. The spec that comes back is `settled`."""
    there = known or {}
    spec, problems = read_spec(source)
    if not any(problem.code is Flaw.TOO_LARGE for problem in problems):
        spoiled = {(problem.ref, problem.field or "") for problem in problems}
        problems += [p for p in _flaws(spec, there) if (p.ref, p.field or "") not in spoiled]
    if problems:
        return Judged(spec, sorted(problems, key=_by_place), list(source.warnings))
    whole = settled(spec, there)
    warnings = [*source.warnings, *doubts(whole, there, has_design=has_design)]
    return Judged(whole, [], sorted(warnings, key=_by_place))


def _by_place(problem: Problem) -> tuple[str, int]:
    return problem.place.path or "", problem.place.line or 0


def settled(spec: Spec, known: Mapping[str, Known]) -> Spec:
    """With `blocks` turned into the `depends_on` of the others, and every task's priority said.

    Blocks of what is not in the document are left where they are.
    """
    inverse: defaultdict[str, set[str]] = defaultdict(set)
    for item in (*spec.tickets, *spec.tasks):
        for blocked in item.blocks:
            inverse[blocked].add(item.ref)
    here = {item.ref for item in spec.items()}
    priorities = {ref: each.priority for ref, each in known.items()}
    priorities |= {ticket.ref: ticket.priority for ticket in spec.tickets}

    def merged(item: Ticket | Task) -> dict[str, tuple[str, ...]]:
        needs = tuple(sorted({*item.depends_on, *inverse[item.ref]}))
        return {"depends_on": needs, "blocks": tuple(ref for ref in item.blocks if ref not in here)}

    tickets = tuple(replace(ticket, **merged(ticket)) for ticket in spec.tickets)
    tasks = tuple(
        replace(task, priority=task.priority or priorities[task.ticket], **merged(task))
        for task in spec.tasks
    )
    return replace(spec, tickets=tickets, tasks=tasks)


def _flaws(spec: Spec, known: Mapping[str, Known]) -> Iterator[Problem]:
    kinds = {ref: each.kind for ref, each in known.items()}
    kinds |= {item.ref: KINDS[type(item)] for item in spec.items()}
    yield from _repeated(spec.items())
    for requirement in spec.requirements:
        yield from _sentence(requirement)
    for ticket in spec.tickets:
        yield from _links(ticket, "requirements", ticket.requirements, "requirement", kinds)
        yield from _links(ticket, "depends_on", ticket.depends_on, "ticket", kinds)
        yield from _links(ticket, "blocks", ticket.blocks, "ticket", kinds)
    statuses = {ref: each.status for ref, each in known.items() if each.status is not None}
    for task in spec.tasks:
        yield from _links(task, "depends_on", task.depends_on, "task", kinds)
        yield from _links(task, "blocks", task.blocks, "task", kinds)
        yield from _links(task, "parent", (task.parent,) if task.parent else (), "task", kinds)
        yield from _home(task, kinds)
        status = statuses.get(task.ticket)
        if status is not None and task.ref not in known and not is_open_for(status, task.phase_id):
            message = f"{task.ticket} is {status} and has passed {task.phase_id}"
            yield Problem(Flaw.PHASE_CLOSED, task.ref, message, "phase_id", task.place)
    yield from _cycle(spec, known)


def _repeated(items: Iterable[Item]) -> Iterator[Problem]:
    seen: dict[str, Place] = {}
    for item in items:
        if item.ref in seen:
            first = seen[item.ref]
            where = f"{first.path or ''} line {first.line}".strip() if first.line else "above"
            yield Problem(
                Flaw.DUPLICATE_REF, item.ref, f"this ref is used already ({where})", "ref", item.place
            )
        else:
            seen[item.ref] = item.place


def _sentence(requirement: Requirement) -> Iterator[Problem]:
    ref, place = requirement.ref, requirement.place
    if requirement.condition and not OPENS.match(requirement.condition):
        message = "a condition begins with WHEN, WHILE, WHERE or IF"
        yield Problem(Flaw.BAD_VALUE, ref, message, "condition", place)
    count = shalls(requirement.action)
    if shall_at(requirement.action) is None:
        message = "the action says what has to be: THE SYSTEM SHALL …"
        yield Problem(Flaw.NO_ACTION, ref, message, "action", place)
    elif count > 1:
        message = f"one SHALL per requirement, not {count}; make each of them a requirement of its own"
        yield Problem(Flaw.BAD_VALUE, ref, message, "action", place)
    if not requirement.criteria:
        message = "criteria is missing: say how it can be seen that this is so"
        yield Problem(Flaw.NO_CRITERIA, ref, message, "criteria", place)


def _links(
    item: Item, name: str, refs: tuple[str, ...], wanted: str, kinds: Mapping[str, str]
) -> Iterator[Problem]:
    for ref in refs:
        kind = kinds.get(ref)
        if kind != wanted:
            message = f"{ref} is a {kind}, no {wanted}" if kind else f"there is no {wanted} {ref}"
            yield Problem(Flaw.DANGLING_REF, item.ref, message, name, item.place)


def _home(task: Task, kinds: Mapping[str, str]) -> Iterator[Problem]:
    if kinds.get(task.ticket) != "ticket":
        message = f"there is no ticket {task.ticket}" if task.ticket else "ticket is missing"
        yield Problem(Flaw.MISSING_PARENT, task.ref, message, "ticket", task.place)


# --- cycles ------------------------------------------------------------------------------------------------


def _cycle(spec: Spec, known: Mapping[str, Known]) -> Iterator[Problem]:
    """One graph over tickets and tasks: what a ticket waits for has to end before its tasks begin."""
    needs = _graph(spec, known)
    found = find_cycle(sorted(needs), lambda node: sorted(needs.get(node, ())))
    if found is not None:
        names = [name for name, _ in groupby(node.removesuffix(_END) for node in found)]
        names = _from_the_first(names)
        item = next((item for item in spec.items() if item.ref in names), None)
        place = item.place if item else Place()
        message = f"these wait for each other: {' → '.join(names)}"
        ref = item.ref if item else names[0]
        yield Problem(Flaw.CYCLE, ref, message, "depends_on", place, tuple(names))
    parents = {task.ref: (task.parent,) for task in spec.tasks if task.parent}
    if found is None and (ring := find_cycle(sorted(parents), lambda node: parents.get(node, ()))):
        place = next(task.place for task in spec.tasks if task.ref in ring)
        message = f"these are part of each other: {' → '.join(ring)}"
        yield Problem(Flaw.CYCLE, ring[0], message, "parent", place, tuple(ring))


_END = " end"


def _from_the_first(names: list[str]) -> list[str]:
    """The same way round, begun at its smallest ref."""
    ring = names[:-1] if len(names) > 1 and names[0] == names[-1] else names
    first = ring.index(min(ring))
    return [*ring[first:], *ring[: first + 1]]


def _graph(spec: Spec, known: Mapping[str, Known]) -> dict[str, set[str]]:
    """Node → what has to be before it. A ticket is two nodes: its start, and its end after all its tasks."""
    needs: defaultdict[str, set[str]] = defaultdict(set)

    def link(kind: str, ref: str, waits_for: Iterable[str], ticket: str = "") -> None:
        end = _END if kind == "ticket" else ""
        needs[ref].update(other + end for other in waits_for)
        if kind == "ticket":
            needs[ref + _END].add(ref)
        elif ticket:
            needs[ref].add(ticket)
            needs[ticket + _END].add(ref)

    here = {item.ref for item in spec.items()}
    for ref, each in known.items():
        if each.kind != "requirement" and ref not in here:
            link(each.kind, ref, each.needs, each.ticket)
    for ticket in spec.tickets:
        link("ticket", ticket.ref, ticket.depends_on)
        for blocked in ticket.blocks:
            link("ticket", blocked, (ticket.ref,))
    for task in spec.tasks:
        link("task", task.ref, task.depends_on, task.ticket)
        for blocked in task.blocks:
            needs[blocked].add(task.ref)
    return needs


def counted(problems: Iterable[Problem]) -> dict[str, int]:
    """How often each code occurs."""
    return dict(Counter(problem.code.value for problem in problems))
