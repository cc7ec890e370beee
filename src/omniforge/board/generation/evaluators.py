"""Whether the output of a phase will do: yes, or the reasons why not, told to the next attempt. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from omniforge.board.generation.outputs import document_of
from omniforge.board.generation.phases import FEWEST_QUESTIONS, MOST_QUESTIONS
from omniforge.board.importing.checking import judge
from omniforge.board.importing.documents import (
    REQUIREMENT_REF,
    Json,
    Known,
    Source,
    Spec,
    Task,
    has_architecture,
)
from omniforge.board.importing.doubts import shared_files, words_of
from omniforge.board.vocabulary import CheckKind, Estimate, SpecPhase

FEWEST_STORIES, MOST_STORIES = 3, 5
FEWEST_CRITERIA = 2
HOURS = {Estimate.S: 4, Estimate.M: 16, Estimate.L: 40}
"""The most that a ticket of this size takes. XL is split."""
_KEBAB = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_REF = re.compile(rf"(?<![A-Z0-9-]){REQUIREMENT_REF.pattern}(?![A-Z0-9-])")
Reasons = Iterator[str]


@dataclass(frozen=True, slots=True)
class Facts:
    """What an output is held against. `paths`: every file of the repository; `earlier`: outputs of the phases
    before; `known`: what people put into the spec; `gone`: refs that are used up;
    `has_tests`: the project says how its tests are run; `asked`: what people were asked first."""

    paths: frozenset[str] = frozenset()
    earlier: Mapping[SpecPhase, Json] = field(default_factory=dict[SpecPhase, Json])
    known: Mapping[str, Known] = field(default_factory=dict[str, Known])
    gone: frozenset[str] = frozenset()
    has_tests: bool = False
    asked: Sequence[Json] = ()


def evaluate(phase: SpecPhase, output: Json, facts: Facts) -> list[str]:
    """The reasons why an output does not pass, each once; none when it passes."""
    return list(dict.fromkeys(_RULES[phase](output, facts)))


def evaluate_questions(questions: Sequence[str]) -> list[str]:
    """Whether these may be asked before anything else."""
    count = len({words_of(question) for question in questions})
    if FEWEST_QUESTIONS <= count <= MOST_QUESTIONS:
        return []
    return [f"ask {FEWEST_QUESTIONS} to {MOST_QUESTIONS} different questions, not {count}"]


# --- understand, research ----------------------------------------------------------------------------------


def _understand(output: Json, facts: Facts) -> Reasons:
    if not _KEBAB.fullmatch(output["name"]):
        yield f"name: {output['name']!r} is not in kebab-case, such as order-search"
    count = len({words_of(story) for story in output["stories"]})
    if not FEWEST_STORIES <= count <= MOST_STORIES:
        yield f"stories: {FEWEST_STORIES} to {MOST_STORIES} different ones, not {count}"
    for name in ("in_scope", "out_of_scope"):
        if not output[name]:
            yield f"{name}: say at least one thing"
    for each in output["questions"]:
        if not _said(each, "answer") and not _said(each, "assumption"):
            yield f"questions: neither answered nor assumed: {each['question']}"
    there = {words_of(each["question"]): each for each in output["questions"]}
    for asked in facts.asked:
        found = there.get(words_of(asked["question"]))
        if found is None:
            yield f"questions: this was asked and is missing: {asked['question']}"
        elif _said(asked, "answer") and not _said(found, "answer"):
            yield f"questions: this was answered, keep the answer: {asked['question']}"


def _said(of: Mapping[str, Any], name: str) -> bool:
    return bool(str(of.get(name) or "").strip())


def _research(output: Json, facts: Facts) -> Reasons:
    for finding in output["findings"]:
        if not _said(finding, "source"):
            yield f"findings: {finding['topic']}: give its source"
    for reuse in output["reuse"]:
        if not _exists(reuse["path"], facts.paths):
            yield f"reuse: the repository has no {reuse['path']}"
    if _said(output, "reason"):
        return
    if not output["findings"]:
        yield "findings: empty; say in reason why nothing had to be found out"
    if not output["reuse"] and facts.paths:
        yield "reuse: empty; say in reason why nothing of the repository can be used"


def _exists(path: str, paths: frozenset[str]) -> bool:
    """Whether it is a file of the repository, or a folder with files."""
    plain = path.strip().removeprefix("./").rstrip("/")
    return plain in paths or any(one.startswith(f"{plain}/") for one in paths)


# --- requirements, design ----------------------------------------------------------------------------------


def _read(phase: SpecPhase, output: Json, facts: Facts) -> tuple[Spec, list[str]]:
    """The output and those before it as one document, and what an import would refuse of it."""
    content = document_of({**facts.earlier, phase: output})
    judged = judge(Source(content), facts.known, has_design="design" in content)
    flaws = [
        ": ".join(part for part in (problem.ref, problem.field, problem.message) if part)
        for problem in judged.problems
    ]
    return judged.spec, flaws


def _requirements(output: Json, facts: Facts) -> Reasons:
    spec, flaws = _read(SpecPhase.REQUIREMENTS, output, facts)
    yield from flaws
    yield from _used_up(spec.requirements, facts)
    if not spec.requirements:
        yield "requirements: there is none"
    for requirement in spec.requirements:
        if len(requirement.criteria) < FEWEST_CRITERIA:
            yield f"{requirement.ref}: {FEWEST_CRITERIA} criteria or more, not {len(requirement.criteria)}"
    stories: list[str] = facts.earlier[SpecPhase.UNDERSTAND]["stories"]
    covered = {number for item in output["requirements"] for number in item.get("stories", [])}
    for number, story in enumerate(stories, start=1):
        if number not in covered:
            yield f"story {number} is covered by no requirement: {story}"
    for number in sorted(covered - set(range(1, len(stories) + 1))):
        yield f"stories: there is no story {number}"
    seen: dict[str, str] = {}
    for requirement in spec.requirements:
        other = seen.setdefault(words_of(requirement.action), requirement.ref)
        if other != requirement.ref:
            yield f"{requirement.ref}: its action is that of {other}"


def _design(output: Json, facts: Facts) -> Reasons:
    spec, flaws = _read(SpecPhase.DESIGN, output, facts)
    yield from flaws
    if not has_architecture(output):
        yield "architecture: describe it"
    if not output["components"]:
        yield "components: there is none"
    names = Counter(words_of(component["name"]) for component in output["components"])
    yield from (f"components: {name} is there {count} times" for name, count in names.items() if count > 1)
    rows = json.dumps([output["components"], output["api_spec"]], ensure_ascii=False)
    named = set(_REF.findall(rows))
    wanted = {requirement.ref for requirement in spec.requirements}
    for ref in sorted(wanted - named):
        yield f"{ref}: no component and no row of api_spec names it"
    for ref in sorted(named - wanted):
        yield f"{ref}: the design names it, and there is no such requirement"
    rows_of_api = Counter((row["method"].upper(), row["endpoint"].strip()) for row in output["api_spec"])
    for (method, endpoint), count in rows_of_api.items():
        if count > 1:
            yield f"api_spec: {method} {endpoint} is there {count} times"
    for model in output.get("data_models", []):
        for one in model.get("fields", []):
            if not _said(one, "type"):
                yield f"data_models: {model['name']}.{one['name']} has no type"
    if not output["errors"]:
        yield "errors: list what can go wrong, and what happens then"


# --- tickets, tasks ----------------------------------------------------------------------------------------


def _tickets(output: Json, facts: Facts) -> Reasons:
    spec, flaws = _read(SpecPhase.TICKETS, output, facts)
    yield from flaws
    yield from _used_up(spec.tickets, facts)
    components = {
        words_of(each["name"]): each["name"] for each in facts.earlier[SpecPhase.DESIGN]["components"]
    }
    of_component: defaultdict[str, list[Json]] = defaultdict(list)
    for ticket in output["tickets"]:
        key = words_of(ticket["component"])
        of_component[key].append(ticket)
        if key not in components:
            yield f"{ticket['ref']}: the design has no component {ticket['component']}"
        if ticket["estimate"] not in HOURS:
            yield f"{ticket['ref']}: {ticket['estimate']} is too large for one ticket; split it"
    for key, name in components.items():
        tickets = of_component.get(key, [])
        if not tickets:
            yield f"component {name} has no ticket"
        elif len(tickets) > 1 and _fits_in_one(tickets):
            refs = ", ".join(ticket["ref"] for ticket in tickets)
            yield f"component {name} has several tickets that are small enough for one: {refs}"
    covered = {ref for ticket in spec.tickets for ref in ticket.requirements}
    for requirement in spec.requirements:
        if requirement.ref not in covered:
            yield f"{requirement.ref}: no ticket names it"


def _fits_in_one(tickets: Iterable[Json]) -> bool:
    hours = [HOURS.get(ticket["estimate"]) for ticket in tickets]
    return all(hours) and sum(each or 0 for each in hours) <= HOURS[Estimate.L]


def _tasks(output: Json, facts: Facts) -> Reasons:
    spec, flaws = _read(SpecPhase.TASKS, output, facts)
    yield from flaws
    yield from _used_up(spec.tasks, facts)
    homes = {task.ticket for task in spec.tasks}
    for ticket in spec.tickets:
        if ticket.ref not in homes:
            yield f"{ticket.ref}: it has no task"
    for task in spec.tasks:
        if task.estimate not in (Estimate.S, Estimate.M):
            yield f"{task.ref}: its estimate is S or M; split what is larger"
        if not task.deliverables:
            yield f"{task.ref}: deliverables: say which files come of it"
        kinds = {criterion.kind for criterion in task.criteria}
        if not kinds:
            yield f"{task.ref}: criteria: say how it can be seen that it is done"
        elif facts.has_tests and CheckKind.COMMAND not in kinds:
            yield f"{task.ref}: criteria: one of them of kind command, which shows that it is done"
    yield from _shared(spec)


def _used_up(items: Iterable[Any], facts: Facts) -> Reasons:
    for item in items:
        if item.ref in facts.gone:
            yield f"{item.ref}: this number belonged to something that is gone; take a higher one"
        elif item.ref in facts.known:
            yield f"{item.ref}: this is there already and is kept as it is; take a higher number"


def _shared(spec: Spec) -> Reasons:
    """Tasks that may be worked on at the same time and own the same files."""
    needs = _waits_for(spec)
    owners = [task for task in spec.tasks if task.owned_files]
    for place, task in enumerate(owners):
        for other in owners[:place]:
            if other.ref in needs[task.ref] or task.ref in needs[other.ref]:
                continue
            if files := shared_files(task.owned_files, other.owned_files):
                yield f"{task.ref}: {files} belongs to {other.ref} too, and neither waits for the other"


def _waits_for(spec: Spec) -> dict[str, set[str]]:
    """Everything each task waits for, directly or not, by itself or by its ticket."""
    of_ticket: defaultdict[str, list[Task]] = defaultdict(list)
    for task in spec.tasks:
        of_ticket[task.ticket].append(task)
    before: defaultdict[str, set[str]] = defaultdict(set)
    for item in (*spec.tickets, *spec.tasks):
        before[item.ref].update(item.depends_on)
        for blocked in item.blocks:
            before[blocked].add(item.ref)
    direct = {
        task.ref: before[task.ref].union(
            *({each.ref for each in of_ticket[ticket]} for ticket in before[task.ticket])
        )
        for task in spec.tasks
    }
    return {ref: _reached(ref, direct) for ref in direct}


def _reached(start: str, direct: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    stack = list(direct[start])
    while stack:
        ref = stack.pop()
        if ref not in found:
            found.add(ref)
            stack += direct.get(ref, ())
    return found


_RULES: dict[SpecPhase, Callable[[Json, Facts], Reasons]] = {
    SpecPhase.UNDERSTAND: _understand,
    SpecPhase.RESEARCH: _research,
    SpecPhase.REQUIREMENTS: _requirements,
    SpecPhase.DESIGN: _design,
    SpecPhase.TICKETS: _tickets,
    SpecPhase.TASKS: _tasks,
}
