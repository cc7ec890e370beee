"""The working folder's walls, the allow-list, and the effect lock."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniforge.core.errors import Invalid, NotFound
from omniforge.runs.service import Mode
from omniforge.runtime.tools.policy import EffectLock, EffectNotApproved, ToolPolicy, ToolRefused
from omniforge.runtime.tools.protocol import CallScope, Target
from omniforge.runtime.tools.workspace import TOOLS

READ, WRITE, GLOB, EDIT = TOOLS


def scope(folder: Path) -> CallScope:
    return CallScope("t", "u", Mode.LIVE, datetime(2026, 1, 5, tzinfo=UTC), folder)


async def test_what_was_written_can_be_read_and_listed(tmp_path: Path) -> None:
    here = scope(tmp_path)
    await WRITE.call({"path": "reports/week.md", "text": "ä\nb"}, here)
    assert (await READ.call({"path": "reports/week.md"}, here))["text"] == "ä\nb"
    assert (await GLOB.call({"pattern": "**/*.md"}, here))["files"] == ["reports/week.md"]


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", ".", "link/x", "link", "a\x00b"])
async def test_nothing_outside_the_folder_is_reached(tmp_path: Path, path: str) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "x").write_text("secret")
    (inside / "link").symlink_to(outside)
    for tool, args in ((READ, {"path": path}), (WRITE, {"path": path, "text": "no"})):
        with pytest.raises(Invalid):
            await tool.call(args, scope(inside))
    assert (outside / "x").read_text() == "secret"
    assert [p.name for p in outside.iterdir()] == ["x"]


async def test_a_pattern_that_climbs_is_refused_and_a_missing_file_is_not_found(tmp_path: Path) -> None:
    for pattern in ("../*", "/etc/*"):
        with pytest.raises(Invalid):
            await GLOB.call({"pattern": pattern}, scope(tmp_path))
    with pytest.raises(NotFound):
        await READ.call({"path": "absent"}, scope(tmp_path))


async def test_the_folder_does_not_grow_without_end(tmp_path: Path) -> None:
    for number in range(20):
        await WRITE.call({"path": f"f{number}", "text": "x" * 1_000_000}, scope(tmp_path))
    with pytest.raises(Invalid) as refused:
        await WRITE.call({"path": "one-more", "text": "x" * 1_000_000}, scope(tmp_path))
    assert refused.value.code == "workspace_full"


def test_arguments_are_checked_and_every_mistake_is_named() -> None:
    with pytest.raises(Invalid) as refused:
        WRITE.check({"path": 3, "extra": 1})
    assert {field["field"] for field in refused.value.details["fields"]} == {"path", "text", "extra"}


def test_a_tool_needs_the_agents_grant_and_the_skills_list() -> None:
    policy = ToolPolicy(
        ["Read", "notion.*"], lambda tool, _: tool == "notion.query_database", ["notion.query_database"]
    )
    policy.check("report", "notion.query_database", "")
    with pytest.raises(ToolRefused, match=r"allowed-tools are notion\.query_database"):
        policy.check("report", "Read", "x")
    with pytest.raises(ToolRefused, match="does not grant"):
        policy.check("report", "slack.post", "")
    assert policy.offers("notion.read_page")
    assert not policy.offers("notionx.read_page")


PLACES = [Target("notion", "c1", name, name) for name in ("a", "b")] + [Target("slack", "c1", "a", "a")]


def entry(target: Target, tool: str, cap: int) -> dict[str, Any]:
    return {"tool": tool, "destination": target.shown(), "cap": cap}


@given(
    st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(["w", "s"]), st.integers(1, 3)), max_size=4),
    st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(["w", "s"])), max_size=20),
)
def test_no_effect_passes_that_was_not_approved_and_none_more_often(
    approved: list[tuple[Target, str, int]], tried: list[tuple[Target, str]]
) -> None:
    lock = EffectLock([entry(target, tool, cap) for target, tool, cap in approved])
    passed: dict[tuple[Target, str], int] = {}
    for target, tool in tried:
        try:
            lock.pass_through(tool, target)
        except EffectNotApproved:
            continue
        passed[target, tool] = passed.get((target, tool), 0) + 1
    for (target, tool), count in passed.items():
        assert count <= sum(cap for place, name, cap in approved if (place, name) == (target, tool))
    for target, tool, _ in approved:
        if (target, tool) in tried:
            assert passed.get((target, tool), 0) >= 1


def test_a_refusal_says_what_was_approved() -> None:
    lock = EffectLock([entry(Target("slack", "c1", "C1", "#team-updates"), "slack.post", 1)])
    with pytest.raises(EffectNotApproved, match="you approved #team-updates only"):
        lock.pass_through("slack.post", Target("slack", "c1", "C2", "#general"))
