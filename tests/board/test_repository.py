"""Repositories: trees there and back, their hash, merges, hostile workspaces, other repositories."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniforge.board import trees
from omniforge.board.diffs import read_added_lines
from omniforge.board.repository import MergeConflict, Remote, Repositories, branch_name
from omniforge.board.trees import FILE, PROGRAM, Held
from omniforge.core.errors import Invalid, NotFound, ProviderError
from omniforge.sandboxes.trees import Entry, pack_tree

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
P = "project-1"
Given = Mapping[str, str | bytes | Entry]


def tree(files: Given) -> bytes:
    entries = [
        one if isinstance(one, Entry) else Entry(path, one.encode() if isinstance(one, str) else one)
        for path, one in files.items()
    ]
    return pack_tree(entries)


def program(path: str, text: str) -> dict[str, Entry]:
    return {path: Entry(path, text.encode(), is_executable=True)}


@dataclass
class Project:
    id: str = P
    default_branch: str = "main"


@pytest.fixture
def repos(tmp_path: Path) -> Repositories:
    return Repositories(tmp_path / "repositories")


async def commit(repos: Repositories, files: Given, parent: str | None = None) -> str:
    return (await repos.snapshot(P, tree(files), parent, "change", at=NOON)).commit


def git(repos: Repositories, *args: str) -> str:
    command = ["git", "--git-dir", str(repos.root / f"{P}.git"), *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


async def content(repos: Repositories, at: str) -> dict[str, Entry]:
    return {one.path: one for one in trees.unpack(await repos.tree(P, at))}


# --- pure -----------------------------------------------------------------------------------------------

letters = st.characters(exclude_characters="/\0\\:~", exclude_categories=("Cs", "Cf"))
names = st.text(letters, min_size=1, max_size=8)
plain = names.filter(lambda name: name not in {".", ".."} and ".git" not in name.casefold())
held = st.dictionaries(
    st.lists(plain, min_size=1, max_size=3).map("/".join),
    st.tuples(st.sampled_from([FILE, PROGRAM]), st.binary(max_size=600)),
    max_size=6,
).filter(lambda found: not any(other.startswith(f"{path}/") for path in found for other in found))
Files = dict[str, tuple[str, bytes]]


def as_held(found: Files) -> list[Held]:
    return [Held(path, mode, content=content) for path, (mode, content) in found.items()]


@settings(deadline=None, max_examples=60)
@given(held)
def test_a_tree_comes_out_of_its_tar_as_it_went_in(found: Files) -> None:
    back = {
        one.path: (PROGRAM if one.is_executable else FILE, one.content)
        for one in trees.unpack(trees.pack(as_held(found)))
    }
    assert back == found


@settings(deadline=None, max_examples=60)
@given(held, st.randoms())
def test_the_hash_of_a_tree_does_not_know_the_order_of_its_files(found: Files, chance: Random) -> None:
    shuffled = as_held(found)
    chance.shuffle(shuffled)
    assert trees.hash_of(shuffled) == trees.hash_of(as_held(found))


@settings(deadline=None, max_examples=60)
@given(held.filter(bool), st.data())
def test_the_hash_of_a_tree_changes_with_content_mode_and_path(found: Files, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(found)))
    mode, content = found[path]
    without = {name: one for name, one in found.items() if name != path}
    others: list[Files] = [
        {**found, path: (mode, content + b"x")},
        {**found, path: (PROGRAM if mode == FILE else FILE, content)},
        without,
        {**without, path + "+" * 30: (mode, content)},
    ]
    assert len({trees.hash_of(as_held(one)) for one in [found, *others]}) == 5


def test_the_hash_of_a_tree_is_what_anybody_can_compute() -> None:
    files = {"b": (FILE, b"2"), "a/x": (PROGRAM, b"1")}
    rows = b"".join(
        f"{path}\0{files[path][0]}\0{hashlib.sha256(files[path][1]).hexdigest()}\0".encode()
        for path in ("a/x", "b")
    )
    assert trees.hash_of(as_held(files)) == hashlib.sha256(rows).hexdigest()


def raw_tar(*members: tuple[str, bytes, str]) -> bytes:
    """Of (path, type, link), as a worker may write it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, kind, link in members:
            member = tarfile.TarInfo(path)
            member.type, member.linkname = kind, link
            member.size = 1 if kind == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(b"x"))
    return out.getvalue()


@pytest.mark.parametrize(
    ("path", "kind", "link"),
    [
        ("../up", tarfile.REGTYPE, ""),
        ("a/../../up", tarfile.REGTYPE, ""),
        ("/etc/passwd", tarfile.REGTYPE, ""),
        (".git/hooks/pre-commit", tarfile.REGTYPE, ""),
        ("sub/.GIT/config", tarfile.REGTYPE, ""),
        ("sub/.git", tarfile.REGTYPE, ""),
        (".g\u200cit/config", tarfile.REGTYPE, ""),
        (".git . /config", tarfile.REGTYPE, ""),
        (".git::$INDEX_ALLOCATION/config", tarfile.REGTYPE, ""),
        ("git~1/config", tarfile.REGTYPE, ""),
        ("a\\.git\\config", tarfile.REGTYPE, ""),
        (".gitmodules", tarfile.SYMTYPE, "other"),
        ("gitmod~1", tarfile.SYMTYPE, "other"),
        ("link", tarfile.SYMTYPE, "/etc"),
        ("a/link", tarfile.SYMTYPE, "../../etc"),
        ("pipe", tarfile.FIFOTYPE, ""),
        ("disk", tarfile.BLKTYPE, ""),
        ("again", tarfile.LNKTYPE, "nothing"),
        ("y/" * 600 + "z", tarfile.REGTYPE, ""),
    ],
)
def test_what_no_repository_may_hold_is_left_out(path: str, kind: bytes, link: str) -> None:
    found = trees.unpack(raw_tar((path, kind, link), ("kept", tarfile.REGTYPE, "")))
    assert [one.path for one in found] == ["kept"]


def test_a_second_name_of_a_file_is_a_file() -> None:
    found = trees.unpack(raw_tar(("./a", tarfile.REGTYPE, ""), ("./b", tarfile.LNKTYPE, "./a")))
    assert {one.path: one.content for one in found} == {"a": b"x", "b": b"x"}


@dataclass
class Ticket:
    ref: str = "TKT-007"
    title: str = "Sign in: with a Passkey!"
    priority: str = "MEDIUM"
    ticket_type: str = "component"
    branch_name: str | None = None


@pytest.mark.parametrize(
    ("ticket", "name"),
    [
        (Ticket(), "feature/TKT-007-sign-in-with-a-passkey"),
        (Ticket(ticket_type="bug"), "bug/TKT-007-sign-in-with-a-passkey"),
        (Ticket(ticket_type="bug", priority="CRITICAL", title="Größe"), "hotfix/TKT-007-groe"),
        (Ticket(title="検索"), "feature/TKT-007"),
        (Ticket(title="a" * 39 + " b"), f"feature/TKT-007-{'a' * 39}"),
        (Ticket(branch_name="feature/TKT-007-as-it-was"), "feature/TKT-007-as-it-was"),
    ],
)
def test_a_branch_is_named_after_its_ticket(ticket: Ticket, name: str) -> None:
    assert branch_name(ticket) == name


@pytest.mark.parametrize(
    "name", ["", "-x", "a..b", "a/", "/a", "a.lock", "a b", "a/.b", "@{1}", "a\nb", "HEAD:x", "a~1"]
)
async def test_what_git_could_misread_is_no_branch(repos: Repositories, name: str) -> None:
    with pytest.raises(Invalid):
        await repos.head(P, name)


def test_added_lines_are_told_apart_from_headers() -> None:
    patch = (
        b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n--- old\n+++ b/fake\n+two\n"
        b'diff --git "a/o\\"d\\n" "b/o\\"d\\n"\n--- /dev/null\n+++ "b/o\\"d\\n"\n@@ -0,0 +1 @@\n+one\n'
        b"diff --git a/a b b/a b\n--- /dev/null\n+++ b/a b\t\n@@ -0,0 +1 @@\n+x\n\\ No newline at end\n"
    )
    assert list(read_added_lines(patch)) == [("x", "++ b/fake"), ("x", "two"), ('o"d\n', "one"), ("a b", "x")]


# --- snapshots ------------------------------------------------------------------------------------------


async def test_a_snapshot_says_what_changed_and_is_on_no_branch(repos: Repositories) -> None:
    first = await repos.snapshot(P, tree({"a": "1\n2\n", "b": "x\n", "i": b"\0\1"}), None, "first", at=NOON)
    second = await repos.snapshot(
        P, tree({"a": "1\n3\n4\n", "new/c d": "c\n", "i": b"\0\2"}), first.commit, "second", at=NOON
    )
    assert [(c.path, c.action, c.lines_added, c.lines_removed) for c in second.changes] == [
        ("a", "modified", 2, 1),
        ("b", "deleted", 0, 1),
        ("i", "modified", 0, 0),
        ("new/c d", "created", 1, 0),
    ]
    assert await repos.changes(P, first.commit, second.commit) == second.changes
    assert {c.action for c in first.changes} == {"created"}
    lines = set(await repos.added_lines(P, first.commit, second.commit))
    assert lines == {("a", "3"), ("a", "4"), ("new/c d", "c")}
    assert git(repos, "for-each-ref") == ""
    assert await repos.files(P, second.commit) == ["a", "i", "new/c d"]
    assert await repos.file(P, second.commit, "a") == b"1\n3\n4\n"
    assert await repos.file(P, second.commit, "b") is None
    assert await repos.file(P, second.commit, "new") is None


async def test_equal_content_parents_and_time_are_an_equal_commit(
    repos: Repositories, tmp_path: Path
) -> None:
    other = Repositories(tmp_path / "other")
    files = {"a": "1", **program("b/run", "x")}
    assert await commit(repos, files) == await commit(other, files)
    author = git(repos, "show", "--no-patch", "--format=%an %cn %at", await commit(repos, files))
    assert author == f"OmniForge OmniForge {int(NOON.timestamp())}"


async def test_a_tree_like_its_parent_is_its_parent(repos: Repositories) -> None:
    first = await commit(repos, {"a": "1"})
    again = await repos.snapshot(P, tree({"a": "1"}), first, "nothing")
    assert (again.commit, again.changes) == (first, [])


async def test_odd_names_and_links_come_back_as_they_were(repos: Repositories) -> None:
    contents = {
        'quo"te\nline': b"1",
        "-rf": b"2",
        ":(top)x": b"3",
        "tab\tand\x01": b"4",
        "crlf": b"a\r\nb\n",
        "*": b"star",
    }
    files = {path: Entry(path, data) for path, data in contents.items()}
    files |= {"link": Entry("link", target="日本/語")} | program("日本/語", "5")
    made = await repos.snapshot(P, pack_tree(files.values()), None, "odd", at=NOON)
    assert await content(repos, made.commit) == files
    assert made.tree_hash == await repos.tree_hash(P, made.commit)
    assert await repos.file(P, made.commit, "link") is None
    assert await repos.file(P, made.commit, "*") == b"star"
    assert git(repos, "fsck", "--strict", "--no-dangling") == ""


async def test_ignored_files_do_not_count_but_files_of_the_repository_do(repos: Repositories) -> None:
    plain = {"a": "1", ".gitignore": "*.log\nbuild/\n", "sub/.gitignore": "!keep.log\n"}
    first = await repos.snapshot(P, tree(plain), None, "plain")
    noisy = {**plain, "x.log": "x", "build/out": "y", "sub/keep.log": "z"}
    second = await repos.snapshot(P, tree(noisy), first.commit, "noisy")
    assert [c.path for c in second.changes] == ["sub/keep.log"]
    assert (await repos.snapshot(P, tree({**plain, "y.log": ""}), None, "x")).tree_hash == first.tree_hash
    held = await commit(repos, {"a.log": "1"})
    edited = await repos.snapshot(P, tree({"a.log": "2", ".gitignore": "*.log"}), held, "tracked stays")
    assert await repos.file(P, edited.commit, "a.log") == b"2"


async def test_an_executable_file_is_another_tree(repos: Repositories) -> None:
    first = await repos.snapshot(P, tree({"a": "1"}), None, "x")
    second = await repos.snapshot(P, tree(program("a", "1")), first.commit, "x")
    assert first.tree_hash != second.tree_hash
    assert [(c.path, c.action) for c in second.changes] == [("a", "modified")]


async def test_a_tree_decides_nothing_about_how_it_is_kept(repos: Repositories, tmp_path: Path) -> None:
    """Hooks, configuration, filters and encodings of a workspace have no effect."""
    trap = tmp_path / "sprung"
    attributes = "* text eol=crlf ident filter=evil merge=evil diff=evil\n*.u working-tree-encoding=UTF-16\n"
    config = (
        f'[filter "evil"]\n clean = touch {trap}\n smudge = touch {trap}\n[core]\n fsmonitor = touch {trap}\n'
    )
    files = {
        ".git/config": config,
        ".git/hooks/pre-commit": f"#!/bin/sh\ntouch {trap}\n",
        ".git/HEAD": "ref: refs/heads/main",
        "inner/.git/config": config,
        "inner/file": "kept\n",
        ".gitattributes": attributes,
        "a.txt": b"one\r\n$Id$\ntwo\n",
        "b.u": "plain\n",
        ".gitmodules": '[submodule "x"]\n path = x\n url = ../x\n',
        ".gitconfig": config,
    }
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as out:
        for path, text in files.items():
            data = text if isinstance(text, bytes) else text.encode()
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), 0o755 if "hooks" in path else 0o644
            out.addfile(member, io.BytesIO(data))
    made = await repos.snapshot(P, tar.getvalue(), None, "hostile", at=NOON)
    kept = await content(repos, made.commit)
    assert set(files) - set(kept) == {
        ".git/config",
        ".git/hooks/pre-commit",
        ".git/HEAD",
        "inner/.git/config",
    }
    assert kept["a.txt"].content == b"one\r\n$Id$\ntwo\n"
    assert kept["b.u"].content == b"plain\n"
    assert kept["inner/file"].content == b"kept\n"
    await repos.merge(P, "main", made.commit, "x")
    left = await commit(repos, {**kept, "a.txt": "one\n"}, made.commit)
    right = await commit(repos, {**kept, "c": "c"}, made.commit)
    await repos.merge(P, "main", left, "l")
    await repos.merge(P, "main", right, "r")
    assert not trap.exists()
    assert list((repos.root / f"{P}.git" / "scratch").iterdir()) == []


def add_to(repos: Repositories, base: str, *rows: bytes) -> str:
    """A commit that holds what no workspace carries; rows as `update-index --index-info` reads them."""
    index = repos.root / "index"
    env = {"GIT_DIR": str(repos.root / f"{P}.git"), "GIT_INDEX_FILE": str(index), "PATH": "/usr/bin:/bin"}
    subprocess.run(["git", "read-tree", base], check=True, env=env)
    subprocess.run(["git", "update-index", "--index-info"], check=True, env=env, input=b"\n".join(rows))
    made = subprocess.run(["git", "write-tree"], check=True, env=env, capture_output=True, text=True)
    who = ("-c", "user.name=x", "-c", "user.email=x@x")
    return git(repos, *who, "commit-tree", "-p", base, "-m", "x", made.stdout.strip())


async def test_what_no_workspace_carries_stays_unless_something_takes_its_place(repos: Repositories) -> None:
    base = await commit(repos, {"a": "/etc/hosts"})
    blob = git(repos, "rev-parse", f"{base}:a").encode()
    rows = (
        b"160000 " + base.encode() + b"\tlib",
        b"120000 " + blob + b"\tout",
        b"100644 " + blob + b"\tb\xff",
        b"160000 " + base.encode() + b"\tdeep/er",
    )
    start = add_to(repos, base, *rows)
    tar = await repos.tree(P, start)
    assert [one.path for one in trees.unpack(tar)] == ["a"]
    assert (await repos.snapshot(P, tar, start, "same")).commit == start
    edited = await repos.snapshot(P, tree({"a": "2"}), start, "edit")
    assert [c.path for c in edited.changes] == ["a"]
    filled = await repos.snapshot(
        P, tree({"a": "2", "lib/x": "x", "out": "y", "deep": "z"}), edited.commit, "fill"
    )
    assert await repos.files(P, filled.commit) == ["a", "b\\xff", "deep", "lib/x", "out"]
    assert await repos.file(P, filled.commit, "out") == b"y"


# --- branches -------------------------------------------------------------------------------------------


async def test_a_branch_begins_where_the_main_branch_stands(repos: Repositories) -> None:
    await repos.ensure(Project(default_branch="trunk"))
    assert await repos.head(P, "trunk") is None
    assert trees.unpack(await repos.tree(P, None)) == []
    base = await commit(repos, {"a": "1"})
    assert await repos.merge(P, "trunk", base, "first") == base
    assert await repos.default_head(P) == base
    other = await commit(repos, {"b": "1"})
    merged = await repos.merge(P, "feature/TKT-001-b", other, "TSK-001: b", at=NOON)
    assert set(await content(repos, merged)) == {"a", "b"}
    assert await repos.head(P, "trunk") == base
    assert [c.message for c in await repos.commits(P, base, merged)] == ["change", "TSK-001: b"]


async def test_merging_again_changes_nothing(repos: Repositories) -> None:
    base = await commit(repos, {"a": "1"})
    await repos.merge(P, "main", base, "x")
    left = await commit(repos, {"a": "1", "l": "1"}, base)
    right = await commit(repos, {"a": "1", "r": "1"}, base)
    await repos.merge(P, "main", left, "l")
    done = await repos.merge(P, "main", right, "r")
    for again in (base, left, right):
        assert await repos.merge(P, "main", again, "again") == done
    (merged,) = [one for one in await repos.commits(P, None, done) if one.message == "r"]
    assert [c.path for c in merged.changes] == ["r"]


async def test_a_conflict_names_the_paths_and_changes_nothing(repos: Repositories) -> None:
    base = await commit(repos, {"src/a": "1\n", "b": "1\n", "c": "1\n"})
    await repos.merge(P, "main", base, "x")
    left = await commit(repos, {"src/a": "left\n", "c": "1\n", "d/x": "another\nfile\n"}, base)
    right = await commit(repos, {"src/a": "right\n", "b": "2\n", "c": "3\n", "d": "file\n"}, base)
    await repos.merge(P, "main", left, "l")
    with pytest.raises(MergeConflict) as refused:
        await repos.merge(P, "main", right, "r")
    assert refused.value.paths == refused.value.details["paths"] == ["b", "d", "src/a"]
    assert await repos.head(P, "main") == left
    assert right in git(repos, "fsck")


async def test_attempts_are_kept_without_being_merged(repos: Repositories) -> None:
    first, second = await commit(repos, {"a": "1"}), await commit(repos, {"a": "2"})
    await repos.keep(P, "attempts/task-1/1", first)
    assert await repos.head(P, "attempts/task-1/1") == first
    await repos.keep(P, "attempts/task-1/1", second)
    assert await repos.head(P, "attempts/task-1/1") == second
    assert await repos.head(P, "main") is None


@pytest.mark.parametrize("name", ["0" * 40, "HEAD", "--all", "main", "0" * 39, "x\n"])
async def test_only_commits_are_taken_for_commits(repos: Repositories, name: str) -> None:
    await repos.merge(P, "main", await commit(repos, {"a": "1"}), "x")
    for asked in (
        repos.tree(P, name),
        repos.tree_hash(P, name),
        repos.merge(P, "main", name, "x"),
        repos.files(P, name),
    ):
        with pytest.raises(NotFound):
            await asked


@pytest.mark.parametrize("project", ["../up", "", "a/b", ".", "x\0"])
async def test_a_project_is_a_name_not_a_path(repos: Repositories, project: str) -> None:
    with pytest.raises(NotFound):
        await repos.head(project, "main")


async def test_many_merges_at_once_in_one_process_lose_nothing(repos: Repositories) -> None:
    base = await commit(repos, {"a": "1"})
    await repos.merge(P, "main", base, "x")
    made = [await commit(repos, {"a": "1", f"f{n}": "1"}, base) for n in range(4)]
    await asyncio.gather(*(repos.merge(P, "main", one, "x") for one in made))
    head = await repos.head(P, "main")
    assert head is not None
    assert await repos.files(P, head) == ["a", "f0", "f1", "f2", "f3"]


async def test_work_that_ends_while_a_snapshot_begins_disturbs_nobody(repos: Repositories) -> None:
    await commit(repos, {"a": "1"})
    home, over = repos.root / f"{P}.git" / "scratch", threading.Event()

    def come_and_go() -> None:
        while not over.is_set():
            for number in range(50):
                (home / f"other-{number}").mkdir()
            for number in range(50):
                (home / f"other-{number}").rmdir()

    others = asyncio.create_task(asyncio.to_thread(come_and_go))
    try:
        made = [await commit(repos, {"a": str(number)}) for number in range(12)]
    finally:
        over.set()
        await others
    assert len(set(made)) == len(made)


CHILD = """
import asyncio, sys
from pathlib import Path
from omniforge.board.repository import Repositories
async def main():
    repos = Repositories(Path(sys.argv[1]))
    sys.stdin.readline()
    for commit in sys.argv[2:]:
        await repos.merge("project-1", "main", commit, "child")
print("ready", flush=True)
asyncio.run(main())
"""


async def start_child(repos: Repositories, commits: list[str]) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    args = (sys.executable, "-c", CHILD, str(repos.root), *commits)
    return await asyncio.create_subprocess_exec(*args, stdin=pipe, stdout=pipe, stderr=pipe)


async def test_two_processes_merge_at_once_and_lose_nothing(repos: Repositories) -> None:
    base = await commit(repos, {"a": "1"})
    await repos.merge(P, "main", base, "x")
    made = [await commit(repos, {"a": "1", f"f{n}": "1"}, base) for n in range(4)]
    children = [await start_child(repos, half) for half in (made[:2], made[2:])]
    try:
        for child in children:
            assert child.stdout is not None
            assert await child.stdout.readline() == b"ready\n"
        said = await asyncio.gather(*(child.communicate(b"go\n") for child in children))
    finally:
        for child in children:
            if child.returncode is None:
                child.kill()
                await child.wait()
    assert [child.returncode for child in children] == [0, 0], said
    head = await repos.head(P, "main")
    assert head is not None
    assert await repos.files(P, head) == ["a", "f0", "f1", "f2", "f3"]
    assert git(repos, "fsck", "--no-dangling") == ""


async def test_a_repository_that_was_half_made_is_made_anew(repos: Repositories) -> None:
    half = repos.root / f"{P}.half"
    half.mkdir(parents=True)
    (half / "HEAD").write_text("broken")
    assert await repos.head(P, "main") is None
    assert not half.exists()


async def test_what_a_dead_process_left_behind_goes_with_the_next_snapshot(repos: Repositories) -> None:
    await commit(repos, {"a": "1"})
    left = repos.root / f"{P}.git" / "scratch" / "left"
    left.mkdir()
    os.utime(left, (0, 0))
    await commit(repos, {"a": "2"})
    assert not left.exists()


async def test_a_git_that_was_killed_while_it_wrote_a_branch_stops_nobody(repos: Repositories) -> None:
    first = await commit(repos, {"a": "1"})
    await repos.merge(P, "main", first, "x")
    folder = repos.root / f"{P}.git"
    for lock in (folder / "refs" / "heads" / "main.lock", folder / "packed-refs.lock"):
        lock.write_text("")
        os.utime(lock, (0, 0))
    second = await commit(repos, {"a": "2"}, first)
    assert await repos.merge(P, "main", second, "x") == second
    assert git(repos, "fsck") == ""


# --- other repositories ---------------------------------------------------------------------------------


async def test_a_branch_goes_to_another_repository_and_comes_from_there(
    repos: Repositories, tmp_path: Path
) -> None:
    there = Remote(str(tmp_path / "there.git"))
    git(repos, "init", "--quiet", "--bare", there.url)
    base = await commit(repos, {"a": "1"})
    await repos.merge(P, "feature/TKT-001-a", base, "x")
    assert await repos.push(P, "feature/TKT-001-a", there) == base
    assert await repos.push(P, "feature/TKT-001-a", there) == base
    other = Repositories(tmp_path / "other")
    assert await other.fetch(P, "feature/TKT-001-a", there) == base
    ahead = await commit(other, {"a": "2"}, base)
    await other.merge(P, "feature/TKT-001-a", ahead, "x")
    await other.push(P, "feature/TKT-001-a", there)
    behind = await commit(repos, {"a": "3"}, base)
    await repos.merge(P, "feature/TKT-001-a", behind, "x")
    with pytest.raises(ProviderError) as refused:
        await repos.push(P, "feature/TKT-001-a", there)
    assert refused.value.code == "github_error"
    assert await repos.fetch(P, "feature/TKT-001-a", there) == behind
    with pytest.raises(NotFound):
        await repos.push(P, "feature/TKT-002", there)


async def test_the_token_of_another_repository_stands_in_no_command(repos: Repositories) -> None:
    """Nothing listens there; what is said about it does not hold the token."""
    asked: list[str] = []

    async def token() -> str:
        asked.append("x")
        return "ghs_secret"

    await repos.merge(P, "main", await commit(repos, {"a": "1"}), "x")
    with pytest.raises(ProviderError) as refused:
        await repos.push(P, "main", Remote("https://127.0.0.1:9/o/r.git", token))
    assert asked == ["x"]
    assert "ghs_secret" not in str(refused.value.details) + refused.value.message
    assert Remote.github("octo", "shop", token).url == "https://github.com/octo/shop.git"
