"""How a report is laid out: order, groups, filters, removals. Each rule takes its words out of the text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from omniforge.builder.understanding.fields import Field, match_field
from omniforge.builder.understanding.phrases import noun_phrase
from omniforge.builder.understanding.text import blank, stems


class OrderRule(BaseModel):
    """One rule of order: values that come `first`, entries with the field `filled`, or a direction."""

    model_config = ConfigDict(frozen=True)

    field: str
    first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    filled: bool = False
    descending: bool = False


class How(StrEnum):
    """How an entry is tested: the field `is` one of the values, `holds` one of them as words, is `empty`, a
    date `before` or `within` the stretch of time named, or a number `above` or `below` one."""

    IS = "is"
    HOLDS = "holds"
    EMPTY = "empty"
    BEFORE = "before"
    WITHIN = "within"
    ABOVE = "above"
    BELOW = "below"


class Only(BaseModel):
    """Entries that pass (`keep`) or do not pass a test of one field."""

    model_config = ConfigDict(frozen=True)

    field: str
    values: tuple[str, ...] = ()
    keep: bool = True
    how: How = How.IS


class Removed(StrEnum):
    GROUP = "group"
    ORDER = "order"
    ONLY = "only"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True)
class Group:
    """The field to group by; else the phrase that named none. `none`: no groups wanted."""

    field: str | None
    phrase: str = ""
    near: tuple[str, ...] = ()
    none: bool = False


EDITED = "edited_at"
TITLE = "title"
ANYWHERE = "*"
"""In place of a field: the title and every value."""
_PHRASE = r"(?P<what>[\w'&/-]+(?: [\w'&/-]+){0,4}?)"
_THINGS = r"(?: (?:items?|ones|projects?|rows?|things?|stuff|entries|entry|tasks?|pages?|stuff|clients?))?"
_SORT_BY = re.compile(
    r"\b(?:sort(?:ed|ing)?|order(?:ed|ing)?|rank(?:ed)?|arrange[ds]?|prioriti[sz]ed?)(?: (?:it|them|that|"
    r"this|everything|the \w+|\w+s))?"
    rf"(?: (?:by|on|according to|after)) (?:the )?{_PHRASE}"
    r"(?:,? (?P<way>ascending|descending|asc|desc|newest first|oldest first|latest first|earliest first|"
    r"soonest first|"
    r"high(?:est)? (?:to low|first)|low(?:est)? (?:to high|first)|reversed?|a to z|z to a))?(?=$|[,.;!?]|"
    r" (?:and|then|but|with|in|please|instead)\b)",
    re.IGNORECASE,
)
_RECENT = re.compile(
    r"\b(?P<way>newest|most recent(?:ly)?(?: \w+)?|latest|oldest|recent)(?: (?:ones|items|changes|updates|"
    r"entries))? (?:first|on top|at the top)\b",
    re.IGNORECASE,
)
_ALPHABET = re.compile(r"\b(?:in )?alphabetical(?:ly)?(?: order)?\b|\ba(?:-| to )z\b", re.IGNORECASE)
_FIRST = re.compile(
    rf"(?:\b(?:put|show|list|place|move|bring|have|get|want|keep|see|sort|order|with|display|make|"
    rf"let) )?(?:\b(?:all |any |me )?(?:the |that |those )?){_PHRASE}{_THINGS}"
    r"(?: (?:should|must|to|has to|have to|need to|always))*(?: (?:come|comes|go|goes|belong|belongs|"
    r"appear|appears|be|is|"
    r"are|shown|listed|sorted))*"
    r" (?P<where>first|on top|at the top|to the top|up top|at the start|at the beginning|up front|"
    r"at the very top|before (?:the rest|everything(?: else)?|anything else|all else|the others)|"
    r"last|at the bottom|to the bottom|at the end)(?![\w])"
    r"(?! (?:two|three|four|one|\d|week|month|year|quarter|day|night|few|mon|tue|wed|thu|fri|sat|sun))",
    re.IGNORECASE,
)
_LEAD_WITH = re.compile(
    rf"\b(?:start|starting|begin|beginning|open|lead|leading|prioriti[sz]e|prioriti[sz]ing)(?: (?:it|"
    rf"the report))?(?: with| off with)? (?:the )?{_PHRASE}{_THINGS}(?=$|[,.;!?]| and\b| please\b)",
    re.IGNORECASE,
)
_LEADS = re.compile(
    rf"(?:\b(?:the|all) )?\b{_PHRASE}{_THINGS} (?:should|must|shall|has to|have to|needs? to|to) (?:lead|"
    rf"open|start)(?=$|[,.;!?]| (?:it|the|please|and)\b)"
    rf"|\b(?:move|bring|push|pull) (?:the )?(?P<raised>[\w'&/-]+(?: [\w'&/-]+){{0,3}}?){_THINGS} (?:up|"
    rf"forward|higher)(?=$|[,.;!?]| please\b)",
    re.IGNORECASE,
)
_GROUP = re.compile(
    r"\b(?P<verb>(?:group(?:ed|ing|s)?|organi[sz]ed?|split|break(?: it| them)? down|broken down|"
    r"cluster(?:ed)?|sections?|sectioned|"
    r"separated?|divided?|bundled?|structured?|categori[sz]ed?|arranged?|collect(?:ed)?)(?: (?:it|them|up|"
    r"out|that|everything|the \w+))*,? )?"
    r"(?:by|per|for each|for every|under each|under|into)\s+(?:the |each |every |"
    r"a )?(?P<what>[\w'/&-]+(?: [\w'/&-]+){0,2})",
    re.IGNORECASE,
)
_EACH = re.compile(
    r"\b(?P<what>\w+) by (?P=what)\b|\b(?:a|one) (?:section|heading|block|part|group|list) (?:per|for each|"
    r"for every) (?P<other>\w+)",
    re.IGNORECASE,
)
_UNGROUP = re.compile(
    r"\b(?:no|without(?: any)?|remove(?: the)?|drop(?: the)?|not?) group(?:s|ing|ed)?\b|\bungroup(?:ed)?\b|"
    r"\b(?:don't|do not) group\b|\ba flat list\b",
    re.IGNORECASE,
)
_ONLY = re.compile(
    rf"\b(?P<cue>only|just|nothing but|limit(?:ed)? (?:it )?to|except|ignore|exclud(?:e|ing)|skip(?:ping)?|"
    rf"hide|without|leave out|omit|not|no|drop|remove)\s+(?:show |include |list |the |those |that are |"
    rf"that's |which are |things |items |ones )*{_PHRASE}(?P<things>{_THINGS})(?=$|[,.;!?]| (?:and|please|"
    rf"or)\b)",
    re.IGNORECASE,
)
_FURTHER = re.compile(
    r"\s*(?:,|\band\b|\bor\b|&)\s*(?:and |or |the )?(?P<what>[\w'-]+(?: [\w'-]+){0,2})", re.IGNORECASE
)
_REMOVE = re.compile(
    r"\b(?:remove|drop|forget|delete|without|leave out|take out|leave off|exclude|excluding|omit|skip|hide|"
    r"lose|"
    r"get rid of|minus|"
    r"(?:don't|do not|no need to)(?: (?:include|show|need|want|list|add|have))?|no need for|no(?!,)|not|"
    r"except(?: for)?)\s+(?:the |any |my |its )?"
    r"(?P<what>[^,.;!?]+?)(?=$|[,.;!?]|\b(?:but|instead|add|and (?:add|put|include|show|use|make|group|"
    r"sort))\b)",
    re.IGNORECASE,
)


def find_option(phrase: str, fields: Sequence[Field]) -> tuple[Field, str] | None:
    """A value of a choice field: "at risk" is At Risk of Status."""
    said = stems(phrase.replace("-", " "))
    plain = tuple(w for w in said if w not in ("the", "all", "any", "item", "project", "task", "one"))
    for field in fields:
        unnamed = tuple(w for w in plain if w not in stems(field.name))  # "high priority" is High of Priority
        for option in field.options:
            if stems(option.replace("-", " ")) in {said, plain, unnamed} - {()}:
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
    for pattern in (_FIRST, _LEAD_WITH, _LEADS):
        for match in list(pattern.finditer(text)):
            where = (match.groupdict().get("where") or "first").lower()
            rule, phrase = _placed(
                match["what"] or match.groupdict().get("raised") or "",
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
        r"(?:the )?(?:last )?(?:edit(?:ed)?|change[ds]?|modified|recency|last edit(?:ed)?(?: time)?|"
        r"date of change)",
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
            further, end = _further_values(text, match.end(), field)
            rules.append(Only(field=field.name, values=(value, *further), keep=keep))
            text = blank(text, match.start(), end)
    return text, rules


def unknown_only(text: str, fields: Sequence[Field]) -> str | None:
    """What stands after "only" and is no value and no field; None where nothing does."""
    match = re.match(
        r"\s*(?:please )?(?:(?:show|include|list|keep|and) )*(?:only|just|nothing but)\s+"
        r"(?:the |those |show |from |of |for )*"
        r"(?P<what>[\w'-]+(?: [\w'-]+){0,2})[\s.!]*$",
        text,
        re.IGNORECASE,
    )
    if match is None or match_field(match["what"], fields).names or find_option(match["what"], fields):
        return None
    return match["what"] if noun_phrase(match["what"]) else None


def _further_values(text: str, end: int, field: Field) -> tuple[list[str], int]:
    """More values of the same field after the first: "only At Risk and Blocked ones"; and where they end."""
    values: list[str] = []
    while match := _FURTHER.match(text, end):
        sizes = range(len(match["what"].split()), 0, -1)
        phrases = (" ".join(match["what"].split()[:size]) for size in sizes)
        found = next(((p, o[1]) for p in phrases if (o := find_option(p, (field,)))), None)
        if found is None:
            break
        values.append(found[1])
        end = match.start("what") + len(found[0])
    things = re.compile(_THINGS, re.IGNORECASE).match(text, end)
    return values, things.end() if things and values else end


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
