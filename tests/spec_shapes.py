"""Specs of every shape, with texts that look like the marks of their own notation."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]

ODD_LINES = (
    "Priority: HIGH",
    "**Ticket:** TKT-009",
    "- [ ] looks like a criterion `$ true`",
    "- [ ]",
    "## TKT-004: not a ticket",
    "# Design",
    "#### deeper",
    "```",
    "```omniforge",
    "~~~ python",
    "---",
    "<!-- hidden -->",
    "<!--",
    "| method | endpoint |",
    "THE SYSTEM SHALL say so.",
    "WHEN asked",
    "Files:",
    "- a.py",
    "",
    "  indented",
    "ends with a colon:",
    "ünïcode — 漢字 \u2028 line",
)
WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30).filter(
    lambda text: bool(text.split())
)
LINES = st.one_of(st.sampled_from(ODD_LINES), WORDS)
TEXTS = st.lists(LINES, min_size=1, max_size=6).map("\n".join).filter(lambda text: bool(text.strip()))
PRIORITIES = st.sampled_from(["CRITICAL", "HIGH", "MEDIUM", "LOW"])
CHECKS = st.one_of(
    st.builds(lambda text: {"text": text}, WORDS),
    st.builds(lambda text, run: {"text": text, "kind": "command", "check": {"command": run}}, WORDS, WORDS),
    st.builds(
        lambda text, seconds: {
            "text": text,
            "kind": "command",
            "check": {"command": ["pytest", "-q"], "cwd": "src", "timeout_seconds": seconds},
        },
        WORDS,
        st.integers(1, 3600),
    ),
    st.builds(
        lambda text, role: {"text": text, "kind": "approval", "check": {"role": role}},
        WORDS,
        st.sampled_from(["product", "security"]),
    ),
    st.just(
        {
            "text": "no secrets",
            "kind": "rule",
            "check": {"rule": "protected_path", "params": {"globs": ["a"]}},
        }
    ),
)
WORKS = st.one_of(
    st.builds(
        lambda lines: {"kind": "commands", "commands": lines},
        st.lists(
            st.one_of(st.sampled_from(["make all", "cat > a <<END\ntext\nEND", "a \\\n  b"]), WORDS),
            min_size=1,
        ),
    ),
    st.builds(
        lambda inputs: {"kind": "skill", "name": "make-report", "inputs": inputs},
        st.dictionaries(WORDS, WORDS, max_size=2),
    ),
)
CRITERIA = st.lists(CHECKS, min_size=1, max_size=3)


@st.composite
def specs(draw: st.DrawFn, *, most: int = 4) -> Json:
    """The JSON form of a valid spec."""
    requirements = [draw(_requirement(n)) for n in range(1, draw(st.integers(0, most)) + 1)]
    refs = [each["ref"] for each in requirements]
    tickets = [draw(_ticket(n, refs)) for n in range(1, draw(st.integers(0, most)) + 1)]
    tasks = [
        draw(_task(n, len(tickets))) for n in range(1, (draw(st.integers(0, 2 * most)) if tickets else 0) + 1)
    ]
    made: Json = {"requirements": requirements, "tickets": tickets, "tasks": tasks}
    if draw(st.booleans()):
        made["spec"] = {"title": draw(WORDS), "description": draw(TEXTS)}
    if draw(st.booleans()):
        made["design"] = draw(_design())
    return made


@st.composite
def _requirement(draw: st.DrawFn, number: int) -> Json:
    return {
        "ref": f"REQ-SHOP-API-{number:03d}",
        "title": draw(WORDS),
        "condition": draw(st.sampled_from(["", "WHEN an order arrives", "IF it fails, and a retry is left"])),
        "action": draw(st.sampled_from(["THE SYSTEM SHALL answer.", "THE cart SHALL keep it\n\nA note."])),
        "priority": draw(PRIORITIES),
        "category": draw(st.sampled_from(["functional", "non-functional", "constraint"])),
        "criteria": draw(CRITERIA),
    }


@st.composite
def _ticket(draw: st.DrawFn, number: int, requirements: list[str]) -> Json:
    made: Json = {
        "ref": f"TKT-{number:03d}",
        "title": draw(WORDS),
        "description": draw(TEXTS),
        "priority": draw(PRIORITIES),
        "estimate": draw(st.sampled_from(["S", "M", "L", "XL", None])),
        "tags": draw(st.lists(WORDS, max_size=2)),
        "criteria": draw(st.lists(CHECKS, max_size=2)),
        "depends_on": draw(_earlier("TKT", number)),
    }
    if requirements:
        made["requirements"] = draw(st.lists(st.sampled_from(requirements), max_size=2))
    if draw(st.booleans()):
        made |= {"approach": draw(TEXTS), "key_files": ["src/a.py"], "rollback": "git revert"}
    return made


@st.composite
def _task(draw: st.DrawFn, number: int, tickets: int) -> Json:
    return {
        "ref": f"TSK-{number:03d}",
        "ticket": f"TKT-{1 + (number - 1) * tickets // 10 % tickets:03d}",
        "title": draw(WORDS),
        "description": draw(st.none() | TEXTS),
        "estimate": draw(st.sampled_from(["S", "M", "L", None])),
        "task_type": draw(st.sampled_from(["implement_feature", "write_tests", "run_tests", "research"])),
        "phase_id": draw(st.sampled_from([None, "PHASE_TESTING", "Design"])),
        "priority": draw(st.none() | PRIORITIES),
        "owned_files": draw(st.lists(st.sampled_from(["src/**", "a.py", "{a,b}.py", "x, y"]), max_size=2)),
        "deliverables": draw(st.lists(st.just({"path": "a.py", "content": "code"}), max_size=1)),
        "criteria": draw(st.lists(CHECKS, max_size=2)),
        "timeout_seconds": draw(st.sampled_from([3600, 60])),
        "work": draw(st.none() | WORKS),
    }


def _earlier(prefix: str, number: int) -> st.SearchStrategy[list[str]]:
    return (
        st.lists(st.integers(1, number - 1), max_size=2).map(
            lambda picked: [f"{prefix}-{n:03d}" for n in picked]
        )
        if number > 1
        else st.just([])
    )


@st.composite
def _design(draw: st.DrawFn) -> Json:
    made: Json = {"architecture": draw(TEXTS), "data_model": draw(st.just("") | TEXTS), "api_spec": []}
    made["api_spec"] = draw(
        st.lists(
            st.builds(
                lambda path, text: {"method": "GET", "endpoint": path, "description": text}, WORDS, WORDS
            ),
            max_size=2,
        )
    )
    if draw(st.booleans()):
        made |= {"components": [{"name": "API", "layer": "web", "duties": ["answers"]}], "notes": draw(TEXTS)}
    if draw(st.booleans()):
        made["ref"] = "DESIGN-SHOP-001"
    return made
