"""From an agent to the Plan that runs it (pure, total over valid agents)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from omniforge.agents.content import AgentSettings, ErrorStrategy, SkillReference, Snapshot
from omniforge.engine.plan import Budget, OnError, Plan, Retry, Step

_CONFIG = re.compile(r"\$\{\s*config((?:\.[^{}.]+)+)\s*\}")
INBOX = "Inbox"
MAX_TOKENS = 200_000
MAX_USD = 1.0
"""What language models may use in one execution."""


def plan_for_agent(snapshot: Snapshot, manifest: Sequence[Mapping[str, Any]] = ()) -> Plan:
    """One step per skill, in ascending order. Equal snapshots and manifests give equal plans.

    manifest: approved effects `{"step", "tool", "destination", "cap", …}`; each step is given its own.
    What the run is started with does not shape the plan: it is the run's input.
    """
    ordered = sorted(snapshot.content.skills, key=lambda reference: reference.order)
    order = {reference.key: reference.order for reference in ordered}
    grant = sorted(_tool_grant(snapshot))
    steps: list[Step] = []
    for index, reference in enumerate(ordered):
        before = [ordered[index - 1].key] if index else []
        needs = before if reference.needs is None else reference.needs
        args = {
            "skill": reference.name,
            "hash": snapshot.skill_hashes[reference.key],
            "config": reference.config,
            "tool_grant": grant,
            "manifest": [dict(effect) for effect in manifest if effect.get("step") == reference.key],
        }
        args |= _wishes(snapshot.content.settings)
        steps.append(_step(reference, args, tuple(sorted(needs, key=lambda key: (order.get(key, 0), key)))))
    outside = any(effect.get("tool") != INBOX and effect.get("access") != "read" for effect in manifest)
    money = snapshot.content.settings.budget_usd
    budget = Budget(MAX_TOKENS, MAX_USD if money is None else money)
    return Plan(steps=tuple(steps), effects_expected=outside, budget=budget)


def _wishes(settings: AgentSettings) -> dict[str, Any]:
    """What an agent wants otherwise than usual."""
    usual = AgentSettings()
    names = ("on_unlisted_effect", "model", "max_iterations", "allow_injection")
    wished = {name: getattr(settings, name) for name in names}
    return {name: value for name, value in wished.items() if value != getattr(usual, name)}


def _step(reference: SkillReference, args: Mapping[str, Any], needs: tuple[str, ...]) -> Step:
    retries = reference.max_retries if reference.error_strategy is ErrorStrategy.RETRY else 0
    return Step(
        key=reference.key,
        kind="skill",
        args=args,
        inputs=_with_config(reference.inputs, reference.config),
        needs=needs,
        join="any",
        when=reference.when,
        on_error=OnError.SKIP if reference.error_strategy is ErrorStrategy.SKIP else OnError.STOP,
        retry=Retry(attempts=1 + retries),
        timeout=float(reference.timeout_seconds),
    )


def _tool_grant(snapshot: Snapshot) -> list[str]:
    content = snapshot.content
    return content.settings.tool_grant or [f"{name}.*" for name in content.integrations]


def _with_config(value: Any, config: Mapping[str, Any]) -> Any:
    """The value with its `${config.path}` filled in; a whole-value reference keeps its type."""
    match value:
        case str():
            whole = _CONFIG.fullmatch(value)
            if whole:
                return _look_up(config, whole[1])
            return _CONFIG.sub(lambda found: _as_text(_look_up(config, found[1])), value)
        case dict():
            parts = cast("dict[str, Any]", value)
            return {name: _with_config(part, config) for name, part in parts.items()}
        case list():
            return [_with_config(part, config) for part in cast("list[Any]", value)]
        case _:
            return value


def _look_up(config: Mapping[str, Any], path: str) -> Any:
    here: Any = config
    for name in path.strip(".").split("."):
        here = cast("Mapping[str, Any]", here).get(name.strip()) if isinstance(here, Mapping) else None
    return here


def _as_text(value: Any) -> str:
    return "" if value is None else str(value)
