"""Orders about things of some amount: "invoices over 500", "those that match", "the others"."""

from __future__ import annotations

import re
from dataclasses import replace

from omniforge.builder.understanding.conditions import read_condition
from omniforge.builder.understanding.joining import EXACT, MEASURED, MEASURED_ALONE, OTHERS, OTHERS_TOLD
from omniforge.builder.understanding.segment import Segment
from omniforge.builder.understanding.starts import active, comparing, split_branch
from omniforge.builder.understanding.verbs import verb_at

_NO_SUCH = re.compile(r"no [a-z]+(?: (?!to\b|in\b)[a-z]+)?", re.IGNORECASE)


def headed(piece: Segment, text: str, services: frozenset[str]) -> Segment:
    """The rest of a piece, without the number that says when ("2 % or more reject it")."""
    orders = verb_at(text.split() or [""], 0, sure=False, services=services) is not None
    if not orders and (measured := MEASURED.match(text)):
        what = f"the {measured_by(measured)} {measured['number']}"
        if read_condition(what, subject="amount"):
            condition = f"{piece.condition} {what}".strip()
            if re.fullmatch(
                r"(?:is|are) (?:all )?(?:fine|ok|okay|good|easy|no problem|different|special)",
                measured["rest"],
                re.IGNORECASE,
            ):
                return replace(piece, condition=f"{piece.condition} {what}".strip(), given=True)
            text = _of_them(measured["rest"], "it", services)
            return replace(piece, condition=condition, given=True, text=text)
    if re.fullmatch(r"(?:equal|identical|the same|different)", text, re.IGNORECASE):
        return replace(piece, condition=f"they are {text}".lower())
    if none := _NO_SUCH.fullmatch(text):
        return replace(piece, condition=f"there is {none.group()}".lower())
    alone = None if orders else MEASURED_ALONE.match(text)
    if alone and read_condition(what := f"the {measured_by(alone)} {alone['number']}", subject="amount"):
        return replace(piece, condition=f"{piece.condition} {what}".strip(), given=True)
    if others := OTHERS.match(text):
        return replace(piece, rest=True, text=_of_them(others["rest"], "they", services))
    if OTHERS_TOLD.search(text):
        piece = replace(piece, rest=True)
    if found := split_branch(text, services):
        return replace(piece, condition=f"{piece.condition} {found[0]}".strip(), text=found[1])
    if (comparing(text) or EXACT.match(text)) and read_condition(text, subject="value"):
        return replace(piece, condition=f"{piece.condition} {text}".strip())
    return replace(piece, text=active(re.sub(r"[\s,]+(?:and|but|or|then)$", "", text.strip())))


def measured_by(match: re.Match[str]) -> str:
    """The field that is compared: named, told by what it does ("scoring"), or the things themselves."""
    told = {"scoring": "score", "costing": "cost", "weighing": "weight", "earning": "salary"}
    what = (
        "amount"
        if re.search(r"(?:ones|those|items|cases|anything|everything|any)$", match["what"], re.I)
        else match["what"]
    )
    return match["field"] or told.get((match["doing"] or "").lower()) or what


def _of_them(text: str, who: str, services: frozenset[str]) -> str:
    """What is done with the things named before: "are approved" as "approve them"."""
    if verb_at(text.split(), 0, sure=False, services=services):
        return text
    return active(f"{who} {_singular(text) if who == 'it' else text}")


def _singular(text: str) -> str:
    return re.sub(
        r"^(?:are|have)\b", lambda m: {"are": "is", "have": "has"}[m.group().lower()], text, flags=re.I
    )


def how_such(such: re.Match[str]) -> str:
    """ "Those that match", "the incomplete ones", "anything over 500" as what has to be so."""
    if such["kind"]:
        kind = such["kind"].lower()
        return {"matching": "they match", "different": "they differ", "mismatched": "they differ"}.get(
            kind, f"it is {kind}"
        )
    how = re.sub(r"^(?:that|which|who|where)\s+", "", such["how"].strip(), flags=re.IGNORECASE)
    if re.match(
        r"(?:do|does|don't|doesn't|did|is|are|isn't|aren't|has|have|match|matches|agree|agrees|differ|"
        r"differs|fit|fits|cost|costs)\b",
        how,
        re.I,
    ):
        return re.sub(r"^they cost ", "amount ", f"they {how}")
    return how
