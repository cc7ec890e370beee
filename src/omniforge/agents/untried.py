"""Steps that a test never saw at work: what those would do outside is missing from its manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omniforge.agents.reports import Seen
from omniforge.agents.rooms import Skills
from omniforge.engine.plan import Plan, Step
from omniforge.integrations.manifest import Access
from omniforge.skills.allowed_tools import ToolRule
from omniforge.skills.document import SKILL_FILE, load

Json = dict[str, Any]

NEVER_DONE = "It was never its turn, on sample data neither."
NOTHING_SEEN = "It may change something outside, and in no run there was anything to change."


async def untried(
    plan: Plan, runs: Sequence[Seen], skills: Skills, catalog: Mapping[str, Any], tenant_id: str
) -> list[Json]:
    """`{step, message}` of every step that no run did, or that may change something and never did.

    What says that it changes things has to be seen doing so. What does not say, at least having had work.
    """
    rows = [(step["key"], row) for seen in runs for step, row in seen.reading.steps()]
    done = {key for key, row in rows if row["status"] == "completed"}
    busy = {key for key, row in rows if key in done and row["result"] and row["result"]["signal"] != "empty"}
    changed = {str(effect["step"]) for seen in runs for effect in seen.effects}
    found: list[Json] = []
    for step in plan.steps:
        if step.key not in done:
            found.append({"step": step.key, "message": NEVER_DONE})
        elif step.key not in changed:
            files = await skills.snapshot(tenant_id, str(step.args["hash"]))
            changes = may_change(step, files, catalog)
            if changes or (changes is None and step.key not in busy):
                found.append({"step": step.key, "message": NOTHING_SEEN})
    return found


def may_change(step: Step, files: Mapping[str, bytes], catalog: Mapping[str, Any]) -> bool | None:
    """Whether the skill lists a tool that writes or sends and is granted it; None: it lists nothing."""
    document = load(files.get(SKILL_FILE, b""), folder=str(step.args["skill"]))
    granted = [ToolRule(str(name)) for name in step.args.get("tool_grant", ())]
    usable = [tool for tool in _changing(catalog) if any(rule.matches(tool) for rule in granted)]
    usable = [tool for tool in usable if ToolRule(tool) not in document.disallowed_tools.rules]
    listed = document.allowed_tools
    if listed is None:
        return None if usable else False
    return any(ToolRule(rule.tool).matches(tool) for rule in listed for tool in usable)


def _changing(catalog: Mapping[str, Any]) -> list[str]:
    tools = (tool for known in catalog.values() for tool in getattr(known, "tools", {}).values())
    return [str(tool.name) for tool in tools if tool.access is not Access.READ]
