"""A spec made by a model, on the wire: what it is made from, and the run that makes it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from omniforge.board.shapes.words import Description, Given, Id
from omniforge.board.vocabulary import SpecPhase

Words = Annotated[str, StringConstraints(min_length=1, max_length=5_000, strip_whitespace=True)]
Generable = Literal[
    SpecPhase.UNDERSTAND,
    SpecPhase.RESEARCH,
    SpecPhase.REQUIREMENTS,
    SpecPhase.DESIGN,
    SpecPhase.TICKETS,
    SpecPhase.TASKS,
]


class AnswerGiven(Given):
    question: Words
    answer: Words


class GenerationGiven(Given):
    """`description`: the wish, where the spec does not say it. `from_phase`: what came of the phases before
    it is kept; absent, it goes on where it stopped. `interactive`: questions are asked first, and `answers`
    given in a second request; an empty list leaves them all to assumptions. `agent_id`: whose model is
    asked."""

    description: Description | None = None
    from_phase: Generable | None = None
    interactive: bool = False
    agent_id: Id | None = None
    answers: list[AnswerGiven] | None = Field(default=None, max_length=50)


class Generated(BaseModel):
    """`current_phase` is the one that the run is at."""

    run_id: str
    current_phase: SpecPhase
