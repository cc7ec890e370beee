"""Pieces that work on what is at hand: summing up, comparing, checking, judging."""

from __future__ import annotations

import re

from omniforge.builder.understanding.gathering import (
    fetched,
    first_of,
    gathered,
    made_there,
    posted,
    read_there,
)
from omniforge.builder.understanding.pieces import CHATS, PRONOUN, QUALITY, SUMMARY, VERDICTS, Action, Piece
from omniforge.builder.understanding.places import CHANNEL, DOCUMENT, document
from omniforge.builder.understanding.placing import with_note, written
from omniforge.builder.understanding.sources import read_first

_ENTRIES = (
    r"issues|bugs|tickets|tasks|to-?dos|projects|customers|clients|invoices|orders|deals|leads|pull requests|"
    r"prs|commits|messages|entries|rows|records|requests|cases|incidents|contacts|partners|candidates"
)
"""Things that lie at some service, so that they are read there first."""


def summarised(piece: Piece) -> list[Action] | None:
    made = [
        m for m in piece.mentions if m.service not in CHATS and m.placed and (m.source is False or m.owned)
    ]
    if piece.around.before and made and re.search(r"\b(?:into|onto|on|as)\b", piece.rest, re.IGNORECASE):
        return made_there(piece)
    fresh = any(m.source is not False and m.service not in CHATS for m in piece.mentions)
    if piece.around.held.of_kind("u", piece.rest):
        return [*(fetched(piece) or []), Action("summarise", object=piece.about)]
    if not piece.around.before or fresh:
        if DOCUMENT.search(piece.rest) and not piece.mentions:
            return [Action("summarise", object=piece.about)]
        return gathered(piece)
    return [
        Action("summarise", object=piece.about),
        *(posted(piece) if CHANNEL.search(piece.rest) or piece.mentions else []),
    ]


def transformed(piece: Piece) -> list[Action] | None:
    if piece.lemma in ("sort", "filter", "group", "rank", "select", "choose"):
        if piece.around.before[-1:] == ("report",):
            return [Action("report", joins=True)]
        if first := read_first(piece):
            return first
        if not piece.around.before and not piece.around.triggered and piece.names(_ENTRIES):
            return [Action("report", object=piece.about)]
    if piece.lemma == "choose" and not piece.around.before:
        return None
    if piece.lemma in ("work", "figure") and not piece.names("out"):
        return None
    if piece.lemma == "turn":
        if piece.names("on|off"):
            return None
        if piece.names(SUMMARY):
            return summarised(piece)
    return [*read_first(piece), Action("transform", object=piece.about)]


def compared(piece: Piece) -> list[Action]:
    return [*read_first(piece), Action("compare", object=piece.about)]


def matched(piece: Piece) -> list[Action]:
    return [Action("match", first_of(piece.sources), object=document(piece.rest) or piece.about)]


def checked(piece: Piece) -> list[Action] | None:
    if piece.lemma == "confirm" and (piece.targets or piece.names("to (?:the|our|my)")):
        return posted(piece)
    if piece.lemma == "review" and not piece.mentions:
        manual = not piece.rest or re.match(
            rf"{PRONOUN}|manually|by |needed|the (?:invoice|order|case|request|claim)", piece.rest, re.I
        )
        if piece.around.conditional or (manual and "compare" in piece.around.before):
            return [Action("decide", object="review")]
    against = re.search(r"\bagainst (?P<what>.+)$", piece.rest, re.IGNORECASE)
    if against and piece.around.before[-1:] == ("extract",) and (other := document(against["what"])):
        return [Action("extract", object=f"the {other}", place=other), Action("compare", object=piece.about)]
    if piece.names(r"against") or (
        piece.names(r"match(?:es)?|agrees?|the same|equals?|identical|differs?|corresponds?")
        and not piece.mentions
    ):
        return [Action("compare", object=piece.about)]
    if (
        re.match(r"(?:whether|if|that)\b", piece.rest, re.IGNORECASE)
        and DOCUMENT.search(piece.rest)
        and not piece.mentions
    ):
        return [Action("check", object=piece.about)]
    if piece.mentions or piece.around.held.of_kind("u", piece.rest):
        return read_there(piece)
    if piece.names(r"signatures?|signed|quality|complet\w+|missing|valid|correct|errors|filled|plausib\w+"):
        return [Action("check", object=piece.about)]
    if piece.around.before or piece.lemma != "check":
        return (
            [Action("check", object=piece.about)] if piece.names(QUALITY) or piece.lemma != "review" else None
        )
    return read_there(piece) if piece.names(r"[a-z]+s|for|our|my|if|whether") else None


def decided(piece: Piece) -> list[Action] | None:
    """A verdict, and the message that goes with it; "approved by Derek" is for Derek to do."""
    if re.search(r"\bby (?:#|@|the |my |our |a |[A-Z])", piece.rest) or re.match(
        r"or (?:approve|reject|accept|decline|deny)", piece.rest
    ):
        return None
    return with_note(piece, Action("decide", object=VERDICTS.get(piece.lemma, piece.lemma)))


def followed(piece: Piece) -> list[Action] | None:
    if piece.lemma == "draft" and piece.names(rf"{SUMMARY}|reports?(?! cards?)|brief(?:ing)?s?"):
        return written(piece)
    return [*read_first(piece), Action("follow", object=piece.around.held.restore(piece.text))]


def stopped(piece: Piece) -> list[Action] | None:
    if not piece.around.before:
        return None
    text = first_of(piece.around.held.of_kind("q", piece.rest))
    said = re.search(
        r"\b(?:with|and say|saying)\s+(?:the (?:message|words?|note) )?(?P<text>[A-Z].{2,80})$", piece.rest
    )
    return [Action("match", text=text or (said["text"] if said else ""), joins=True)]
