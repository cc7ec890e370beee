"""Rules over files: dependencies, lines, paths; what an audit is; the same answer for the same tree."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.board.gate_stage import GateStage, open_gates
from tests.sandboxes.plain_workspaces import tar_of

from omniforge.board.rules import RULES, TREE_RULES
from omniforge.board.rules.audit import NO_AUDITOR, audit_command, has_lock_file
from omniforge.board.rules.base import Verdict
from omniforge.board.rules.dependencies import blocked_dependency
from omniforge.board.rules.difference import forbidden_pattern, protected_path
from omniforge.board.rules.globs import Globs
from omniforge.board.rules.manifests import MANIFESTS, Unreadable, manifest_of, plain_name, read_packages
from omniforge.board.rules.patterns import TooSlow, first_match
from omniforge.board.vocabulary import RuleName
from omniforge.db import Database


@dataclass
class Files:
    """A tree in memory; every line of `added` was added."""

    held: Mapping[str, str] = field(default_factory=dict[str, str])
    added: Mapping[str, str] = field(default_factory=dict[str, str])

    async def files(self) -> list[str]:
        return sorted(self.held)

    async def file(self, path: str) -> bytes | None:
        found = self.held.get(path)
        return None if found is None else found.encode()

    async def changed_paths(self) -> list[str]:
        return sorted(self.added)

    async def added_lines(self) -> Iterable[tuple[str, str]]:
        return [(path, line) for path, text in self.added.items() for line in text.splitlines()]


def test_every_rule_has_a_function_but_the_audit_which_is_a_command() -> None:
    assert {*RULES, *TREE_RULES} == set(RuleName) - {RuleName.DEPENDENCY_AUDIT}


# --- dependencies -------------------------------------------------------------------------------------------

LOCK = '[[package]]\nname = "left.pad"\nversion = "1.0"\n'
DECLARED = {
    "requirements.txt": "# ours\nrequests>=2\nLeft_Pad[fast]==1.0 ; python_version > '3'\n",
    "sub/requirements-dev.txt": "-r other.txt\ngit+https://x.y/z#egg=left-pad\n",
    "pyproject.toml": '[dependency-groups]\ndev = ["ruff", "left.pad>=1"]\n',
    "app/pyproject.toml": '[tool.poetry.group.x.dependencies]\nleft-pad = "^1"\n',
    "setup.cfg": "[options]\ninstall_requires =\n  requests\n  left-pad\n",
    "Pipfile": '[dev-packages]\nleft-pad = "*"\n',
    "Pipfile.lock": json.dumps({"develop": {"left-pad": {"version": "==1.0"}}}),
    "uv.lock": LOCK,
    "poetry.lock": LOCK,
    "package.json": json.dumps({"devDependencies": {"padding": "npm:left-pad@1"}}),
    "web/package-lock.json": json.dumps(
        {"packages": {"": {}, "node_modules/a/node_modules/left-pad": {"version": "1"}}}
    ),
    "npm-shrinkwrap.json": json.dumps({"dependencies": {"a": {"dependencies": {"left-pad": {}}}}}),
    "yarn.lock": '"left-pad@^1.0":\n  version "1.0"\n',
    "pnpm-lock.yaml": "packages:\n  left-pad@1.0.0:\n    resolution: {}\n",
    "Cargo.toml": '[target.x.dependencies]\npad = {package = "left-pad", version = "1"}\n',
    "Cargo.lock": LOCK,
    "Gemfile": "gem 'left-pad', '~> 1'\n",
    "Gemfile.lock": "GEM\n  specs:\n    left-pad (1.0)\n",
}


@pytest.mark.parametrize("path", DECLARED)
async def test_a_blocked_package_is_found_wherever_it_is_declared(path: str) -> None:
    tree = Files({path: DECLARED[path], "readme.md": "left-pad"})
    found = await blocked_dependency(tree, {"names": ["LEFT-pad"]})
    assert not found.passed
    assert path in found.detail
    assert (await blocked_dependency(tree, {"names": ["pad-left"]})).passed


@pytest.mark.parametrize(
    ("path", "text", "name"),
    [
        ("go.mod", "module x\nrequire (\n\tgithub.com/evil/pad v1.2.3\n)\n", "github.com/evil/pad"),
        ("go.sum", "github.com/evil/pad v1.2.3/go.mod h1:abc=\n", "github.com/evil/pad"),
        ("composer.json", '{"require": {"php": "8", "evil/pad": "1"}}', "evil/pad"),
        ("composer.lock", '{"packages-dev": [{"name": "evil/pad", "version": "1"}]}', "evil/*"),
        ("package.json", '{"dependencies": {"@evil/pad": "1"}}', "@evil/pad"),
        ("pnpm-lock.yaml", "packages:\n  '@evil/pad@1.0.0(x@1)': {}\n", "@evil/*"),
    ],
)
async def test_names_with_a_place_and_with_any_part_are_found(path: str, text: str, name: str) -> None:
    assert not (await blocked_dependency(Files({path: text}), {"names": [name]})).passed


async def test_what_is_installed_is_not_what_is_declared() -> None:
    tree = Files({"node_modules/x/package.json": '{"dependencies": {"left-pad": "1"}}'})
    assert (await blocked_dependency(tree, {"names": ["left-pad"]})).passed


@pytest.mark.parametrize("path", ["uv.lock", "package.json", "pyproject.toml", "pnpm-lock.yaml", "setup.cfg"])
async def test_a_manifest_that_cannot_be_read_shows_nothing(path: str) -> None:
    found = await blocked_dependency(Files({path: "{[ : broken\n]"}), {"names": ["left-pad"]})
    assert not found.passed
    assert "cannot be read" in found.detail


@given(st.sampled_from([one.names[0].replace("*", "x") for one in MANIFESTS]), st.text(max_size=300))
def test_no_text_breaks_a_reader(path: str, text: str) -> None:
    manifest = manifest_of(path)
    assert manifest is not None
    with suppress(Unreadable):
        for package in read_packages(manifest, path, text.encode("utf-8", "replace")):
            assert isinstance(plain_name(package.name), str)


# --- audits -------------------------------------------------------------------------------------------------


async def test_a_tree_without_lock_files_has_nothing_to_audit() -> None:
    tree = Files({"pyproject.toml": '[project]\ndependencies = ["x"]\n', "requirements.txt": "x>=1\n"})
    assert not await has_lock_file(tree)
    found = await audit_command(tree, "high")
    assert isinstance(found, Verdict)
    assert found.passed


async def test_requirements_that_fix_every_version_are_a_lock_file() -> None:
    assert await has_lock_file(Files({"requirements.txt": "x==1.0\ny==2.0 --hash=sha256:abc\n"}))
    assert await has_lock_file(Files({"package-lock.json": "broken"}))


def run(command: str, folder: Path, programs: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """A command where these programs, and the plain ones of the system, are found."""
    place = folder / "bin"
    place.mkdir()
    plain = ("mktemp", "cp", "cat", "echo", "printf", "ls")
    found = {name: path for name in plain for path in [f"/bin/{name}"] if os.path.exists(path)}
    for name, path in found.items():
        (place / name).symlink_to(path)
    for name, text in programs.items():
        (place / name).write_text(f"#!/bin/sh\n{text}\n")
        (place / name).chmod(0o755)
    env = {"PATH": str(place), "TMPDIR": str(folder)}
    return subprocess.run(
        ["/bin/sh", "-c", command], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


async def test_without_an_auditor_an_audit_fails_and_says_so(tmp_path: Path) -> None:
    command = await audit_command(Files({"uv.lock": LOCK}), "high")
    assert isinstance(command, str)
    done = run(command, tmp_path, {})
    assert done.returncode == NO_AUDITOR
    assert "No auditor for Python packages" in done.stdout


async def test_an_audit_of_python_asks_for_every_fixed_version(tmp_path: Path) -> None:
    files = {"uv.lock": LOCK, "sub/requirements.txt": "six==1.16.0\n"}
    command = await audit_command(Files(files), "high")
    assert isinstance(command, str)
    script = 'for last; do :; done; cat "$last"'
    done = run(command, tmp_path, {"pip-audit": script})
    assert (done.returncode, done.stdout.split()) == (0, ["left-pad==1.0", "six==1.16.0"])


async def test_an_audit_of_node_reads_copies_and_no_settings_of_the_tree(tmp_path: Path) -> None:
    lock = json.dumps({"packages": {"node_modules/a": {"version": "1.0.0"}}})
    files = {"web/package.json": "{}", "web/package-lock.json": lock, "web/.npmrc": "audit=false"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    command = await audit_command(Files(files), "critical")
    assert isinstance(command, str)
    done = run(command, tmp_path, {"npm": 'echo "$@"; ls -A; exit 1'})
    assert done.returncode == 1
    assert "--audit-level=critical" in done.stdout
    assert "package-lock.json" in done.stdout
    assert ".npmrc" not in done.stdout


async def test_a_lock_file_that_nobody_can_audit_fails(tmp_path: Path) -> None:
    command = await audit_command(Files({"Cargo.lock": LOCK}), "high")
    assert isinstance(command, str)
    done = run(command, tmp_path, {})
    assert (done.returncode, done.stdout.strip()) == (NO_AUDITOR, "No auditor is known for Cargo.lock.")


async def test_names_from_a_lock_file_are_never_a_command(tmp_path: Path) -> None:
    evil = '[[package]]\nname = "$(touch owned)\'; touch owned; \'"\nversion = "1.0; touch owned"\n'
    more = '[[package]]\nname = "\'; touch owned #"\nversion = "1.0"\n'
    command = await audit_command(Files({"uv.lock": evil + more}), "high")
    assert isinstance(command, str)
    run(command, tmp_path, {"pip-audit": "exit 0", "touch": "echo > owned"})
    assert not (tmp_path / "owned").exists()


async def test_the_installations_own_auditor_goes_before_ours() -> None:
    assert await audit_command(Files({"Cargo.lock": LOCK}), "high", "my-audit") == "my-audit"


# --- lines and paths ----------------------------------------------------------------------------------------


async def test_only_added_lines_are_searched() -> None:
    tree = Files({"a.py": "password = 1\n"}, added={"b.py": "print()\n"})
    assert (await forbidden_pattern(tree, {"patterns": [r"password\s*="]})).passed
    found = await forbidden_pattern(
        Files(added={"b.py": "x\npassword = 2\n"}), {"patterns": ["y", "password"]}
    )
    assert not found.passed
    assert "b.py" in found.detail


async def test_a_pattern_that_would_search_for_ever_is_ended_and_shows_nothing() -> None:
    lines = [("a", "a" * 60 + "!")]
    with pytest.raises(TooSlow):
        first_match([r"(a|aa|a?a)+$"], lines, seconds=0.2)


GLOBS = [
    ("secret.txt", "secret.txt", True),
    ("secret.txt", "deep/down/secret.txt", True),
    ("/secret.txt", "deep/secret.txt", False),
    ("*.pem", "keys/a.pem", True),
    ("keys/*.pem", "keys/a.pem", True),
    ("keys/*.pem", "keys/old/a.pem", False),
    ("keys/**", "keys/old/a.pem", True),
    ("keys/**", "keys", False),
    ("**/migrations", "app/migrations/0001.py", True),
    ("a/**/z", "a/z", True),
    ("a/**/z", "a/b/c/z", True),
    ("migrations/", "app/migrations/0001.py", True),
    ("migrations/", "migrations", False),
    ("migrations", "migrations2/x", False),
    ("file?.txt", "file1.txt", True),
    ("file?.txt", "file/.txt", False),
    ("file[0-9].txt", "file7.txt", True),
    ("file[!0-9].txt", "file7.txt", False),
    (r"a\*b", "a*b", True),
    (r"a\*b", "axb", False),
    ("[z-a]", "z", True),
    ("[z-a]", "a", False),
    ("x[[:digit:]]y", "x1y", True),
    ("x[[:digit:]-]y", "x-y", True),
    ("x[]a]y", "x]y", True),
    ("x[^]a]y", "xby", True),
    ("x[a-c-]y", "x-y", True),
    ("x[/]y", "x/y", False),
    ("x[ab", "x[ab", False),
    ("# comment", "# comment", False),
    ("", "", False),
]


@pytest.mark.parametrize(("glob", "path", "matches"), GLOBS)
def test_globs_are_read_as_git_reads_them(glob: str, path: str, matches: bool) -> None:
    assert Globs([glob]).match(path) is matches


@pytest.mark.parametrize(("glob", "path"), [(glob, path) for glob, path, _ in GLOBS if glob and path])
def test_git_itself_says_the_same(glob: str, path: str, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text(f"{glob}\n")
    asked = ["git", "-C", str(tmp_path), "check-ignore", "-q", "--no-index", path]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    ignored = subprocess.run(asked, env=env, check=False).returncode == 0
    assert Globs([glob]).match(path) is ignored


async def test_the_last_glob_that_matches_counts() -> None:
    wanted = Globs(["docs/", "!docs/readme.md", "docs/readme.md.bak"])
    assert wanted.among(["docs/a", "docs/readme.md", "docs/readme.md.bak"]) == [
        "docs/a",
        "docs/readme.md.bak",
    ]
    assert (await protected_path(Files(added={"a/b": ""}), {"globs": ["b"]})).detail == "Touched: a/b."


@given(st.lists(st.text("ab*?[]!/\\.#^-", max_size=12), max_size=4), st.text("ab/.", max_size=12))
def test_no_glob_breaks_the_matching(globs: list[str], path: str) -> None:
    assert Globs(globs).match(path) in (True, False)


# --- over a real repository ---------------------------------------------------------------------------------


@pytest.fixture
async def stage(database: Database, tmp_path: Path) -> AsyncIterator[GateStage]:
    async with open_gates(database, tmp_path / "home", auditor="test -f uv.lock && exit 4") as stage:
        yield stage


async def test_what_others_did_meanwhile_is_not_the_work_of_the_ticket(stage: GateStage) -> None:
    settings: dict[str, Any] = {"forbidden_patterns": ["SECRET"], "protected_paths": ["/other.py"]}
    ticket_id = await stage.building(settings)
    ticket = await stage.row(ticket_id)
    repositories = stage.repositories
    begun = await stage.work(ticket_id, {"main.py": "print()\n"})
    await repositories.merge(ticket.project_id, "main", begun, "begun")
    tree = tar_of({"main.py": "print()\n", "other.py": "SECRET\n"})
    other = await repositories.snapshot(ticket.project_id, tree, begun, "other")
    await repositories.merge(ticket.project_id, "main", other.commit, "other")
    await stage.work(ticket_id, {"main.py": "print(2)\n"})
    shown = await stage.statuses(ticket_id)
    assert (shown["forbidden_pattern"], shown["protected_path"]) == ("pass", "pass")
    await stage.work(ticket_id, {"main.py": "SECRET\n", "other.py": "mine\n"})
    shown = await stage.statuses(ticket_id)
    assert (shown["forbidden_pattern"], shown["protected_path"]) == ("fail", "fail")


async def test_an_audit_is_run_where_a_lock_file_is_and_leaves_a_receipt(stage: GateStage) -> None:
    ticket_id = await stage.building()
    assert "dependency_audit" not in await stage.statuses(ticket_id)
    await stage.work(ticket_id, {"uv.lock": LOCK})
    assert (await stage.status(ticket_id))["readiness"] == "waiting_checks"
    await stage.advance(ticket_id)
    check = await stage.check(ticket_id, "dependency_audit")
    assert (check["status"], check["tier"]) == ("fail", 2)
    (receipt,) = await stage.receipts(ticket_id)
    assert (receipt.exit_code, check["evidence"]) == (4, receipt.id)
    assert (await stage.row(ticket_id)).status == "building"
