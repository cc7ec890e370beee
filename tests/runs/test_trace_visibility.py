"""Who only looks on sees what a run gave, and not every word on the way to it."""

from __future__ import annotations

import pytest

from omniforge.core.actor import Role
from omniforge.runs.shown import TRACE, may_see


@pytest.mark.parametrize("role", [Role.VIEWER, Role.END_CUSTOMER])
def test_viewers_and_customers_see_the_result_only(role: Role) -> None:
    assert not any(may_see(role, type_) for type_ in TRACE)
    assert all(may_see(role, type_) for type_ in ("run.finished", "step.completed", "effect.recorded"))


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.DEVELOPER, Role.ADMIN, Role.OWNER])
def test_those_who_build_see_everything(role: Role) -> None:
    assert all(may_see(role, type_) for type_ in TRACE)
