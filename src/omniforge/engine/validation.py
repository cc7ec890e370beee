"""Whether a plan can run: every mistake with where it is, before anything is stored (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from omniforge.core.errors import Invalid
from omniforge.engine import templates
from omniforge.engine.plan import BUILT_IN, PLAIN_RETRY, SUBPLAN, WAIT, Action, Plan, Retry, Step, plan_from

MAX_STEPS = 100_000
MAX_DEPTH = 4
"""Plans within plans."""
MAX_ITEMS = 100_000
MAX_SEARCH = 20_000_000
"""Edges looked at to find out whether a step read from afar is an ancestor; bounds what a plan may cost."""
MAX_SHOWN = 50
"""Mistakes told at most."""
_KEYS = re.compile(rf"(?:{templates.KEY.pattern}\n)*")
Mistakes = list[dict[str, Any]]


def validate_plan(plan: Plan, kinds: Iterable[str] | None = None) -> None:
    """Raise `Invalid` listing the mistakes (at most 50); nothing is stored of a plan that does not pass."""
    found = _mistakes(plan, None if kinds is None else frozenset(kinds), "steps", 1)
    if found:
        first = found[0]
        raise Invalid(
            f"This plan cannot run: {first['field']} ({first['value']!r}): {first['rule']}.",
            code="invalid_plan",
            fields=found[:MAX_SHOWN],
        )


def _mistakes(plan: Plan, kinds: frozenset[str] | None, at: str, depth: int) -> Mistakes:
    found: Mistakes = []
    if not plan.steps:
        return [_mistake(at, 0, "a plan has at least one step")]
    if len(plan.steps) > MAX_STEPS:
        return [_mistake(at, len(plan.steps), f"at most {MAX_STEPS} steps")]
    if depth > MAX_DEPTH:
        return [_mistake(at, depth, f"plans within plans go at most {MAX_DEPTH} deep")]
    found += _plan_mistakes(plan, at)
    found += _key_mistakes(plan, at)
    for index, step in enumerate(plan.steps):
        if _is_ordinary(step, kinds):
            continue
        found += _step_mistakes(f"{at}[{index}]", step, kinds)
        if step.kind == SUBPLAN:
            found += _subplan_mistakes(f"{at}[{index}]", step, kinds, depth)
    found += _dangling_mistakes(plan, at)
    found = found or _cycle_mistakes(plan, at)
    return found or _reference_mistakes(plan, at)


def _mistake(where: str, value: Any, rule: str) -> dict[str, Any]:
    return {"field": where, "value": value, "rule": rule}


def _plan_mistakes(plan: Plan, at: str) -> Mistakes:
    found: Mistakes = []
    root = at.removesuffix("steps")
    if plan.estimate is not None and not plan.estimate > 0:
        found.append(_mistake(f"{root}estimate", plan.estimate, "positive seconds, or none"))
    return found + _budget_mistakes(f"{root}budget", plan.budget.tokens, plan.budget.money)


def _key_mistakes(plan: Plan, at: str) -> Mistakes:
    keys = [step.key for step in plan.steps]
    if len(plan.graph.place) == len(keys) and _KEYS.fullmatch("\n".join(keys) + "\n"):
        return []
    found: Mistakes = []
    known = set[str]()
    for index, key in enumerate(keys):
        if not templates.KEY.fullmatch(key):
            found.append(_mistake(f"{at}[{index}].key", key, "letters, digits, '-' and '_', at most 128"))
        if key in known:
            found.append(_mistake(f"{at}[{index}].key", key, "keys are unique in a plan"))
        if key in templates.ROOTS:
            found.append(_mistake(f"{at}[{index}].key", key, f"not one of {', '.join(templates.ROOTS)}"))
        known.add(key)
    return found


def _is_ordinary(step: Step, kinds: frozenset[str] | None) -> bool:
    """The quick look that most steps of a large plan pass."""
    return (
        (kinds is None or step.kind in kinds)
        and step.kind not in BUILT_IN
        and step.retry is PLAIN_RETRY
        and step.join == "all"
        and step.for_each is None
        and step.compensate is None
        and (step.timeout is None or step.timeout > 0)
        and step.key not in templates.ROOTS
        and step.budget.tokens is None
        and step.budget.money is None
        and step.resources.slots == 1
        and len(set(step.needs)) == len(step.needs)
    )


def _step_mistakes(at: str, step: Step, kinds: frozenset[str] | None) -> Mistakes:
    found: Mistakes = []
    if step.key in templates.ROOTS:
        found.append(_mistake(f"{at}.key", step.key, f"not one of {', '.join(templates.ROOTS)}"))
    found += _kind_mistakes(at, step.kind, kinds)
    if step.timeout is not None and not step.timeout > 0:
        found.append(_mistake(f"{at}.timeout", step.timeout, "positive seconds, or none"))
    found += _retry_mistakes(at, step.retry)
    if len(set(step.needs)) != len(step.needs):
        found.append(_mistake(f"{at}.needs", list(step.needs), "names each step once"))
    if isinstance(step.join, int) and not 1 <= step.join <= len(step.needs):
        found.append(_mistake(f"{at}.join", step.join, "all, any, or a number from 1 to that of its needs"))
    if not isinstance(step.join, int) and step.join not in ("all", "any"):
        found.append(_mistake(f"{at}.join", step.join, "all, any, or a number from 1 to that of its needs"))
    if not 1 <= step.max_items <= MAX_ITEMS:
        found.append(_mistake(f"{at}.max_items", step.max_items, f"from 1 to {MAX_ITEMS}"))
    if step.resources.slots < 1:
        found.append(_mistake(f"{at}.resources.slots", step.resources.slots, "at least 1"))
    found += _budget_mistakes(f"{at}.budget", step.budget.tokens, step.budget.money)
    if step.kind == WAIT:
        found += _wait_mistakes(at, step)
    action, where = step.compensate, f"{at}.compensate"
    while action is not None:
        found += _action_mistakes(where, action, kinds)
        action, where = action.probe, f"{where}.probe"
    return found


def _kind_mistakes(at: str, kind: str, kinds: frozenset[str] | None) -> Mistakes:
    if kinds is None or kind in kinds or kind in BUILT_IN:
        return []
    return [_mistake(f"{at}.kind", kind, f"one of {', '.join(sorted(kinds | BUILT_IN))}")]


def _action_mistakes(at: str, action: Action, kinds: frozenset[str] | None) -> Mistakes:
    found = _retry_mistakes(at, action.retry)
    if kinds is not None and action.kind not in kinds:
        found.append(_mistake(f"{at}.kind", action.kind, f"one of {', '.join(sorted(kinds))}"))
    if action.timeout is not None and not action.timeout > 0:
        found.append(_mistake(f"{at}.timeout", action.timeout, "positive seconds, or none"))
    return found


def _retry_mistakes(at: str, retry: Retry) -> Mistakes:
    found: Mistakes = []
    if retry.attempts < 1:
        found.append(_mistake(f"{at}.retry.attempts", retry.attempts, "at least 1"))
    if not (retry.delay >= 0 and retry.max_delay >= 0 and retry.factor >= 1 and 0 <= retry.jitter <= 1):
        rule = "delays of 0 seconds or more, a factor of 1 or more, a jitter from 0 to 1"
        found.append(_mistake(f"{at}.retry", retry.delay, rule))
    return found


def _budget_mistakes(at: str, tokens: int | None, money: float | None) -> Mistakes:
    found: Mistakes = []
    if tokens is not None and tokens <= 0:
        found.append(_mistake(f"{at}.tokens", tokens, "positive, or none"))
    if money is not None and not money > 0:
        found.append(_mistake(f"{at}.money", money, "positive, or none"))
    return found


def _wait_mistakes(at: str, step: Step) -> Mistakes:
    seconds, until = step.args.get("seconds"), step.args.get("until", step.inputs.get("until"))
    for_input = step.args.get("for") == "input"
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds <= 366 * 86400:
        return []
    if seconds is None and (isinstance(until, str) or for_input):
        return []
    rule = "seconds (up to a year), until (a time), or for: input"
    return [_mistake(f"{at}.args", dict(step.args), rule)]


def _subplan_mistakes(at: str, step: Step, kinds: frozenset[str] | None, depth: int) -> Mistakes:
    inner = step.args.get("plan")
    try:
        plan = plan_from(cast("Mapping[str, Any]", inner))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        return [_mistake(f"{at}.args.plan", str(error), "the plan of a subplan step, as JSON")]
    return _mistakes(plan, kinds, f"{at}.args.plan.steps", depth + 1)


def _dangling_mistakes(plan: Plan, at: str) -> Mistakes:
    rule = "names a step of this plan"
    return [_mistake(f"{at}[{index}].needs", need, rule) for index, need in plan.graph.dangling[:MAX_SHOWN]]


def _cycle_mistakes(plan: Plan, at: str) -> Mistakes:
    if len(plan.graph.order) == len(plan.steps):
        return []
    path = _find_cycle({step.key: step.needs for step in plan.steps})
    return [_mistake(at, path, f"no step waits for itself: {' → '.join(path)}")]


def _find_cycle(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """One cycle as a path whose first and last key are the same; the graph is known to have one."""
    safe = set[str]()
    for start in needs:
        path: dict[str, None] = {}
        stack: list[tuple[str, bool]] = [(start, False)]
        while stack:
            key, leaving = stack.pop()
            if leaving:
                path.pop(key)
                safe.add(key)
            elif key in path:
                keys = list(path)
                return [*keys[keys.index(key) :], key][::-1]
            elif key not in safe:
                path[key] = None
                stack.append((key, True))
                stack.extend((need, False) for need in needs[key])
    return []


def _reference_mistakes(plan: Plan, at: str) -> Mistakes:
    """Templates and conditions may only read what is over before their step starts."""
    found: Mistakes = []
    search: _Ancestors | None = None
    for index, step in enumerate(plan.steps):
        if not step.inputs and step.when is None and step.for_each is None and step.compensate is None:
            continue
        reads, mistakes = _reads(f"{at}[{index}]", step)
        found += mistakes
        needs = set(step.needs)
        for where, name in reads:
            own = step.compensate is not None and name == step.key and ".compensate" in where
            if name in needs or own:
                continue
            search = search or _Ancestors(plan)
            answer = search.is_before(name, step)
            if answer is None:
                rule = "refers less often to steps far away: name them in needs, or make the plan smaller"
                return [*found, _mistake(where, name, rule)]
            if not answer:
                found.append(_mistake(where, name, "reads a step that is over before this one starts"))
    return found


def _reads(at: str, step: Step) -> tuple[list[tuple[str, str]], Mistakes]:
    """What a step reads, as (where, key), and what cannot be parsed."""
    found: Mistakes = []
    reads: list[tuple[str, str]] = []
    if step.inputs:
        roots = templates.roots(step.inputs)
        reads = [(f"{at}.inputs", name) for name in roots.difference(templates.ROOTS)]
        if step.for_each is None and not roots.isdisjoint(templates.LOOP):
            rule = "item and index are there under for_each only"
            found.append(_mistake(f"{at}.inputs", sorted(roots & templates.LOOP), rule))
    if step.when is None and step.for_each is None and step.compensate is None:
        return reads, found
    for name, text in (("when", step.when), ("for_each", step.for_each)):
        if text is None:
            continue
        try:
            reads += [(f"{at}.{name}", key) for key in templates.condition_references(text)]
        except ValueError as error:
            found.append(_mistake(f"{at}.{name}", text, str(error)))
    action, where = step.compensate, f"{at}.compensate"
    while action is not None:
        reads += [(f"{where}.inputs", name) for name in templates.references(action.inputs)]
        action, where = action.probe, f"{where}.probe"
    return reads, found


class _Ancestors:
    """Answers who is before whom, with a bound on the work over the whole plan."""

    def __init__(self, plan: Plan) -> None:
        self._steps = plan.by_key
        self._place = {plan.steps[number].key: place for place, number in enumerate(plan.graph.order)}
        self._left = MAX_SEARCH

    def is_before(self, key: str, step: Step) -> bool | None:
        """Whether `key` is an ancestor of `step`; None when the plan asks for too much of this."""
        place = self._place.get(key)
        if place is None or place >= self._place[step.key]:
            return False
        seen = set(step.needs)
        todo = list(step.needs)
        while todo:
            needs = self._steps[todo.pop()].needs
            self._left -= len(needs) + 1
            if self._left < 0:
                return None
            if key in needs:
                return True
            fresh = [need for need in needs if self._place[need] > place and need not in seen]
            seen.update(fresh)
            todo += fresh
        return False
