"""What can start an agent by itself, as people say it: words to a service and one of its events. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from omniforge.builder.outline import Happening
from omniforge.builder.understanding.text import has_phrase, normalise

EVENTS: tuple[tuple[str, str, str], ...] = (
    ("slack", "mention.received", r"\bmention(?:s|ed)?\b"),
    ("slack", "reaction.added", r"\breact(?:s|ed|ion|ions)?\b"),
    ("slack", "message.posted", r"\bpost(?:s|ed)?\b|\bwrit(?:es|ten)\b|\bmessages?\b"),
    ("email", "message.received", r"\b(?:e-?mails?|mails?)\b"),
    (
        "rss",
        "entry.published",
        r"\b(?:articles?|episodes?|blog posts?|feed entr(?:y|ies)|news items?|feed)\b",
    ),
    ("github", "pull_request.merged", r"\bmerged\b|\bmerges\b"),
    ("github", "pull_request.opened", r"\bpull requests?\b|\bprs?\b"),
    ("github", "release.published", r"\breleas(?:e|es|ed)\b"),
    ("github", "push", r"\bpush(?:es|ed)?\b|\bcommits?\b"),
    ("linear", "comment.created", r"\bcomment(?:s|ed)?\b"),
    ("linear", "issue.updated", r"\b(?:issues?|tickets?)\b.*\b(?:chang|updat|mov|clos|finish)\w*"),
    ("linear", "issue.created", r"\b(?:issues?|tickets?)\b"),
    ("github", "issue.opened", r"\b(?:issues?|bugs?)\b"),
    (
        "notion",
        "row.updated",
        r"\b(?:entry|entries|rows?|items?|pages?|records?|status)\b.*\b(?:chang|updat|edit)\w*",
    ),
    ("notion", "row.created", r"\b(?:entry|entries|rows?|items?|pages?|records?)\b"),
)
DEFAULT_EVENT = {
    "notion": "row.created",
    "linear": "issue.created",
    "github": "issue.opened",
    "slack": "message.posted",
    "email": "message.received",
    "rss": "entry.published",
    "webhook": "*",
}
WORDS = {
    "row.created": "a new entry appears",
    "row.updated": "an entry changes",
    "issue.created": "an issue is created",
    "issue.updated": "an issue changes",
    "issue.opened": "an issue is opened",
    "comment.created": "somebody comments on an issue",
    "pull_request.opened": "a pull request is opened",
    "pull_request.merged": "a pull request is merged",
    "push": "new commits arrive",
    "release.published": "a release is published",
    "message.posted": "a message is posted",
    "mention.received": "somebody mentions the app",
    "reaction.added": "somebody reacts to a message",
    "message.received": "a message arrives",
    "entry.published": "a new entry is published",
    "*": "it is told",
}
_OPENING = re.compile(
    r"\b(?:when(?:ever)?|for (?:each|every|any)|each time|every time|as soon as|once|"
    r"on (?:each|every)|after|if(?= (?:an?|any|some\w*|one)\b))\b"
    r"(?P<rest>[^,.;]*)",
    re.IGNORECASE,
)


def opening_of(message: str) -> str:
    """The words of a message that tell what shall start it; empty where none do."""
    found = _OPENING.search(normalise(message))
    return found["rest"] if found else ""


def find_happening(message: str, services: Sequence[tuple[str, Sequence[str]]]) -> Happening:
    """The event a message waits for. `services`: (name, words) of those that are here. What is not said, or
    could be at several services, stays empty."""
    text = normalise(message)
    opening = _OPENING.search(text)
    clause = opening["rest"] if opening else text
    here = [name for name, _ in services]
    said = [name for name, words in services if has_phrase(clause, (name, *words))] or [
        name for name in here if opening is not None and has_phrase(text, (name,))
    ]
    spots = [
        (match.start(), service, event)
        for service, event, pattern in EVENTS
        if service in here and (match := re.search(pattern, clause, re.IGNORECASE))
    ]
    first = min((at for at, _, _ in spots), default=None)
    events: dict[str, str] = {}
    for _, service, event in spots:
        if any(at == first and other == service for at, other, _ in spots):
            events.setdefault(service, event)
    named = [service for service in events if service in said] or list(events)
    if len(named) == 1:
        return Happening(service=named[0], event=events[named[0]])
    if not events and len(said) == 1 and said[0] in DEFAULT_EVENT:
        return Happening(service=said[0], event=DEFAULT_EVENT[said[0]])
    return Happening()


def able(services: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Names of the services here that can start an agent."""
    return [name for name, _ in services if name in DEFAULT_EVENT and name != "webhook"]


def happening_words(starts: Happening, title: str) -> str:
    """`when a new entry appears in Executive Meetings (Notion)`."""
    what = WORDS.get(starts.event, "something happens")
    where = f" in {starts.place.name}" if starts.place else ""
    return f"when {what}{where} ({title})"
