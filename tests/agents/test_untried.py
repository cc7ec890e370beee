"""What a test saw at work, and what it did not: every step by what its skill says it may change."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from omniforge.agents.readings import Reading
from omniforge.agents.reports import Seen
from omniforge.agents.untried import may_change, untried
from omniforge.engine.plan import Plan, Step
from omniforge.integrations.manifest import Access

Json = dict[str, Any]

TOOLS = {"get": Access.READ, "post": Access.SEND, "update": Access.WRITE}
CATALOG = {
    "desk": SimpleNamespace(
        tools={name: SimpleNamespace(name=f"desk.{name}", access=access) for name, access in TOOLS.items()}
    )
}
STEP = Step(key="act", kind="skill", args={"skill": "act", "hash": "h", "tool_grant": ["desk.*"]})


def files(front: str = "") -> dict[str, bytes]:
    return {"SKILL.md": f"---\nname: act\ndescription: Acts.\n{front}---\n# act\n".encode()}


class Drawer:
    """One skill, whatever is asked for."""

    def __init__(self, front: str) -> None:
        self.front = front

    async def snapshot(self, tenant_id: str, content_hash: str) -> dict[str, bytes]:
        return files(self.front)


@pytest.mark.parametrize(
    ("front", "expected"),
    [
        ("", None),
        ("allowed-tools: []\n", False),
        ("allowed-tools: [desk.get]\n", False),
        ("allowed-tools: [desk.get, desk.post]\n", True),
        ("allowed-tools: desk.*\n", True),
        ("allowed-tools: [desk.post]\ndisallowed-tools: [desk.post]\n", False),
        ("disallowed-tools: [desk.post, desk.update]\n", False),
    ],
)
def test_what_a_skill_may_change_is_what_it_lists_and_is_granted(front: str, expected: bool | None) -> None:
    assert may_change(STEP, files(front), CATALOG) is expected


def test_what_is_not_granted_cannot_be_changed() -> None:
    step = Step(key="act", kind="skill", args={"skill": "act", "tool_grant": ["desk.get"]})
    assert may_change(step, files("allowed-tools: [desk.post]\n"), CATALOG) is False
    assert may_change(step, files(), CATALOG) is False


def seen(status: str, signal: str = "ok", *, changed: bool = False) -> Seen:
    result: Json | None = {"signal": signal} if status == "completed" else None
    plan: Json = {"steps": [{"key": "act", "args": {}, "needs": ()}]}
    reading = Reading({"steps": [{"key": "act", "status": status, "result": result}]}, plan, {})
    return Seen(reading, [{"step": "act"}] if changed else [])


@pytest.mark.parametrize(
    ("front", "runs", "missing"),
    [
        ("allowed-tools: [desk.post]\n", [seen("completed", changed=True)], False),
        ("allowed-tools: [desk.post]\n", [seen("completed")], True),
        ("allowed-tools: [desk.get]\n", [seen("completed", "empty")], False),
        ("", [seen("completed", "empty")], True),
        ("", [seen("completed", "empty"), seen("completed")], False),
        ("allowed-tools: [desk.get]\n", [seen("skipped")], True),
        ("allowed-tools: [desk.get]\n", [seen("skipped"), seen("completed")], False),
    ],
)
async def test_a_step_counts_as_tried_once_a_run_showed_it_at_work(
    front: str, runs: list[Seen], missing: bool
) -> None:
    skills: Any = Drawer(front)
    found = await untried(Plan((STEP,)), runs, skills, CATALOG, "default")
    assert [one["step"] for one in found] == (["act"] if missing else [])
