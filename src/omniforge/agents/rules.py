"""Whether something given is a valid agent; every mistake is found at once (pure)."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from pydantic import ValidationError

from omniforge.agents.content import AgentContent, AgentDraft, EventMode, Snapshot, TriggerType
from omniforge.agents.events import check_filter
from omniforge.agents.planner import plan_for_agent
from omniforge.agents.schedule import check_cron, zone_of
from omniforge.core.errors import Invalid
from omniforge.core.shapes import mistakes
from omniforge.engine.validation import validate_plan
from omniforge.integrations.manifest import Integration

Json = dict[str, Any]
RESERVED_KEYS = frozenset({"input", "config", "prev", "steps"})
_STEP_FIELD = re.compile(r"steps\[(\d+)\]")


def check_draft(given: Mapping[str, Any], catalog: Mapping[str, Any]) -> AgentDraft:
    """The agent that was described; `Invalid` lists every mistake as `{field, value, rule}`.

    catalog: the integrations of this installation by id.
    """
    draft, problems = examine(given, catalog)
    if draft is None or problems:
        first = problems[0]
        raise Invalid(f"{first['field'] or 'This agent'}: {first['rule']}.", fields=problems)
    return draft


def examine(given: Mapping[str, Any], catalog: Mapping[str, Any]) -> tuple[AgentDraft | None, list[Json]]:
    """The agent as far as it can be read, and its mistakes.

    What has the wrong shape is left out and the rest is looked at all the same, so that nobody has to mend
    one mistake only to be told the next.
    """
    rest = copy.deepcopy(dict(given))
    problems: list[Json] = []
    draft: AgentDraft | None = None
    try:
        draft = AgentDraft.model_validate(rest)
    except ValidationError as error:
        problems = _shape_problems(error)
        for item in error.errors():
            _leave_out(rest, item["loc"])
        try:
            draft = AgentDraft.model_validate(rest)
        except ValidationError:
            return None, problems
    told = {problem["field"] for problem in problems}
    problems += [p for p in content_problems(draft, catalog) if p["field"] not in told]
    return draft, problems


def content_problems(content: AgentContent, catalog: Mapping[str, Any]) -> list[Json]:
    """Every mistake of an agent whose fields all have the right shape."""
    problems = _trigger_problems(content) + _event_problems(content, catalog)
    problems += [
        _problem(f"integrations[{index}]", name, f"one of {', '.join(sorted(catalog)) or 'none'}")
        for index, name in enumerate(content.integrations)
        if name not in catalog
    ]
    return problems + _skill_problems(content)


def _trigger_problems(content: AgentContent) -> list[Json]:
    problems: list[Json] = []
    match content.trigger_type, content.schedule:
        case TriggerType.SCHEDULED, None:
            problems.append(_problem("schedule", None, "a scheduled agent has a schedule"))
        case TriggerType.ON_DEMAND | TriggerType.EVENT_DRIVEN, str(schedule):
            problems.append(_problem("schedule", schedule, "only a scheduled agent has a schedule"))
        case _:
            pass
    if content.schedule is not None:
        problems += _refused("schedule", content.schedule, check_cron)
    return problems + _refused("timezone", content.timezone, zone_of)


def _event_problems(content: AgentContent, catalog: Mapping[str, Any]) -> list[Json]:
    config = content.event_config
    if (content.trigger_type is TriggerType.EVENT_DRIVEN) != (config is not None):
        rule = "what starts it; an event-driven agent has this, and no other agent"
        return [_problem("event_config", None if config is None else config.model_dump(mode="json"), rule)]
    if config is None:
        return []
    telling = {
        name: known for name, known in catalog.items() if isinstance(known, Integration) and known.events
    }
    integration = telling.get(config.integration)
    if integration is None:
        rule = f"one that tells of events: {', '.join(sorted(telling)) or 'none here does'}"
        return [_problem("event_config.integration", config.integration, rule)]
    kind = integration.event(config.event)
    if kind is None:
        rule = f"one of {', '.join(sorted(integration.events))}"
        return [_problem("event_config.event", config.event, rule)]
    problems: list[Json] = []
    if integration.needs_connection and config.integration not in content.integrations:
        rule = f"one of the agent's integrations: list {config.integration} there"
        problems.append(_problem("event_config.integration", config.integration, rule))
    match config.mode:
        case EventMode.PUSH if not kind.push:
            problems.append(_problem("event_config.mode", "push", "poll: these are not delivered"))
        case EventMode.POLL if kind.poll is None:
            problems.append(_problem("event_config.mode", "poll", "push: nobody can be asked for these"))
        case _:
            pass
    if config.filter is not None:
        problems += _refused("event_config.filter", config.filter, check_filter)
    return problems


def _skill_problems(content: AgentContent) -> list[Json]:
    problems: list[Json] = []
    orders, keys = set[int](), set[str]()
    for index, reference in enumerate(content.skills):
        at = f"skills[{index}]"
        if reference.order in orders:
            problems.append(_problem(f"{at}.order", reference.order, "each skill has an order of its own"))
        if reference.key in keys:
            rule = "unique in the agent; give a key of its own to a skill that is used twice"
            problems.append(_problem(f"{at}.key", reference.key, rule))
        if reference.key in RESERVED_KEYS:
            rule = f"none of {', '.join(sorted(RESERVED_KEYS))}"
            problems.append(_problem(f"{at}.key", reference.key, rule))
        orders.add(reference.order)
        keys.add(reference.key)
    return problems or _plan_problems(content)


def _plan_problems(content: AgentContent) -> list[Json]:
    """What the plan would be refused for, told in terms of the agent's skills."""
    snapshot = Snapshot(content=content, skill_hashes={ref.key: "" for ref in content.skills})
    try:
        validate_plan(plan_for_agent(snapshot))
    except Invalid as refusal:
        by_order = sorted(range(len(content.skills)), key=lambda index: content.skills[index].order)
        fields = cast("list[Json]", refusal.details["fields"])
        return [{**item, "field": _as_skill_field(item["field"], by_order)} for item in fields]
    return []


def _as_skill_field(field: str, by_order: Sequence[int]) -> str:
    named = _STEP_FIELD.sub(lambda found: f"skills[{by_order[int(found[1])]}]", field)
    return "skills" if named == "steps" else named


def _shape_problems(error: ValidationError) -> list[Json]:
    found = error.errors(include_url=False, include_context=False)
    problems = mistakes(found)
    for item, problem in zip(found, problems, strict=True):
        if item["type"] == "extra_forbidden":
            problem["rule"] = "not a field of an agent"
    return problems


def _leave_out(given: Json, location: Sequence[str | int]) -> None:
    here: Any = given
    for part in location[:-1]:
        try:
            here = here[part]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(here, dict) and location:
        cast("dict[Any, Any]", here).pop(location[-1], None)


def _refused(field: str, value: str, check: Callable[[str], object]) -> list[Json]:
    try:
        check(value)
    except ValueError as refusal:
        return [_problem(field, value, str(refusal))]
    return []


def _problem(field: str, value: Any, rule: str) -> Json:
    return {"field": field, "value": value, "rule": rule}
