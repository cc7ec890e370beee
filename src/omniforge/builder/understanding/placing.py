"""Pieces that put something somewhere: a message, an entry, a change of one."""

from __future__ import annotations

import re
from dataclasses import replace

from omniforge.builder.understanding.gathering import (
    extracted,
    first_of,
    gathered,
    made_there,
    posted,
    reports,
    target_of,
)
from omniforge.builder.understanding.pieces import (
    ANSWER,
    CHATS,
    LISTING,
    NOTE,
    PRONOUN,
    SELF,
    SUMMARY,
    THING,
    Action,
    Piece,
)
from omniforge.builder.understanding.places import CHANNEL, DOCUMENT, find_services
from omniforge.builder.understanding.sources import filled, read_first


def placed(piece: Piece) -> list[Action] | None:
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
        return sent(piece)
    if goes:
        return copied(piece) if any(m.source is True for m in piece.mentions) else made_there(piece)
    return None


def sent(piece: Piece) -> list[Action] | None:
    if piece.lemma == "let" and not piece.names("know"):
        return None
    if piece.lemma in ("thank", "welcome", "congratulate") and not piece.targets:
        return None
    if (
        piece.lemma in ("send", "submit", "forward")
        and not re.search(r"\bto (?:the )?#", piece.rest)
        and piece.names(r"(?:to|for|into) (?:manual |human |a )?(?:review|approval)")
    ):
        return with_note(piece, Action("decide", object="review"))
    if piece.lemma == "drop" and not (piece.targets or piece.names(NOTE)):
        return None
    reads = [m for m in piece.mentions if m.service not in CHATS and m.source is not False]
    kept = [m for m in piece.mentions if m not in reads]
    where = re.sub(
        r"\b(?:from|of|in|about) (?:#[\w-]+)(?= to (?:#|zze|slack\b|me\b|us\b|the |my |our ))",
        "",
        piece.rest,
        flags=re.I,
    )
    message = posted(replace(piece, mentions=kept, rest=where))
    if _goes_elsewhere(piece):
        both = any(m.source is True for m in piece.mentions)
        return placed(piece) if both else made_there(piece)
    made = piece.names(SUMMARY) or piece.names(
        r"reports?|lists?|newsletters?|rundowns?|write-?ups?|snapshots?|tables?"
    )
    made = made or (bool(piece.around.kept_in) and not message[0].inbox)
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


_SENDING = frozenset(
    {"post", "send", "publish", "submit", "forward", "share", "report", "dispatch", "deliver"}
)


def _goes_elsewhere(piece: Piece) -> bool:
    """ "Publish it on a Notion page": sent to a place that is no chat."""
    there = any(m.service not in CHATS and m.source is not True and m.placed for m in piece.mentions)
    chat = CHANNEL.search(piece.rest) or any(t in CHATS for t in replace(piece, lemma="").targets)
    return there and not chat and piece.lemma in _SENDING


def with_note(piece: Piece, verdict: Action) -> list[Action]:
    if piece.lemma == "escalate" and re.search(r"\bto (?:the )?#", piece.rest):
        return [verdict, *posted(replace(piece, lemma=""))]
    note = re.search(rf"\b(?:with|by|via|plus)\s+(?P<note>.*\b(?:{NOTE})\b.*)$", piece.rest, re.IGNORECASE)
    if not note:
        return [verdict]
    words = note["note"]
    return [
        verdict,
        *posted(replace(piece, lemma="", rest=words, mentions=find_services(words, piece.around.services))),
    ]


_MADE_OF = re.compile(
    r"(?P<what>.+?) (?:with|containing|from|out of|of|about) (?P<inside>.+)$", re.IGNORECASE
)


def _made_of(piece: Piece) -> list[Action] | None:
    """ "A page with the summary of yesterday's Slack messages": that is read first."""
    filled = _MADE_OF.match(piece.rest)
    if not filled or not re.search(rf"\b(?:{THING})$", filled["what"], re.IGNORECASE):
        return None
    made = rf"(?:the |an? )?(?:[\w']+ ){{0,2}}?(?:{SUMMARY}|{LISTING})\b"
    mentions = find_services(filled["inside"], piece.around.services)
    reads = any(m.source is not False for m in mentions) or CHANNEL.search(filled["inside"])
    if not reads or not re.match(made, filled["inside"], re.IGNORECASE):
        return None
    goes = find_services(filled["what"], piece.around.services)
    inner = replace(piece, rest=filled["inside"], text=filled["inside"], mentions=mentions)
    outer = replace(piece, rest=filled["what"], text=filled["what"], mentions=goes)
    return [*reports(inner), *made_there(outer)]


def created(piece: Piece) -> list[Action] | None:
    if re.match(r"(?:it|them|this|those|everything|the results?) back\b", piece.rest, re.IGNORECASE):
        return [Action("update", target_of(piece), object=piece.about)]
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
        return written(piece)
    if piece.lemma == "open" and DOCUMENT.search(piece.rest) and not piece.mentions:
        return extracted(piece)
    if there := _made_of(piece):
        return there
    if (
        piece.names(NOTE)
        and piece.lemma in ("create", "generate", "raise")
        and (piece.names("to") or CHANNEL.search(piece.rest))
    ):
        return posted(piece)
    if (
        piece.lemma in ("add", "store", "save", "log", "record", "note", "document", "enter")
        and any(t == "slack" for t in piece.targets)
        and not piece.names(THING)
    ):
        return posted(piece)
    return made_there(piece)


def updated(piece: Piece) -> list[Action] | None:
    if (
        piece.lemma == "mark"
        and not piece.names("as|done|read|paid|complete|closed|open|unread|off")
        and re.search(
            r"\b(?:essays?|homework|exams?|answers|students?|pupils?|quiz(?:zes)?|submissions|assignments)\b",
            piece.around.whole,
            re.I,
        )
    ):
        return [Action("follow", object=piece.about)]
    if piece.lemma == "set" and re.match(r"up\b", piece.rest, re.IGNORECASE):
        return made_there(piece)
    if piece.lemma == "complete" and piece.names(r"forms?|questionnaires?|templates?"):
        return filled(piece)
    if piece.lemma == "complete" and not piece.mentions and not piece.names(THING):
        return None
    if piece.lemma == "move" and len({m.service for m in piece.mentions}) > 1:
        return copied(piece)
    if piece.lemma == "rename" and not piece.mentions and piece.names("fields?|columns?"):
        return [Action("transform", object=piece.about)]
    if (
        piece.lemma == "mark"
        and not piece.mentions
        and (verdict := re.search(r"\bas (approved|rejected)\b", piece.rest, re.I))
    ):
        return [Action("decide", object={"a": "approve", "r": "reject"}[verdict[1][0].lower()])]
    if (
        CHANNEL.search(piece.rest)
        and not any(m.service not in CHATS for m in piece.mentions)
        and piece.lemma in ("link", "tag", "mark", "update")
    ):
        return posted(piece)
    return [Action("update", target_of(piece), object=piece.about, place=piece.place)]


def copied(piece: Piece) -> list[Action] | None:
    origin = [m.service for m in piece.mentions if m.source is True or m.owned]
    goes = [m.service for m in piece.mentions if m.source is False] + (
        ["slack"] if CHANNEL.search(piece.rest) else []
    )
    if not goes or (not origin and not piece.around.before and not piece.around.triggered):
        unnamed = (
            goes
            and goes[0] not in CHATS
            and re.search(r"\bfrom (?:the|our|my|a|an)\b", piece.rest, re.IGNORECASE)
        )
        if unnamed:
            return [
                Action("report", object=piece.about),
                Action("create", goes[0], object=piece.about, place=piece.place),
            ]
        return reports(piece) if origin and piece.lemma == "import" else None
    last = "post" if goes[0] in CHATS else "create"
    first = [Action("report", origin[0], object=piece.about)] if origin and not piece.around.triggered else []
    return [*first, Action(last, goes[0], object=piece.about, place=piece.place)]


def flagged(piece: Piece) -> list[Action] | None:
    if piece.names("for (?:manual |human )?review"):
        return [Action("decide", object="review")]
    if CHANNEL.search(piece.rest) or any(m.service in CHATS and m.placed for m in piece.mentions):
        return sent(piece)
    if piece.mentions and not piece.names(r"incomplete|missing|unknown|invalid"):
        return [Action("update", target_of(piece), object=piece.about)]
    return [Action("check", object=f"flag {piece.about}", joins="check" in piece.around.before)]


_FROM_WITHIN = re.compile(
    r"\b(?:from|out of|based on|using)\b.*\b(?:in|on) (?:the |our )?[A-Z]\w+", re.IGNORECASE
)


def written(piece: Piece) -> list[Action] | None:
    if (
        piece.lemma == "put"
        and not CHANNEL.search(piece.rest)
        and piece.names(r"(?:up )?for (?:manual |human |a )?(?:review|approval)|in(?:to)? review")
    ):
        return [Action("decide", object="review")]
    if piece.lemma == "make" and re.match(r"(?:sure|certain)\b", piece.rest, re.IGNORECASE):
        return [Action("check", object=piece.about)]
    if not piece.around.before and piece.names(ANSWER) and _FROM_WITHIN.search(piece.rest):
        return [*read_first(piece), Action("follow", object=piece.around.held.restore(piece.text))]
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
        return sent(piece)
    there = [m for m in piece.mentions if m.source is not True and m.placed and m.service not in CHATS]
    return made_there(piece) if there else None


def _written_thing(piece: Piece) -> list[Action] | None:
    if (
        piece.around.before
        and re.match(rf"{PRONOUN[1:]}", piece.rest, re.I)
        and piece.names(r"(?:in|into) (?:an?|one) (?:\w+ )?(?:table|list|spreadsheet)")
    ):
        return [Action("transform", object=piece.about)]
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


def briefed(piece: Piece) -> list[Action]:
    if CHANNEL.match(piece.rest) or re.match(r"(?:the |our )?team\b", piece.rest, re.IGNORECASE):
        return posted(piece)
    return [Action("brief", first_of(piece.sources), object=piece.about)]
