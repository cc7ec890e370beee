"""One piece of a wish as something an agent can do: which operation, where, about what."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from omniforge.builder.understanding.gathering import (
    extracted,
    fetched,
    posted,
    read_there,
    reports,
    thing_asked,
    watched,
)
from omniforge.builder.understanding.pieces import Action, Around, Piece
from omniforge.builder.understanding.places import CHANNEL, find_services
from omniforge.builder.understanding.placing import (
    briefed,
    copied,
    created,
    flagged,
    placed,
    sent,
    updated,
    written,
)
from omniforge.builder.understanding.sources import filled
from omniforge.builder.understanding.verbs import VERBS, Deed, Form, is_a_thing
from omniforge.builder.understanding.working import (
    checked,
    compared,
    decided,
    followed,
    matched,
    stopped,
    summarised,
    transformed,
)

_NOTHING = re.compile(
    r"(?:don't|do not|never|no need to|nothing\b|stay (?:silent|quiet)|be (?:silent|quiet)|keep quiet|"
    r"skip (?:it|them|this)\b|"
    r"ignore (?:it|them|this|everyone|everything|all|the|any|others)\b|leave it\b|that's (?:it|all)\b|do "
    r"nothing)",
    re.IGNORECASE,
)


def read_action(text: str, around: Around) -> list[Action] | None:
    """What a piece asks for; empty when it asks for nothing; None when it fits no rule."""
    said = text.split()
    if not said or _NOTHING.match(text):
        return []
    verb = VERBS.get(said[0].lower().strip("'\""))
    if (
        verb
        and verb.form is Form.PAST
        and re.match(r"\w+ (?:[a-z]+ )?[a-z]+s (?:go|goes|to|put|are|is)\b", text, re.I)
    ):
        return None
    rest = " ".join(said[1:])
    if said[0].lower() == "say" and CHANNEL.search(rest):
        return posted(Piece("say", rest, text, find_services(rest, around.services), around))
    if verb is None or is_a_thing(said):
        return _without_verb(text, around)
    if (
        verb.lemma in ("call", "hit", "visit", "poll", "open", "ping", "check", "query")
        and around.held.of_kind("u", rest)
        and not CHANNEL.search(rest)
    ):
        return fetched(Piece(verb.lemma, rest, text, find_services(rest, around.services), around))
    if verb.lemma in ("call", "hit", "visit", "poll"):
        person = CHANNEL.search(rest) and verb.lemma in ("call", "poll")
        return (
            posted(Piece(verb.lemma, rest, text, find_services(rest, around.services), around))
            if person
            else None
        )
    piece = Piece(verb.lemma, rest, text, find_services(rest, around.services), around)
    return _RULES[verb.deed](piece)


def _without_verb(text: str, around: Around) -> list[Action] | None:
    piece = Piece("", text, text, find_services(text, around.services), around)
    if (found := thing_asked(piece)) is not None:
        return found
    inner = re.search(r"\b(?:to|and|must|should|by|is)\s+(?P<what>[a-z]+\s.+)$", text, re.IGNORECASE)
    if (
        inner
        and (word := inner["what"].split()[0].lower()) in VERBS
        and VERBS[word].form in (Form.BASE, Form.ING)
    ):
        return read_action(inner["what"], around)
    if re.match(r"(?:[a-z]+(?:ed|nt|t) )?(?:to|in|into|on|via)\s+(?:the )?(?:#|zze)", text) and around.before:
        return posted(piece)
    return _framed(piece)


_FRAME = re.compile(
    r"(?P<verb>(?!(?:with|from|for|about|including|containing|once|after|before|if|when|because|using|and|"
    r"or|is|"
    r"are|was|has|can|in|on|at|of)\b)[a-z][a-z-]{2,})\s+(?P<what>(?:up |down |off |over |out |back )?"
    r"(?:it|them|this|that|those|these|everything|all|both|the|an?|our|my|any|every|each|new|open|"
    r"#[\w-]+)(?!\w).*)$",
    re.IGNORECASE,
)


def _framed(piece: Piece) -> list[Action] | None:
    """A verb of no table, told by what stands around it: "… it into #ops", "… the rows from Notion"."""
    match = _FRAME.match(piece.text)
    if not match:
        return None
    inner = replace(piece, rest=match["what"], mentions=find_services(match["what"], piece.around.services))
    if match["what"].startswith("#"):
        return posted(inner)
    if re.search(r"\b(?:to|into|in|on|onto)\s+(?:the )?#[\w-]+|\bto zze\d+zz", match["what"]):
        return placed(inner)
    if any(m.source is True for m in inner.mentions) and not any(m.source is False for m in inner.mentions):
        return reports(inner)
    if any(m.source is False for m in inner.mentions):
        return placed(inner)
    return None


def _light(piece: Piece) -> list[Action] | None:
    """Do, run, have, use, give: what is done stands in the object, or behind "to"."""
    if re.match(r"(?:nothing|no more|not)\b", piece.rest, re.IGNORECASE) or piece.lemma == "decide":
        return []
    if piece.lemma in ("use", "take", "have", "need", "want", "try", "start") and (
        inner := re.search(r"\bto\s+(?P<what>[a-z]+\s.{,600})$", piece.rest, re.IGNORECASE)
    ):
        word = inner["what"].split()[0].lower()
        if word in VERBS and VERBS[word].form is Form.BASE:
            return read_action(inner["what"], piece.around)
    if piece.names(r"forms?|templates?") and piece.lemma in ("use", "take", "apply"):
        return filled(piece)
    if piece.lemma == "give" and CHANNEL.match(piece.rest):
        return sent(piece)
    if piece.lemma == "give" and piece.names(r"(?:urgent )?(?:note|message|heads-?up) to"):
        return posted(piece)
    return thing_asked(piece)


_RULES: dict[Deed, Callable[[Piece], list[Action] | None]] = {
    Deed.READ: read_there,
    Deed.WATCH: watched,
    Deed.FETCH: fetched,
    Deed.BRIEF: briefed,
    Deed.POST: sent,
    Deed.CREATE: created,
    Deed.UPDATE: updated,
    Deed.COPY: copied,
    Deed.SUMMARISE: summarised,
    Deed.TRANSFORM: transformed,
    Deed.COMPARE: compared,
    Deed.EXTRACT: extracted,
    Deed.FILL: filled,
    Deed.MATCH: matched,
    Deed.CHECK: checked,
    Deed.DECIDE: decided,
    Deed.FOLLOW: followed,
    Deed.STOP: stopped,
    Deed.FLAG: flagged,
    Deed.WRITE: written,
    Deed.PLACE: placed,
    Deed.LIGHT: _light,
}
