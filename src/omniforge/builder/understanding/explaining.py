"""What will be done, as a numbered list in plain words."""

from __future__ import annotations

from omniforge.builder.understanding.clauses import Clause, Composition
from omniforge.builder.understanding.text import listed

_NAMES = {"github": "GitHub", "rss": "the feed", "http": "the web", "files": "your files", "email": "email"}
_DOES = {
    "report": "Read {what}",
    "brief": "Write a briefing about what happened",
    "fetch": "Read {place}",
    "post": "Post {where}",
    "create": "Add an entry {where}",
    "update": "Change the entry {where}",
    "summarise": "Sum up what was found",
    "transform": "Work out: {what}",
    "compare": "Compare: {what}",
    "extract": "Take the details out of {doc}",
    "fill": "Fill in {what}",
    "match": "Find the {what} that belongs to it",
    "check": "Check that everything is complete and right",
    "decide": "Decide: {what}",
    "follow": "{words}",
}


def explain(composition: Composition) -> str:
    """`1. Read … 2. Then post …`, with what happens at the same time and what only if."""
    lines = [f"{n}. {_line(clause, n, composition)}" for n, clause in enumerate(composition.clauses, 1)]
    return "\n".join(lines + [f"\n{sentence}" for sentence in _at_once(composition)])


def _line(clause: Clause, number: int, composition: Composition) -> str:
    text = _deed(clause)
    if clause.text:
        text += f" (“{clause.text}”)"
    if clause.otherwise:
        text = f"Otherwise: {_lower(text)}"
    elif clause.condition_words:
        text += f", only if {clause.condition_words}"
    elif clause.needs and number > 1:
        text = f"{_when(clause, number)} {_lower(text)}"
    return text + "."


def _when(clause: Clause, number: int) -> str:
    if len(clause.needs) == 1 and clause.needs[0] == number - 2:
        return "Then"
    return f"After {listed(str(at + 1) for at in clause.needs)},"


def _deed(clause: Clause) -> str:
    service = _NAMES.get(clause.service or "", (clause.service or "").title())
    named = " in ".join(part for part in (clause.place, service) if part) or "what is there"
    where = (
        "by email" if clause.service == "email" else f"in {named}" if clause.place or service else "a message"
    )
    place = clause.place or service or "the page"
    what = clause.object if clause.operation not in ("report",) or not clause.service else named
    text = _DOES.get(clause.operation, "{words}").format(
        what=what or named, where=where, place=place,
        doc=f"the {clause.place}" if clause.place else "the document", words=clause.words,
    )  # fmt: skip
    text = text.replace("Post by email", "Send an email")
    return text[:1].upper() + text[1:] + (", marked as urgent" if clause.urgent else "")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _at_once(composition: Composition) -> list[str]:
    """One sentence for each set of clauses that start together."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for number, clause in enumerate(composition.clauses, 1):
        if not clause.condition_words and not clause.otherwise:
            groups.setdefault(clause.needs, []).append(number)
    return [
        f"{listed(map(str, group))} happen at the same time." for group in groups.values() if len(group) > 1
    ]
