"""What one wish is made of: the things to do, in which order, at the same time, or only if."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Clause(BaseModel):
    """One thing to do, as a sentence says it.

    `operation` is a value of `outline.Operation`. `place` are the words that name where (`#urgent`, `Client
    Projects`), `object` what it is about: the verdict (`approve`, `review`, `reject`) of a decision, the form
    that is filled. `text` are words quoted to be said ("stop with 'No PO found'"). `needs` are positions
    (0-based) of earlier clauses whose result it gets; empty means that it starts at once. `condition` is CEL
    over their results, or over the entry that started the agent when nothing is needed. `condition_words` is
    how it was said; words without a `condition` are still to be asked for. `otherwise` marks the branch for
    everything else. `service` may be one that is not here.
    """

    model_config = ConfigDict(frozen=True)

    operation: str
    service: str | None = None
    object: str = ""
    place: str = ""
    text: str = ""
    urgent: bool = False
    needs: tuple[int, ...] = ()
    condition: str = ""
    condition_words: str = ""
    otherwise: bool = False
    words: str = ""


class Composition(BaseModel):
    """`unsure` are words that seem to ask for something but fit no rule: they become a question."""

    model_config = ConfigDict(frozen=True)

    clauses: tuple[Clause, ...] = ()
    unsure: tuple[str, ...] = ()
