"""What happened to one step so far, as recovery reads it: an immutable record that fits into a row (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeVar

from omniforge.engine.recovery.decision import Again, Decision, Later, Move, Probe
from omniforge.engine.recovery.policy import Failure, FailureKind

LASTING = ("context", "model", "provider")
"""Hints that hold for every later attempt; the others are for the next one only."""

UNNAMED_CHECK = "check"
_SILENT = frozenset({FailureKind.TIMEOUT, FailureKind.UNEXPECTED, FailureKind.BAD_OUTPUT})
"""Failures of which the handler does not say itself that nothing was done."""
_AFRESH: Mapping[Move, frozenset[Move]] = MappingProxyType(
    {
        Move.FRESH: frozenset({Move.REFORMAT}),
        Move.LATER: frozenset({Move.WAIT, Move.NEXT_PROVIDER}),
    }
)
"""A move that starts a ladder afresh, and the rungs it takes back."""

Kind = TypeVar("Kind", bound=StrEnum)


class Context(StrEnum):
    """How much a model is given, in the order in which it gets less."""

    FULL = "full"
    MINIMAL = "minimal"
    ESSENTIAL = "essential"


@dataclass(frozen=True, slots=True)
class History:
    """A step's failures by kind, the moves they were answered with, fix attempts by check, what was spent.

    hints: for the coming attempt; its handler is told exactly these, also after a restart. money in USD.
    doubtful: nobody knows what attempts did that are not counted here any more.
    """

    failures: Mapping[FailureKind, int] = field(default_factory=dict[FailureKind, int])
    moves: Mapping[Move, int] = field(default_factory=dict[Move, int])
    fixes: Mapping[str, int] = field(default_factory=dict[str, int])
    hints: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tokens: int = 0
    money: float = 0.0
    doubtful: bool = False

    @property
    def may_have_happened(self) -> bool:
        """Whether an attempt ended without saying itself that nothing was done outside."""
        return self.doubtful or any(kind in _SILENT for kind in self.failures)

    @property
    def attempts(self) -> int:
        """Attempts that failed."""
        return sum(self.failures.values())

    @property
    def context(self) -> Context:
        given = self.hints.get("context")
        return Context(given) if given in list(Context) else Context.FULL

    @property
    def provider(self) -> int:
        """Index into the list of providers; 0 is the first choice."""
        given = self.hints.get("provider")
        return given if isinstance(given, int) else 0

    @property
    def lasting_hints(self) -> dict[str, Any]:
        return {name: self.hints[name] for name in LASTING if name in self.hints}

    def failed(self, kind: FailureKind) -> int:
        return self.failures.get(kind, 0)

    def made(self, move: Move) -> int:
        return self.moves.get(move, 0)

    def after(self, failure: Failure, decision: Decision | Probe) -> History:
        """The history once this failure has happened and was answered with this decision."""
        failures = {**self.failures, failure.kind: self.failed(failure.kind) + 1}
        match decision:
            case Again(hints=hints, move=move):
                pass
            case Later(hints=hints):
                move = Move.LATER
            case _:
                return replace(self, failures=failures)
        taken_back = _AFRESH.get(move, frozenset())
        moves = {made: count for made, count in self.moves.items() if made not in taken_back}
        fixes = self.fixes
        if move is Move.FIX:
            check = check_of(failure)
            fixes = {**fixes, check: fixes.get(check, 0) + 1}
        moves[move] = self.made(move) + 1
        return replace(self, failures=failures, moves=moves, fixes=fixes, hints=dict(hints))

    def spend(self, tokens: int = 0, money: float = 0.0) -> History:
        """The history with what one attempt has cost, whether it failed or not."""
        return replace(self, tokens=self.tokens + max(0, tokens), money=self.money + max(0.0, money))

    def to_json(self) -> dict[str, Any]:
        """Only what is not empty: a step that never failed stores `{}`."""
        whole: dict[str, Any] = {
            "failures": {kind.value: count for kind, count in self.failures.items()},
            "moves": {move.value: count for move, count in self.moves.items()},
            "fixes": dict(self.fixes),
            "hints": dict(self.hints),
            "tokens": self.tokens,
            "money": self.money,
            "doubtful": self.doubtful,
        }
        return {name: value for name, value in whole.items() if value}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> History:
        """What is missing is empty; kinds and moves that this version does not know are left out."""
        given = stored or {}
        return cls(
            failures=_known(given.get("failures"), FailureKind),
            moves=_known(given.get("moves"), Move),
            fixes=dict(given.get("fixes") or {}),
            hints=dict(given.get("hints") or {}),
            tokens=int(given.get("tokens") or 0),
            money=float(given.get("money") or 0.0),
            doubtful=bool(given.get("doubtful")),
        )


def check_of(failure: Failure) -> str:
    """Name of the check that failed, e.g. `types`."""
    return str(failure.details.get("check") or UNNAMED_CHECK).lower()[:40]


def _known(counts: Mapping[str, int] | None, names: type[Kind]) -> dict[Kind, int]:
    valid = {name.value for name in names}
    return {names(name): int(count) for name, count in (counts or {}).items() if name in valid}
