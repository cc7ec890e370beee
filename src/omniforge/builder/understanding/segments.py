"""A wish cut into the pieces that ask for one thing each, with the words that join them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from omniforge.builder.understanding.conditions import read_condition
from omniforge.builder.understanding.happenings import happens
from omniforge.builder.understanding.held import MARK, Held, hold_back
from omniforge.builder.understanding.joining import (
    ANYWAY,
    COMING,
    COMPLAINS,
    DECIDING,
    FIRST,
    JOIN,
    MEASURED_INSIDE,
    OTHERWISE,
    RECEIVING,
    SAME_TIME,
    SELF_DONE,
    SEVERAL,
    SOURCED,
    SUBJECT,
    SUCH_ONES,
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
from omniforge.builder.understanding.measures import headed, how_such, measured_by
from omniforge.builder.understanding.occasions import classified, until_action
from omniforge.builder.understanding.phrasing import imperative, in_order, plain_orders
from omniforge.builder.understanding.places import CHANNEL, find_services
from omniforge.builder.understanding.segment import Link, Segment
from omniforge.builder.understanding.starts import names_a_deed, passive, starts
from omniforge.builder.understanding.timeless import without_schedule
from omniforge.builder.understanding.verbs import NOUNS_TOO, VERBS, Deed

_SENTENCE = re.compile(rf"(?<=[\w)%'])[.!?]+(?=\s)|\s*[;{MARK}]\s*|\.\s*(?={MARK})")


_PIECE = re.compile(
    r"(?P<joint>\s*(?<!\d),\s*(?:and\s+|but\s+|or\s+|so\s+|plus\s+)?(?:then\s+)?|"
    r"\s*,(?!\d{3}\b)\s*(?:and\s+|but\s+|or\s+|so\s+|plus\s+)?(?:then\s+)?|\s*:\s+|\s+(?:and|but|plus|"
    r"&)\s+(?:then\s+)?|"
    r"\s+>+\s+(?![\d$€£])|\s+then\s+|\s+(?:->|→|=>)\s+|\s+-\s+|\s+(?:as well as|along with|together with|"
    r"\+)\s+|"
    r"(?<! or)\s+(?=(?:otherwise|or else)\s+[a-z#]))",
    re.IGNORECASE,
)


MOST_PIECES = 120


MOST_PARTS = 60


LONGEST_PREFIX = 400


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
        inside = _sentence(in_order(imperative(sentence.strip(" ,.")), names_a_deed), opens, services)
        if listed and len(inside) > 1 and inside[0].link is Link.SAME_TIME:
            inside[0] = replace(inside[0], link=Link.TOGETHER)
        pieces += inside
    return pieces, held


def _sentence(sentence: str, link: Link, services: frozenset[str]) -> list[Segment]:
    parts = _PIECE.split(sentence, maxsplit=MOST_PARTS)
    heads = [("", parts[0])] + [(parts[i], parts[i + 1]) for i in range(1, len(parts) - 1, 2)]
    groups: list[tuple[str, str]] = []
    for joint, part in heads:
        open_prefix = bool(groups) and _only_prefix(groups[-1][1], services)
        case = bool(groups) and not open_prefix and _is_case(part, groups[-1][1])
        if (groups and not open_prefix and _goes_on(part, joint, groups[-1][1])) or (
            groups and not case and not starts(part, joint, open_prefix, services)
        ):
            groups[-1] = (groups[-1][0], f"{groups[-1][1]}{joint}{part}")
        else:
            groups.append((joint, part))
    pieces: list[Segment] = []
    pending: Segment | None = None
    for number, (joint, part) in enumerate(groups):
        first = (
            link if number == 0 else Link.THEN if re.search(r"\bthen\b|->|→|=>|>", joint, re.I) else Link.AND
        )
        piece = _opened(part.strip(" ,:"), first, services)
        if pending is not None:
            piece = _merged(pending, piece, joint)
            pending = None
        if not piece.text and number < len(groups) - 1:
            pending = piece
            continue
        if piece.text or piece.triggered or piece.condition:
            heads = number + 1 < len(groups) and groups[number + 1][0].strip() == ":"
            pieces.append(_ended(replace(piece, heads=heads), services))
    return pieces


def _goes_on(part: str, joint: str, before: str) -> bool:
    """The second of two names of which something is said ("Linear and GitHub should be checked")."""
    if "and" not in joint and "," not in joint:
        return False
    named = before.strip().split()
    if len(named) > 4 or any(word.lower() in VERBS and word.lower() not in NOUNS_TOO for word in named):
        return False
    return (
        passive(part.strip()) is not None and re.match(r"(?:it|they|that|this)\b", part.strip(), re.I) is None
    )


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
        rest=before.rest or piece.rest,
    )  # fmt: skip


def _and(joint: str, before: Segment, piece: Segment) -> str:
    return joint.strip(" ,:") if before.condition and piece.condition else ""


def _only_prefix(part: str, services: frozenset[str]) -> bool:
    """A condition, a happening or a joining phrase that waits for what is to be done."""
    return len(part) < LONGEST_PREFIX and not _opened(part.strip(" ,:"), Link.AND, services).text


def _opened(text: str, link: Link, services: frozenset[str]) -> Segment:
    """A piece without the words in front of what it asks for."""
    piece = Segment("", link)
    if SOURCED.match(text) and (find_services(text, services) or CHANNEL.search(text)):
        return replace(piece, text=text, states=True)
    if COMPLAINS.match(text):
        return piece
    if RECEIVING.match(text) or COMING.match(text):
        return replace(piece, triggered=True)
    for _ in range(MOST_OPENERS):
        text = text.lstrip(f" ,:.-{MARK}")
        step = _step(text, piece, services)
        if step is None:
            break
        piece, text = step
    return headed(piece, text, services)


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


def _when(text: str, piece: Segment, services: frozenset[str]) -> tuple[Segment, str] | None:
    """ "When …", "if …" in front: a happening or a condition, up to where something is asked for."""
    match = WHEN.match(text)
    if not match:
        return None
    body, rest = until_action(text[match.end() :], services)
    return classified(match["lead"], body, piece), rest


_ON_SOME = frozenset({Deed.POST, Deed.FLAG, Deed.PLACE, Deed.DECIDE, Deed.CREATE})
"""Deeds that may be done to only some of the things: those of an amount."""


def _ended(piece: Segment, services: frozenset[str]) -> Segment:
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
        piece = replace(classified(match["lead"], match["body"], piece), behind=True)
        text = text[: match.start()]
        break
    if not piece.condition and (inside := MEASURED_INSIDE.match(text)):
        verb = VERBS.get(inside["verb"].lower())
        how = f"the {measured_by(inside)} {inside['number']}"
        if verb and verb.deed in _ON_SOME and read_condition(how, subject="amount"):
            return replace(
                piece, condition=how, behind=True,
                text=f"{inside['verb']}{inside['who'] or ''} it{inside['rest'] or ''}",
            )  # fmt: skip
    if not piece.condition and (such := SUCH_ONES.match(text)):
        how = how_such(such)
        if read_condition(how, subject="amount"):
            what = "it" if such["verb"] else ""
            return replace(
                piece, condition=how, behind=True, text=f"{such['verb']} {what}{such['rest'] or ''}".strip()
            )
    said = text.split()
    verb = VERBS.get(said[0].lower()) if said else None
    if verb and verb.lemma in DECIDING and not piece.condition and (match := TAIL_NUMBER.search(text)):
        body = re.sub(r"^(?:at|for|with)\s+(?!least|most)", "", match["body"], flags=re.IGNORECASE)
        if read_condition(body, subject="value"):
            piece, text = replace(piece, condition=body, behind=True), text[: match.start()]
    return replace(piece, text=text.strip(" ,."))
