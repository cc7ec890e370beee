"""Pieces that read something, and the messages and entries that go with them."""

from __future__ import annotations

import re
from dataclasses import replace

from omniforge.builder.understanding.pieces import (
    ANSWER,
    CHATS,
    LISTING,
    NOTE,
    PRONOUN,
    SELF,
    SUMMARY,
    TALK,
    THING,
    TITLED,
    Action,
    Piece,
)
from omniforge.builder.understanding.places import (
    CHANNEL,
    DOCUMENT,
    Mention,
    document,
    two_documents,
)


def thing_asked(piece: Piece) -> list[Action] | None:
    """A thing that is asked for without a verb: "one summary", "a quality check", "a note to #team"."""
    if piece.names(r"(?:quality|completeness|validity|plausibility|consistency|final)[ -](?:check|"
                   r"control|review)|validation|"
                   r"verification|qa"):  # fmt: skip
        return [Action("check", object=piece.about)]
    if re.match(
        rf"^(?:an? |the |one |some |urgent |short |quick |friendly )*(?:[a-z]+ )?(?:{NOTE})\b",
        piece.rest,
        re.I,
    ) and (piece.targets or piece.names(r"to|for")):
        return posted(piece)
    if piece.names(r"comparison"):
        return [Action("compare", object=piece.about)]
    if piece.names(r"brief(?:ing|ings)?|background"):
        return [Action("brief", first_of(piece.sources), object=piece.about, place=piece.place)]
    listing = re.match(rf"^(?:(?!for\b)[\w'-]+ ){{0,6}}?(?:{SUMMARY}|{TITLED})\b", piece.rest, re.IGNORECASE)
    if listing or (piece.mentions and piece.names(LISTING)):
        return gathered(piece)
    if piece.names(ANSWER):
        return [Action("follow", object=piece.about)]
    if re.match(r"an?\b|one\b|another\b", piece.rest, re.I) and piece.names(THING) and piece.around.before:
        return made_there(piece)
    leads = re.match(
        r"(?:the|all|our|my|an?|new|open|latest|recent|every|each|any)\b", piece.rest, re.IGNORECASE
    )
    if any(m.source or (m.owned and (leads or not m.start)) for m in piece.mentions):
        return reports(piece)
    return None


def first_of(names: list[str]) -> str | None:
    return names[0] if names else None


def reports(piece: Piece) -> list[Action]:
    """One for each service that is read."""
    services: list[str | None] = []
    services += dict.fromkeys(piece.sources)
    if not services and "email" in piece.around.services and piece.names(r"e-?mails?|mailbox"):
        services.append("email")
    if CHANNEL.search(piece.rest) and "slack" not in services and "slack" in piece.around.services:
        services.append("slack")
    place = piece.place if len(services) < 2 else ""
    return [Action("report", service, object=piece.about, place=place) for service in services or [None]]


def gathered(piece: Piece) -> list[Action]:
    """A summary or report: of a service, or of what came before; and where it is put, if that is said."""
    goes = [m for m in piece.mentions if _receives(m)] or re.search(r"\b(?:in|to|into|on|for) #", piece.rest)
    read = [m for m in piece.mentions if m.source is not False and not _receives(m)]
    if read:
        first = reports(replace(piece, mentions=read, rest=CHANNEL.sub("", piece.rest)))
    elif piece.around.before and piece.names(rf"{SUMMARY}|both|all|it|them|one|reports?"):
        first = [Action("summarise", object=piece.about)]
    elif CHANNEL.search(piece.rest) and (not goes or (not piece.around.before and piece.names(TALK))):
        return reports(piece)
    else:
        first = [Action("report", object=piece.about)]
    return (
        [*first, *posted(replace(piece, mentions=[m for m in piece.mentions if m not in read]))]
        if goes
        else first
    )


def _receives(mention: Mention) -> bool:
    """A chat to which things go: "in Slack", "to Slack", but not "from Slack"."""
    return mention.service in CHATS and mention.placed and mention.source is not True


def posted(piece: Piece) -> list[Action]:
    """A message; several when several places are named; none to the own inbox."""
    urgent = piece.names(r"urgent(?:ly)?|immediately|high[ -]priority|important|asap|critical")
    text = first_of(piece.around.held.of_kind("q", piece.rest)) or ""
    targets: list[str | None] = []
    targets += [t for t in piece.targets if t in CHATS] or piece.targets[:1]
    channels = list(dict.fromkeys(CHANNEL.findall(piece.rest)))
    own = re.match(rf"^{SELF}\b(?! (?:in|on|via|over|through))", piece.rest, re.I) or piece.names(
        rf"to {SELF}|in my inbox"
    )
    named = [t for t in targets if t != "email"]
    if own and not named and not channels and not piece.around.held.of_kind("e", piece.rest):
        return [Action("post", inbox=True)]
    if "slack" in targets and len(channels) > 1:
        return [Action("post", "slack", piece.about, c, text, urgent) for c in channels]
    return [Action("post", t, piece.about, piece.place, text, urgent) for t in targets or [None]]


def read_there(piece: Piece) -> list[Action] | None:
    if piece.lemma == "report" and re.match(
        r"(?:it |this |that |them |back )?(?:to|in)\b", piece.rest, re.IGNORECASE
    ):
        return posted(piece)
    if piece.lemma in ("find", "look", "search", "get", "query") and _looks_up(piece):
        return [
            Action(
                "match",
                first_of(piece.sources),
                object=document(piece.rest) or piece.about,
                place=piece.place,
            )
        ]
    if piece.around.held.of_kind("u", piece.rest) or piece.names(
        r"rss|feeds?|web ?sites?|web ?pages?|blogs?|url"
    ):
        return fetched(piece)
    drawn = piece.names(r"out of (?:it|them|that|those|these|the \w+)") or (
        piece.lemma in ("pull", "get", "take", "read") and re.match(r"out\b", piece.rest, re.IGNORECASE)
    )
    if not piece.mentions and (drawn or _reads_what_came(piece)):
        return extracted(piece)
    if (
        not piece.mentions
        and DOCUMENT.search(piece.rest)
        and piece.lemma not in ("count", "show", "list", "compile")
    ):
        return extracted(piece)
    if piece.lemma in ("count", "analyse", "analyze") and piece.around.before and not piece.mentions:
        return [Action("transform", object=piece.about)]
    if not piece.rest or (
        re.match(PRONOUN, piece.rest, re.I) and not piece.mentions and not piece.around.before
    ):
        return None
    taken = re.match(r"(?:all|every|the)\b", piece.rest, re.IGNORECASE) and not piece.around.before
    vague = piece.lemma in ("see", "load", "show", "go") or (piece.lemma == "take" and not taken)
    if vague and not piece.mentions and not piece.names(LISTING):
        return thing_asked(piece)
    if piece.names(SUMMARY) or CHANNEL.search(piece.rest):
        return gathered(piece)
    return reports(piece)


def _reads_what_came(piece: Piece) -> bool:
    """ "Read it", of the document that started the agent."""
    return (
        not piece.around.before
        and piece.around.triggered
        and piece.lemma in ("read", "open", "scan", "take")
        and (re.fullmatch(r"(?:it|them|that|this)", piece.rest, re.IGNORECASE) is not None)
    )


def _looks_up(piece: Piece) -> bool:
    """One record that belongs to what is at hand, not a list of some."""
    belongs = piece.names(
        r"match(?:ing|es)?|correspond(?:ing|s)|belong(?:s|ing)|right|related|same|that (?:fits|goes)|it "
        r"(?:belongs|refers|"
        r"goes|relates) to|for (?:it|this|that)|by (?:its|the) (?:number|id|name|supplier|reference|order "
        r"number|po)"
    )
    return belongs and not re.match(r"(?:all|any|every|the \w+ that are|those)\b", piece.rest, re.IGNORECASE)


def watched(piece: Piece) -> list[Action] | None:
    if piece.lemma == "follow":
        return [Action("follow", object=piece.about)]
    if piece.lemma == "keep" and not piece.names("eye|track|tabs"):
        return None
    if piece.around.triggered:
        return []
    return read_there(piece)


def fetched(piece: Piece) -> list[Action] | None:
    urls = piece.around.held.of_kind("u", piece.rest)
    services = [m.service for m in piece.mentions if m.service not in ("rss", "files")]
    if services and not urls:
        return reports(piece)
    feed = piece.names(r"rss|feeds?|blogs?") or any(
        u.endswith((".xml", ".rss", "/feed", "/atom")) for u in urls
    )
    kind = (
        "rss"
        if feed and "rss" in piece.around.services
        else "http"
        if "http" in piece.around.services
        else None
    )
    return [Action("fetch", kind, object=piece.about, place=urls[0] if urls else "")]


def extracted(piece: Piece) -> list[Action]:
    said = (
        piece.around.whole if re.match(r"(?:both|the two|them both|each)\b", piece.rest, re.I) else piece.rest
    )
    if (both := two_documents(said)) and not (
        said is not piece.rest and piece.around.before[-1:] == ("extract",)
    ):
        return [Action("extract", object=piece.about, place=which) for which in both]
    place = document(piece.rest)
    again = re.match(r"(?:both|them|it|each|the two)\b", piece.rest, re.IGNORECASE) is not None
    goes_on = (not place or again) and piece.around.before[-1:] == ("extract",)
    return [Action("extract", object=piece.about, place=place, joins=goes_on)]


def made_there(piece: Piece) -> list[Action]:
    """An entry there; read first where it is said to come from another service."""
    origin = [m for m in piece.mentions if m.source is True and m.service not in CHATS]
    goes = target_of(replace(piece, mentions=[m for m in piece.mentions if m not in origin]))
    made = Action(
        "create", goes or first_of([m.service for m in origin]), object=piece.about, place=piece.place
    )
    if (
        origin
        and goes
        and origin[0].service != goes
        and not piece.around.triggered
        and not piece.around.before
    ):
        return [Action("report", origin[0].service, object=piece.about), made]
    return [made]


def target_of(piece: Piece) -> str | None:
    owned = [m.service for m in piece.mentions if m.owned and m.service not in CHATS]
    return (
        first_of(owned) or first_of([s for s in piece.targets if s not in CHATS]) or first_of(piece.targets)
    )
