"""Choices: branches that exclude one another, and one deed spread over several cases."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from omniforge.builder.understanding.clauses import Clause
from omniforge.builder.understanding.conditions import negated
from omniforge.builder.understanding.held import Held
from omniforge.builder.understanding.segment import Link, Segment

_CASE = r"(?:the )?(?P<{0}>[A-Z][\w&.'-]*(?: [A-Z][\w&.'-]*){{0,3}})"
_BY_FIELD = re.compile(
    r"\b(?:depending on|dependent on|based on|according to|by|per|matching|as per)\s+(?:the |its |their |"
    r"his |her )?"
    r"(?:name of the |type of )?(?P<field>(?:[\w']+ ){0,3}?[a-z]+)(?: is| it is)?(?=$|[\s,:.]*$|\s*[,:]|"
    r"\s+(?:fill|"
    r"complete|use|post|"
    r"send|create|choose|pick|do)\b)",
    re.IGNORECASE,
)
_RIGHT = (
    r"(?:right|correct|appropriate|respective|matching) (?P<kind>[a-z]+(?: (?!(?:form|one|filled|in|"
    r"out|for|to|from|of|and|or|is)\b)[a-z]+)?)"
)
_OF_FIELD = re.compile(rf"\bof (?:the |their |his |her )?(?P<field>[a-z]+(?: [a-z]+)?)$|\b{_RIGHT}\b")
_FOR_EACH = re.compile(
    r"\bfor " + _CASE.format("case") + r"(?: [a-z]+)?,? (?:please )?"
    r"(?:(?:fill|use|take|complete)(?: in| out)? )?"
    r"(?:the |an? )(?P<what>" + _CASE.format("form") + r"(?: form| template)?)"
)  # fmt: skip
_BASED = re.compile(r"(?:depending|based|dependent|according)\b", re.IGNORECASE)
_RELATION = re.compile(r"^(?P<name>\w+) (?P<op>==|<=|>=|<|>) (?P<value>-?\d+(?:\.\d+)?)$")
_SPAN = re.compile(r"^(?P<name>\w+) >= (?P<low>-?[\d.]+) && (?P=name) <= (?P<high>-?[\d.]+)$")


@dataclass(eq=False)
class Branch:
    """One case of a choice. `leads`: its condition stood in front, so that more may follow under it."""

    words: str
    expression: str
    negated: bool
    otherwise: bool
    leads: bool
    bare: bool
    number: int
    members: list[int] = field(default_factory=list[int])

    @property
    def plain(self) -> str:
        return negated(self.expression) if self.negated and self.expression else self.expression


def exclusive(branches: Sequence[Branch], clauses: Sequence[Clause]) -> list[str]:
    """The expression of each branch. Verdicts exclude one another, in the order they were said; "otherwise"
    is what no branch before it took."""
    decides = any(clauses[at].operation == "decide" for branch in branches for at in branch.members)
    chained = any(branch.otherwise for branch in branches)
    found: list[str] = []
    for at, branch in enumerate(branches):
        earlier = [b.plain for b in branches[:at]]
        if branch.otherwise:
            rest = [negated(plain) for plain in earlier if plain] if all(earlier) else []
            found.append(" && ".join([*rest, *([branch.plain] if branch.plain else [])]))
        else:
            siblings = [b.plain for b in branches if b is not branch]
            narrowed = _within(branch.plain, siblings)
            found.append(_without(narrowed, earlier) if decides or chained else narrowed)
    return found


def _within(plain: str, siblings: Sequence[str]) -> str:
    """ "Between 0 and 2" without an end that another branch has for itself."""
    span = _SPAN.match(plain)
    if not span:
        return plain
    name, low, high = span["name"], span["low"], span["high"]
    low_sign = ">" if any(s in (f"{name} == {low}", f"{name} <= {low}") for s in siblings) else ">="
    high_sign = "<" if any(s in (f"{name} == {high}", f"{name} >= {high}") for s in siblings) else "<="
    return f"{name} {low_sign} {low} && {name} {high_sign} {high}"


def _without(plain: str, earlier: Sequence[str]) -> str:
    """A relation less what an earlier one took: `x < 2.0` after `x == 0.0` is `x < 2.0 && x != 0.0`."""
    this = _RELATION.match(plain)
    if not this:
        return plain
    for other in filter(None, map(_RELATION.match, earlier)):
        if other["name"] != this["name"]:
            continue
        if other["op"] == "==" and this["op"] != "==" and _holds(float(other["value"]), this):
            plain += f" && {this['name']} != {other['value']}"
        elif other["op"][0] == this["op"][0] and other["op"] != "==" and _holds(float(other["value"]), this):
            plain += f" && {negated(other.group())}"
    return plain


def _holds(value: float, relation: re.Match[str]) -> bool:
    limit = float(relation["value"])
    match relation["op"]:
        case "<":
            return value < limit
        case "<=":
            return value <= limit
        case ">":
            return value > limit
        case ">=":
            return value >= limit
        case _:
            return value == limit


def spread(pieces: Sequence[Segment], held: Held) -> list[Segment]:
    """Every piece; "fill the A, B or C form depending on the provider" becomes one for each case."""
    told: list[Segment] = []
    for piece in _whole(pieces, held):
        before = told[-1] if told else None
        cases = _alternatives(piece, before, held) or _for_each(piece, before, held)
        if cases is None:
            told.append(piece)
            continue
        if cases[1]:
            told.pop()
        told += cases[0]
    return told


def _whole(pieces: Sequence[Segment], held: Held) -> list[Segment]:
    """A list of cases and the words behind it that tell what they depend on, as one piece."""
    whole: list[Segment] = []
    for piece in pieces:
        if whole and _BASED.match(piece.text) and held.of_kind("a", whole[-1].text):
            last = whole.pop()
            whole.append(replace(last, text=f"{last.text} {piece.text}"))
        else:
            whole.append(piece)
    return whole


def _alternatives(piece: Segment, before: Segment | None, held: Held) -> tuple[list[Segment], bool] | None:
    lists = held.of_kind("a", piece.text)
    told_before = before is not None and _BASED.match(before.text) is not None
    by_field = _BY_FIELD.search(piece.text) or (
        _BY_FIELD.search(before.text) if before and told_before else None
    )
    verb = re.match(
        r"(?:.*\b)?(?P<verb>fill(?:ed)?(?: in| out)?|complete|use|choose|pick)\b", piece.text, re.IGNORECASE
    )
    right = re.search(rf"\b{_RIGHT}", piece.text)
    name_of = by_field["field"] if by_field else right["kind"] if right else None
    if len(lists) != 1 or name_of is None or not verb:
        return None
    names = [_plain(name) for name in re.split(r",\s*(?:or\s+)?|\s+or\s+", lists[0]) if name.strip()]
    opens = replace(piece, link=before.link) if before and told_before else piece
    cases = [_case(opens, name_of, name, f"the {name} form", at) for at, name in enumerate(names)]
    return cases, told_before


def _plain(name: str) -> str:
    return re.sub(r"^the |\s+(?:form|template|one|sheet)$", "", name.strip())


def _case(piece: Segment, field_words: str, name: str, form: str, at: int) -> Segment:
    link = piece.link if at == 0 else Link.AND
    return replace(
        piece, text=f"fill {form}", link=link, condition=f'{_named(field_words)} is "{name}"', behind=True
    )


def _named(field_words: str) -> str:
    """ "who the insurance provider is" names the insurance provider."""
    return re.sub(
        r"^(?:who|what|which)(?: the| their| its)? | (?:is|it is)$", "", field_words.strip(), flags=re.I
    )


def _for_each(piece: Segment, before: Segment | None, held: Held) -> tuple[list[Segment], bool] | None:
    """ "For Aetna the Aetna form, for Blue Cross the Blue Cross form": the field was named before."""
    cases = list(_FOR_EACH.finditer(piece.text))
    general = _OF_FIELD.search(before.text) if before else None
    by_field = _BY_FIELD.search(piece.text) or (_BY_FIELD.search(before.text) if before else None)
    name = by_field["field"] if by_field else (general["field"] or general["kind"]) if general else None
    if len(cases) < 2 or name is None:
        return None
    replaces = (
        before is not None and re.match(r"(?:fill|complete|use|choose|pick)\b", before.text, re.I) is not None
    )
    opens = replace(piece, link=before.link) if before and replaces else piece
    return [
        _case(opens, name, c["case"], f"the {c['form']} form", at) for at, c in enumerate(cases)
    ], replaces
