"""Trees as archives: what goes in comes out, and a hostile archive is refused or reads as less."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniforge.sandboxes.trees import Entry, is_tree_path, pack_tree, read_folder, unpack_tree, write_folder
from omniforge.sandboxes.workspaces import TreeRefused

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=20)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join).filter(is_tree_path)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(PATHS, st.tuples(st.binary(max_size=1500), st.booleans()), max_size=8))
def test_what_is_packed_is_unpacked(files: dict[str, tuple[bytes, bool]]) -> None:
    entries = [
        Entry(path, *kept)
        for path, kept in sorted(files.items())
        if not any(path.startswith(f"{other}/") for other in files)
    ]
    assert unpack_tree(pack_tree(entries)) == entries
    assert unpack_tree(pack_tree(entries, below="a/b"), below="a/b") == entries


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=3000), st.integers(0, 4000), st.binary(min_size=1, max_size=12))
def test_no_archive_breaks_the_reader(noise: bytes, position: int, change: bytes) -> None:
    tree = bytearray(pack_tree([Entry("a" * 150, b"x" * 600), Entry("b", target="c"), Entry("c", b"1")]))
    tree[position : position + len(change)] = change
    for data in (noise, bytes(tree)):
        try:
            found = unpack_tree(data)
        except TreeRefused:
            continue
        assert all(is_tree_path(entry.path) for entry in found)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_archives_of_others_are_read(form: int) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name in ("./plain", "folder/" + "long" * 20 + "/file", "x" * 99):
            member = tarfile.TarInfo(name)
            member.size, member.mode = 3, 0o700
            archive.addfile(member, io.BytesIO(b"abc"))
    found = {entry.path: (entry.content, entry.is_executable) for entry in unpack_tree(out.getvalue())}
    assert found == dict.fromkeys(["plain", "folder/" + "long" * 20 + "/file", "x" * 99], (b"abc", True))


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("../out", None),
        ("/etc/passwd", None),
        ("a/../../b", None),
        (".git/config", None),
        ("sub/.git/hooks/x", None),
        ("link", "/etc"),
        ("link", "../up"),
        ("a/link", "../../up"),
        ("link", "a/.git/config"),
    ],
)
def test_what_leads_out_is_left_out(path: str, target: str | None) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo(path)
        if target is not None:
            member.type, member.linkname = tarfile.SYMTYPE, target
        archive.addfile(member)
    assert unpack_tree(out.getvalue()) == []


def test_a_folder_is_read_without_following_anything(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("s")
    tree = tmp_path / "tree"
    tree.mkdir()
    write_folder(tree, [Entry("a/b", b"1", True), Entry("a/in", target="b")], owner=None)
    (tree / "folder").symlink_to(outside)
    (tree / "climb").symlink_to("../outside/secret")
    os.mkfifo(tree / "pipe")
    os.mkdir(os.fsencode(tree) + b"/\xff")
    assert read_folder(tree) == [Entry("a/b", b"1", True), Entry("a/in", target="b")]
