"""Services, channels, documents and named places in a clause, and which way things go there."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cache

from omniforge.builder.understanding.held import Held

_SAID: dict[str, str] = {
    "slack": r"slack",
    "notion": r"notion",
    "linear": r"linear",
    "github": r"git ?hub",
    "email": r"gmail|outlook",
    "rss": r"(?:rss )?feeds?|rss|atom feed|blogs?",
    "files": r"csv(?: files?)?|excel(?: files?)?|spreadsheets?|xlsx",
    "jira": "jira", "asana": "asana", "trello": "trello", "airtable": "airtable", "hubspot": "hubspot",
    "salesforce": "salesforce", "linkedin": "linkedin", "whatsapp": "whatsapp", "telegram": "telegram",
    "discord": "discord", "confluence": "confluence", "gitlab": "gitlab", "google sheets": "google sheets?",
    "google docs": "google docs?", "google drive": "google drive", "google calendar": "google calendar",
    "teams": "(?:ms |microsoft )teams", "zendesk": "zendesk", "intercom": "intercom", "stripe": "stripe",
    "shopify": "shopify", "quickbooks": "quickbooks", "dropbox": "dropbox", "sharepoint": "sharepoint",
    "clickup": "click ?up", "monday.com": r"monday\.com", "twitter": "twitter", "basecamp": "basecamp",
    "todoist": "todoist", "zoom": "zoom", "sms": "sms|text messages?",
}  # fmt: skip
NEAR = 80
"""Characters around a name in which the words stand that tell its way."""
_INTO = r"(?:to|into|onto|via|through|over|as)"
_OUT = r"(?:from|of|out of|across)"
_WITHIN = r"(?:in|on|at|within|inside|for|by)"
CHANNEL = re.compile(r"#[\w-]+")
_DOCUMENT = (
    r"invoices?|purchase orders?|orders?|pos?(?= |$)|pdfs?|documents?|forms?|contracts?|receipts?|"
    r"letters?|attachments?|"
    r"cvs?|resumes?|scans?|statements?|bills?|applications?|certificates?|delivery notes?|quotes?|"
    r"questionnaires?|"
    r"intake sheets?|claims?|prescriptions?|uploads?|reports? cards?|photos?|pictures?|images?|"
    r"(?:insurance|business|id|identity|membership|health) cards?|passports?|payslips?|vouchers?"
)
DOCUMENT = re.compile(rf"\b(?:{_DOCUMENT})\b", re.IGNORECASE)
_DOCUMENTS = re.compile(
    rf"(?:the |an? |each |our |every |its |both |this |that )?(?:[a-z]+ ){{0,2}}?(?:{_DOCUMENT})(?:'s)?"
    rf"(?:, (?:the |an? |our |its |from the )?(?:[a-z]+ ){{0,2}}?(?:{_DOCUMENT}))*,?\s+and\s+(?:the |an? |"
    rf"our |its |from the |from )?(?:[a-z]+ ){{0,2}}?(?:{_DOCUMENT})\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Mention:
    """A service named, where it stands, and whether things come from it or go to it (None: not told)."""

    service: str
    start: int
    end: int
    source: bool | None
    owned: bool = False
    """It tells the kind of the thing behind it ("a Linear issue")."""
    placed: bool = False
    """A word such as "in" or "from" leads to it."""


@cache
def _pattern(service: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w#./-])(?:{_SAID.get(service, re.escape(service))})(?![\w-])", re.IGNORECASE)


def find_services(text: str, here: Collection[str]) -> list[Mention]:
    """In order of the text. `files`, `rss` and such count only where they are among those `here`."""
    found: list[Mention] = []
    for service in dict.fromkeys([*here, *_SAID]):
        if service in ("rss", "files", "email", "http", "webhook") and service not in here:
            continue
        if service in ("http", "webhook"):
            continue
        found += [_mention(service, text, match) for match in _pattern(service).finditer(text)]
    found.sort(key=lambda m: (m.start, -m.end))
    kept: list[Mention] = []
    for mention in found:
        if not kept or mention.start >= kept[-1].end:
            kept.append(mention)
    return [_carried(text, kept, i) for i in range(len(kept))]


def _mention(service: str, text: str, match: re.Match[str]) -> Mention:
    before, after = text[max(0, match.start() - NEAR) : match.start()], text[match.end() : match.end() + NEAR]
    owned = re.match(r"\s+(?!(?:and|or|to|in|into|from|for|with|by|at|as|on|if|when|about|every|each|then|"
                     r"so|please|"
                     r"instead|too|also|that|which)\b)[a-z]", after) is not None  # fmt: skip
    lead = re.search(
        rf"\b(?P<way>{_INTO}|{_OUT}|{_WITHIN})\s+(?:(?:the|our|my|a|an|its|new|open|all|this|each|"
        rf"every)\s+)*(?:[\w'-]+\s+){{0,2}}?$",
        before,
        re.I,
    )
    direct = re.search(
        rf"\b(?P<way>{_INTO}|{_OUT}|{_WITHIN})\s+(?:(?:the|our|my|a|an|all|new|open|closed|finished|"
        rf"overdue|latest|recent|merged|last|this|every|each|any|existing|old|current|late|urgent|one|"
        rf"single)\s+)*$",
        before,
        re.I,
    )
    way = direct or (lead if not owned else None)
    particle = way is not None and way.start() == 0 and way["way"].lower() in ("through", "into", "over")
    told = way is not None and not particle and not re.fullmatch(_WITHIN, way["way"], re.I)
    source = re.fullmatch(_OUT, way["way"], re.I) is not None if way and told else None
    return Mention(service, match.start(), match.end(), source, owned, way is not None)


def _carried(text: str, mentions: list[Mention], at: int) -> Mention:
    """ "From Notion and Linear": the second goes the way of the first."""
    mention = mentions[at]
    if at and mention.source is None and not mention.owned:
        between = text[mentions[at - 1].end : mention.start]
        if re.fullmatch(
            r"\s*(?:,|and|,\s*and|&|\+|plus|as well as)\s*(?:in |from |the |our |also )?", between, re.I
        ):
            return replace(mention, source=mentions[at - 1].source, placed=mentions[at - 1].placed)
    return mention


def find_place(text: str, held: Held) -> str:
    """The words that name where: a channel, an address, quoted words, a name in capitals."""
    if channels := CHANNEL.findall(text):
        return " ".join(dict.fromkeys(channels))
    for kind in ("e", "u"):
        if found := held.of_kind(kind, text):
            return found[0]
    match = re.search(
        r"\b(?:to|in|into|from|of|on|at)\s+(?:the |our |my )?(?P<name>zzq\d+zz|[A-Z][\w&'-]*(?: "
        r"[A-Z][\w&'-]*){0,4})"
        r"(?=$|[\s,.])|\bthe (?P<database>[A-Z][\w&'-]*(?: [A-Z][\w&'-]*){0,3}) (?:database|board|channel|"
        r"page|list|table)\b",
        text,
    )
    name = (match["name"] or match["database"]) if match else None
    return held.restore(name) if name and name.lower() not in _SAID else ""


def two_documents(text: str) -> tuple[str, ...] | None:
    """ "The purchase order and the invoice": two things to read or more, not one."""
    match = _DOCUMENTS.search(text)
    if not match:
        return None
    return tuple(
        _bare(part) for part in re.split(r"\s*,\s*(?:and\s+)?|\s+and\s+", match.group(), flags=re.IGNORECASE)
    )


def _bare(phrase: str) -> str:
    return re.sub(
        r"^(?:from |the |an? |our |its |both |each |every |this |that )+", "", phrase.strip(), flags=re.I
    )


def document(text: str) -> str:
    match = re.search(rf"(?:[a-z]+ )?\b(?:{_DOCUMENT})\b", text, re.IGNORECASE)
    return _bare(match.group()) if match else ""
