"""Opening a provider by its name, and who a sandbox runs as."""

from __future__ import annotations

import pytest

from omniforge.core.errors import Invalid
from omniforge.sandboxes import SandboxUnavailable, open_provider
from omniforge.sandboxes.staging import FEW_UIDS, UNUSED_UIDS, usable_uids


def test_an_unknown_provider_is_named_with_the_known_ones() -> None:
    with pytest.raises(Invalid, match=r"no sandbox provider 'moon'.*local"):
        open_provider("moon")


@pytest.mark.parametrize(
    ("uid_map", "pool"),
    [
        ("0 0 4294967295\n", UNUSED_UIDS),
        ("0 100000 65536\n", FEW_UIDS),
        ("0 1000 1\n1 100000 65536\n", FEW_UIDS),
    ],
)
def test_uids_come_from_those_that_exist_here(uid_map: str, pool: range) -> None:
    assert usable_uids(uid_map).pool == pool


def test_root_without_other_uids_cannot_run_sandboxes() -> None:
    with pytest.raises(SandboxUnavailable, match="ordinary user"):
        usable_uids("0 1000 1\n")


def test_no_uid_is_handed_out_twice_at_once() -> None:
    uids = usable_uids("0 0 4294967295\n")
    uids.pool = range(5, 8)
    with uids.lease() as first, uids.lease() as second, uids.lease() as third:
        assert {first, second, third} == {5, 6, 7}
    assert uids.taken == set()
