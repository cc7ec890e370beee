"""`omniforge skill check`: a linter for SKILL.md files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from omniforge.cli.skill import app

GOOD = b"---\nname: good\ndescription: Does a thing\n---\n\nSee [it](docs/a.md).\n"


def check(*args: object) -> Result:
    return CliRunner().invoke(app, ["check", *map(str, args)])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("good", "bad"):
        (tmp_path / "skills" / name / "docs").mkdir(parents=True)
    (tmp_path / "skills/good/SKILL.md").write_bytes(GOOD)
    (tmp_path / "skills/good/docs/a.md").write_bytes(b"a")
    (tmp_path / "skills/bad/SKILL.md").write_bytes(b"---\nname: bad\nschedule: daily\n---\n\nX\n")
    return tmp_path / "skills"


def test_a_good_skill_is_silent_and_0(tree: Path) -> None:
    for path in (tree / "good", tree / "good" / "SKILL.md"):
        done = check(path)
        assert (done.exit_code, done.output) == (0, "")


def test_problems_are_lines_and_exit_1(tree: Path) -> None:
    done = check(tree)
    file = tree / "bad" / "SKILL.md"
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        f"{file}:1: missing_field: Missing required field: description",
        f"{file}:3: forbidden_field: Forbidden field in SKILL.md: schedule",
    ]


def test_warnings_are_printed_and_exit_0(tree: Path) -> None:
    (tree / "good/SKILL.md").write_bytes(GOOD.replace(b"name: good", b"name: other"))
    done = check(tree / "good")
    assert done.exit_code == 0
    assert ":2: name_differs: warning: " in done.output


def test_the_profile_decides(tree: Path) -> None:
    assert check(tree / "bad", "--profile", "claude-code").exit_code == 0
    assert check(tree / "bad", "--profile", "portable").exit_code == 1
    assert check(tree / "bad", "--profile", "nothing").exit_code == 2


def test_json(tree: Path) -> None:
    done = check(tree, "--format", "json")
    found = {Path(item["path"]).parent.name: item for item in json.loads(done.output)["files"]}
    assert done.exit_code == 1
    assert (found["good"]["valid"], found["bad"]["valid"]) == (True, False)
    assert found["bad"]["diagnostics"][1] == {
        "code": "forbidden_field",
        "field": "schedule",
        "line": 3,
        "message": "Forbidden field in SKILL.md: schedule",
        "severity": "error",
    }


def test_a_missing_path_or_a_tree_without_skills_is_wrong_use(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert check(tmp_path / "nothing").exit_code == 2
    assert check(tmp_path / "empty").exit_code == 2
    assert check(tree, tmp_path / "nothing").exit_code == 2


def test_a_flat_file_and_a_file_that_cannot_be_read(tree: Path) -> None:
    flat = tree / "flat.md"
    flat.write_bytes(b"---\nname: flat\ndescription: Does a thing\n---\n\nX\n")
    assert check(flat).exit_code == 0
    flat.unlink()
    os.mkfifo(flat)
    assert check(flat).exit_code == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    data=st.binary(max_size=200) | st.binary(max_size=60).map(lambda data: b"---\n" + data + b"\n---\nx\n")
)
def test_any_bytes_give_lines_and_an_exit_code(tree: Path, data: bytes) -> None:
    (tree / "bad/SKILL.md").write_bytes(data)
    done = check(tree / "bad")
    assert done.exit_code in {0, 1}
    for line in done.output.splitlines():
        assert line.startswith(f"{tree / 'bad' / 'SKILL.md'}:")
