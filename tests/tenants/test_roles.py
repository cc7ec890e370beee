"""The role table grants what it says, and a narrow grant is never taken for a wide one."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.core.actor import Actor, Role
from omniforge.core.errors import Forbidden, Invalid
from omniforge.tenants.roles import expand, may_for, meet, permissions_of, require_for

# ● everything, o own rows, p published ones, l limits, - nothing
COLUMNS = ("viewer", "operator", "developer", "admin", "owner", "end_customer")
EXPECTED = """
    agent:view           ●●●●●p
    agent:execute        -●●●●p
    agent:create         -●●●●-
    agent:edit           -o●●●-
    agent:delete         -o●●●-
    agent:share          -o●●●-
    skill:view           ●●●●●-
    skill:create         -o●●●-
    skill:edit           -o●●●-
    skill:delete         --●●●-
    skill:share          --●●●-
    skill:curate         ---●●-
    integration:view     ●●●●●o
    integration:connect  -●●●●o
    integration:manage   ---●●-
    org:view             -●●●●-
    org:manage           ---●●-
    org:publish          --●●●-
    board:view           ●●●●●-
    board:edit           -●●●●-
    board:sandbox        -●●●●-
    board:github         -●●●●-
    board:approve        --●●●-
    board:force          ---●●-
    audit:view           ---●●-
    key:manage           -oo●●-
    user:manage          ---●●-
    tenant:manage        ---l●-
"""
SUFFIX = {"●": "", "o": ":own", "p": ":published", "l": ":limits"}
roles = st.sampled_from(Role)
every_name = sorted({name for role in Role for name in permissions_of(role)})


def someone(role: Role) -> Actor:
    return Actor("t", "u", role, "user:u", permissions_of(role))


@pytest.mark.parametrize("role", Role)
def test_the_table_is_the_published_one(role: Role) -> None:
    expected: set[str] = set()
    for line in EXPECTED.split("\n")[1:-1]:
        name, cells = line.split()
        cell = cells[COLUMNS.index(role.value)]
        if cell != "-":
            expected.add(name + SUFFIX[cell])
    assert permissions_of(role) == expected


def test_each_role_of_the_ladder_has_all_of_the_one_below() -> None:
    ladder = [Role.VIEWER, Role.OPERATOR, Role.DEVELOPER, Role.ADMIN, Role.OWNER]
    for lower, higher in pairwise(ladder):
        assert meet(permissions_of(lower), permissions_of(higher)) == permissions_of(lower)


def test_a_grant_for_own_rows_does_not_pass_where_no_row_is_known() -> None:
    operator = someone(Role.OPERATOR)
    with pytest.raises(Forbidden, match="agent:edit"):
        operator.require("agent:edit")


def test_a_grant_for_own_rows_passes_for_own_rows_only() -> None:
    operator = someone(Role.OPERATOR)
    require_for(operator, "agent:edit", own=True)
    with pytest.raises(Forbidden) as caught:
        require_for(operator, "agent:edit", own=False)
    assert caught.value.details["permission"] == "agent:edit"
    assert not may_for(someone(Role.VIEWER), "agent:edit", own=True)
    assert may_for(someone(Role.ADMIN), "agent:edit", own=False)


@given(st.sets(st.sampled_from(every_name)), roles)
def test_a_key_never_has_more_than_its_creator(wanted: set[str], role: Role) -> None:
    held = permissions_of(role)
    for name in meet(wanted, held):
        area, verb, *_ = name.split(":")
        assert name in held or f"{area}:{verb}" in held


@given(st.sets(st.sampled_from(every_name)), roles)
def test_a_key_never_has_more_than_was_asked_for(wanted: set[str], role: Role) -> None:
    for name in meet(wanted, permissions_of(role)):
        area, verb, *_ = name.split(":")
        assert name in wanted or f"{area}:{verb}" in wanted


@given(st.sets(st.sampled_from(every_name)))
def test_the_meet_with_everything_changes_nothing(wanted: set[str]) -> None:
    assert meet(wanted, permissions_of(Role.OWNER)) | {n for n in wanted if n.count(":") == 2} >= wanted


def test_a_wide_wish_narrows_with_the_creator() -> None:
    assert meet({"agent:edit"}, permissions_of(Role.OPERATOR)) == {"agent:edit:own"}
    assert meet({"agent:edit"}, permissions_of(Role.VIEWER)) == frozenset()
    assert meet({"agent:edit:own"}, permissions_of(Role.OWNER)) == {"agent:edit:own"}


def test_an_area_is_written_out() -> None:
    assert expand(["org:*"]) == {"org:view", "org:manage", "org:publish"}


@pytest.mark.parametrize(
    "name", ["agent:fly", "agents:*", "*", "*:*", "agent", "", "agent:view:all", "a:b:c:d"]
)
def test_an_unknown_permission_is_named(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        expand(["agent:view", name])
    assert [field["value"] for field in caught.value.details["fields"]] == [name]
