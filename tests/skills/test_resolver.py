"""Finding a skill: the ladder, forms, duplicates, damaged files, links, and what a model is shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from omniforge.core.errors import NotFound
from omniforge.skills import disclosure
from omniforge.skills.errors import SkillNotFound
from omniforge.skills.resolver import (
    Root,
    RootKind,
    SkillIndex,
    local_ladder,
    platform_ladder,
    resolvable,
    resolve,
)

BROKEN = b"---\nname: [a\n---\nText\n"


def text(description: str = "Does a thing", extra: str = "") -> bytes:
    return f"---\ndescription: {description}\n{extra}---\n\nDo it.\n".encode()


def put(root: Path, name: str, data: bytes | None = None) -> Path:
    (root / name).mkdir(parents=True, exist_ok=True)
    (root / name / "SKILL.md").write_bytes(data or text())
    return root / name


@pytest.fixture
def roots(tmp_path: Path) -> list[Root]:
    return platform_ladder(tmp_path / "library", tmp_path / "bundled", "t1", "a1")


def test_the_first_root_that_has_the_name_wins_wholly(roots: list[Root]) -> None:
    for root in reversed(roots):
        folder = put(
            root.path, "x", text(f"From {root.kind}", "priority: 9\n" if root.kind == "global" else "")
        )
        (folder / f"{root.kind}.txt").touch()
        found = resolve("x", roots)
        assert (found.root.kind, found.description) == (root.kind, f"From {root.kind}")
        assert found.base == folder
    assert [root.kind for root in roots] == ["agent", "tenant", "public", "global"]


def test_the_source_chooses_roots(roots: list[Root]) -> None:
    for root in roots[2:]:
        put(root.path, "x")
    assert resolve("x", roots).root.kind is RootKind.PUBLIC
    assert resolve("x", roots, source="custom").root.kind is RootKind.GLOBAL
    assert resolve("x", roots, source="public").root.kind is RootKind.PUBLIC
    put(roots[0].path, "own")
    with pytest.raises(SkillNotFound):
        resolve("own", roots, source="public")


def test_the_local_ladder(tmp_path: Path) -> None:
    ladder = local_ladder(tmp_path / "project", tmp_path / "home", tmp_path / "bundled")
    put(tmp_path / "bundled", "x")
    assert resolve("x", ladder, source="public").root.kind is RootKind.BUNDLED
    put(tmp_path / "home/skills/public-skills", "x")
    assert resolve("x", ladder, source="public").root.kind is RootKind.PUBLIC
    for folder in ("home/skills", "project/.claude/skills", "project/.omniforge/skills"):
        put(tmp_path / folder, "x")
        assert resolve("x", ladder).root.path == tmp_path / folder


def test_unknown_names_come_with_near_ones(roots: list[Root]) -> None:
    for name in ("weekly-report", "weekly-reports", "daily-report", "slack-poster"):
        put(roots[1].path, name)
    with pytest.raises(SkillNotFound) as caught:
        resolve("weekly-repor", roots)
    assert caught.value.details["near"] == ["weekly-report", "weekly-reports", "daily-report"]
    assert "weekly-report" in caught.value.message


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "x/SKILL.md", "/etc", "a\0b", "x" * 10_000])
def test_names_that_are_paths_are_unknown(roots: list[Root], name: str) -> None:
    put(roots[1].path, "x")
    with pytest.raises(SkillNotFound):
        resolve(name, roots)


def test_the_flat_form_is_read_too(roots: list[Root]) -> None:
    put(roots[1].path, "other")
    (roots[1].path / "x.md").write_bytes(text("Flat"))
    (roots[1].path / "README.md").write_bytes(b"Not a skill.\n")
    found = resolve("x", roots)
    assert (found.description, found.base) == ("Flat", roots[1].path)
    with pytest.raises(SkillNotFound):
        resolve("README", roots)


def test_two_of_one_name_in_one_root(roots: list[Root]) -> None:
    put(roots[1].path, "x", text("Folder"))
    (roots[1].path / "x.md").write_bytes(text("Flat"))
    found = resolve("x", roots)
    assert (found.description, [item.code for item in found.diagnostics]) == ("Folder", ["duplicate_name"])
    (roots[1].path / "x.md").write_bytes(text("Flat", "priority: 1\n"))
    assert resolve("x", roots).description == "Flat"


def test_an_unreadable_file_shadows_nothing(roots: list[Root]) -> None:
    put(roots[0].path, "x", BROKEN)
    put(roots[3].path, "x", text("Lower"))
    found = resolve("x", roots)
    assert found.description == "Lower"
    assert [item.code for item in found.diagnostics] == ["unloadable"]
    assert "agent" in found.diagnostics[0].message
    assert "global" in found.diagnostics[0].message
    assert [skill.name for skill in resolvable(roots)] == ["x"]


def test_only_unreadable_files_are_not_found_with_the_reason(roots: list[Root]) -> None:
    put(roots[0].path, "x", BROKEN)
    with pytest.raises(SkillNotFound) as caught:
        resolve("x", roots)
    assert caught.value.details["unloadable"] == [{"file": "SKILL.md", "reason": "bad_yaml"}]
    assert resolvable(roots) == []


def test_hidden_deeper_and_empty_folders_are_no_skills(roots: list[Root]) -> None:
    for name in (".x", ".git", "a/b"):
        put(roots[1].path, name)
    (roots[1].path / "empty").mkdir()
    assert resolvable(roots) == []


def test_links_are_not_followed(roots: list[Root], tmp_path: Path) -> None:
    outside = put(tmp_path / "outside", "x", text("Secret"))
    (roots[1].path / "linked-file").mkdir(parents=True)
    (roots[1].path / "linked").symlink_to(outside)
    (roots[1].path / "linked-file" / "SKILL.md").symlink_to(outside / "SKILL.md")
    (roots[1].path / "flat.md").symlink_to(outside / "SKILL.md")
    os.mkfifo(roots[1].path / "pipe.md")
    roots[0].path.parent.mkdir(parents=True)
    roots[0].path.symlink_to(tmp_path / "outside")
    assert resolvable(roots) == []


def test_the_index_looks_again_after_a_minute_or_when_told(roots: list[Root]) -> None:
    now = [0.0]
    index = SkillIndex(lambda: now[0])
    put(roots[1].path, "x", text("One"))
    assert resolve("x", roots, index=index).description == "One"
    put(roots[1].path, "x", text("Two, longer"))
    now[0] = 59.0
    assert resolve("x", roots, index=index).description == "One"
    assert resolve("x", roots, index=index, force=True).description == "Two, longer"
    put(roots[1].path, "x", text("Three, longer still"))
    now[0] = 200.0
    assert resolve("x", roots, index=index).description == "Three, longer still"


def test_a_listing_has_names_and_descriptions_by_priority_then_use(roots: list[Root]) -> None:
    put(roots[1].path, "b", text("Bee", "tags: [buzz, fly]\n"))
    put(roots[1].path, "a", text("Ay"))
    put(roots[1].path, "c", text("See", "priority: 2\n"))
    put(roots[1].path, "d", text("Hidden", "disable-model-invocation: true\n"))
    put(roots[1].path, "e", text("For models", "user-invocable: false\n"))
    shown = disclosure.listing(resolvable(roots), {"b": 3})
    assert shown == "- c: See\n- b: Bee [buzz, fly]\n- a: Ay\n- e: For models"


def test_a_long_listing_is_cut_at_8000_characters_and_says_so(roots: list[Root]) -> None:
    for number in range(60):
        put(roots[1].path, f"s{number:02}", text("word " * 60))
    shown = disclosure.listing(resolvable(roots))
    assert 7_500 < len(shown) <= 8_000
    *lines, last = shown.splitlines()
    assert f"({60 - len(lines)} more" in last


def test_an_active_skill_shows_its_text_and_files_on_demand(roots: list[Root]) -> None:
    folder = put(roots[0].path, "x", text("X", "allowed-tools: [Read]\n"))
    (folder / "docs").mkdir()
    (folder / "docs" / "a.md").write_bytes(b"more")
    found = resolve("x", roots)
    active = disclosure.activate(found)
    assert (active.body, active.base_path) == ("Do it.\n", str(folder))
    assert [str(rule) for rule in active.allowed_tools or ()] == ["Read"]
    assert disclosure.read_file(found, "docs/a.md") == b"more"


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "docs/../../secret",
        "/etc/passwd",
        "link",
        "dir/secret",
        "docs",
        "",
        ".hidden",
        "a\0b",
        "no",
    ],
)
def test_files_outside_the_folder_are_not_there(roots: list[Root], path: str) -> None:
    folder = put(roots[0].path, "x")
    (roots[0].path / "secret").write_bytes(b"secret")
    (folder / "docs").mkdir()
    (folder / ".hidden").write_bytes(b"h")
    (folder / "link").symlink_to(roots[0].path / "secret")
    (folder / "dir").symlink_to(roots[0].path)
    with pytest.raises(NotFound):
        disclosure.read_file(resolve("x", roots), path)
