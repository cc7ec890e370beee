"""The words that tell which entries are wanted, as patterns."""

# ruff: noqa: E501 - patterns are read in one piece

from __future__ import annotations

import re

from omniforge.builder.understanding.text import NUMBER_WORDS, words
from omniforge.builder.understanding.windows import find_window

THINGS = (
    "issues?|tasks?|tickets?|bugs?|projects?|entries|entry|items?|pages?|rows?|records?|messages?|posts?|threads?|"
    "e-?mails?|mails?|articles?|news|pull requests?|prs?|commits?|releases?|invoices?|orders?|leads?|deals?|"
    "ones|those|clients?|customers?|candidates?|requests?|things|stuff"
)
BEFORE = 100
"""Characters before a match in which its "not" or "only" stands."""
NOT_BEFORE = re.compile(
    r"\b(?:not|aren't|isn't|except(?: for)?|excluding|exclude|ignor(?:e|ing)|skip(?:ping)?|without|other than|"
    r"apart from|but no|hide|hiding|leave out|leaving out|omit|drop|no)\s+(?:(?:yet|already|any|all|the|those|ones|"
    rf"that are|which are|that's|marked|{THINGS})\s+)*$",
    re.IGNORECASE,
)
ONLY_BEFORE = re.compile(
    r"\b(?:only|just|limit(?:ed)? (?:it )?to|nothing but|restrict(?:ed)? (?:it )?to|keep|that are|which are|that "
    r"is|which is)\s+(?:(?:show|include|list|want|see|need|have|the|those|all|ones|that are|which are|to|me|currently|"
    rf"still|{THINGS})\s+)*$",
    re.IGNORECASE,
)
_VALUE = r"(?:\"[^\"]{1,80}\"|'[^']{1,80}'|[\w#@.+/-]+(?: [\w#@.+/'-]+){0,3})"
_WHO = r"(?:\"[^\"]{1,80}\"|[\w@.+'-]+(?: [\w'.-]+){0,2})"
_N = r"\d{1,3}|" + "|".join(word for word in NUMBER_WORDS if word != "zero")

NOBODY = re.compile(
    rf"\b(?P<alone>unassigned|ownerless|nobody(?: is)? assigned|not assigned(?: to (?:anyone|anybody))?)\b"
    rf"|(?P<thing>\b(?:{THINGS}) )?(?<!\w)(?:(?P<no>with no|(?:that |which )?(?:have|has|having) no|lacking|missing)"
    rf"|without)\s+(?P<article>(?:an?|any) )?(?P<what>[\w-]+(?: [\w-]+){{0,2}})",
    re.IGNORECASE,
)
OWNERS = frozenset(
    tuple(words(row)) for row in ("owner", "assignee", "person", "one responsible", "responsible")
)
PEOPLE = re.compile(
    r"\b(?:(?P<owned>assigned to|owned by|belonging to|in the hands of|(?:where |whose )?(?:the )?(?:owner|assignee) is)"
    r"|(?P<made>(?:created|opened|written|reported|raised|filed|posted|sent|authored|submitted) by)"
    rf"|(?P<origin>from|by)) (?P<who>{_WHO})",
    re.IGNORECASE,
)
MINE = re.compile(
    r"\bmy (?:own )?(?:\w+ )?(?:issues?|tasks?|tickets?|todos?|pull requests?|prs?)\b", re.IGNORECASE
)
LABELLED = re.compile(
    r"\b(?:(?:labell?ed|tagged)(?: as| with)?|with (?:the |an? )?(?:labels?|tags?)(?: of| named)?) (?:the )?"
    rf"(?P<value>{_VALUE})",
    re.IGNORECASE,
)
STATED = re.compile(
    r"\b(?P<cue>whose|where(?: the)?|with(?: the| an?)?|in(?: the)?|of(?: the)?|for(?: the)?|only|just|and)\s+"
    r"(?P<field>[\w-]+(?: [\w-]+){0,2}?)\s+(?P<verb>(?:is|are|equals?)\b|=|:)?\s*(?P<neg>not )?(?P<value>"
    + _VALUE
    + ")",
    re.IGNORECASE,
)
MENTIONS = re.compile(
    rf"\bwith (?:the words? )?(?P<inside>\"[^\"]+\"|'[^']+'|[\w-]+(?: [\w-]+)?) in (?:the |their |its )?(?P<where>subject|"
    rf"title|text|body|name|description|message)\b"
    rf"|\b(?:(?:that |which )?(?:mention(?:s|ing)?|contain(?:s|ing)?)|with the words?|(?<=\bissues )about|(?<=messages )"
    rf"about|(?<=\bmails )about|(?<=\btasks )about|(?<=\btickets )about|(?<=\barticles )about|(?<=\bposts )about)"
    rf" (?:the (?:words? )?)?(?P<about>{_VALUE})",
    re.IGNORECASE,
)
LATE = re.compile(
    r"\b(?:over-?due|past due|past (?:the|their|its) (?:due date|deadline)|behind schedule)\b"
    r"(?!(?: \w+)? (?:first|last|on top|at the (?:top|bottom|end)))",
    re.IGNORECASE,
)
_WHEN = (
    r"(?P<when>today|tomorrow|yesterday|(?:this|next|last|past) (?:week|month)|soon|"
    rf"(?:with)?in (?:the )?(?:next |coming )?(?:{_N}) (?:days?|weeks?)|in the (?:last|past) (?:{_N}) (?:days?|weeks?)|"
    r"since (?:last )?(?:mon|tues|wednes|thurs|fri|satur|sun)day)"
)
ROLE_OF_VERB = {
    "due": "due", "created": "created", "opened": "created", "added": "created", "received": "created",
    "sent": "created", "published": "created", "submitted": "created", "filed": "created", "started": "started",
    "closed": "closed", "completed": "closed", "finished": "closed", "resolved": "closed", "merged": "merged",
    "updated": "updated", "changed": "updated", "edited": "updated",
}  # fmt: skip
ON = re.compile(
    rf"\b(?:(?:that|which) )?(?:are |were |is |was |have been |got )?(?:newly )?(?P<what>{'|'.join(ROLE_OF_VERB)})"
    rf" (?:on |during |by )?{_WHEN}\b",
    re.IGNORECASE,
)
AGE = re.compile(
    rf"\b(?:(?P<older>older than)|(?:that |which )?(?:haven't|hasn't|have not|has not|not|weren't|were not)(?: been)? (?:updated|"
    rf"changed|touched|edited|moved)(?: for| in| since)?|(?:with(?:out)? )?(?:no |any )?(?:updates?|activity|changes?) (?:for|in)|"
    rf"stale for|untouched for|inactive for)(?: the)?(?: last| past)?(?: more than| over| at least)? (?P<n>{_N}) "
    rf"(?P<unit>days?|weeks?|months?)\b",
    re.IGNORECASE,
)
ABOVE = frozenset(
    ("above", "over", "more than", "greater than", "at least", "higher than", "larger than", ">")
)
COMPARED = re.compile(
    r"\b(?:with |whose |where |and |of )?(?:an? |the )?(?P<field>[\w-]+(?: [\w-]+){0,2}?) (?:is |are |of )?(?P<way>above|over|"
    r"more than|greater than|at least|higher than|larger than|>|below|under|less than|at most|lower than|smaller than|<)"
    r" (?:[$€£] ?)?(?P<number>\d[\d.,]*\d|\d)",
    re.IGNORECASE,
)
OPEN = frozenset(words("open unresolved outstanding pending unfinished incomplete ongoing undone unsolved"))
FRESH = frozenset(("new", "newly"))
COMMON = frozenset(
    ("new", "newly", "active", "draft", "drafts", "pending", "done", "late", "important", "read")
)
"""Words that often mean nothing in particular: not said to be left."""
ADJECTIVE = re.compile(
    r"(?<![\w'-])(?P<word>open|unresolved|outstanding|pending|unfinished|incomplete|ongoing|closed|done|completed|"
    r"finished|resolved|merged|cancell?ed|new|newly|unread|unanswered|unpaid|paid|unsolved|stale|starred|flagged|"
    r"pinned|urgent|critical|blocked|approved|rejected|failed|escalated|drafts?|active|inactive|important|unreviewed)"
    r"(?![\w'-])(?!(?: \w+)? (?:first|last|on top|at the (?:top|bottom|end)))",
    re.IGNORECASE,
)
FURTHER = re.compile(
    r"\s*(?:,|\band\b|\bor\b|&)\s*(?:or |and )?(?P<what>[\w'-]+(?: [\w'-]+){0,2})", re.IGNORECASE
)
_STOP = frozenset(
    words("""
    in at from on of and or to with for every each that who which but then please as by the a an into via using
    when if so is are was were has have daily weekly monthly this last next today yesterday tomorrow now also
    too only just post send show sort group order put not it them me us my our i you we he she they one
    here there instead there's include add
""")
)
_SMALL = _STOP | frozenset(
    words("""
    report reports summary list all any every project projects issue issues task tasks team new status state
    priority owner update updates week day month morning none other name title text label labels
""")
)


_TIMES = frozenset(
    words("""
    monday tuesday wednesday thursday friday saturday sunday january february march april may june july august
    september october november december morning noon midnight yesterday today tomorrow last this next mon tue
    wed thu fri sat sun am pm
""")
)


def is_time(phrase: str) -> bool:
    return bool(_TIMES & set(words(phrase))) or any(letter.isdigit() for letter in phrase[:2])


def until_stop(text: str) -> str:
    """The words before the first small one."""
    kept: list[str] = []
    for word in text.split():
        if word.strip("\"'.,;").casefold() in _STOP:
            break
        kept.append(word)
    return " ".join(kept).rstrip(".,;!?")


def proper(phrase: str) -> str:
    """A name of nothing known: its words while they are written large, else the first one."""
    told = phrase.split()
    if not told:
        return ""
    large = next((at for at, word in enumerate(told) if not word[:1].isupper()), len(told))
    return " ".join(told[: max(1, large)])


def is_small(run: str) -> bool:
    return all(word in _SMALL for word in words(run)) or words(run)[:1] == ["the"]


def days_in(number: str, unit: str) -> int:
    count = int(number) if number.isdecimal() else NUMBER_WORDS[number.lower()]
    return min(366, count * {"d": 1, "w": 7, "m": 30}[unit[0].lower()])


def span_of(match: re.Match[str]) -> str | None:
    """The name of the stretch of time in a match of `ON`; None for "soon"."""
    when = " ".join(match["when"].lower().split())
    if when in ("today", "tomorrow", "yesterday"):
        return when
    if when in ("this week", "next week", "this month", "next month", "last week", "last month"):
        return when.replace(" ", "_")
    if ahead := re.fullmatch(rf"(?:with)?in (?:the )?(?:next |coming )?({_N}) (days?|weeks?)", when):
        days = days_in(ahead[1], ahead[2])
        back = match["what"].lower() != "due"
        return f"last_{days}_days" if back else f"next_{days}_days"
    found = find_window(when)
    return found.window if found else None
