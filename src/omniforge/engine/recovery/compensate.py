"""Undoing what a failed run did: what is due, in what order, what when that fails, what stands (pure)."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from omniforge.core.errors import Fatal
from omniforge.engine.plan import Retry
from omniforge.engine.recovery.decision import Again, AskPerson, GiveUp, Later, Probe
from omniforge.engine.recovery.history import History
from omniforge.engine.recovery.policy import Failure, FailureKind
from omniforge.engine.recovery.retry import PLAIN_ATTEMPTS, Case, retry, slow_down

STUCK_AFTER = 60.0
"""Seconds from the start of a compensation, waits included, until a person is asked."""


class Outcome(StrEnum):
    """What is known of a step's effect on the world."""

    HAPPENED = "happened"
    UNKNOWN = "unknown"
    NOT_HAPPENED = "not_happened"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Effect:
    """What one step may have done outside. `writes` as its plan declares them.

    undoable: the step names a compensation. problem: why it could not be undone, once that is known.
    """

    key: str
    outcome: Outcome
    writes: tuple[str, ...] = ()
    undoable: bool = False
    problem: str | None = None

    @property
    def may_stand(self) -> bool:
        return self.outcome in (Outcome.HAPPENED, Outcome.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Undo:
    """A compensation that is due. `ask_first`: nobody knows whether there is anything to undo."""

    key: str
    ask_first: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """Something that could not be undone, as a person is told. `certain`: it is known to have happened."""

    key: str
    writes: tuple[str, ...]
    certain: bool
    reason: str

    def shown(self) -> dict[str, Any]:
        return {
            "step": self.key,
            "effects": list(self.writes),
            "certain": self.certain,
            "reason": self.reason,
        }


def order_of_undoing(needs: Mapping[str, Sequence[str]], completed: Collection[str]) -> list[str]:
    """Steps in the order in which they are undone: nothing before all that was built on it, even indirectly.

    completed: in the order of completion (a list); among steps that do not depend on each other the latest
    goes first. In a set there is no such order, and the keys decide.
    """
    ranked = completed if isinstance(completed, Sequence) else sorted(completed)
    rank = {key: -index for index, key in enumerate(ranked, 1)}
    nodes = dict.fromkeys([*needs, *ranked])
    dependants = dict.fromkeys(nodes, 0)
    for step_needs in needs.values():
        for need in step_needs:
            dependants[need] = dependants.get(need, 0) + 1
    last = -len(rank) - 1  # what is not undone itself never holds others up
    free = [(rank.get(key, last), key) for key, count in dependants.items() if count == 0]
    heapq.heapify(free)
    ordered: list[str] = []
    while free:
        _, key = heapq.heappop(free)
        if key in rank:
            ordered.append(key)
        for need in needs.get(key, ()):
            dependants[need] -= 1
            if dependants[need] == 0:
                heapq.heappush(free, (rank.get(need, last), need))
    if len(ordered) != len(rank):
        raise Fatal("This plan goes in a circle: nothing in it can be undone in order.", code="invalid_plan")
    return ordered


def undoings_due(needs: Mapping[str, Sequence[str]], effects: Iterable[Effect]) -> list[Undo]:
    """The compensations that are due, in order. `effects` in the order in which their steps ended."""
    due = {effect.key: effect for effect in effects if effect.may_stand and effect.undoable}
    return [
        Undo(key, ask_first=due[key].outcome is Outcome.UNKNOWN) for key in order_of_undoing(needs, list(due))
    ]


def what_stands(effects: Iterable[Effect]) -> list[Standing]:
    """What is left in the world, for people. Empty when the run may be called compensated."""
    return [
        Standing(effect.key, effect.writes, effect.outcome is Outcome.HAPPENED, _why(effect))
        for effect in effects
        if effect.may_stand and (effect.undoable or effect.writes or effect.outcome is Outcome.UNKNOWN)
    ]


def _why(effect: Effect) -> str:
    if effect.problem is not None:
        return effect.problem
    if not effect.undoable:
        return "This step does not say how it is undone."
    if effect.outcome is Outcome.UNKNOWN:
        return "It is not known whether this happened."
    return "It was not undone."


def read_probe(output: Any) -> Outcome:
    """A probe's answer `{"happened": true | false}`; anything else leaves it unknown."""
    answer = cast("Mapping[str, Any]", output).get("happened") if isinstance(output, Mapping) else None
    if answer is True:
        return Outcome.HAPPENED
    return Outcome.NOT_HAPPENED if answer is False else Outcome.UNKNOWN


def decide_undoing(
    failure: Failure,
    history: History,
    policy: Retry,
    seed: str,
    *,
    spent: float,
    has_probe: bool = False,
) -> Again | Probe | AskPerson:
    """What follows a failed try at undoing. It never ends in silence: what does not pass goes to a person.

    spent: seconds since this compensation began. has_probe: the service can be asked whether the effect
    still stands. A timeout leaves the outcome unknown, like a lost answer.
    """
    if spent >= STUCK_AFTER:
        return AskPerson(f"Undoing this has taken {spent:.0f} s without success. {failure.message}")
    if failure.is_doubtful or failure.kind is FailureKind.TIMEOUT:
        if has_probe and history.attempts < max(policy.attempts, PLAIN_ATTEMPTS):
            return Probe("It is not known whether this was undone; the service is asked first.")
        return AskPerson(f"It is not known whether this was undone. {failure.message}")
    again = _another_try(Case(failure, history, policy, seed))
    if again is None:
        return AskPerson(f"This could not be undone. {failure.message}")
    if spent + again.delay >= STUCK_AFTER:
        return AskPerson(f"Undoing this would have to wait {again.delay:.0f} s more. {failure.message}")
    return again


def seconds_to_undo(spent: float) -> float:
    """The time that is left for the next try; its timeout is never longer."""
    return max(0.0, STUCK_AFTER - spent)


def _another_try(case: Case) -> Again | None:
    again = retry(case.failure, case.history.attempts + 1, case.policy, case.seed)
    if again is not None or not case.failure.is_safe_to_repeat:
        return again
    match slow_down(case):
        case Again() as waiting:
            return waiting
        case Later() | GiveUp() | AskPerson():
            return None
