"""Sealed values open only where they belong; keys are read strictly and kept private."""

from __future__ import annotations

import base64
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from omniforge.core.config import Settings
from omniforge.core.crypto import (
    KeyUnusable,
    MasterKeys,
    SealBroken,
    associated_data,
    new_data_key,
    open_sealed,
    read_or_create_key_file,
    seal,
)

KEY = new_data_key()
places = st.tuples(*[st.text(max_size=12)] * 4)


@given(st.binary(max_size=500), places)
def test_what_was_sealed_opens_in_its_place(plaintext: bytes, place: tuple[str, ...]) -> None:
    sealed = seal(KEY, plaintext, associated_data(*place))
    assert open_sealed(KEY, sealed, associated_data(*place)) == plaintext
    assert len(plaintext) < 8 or plaintext not in sealed


@given(places, places)
def test_it_opens_in_no_other_place(place: tuple[str, ...], other: tuple[str, ...]) -> None:
    sealed = seal(KEY, b"token", associated_data(*place))
    if place == other:
        assert open_sealed(KEY, sealed, associated_data(*other)) == b"token"
    else:
        with pytest.raises(SealBroken):
            open_sealed(KEY, sealed, associated_data(*other))


@given(st.lists(st.text(max_size=6), max_size=5), st.lists(st.text(max_size=6), max_size=5))
def test_two_places_never_look_alike(one: list[str], other: list[str]) -> None:
    assert (associated_data(*one) == associated_data(*other)) == (one == other)


@given(st.data())
def test_any_changed_bit_and_any_cut_is_found(data: st.DataObject) -> None:
    sealed = seal(KEY, b"a secret", b"place")
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    changed = bytearray(sealed)
    changed[bit // 8] ^= 1 << (bit % 8)
    cut = sealed[: data.draw(st.integers(0, len(sealed) - 1))]
    for broken in (bytes(changed), cut, sealed + b"\0"):
        with pytest.raises(SealBroken):
            open_sealed(KEY, broken, b"place")


@given(st.binary(max_size=100))
def test_foreign_bytes_do_not_open(foreign: bytes) -> None:
    with pytest.raises(SealBroken):
        open_sealed(KEY, foreign, b"place")


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(SealBroken):
        open_sealed(new_data_key(), seal(KEY, b"x", b"place"), b"place")


def test_the_same_value_is_never_sealed_to_the_same_bytes() -> None:
    assert len({seal(KEY, b"x", b"place") for _ in range(100)}) == 100


def test_the_newest_master_key_wraps_and_older_ones_still_unwrap() -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    before = MasterKeys.from_text(old, "test")
    after = MasterKeys.from_text(f"2:{new}, 1:{old}", "test")
    wrapped = before.wrap(KEY, b"place")
    assert wrapped.version == 1
    assert after.unwrap(wrapped, b"place") == KEY
    again = after.wrap(KEY, b"place")
    assert again.version == 2
    with pytest.raises(KeyUnusable, match="version 2"):
        before.unwrap(again, b"place")


def test_a_wrapped_key_relabelled_with_another_version_does_not_open() -> None:
    keys = MasterKeys.from_text(
        f"1:{Fernet.generate_key().decode()} 2:{Fernet.generate_key().decode()}", "test"
    )
    with pytest.raises(SealBroken):
        keys.unwrap(keys.wrap(KEY, b"place")._replace(version=1), b"place")


GOOD = base64.urlsafe_b64encode(bytes(range(7, 39))).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "secret",
        GOOD[:-1],
        GOOD[:-4],
        GOOD + "A",
        GOOD.replace("=", ""),
        "ä" + GOOD[1:],
        "!" + GOOD[1:],
        base64.urlsafe_b64encode(b"x" * 31).decode(),
        base64.urlsafe_b64encode(b"x" * 33).decode(),
        f"0:{GOOD}",
        f"-1:{GOOD}",
        f"one:{GOOD}",
        f"1:1:{GOOD}",
        f"1:{GOOD},1:{GOOD}",
        f"{GOOD} {GOOD}",
        f"1:{GOOD},",
    ],
)
def test_a_malformed_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(KeyUnusable) as caught:
        MasterKeys.from_text(text, "the setting X")
    assert "the setting X" in caught.value.message
    assert GOOD[2:20] not in caught.value.message + str(caught.value.details)


def test_keys_do_not_show_in_their_representation() -> None:
    assert GOOD[:10] not in repr(MasterKeys.from_text(GOOD, "test"))
    assert "keys=" not in repr(MasterKeys.from_text(GOOD, "test"))


def test_the_first_local_start_makes_a_private_key_and_says_where(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    first = MasterKeys.from_settings(settings)
    path = tmp_path / "home" / "keys" / "master.key"
    assert first.created == path
    assert str(path) in first.source
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["master.key"]
    second = MasterKeys.from_settings(settings)
    assert second.created is None
    assert second.keys == first.keys


def test_a_folder_that_was_there_before_the_key_file_keeps_its_mode(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    read_or_create_key_file(shared / "master.key")
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755


def test_a_permissive_umask_does_not_open_the_key(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        read_or_create_key_file(tmp_path / "keys" / "master.key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "keys" / "master.key").stat().st_mode) == 0o600


def test_starts_at_the_same_time_agree_on_one_key(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "master.key"
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(read_or_create_key_file, [path] * 16))
    assert len({text for text, _ in results}) == 1
    assert sum(created for _, created in results) == 1


def test_the_setting_wins_over_the_file_and_makes_none(tmp_path: Path) -> None:
    keys = MasterKeys.from_settings(Settings(home=tmp_path, credential_encryption_key=SecretStr(GOOD)))
    assert keys.keys == {1: base64.urlsafe_b64decode(GOOD)}
    assert not (tmp_path / "keys").exists()


def test_a_server_for_many_does_not_invent_a_key(tmp_path: Path) -> None:
    with pytest.raises(KeyUnusable, match="CREDENTIAL_ENCRYPTION_KEY"):
        MasterKeys.from_settings(Settings(home=tmp_path, auth_required=True))
    assert not (tmp_path / "keys").exists()


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    MasterKeys.from_settings(settings)
    path = tmp_path / "keys" / "master.key"
    path.chmod(0o640)
    with pytest.raises(KeyUnusable, match="chmod 600"):
        MasterKeys.from_settings(settings)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"not a key\n"])
def test_a_damaged_key_file_is_a_clear_error_and_stays(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keys" / "master.key"
    path.parent.mkdir()
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyUnusable) as caught:
        MasterKeys.from_settings(Settings(home=tmp_path))
    assert str(path) in caught.value.message
    assert path.read_bytes() == content


def test_a_folder_in_place_of_the_key_file_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "master.key"
    path.mkdir(parents=True, mode=0o700)
    path.chmod(0o700)
    with pytest.raises(KeyUnusable, match="cannot be used"):
        MasterKeys.from_settings(Settings(home=tmp_path))
