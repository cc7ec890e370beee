"""The six phases of a generated spec, in their order: what each may take, and what it is asked with. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from omniforge.board.generation import outputs
from omniforge.board.spec_life import Part
from omniforge.board.vocabulary import SpecPhase
from omniforge.engine.plan import Plan, Step

Json = dict[str, Any]
KIND = "spec_phase"
ATTEMPTS = 3
MARGIN = 120.0
"""Seconds of a step beside those of its attempts: for reading, judging and writing."""
FEWEST_QUESTIONS, MOST_QUESTIONS = 5, 15


@dataclass(frozen=True, slots=True)
class Phase:
    """`seconds` and `turns` are those of one attempt. `reads`: the model may look into the repository.
    `part`: what of the spec people may have to approve afterwards."""

    name: SpecPhase
    schema: Json
    seconds: float
    turns: int
    reads: bool = False
    part: Part | None = None

    @property
    def prompt(self) -> str:
        return f"spec_{self.name}"


TABLE = (
    Phase(SpecPhase.UNDERSTAND, outputs.UNDERSTAND, 180, 25),
    Phase(SpecPhase.RESEARCH, outputs.RESEARCH, 300, 20, reads=True),
    Phase(SpecPhase.REQUIREMENTS, outputs.REQUIREMENTS, 300, 20, part=Part.REQUIREMENTS),
    Phase(SpecPhase.DESIGN, outputs.DESIGN, 300, 25, reads=True, part=Part.DESIGN),
    Phase(SpecPhase.TICKETS, outputs.TICKETS, 180, 15),
    Phase(SpecPhase.TASKS, outputs.TASKS, 180, 15),
)
PHASES = {phase.name: phase for phase in TABLE}
ORDER = tuple(PHASES)


def before(phase: SpecPhase) -> tuple[SpecPhase, ...]:
    """The phases whose outputs it rests on."""
    return ORDER[: ORDER.index(phase)]


def after(phase: SpecPhase) -> tuple[SpecPhase, ...]:
    return ORDER[ORDER.index(phase) + 1 :]


def first_without(passed: Iterable[SpecPhase]) -> SpecPhase | None:
    """Where to go on; None when every phase has passed."""
    there = set(passed)
    return next((phase for phase in ORDER if phase not in there), None)


def plan_from(phase: SpecPhase) -> Plan:
    """One step per phase, each resting on the one before it."""
    steps: list[Step] = []
    for each in TABLE[ORDER.index(phase) :]:
        needs = (steps[-1].key,) if steps else ()
        timeout = (each.seconds + MARGIN) * ATTEMPTS
        steps.append(Step(each.name.value, KIND, {"phase": each.name.value}, needs=needs, timeout=timeout))
    return Plan(tuple(steps))
