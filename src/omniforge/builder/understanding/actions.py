"""One piece of a wish as something an agent can do: which operation, where, about what."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from omniforge.builder.understanding.gathering import (
    extracted,
    fetched,
    first_of,
    gathered,
    made_there,
    posted,
    read_there,
    reports,
    target_of,
    thing_asked,
    watched,
)
from omniforge.builder.understanding.pieces import (
    ANSWER,
    CHATS,
    LISTING,
    NOTE,
    PRONOUN,
    QUALITY,
    SELF,
    SUMMARY,
    THING,
    VERDICTS,
    Action,
    Around,
    Piece,
)
from omniforge.builder.understanding.places import (
    CHANNEL,
    DOCUMENT,
    document,
    find_services,
)
from omniforge.builder.understanding.verbs import VERBS, Deed, Form, is_a_thing

_NOTHING = re.compile(
    r"(?:don't|do not|never|no need to|nothing\b|stay (?:silent|quiet)|be (?:silent|quiet)|keep quiet|"
    r"skip (?:it|them|this)\b|"
    r"ignore (?:it|them|this)\b|leave it\b|that's (?:it|all)\b|do nothing)",
    re.IGNORECASE,
)


def read_action(text: str, around: Around) -> list[Action] | None:
    """What a piece asks for; empty when it asks for nothing; None when it fits no rule."""
    said = text.split()
    if not said or _NOTHING.match(text):
        return []
    verb = VERBS.get(said[0].lower().strip("'\""))
    if verb is None or is_a_thing(said):
        return _without_verb(text, around)
    rest = " ".join(said[1:])
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
    if re.match(r"(?:to|in|into)\s+#", text) and "post" in around.before:
        return [Action("post", "slack", place=piece.place)]
    return _framed(piece)


_FRAME = re.compile(
    r"(?P<verb>(?!(?:with|from|for|about|including|containing|once|after|before|if|when|because|using|and|or|is|"
    r"are|was|has|can|in|on|at|of)\b)[a-z][a-z-]{2,})\s+(?P<what>(?:up |down |off |over |out |back )?"
    r"(?:it|them|this|that|those|these|everything|all|both|the|an?|our|my|any|every|each|new|open)\b.*)$",
    re.IGNORECASE,
)


def _framed(piece: Piece) -> list[Action] | None:
    """A verb of no table, told by what stands around it: "… it into #ops", "… the rows from Notion"."""
    match = _FRAME.match(piece.text)
    if not match:
        return None
    inner = replace(piece, rest=match["what"], mentions=find_services(match["what"], piece.around.services))
    if re.search(r"\b(?:to|into|in|on|onto)\s+(?:the )?#[\w-]+|\bto zze\d+zz", match["what"]):
        return _placed(inner)
    if any(m.source is True for m in inner.mentions) and not any(m.source is False for m in inner.mentions):
        return reports(inner)
    if any(m.source is False for m in inner.mentions):
        return _placed(inner)
    return None


def _placed(piece: Piece) -> list[Action] | None:
    """Put somewhere: a message in a chat, an entry elsewhere; read first when it is said where from."""
    if piece.names(r"(?:up |in|into|through) (?:for )?(?:manual |human |a )?(?:review|approval)"):
        return [Action("decide", object="review")]
    goes = [m for m in piece.mentions if m.source is not True and m.placed]
    chat = (
        CHANNEL.search(piece.rest)
        or any(m.service in CHATS for m in goes)
        or piece.names(rf"(?:to|by|via) (?:{SELF}|e-?mail)")
    )
    if chat or (not goes and piece.around.held.of_kind("e", piece.rest)):
        return _sent(piece)
    if goes:
        return _copied(piece) if any(m.source is True for m in piece.mentions) else made_there(piece)
    return None


def _sent(piece: Piece) -> list[Action] | None:
    if piece.lemma == "let" and not piece.names("know"):
        return None
    if piece.lemma in ("send", "submit", "forward") and piece.names(
        r"(?:to|for|into) (?:manual |human |a )?(?:review|approval)"
    ):
        return [Action("decide", object="review")]
    if piece.lemma == "drop" and not (piece.targets or piece.names(NOTE)):
        return None
    reads = [m for m in piece.mentions if m.service not in CHATS and m.source is not False]
    kept = [m for m in piece.mentions if m not in reads]
    where = re.sub(r"\b(?:from|of|in|about) (?:#[\w-]+)(?= to )", "", piece.rest)
    message = posted(replace(piece, mentions=kept, rest=where))
    made = piece.names(SUMMARY) or piece.names(r"reports?|lists?|newsletters?")
    if re.match(r"(?:every|each|any) new\b", piece.rest, re.IGNORECASE):
        return message
    fresh = not piece.around.before or (reads and not re.match(PRONOUN, piece.rest, re.I))
    if reads and fresh and not re.search(r"\b(?:about|when|if)\b", piece.rest):
        return [*reports(replace(piece, mentions=reads, rest=CHANNEL.sub("", piece.rest))), *message]
    if not piece.around.before and not piece.around.triggered and (made or message[0].inbox):
        return [Action("report", object=piece.about), *message]
    if not piece.around.before and message[0].inbox:
        return [Action("brief", object=piece.about), *message]
    return message


def _created(piece: Piece) -> list[Action] | None:
    if piece.names(r"comments?|labels?|tags?|link to|due date|assignee|reaction") and piece.lemma in (
        "add",
        "append",
        "insert",
    ):
        return [Action("update", target_of(piece), object=piece.about, place=piece.place)]
    if (
        piece.names(rf"{SUMMARY}|{LISTING}|brief(?:ing)?s?|comparison")
        and not piece.names(THING)
        and (piece.lemma in ("create", "generate", "open"))
    ):
        return _written(piece)
    if piece.lemma == "open" and DOCUMENT.search(piece.rest) and not piece.mentions:
        return extracted(piece)
    if (
        piece.names(NOTE)
        and piece.lemma in ("create", "generate", "raise")
        and (piece.names("to") or CHANNEL.search(piece.rest))
    ):
        return posted(piece)
    if (
        piece.lemma in ("add", "store", "save")
        and any(t == "slack" for t in piece.targets)
        and not piece.names(THING)
    ):
        return posted(piece)
    return made_there(piece)


def _updated(piece: Piece) -> list[Action] | None:
    if piece.lemma == "set" and re.match(r"up\b", piece.rest, re.IGNORECASE):
        return made_there(piece)
    if piece.lemma == "complete" and piece.names(r"forms?|questionnaires?|templates?"):
        return _filled(piece)
    if piece.lemma == "complete" and not piece.mentions and not piece.names(THING):
        return None
    if piece.lemma == "move" and len({m.service for m in piece.mentions}) > 1:
        return _copied(piece)
    if piece.lemma == "rename" and not piece.mentions and piece.names("fields?|columns?"):
        return [Action("transform", object=piece.about)]
    if (
        piece.lemma == "mark"
        and not piece.mentions
        and (verdict := re.search(r"\bas (approved|rejected)\b", piece.rest, re.I))
    ):
        return [Action("decide", object={"a": "approve", "r": "reject"}[verdict[1][0].lower()])]
    return [Action("update", target_of(piece), object=piece.about, place=piece.place)]


def _copied(piece: Piece) -> list[Action] | None:
    origin = [m.service for m in piece.mentions if m.source is True or m.owned]
    goes = [m.service for m in piece.mentions if m.source is False] + (
        ["slack"] if CHANNEL.search(piece.rest) else []
    )
    if not goes or (not origin and not piece.around.before and not piece.around.triggered):
        return reports(piece) if origin and piece.lemma == "import" else None
    last = "post" if goes[0] in CHATS else "create"
    first = [Action("report", origin[0], object=piece.about)] if origin and not piece.around.triggered else []
    return [*first, Action(last, goes[0], object=piece.about, place=piece.place)]


def _summarised(piece: Piece) -> list[Action] | None:
    fresh = any(m.source is not False and m.service not in CHATS for m in piece.mentions)
    if not piece.around.before or fresh:
        if DOCUMENT.search(piece.rest) and not piece.mentions:
            return [Action("summarise", object=piece.about)]
        return gathered(piece)
    return [
        Action("summarise", object=piece.about),
        *(posted(piece) if CHANNEL.search(piece.rest) or piece.mentions else []),
    ]


def _transformed(piece: Piece) -> list[Action] | None:
    if piece.lemma in ("sort", "filter", "group", "rank") and piece.around.before[-1:] == ("report",):
        return [Action("report", joins=True)]
    if piece.lemma in ("work", "figure") and not piece.names("out"):
        return None
    if piece.lemma == "turn":
        if piece.names("on|off"):
            return None
        if piece.names(SUMMARY):
            return _summarised(piece)
    return [Action("transform", object=piece.about)]


def _compared(piece: Piece) -> list[Action]:
    return [Action("compare", object=piece.about)]


def _filled(piece: Piece) -> list[Action]:
    return [Action("fill", object=re.sub(r"^(?:in|out|up)\b\s*", "", piece.about))]


def _matched(piece: Piece) -> list[Action]:
    return [Action("match", first_of(piece.sources), object=document(piece.rest) or piece.about)]


def _checked(piece: Piece) -> list[Action] | None:
    if piece.lemma == "review" and not piece.mentions:
        manual = not piece.rest or re.match(
            rf"{PRONOUN}|manually|by |needed|the (?:invoice|order|case|request|claim)", piece.rest, re.I
        )
        if piece.around.conditional or (manual and "compare" in piece.around.before):
            return [Action("decide", object="review")]
    if piece.names(r"against") or (
        piece.names(r"match(?:es)?|agrees?|the same|equals?|identical|differs?|corresponds?")
        and not piece.mentions
    ):
        return [Action("compare", object=piece.about)]
    if piece.mentions or piece.around.held.of_kind("u", piece.rest):
        return read_there(piece)
    if piece.names(r"quality|complet\w+|missing|valid|correct|errors|filled|plausib\w+"):
        return [Action("check", object=piece.about)]
    if piece.around.before or piece.lemma != "check":
        return (
            [Action("check", object=piece.about)] if piece.names(QUALITY) or piece.lemma != "review" else None
        )
    return read_there(piece) if piece.names(r"[a-z]+s|for|our|my|if|whether") else None


def _decided(piece: Piece) -> list[Action] | None:
    """A verdict, and the message that goes with it; "approved by Derek" is for Derek to do."""
    if re.search(r"\bby (?:#|@|the |my |our |a |[A-Z])", piece.rest):
        return None
    verdict = Action("decide", object=VERDICTS.get(piece.lemma, piece.lemma))
    note = re.search(rf"\b(?:with|by|via|plus)\s+(?P<note>.*\b(?:{NOTE})\b.*)$", piece.rest, re.IGNORECASE)
    if not note:
        return [verdict]
    words = note["note"]
    return [
        verdict,
        *posted(replace(piece, lemma="", rest=words, mentions=find_services(words, piece.around.services))),
    ]


def _followed(piece: Piece) -> list[Action] | None:
    if piece.lemma == "draft" and piece.names(rf"{SUMMARY}|reports?|brief(?:ing)?s?"):
        return _written(piece)
    return [Action("follow", object=piece.around.held.restore(piece.text))]


def _stopped(piece: Piece) -> list[Action] | None:
    if not piece.around.before:
        return None
    text = first_of(piece.around.held.of_kind("q", piece.rest))
    said = re.search(
        r"\b(?:with|and say|saying)\s+(?:the (?:message|words?|note) )?(?P<text>[A-Z].{2,80})$", piece.rest
    )
    return [Action("match", text=text or (said["text"] if said else ""), joins=True)]


def _flagged(piece: Piece) -> list[Action] | None:
    if piece.names("for (?:manual |human )?review"):
        return [Action("decide", object="review")]
    if piece.mentions and not piece.names(r"incomplete|missing|unknown|invalid"):
        return [Action("update", target_of(piece), object=piece.about)]
    return [Action("check", object=f"flag {piece.about}", joins="check" in piece.around.before)]


def _written(piece: Piece) -> list[Action] | None:
    if (
        piece.lemma == "put"
        and not CHANNEL.search(piece.rest)
        and piece.names(r"(?:up )?for (?:manual |human |a )?(?:review|approval)|in(?:to)? review")
    ):
        return [Action("decide", object="review")]
    if piece.lemma == "make" and re.match(r"(?:sure|certain)\b", piece.rest, re.IGNORECASE):
        return [Action("check", object=piece.about)]
    if piece.names(r"(?:my |the )inbox"):
        return [Action("post", inbox=True)]
    if piece.names(r"brief(?:ings?)?|background (?:document|note|paper)"):
        return [
            Action("brief", first_of([m.service for m in piece.mentions if m.source]), object=piece.about)
        ]
    return _written_there(piece) or _written_thing(piece)


def _written_there(piece: Piece) -> list[Action] | None:
    """ "Put it in Slack", "write the results into Notion"."""
    places = piece.names(r"to|in|into|on") or CHANNEL.search(piece.rest)
    if piece.lemma not in ("write", "put", "compose") or not places:
        return None
    chat = [t for t in piece.targets if t in CHATS and (t != "email" or piece.names("e-?mail|mail"))]
    if chat and not piece.names(THING):
        return _sent(piece)
    there = [m for m in piece.mentions if m.source is not True and m.placed and m.service not in CHATS]
    return made_there(piece) if there else None


def _written_thing(piece: Piece) -> list[Action] | None:
    if piece.names(rf"{SUMMARY}|{LISTING}"):
        return gathered(piece)
    if piece.names(ANSWER):
        return [Action("follow", object=piece.around.held.restore(piece.text))]
    if piece.names(r"comparison"):
        return [Action("compare", object=piece.about)]
    if piece.names(THING):
        return made_there(piece)
    if piece.names(NOTE):
        return posted(piece) if piece.targets or piece.names("to") else [Action("follow", object=piece.about)]
    return None


def _light(piece: Piece) -> list[Action] | None:
    """Do, run, have, use, give: what is done stands in the object, or behind "to"."""
    if re.match(r"(?:nothing|no more|not)\b", piece.rest, re.IGNORECASE) or piece.lemma == "decide":
        return []
    if piece.lemma in ("use", "take", "have", "need", "want", "try", "start") and (
        inner := re.search(r"\bto\s+(?P<what>[a-z]+\s.+)$", piece.rest, re.IGNORECASE)
    ):
        word = inner["what"].split()[0].lower()
        if word in VERBS and VERBS[word].form is Form.BASE:
            return read_action(inner["what"], piece.around)
    if piece.names(r"forms?|templates?") and piece.lemma in ("use", "take", "apply"):
        return _filled(piece)
    if piece.lemma == "give" and piece.names(r"(?:urgent )?(?:note|message|heads-?up) to"):
        return posted(piece)
    return thing_asked(piece)


_RULES: dict[Deed, Callable[[Piece], list[Action] | None]] = {
    Deed.READ: read_there,
    Deed.WATCH: watched,
    Deed.FETCH: fetched,
    Deed.BRIEF: lambda p: [Action("brief", first_of(p.sources), object=p.about)],
    Deed.POST: _sent,
    Deed.CREATE: _created,
    Deed.UPDATE: _updated,
    Deed.COPY: _copied,
    Deed.SUMMARISE: _summarised,
    Deed.TRANSFORM: _transformed,
    Deed.COMPARE: _compared,
    Deed.EXTRACT: extracted,
    Deed.FILL: _filled,
    Deed.MATCH: _matched,
    Deed.CHECK: _checked,
    Deed.DECIDE: _decided,
    Deed.FOLLOW: _followed,
    Deed.STOP: _stopped,
    Deed.FLAG: _flagged,
    Deed.WRITE: _written,
    Deed.PLACE: _placed,
    Deed.LIGHT: _light,
}
