"""Names, services, formats and times mentioned in a sentence. Each rule takes its words out of the text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from omniforge.builder.understanding.clock import find_times
from omniforge.builder.understanding.days import DAY
from omniforge.builder.understanding.text import blank, words


class Format(StrEnum):
    BULLETS = "bullets"
    TABLE = "table"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Mention:
    name: str
    role: str
    possible: bool = False
    inbox: bool = False


_REPLACED = re.compile(
    r"\b(?:change|replace|swap|switch|exchange)\s+(?:the )?(?P<old>[^,.;]{1,60}?)\s+(?:to|with|for|by|"
    r"into)\s+(?P<now>[^.;]+)",
    re.IGNORECASE,
)
_INSTEAD = re.compile(
    r"\b(?:instead of|rather than|in place of)\s+(?:the |a |an )?(?P<old>[\w:' -]{1,40}?)(?=$|[,.;!?])",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"\b(?:call (?:it|this|that|the agent|the report)|(?:re)?name (?:it|this|that|the agent|"
    r"the report)(?: to)?|"
    r"(?:its|the|with the|under the) name (?:is|should be|shall be|to|of)|(?:named|titled))\s*:?\s*"
    "(?:\"(?P<double>[^\"]{1,80})\"|'(?P<single>[^']{1,80})'|(?P<plain>[^,.;!?\"']{1,60}))",
    re.IGNORECASE,
)
_FORMATS: tuple[tuple[Format, re.Pattern[str]], ...] = (
    (
        Format.TABLE,
        re.compile(
            r"\b(?:(?:as |in |into )?(?:an? |the )?(?:tab(?:le|el|els|l)|tabular(?: form(?:at)?)?|grid|"
            r"columns))\b(?: format| form)?",
            re.I,
        ),
    ),
    (
        Format.BULLETS,
        re.compile(
            r"\b(?:(?:as |in |with |using )?(?:an? |the )?(?:bul+[ei]t(?:ed|s|ted)?(?:[ -]?(?:points?|lists?|"
            r"form(?:at)?))?|dot points|as an? list|list form(?:at)?))\b",
            re.I,
        ),
    ),
    (
        Format.PLAIN,
        re.compile(
            r"\b(?:plain(?: text| sentences| prose)?|(?:as |in )?(?:prose|paragraphs?|full sentences|"
            r"running text|sentences)|no formatting|just text)\b",
            re.I,
        ),
    ),
)
_UNWANTED = re.compile(r"\b(?:no|not|not as|without|don't use)\s+(?:any |as )?$", re.IGNORECASE)
_NO_FORMAT = re.compile(
    r"(?<![\w][.])\b(?:as |in |into )?(?:an? )?(pdf|excel|spreadsheet|xlsx|csv|word (?:doc(?:ument)?|file)|"
    r"docx|"
    r"powerpoint|slides?|slide deck|charts?|graphs?|dashboard|google doc)\b",
    re.I,
)
_SERVICES = (
    "slack|gmail|e-?mails?|mail|outlook|microsoft teams|ms teams|teams channel|google docs?|google sheets?|"
    "google drive|google calendar|"
    "linear|github|gitlab|jira|asana|trello|airtable|hubspot|salesforce|linkedin|whatsapp|telegram|discord|"
    "sms|text messages?|confluence|"
    r"monday\.com|click ?up|excel|sharepoint|dropbox|zendesk|intercom|todoist|basecamp|evernote|coda|"
    r"twitter|zoom|stripe|quickbooks|shopify|notion"
)
_SERVICE = re.compile(
    rf"(?:\b(?P<verb>(?:also |and |then )*(?:post(?:ed(?! on\b))?|send|sent|share[d]?|publish(?:ed)?|"
    rf"deliver(?:ed)?|"
    rf"put|drop|push|forward|write|save|export|message|ping)\s+(?:[\w']+\s+){{0,4}}?))?"
    rf"\b(?P<prep>(?:to|in|into|on|via|by|through|over|from|out of|using|use|with)\s+)?(?:our |my |the |a |"
    rf"an )?(?P<name>{_SERVICES})(?![\w])"
    rf"(?P<tail>\s+(?:me|us|channel|page|boards?|databases?|workspace|instead))*(?:\s+(?:to |in )?#[\w-]+)?",
    re.IGNORECASE,
)
_CHANNEL = re.compile(r"\b(?:to|in|into|on)\s+#[\w-]+|\bto\s+[\w.+-]+@[\w-]+\.\w+", re.IGNORECASE)
_INBOX = re.compile(
    r"\b(?:(?:to|in|into|put it in|deliver(?:ed)? to|send(?: it)? to)\s+)?(?:my |the |your |"
    r"an )?inbox(?: here)?\b|\b(?:right )?here in (?:the )?(?:app|chat)\b",
    re.IGNORECASE,
)
_TIMEISH = re.compile(
    r"\b(?:half an hour|an hour|\d+ (?:minutes?|mins?|hours?)|(?:thirty|fifteen|ten) minutes)\b|"
    r"\b(?:before|ahead of|prior to|by|in time for|for|during|until)\b(?:[\s,]+(?:my|our|the|a|that|"
    r"it))?(?:[\s,]+\w+){0,3}?[\s,]+"
    r"(?:meeting|stand-?up|call|sync|review|check-?in|huddle|hours)s?\b|\b(?:every|each)(?: (?:week|day|"
    r"month|morning|afternoon|evening|hour|quarter|single))*\b|"
    r"\b(?:daily|weekly|monthly|hourly|mornings?|afternoons?|evenings?|nights?|weekdays?|weekends?|"
    r"workdays?|work days?|working days?|first thing|at(?=\s*(?:,|$))|on demand|"
    r"(?:only |just )?when(?:ever)? i (?:ask|want|need|say so)|sharp|o'clock|time ?zone|(?:once|"
    r"twice) a (?:day|week|month)|of the month|to \w+day|through \w+day|ready|before (?:that|it))\b|"
    r"\b\d{1,2}(?:st|nd|rd|th)\b|\b(?:meetings?|stand-?ups?)\b|\b(?:run|deliver(?:ed)?|send|arrive) (?:it|"
    r"them)?(?= ?(?:,|$|on|at))",
    re.IGNORECASE,
)


def take_name(text: str) -> tuple[str, str | None]:
    """A name given to the agent ("call it …"), in its own spelling."""
    match = _NAME.search(text)
    if match is None:
        return text, None
    plain = match["plain"]
    if plain is not None:
        plain = re.split(r"\b(?:and|but|please|instead|then)\b", plain)[0].strip()
    name = (match["double"] or match["single"] or plain or "").strip(" '\"")
    return (blank(text, match.start(), match.end()), name) if words(name) else (text, None)


def take_replaced(text: str) -> tuple[str, str]:
    """ "Change X to Y" and "Y instead of X": the text without X, and X."""
    removed: list[str] = []
    if match := _REPLACED.search(text):
        removed.append(match["old"])
        text = f"{text[: match.start()]} make it {match['now']}"
    if match := _INSTEAD.search(text):
        removed.append(match["old"])
        text = blank(text, match.start(), match.end()) + " instead"
    return text, " , ".join(removed)


def take_services(text: str, possible: Sequence[str]) -> tuple[str, list[Mention]]:
    """Other services named, as a source or a destination; `possible` are those reports are read from."""
    mentions: list[Mention] = []
    if match := _INBOX.search(text):
        mentions.append(Mention("inbox", "destination", possible=True, inbox=True))
        text = blank(text, match.start(), match.end())
    known = {name.lower() for name in possible}
    for match in list(_SERVICE.finditer(text)):
        name = match["name"].lower()
        prep = (match["prep"] or "").strip().lower()
        role = (
            "destination"
            if (match["verb"] and prep not in ("from", "out of")) or prep in ("to", "via", "by", "into")
            else "source"
        )
        if re.match(r"(?:e-?mail|text|message)", name) and re.match(
            r"\s+(?:it|me|us|this|them)\b", text[match.end("name") :]
        ):
            role = "destination"
        if name == "notion" and role == "destination" and not match["verb"]:
            role = "source"
        if not (name in known and role == "source"):
            shown = (
                match["name"]
                if "mail" in name or "text" in name or "sms" in name
                else match["name"].title()
                if name.islower()
                else match["name"]
            )
            mentions.append(Mention(shown, role))
        text = blank(text, match.start(), match.end())
    if (match := _CHANNEL.search(text)) and not any(m.role == "destination" for m in mentions):
        mentions.append(Mention(match.group().split()[-1], "destination"))
        text = blank(text, match.start(), match.end())
    return text, mentions


def take_format(text: str) -> tuple[str, Format | None, str | None]:
    """The format asked for, and one that cannot be made yet."""
    impossible = None
    if match := _NO_FORMAT.search(text):
        impossible = match[1]
        text = blank(text, match.start(), match.end())
    for kind, pattern in _FORMATS:
        for match in list(pattern.finditer(text)):
            unwanted = _UNWANTED.search(text[: match.start()])
            text = blank(text, unwanted.start() if unwanted else match.start(), match.end())
            if not unwanted:
                return text, kind, impossible
    return text, None, impossible


def without_times(text: str) -> str:
    """The text without the words a plan was made of."""
    for time in reversed(find_times(text)):
        text = blank(text, time.start, time.end)
    text = DAY.sub(lambda m: "," + " " * (len(m.group()) - 1), text)
    return _TIMEISH.sub(lambda m: "," + " " * (len(m.group()) - 1), text)
