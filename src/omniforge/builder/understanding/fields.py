"""Words for information matched to the fields a resource really has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from pydantic import BaseModel, ConfigDict

from omniforge.builder.understanding.text import find_words, stems, words


class Field(BaseModel):
    """One field of a resource: its name there, the service's type of it, and the values to choose from."""

    model_config = ConfigDict(frozen=True)

    name: str
    type: str = "text"
    options: tuple[str, ...] = ()


_ALIKE = tuple(
    frozenset(row.split("|"))
    for row in (
        "owner|own|lead|assignee|assigned|responsible|manager|who",
        "status|state|health|rag",
        "blocker|blocked|impediment|obstacle|blocking|roadblock|hurdle|showstopper",
        "update|note|progress|comment|news|latest|achievement",
        "client|customer|account|company",
        "due|deadline|target|end",
        "priority|importance|urgency",
        "start|begin|kickoff",
        "budget|cost|spend",
        "team|department|squad",
        "phase|stage|milestone",
        "next|upcoming|step",
        "risk|issue|problem|concern",
        "tag|label|category",
        "title|name",
        "completion|complete|percent|done",
    )
)
_WEAK = frozenset(
    words("""
    project task item the of a an current latest name their its for and each every all field column info
    information detail what my our also any new person people
""")
)
SURE = 0.6


@dataclass(frozen=True, slots=True)
class FieldMatch:
    """`names` is one field, several equally good ones (ask), or none; then `near` holds the closest."""

    names: tuple[str, ...]
    near: tuple[str, ...] = ()


def match_field(phrase: str, fields: Sequence[Field]) -> FieldMatch:
    """The field meant by a phrase: "updates" is Latest Update, "project owner" is Owner."""
    said = stems(phrase)
    rated = sorted(((_score(said, field), field) for field in fields), key=lambda pair: -pair[0])
    best = rated[0][0] if rated else 0.0
    if best >= SURE:
        return FieldMatch(tuple(field.name for score, field in rated if score >= best - 0.001))
    near = tuple(field.name for score, field in rated if score > 0.3)[:3]
    return FieldMatch((), near)


def find_fields(text: str, fields: Sequence[Field]) -> list[str]:
    """Fields whose names, or telling words for them, stand in a text; in the order they are said."""
    said = stems(text)
    spots: dict[str, int] = {}
    covered: set[int] = set()
    for field in sorted(fields, key=lambda f: -len(stems(f.name))):
        at = find_words(said, stems(field.name))
        if at >= 0 and at not in covered:
            spots[field.name] = at
            covered |= set(range(at, at + len(stems(field.name))))
    tried: set[str] = set()
    for at, word in enumerate(said):
        if at in covered or word in _WEAK or word in tried:
            continue
        tried.add(word)
        match = match_field(word, [f for f in fields if f.name not in spots])
        if len(match.names) == 1:
            spots[match.names[0]] = at
    return sorted(spots, key=lambda name: spots[name])


def _score(said: tuple[str, ...], field: Field) -> float:
    """0 to 1; only the strongest reading counts."""
    name = stems(field.name)
    if not said or not name:
        return 0.0
    if said == name:
        return 1.0
    strong_said = [w for w in said if w not in _WEAK] or list(said)
    strong_name = [w for w in name if w not in _WEAK] or list(name)
    if set(strong_said) == set(strong_name):
        return 0.95
    if set(strong_said) <= set(strong_name):
        return 0.8 if len(strong_name) < 3 else 0.7
    if set(strong_name) <= set(strong_said):
        return 0.75
    if all(any(_alike(a, b) for b in strong_name) for a in strong_said):
        return 0.7
    spelled = SequenceMatcher(None, " ".join(strong_said), " ".join(strong_name)).ratio()
    return spelled * 0.75 if spelled >= 0.82 else spelled * 0.6


def _alike(a: str, b: str) -> bool:
    return a == b or any(a in row and b in row for row in _ALIKE)
