"""What the launcher hands out is read as far as it makes sense, whoever wrote it."""

from __future__ import annotations

import io
import tarfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.sandboxes import InterpreterMissing, Limits
from omniforge.sandboxes.results import READY, HandedOut, most_bytes, read_results

END = bytes(1024)


def tar(*names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()


def test_an_honest_stream() -> None:
    stream = (
        READY + b'{"exit_code": 3, "disk_full": true, "left_out": {"big": "too big"}}\n' + tar("a", "b/c")
    )
    assert read_results(stream, Limits()) == HandedOut(
        True, 3, True, {"a": b"", "b/c": b""}, {"big": "too big"}
    )


def test_a_launcher_that_never_started_is_not_ready() -> None:
    assert read_results(b"", Limits()) == HandedOut()


def test_a_launcher_that_was_killed_says_nothing_more() -> None:
    assert read_results(READY, Limits()) == HandedOut(is_ready=True)


def test_a_program_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(InterpreterMissing, match="node: No such file"):
        read_results(READY + b'{"not_started": "node: No such file or directory"}\n', Limits())


@pytest.mark.parametrize("code", [b"-1", b"256", b"true", b'"0"', b"null", b"1e3"])
def test_an_exit_code_that_cannot_be_is_ignored(code: bytes) -> None:
    assert read_results(READY + b'{"exit_code": %b}\n' % code + END, Limits()).exit_code is None


def test_forged_files_do_not_get_out() -> None:
    stream = READY + b'{"exit_code": 0, "left_out": [1]}\n' + tar("/etc/evil", "../evil", "good")
    handed_out = read_results(stream, Limits())
    assert list(handed_out.files) == ["good"]
    assert set(handed_out.left_out) == {"/etc/evil", "../evil"}


def test_a_broken_archive_is_told() -> None:
    handed_out = read_results(READY + b'{"exit_code": 0}\n' + b"x" * 600, Limits())
    assert (handed_out.exit_code, handed_out.files) == (0, {})
    assert handed_out.left_out == {"/workspace": "A header of the archive is broken."}


@given(st.binary(max_size=2000))
def test_any_bytes_are_read_without_an_unknown_error(garbage: bytes) -> None:
    with suppress(InterpreterMissing):
        read_results(READY + garbage, Limits())


def test_the_most_that_is_read_has_room_for_headers() -> None:
    limits = Limits(artifact_bytes=5000, artifact_files=10)
    assert most_bytes(limits) >= 5000 + 10 * (512 + 511) + 1024
