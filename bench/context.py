"""`python -m bench.context`: tokens of a step that opens what it needs, against one that is given everything.

Both sides answer the same questions with the same reader, over the same material and by the code that runs in
a step. A reader asks again after each look, and every time the whole conversation is sent: so it is counted.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from omniforge.llm.counting import count_tokens
from omniforge.llm.prompts import load_prompt
from omniforge.runtime.context import Budgets, Material, Piece, prepare
from omniforge.runtime.guards import Source, spotlight
from omniforge.runtime.handles import Handles, lines_of

Json = dict[str, Any]
PACKAGE = "omniforge.runtime"
BAR = 0.30


@dataclass(frozen=True, slots=True)
class Look:
    """How a reader finds something that is not in front of it: in a value, a file, or a skill's text."""

    handle: str = ""
    find: str = ""
    file: str = ""
    skill: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """facts: name → pattern with one group that finds it; looks: where, when it is not there yet."""

    name: str
    task: str
    body: str
    facts: Mapping[str, str]
    looks: Mapping[str, Sequence[Look]] = field(default_factory=dict[str, Sequence[Look]])
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    skills: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class Conversation:
    """What one reader has in front of it, and what it cost to get there."""

    texts: list[str]
    tokens: int = 0
    requests: int = 0

    def ask(self) -> str:
        self.tokens += count_tokens(self.texts)
        self.requests += 1
        return "\n".join(self.texts)


def rows(count: int, words: int = 40) -> list[Json]:
    status = ("On Track", "At Risk", "Done", "Blocked")
    return [
        {
            "id": f"b77123b9-{number:04d}-580e-b0ff-e636214178ed",
            "name": f"Project {number:03d}",
            "status": status[number % 4],
            "owner": f"person{number % 7}@acme.example",
            "budget": 1_000 + 37 * number,
            "notes": f"Note {number}. " + "Details that matter to somebody else. " * (words // 6),
        }
        for number in range(count)
    ]


def prose(topic: str, sentences: int) -> str:
    return " ".join(f"{topic} rule {number}: keep it short, exact and dated." for number in range(sentences))


SKILLS = {f"skill-{number:02d}": prose(f"Skill {number}", 120) for number in range(12)}
DOCS = {f"docs/page-{number}.md": prose(f"Page {number}", 150) for number in range(6)}
STEPS = "1. Look at what you are given.\n2. Answer with the facts.\n" + prose("Procedure", 20)

SCENARIOS = (
    Scenario(
        "one row of many",
        "What is the budget of Project 123?",
        STEPS,
        {"budget": r'"name":"Project 123".*?"budget":(\d+)'},
        {"budget": [Look(handle="output of read", find="Project 123")]},
        outputs={"read": {"rows": rows(200), "count": 200}},
    ),
    Scenario(
        "how many",
        "How many projects are there?",
        STEPS,
        {"count": r"count\W+(\d+)"},
        outputs={"read": {"rows": rows(150), "count": 150}},
    ),
    Scenario(
        "one skill of twelve",
        "Write the note as the house style says.",
        STEPS,
        {"style": r"House style: (\w+)"},
        {"style": [Look(skill="house-style")]},
        skills={**SKILLS, "house-style": "House style: sober. " + prose("Style", 60)},
    ),
    Scenario(
        "one page of a guide",
        "Which limit does the guide name for refunds?",
        STEPS,
        {"limit": r"Refunds up to (\d+)"},
        {"limit": [Look(file="docs/refunds.md")]},
        files={**DOCS, "docs/refunds.md": "Refunds up to 250 need no approval. " + prose("Refund", 60)},
    ),
    Scenario(
        "two sources",
        "Compare the order with the invoice.",
        STEPS,
        {"ordered": r'"number":"PO-77".*?"total":(\d+)', "billed": r'"order":"PO-77".*?"amount":(\d+)'},
        {
            "ordered": [Look(handle="output of orders", find="PO-77")],
            "billed": [Look(handle="output of invoices", find="PO-77")],
        },
        outputs={
            "orders": {
                "orders": [{"number": f"PO-{n}", "lines": rows(1), "total": 100 + n} for n in range(90)]
            },
            "invoices": {
                "invoices": [{"order": f"PO-{n}", "text": "x " * 60, "amount": 102 + n} for n in range(90)]
            },
        },
    ),
    Scenario(
        "nothing large",
        "Greet the person.",
        STEPS,
        {"name": r"name\W+(\w+)"},
        outputs={"person": {"name": "Maya", "role": "Operations"}},
    ),
    Scenario(
        "a long request",
        "Send the summary to room 41. " + prose("Background", 150),
        STEPS,
        {"room": r"room (\d+)"},
        outputs={"read": {"rows": rows(60), "count": 60}},
    ),
    Scenario(
        "every row",
        "List the names of all projects.",
        STEPS,
        {"last": r"Project (059)", "first": r"Project (000)", "middle": r"Project (030)"},
        {
            "middle": [Look(handle="output of read")] * 2,
            "last": [Look(handle="output of read")] * 3,
        },
        outputs={"read": {"rows": rows(60, words=60), "count": 60}},
    ),
)


def lean(scenario: Scenario) -> tuple[Json, Conversation]:
    """As a step does it: digests and names first, the rest when it is needed."""
    handles = Handles()
    pieces = [Piece(f"output of {key}", value, Source.STEP) for key, value in scenario.outputs.items()]
    material = Material(scenario.task, pieces, files=sorted(scenario.files), environment=ENVIRONMENT)
    prompt = prepare(material, handles, Budgets()).prompt
    listed = "\n".join(f"- {name}: How {name} is to be done, in a test of ours." for name in scenario.skills)
    talk = Conversation([instructions(scenario), listed, TOOLS, prompt])
    opened: dict[str, int] = {}

    def look(where: Look) -> str:
        if where.skill:
            return scenario.skills[where.skill]
        if where.file:
            return spotlight(scenario.files[where.file], Source.FILE, where.file)
        first = 1 if where.find else opened.get(where.handle, 1)
        part = handles.open(where.handle, first=first, find=where.find)
        opened[where.handle] = int(part.get("next_line", 1))
        return spotlight(str(part["text"]), Source.STEP, where.handle)

    seen = talk.ask()
    for name, pattern in scenario.facts.items():
        for where in scenario.looks.get(name, ()):
            if re.search(pattern, seen, re.DOTALL):
                break
            talk.texts.append(look(where))
            seen = talk.ask()
    return found(scenario, seen), talk


def full(scenario: Scenario) -> tuple[Json, Conversation]:
    """Everything up front: each output, file and skill text as it is."""
    parts = [f"output of {key}:\n" + "\n".join(lines_of(value)) for key, value in scenario.outputs.items()]
    parts += [f"{path}:\n{text}" for path, text in scenario.files.items()]
    parts += [f"skill {name}:\n{text}" for name, text in scenario.skills.items()]
    marked = "\n\n".join(spotlight(part, Source.STEP, limit=10_000_000) for part in parts)
    prompt = load_prompt(PACKAGE, "task").filled(
        task=scenario.task, execution=marked, project="Nothing.", environment=str(ENVIRONMENT)
    )
    talk = Conversation([instructions(scenario), TOOLS, prompt])
    return found(scenario, talk.ask()), talk


def instructions(scenario: Scenario) -> str:
    return load_prompt(PACKAGE, "instructions").filled(procedure=scenario.body)


def found(scenario: Scenario, seen: str) -> Json:
    """The facts that the reader has; None for what it could not find."""
    matches = {name: re.search(pattern, seen, re.DOTALL) for name, pattern in scenario.facts.items()}
    return {name: None if match is None else match[1] for name, match in matches.items()}


ENVIRONMENT = {"date and time": "Saturday, 21 November 2026, 19:43 (Europe/Berlin)", "for": "Maya"}
TOOLS = json.dumps(
    [
        {"name": name, "description": f"{name} a thing of the step.", "parameters": {"handle": "string"}}
        for name in ("Open", "Read", "Skill", "Glob", "Grep", "notion__query_database", "slack__post_message")
    ]
)


def measure() -> Json:
    told: list[Json] = []
    for scenario in SCENARIOS:
        (few, lean_talk), (all_, full_talk) = lean(scenario), full(scenario)
        told.append(
            {
                "scenario": scenario.name,
                "on_demand": lean_talk.tokens,
                "up_front": full_talk.tokens,
                "requests": lean_talk.requests,
                "equal": few == all_ and None not in few.values(),
            }
        )
    on_demand, up_front = (sum(one[side] for one in told) for side in ("on_demand", "up_front"))
    saved = round(1 - on_demand / up_front, 3)
    ok = saved >= BAR and all(one["equal"] for one in told)
    totals = {"on_demand": on_demand, "up_front": up_front, "saved": saved, "bar": BAR, "ok": ok}
    return {"benchmark": "context", **totals, "scenarios": told}


def main() -> int:
    figures = measure()
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0 if figures["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
