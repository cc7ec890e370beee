"""How the launcher packs a workspace. That it starts programs is shown in real sandboxes."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

from sandbox_kit.launch import choose_files, header, to_json, ustar_name, write_archive


def pack(folder: Path, chosen: list[tuple[str, int]]) -> dict[str, bytes]:
    """Through a pipe, and read by the standard library's reader."""
    reading, writing = os.pipe()
    with open(reading, "rb") as stream:
        with open(writing, "wb") as end:
            write_archive(end.fileno(), str(folder), chosen)
        data = stream.read()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {info.name: (tar.extractfile(info) or io.BytesIO()).read() for info in tar}


def test_the_archive_is_one_that_others_can_read(tmp_path: Path) -> None:
    files = {"a.txt": b"a" * 700, "empty": b"", "ä/ü.md": "ü".encode(), f"{'d' * 90}/{'e' * 90}/f": b"deep"}
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    chosen, left_out = choose_files(str(tmp_path), 100, 10_000)
    assert pack(tmp_path, chosen) == files
    assert left_out == {}


def test_what_cannot_leave_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(b"good")
    (tmp_path / "large").write_bytes(bytes(2000))
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / os.fsdecode(b"\xff")).touch()
    (tmp_path / ("x" * 120)).touch()
    chosen, left_out = choose_files(str(tmp_path), 100, 1000)
    assert chosen == [("good", 4)]
    assert left_out == {
        "large": "more than 1000 bytes of files",
        "link": "not a regular file",
        "loop": "not a regular file",
        "pipe": "not a regular file",
        "\\udcff": "its path is too long or not UTF-8",
        "x" * 120: "its path is too long or not UTF-8",
    }


def test_files_beyond_the_number_are_left_out_in_order(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}").touch()
    chosen, left_out = choose_files(str(tmp_path), 3, 1000)
    assert [path for path, _ in chosen] == ["0", "1", "2"]
    assert left_out == {"3": "more than 3 files", "4": "more than 3 files"}


def test_long_paths_are_split_where_ustar_allows() -> None:
    assert ustar_name("a") == (b"", b"a")
    assert ustar_name("d" * 150 + "/" + "f" * 100) == (b"d" * 150, b"f" * 100)
    assert ustar_name("d" * 156 + "/" + "f" * 100) is None
    assert ustar_name("f" * 101) is None


def test_a_header_is_one_block() -> None:
    assert len(header(b"", b"a", 1)) == 512


def test_small_answers_need_no_json_library() -> None:
    assert to_json({}) == b"{}"
    assert to_json({"a": "ä"}) == b'{"a": "\\u00e4"}'
