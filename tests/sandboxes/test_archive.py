"""The guard of what leaves a sandbox: good archives pass whole, everything else is refused or left out."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.sandboxes.archive import ArchiveRefused, is_safe_path, unpack

CAPS = {"max_bytes": 100_000, "max_files": 100}
PARTS = st.text(st.characters(categories=["L", "N"], max_codepoint=0x2FF), min_size=1, max_size=8)
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


def archive(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def of_files(files: Mapping[str, bytes]) -> bytes:
    return archive([(tarfile.TarInfo(path), content) for path, content in files.items()])


def member(
    name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"", linkname: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = linkname
    return info, content


@given(st.dictionaries(PARTS, st.binary(max_size=2000), max_size=5))
def test_an_honest_archive_passes_whole(files: dict[str, bytes]) -> None:
    unpacked = unpack(of_files(files), **CAPS)
    assert (unpacked.files, unpacked.left_out) == (files, {})


@given(st.binary(max_size=3000))
def test_garbage_is_refused_and_nothing_else_happens(data: bytes) -> None:
    try:
        unpacked = unpack(data, **CAPS)
    except ArchiveRefused:
        return
    assert unpacked.files == {}


@given(st.dictionaries(PATHS, st.binary(max_size=600), min_size=1, max_size=4), st.data())
def test_a_flipped_byte_never_gets_an_unsafe_path_out(files: dict[str, bytes], data: st.DataObject) -> None:
    raw = bytearray(of_files(files))
    for _ in range(data.draw(st.integers(1, 5))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        unpacked = unpack(bytes(raw), **CAPS)
    except ArchiveRefused:
        return
    assert all(is_safe_path(path) for path in unpacked.files)
    assert sum(map(len, unpacked.files.values())) <= CAPS["max_bytes"]


@pytest.mark.parametrize(
    "bad",
    [
        member("/etc/passwd", content=b"x"),
        member("../up", content=b"x"),
        member("a/../../up", content=b"x"),
        member("./dot", content=b"x"),
        member("a//b", content=b"x"),
        member("back\\slash", content=b"x"),
        member("new\nline", content=b"x"),
        member("bell\x07", content=b"x"),
        member("flip\u202etxt", content=b"x"),
        member("link", tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("hard", tarfile.LNKTYPE, linkname="good"),
        member("disk", tarfile.BLKTYPE),
        member("tty", tarfile.CHRTYPE),
        member("pipe", tarfile.FIFOTYPE),
        member("folder", tarfile.DIRTYPE),
        member("sparse", tarfile.GNUTYPE_SPARSE),
        member("good", content=b"again"),
        member("good/below", content=b"x"),
    ],
    ids=lambda bad: repr(bad[0].name),
)
def test_a_bad_member_is_left_out_and_the_others_pass(bad: tuple[tarfile.TarInfo, bytes]) -> None:
    unpacked = unpack(archive([member("good", content=b"g"), bad, member("last", content=b"l")]), **CAPS)
    assert unpacked.files == {"good": b"g", "last": b"l"}
    assert len(unpacked.left_out) == 1


def test_extension_headers_are_not_followed() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("harmless")
        info.pax_headers = {"path": "/etc/evil", "size": "999999999"}
        tar.addfile(info)
    assert "/etc/evil" not in unpack(buffer.getvalue(), **CAPS).files


def test_caps_count_while_reading() -> None:
    files = {f"f{number}": bytes(400) for number in range(10)}
    few = unpack(of_files(files), max_bytes=1000, max_files=100)
    assert list(few.files) == ["f0", "f1"]
    assert set(few.left_out.values()) == {"more than 1000 bytes of files"}
    assert len(unpack(of_files(files), max_bytes=10_000, max_files=3).files) == 3


@pytest.mark.parametrize("cut", [0, 1, 511, 512, 700, 1023])
def test_an_archive_that_ends_too_early_is_refused(cut: int) -> None:
    with pytest.raises(ArchiveRefused):
        unpack(of_files({"a": b"x" * 400})[:cut], **CAPS)


def test_a_size_beyond_the_archive_is_refused() -> None:
    raw = bytearray(of_files({"a": b"x"}))
    raw[124:136] = b"77777777777\0"
    raw[148:156] = b"%06o\0 " % (sum(raw[:148]) + 8 * 32 + sum(raw[156:512]))
    with pytest.raises(ArchiveRefused):
        unpack(bytes(raw), **CAPS)
