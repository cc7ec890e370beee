"""Parts of the worker alone: what has changed in a tree, what is ignored, what is kept of a flood."""

from __future__ import annotations

import itertools
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_kit.worker.conversation import Conversation
from sandbox_kit.worker.ignoring import matches
from sandbox_kit.worker.outcomes import Outcome, result_body, within
from sandbox_kit.worker.running import Kept
from sandbox_kit.worker.spool import Spool
from sandbox_kit.worker.state import State
from sandbox_kit.worker.telemetry import cut
from sandbox_kit.worker.tree import Change, as_json, compare, count_lines, from_json, look_at

LINES = st.lists(st.sampled_from("abcd"), max_size=30)
FILES = (
    "a.log",
    "b.txt",
    "keep.log",
    "build/x",
    "build/y.txt",
    "src/build/z",
    "src/a.py",
    "src/a.pyc",
    "docs/x/y/z.md",
    "docs/z.md",
    "tmp1",
    "tmpX",
    "deep/one/two/three.tmp",
    "notes.bak/file",
    "list[1].txt",
    "#odd",
    "!bang",
    "data/raw/1.csv",
    "data/keep/1.csv",
)
RULES = (
    "*.log\n!keep.log\n",
    "/build/\n*.pyc\n",
    "build\n",
    "docs/**/z.md\n",
    "tmp?\n",
    "tmp[0-9]\n",
    "tmp[!0-9]\n",
    "**/three.tmp\n",
    "deep/**\n",
    "# a comment\n\n\\#odd\n\\!bang\n",
    "*.bak/\n",
    "data/*\n!data/keep/\n",
    "*.txt   \n",
)


@given(LINES, LINES)
def test_lines_are_counted_as_a_diff_counts_them(before: list[str], after: list[str]) -> None:
    added, removed = count_lines(before, after)
    assert added - removed == len(after) - len(before)
    assert (Counter(after) - Counter(before)).total() <= added <= len(after)
    assert ((added, removed) == (0, 0)) is (before == after)


@pytest.mark.parametrize("rules", RULES)
def test_files_are_ignored_as_git_ignores_them(tmp_path: Path, rules: str) -> None:
    for name in FILES:
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("x\n")
    (tmp_path / ".gitignore").write_text(rules)
    (tmp_path / "src/.gitignore").write_text("a.*\n!a.py\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    ask = ["git", "ls-files", "-z", "--others", "--exclude-standard"]
    listed = subprocess.run(ask, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert set(look_at(tmp_path)) == {name for name in listed.stdout.split("\0") if name}


def test_a_look_at_a_tree_survives_being_kept(tmp_path: Path) -> None:
    for name, content in {"a.txt": b"1\n2\n", "b.bin": b"\0\1", "c/d.txt": b"x"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    before = from_json(as_json(look_at(tmp_path)))
    assert compare(before, look_at(tmp_path, before)) == []
    (tmp_path / "a.txt").write_text("1\n3\n4\n")
    (tmp_path / "b.bin").write_bytes(b"\0\2\3")
    (tmp_path / "c/d.txt").unlink()
    assert compare(before, look_at(tmp_path, before)) == [
        Change("a.txt", "modified", 2, 1),
        Change("b.bin", "modified"),
        Change("c/d.txt", "deleted", 0, 1),
    ]


@pytest.mark.parametrize(
    ("glob", "path", "fits"),
    [
        ("src/**", "src/a/b.py", True),
        ("src", "src/a/b.py", True),
        ("src/*.py", "src/a/b.py", False),
        ("src/**/*.py", "src/b.py", True),
        ("./src/", "src/b.py", True),
        ("**", "a/b", True),
        ("*.md", "docs/a.md", False),
        ("src", "srcs/a", False),
    ],
)
def test_globs_name_files(glob: str, path: str, *, fits: bool) -> None:
    assert matches(glob, path) is fits


@given(st.lists(st.text(max_size=40), max_size=20))
def test_of_a_flood_the_beginning_and_the_end_are_kept(parts: list[str]) -> None:
    kept = Kept(head=20, tail=30)
    for part in parts:
        kept.add(part)
    whole, text = "".join(parts), kept.text()
    assert text.startswith(whole[:20])
    assert text.endswith(whole[-30:])
    assert text == whole or "left out" in text
    assert bool(kept) == bool(whole)


@given(st.text(max_size=300), st.integers(1, 200))
def test_long_texts_are_cut_in_their_middle(text: str, most: int) -> None:
    short = cut(text, most)
    assert short == text if len(text) <= most else text[-1] == short[-1]
    assert len(within(text * 50, 500).encode()) <= 500


@given(st.lists(st.integers(0, 3), max_size=12))
def test_events_keep_their_numbers_over_restarts(
    tmp_path_factory: pytest.TempPathFactory, acts: list[int]
) -> None:
    state = State(tmp_path_factory.mktemp("state"))
    spool, told, taken = Spool(state), 0, list[dict[str, Any]]()
    for act in acts:
        match act:
            case 0 | 1:
                told += 1
                spool.add({"event_type": f"told {told}"})
            case 2:
                if events := spool.first(2, 10_000):
                    spool.taken(events)
                    taken += events
            case _:
                waiting = spool.first(50, 10_000)
                with (state.folder / "events.jsonl").open("ab") as file:
                    file.write(b'{"client_seq": 99')  # cut off in the middle
                spool = Spool(state)
                assert spool.first(50, 10_000) == waiting
    taken += spool.first(50, 10_000)
    assert [event["event_type"] for event in taken] == [f"told {number + 1}" for number in range(told)]
    numbers = [event["client_seq"] for event in taken]
    assert all(before < after for before, after in itertools.pairwise(numbers))


def test_a_result_stays_within_what_is_taken() -> None:
    changes = [Change("x" * 990 + str(number), "created", 1, 0) for number in range(2_500)]
    artifacts = [{"type": "other", "content": "y" * 90_000}] * 60 + [
        {"type": "other", "content": "z" * 200_000}
    ]
    outcome = Outcome("failed", "ä" * 20_000, "ö" * 60_000, "Not A Code", artifacts=artifacts)
    body = result_body(outcome, changes, 3, lambda text: text)
    assert len(body["summary"].encode()) <= 10_000
    assert len(body["notes"]) <= 50_000
    assert "500 further changed files" not in body["summary"]
    assert (body["error_code"], body["attempt"]) == ("worker_failed", 3)
    assert len(str(body).encode()) < 1_050_000
    assert len(body["files_changed"]) <= 2_000


def test_a_conversation_keeps_its_last_outputs_longest(tmp_path: Path) -> None:
    said = Conversation(State(tmp_path), 3_000)
    said.hear("the task")
    for number in range(8):
        call = {"id": str(number), "name": "look", "input": {}}
        said.answered({"calls": [call], "usage": {"tokens_in": 1}})
        said.told(call, f"{number}" * 500, ok=True)
    said.fit()
    outputs = [one["text"] for one in said.messages if one["role"] == "tool"]
    assert [text[0] for text in outputs] == [*"[[[[[[", "6", "7"]
    assert outputs[0].startswith("[an output of 500 characters was left out")
    assert said.messages[0]["text"] == "the task"
    again = Conversation(State(tmp_path), 3_000)
    assert (again.messages, again.turns, again.tokens_in) == (said.messages, 8, 8)
