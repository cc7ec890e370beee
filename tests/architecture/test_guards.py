"""What the import contracts cannot say: names, sizes, where the environment is read, where paths end."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "sandbox_kit/src").rglob("*.py")])
MODULES = [path for path in SOURCES if path.read_text().strip()]
NO_JOB = re.compile(
    r"Manager|Orchestrator|Coordinator|Helper|Utils?$|Common|Misc|Processor|Wrapper|^New(?![a-z])|V2$|^Simple|^Smart|Enhanced"
)
MAX_LINES = 420
BROAD = {"Exception", "BaseException"}
WHERE_PATHS_END = {
    "src/omniforge/agents/due_starts.py",
    "src/omniforge/agents/fires.py",
    "src/omniforge/agents/polls.py",
    "src/omniforge/agents/triggers.py",
    "src/omniforge/board/dispatch.py",
    "src/omniforge/board/duplicates.py",
    "src/omniforge/cli/keyboard.py",
    "src/omniforge/engine/admission.py",
    "src/omniforge/engine/attempts.py",
    "src/omniforge/engine/distributed.py",
    "src/omniforge/engine/events.py",
    "src/omniforge/engine/executor.py",
    "src/omniforge/engine/journal.py",
    "src/omniforge/engine/postgres.py",
    "src/omniforge/engine/queue.py",
    "src/omniforge/engine/telemetry/reading.py",
    "src/omniforge/engine/worker.py",
    "src/omniforge/sandboxes/bridge.py",
    "src/omniforge/sandboxes/providers/local.py",
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    return {name_of(path): ast.parse(path.read_text()) for path in MODULES}


def broad_handlers(tree: ast.AST) -> Iterator[ast.ExceptHandler]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            names = {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)} if node.type else BROAD
            reraises = any(isinstance(n, ast.Raise) and n.exc is None for n in ast.walk(node))
            if names & BROAD and not reraises:
                yield node


def test_every_module_opens_with_what_lives_there(trees: dict[str, ast.Module]) -> None:
    silent = [name for name, tree in trees.items() if not ast.get_docstring(tree)]
    assert silent == []


def test_no_name_says_that_a_thing_has_no_job(trees: dict[str, ast.Module]) -> None:
    found = [
        f"{name}:{node.lineno} {node.name}"
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and NO_JOB.search("".join(part.capitalize() for part in node.name.split("_")))
        and not node.name.startswith("new_")
    ]
    assert found == []


def test_files_hold_one_thought() -> None:
    long = {name_of(path): n for path in MODULES if (n := len(path.read_text().splitlines())) > MAX_LINES}
    assert long == {}


def test_the_environment_is_read_in_one_place(trees: dict[str, ast.Module]) -> None:
    readers = {
        name
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
        if not name.startswith("sandbox_kit/")  # there, the environment is how the host speaks to it
    }
    assert readers <= {"src/omniforge/core/config.py"}


def test_broad_excepts_stand_only_where_a_path_ends(trees: dict[str, ast.Module]) -> None:
    places = {
        f"{name}:{handler.lineno}"
        for name, tree in trees.items()
        if name not in WHERE_PATHS_END and not name.startswith("sandbox_kit/")
        for handler in broad_handlers(tree)
    }
    assert places == set()


def test_nothing_here_speaks_of_documents_users_do_not_have() -> None:
    files = [*SOURCES, *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "tests").rglob("*.py")]
    tell = re.compile(r"\.\./" + "shared|contract/(builder|engine|board|security|web)" + r"\.md")
    assert [name_of(path) for path in files if tell.search(path.read_text())] == []


def test_no_unfinished_work_is_left_in_the_sources() -> None:
    words = re.compile(r"\b(TODO|FIXME|XXX)\b|NotImplementedError")
    found = [name_of(path) for path in SOURCES if words.search(path.read_text())]
    assert found == []
