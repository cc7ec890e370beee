"""What a run may use and has used: model tokens and money, from the results of its steps."""

from __future__ import annotations

from omniforge.engine.active import ActiveRun
from omniforge.engine.plan import NO_BUDGET, Budget, Step
from omniforge.engine.recovery.policy import Failure


def used(run: ActiveRun, name: str) -> float:
    """How many `tokens`, or how much `money`, the steps of a run have used so far."""
    results = (state.result for state in run.progress.states.values() if not state.is_shared)
    return sum(result.usage.get(name, 0) for result in results if result is not None and result.usage)


def exceeded(run: ActiveRun) -> Failure | None:
    """Why nothing more may start, when the run's budget is used up."""
    budget = run.plan.budget
    if budget is NO_BUDGET:
        return None
    for name, most in (("tokens", budget.tokens), ("money", budget.money)):
        if most is not None and (spent := used(run, name)) >= most:
            return Failure(
                "budget_exceeded",
                f"The run's budget is used up: {spent:g} of {most:g} {name}.",
                retryable=False,
                needs_person=True,
                details={"budget": name, "used": spent, "limit": most},
            )
    return None


def left(run: ActiveRun, step: Step) -> Budget:
    """What a step may still use: its own budget, and not more than the run has left."""
    plan, own = run.plan.budget, step.budget
    if plan.tokens is None and plan.money is None:
        return own
    tokens, money = own.tokens, own.money
    if plan.tokens is not None:
        rest = max(0, plan.tokens - int(used(run, "tokens")))
        tokens = rest if tokens is None else min(tokens, rest)
    if plan.money is not None:
        change = max(0.0, plan.money - used(run, "money"))
        money = change if money is None else min(money, change)
    return Budget(tokens, money)
