"""How a report shall look: order, groups, filters, format, destination, name. Each rule takes its words out of the text."""

# ruff: noqa: E501 - patterns and sentences are easier to read and compare in one piece

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from omniforge.builder.understanding.clock import find_times
from omniforge.builder.understanding.days import DAY
from omniforge.builder.understanding.fields import Field, match_field
from omniforge.builder.understanding.text import blank, stems, words


class Format(StrEnum):
    BULLETS = "bullets"
    TABLE = "table"
    PLAIN = "plain"


class OrderRule(BaseModel):
    """One rule of order: values that come `first`, entries with something in the field (`filled`), or a direction."""

    model_config = ConfigDict(frozen=True)

    field: str
    first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    filled: bool = False
    descending: bool = False


class Only(BaseModel):
    """Entries with (`keep`) or without these values in a field."""

    model_config = ConfigDict(frozen=True)

    field: str
    values: tuple[str, ...]
    keep: bool = True


class Removed(StrEnum):
    GROUP = "group"
    ORDER = "order"
    ONLY = "only"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True)
class Mention:
    name: str
    role: str
    possible: bool = False
    inbox: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """The field to group by; else the phrase that named none. `none`: no groups wanted."""

    field: str | None
    phrase: str = ""
    near: tuple[str, ...] = ()
    none: bool = False


EDITED = "edited_at"
TITLE = "title"

_PHRASE = r"(?P<what>[\w'&/-]+(?: [\w'&/-]+){0,4}?)"
_THINGS = r"(?: (?:items?|ones|projects?|rows?|things?|stuff|entries|entry|tasks?|pages?|stuff|clients?))?"
_SORT_BY = re.compile(
    r"\b(?:sort(?:ed|ing)?|order(?:ed|ing)?|rank(?:ed)?|arrange[ds]?|prioriti[sz]ed?)(?: (?:it|them|that|this|everything|the \w+|\w+s))?"
    rf"(?: (?:by|on|according to|after)) (?:the )?{_PHRASE}"
    r"(?:,? (?P<way>ascending|descending|asc|desc|newest first|oldest first|latest first|earliest first|soonest first|"
    r"high(?:est)? (?:to low|first)|low(?:est)? (?:to high|first)|reversed?|a to z|z to a))?(?=$|[,.;!?]| (?:and|then|but|with|in|please|instead)\b)",
    re.IGNORECASE,
)
_RECENT = re.compile(
    r"\b(?P<way>newest|most recent(?:ly)?(?: \w+)?|latest|oldest|recent)(?: (?:ones|items|changes|updates|entries))? (?:first|on top|at the top)\b",
    re.IGNORECASE,
)
_ALPHABET = re.compile(r"\b(?:in )?alphabetical(?:ly)?(?: order)?\b|\ba(?:-| to )z\b", re.IGNORECASE)
_FIRST = re.compile(
    rf"(?:\b(?:put|show|list|place|move|bring|have|get|want|keep|see|sort|order|with|display|make|let) )?(?:\b(?:all |any |me )?(?:the |that |those )?){_PHRASE}{_THINGS}"
    r"(?: (?:should|must|to|has to|have to|need to|always))*(?: (?:come|comes|go|goes|appear|appears|be|is|are|shown|listed|sorted))*"
    r" (?P<where>first|on top|at the top|to the top|up top|at the start|at the beginning|up front|at the very top|before (?:the rest|everything(?: else)?|anything else|all else|the others)|"
    r"last|at the bottom|to the bottom|at the end)(?![\w])(?! (?:two|three|four|one|\d))",
    re.IGNORECASE,
)
_LEAD_WITH = re.compile(
    rf"\b(?:start|starting|begin|beginning|open|lead|leading|prioriti[sz]e|prioriti[sz]ing)(?: (?:it|the report))?(?: with| off with)? (?:the )?{_PHRASE}{_THINGS}(?=$|[,.;!?]| and\b| please\b)",
    re.IGNORECASE,
)
_GROUP = re.compile(
    r"\b(?P<verb>(?:group(?:ed|ing|s)?|organi[sz]ed?|split|break(?: it| them)? down|broken down|cluster(?:ed)?|sections?|sectioned|"
    r"separated?|divided?|bundled?|structured?|categori[sz]ed?|arranged?|collect(?:ed)?)(?: (?:it|them|up|out|that|everything|the \w+))*,? )?"
    r"(?:by|per|for each|for every|under each|under|into)\s+(?:the |each |every |a )?(?P<what>[\w'/&-]+(?: [\w'/&-]+){0,2})",
    re.IGNORECASE,
)
_EACH = re.compile(
    r"\b(?P<what>\w+) by (?P=what)\b|\b(?:a|one) (?:section|heading|block|part|group|list) (?:per|for each|for every) (?P<other>\w+)",
    re.IGNORECASE,
)
_UNGROUP = re.compile(
    r"\b(?:no|without(?: any)?|remove(?: the)?|drop(?: the)?|not?) group(?:s|ing|ed)?\b|\bungroup(?:ed)?\b|\b(?:don't|do not) group\b|\ba flat list\b",
    re.IGNORECASE,
)
_ONLY = re.compile(
    rf"\b(?P<cue>only|just|nothing but|limit(?:ed)? (?:it )?to|except|ignore|exclud(?:e|ing)|skip(?:ping)?|hide|without|leave out|omit|not|no|drop|remove)\s+(?:show |include |list |the |those |that are |that's |which are |things |items |ones )*{_PHRASE}(?P<things>{_THINGS})(?=$|[,.;!?]| (?:and|please|or)\b)",
    re.IGNORECASE,
)
_REMOVE = re.compile(
    r"\b(?:remove|drop|delete|without|leave out|take out|leave off|exclude|excluding|omit|skip|hide|lose|get rid of|minus|"
    r"(?:don't|do not|no need to)(?: (?:include|show|need|want|list|add|have))?|no need for|no(?!,)|not|except(?: for)?)\s+(?:the |any |my |its )?"
    r"(?P<what>[^,.;!?]+?)(?=$|[,.;!?]|\b(?:but|instead|add|and (?:add|put|include|show|use|make|group|sort))\b)",
    re.IGNORECASE,
)
_REPLACED = re.compile(
    r"\b(?:change|replace|swap|switch|exchange)\s+(?:the )?(?P<old>[^,.;]{1,60}?)\s+(?:to|with|for|by|into)\s+(?P<now>[^.;]+)",
    re.IGNORECASE,
)
_INSTEAD = re.compile(
    r"\b(?:instead of|rather than|in place of)\s+(?:the |a |an )?(?P<old>[\w:' -]{1,40}?)(?=$|[,.;!?])",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"\b(?:call (?:it|this|that|the agent|the report)|(?:re)?name (?:it|this|that|the agent|the report)(?: to)?|"
    r"(?:its|the|with the|under the) name (?:is|should be|shall be|to|of)|(?:named|titled))\s*:?\s*"
    "(?:\"(?P<double>[^\"]{1,80})\"|'(?P<single>[^']{1,80})'|(?P<plain>[^,.;!?\"']{1,60}))",
    re.IGNORECASE,
)
_FORMATS: tuple[tuple[Format, re.Pattern[str]], ...] = (
    (
        Format.TABLE,
        re.compile(
            r"\b(?:(?:as |in |into )?(?:an? |the )?(?:table|tabular(?: form(?:at)?)?|grid|columns))\b(?: format| form)?",
            re.I,
        ),
    ),
    (
        Format.BULLETS,
        re.compile(
            r"\b(?:(?:as |in |with |using )?(?:an? |the )?(?:bullet(?:ed|s|ted)?(?:[ -]?(?:points?|lists?|form(?:at)?))?|dot points|as an? list|list form(?:at)?))\b",
            re.I,
        ),
    ),
    (
        Format.PLAIN,
        re.compile(
            r"\b(?:plain(?: text| sentences| prose)?|(?:as |in )?(?:prose|paragraphs?|full sentences|running text|sentences)|no formatting|just text)\b",
            re.I,
        ),
    ),
)
_NO_FORMAT = re.compile(
    r"\b(?:as |in |into )?(?:an? )?(pdf|excel|spreadsheet|xlsx|csv|word (?:doc(?:ument)?|file)|docx|powerpoint|slides?|slide deck|charts?|graphs?|dashboard|google doc)\b",
    re.I,
)
_SERVICES = (
    "slack|gmail|e-?mails?|mail|outlook|microsoft teams|ms teams|teams channel|google docs?|google sheets?|google drive|google calendar|"
    "linear|github|gitlab|jira|asana|trello|airtable|hubspot|salesforce|linkedin|whatsapp|telegram|discord|sms|text messages?|confluence|"
    r"monday\.com|click ?up|excel|sharepoint|dropbox|zendesk|intercom|todoist|basecamp|evernote|coda|twitter|zoom|stripe|quickbooks|shopify|notion"
)
_SERVICE = re.compile(
    rf"(?:\b(?P<verb>(?:also |and |then )*(?:post(?:ed)?|send|sent|share[d]?|publish(?:ed)?|deliver(?:ed)?|put|drop|push|forward|write|save|export|message|ping)\s+(?:[\w']+\s+){{0,4}}?))?"
    rf"\b(?P<prep>(?:to|in|into|on|via|by|through|over|from|out of|using|use|with)\s+)?(?:our |my |the |a |an )?(?P<name>{_SERVICES})(?![\w])"
    rf"(?P<tail>\s+(?:me|us|channel|page|boards?|databases?|workspace|instead))*(?:\s+(?:to |in )?#[\w-]+)?",
    re.IGNORECASE,
)
_CHANNEL = re.compile(r"\b(?:to|in|into|on)\s+#[\w-]+|\bto\s+[\w.+-]+@[\w-]+\.\w+", re.IGNORECASE)
_INBOX = re.compile(
    r"\b(?:(?:to|in|into|put it in|deliver(?:ed)? to|send(?: it)? to)\s+)?(?:my |the |your |an )?inbox(?: here)?\b|\b(?:right )?here in (?:the )?(?:app|chat)\b",
    re.IGNORECASE,
)
_TIMEISH = re.compile(
    r"\b(?:half an hour|an hour|\d+ (?:minutes?|mins?|hours?)|(?:thirty|fifteen|ten) minutes)\b|\b(?:before|ahead of|prior to|by|in time for|for|during|until)\b(?:[\s,]+(?:my|our|the|a|that|it))?(?:[\s,]+\w+){0,3}?[\s,]+"
    r"(?:meeting|stand-?up|call|sync|review|check-?in|huddle|hours)s?\b|\b(?:every|each)(?: (?:week|day|month|morning|afternoon|evening|hour|quarter|single))*\b|"
    r"\b(?:daily|weekly|monthly|hourly|mornings?|afternoons?|evenings?|nights?|weekdays?|weekends?|workdays?|work days?|working days?|first thing|at(?=\s*(?:,|$))|on demand|"
    r"(?:only |just )?when(?:ever)? i (?:ask|want|need|say so)|sharp|o'clock|time ?zone|(?:once|twice) a (?:day|week|month)|of the month|to \w+day|through \w+day|ready|before (?:that|it))\b|"
    r"\b\d{1,2}(?:st|nd|rd|th)\b|\b(?:meetings?|stand-?ups?)\b|\b(?:run|deliver(?:ed)?|send|arrive) (?:it|them)?(?= ?(?:,|$|on|at))",
    re.IGNORECASE,
)
_EVERY_FIELD = re.compile(
    r"\b(?:everything|all (?:the )?(?:fields?|information|info|details|of (?:it|them|that))|all of it|the lot|every field|all)\b",
    re.IGNORECASE,
)
_ADDS = re.compile(
    r"\b(?:add|adding|include|including|also|too|as well|plus|additionally|show|with|insert|needs?|missing)\b",
    re.IGNORECASE,
)
_SAYS_ONLY = re.compile(r"\b(?:only|just|nothing but)\b", re.IGNORECASE)
_CHUNK = re.compile(
    r"[,;\n+&/]|\band\b|\bplus\b|\bas well as\b|\balso\b|\bor\b|\.(?= |$)|:|\s-\s", re.IGNORECASE
)
_SMALL = frozenset(
    [
        "the",
        "a",
        "an",
        "of",
        "for",
        "to",
        "in",
        "on",
        "at",
        "it",
        "its",
        "it's",
        "is",
        "are",
        "be",
        "was",
        "me",
        "my",
        "our",
        "us",
        "your",
        "you",
        "i",
        "i'd",
        "i'll",
        "we",
        "we'd",
        "want",
        "like",
        "need",
        "please",
        "with",
        "by",
        "from",
        "and",
        "or",
        "but",
        "also",
        "too",
        "as",
        "well",
        "just",
        "only",
        "some",
        "any",
        "all",
        "this",
        "that",
        "these",
        "those",
        "them",
        "they",
        "there",
        "here",
        "show",
        "include",
        "add",
        "put",
        "give",
        "make",
        "use",
        "list",
        "report",
        "reports",
        "have",
        "has",
        "get",
        "see",
        "should",
        "would",
        "could",
        "can",
        "will",
        "do",
        "does",
        "yes",
        "yeah",
        "yep",
        "ok",
        "okay",
        "sure",
        "no",
        "not",
        "right",
        "perfect",
        "great",
        "good",
        "thanks",
        "thank",
        "so",
        "then",
        "now",
        "information",
        "info",
        "details",
        "field",
        "fields",
        "column",
        "columns",
        "each",
        "every",
        "per",
        "more",
        "really",
        "actually",
        "instead",
        "first",
        "last",
        "one",
        "ones",
        "both",
        "what",
        "which",
        "how",
        "when",
        "where",
        "let's",
        "let",
        "lets",
        "what's",
        "everything",
        "anything",
        "something",
        "nothing",
        "work",
        "works",
        "fine",
        "nice",
        "format",
        "style",
        "simple",
        "short",
        "summary",
        "summaries",
        "weekly",
        "daily",
        "monthly",
        "if",
        "possible",
        "maybe",
        "kind",
        "them",
        "same",
        "again",
        "out",
        "up",
        "down",
        "day",
        "week",
        "month",
        "time",
        "be",
        "such",
        "think",
        "looks",
        "look",
        "love",
        "hi",
        "hello",
        "hey",
        "about",
        "agent",
        "item",
        "items",
        "entry",
        "entries",
        "database",
        "databases",
        "client's",
        "s",
        "t",
        "sort",
        "sorted",
        "order",
        "group",
        "grouped",
        "ready",
        "run",
        "delivered",
        "before",
        "after",
        "during",
        "top",
        "bottom",
        "change",
        "set",
        "new",
        "data",
        "text",
        "current",
        "always",
        "never",
        "still",
        "already",
        "back",
        "over",
        "into",
        "onto",
        "very",
        "much",
        "bit",
        "little",
        "quick",
        "quickly",
        "choose",
        "decide",
        "pick",
        "default",
        "defaults",
        "skip",
        "changed",
        "happened",
        "whatever",
        "rest",
        "you're",
    ]
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
    """Other services named, as a source or a destination; `possible` are the ones reports can be read from."""
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
        if match := pattern.search(text):
            return blank(text, match.start(), match.end()), kind, impossible
    return text, None, impossible


def without_times(text: str) -> str:
    """The text without the words a plan was made of."""
    for time in reversed(find_times(text)):
        text = blank(text, time.start, time.end)
    text = DAY.sub(lambda m: "," + " " * (len(m.group()) - 1), text)
    return _TIMEISH.sub(lambda m: "," + " " * (len(m.group()) - 1), text)


def find_option(phrase: str, fields: Sequence[Field]) -> tuple[Field, str] | None:
    """A value of a choice field: "at risk" is At Risk of Status."""
    said = stems(phrase.replace("-", " "))
    for wanted in (
        said,
        tuple(w for w in said if w not in ("the", "all", "any", "item", "project", "task", "one")),
    ):
        for field in fields:
            for option in field.options:
                if wanted and stems(option.replace("-", " ")) == wanted:
                    return field, option
    return None


def take_order(
    text: str, fields: Sequence[Field]
) -> tuple[str, list[OrderRule], list[tuple[str, tuple[str, ...]]]]:
    rules: list[OrderRule] = []
    unknown: list[tuple[str, tuple[str, ...]]] = []
    if match := _RECENT.search(text):
        rules.append(OrderRule(field=EDITED, descending=not match["way"].lower().startswith("oldest")))
        text = blank(text, match.start(), match.end())
    while match := _SORT_BY.search(text):
        rule, near = _sorted_by(match["what"], (match["way"] or "").lower(), fields)
        rules += [rule] if rule else []
        unknown += [] if rule else [(match["what"], near)]
        text = blank(text, match.start(), match.end())
    if match := _ALPHABET.search(text):
        rules.append(OrderRule(field=TITLE))
        text = blank(text, match.start(), match.end())
    for pattern in (_FIRST, _LEAD_WITH):
        for match in list(pattern.finditer(text)):
            where = (match.groupdict().get("where") or "first").lower()
            rule, phrase = _placed(
                match["what"],
                fields,
                last=where.startswith("last") or "bottom" in where or "end" in where.split(),
            )
            if rule:
                rules.append(rule)
            elif phrase:
                unknown.append((phrase, match_field(phrase, fields).near))
            if rule or phrase:
                text = blank(text, match.start(), match.end())
    return text, rules, unknown


def _sorted_by(what: str, way: str, fields: Sequence[Field]) -> tuple[OrderRule | None, tuple[str, ...]]:
    down = way.startswith(("desc", "newest", "latest", "high", "reverse", "z"))
    if re.fullmatch(
        r"(?:the )?(?:last )?(?:edit(?:ed)?|change[ds]?|modified|recency|last edit(?:ed)?(?: time)?|date of change)",
        what,
        re.I,
    ):
        return OrderRule(field=EDITED, descending=not way.startswith(("asc", "oldest"))), ()
    if re.fullmatch(r"(?:name|title|alphabet)", what, re.I):
        return OrderRule(field=TITLE, descending=down), ()
    match = match_field(what, fields)
    if len(match.names) != 1:
        return None, match.names or match.near
    field = next(f for f in fields if f.name == match.names[0])
    if field.options:
        return OrderRule(field=field.name, first=field.options[::-1] if down else field.options), ()
    return OrderRule(field=field.name, descending=down), ()


def _placed(what: str, fields: Sequence[Field], *, last: bool) -> tuple[OrderRule | None, str]:
    """ "At Risk first", "blockers first", "done last"; a shorter end of the phrase may be what is meant."""
    said = what.split()
    for start in range(len(said)):
        phrase = " ".join(said[start:])
        if option := find_option(phrase, fields):
            field, value = option
            return (
                OrderRule(field=field.name, last=(value,))
                if last
                else OrderRule(field=field.name, first=(value,))
            ), ""
    if not last:
        for start in range(len(said)):
            match = match_field(" ".join(said[start:]), fields)
            if len(match.names) == 1:
                return OrderRule(field=match.names[0], filled=True), ""
    phrase = noun_phrase(what)
    return None, phrase if phrase and not last and re.search(r"[a-z]", phrase) else ""


def take_only(text: str, fields: Sequence[Field]) -> tuple[str, list[Only]]:
    """ "Only At Risk ones", "skip done items": values of choice fields."""
    rules: list[Only] = []
    for match in list(_ONLY.finditer(text)):
        option = find_option(match["what"] + (match["things"] or ""), fields) or find_option(
            match["what"], fields
        )
        if option:
            field, value = option
            keep = match["cue"].lower().startswith(("only", "just", "nothing", "limit"))
            rules.append(Only(field=field.name, values=(value,), keep=keep))
            text = blank(text, match.start(), match.end())
    return text, rules


def take_group(text: str, fields: Sequence[Field], *, expected: bool = False) -> tuple[str, Group | None]:
    if match := _UNGROUP.search(text):
        return blank(text, match.start(), match.end()), Group(None, none=True)
    if match := _EACH.search(text):
        found = match_field(match["what"] or match["other"], fields)
        if len(found.names) == 1:
            return blank(text, match.start(), match.end()), Group(found.names[0])
    for match in list(_GROUP.finditer(text)):
        said = match["what"].split()
        for size in range(len(said), 0, -1):
            if said[size - 1].lower() in ("and", "or", "with", "then"):
                continue
            found = match_field(" ".join(said[:size]), fields)
            if len(found.names) == 1:
                end = match.start("what") + len(" ".join(said[:size]))
                return blank(text, match.start(), end), Group(found.names[0])
        if match["verb"] and not re.match(r"\d", match["what"]):
            phrase = re.split(r"\b(?:and|or|with|then|please)\b", match["what"])[0].strip()
            near = match_field(phrase, fields)
            return blank(text, match.start(), match.end()), Group(None, phrase, near.names or near.near)
    return text, None


def take_removals(text: str) -> tuple[str, str]:
    """What shall go ("remove X", "without X"), taken out of the text."""
    removed: list[str] = []
    for match in list(_REMOVE.finditer(text)):
        removed.append(match["what"])
        text = blank(text, match.start(), match.end())
    return text, " , ".join(removed)


def removed_part(removed: str) -> Removed | None:
    for part, pattern in (
        (Removed.GROUP, r"\bgroup(?:s|ing)?\b|\bsections?\b"),
        (Removed.ORDER, r"\b(?:sort(?:ing)?|order(?:ing)?)\b"),
        (Removed.ONLY, r"\bfilter(?:s|ing)?\b"),
        (Removed.SCHEDULE, r"\b(?:schedule|plan|timer)\b"),
    ):
        if re.search(pattern, removed, re.IGNORECASE):
            return part
    return None


def chunks(text: str) -> list[str]:
    return [part.strip() for part in _CHUNK.split(text) if part and part.strip()]


def noun_phrase(chunk: str) -> str | None:
    """What is left of a chunk without small words, when it is short enough to be the name of something."""
    left = [
        word for word in re.findall(r"[\w'-]+", chunk) if word.lower() not in _SMALL and not word.isdecimal()
    ]
    return " ".join(left) if 1 <= len(left) <= 3 and sum(map(len, left)) > 2 else None


def wants_every_field(text: str) -> bool:
    return _EVERY_FIELD.search(text) is not None


def adds(text: str) -> bool:
    return _ADDS.search(text) is not None


def says_only(text: str) -> bool:
    return _SAYS_ONLY.search(text) is not None and not re.search(
        r"\b(?:add|also|too|plus|as well)\b", text, re.IGNORECASE
    )
