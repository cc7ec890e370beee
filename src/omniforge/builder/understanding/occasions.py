"""The words that tell when, or on which condition, a piece is done."""

from __future__ import annotations

import re
from dataclasses import replace

from omniforge.builder.understanding.conditions import read_condition
from omniforge.builder.understanding.happenings import happens
from omniforge.builder.understanding.segment import Segment
from omniforge.builder.understanding.verbs import verb_at

_ASKING = re.compile(
    r"(?:please|pls|kindly|(?:i|we)(?:'d| would| want| need| wish)\b|(?:i|we|you|it) (?:should|must|can|"
    r"could|shall)\b|"
    r"(?:can|could|would) you\b)",
    re.IGNORECASE,
)


MOST_WORDS = 40
"""Words in which a condition comes to what is to be done."""


def until_action(text: str, services: frozenset[str]) -> tuple[str, str]:
    comma = re.match(r"^(?P<body>[^,:]{2,160}?)\s*[,:]\s*(?:then\s+)?(?P<rest>.*)$", text)
    body = comma["body"] if comma else text
    said = body.split()
    for at in range(1, min(len(said), MOST_WORDS)):
        if re.fullmatch(r"then", said[at], re.I) and at + 1 < len(said):
            return " ".join(said[:at]), " ".join(said[at + 1 :]) + text[len(body) :]
        if _ASKING.match(" ".join(said[at : at + 3])) and _long_enough(said[:at]):
            return " ".join(said[:at]), " ".join(said[at:]) + text[len(body) :]
        acts = re.fullmatch(r"(?:i|we|you|it)", said[at - 1], re.IGNORECASE) and happens(
            " ".join(said[: at - 1])
        )
        if acts and verb_at(said, at, sure=True, services=services):
            return " ".join(said[: at - 1]), " ".join(said[at:]) + text[len(body) :]
        if re.fullmatch(
            r"(?:i|we|you|they|it|to|a|an|the|somebody|someone|not|don't|doesn't|new|and|or|of|no|any|is|"
            r"are|that|which)",
            said[at - 1], re.IGNORECASE,
        ):  # fmt: skip
            continue
        if verb_at(said, at, sure=False, services=services) and _long_enough(said[:at]):
            happening = re.sub(r"\s+(?:just|simply|please|then|also|only)$", "", " ".join(said[:at]))
            return happening, " ".join(said[at:]) + text[len(body) :]
    return (body, comma["rest"]) if comma else (text, "")


def _long_enough(said: list[str]) -> bool:
    """A happening needs somebody or something, and what it does; a condition may be one word."""
    return len(said) > 1 or said[0].lower() in ("so", "yes") or read_condition(" ".join(said)) is not None


_HAPPENS_TO_ONE = re.compile(
    r"(?:an?|any|another|somebody|someone|one of (?:our|the|my)) (?:[\w'-]+ ){1,4}?(?:is|are|gets?|has "
    r"been|has|was) (?:[a-z]+ly )?[a-z]+(?:ed|en|nt|d|t)$|"
    r"(?:an?|any|another|one of (?:our|the|my)) (?:[\w'-]+ ){1,4}?(?:gets|receives|is given) (?:the|an?) "
    r"[\w '-]{2,40}$",
    re.IGNORECASE,
)


_GETS_MARKED = re.compile(
    r"\b(?:(?:gets|receives|is given) (?:the |an? )?(?:label|tag)|"
    r"(?:is|gets) (?:labell?ed|tagged)(?: with| as)?) '?(?P<how>[\w-]+)'?$",
    re.IGNORECASE,
)
_SUCH_A = re.compile(
    r"(?P<what>.{3,60}?),? (?:that|which) (?P<be>is |are )?(?P<how>(?:not |marked |flagged |tagged |"
    r"labelled |labeled )?[\w ]{3,30})$",
    re.IGNORECASE,
)


def classified(lead: str, body: str, piece: Segment) -> Segment:
    word = (
        lead.lower()
        .replace("only ", "")
        .replace("but ", "")
        .replace("except ", "")
        .replace("and ", "")
        .strip()
    )
    unless = word.startswith("unless")
    check = read_condition(body, subject="value")
    dynamic = happens(body)
    compares = check is not None and not check.expression.endswith("== true")
    compares = compares and not (dynamic and check is not None and check.expression == "items > 0")
    conditional = unless or word in (
        "if", "in case", "as long as", "provided", "provided that", "else if", "or if", "where",
    )  # fmt: skip
    if not conditional:
        conditional = compares or (check is not None and not dynamic and word in ("when", "whenever", "once"))
        conditional = conditional and not re.search(r"\b(?:new|incoming)\b", body, re.IGNORECASE)
    elif check is None and dynamic and word == "if":
        conditional = False
    if (
        conditional
        and word in ("if", "when", "whenever", "once", "after", "as soon as")
        and _HAPPENS_TO_ONE.match(body)
        and (dynamic or word != "if")
        and not compares
    ):
        conditional = False
    if not conditional:
        told = _SUCH_A.match(body)
        if marked := _GETS_MARKED.search(body):
            said = f"labels contain {marked['how']}"
            return replace(piece, triggered=True, condition=f"{piece.condition} {said}".strip())
        if (
            told
            and (check := read_condition(said := f"it is {told['how']}" if told["be"] else told["how"]))
            and check.expression
        ):
            return replace(piece, triggered=True, condition=f"{piece.condition} {said}".strip())
        return replace(piece, triggered=True)
    joined = f"{piece.condition} and {body}" if piece.condition else body
    given = word in ("if", "unless", "in case", "else if", "or if")
    return replace(
        piece, condition=joined, negated=unless, given=given, otherwise=piece.otherwise and word != "else if"
    )
