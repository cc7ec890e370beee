"""The one question after a failed attempt: what now? Each kind of failure has its strategy (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from omniforge.engine.plan import Retry
from omniforge.engine.recovery.decision import Again, AskPerson, Decision, GiveUp, Move
from omniforge.engine.recovery.fallback import go_elsewhere
from omniforge.engine.recovery.fix import fix
from omniforge.engine.recovery.history import History
from omniforge.engine.recovery.policy import Failure, FailureKind
from omniforge.engine.recovery.repair import repair
from omniforge.engine.recovery.retry import Case, make_room, repeat, retry, slow_down
from omniforge.engine.recovery.simplify import ask_for_less, make_context_fit

RE_READS = 2
Strategy = Callable[[Case], Decision]


def _ask(case: Case) -> Decision:
    return AskPerson(case.failure.message)


def _give_up(case: Case) -> Decision:
    return GiveUp(case.failure.message)


def _read_again(case: Case) -> Decision:
    """A checkpoint that does not hold is never used: the one before it is, and the work since is redone."""
    done = case.history.made(Move.EARLIER_CHECKPOINT)
    if done >= RE_READS:
        return AskPerson("Stored results keep coming back damaged; a person has to look at the disk.")
    reason = "A stored result is damaged; the step goes on from the last good one."
    return Again(case.wait(0.0), reason, case.hints(checkpoint="previous"), Move.EARLIER_CHECKPOINT)


LADDER: Mapping[FailureKind, Strategy] = MappingProxyType(
    {
        FailureKind.TIMEOUT: ask_for_less,
        FailureKind.CONTEXT_FULL: make_context_fit,
        FailureKind.BAD_OUTPUT: repair,
        FailureKind.EXHAUSTED: make_room,
        FailureKind.CORRUPTED: _read_again,
        FailureKind.RATE_LIMITED: slow_down,
        FailureKind.CHECK_FAILED: fix,
        FailureKind.UNREACHABLE: go_elsewhere,
        FailureKind.FATAL: _give_up,
        FailureKind.TRANSIENT: repeat,
        FailureKind.NEEDS_PERSON: _ask,
        FailureKind.UNEXPECTED: _give_up,
    }
)
"""The whole catalogue, for steps whose policy asks for it (`Retry.ladder`)."""

_UNASKED = frozenset({FailureKind.CORRUPTED, FailureKind.NEEDS_PERSON})
"""Kinds whose strategy holds for every step."""


def decide(
    failure: Failure,
    history: History,
    policy: Retry,
    seed: str,
    *,
    fallbacks: int = 0,
    allows_partial: bool = False,
    tokens_left: int | None = None,
    money_left: float | None = None,
) -> Decision:
    """What follows a failed attempt. `history` is of before it; keep `history.after(failure, decision)`.

    Without `policy.ladder`, what is retryable is tried `policy.attempts` times, and beyond that only what
    certainly did nothing: a provider outside that refused or was never reached. With it, every kind has its
    ladder. All of them are bounded, and nothing is tried again once the run's budget is used up (None: it
    has none). Same arguments, same decision: jitter comes from `seed`.

    An effect whose outcome is unknown is only repeated while `policy.attempts` (2 or more) says so: the
    step's author knows that its handler finds out first. Otherwise a person looks.
    """
    case = Case(failure, history, policy, seed, fallbacks, allows_partial)
    decision = _decided(case)
    if isinstance(decision, AskPerson | GiveUp):
        return decision
    if (tokens_left is not None and tokens_left <= 0) or (money_left is not None and money_left <= 0):
        return GiveUp(f"{failure.message} The budget of this run is used up, so it is not tried again.")
    return decision


def _decided(case: Case) -> Decision:
    failure, policy = case.failure, case.policy
    if failure.kind in _UNASKED:
        return LADDER[failure.kind](case)
    if failure.is_doubtful:
        return _author_says(case) or AskPerson(
            f"{failure.message} It is not known whether this happened; look there before it is done again."
        )
    if policy.ladder:
        return LADDER[failure.kind](case)
    again = _author_says(case)
    if again is not None:
        return again
    if failure.is_safe_to_repeat:
        return LADDER[failure.kind](case)
    return _give_up(case)


def _author_says(case: Case) -> Again | None:
    again = retry(case.failure, case.history.attempts + 1, case.policy, case.seed)
    return None if again is None else replace(again, hints=case.hints())
