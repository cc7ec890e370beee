"""Specs as documents: two notations of one content, every mistake at once, and any text survived."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from omniforge.board.importing.checking import Judged, judge
from omniforge.board.importing.documents import Known, Place
from omniforge.board.importing.sources import read_documents, read_json
from omniforge.board.importing.writing import as_json, as_markdown
from omniforge.board.vocabulary import CheckKind, PhaseId, Priority, TaskType, TicketStatus
from spec_shapes import ODD_LINES, specs

Json = dict[str, Any]
GREETING = """---
spec: Greeting service
---

# Design

## Architecture
A small server in one file.

## Data model
None.

## API
| method | endpoint | description |
|---|---|---|
| GET | /hello | greets |

# Requirements

## REQ-GREET-API-001: Greets by name
Priority: high

WHEN a request names a person,
THE SYSTEM SHALL answer with a greeting of that person.

- [ ] A greeting comes back `$ python -m pytest -q`
- [ ] Product likes the words (approval: product)
- [ ] It is friendly
  in every language

# Tickets

## TKT-001: Server
**Estimate:** M
Requirements: REQ-GREET-API-001
Blocks: TKT-002

The server itself.

### TSK-001: Write the server
Files: src/server.py, src/{a,b}.py

### TSK-002: Run the tests
Type: run_tests
Depends on:
- TSK-001

## TKT-002: Client

The client.

#### Goals

One binary.
"""


def read(text: str, path: str = "spec.md") -> Judged:
    return judge(read_documents([(path, text)]))


def codes(judged: Judged) -> list[tuple[str, str]]:
    return [(problem.code.value, problem.ref) for problem in judged.problems]


def test_a_spec_in_markdown_is_read_whole() -> None:
    judged = read(GREETING)
    assert judged.problems == []
    spec = judged.spec
    assert spec.title == "Greeting service"
    assert spec.design == {
        "architecture": "A small server in one file.",
        "data_model": "None.",
        "api_spec": [{"method": "GET", "endpoint": "/hello", "description": "greets"}],
    }
    (requirement,) = spec.requirements
    assert requirement.condition == "WHEN a request names a person"
    assert requirement.action == "THE SYSTEM SHALL answer with a greeting of that person."
    assert requirement.priority is Priority.HIGH
    assert [criterion.kind for criterion in requirement.criteria] == [
        CheckKind.COMMAND,
        CheckKind.APPROVAL,
        CheckKind.TEXT,
    ]
    assert requirement.criteria[0].check == {"command": "python -m pytest -q"}
    assert requirement.criteria[1].check == {"role": "product"}
    assert requirement.criteria[2].text == "It is friendly in every language"
    server, client = spec.tickets
    assert (server.description, server.requirements) == ("The server itself.", ("REQ-GREET-API-001",))
    assert client.depends_on == ("TKT-001",)
    assert client.description == "The client.\n\n#### Goals\n\nOne binary."
    write, run = spec.tasks
    assert write.owned_files == ("src/server.py", "src/{a,b}.py")
    assert write.ticket == run.ticket == "TKT-001"
    assert run.depends_on == ("TSK-001",)
    assert (run.task_type, run.phase_id) == (TaskType.RUN_TESTS, PhaseId.TESTING)
    assert write.place == Place("spec.md", GREETING.split("\n").index("### TSK-001: Write the server") + 1)


@given(specs())
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
def test_markdown_and_json_of_the_same_content_are_the_same_spec(content: Json) -> None:
    judged = judge(read_json(content))
    assert judged.problems == []
    written = as_markdown(judged.spec)
    again = judge(read_documents([("spec.md", written)]))
    assert again.problems == []
    assert again.spec == judged.spec
    plain = judge(read_documents([("spec.json", json.dumps(as_json(judged.spec)))]))
    assert (plain.spec, plain.problems) == (judged.spec, [])


WORK = """
## TKT-001: Server

The server.

### TSK-001: Write it

What it is about.

```sh
# first a folder
mkdir -p src

cat > src/a.py <<'END'
if True:
    pass
END
python -m compileall \\
  src
```

### TSK-002: Report
Skill: make-report
Inputs: {"path": "src", "deep": {"n": 1}}

### TSK-003: Think
```python
print("no work")
```
"""


def test_commands_and_skills_are_the_work_of_a_task() -> None:
    judged = read(WORK)
    assert judged.problems == []
    commands, skill, agent = judged.spec.tasks
    assert commands.description == "What it is about."
    assert commands.work == {
        "kind": "commands",
        "commands": [
            "mkdir -p src",
            "cat > src/a.py <<'END'\nif True:\n    pass\nEND",
            "python -m compileall \\\n  src",
        ],
    }
    assert skill.work == {
        "kind": "skill",
        "name": "make-report",
        "inputs": {"path": "src", "deep": {"n": 1}},
    }
    assert (agent.work, agent.description) == (None, '```python\nprint("no work")\n```')


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ("```sh\n# nothing\n```", "work.commands"),
        ("Skill: Make Report", "work.name"),
        ("Skill: make-report\nInputs: [1]", "work.inputs"),
        ("Skill: make-report\nInputs: {oh", "work.inputs"),
        ("Inputs: {}", "work.name"),
        ("Skill: make-report\n```sh\nls\n```", "work.commands"),
    ],
)
def test_work_that_cannot_be_run_is_told_with_its_line(said: str, field: str) -> None:
    judged = read(f"## TKT-001: Server\n\nThe server.\n\n### TSK-001: Write it\n{said}\n")
    (problem,) = judged.problems
    assert (problem.code.value, problem.field, problem.place.line) == ("bad_value", field, 6)


MARKS = st.sampled_from(
    [*ODD_LINES, "## REQ-A-B-1: x", "### TSK-001: t", "Blocks: TSK-001", "\r\n", "\ufeff", "\0"]
)


@given(st.lists(st.one_of(MARKS, st.text(max_size=20)), max_size=30).map("\n".join))
@example("---")
@example("---\ntitle: x")
@example("```omniforge")
@example('## TKT-001: a\n```omniforge\n{"criteria": {"a": NaN}}\n```')
@example('## TKT-001: a\n```omniforge\n{"ref": 1, "title": [[]], "tags": {}, "criteria": [[1]]}\n```')
@example('# Design\n```omniforge\n{"api_spec": [1], "architecture": 3, "errors": "x"}\n```\n## API\n|a|')
@settings(deadline=None, max_examples=150)
def test_any_text_gives_documents_or_problems(text: str) -> None:
    judged = read(text)
    for problem in (*judged.problems, *judged.warnings):
        assert problem.shown()["message"]


@given(
    st.dictionaries(
        st.sampled_from(["requirements", "tickets", "tasks", "design", "spec", "format", "other"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["ref", "title", "ticket", "criteria", "depends_on", "check", "text", "phase_id"]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=12,
        ),
    )
)
@settings(deadline=None, max_examples=150)
def test_any_json_gives_documents_or_problems(content: Json) -> None:
    judged = judge(read_json(content))
    assert all(problem.shown()["message"] for problem in judged.problems)


@pytest.mark.parametrize(
    "line",
    [
        "a\n",
        "# Design\nx\n",
        "## TSK-001: a\n",
        "- [ ] a\n",
        "## TKT-001: a\n" + "Blocks: TKT-001\n" * 50,
        "-",
        "`$ ",
        "(approval: ",
        "| ",
        "Files: {a,",
        "## REQ-AA-BB-001: x\n- [ ] c\n" + "  more\n" * 100,
        "THE SHALL ",
        "<!-- ",
        "**a:",
    ],
)
def test_large_documents_of_anything_are_read_at_once(line: str) -> None:
    start = "## REQ-AA-BB-001: x\n" if len(line) < 20 and "\n" not in line else ""
    text = start + line * (1_000_000 // len(line))
    began = time.process_time()
    read(text)
    assert time.process_time() - began < 20  # a reading that is not linear takes many minutes


def test_more_than_five_megabytes_are_refused_unread() -> None:
    assert codes(read("x" * 5_000_001)) == [("too_large", "")]


def test_more_items_than_a_spec_holds_are_refused() -> None:
    tickets = "".join(f"## TKT-{n:03d}: t\n\ntext\n\n" for n in range(201))
    assert codes(read(tickets)) == [("too_large", "")]


def test_every_mistake_is_told_at_once_with_its_line() -> None:
    text = """## REQ-1: bad ref
THE SYSTEM SHALL work.
- [ ] it does

## REQ-AB-API-001: no action
Text only.
- [ ] it does

## REQ-AB-API-002: no criteria
WHEN asked, THE SYSTEM SHALL answer.

## REQ-AB-API-003: two
THE SYSTEM SHALL answer, and THE SYSTEM SHALL listen.
- [ ] it does

## TKT-001: one
Depends on: TKT-002, TKT-777
Priority: urgent

text

### TSK-001: a
Depends on: TSK-002
Phase: Done

### TSK-002: b
Depends on: TSK-001

## TKT-002: other
Requirements: REQ-ZZ-API-001

## TKT-001: again

text

## TSK-003: far away
Ticket: TKT-009
"""
    judged = read(text)
    lines = {(p.code.value, p.ref, p.field): p.place.line for p in judged.problems}
    assert lines == {
        ("bad_ref", "REQ-1", "ref"): 1,
        ("no_action", "REQ-AB-API-001", "action"): 5,
        ("no_criteria", "REQ-AB-API-002", "criteria"): 9,
        ("bad_value", "REQ-AB-API-003", "action"): 12,
        ("dangling_ref", "TKT-001", "depends_on"): 16,
        ("bad_value", "TKT-001", "priority"): 18,
        ("bad_value", "TSK-001", "phase_id"): 24,
        ("cycle", "TSK-001", "depends_on"): 22,
        ("missing_field", "TKT-002", "description"): 29,
        ("dangling_ref", "TKT-002", "requirements"): 29,
        ("duplicate_ref", "TKT-001", "ref"): 32,
        ("missing_parent", "TSK-003", "ticket"): 36,
    }
    cycle = next(problem for problem in judged.problems if problem.code == "cycle")
    assert cycle.shown()["cycle"] == ["TSK-001", "TSK-002", "TSK-001"]
    assert judged.warnings == []


def test_a_task_that_waits_for_a_ticket_that_waits_for_it_is_a_cycle() -> None:
    content = {
        "tickets": [
            {"ref": "TKT-001", "title": "a", "description": "a", "depends_on": ["TKT-002"]},
            {"ref": "TKT-002", "title": "b", "description": "b"},
        ],
        "tasks": [
            {"ref": "TSK-001", "ticket": "TKT-001", "title": "a"},
            {"ref": "TSK-002", "ticket": "TKT-002", "title": "b", "depends_on": ["TSK-001"]},
        ],
    }
    assert [problem.code.value for problem in judge(read_json(content)).problems] == ["cycle"]


def test_a_phase_that_the_ticket_has_passed_is_closed_for_further_tasks() -> None:
    task = {"ref": "TSK-002", "ticket": "TKT-001", "title": "look around", "task_type": "research"}
    known = {"TKT-001": Known("ticket", status=TicketStatus.BUILDING)}
    judged = judge(read_json({"tasks": [task]}), known)
    assert codes(judged) == [("phase_closed", "TSK-002")]
    assert judge(read_json({"tasks": [task]}), known | {"TSK-002": Known("task")}).problems == []


def test_doubts_are_told_and_keep_nobody() -> None:
    judged = read(
        GREETING
        + "\n### TSK-003: Same file\nEstimate: L\nFiles: src/\n\n### TSK-004: x\nFiles: src/**/x.py\n"
    )
    assert judged.problems == []
    found = {(warning.code.value, warning.ref) for warning in judged.warnings}
    assert found >= {
        ("no_estimate", "TKT-002"),
        ("no_estimate", "TSK-001"),
        ("no_command_check", "TSK-002"),
        ("task_over_4h", "TSK-003"),
        ("overlapping_files", "TSK-004"),
    }
    assert ("not_approvable", "") not in found
    lacking = read(
        "## REQ-AB-API-001: x\nTHE SYSTEM SHALL x.\n- [ ] y\n\n"
        "## TKT-001: x\n\ntext\n\n## TKT-002: X!\n\ntext\n"
    )
    assert {(warning.code.value, warning.ref) for warning in lacking.warnings} == {
        ("few_criteria", "REQ-AB-API-001"),
        ("uncovered_requirement", "REQ-AB-API-001"),
        ("ticket_without_task", "TKT-001"),
        ("ticket_without_task", "TKT-002"),
        ("no_estimate", "TKT-001"),
        ("no_estimate", "TKT-002"),
        ("possible_duplicate", "TKT-002"),
        ("not_approvable", ""),
    }


@pytest.mark.parametrize(
    ("said", "condition", "action"),
    [
        ("WHEN the user asks, THE SYSTEM SHALL answer.", "WHEN the user asks", "THE SYSTEM SHALL answer."),
        ("IF it breaks, THEN the system shall stop.", "IF it breaks", "the system shall stop."),
        ("**WHILE** on, the lamp SHALL glow.", "WHILE** on", "the lamp SHALL glow."),
        ("THE SYSTEM SHALL x.\n\nA note.", "", "THE SYSTEM SHALL x.\n\nA note."),
        ("As a user I ask.\n\nTHE SYSTEM SHALL x.", "", "THE SYSTEM SHALL x.\n\nAs a user I ask."),
        ("WHERE asked\n\nTHE SYSTEM SHALL x.", "WHERE asked", "THE SYSTEM SHALL x."),
    ],
)
def test_sentences_are_split_into_condition_and_action(said: str, condition: str, action: str) -> None:
    judged = read(f"## REQ-AB-API-001: x\n{said}\n- [ ] y\n")
    (requirement,) = judged.spec.requirements
    assert (requirement.condition.replace("**", ""), requirement.action) == (
        condition.replace("**", ""),
        action,
    )


def test_several_documents_are_one_spec() -> None:
    judged = judge(
        read_documents(
            [
                ("a.md", "# Shop\n\n## TKT-001: a\n\ntext\n"),
                ("b.md", "## TSK-001: b\nTicket: TKT-001\nEstimate: huge\n"),
                ("c.json", '{"tasks": [{"ref": "TSK-001", "ticket": "TKT-001", "title": "c"}]}'),
            ]
        )
    )
    shown = [problem.shown() for problem in judged.problems]
    assert [(each["code"], each["path"], each.get("line")) for each in shown] == [
        ("bad_value", "b.md", 3),
        ("duplicate_ref", "c.json", None),
    ]
