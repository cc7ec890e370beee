"""What passes each phase of a generated spec, and what is told of what does not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.board.generation_stage import GOOD, good

from omniforge.board.generation.evaluators import Facts, evaluate, evaluate_questions
from omniforge.board.generation.outputs import document_of
from omniforge.board.generation.phases import ORDER, TABLE, before
from omniforge.board.importing.checking import judge
from omniforge.board.importing.documents import Known, Source
from omniforge.board.vocabulary import SpecPhase
from omniforge.llm.mending import fitted

Json = dict[str, Any]
Spoil = Callable[[Json], object]


def facts(phase: SpecPhase, **changes: Any) -> Facts:
    earlier = {each: copy.deepcopy(GOOD[each]) for each in before(phase)}
    return Facts(frozenset({"src/orders.py"}), earlier, **changes)


def judged(phase: str, spoil: Spoil, **changes: Any) -> list[str]:
    """The reasons told of a good answer that was spoiled."""
    output = good(phase)
    spoil(output)
    return evaluate(SpecPhase(phase), output, facts(SpecPhase(phase), **changes))


@pytest.mark.parametrize("phase", TABLE, ids=lambda phase: phase.name)
def test_a_good_answer_has_the_shape_and_passes(phase: Any) -> None:
    fitting, problems = fitted(good(phase.name), phase.schema)
    assert problems == []
    assert evaluate(phase.name, fitting, facts(phase.name, has_tests=True)) == []


def put(*way: Any, value: Any) -> Spoil:
    """Set a part of an answer, by its way."""

    def spoil(output: Any) -> None:
        for step in way[:-1]:
            output = output[step]
        output[way[-1]] = value

    return spoil


def drop(*way: Any) -> Spoil:
    def spoil(output: Any) -> None:
        for step in way[:-1]:
            output = output[step]
        del output[way[-1]]

    return spoil


REQ, TKT, TSK = "requirements", "tickets", "tasks"
BAD: list[tuple[str, Spoil, str]] = [
    ("understand", put("name", value="Order Search"), "kebab-case"),
    ("understand", drop("stories", 0), "stories: 3 to 5 different ones, not 2"),
    ("understand", put("stories", value=["Same story"] * 4), "different ones, not 1"),
    ("understand", put("in_scope", value=[]), "in_scope: say at least one thing"),
    ("understand", put("out_of_scope", value=[]), "out_of_scope: say at least one thing"),
    ("understand", put("questions", value=[{"question": "Who?"}]), "neither answered nor assumed: Who?"),
    ("research", put("findings", 0, "source", value=" "), "give its source"),
    ("research", put("reuse", 0, "path", value="src/other.py"), "the repository has no src/other.py"),
    ("research", put("findings", value=[]), "findings: empty"),
    ("research", put("reuse", value=[]), "reuse: empty"),
    (REQ, put(REQ, value=[]), "there is none"),
    (REQ, put(REQ, 0, "ref", value="REQ-1"), "a ref is written like"),
    (REQ, put(REQ, 0, "action", value="It finds."), "THE SYSTEM SHALL"),
    (REQ, put(REQ, 0, "condition", value="Always"), "a condition begins with"),
    (REQ, drop(REQ, 0, "criteria", 0), "2 criteria or more, not 1"),
    (REQ, put(REQ, 0, "stories", value=[2]), "story 1 is covered by no requirement"),
    (REQ, put(REQ, 0, "stories", value=[1, 9]), "there is no story 9"),
    (REQ, put(REQ, 1, "action", value="The system shall list orders, that hold it"), "its action is that of"),
    (REQ, put(REQ, 1, "ref", value="REQ-ORDER-API-001"), "this ref is used already"),
    ("design", put("architecture", value=" "), "architecture: describe it"),
    ("design", put("components", value=[]), "components: there is none"),
    ("design", put("components", 1, "name", value="search index"), "is there 2 times"),
    ("design", put("components", 1, "duties", value=["pages"]), "REQ-ORDER-API-003: no component"),
    ("design", put("components", 1, "layer", value="REQ-NO-API-003"), "there is no such requirement"),
    ("design", put("api_spec", value=[{"method": m, "endpoint": "/a"} for m in ("GET", "get")]), "GET /a is"),
    ("design", put("data_models", 0, "fields", 0, "type", value=" "), "Order.id has no type"),
    ("design", drop("data_models", 0, "fields", 0, "type"), "type is missing"),
    ("design", put("errors", value=[]), "errors: list what can go wrong"),
    (TKT, drop(TKT, 1), "component Search page has no ticket"),
    (TKT, put(TKT, 1, "component", value="Moon"), "the design has no component Moon"),
    (TKT, put(TKT, 0, "component", value="search page"), "several tickets that are small enough for one"),
    (TKT, put(TKT, 0, "estimate", value="XL"), "XL is too large"),
    (TKT, put(TKT, 1, "requirements", value=[]), "REQ-ORDER-API-003: no ticket names it"),
    (TKT, put(TKT, 1, "requirements", value=["REQ-NO-API-001"]), "there is no requirement REQ-NO-API-001"),
    (TKT, put(TKT, 1, "depends_on", value=["TKT-009"]), "there is no ticket TKT-009"),
    (TKT, put(TKT, 0, "depends_on", value=["TKT-002"]), "these wait for each other"),
    (TSK, drop(TSK, 2), "TKT-002: it has no task"),
    (TSK, put(TSK, 0, "estimate", value="L"), "its estimate is S or M"),
    (TSK, put(TSK, 0, "deliverables", value=[]), "say which files come of it"),
    (TSK, put(TSK, 0, "criteria", value=[]), "say how it can be seen"),
    (TSK, put(TSK, 0, "ticket", value="TKT-009"), "there is no ticket TKT-009"),
    (TSK, put(TSK, 0, "depends_on", value=["TSK-009"]), "there is no task TSK-009"),
    (TSK, put(TSK, 0, "depends_on", value=["TSK-003"]), "these wait for each other"),
    (TSK, put(TSK, 1, "owned_files", value=["src/*.py"]), "neither waits for the other"),
]


@pytest.mark.parametrize(("phase", "spoil", "reason"), BAD, ids=[f"{each[0]}: {each[2]}" for each in BAD])
def test_what_does_not_pass_is_told(phase: str, spoil: Spoil, reason: str) -> None:
    reasons = judged(phase, spoil)
    assert any(reason in each for each in reasons), reasons


def nothing(output: Json) -> None:
    """As it is."""


def test_nothing_found_needs_a_reason() -> None:
    def empty(output: Json) -> None:
        output |= {"findings": [], "reuse": [], "reason": "There is nothing like it."}

    assert judged("research", empty) == []
    in_a_folder = put("reuse", 0, "path", value="./src/")
    assert judged("research", in_a_folder) == []


def test_what_was_asked_has_to_be_there_with_its_answer() -> None:
    asked = [{"question": "How many orders?", "answer": "ten"}, {"question": "Who?"}]
    assert judged("understand", nothing, asked=asked) == [
        "questions: this was answered, keep the answer: How many orders?",
        "questions: this was asked and is missing: Who?",
    ]


@pytest.mark.parametrize(("sizes", "passes"), [(("L", "S"), True), (("L", "L"), True), (("M", "M"), False)])
def test_only_what_is_too_large_is_split(sizes: tuple[str, str], passes: bool) -> None:
    def split(output: Json) -> None:
        first = output["tickets"][0]
        output["tickets"].append(first | {"ref": "TKT-003", "title": "More", "estimate": sizes[1]})
        first["estimate"] = sizes[0]

    assert (judged("tickets", split) == []) is passes


def test_files_are_shared_by_what_comes_after_each_other() -> None:
    shared = put("tasks", 2, "owned_files", value=["src/index.py"])
    assert judged("tasks", shared) == []  # its ticket waits for the other
    in_one = put("tasks", 1, "owned_files", value=["src/"])

    def after(output: Json) -> None:
        in_one(output)
        output["tasks"][1]["depends_on"] = ["TSK-001"]

    def blocked(output: Json) -> None:
        in_one(output)
        output["tasks"][0]["blocks"] = ["TSK-002"]

    assert judged("tasks", in_one) != []
    assert judged("tasks", after) == judged("tasks", blocked) == []


def test_a_command_is_wanted_where_there_is_one() -> None:
    plain = put("tasks", 0, "criteria", value=[{"text": "seen"}])
    assert judged("tasks", plain) == []
    assert "kind command" in judged("tasks", plain, has_tests=True)[0]


@pytest.mark.parametrize(
    ("phase", "ref", "kind"),
    [
        ("requirements", "REQ-ORDER-API-001", "requirement"),
        ("tickets", "TKT-001", "ticket"),
        ("tasks", "TSK-001", "task"),
    ],
)
def test_a_ref_that_is_taken_or_used_up_is_refused(phase: str, ref: str, kind: str) -> None:
    known = Known(kind, ticket="TKT-001" if kind == "task" else "")
    assert "is there already" in judged(phase, nothing, known={ref: known})[0]
    if phase != "requirements":
        assert "gone" in judged(phase, nothing, gone=frozenset({ref}))[0]


@given(st.lists(st.text("abc", min_size=1, max_size=3), max_size=20))
def test_five_to_fifteen_different_questions_are_asked(questions: list[str]) -> None:
    assert (evaluate_questions(questions) == []) is (5 <= len(set(questions)) <= 15)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12), st.data())
def test_tasks_that_pass_can_be_imported_and_never_meet(
    needs: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Any graph: either it is told why not, or no two tasks of one moment own the same file."""
    files = data.draw(st.lists(st.sampled_from(["a.py", "b.py", "src/*"]), min_size=6, max_size=6))
    refs = [f"TSK-00{number}" for number in range(6)]
    tasks: list[Json] = [
        good("tasks")["tasks"][0]
        | {
            "ref": ref,
            "ticket": "TKT-001" if number < 4 else "TKT-002",
            "owned_files": [files[number]],
            "depends_on": [refs[other] for one, other in needs if one == number],
        }
        for number, ref in enumerate(refs)
    ]
    reasons = evaluate(SpecPhase.TASKS, {"tasks": tasks}, facts(SpecPhase.TASKS))
    if reasons:
        return
    outputs = {phase: GOOD[phase] for phase in ORDER} | {SpecPhase.TASKS: {"tasks": tasks}}
    assert judge(Source(document_of(outputs))).problems == []
    closure = {ref: set(task["depends_on"]) for ref, task in zip(refs, tasks, strict=True)}
    for _ in refs:
        for ref in refs:
            closure[ref] |= {far for near in closure[ref] for far in closure[near]}
    for one in range(6):
        for other in range(one):
            together = (one < 4) == (other < 4)
            apart = refs[one] in closure[refs[other]] or refs[other] in closure[refs[one]]
            assert not (together and files[one] == files[other]) or apart
