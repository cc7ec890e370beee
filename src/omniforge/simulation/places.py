"""Where a step such as `key[3]/inner` stands in its plan (pure)."""

from __future__ import annotations

from omniforge.engine.plan import Plan, Step, plan_from


def step_at(plan: Plan, key: str) -> Step:
    """The step of the plan, or of a plan within it, that this key was made from."""
    here = plan
    *outer, last = key.split("/")
    for part in outer:
        here = plan_from(here.by_key[part.partition("[")[0]].args["plan"])
    return here.by_key[last.partition("[")[0]]


def needs_of(plan: Plan, key: str) -> list[str]:
    """Full keys of what must be over before this step starts; what the steps around it need included."""
    needs: list[str] = []
    here, prefix = plan, ""
    *outer, last = key.split("/")
    for part in outer:
        step = here.by_key[part.partition("[")[0]]
        needs += [prefix + need for need in step.needs]
        here, prefix = plan_from(step.args["plan"]), f"{prefix}{part}/"
    return needs + [prefix + need for need in here.by_key[last.partition("[")[0]].needs]


def every_step(plan: Plan) -> list[Step]:
    """Its steps and those of the plans within it."""
    found: list[Step] = []
    for step in plan.steps:
        found.append(step)
        if "plan" in step.args:
            found += every_step(plan_from(step.args["plan"]))
    return found
