"""Recovery meets the run: what follows a failed attempt, by the step's history and what the budget leaves."""

from __future__ import annotations

from dataclasses import replace

from omniforge.engine import budgets
from omniforge.engine.active import ActiveRun
from omniforge.engine.plan import OnError, Step
from omniforge.engine.recovery.decide import decide
from omniforge.engine.recovery.decision import Decision
from omniforge.engine.recovery.history import History
from omniforge.engine.recovery.policy import Failure
from omniforge.engine.state import StepState


def decide_step(run: ActiveRun, step: Step, state: StepState, failure: Failure) -> Decision:
    """What follows a failed attempt; the step remembers it."""
    policy = step.retry
    if step.on_error is OnError.RETRY and policy.attempts == 1:
        policy = replace(policy, attempts=3)
    budget = budgets.left(run, step)
    history = History.from_json(state.history)
    decision = decide(
        failure,
        history,
        policy,
        f"{run.record.id}/{step.key}",
        fallbacks=len(step.resources.fallbacks),
        allows_partial=policy.partial,
        tokens_left=budget.tokens,
        money_left=budget.money,
    )
    state.failures += 1
    state.history = history.after(failure, decision).to_json()
    return decision
