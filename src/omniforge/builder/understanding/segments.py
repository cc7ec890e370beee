"""A wish cut into the pieces that ask for one thing each, with the words that join them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from omniforge.builder.understanding.conditions import read_condition
from omniforge.builder.understanding.happenings import happens
from omniforge.builder.understanding.held import MARK, Held, hold_back
from omniforge.builder.understanding.joining import (
    ANYWAY,
    COMING,
    DECIDING,
    EXACT,
    FIRST,
    JOIN,
    OTHERWISE,
    RECEIVING,
    SAME_TIME,
    SELF_DONE,
    SEVERAL,
    SUBJECT,
    TAIL_JOIN,
    TAIL_NUMBER,
    TAIL_OTHERWISE,
    TAIL_SAME,
    TELLING,
    THEN,
    TRAILING,
    WHEN,
    counted,
)
from omniforge.builder.understanding.phrasing import in_order, plain_orders
from omniforge.builder.understanding.starts import active, comparing, names_a_deed, split_branch, starts
from omniforge.builder.understanding.timeless import without_schedule
from omniforge.builder.understanding.verbs import VERBS, verb_at


class Link(StrEnum):
    """How a piece hangs together with what was said before it."""

    AND = "and"
    NEXT = "next"
    """A new sentence or item: after it, unless it can start at once."""
    THEN = "then"
    SAME_TIME = "same_time"
    TOGETHER = "together"
    """After what was said, at the same time as those that follow."""
    ALL = "all"
    """After everything that runs at the same time."""


@dataclass(frozen=True, slots=True)
class Segment:
    """`count` tells how many are waited for ("both"). `condition` is in words, `negated` for "unless"."""

    text: str
    link: Link = Link.AND
    count: int | None = None
    condition: str = ""
    negated: bool = False
    otherwise: bool = False
    triggered: bool = False
    given: bool = False
    """The condition was said with "if", not with "when"."""
    behind: bool = False
    """The condition stands behind what it is for."""


_SENTENCE = re.compile(rf"(?<=[\w)%'])[.!?]+(?=\s)|\s*[;{MARK}]\s*|\.\s*(?={MARK})")


_PIECE = re.compile(
    r"(?P<joint>\s*,\s*(?:and\s+|but\s+|or\s+|so\s+|plus\s+)?(?:then\s+)?|\s*:\s+|\s+(?:and|but|plus|"
    r"&)\s+(?:then\s+)?|"
    r"\s+then\s+|\s+(?:->|→|=>)\s+|\s+-\s+|\s+(?:as well as|along with|together with|\+)\s+|"
    r"(?<!or)\s+(?=(?:otherwise|or else)\b))",
    re.IGNORECASE,
)


MOST_PIECES = 120
MOST_OPENERS = 12


def cut(message: str, services: frozenset[str]) -> tuple[list[Segment], Held]:
    """All pieces of a message, in its order."""
    text, held = hold_back(message)
    text = plain_orders(text)
    listed = MARK * 2 in text
    pieces: list[Segment] = []
    for number, sentence in enumerate(_SENTENCE.split(without_schedule(text))):
        if len(pieces) >= MOST_PIECES:
            break
        opens = Link.NEXT if number and pieces else Link.AND
        inside = _sentence(in_order(sentence.strip(" ,."), names_a_deed), opens, services)
        if listed and len(inside) > 1 and inside[0].link is Link.SAME_TIME:
            inside[0] = replace(inside[0], link=Link.TOGETHER)
        pieces += inside
    return pieces, held


def _sentence(sentence: str, link: Link, services: frozenset[str]) -> list[Segment]:
    parts = _PIECE.split(sentence)
    heads = [("", parts[0])] + [(parts[i], parts[i + 1]) for i in range(1, len(parts) - 1, 2)]
    groups: list[tuple[str, str]] = []
    for joint, part in heads:
        open_prefix = bool(groups) and _only_prefix(groups[-1][1], services)
        case = bool(groups) and not open_prefix and _is_case(part, groups[-1][1])
        if groups and not case and not starts(part, joint, open_prefix, services):
            groups[-1] = (groups[-1][0], f"{groups[-1][1]}{joint}{part}")
        else:
            groups.append((joint, part))
    pieces: list[Segment] = []
    pending: Segment | None = None
    for number, (joint, part) in enumerate(groups):
        first = (
            link if number == 0 else Link.THEN if re.search(r"\bthen\b|->|→|=>", joint, re.I) else Link.AND
        )
        piece = _opened(part.strip(" ,:"), first, services)
        if pending is not None:
            piece = _merged(pending, piece, joint)
            pending = None
        if not piece.text and number < len(groups) - 1:
            pending = piece
            continue
        if piece.text or piece.triggered or piece.condition:
            pieces.append(_trailing(piece, services))
    return pieces


def _is_case(part: str, before: str) -> bool:
    """A number that opens the next case of a choice ("…, 2 % or more reject"), not the end of a span."""
    if re.search(r"\b(?:between|from)\s+[$€£]?\d[\d.,]*\s?%?$", before, re.IGNORECASE):
        return False
    text = part.strip(" ,:")
    told = re.match(
        r"(?:more|less|over|under|above|below|at least|at most|up to)\b|\d[\d.,]*\s?%", text, re.I
    )
    return told is not None and read_condition(text, subject="value") is not None


def _merged(before: Segment, piece: Segment, joint: str) -> Segment:
    """A prefix ("when an invoice arrives", "more than 0") and the piece that it belongs to."""
    condition = " ".join(filter(None, (before.condition, _and(joint, before, piece), piece.condition)))
    link = before.link if piece.link is Link.AND else piece.link
    if before.link is Link.THEN and piece.link is Link.SAME_TIME:
        link = Link.TOGETHER
    if before.link in (Link.ALL, Link.SAME_TIME, Link.TOGETHER):
        link = Link.TOGETHER if before.link is Link.SAME_TIME and joint.strip() == ":" else before.link
    return replace(
        piece, link=link, condition=condition, count=before.count or piece.count,
        negated=before.negated or piece.negated, otherwise=before.otherwise or piece.otherwise,
        triggered=before.triggered or piece.triggered, given=before.given or piece.given,
    )  # fmt: skip


def _and(joint: str, before: Segment, piece: Segment) -> str:
    return joint.strip(" ,:") if before.condition and piece.condition else ""


def _only_prefix(part: str, services: frozenset[str]) -> bool:
    """A condition, a happening or a joining phrase that waits for what is to be done."""
    return not _opened(part.strip(" ,:"), Link.AND, services).text


def _opened(text: str, link: Link, services: frozenset[str]) -> Segment:
    """A piece without the words in front of what it asks for."""
    piece = Segment("", link)
    if RECEIVING.match(text) or COMING.match(text):
        return replace(piece, triggered=True)
    for _ in range(MOST_OPENERS):
        text = text.lstrip(f" ,:.-{MARK}")
        step = _step(text, piece, services)
        if step is None:
            break
        piece, text = step
    return _headed(piece, text, services)


def _step(text: str, piece: Segment, services: frozenset[str]) -> tuple[Segment, str] | None:
    """One word or phrase less in front."""
    for pattern, changed in _OPENERS:
        if match := pattern.match(text + " "):
            return changed(piece, match), text[match.end() :]
    if when := _when(text, piece, services):
        return when
    match = SUBJECT.match(text + " ")
    if not match or re.match(r"(?:this|that|it|they) (?:is|are|was)\b", text, re.IGNORECASE):
        return None
    return piece, text[match.end() :]


def _later(piece: Segment, _: re.Match[str]) -> Segment:
    if piece.link in (Link.ALL, Link.TOGETHER):
        return piece
    return replace(piece, link=Link.TOGETHER if piece.link is Link.SAME_TIME else Link.THEN)


def _same_time(piece: Segment, _: re.Match[str]) -> Segment:
    told = piece.link in (Link.THEN, Link.TOGETHER)
    return replace(piece, link=Link.TOGETHER if told else Link.SAME_TIME)


def _several(piece: Segment, match: re.Match[str]) -> Segment:
    at_once = match["once"] or match["twice"] or piece.link is Link.SAME_TIME
    return replace(piece, link=Link.TOGETHER if at_once else Link.THEN)


_OPENERS: tuple[tuple[re.Pattern[str], Callable[[Segment, re.Match[str]], Segment]], ...] = (
    (JOIN, lambda piece, match: replace(piece, link=Link.ALL, count=counted(match))),
    (SELF_DONE, _later),
    (THEN, _later),
    (SAME_TIME, _same_time),
    (ANYWAY, lambda piece, _: replace(piece, link=Link.NEXT)),
    (SEVERAL, _several),
    (OTHERWISE, lambda piece, _: replace(piece, otherwise=True)),
    (FIRST, lambda piece, _: piece),
)


def _headed(piece: Segment, text: str, services: frozenset[str]) -> Segment:
    """The rest of a piece, without a number that says when ("2 % or more reject")."""
    if found := split_branch(text, services):
        return replace(piece, condition=f"{piece.condition} {found[0]}".strip(), text=found[1])
    if (comparing(text) or EXACT.match(text)) and read_condition(text, subject="value"):
        return replace(piece, condition=f"{piece.condition} {text}".strip())
    return replace(piece, text=active(re.sub(r"[\s,]+(?:and|but|or|then)$", "", text.strip())))


def _when(text: str, piece: Segment, services: frozenset[str]) -> tuple[Segment, str] | None:
    """ "When …", "if …" in front: a happening or a condition, up to where something is asked for."""
    match = WHEN.match(text)
    if not match:
        return None
    body, rest = _until_action(text[match.end() :], services)
    return _classified(match["lead"], body, piece), rest


def _until_action(text: str, services: frozenset[str]) -> tuple[str, str]:
    comma = re.match(r"^(?P<body>[^,:]{2,160}?)\s*[,:]\s*(?:then\s+)?(?P<rest>.*)$", text)
    body = comma["body"] if comma else text
    said = body.split()
    for at in range(1, len(said)):
        if re.fullmatch(r"then", said[at], re.I) and at + 1 < len(said):
            return " ".join(said[:at]), " ".join(said[at + 1 :]) + text[len(body) :]
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
    return len(said) > 1 or read_condition(" ".join(said)) is not None


def _classified(lead: str, body: str, piece: Segment) -> Segment:
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
    conditional = unless or word in (
        "if", "in case", "as long as", "provided", "provided that", "else if", "or if", "where",
    )  # fmt: skip
    if not conditional:
        conditional = compares or (check is not None and not dynamic and word in ("when", "whenever", "once"))
        conditional = conditional and not re.search(r"\b(?:new|incoming)\b", body, re.IGNORECASE)
    elif check is None and dynamic and word == "if":
        conditional = False
    if not conditional:
        return replace(piece, triggered=True)
    joined = f"{piece.condition} and {body}" if piece.condition else body
    given = word in ("if", "unless", "in case", "else if", "or if")
    return replace(
        piece, condition=joined, negated=unless, given=given, otherwise=piece.otherwise and word != "else if"
    )


def _trailing(piece: Segment, services: frozenset[str]) -> Segment:
    """Conditions and happenings that stand behind what is asked for."""
    text = piece.text
    if match := TAIL_JOIN.search(text):
        piece = replace(piece, link=Link.ALL, count=counted(match))
        text = text[: match.start()]
    if match := TAIL_OTHERWISE.search(text):
        piece, text = replace(piece, otherwise=True), text[: match.start()]
    text = TAIL_SAME.sub("", text)
    for match in TRAILING.finditer(text):
        if TELLING.search(text[: match.start()]):
            telling = re.search(r"\b(?:me|us|know)\s*$", text[: match.start()], re.IGNORECASE)
            if telling and happens(match["body"]):
                piece = replace(piece, triggered=True)
            continue
        piece = replace(_classified(match["lead"], match["body"], piece), behind=True)
        text = text[: match.start()]
        break
    said = text.split()
    verb = VERBS.get(said[0].lower()) if said else None
    if verb and verb.lemma in DECIDING and not piece.condition and (match := TAIL_NUMBER.search(text)):
        body = re.sub(r"^(?:at|for|with)\s+(?!least|most)", "", match["body"], flags=re.IGNORECASE)
        if read_condition(body, subject="value"):
            piece, text = replace(piece, condition=body, behind=True), text[: match.start()]
    return replace(piece, text=text.strip(" ,."))
