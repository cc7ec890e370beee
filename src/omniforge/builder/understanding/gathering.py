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
    find_services,
    two_documents,
)


def thing_asked(piece: Piece) -> list[Action] | None:
    """A thing that is asked for without a verb: "one summary", "a quality check", "a note to #team"."""
    if piece.names(r"(?:quality|completeness|validity|plausibility|consistency|final)[ -](?:check|"
                   r"control|review)|validation|"
                   r"verification|qa"):  # fmt: skip
        return [Action("check", object=piece.about)]
    comes = any(m.source for m in piece.mentions) or re.search(r"\b(?:from|of) #", piece.rest)
    if comes and (flow := _flow(piece)):
        return flow
    if (note := _note(piece)) is not None:
        return note
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
    return _named_things(piece)


def _note(piece: Piece) -> list[Action] | None:
    """ "An urgent note to #team", "an email to the team with the open tasks from Notion"."""
    if re.match(
        rf"^(?:an? |the |one |some |urgent |short |quick |friendly )*(?:[a-z]+ )?(?:{NOTE})\b",
        piece.rest,
        re.I,
    ) and (piece.targets or piece.names(r"to|for")):
        reads = [m for m in piece.mentions if m.source is True and m.service not in CHATS]
        if reads and not piece.around.before:
            kept = [m for m in piece.mentions if m not in reads]
            first = reports(
                replace(piece, mentions=reads, rest=CHANNEL.sub("", re.sub(r"e-?mails?", "", piece.rest)))
            )
            return [*first, *posted(replace(piece, mentions=kept))]
        return posted(piece)
    return None


def _named_things(piece: Piece) -> list[Action] | None:
    """Things with the place where they are: "our Linear issues", "open tasks in Notion"."""
    leads = re.match(
        r"(?:the|all|our|my|an?|new|open|latest|recent|every|each|any)\b", piece.rest, re.IGNORECASE
    )
    reads = any(m.source or (m.owned and (leads or not m.start)) for m in piece.mentions)
    if reads and (flow := _flow(piece)):
        return flow
    if reads:
        return reports(piece)
    if not piece.around.before and re.match(
        r"(?:[\w'-]+ ){0,3}?(?:PRs?|pull requests?|commits)\b", piece.rest
    ):
        return reports(piece)
    plural = re.match(
        r"(?:(?:the|all|our|my|open|new|latest)\s+)*(?:[\w'-]+\s+){0,2}?[a-z]+s\b", piece.rest, re.IGNORECASE
    )
    if (
        plural
        and not piece.around.before
        and any(m.placed and m.service not in CHATS for m in piece.mentions)
    ):
        return reports(piece)
    return None


def _flow(piece: Piece) -> list[Action] | None:
    """ "Open orders from Notion to #dispatch", "feedback from #talk, into Notion": no verb, but a way."""
    goes = re.search(
        r"\b(?:to|into|onto|in|via|by) (?:the |our )?(?:#[\w-]+|zze\d+zz|e-?mail\b|slack\b)|\b(?:into|to) "
        r"(?:the |our |a )?(?:[A-Z]\w+)",
        piece.rest,
    )
    if goes is None:
        return None
    head, tail = piece.rest[: goes.start()], piece.rest[goes.start() :]
    from_chat = re.search(r"\b(?:from|of) #", head) is not None
    mentions = find_services(head, piece.around.services)
    first = reports(replace(piece, rest=head, mentions=mentions)) if mentions or from_chat else []
    if not first or (piece.around.before and not first[0].service):
        return None
    end = replace(piece, rest=tail, text=tail, mentions=find_services(tail, piece.around.services))
    chat = CHANNEL.search(tail) or any(t in CHATS for t in end.targets)
    return [*first, *(posted(end) if chat else made_there(end))]


def first_of(names: list[str]) -> str | None:
    return names[0] if names else None


def reports(piece: Piece) -> list[Action]:
    """One for each service that is read."""
    services: list[str | None] = []
    services += dict.fromkeys(piece.sources)
    if (
        not services
        and "email" in piece.around.services
        and piece.names(r"e-?mails?|mailbox|(?:my|our|the|your)(?: \w+)? inbox|inbox")
    ):
        services.append("email")
    if CHANNEL.search(piece.rest) and "slack" not in services and "slack" in piece.around.services:
        services.append("slack")
    if not services and _of_github(piece):
        services.append("github")
    place = piece.place if len(services) < 2 else ""
    return [Action("report", service, object=piece.about, place=place) for service in services or [None]]


def _of_github(piece: Piece) -> bool:
    """Pull requests, commits and names such as `acme/app` are of one place only."""
    told = piece.names(r"pull requests?|PRs?|commits?|repos?|repositor(?:y|ies)") or re.search(
        r"(?:^|\b(?:from|in|of|on|for) )(?!and/|or/|either/)[A-Za-z][\w.-]+/[A-Za-z][\w.-]+(?![\w/])",
        piece.rest,
    )
    return bool(told) and "github" in piece.around.services


_TALKED = r"what (?:[\w']+ ){0,3}?(?:said|wrote|written|posted|discussed|asked|happened|went on|going on)"


def gathered(piece: Piece) -> list[Action]:
    """A summary or report: of a service, or of what came before; and where it is put, if that is said."""
    goes = [m for m in piece.mentions if _receives(m)] or re.search(
        r"\b(?:in|to|into|on|for) #|\b(?:by|via|per) e-?mail\b|\bto zze\d",
        re.sub(
            r"\b(?:comes? in|arriv\w+|receiv\w+|coming in|sent(?: to us)?|get|gets) (?:by|via) e-?mail",
            "",
            piece.rest,
            flags=re.I,
        ),
        re.I,
    )
    read = [m for m in piece.mentions if m.source is not False and not _receives(m)]
    told = re.search(
        rf"\b(?:{TALK}|{_TALKED})\s+(?:in|on|from)\s+(?:the )?(?:slack|#)", piece.rest, re.IGNORECASE
    )
    if (
        told
        and not piece.around.before
        and not re.search(r"\b(?:to|into|in|for) (?:the )?#", piece.rest[told.end() :])
    ):
        return reports(piece)
    if piece.around.held.of_kind("u", piece.rest) and not piece.around.before:
        rest = reports(replace(piece, mentions=read, rest="")) if read else []
        first = [*(fetched(piece) or []), *rest]
    elif read:
        first = reports(replace(piece, mentions=read, rest=CHANNEL.sub("", piece.rest)))
    elif (
        goes
        and piece.around.before[-1:] in (("report",), ("fetch",), ("transform",))
        and not piece.names("both|all")
    ):
        return posted(piece)
    elif piece.around.before and piece.names(rf"{SUMMARY}|both|all|it|them|one|reports?"):
        first = [Action("summarise", object=piece.about)]
    elif CHANNEL.search(piece.rest) and (not goes or (not piece.around.before and piece.names(TALK))):
        return reports(piece)
    else:
        first = [Action("report", "github" if _of_github(piece) else None, object=piece.about)]
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
    own = re.match(
        rf"^{SELF}\b(?! (?:and|plus|as well as|[+&]) (?:the|my|our|all|[A-Z]))(?! (?:in|on|via|over|"
        rf"through))",
        piece.rest,
        re.I,
    ) or piece.names(rf"to {SELF}|in my inbox")
    named = [t for t in targets if t != "email"]
    if own and not named and not channels and not piece.around.held.of_kind("e", piece.rest):
        return [Action("post", inbox=True)]
    if "slack" in targets and len(channels) > 1:
        return [Action("post", "slack", piece.about, c, text, urgent) for c in channels]
    return [Action("post", t, piece.about, piece.place, text, urgent) for t in targets or [None]]


def read_there(piece: Piece) -> list[Action] | None:
    if told := _goes_on(piece):
        return told
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
    if _reads_a_document(piece):
        return extracted(piece)
    if piece.lemma in ("count", "analyse", "analyze") and piece.around.before and not piece.mentions:
        return [Action("transform", object=piece.about)]
    if not piece.rest or (
        re.match(PRONOUN, piece.rest, re.I) and not piece.mentions and not piece.around.before
    ):
        return None
    taken = re.match(r"(?:all|every|the)\b", piece.rest, re.IGNORECASE) and not piece.around.before
    if piece.around.kept_in and not piece.around.before:
        return gathered(piece) if CHANNEL.search(piece.rest) else reports(piece)
    if piece.lemma == "pick" and piece.around.before and not piece.mentions:
        return [
            Action("report", joins=True)
            if piece.around.before[-1] == "report"
            else Action("transform", object=piece.about)
        ]
    vague = piece.lemma in ("see", "load", "show", "go") or (piece.lemma == "take" and not taken)
    if vague and not piece.mentions and not piece.names(LISTING):
        return thing_asked(piece)
    if piece.names(SUMMARY) or CHANNEL.search(piece.rest):
        return gathered(piece)
    return reports(piece)


def _goes_on(piece: Piece) -> list[Action] | None:
    """More of the document that is read, or what was found told to somebody."""
    if (
        piece.around.before[-1:] == ("extract",)
        and not piece.mentions
        and piece.lemma
        in ("pull", "get", "take", "read", "grab", "find", "collect", "identify", "list", "gather", "pick")
        and not CHANNEL.search(piece.rest)
        and not _looks_up(piece)
    ):
        return extracted(piece)
    if (
        CHANNEL.search(piece.rest)
        and piece.around.before
        and re.match(PRONOUN, piece.rest, re.IGNORECASE)
        and not piece.names("from|of")
    ):
        return posted(piece)
    if (
        piece.lemma == "report"
        and piece.around.before
        and re.search(r"\b(?:to|in) (?:the )?(?:#|zze|slack\b)", piece.rest, re.I)
    ):
        return posted(piece)
    if piece.lemma == "report" and re.match(
        r"(?:it |this |that |them |back )?(?:to|in)\b", piece.rest, re.IGNORECASE
    ):
        return posted(piece)
    return None


def _reads_a_document(piece: Piece) -> bool:
    drawn = piece.names(r"out of (?:it|them|that|those|these|the \w+)") or (
        piece.lemma in ("pull", "get", "take", "read") and re.match(r"out\b", piece.rest, re.IGNORECASE)
    )
    if not piece.mentions and (drawn or _reads_what_came(piece)):
        return True
    return (
        not piece.mentions
        and DOCUMENT.search(piece.rest) is not None
        and not piece.around.kept_in
        and not piece.names("inbox|mailbox")
        and piece.lemma not in ("count", "show", "list", "compile")
    )


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
    if (
        piece.lemma == "keep"
        and piece.around.before
        and piece.names("only|just|ones|those|all")
        and not piece.mentions
    ):
        return [Action("transform", object=piece.about)]
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
        re.search(r"\.xml$|\brss\b|\bfeeds?\b|\batom\b", u, re.IGNORECASE) for u in urls
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
    if goes is None and not origin and "notion" in piece.around.services and piece.names(r"pages?"):
        goes = "notion"
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
    led = [m.service for m in piece.mentions if m.source is False and not m.owned and m.service not in CHATS]
    return (
        first_of(led)
        or first_of(owned)
        or first_of([s for s in piece.targets if s not in CHATS])
        or first_of(piece.targets)
    )
