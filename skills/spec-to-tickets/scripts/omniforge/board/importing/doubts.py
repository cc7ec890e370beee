"""What of a valid spec is better looked at before work begins. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache

from omniforge.board.importing.documents import (
    Doubt,
    Known,
    Problem,
    Requirement,
    Spec,
    Task,
    Ticket,
    has_architecture,
)
from omniforge.board.vocabulary import CheckKind, Estimate

_WORD = re.compile(r"\w+")


def doubts(spec: Spec, known: Mapping[str, Known], *, has_design: bool = False) -> Iterator[Problem]:
    """`known` are refs of what the spec holds already."""
    covered = {ref for ticket in spec.tickets for ref in ticket.requirements}
    for requirement in spec.requirements:
        if len(requirement.criteria) < 2:
            yield _doubt(Doubt.FEW_CRITERIA, requirement, "one criterion; two or more show more", "criteria")
        if requirement.ref not in covered and requirement.ref not in known:
            yield _doubt(Doubt.UNCOVERED_REQUIREMENT, requirement, "no ticket names this requirement")
    homes = {task.ticket for task in spec.tasks}
    for ticket in spec.tickets:
        if ticket.ref not in homes and ticket.ref not in known:
            yield _doubt(Doubt.TICKET_WITHOUT_TASK, ticket, "this ticket has no task")
        if ticket.estimate is None:
            yield _doubt(Doubt.NO_ESTIMATE, ticket, "no estimate (S, M, L or XL)", "estimate")
    for task in spec.tasks:
        yield from _of_task(task)
    yield from _alike(spec.tickets)
    yield from _alike(spec.requirements)
    yield from _overlaps(spec.tasks)
    yield from _not_approvable(spec, known, has_design=has_design)


def _doubt(code: Doubt, item: Requirement | Ticket | Task, message: str, name: str | None = None) -> Problem:
    return Problem(code, item.ref, message, name, item.place)


def _of_task(task: Task) -> Iterator[Problem]:
    if task.estimate is None:
        yield _doubt(Doubt.NO_ESTIMATE, task, "no estimate (S, M or L)", "estimate")
    elif task.estimate is Estimate.L:
        yield _doubt(Doubt.TASK_OVER_4H, task, "more than four hours; smaller tasks fail less", "estimate")
    if not any(criterion.kind is CheckKind.COMMAND for criterion in task.criteria):
        yield _doubt(Doubt.NO_COMMAND_CHECK, task, "no command shows that this is done", "criteria")


def _alike(items: Sequence[Requirement] | Sequence[Ticket]) -> Iterator[Problem]:
    """Items that say the same in their titles, or require the same."""
    seen: dict[str, str] = {}
    for item in items:
        texts = (
            [item.title, f"{item.condition} {item.action}"] if isinstance(item, Requirement) else [item.title]
        )
        keys = [key for each in texts if (key := words_of(each))]
        other = next((seen[key] for key in keys if key in seen), None)
        if other is not None:
            yield _doubt(Doubt.POSSIBLE_DUPLICATE, item, f"this says the same as {other}", "title")
        for key in keys:
            seen.setdefault(key, item.ref)


def words_of(text: str) -> str:
    """The words of a text, without case and signs."""
    return " ".join(_WORD.findall(text.lower()))


def _not_approvable(spec: Spec, known: Mapping[str, Known], *, has_design: bool) -> Iterator[Problem]:
    missing: list[str] = []
    if not spec.requirements and not any(each.kind == "requirement" for each in known.values()):
        missing.append("it has no requirement")
    if not has_architecture(spec.design) and not (has_design and spec.design is None):
        missing.append("its design has no architecture")
    if missing:
        message = f"this spec cannot be approved: {' and '.join(missing)}; its tickets wait in the backlog"
        yield Problem(Doubt.NOT_APPROVABLE, "", message)


# --- files -------------------------------------------------------------------------------------------------


def _overlaps(tasks: Sequence[Task]) -> Iterator[Problem]:
    """Tasks of one ticket that may run at the same time and own the same files; one doubt per task."""
    after = _all_needs(tasks)
    by_ticket: defaultdict[str, list[Task]] = defaultdict(list)
    for task in tasks:
        if task.owned_files:
            by_ticket[task.ticket].append(task)
    for together in by_ticket.values():
        for place, task in enumerate(together):
            for other in together[:place]:
                if other.ref in after[task.ref] or task.ref in after[other.ref]:
                    continue
                if files := shared_files(task.owned_files, other.owned_files):
                    message = f"{files} belongs to {other.ref} as well, and neither waits for the other"
                    yield _doubt(Doubt.OVERLAPPING_FILES, task, message, "owned_files")
                    break


def _all_needs(tasks: Sequence[Task]) -> dict[str, set[str]]:
    """What every task waits for, directly or not. The graph has no cycles."""
    direct = {task.ref: list(task.depends_on) for task in tasks}
    whole: dict[str, set[str]] = {}
    for first in direct:
        stack = [first]
        while stack:
            ref = stack[-1]
            needs = direct.get(ref, [])
            if waiting := [other for other in needs if other not in whole]:
                stack += waiting
                continue
            stack.pop()
            whole[ref] = set(needs).union(*(whole[other] for other in needs))
    return whole


def shared_files(ours: Sequence[str], theirs: Sequence[str]) -> str | None:
    return next((mine for mine in ours for other in theirs if globs_meet(mine, other)), None)


@lru_cache(maxsize=65_536)
def globs_meet(one: str, other: str) -> bool:
    """Whether two patterns may mean the same file; `dir/` and `dir/**` mean all below."""
    return glob_matches(one, other) or glob_matches(other, one)


def glob_matches(pattern: str, path: str) -> bool:
    """Whether a path, or another pattern, lies within a pattern."""
    pattern = pattern.removeprefix("./")
    path = path.removeprefix("./")
    if pattern.endswith("/"):
        pattern += "**"
    return pattern == path or fnmatchcase(path, pattern) or fnmatchcase(path, pattern.replace("**/", ""))
