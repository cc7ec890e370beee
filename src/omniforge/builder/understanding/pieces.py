"""A piece of a wish taken apart, what it may become, and the words for things."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

from omniforge.builder.understanding.held import Held
from omniforge.builder.understanding.places import (
    CHANNEL,
    Mention,
    find_place,
)

CHATS = frozenset({"slack", "teams", "discord", "whatsapp", "telegram", "email", "sms"})


STARTERS = frozenset({"report", "fetch", "extract"})


SINKS = frozenset({"post", "create", "update"})


@dataclass(frozen=True, slots=True)
class Action:
    """`inbox`: the result goes to the own inbox, which needs no doing. `joins`: it only tells more about the
    clause before."""

    operation: str
    service: str | None = None
    object: str = ""
    place: str = ""
    text: str = ""
    urgent: bool = False
    inbox: bool = False
    joins: bool = False


@dataclass(frozen=True, slots=True)
class Around:
    """What is known about a piece from those before it."""

    services: Collection[str]
    held: Held
    before: tuple[str, ...] = ()
    """Operations of the clauses so far."""
    conditional: bool = False
    triggered: bool = False
    kept_in: str | None = None
    whole: str = ""
    """All that was said."""


@cache
def _whole_words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Piece:
    """The words behind the verb, with what is named in them."""

    lemma: str
    rest: str
    text: str
    mentions: list[Mention]
    around: Around

    def names(self, pattern: str) -> bool:
        return _whole_words(pattern).search(CHANNEL.sub("", self.rest)) is not None

    @property
    def sources(self) -> list[str]:
        """Services that are read: said to be so, or simply the object."""
        return [m.service for m in self.mentions if m.source is not False]

    @property
    def targets(self) -> list[str]:
        """Services that get something: chats and addresses, and where "to", "in" or "a … issue" says so."""
        named = [m.service for m in self.mentions if m.source is not True]
        if CHANNEL.search(self.rest) and "slack" not in named:
            named.append("slack")
        mails = self.around.held.of_kind("e", self.rest) or self.names("(?:by|via|per) e-?mail")
        if not any(s in CHATS for s in named):
            mails = mails or self.lemma in ("email", "e-mail", "mail") or self.names(r"e-?mails?|mail")
        if mails and "email" in self.around.services:
            named.append("email")
        return list(dict.fromkeys(named))

    @property
    def place(self) -> str:
        return find_place(self.rest, self.around.held)

    @property
    def about(self) -> str:
        return self.around.held.restore(self.rest).strip(" ,.")


SUMMARY = (
    r"summar(?:y|ies)|digests?|overviews?|recaps?|round-?ups?|wrap-?ups?|synopsis|outline|gist|one "
    r"message|one post"
)


LISTING = (
    r"reports?|reporting|lists?|newsletters?|rundowns?|snapshots?|status updates?|write-?ups?|updates?|"
    r"statistics|stats|"
    r"figures|table"
)


TALK = (
    r"discussions?|conversations?|messages|posts|threads?|questions|chat|activity|requests|everything|"
    r"what happened|feedback"
)


TITLED = r"reports?|reporting|lists?|newsletters?|rundowns?|snapshots?|status updates?|write-?ups?"


THING = (
    r"issues?|tickets?|tasks?|cards?|entry|entries|rows?|records?|pages?|projects?|events?|items?|"
    r"to-?dos?|accounts?|"
    r"contacts?|deals?|repos?(?:itory)?|folders?|subtasks?|bugs?|milestones?|databases?|boards?"
)


NOTE = (
    r"notes?|messages?|alerts?|notifications?|reminders?|heads-?up|pings?|invitations?|greetings?|"
    r"e-?mails?|mails?|announcements?|"
    r"warnings?|"
    r"dms?|posts?|copy|copies"
)


ANSWER = (
    r"answers?|repl(?:y|ies)|responses?|apolog(?:y|ies)|letters?|text|article|essay|paragraph|comment|"
    r"proposal|suggestions?|"
    r"recommendations?|feedback|explanations?|assessments?|opinion|verdict|evaluation|quiz|job ads?|"
    r"adverts?|poem|story|speech|agenda|checklist|flyer|description|caption|script|headline|translation|"
    r"rewrite"
)


SELF = r"(?:me|us|myself|my inbox|the inbox|my attention)"


PRONOUN = (
    r"^(?:it|them|this|that|these|those|both|everything|all of (?:it|them)|all$|the (?:two|result|"
    r"results|rest))\b"
)


QUALITY = (
    r"quality|complet\w+|missing|valid\w*|correct\w*|filled|errors?|mistakes?|required|plausib\w+|"
    r"consisten\w+|everything|"
    r"accura\w+|result|results|output|it|form|forms|data|fields"
)


VERDICTS = {"accept": "approve", "decline": "reject", "deny": "reject", "refuse": "reject"}
