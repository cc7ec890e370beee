"""Commands for agents that exist: run, pause, share, undo …, and the words that name the agent."""

from __future__ import annotations

import itertools
import re
from enum import StrEnum

from omniforge.builder.understanding.days import DAY
from omniforge.builder.understanding.text import LONGEST_MESSAGE, normalise


class Command(StrEnum):
    RUN = "run"
    STATUS = "status"
    SHARE = "share"
    PUBLISH = "publish"
    UNDO = "undo"
    PAUSE = "pause"
    RESUME = "resume"
    ARCHIVE = "archive"
    VERSIONS = "versions"
    RENAME = "rename"
    DETAILS = "details"


_THING = (
    r"(?:agents?|automations?|bots?|reports?|summar(?:y|ies)|digests?|overviews?|round-?ups?|recaps?|"
    r"brief(?:s|ings?)?|newsletters?|watch(?:er|es)?|notifications?|alerts?|reminders?|updates?|flows?|"
    r"(?:\w+ )?(?:check|reconciliation|onboarding|intake|triage|process)s?)"
)
_OWNED = rf"(?:my|our|the|that|this|these|those|both|all|all my|all of my)\s+(?:[\w'&-]+\s+){{0,6}}?{_THING}"
_IT = r"(?:it|this one|that one|this|that|them|all of them|everything|both)"
_TARGET = rf"(?P<what>{_OWNED}\b|{_IT}\b|(?:the )?[\w'& -]{{2,50}}? agents?\b)"
_LEAD = (
    r"(?:(?:please|pls|ok|okay|now|hey|hi|hello|yes|no|and|so|well|then|also|just|actually|can you|could you|"
    r"would you|will you|can we|could we|you can|i want(?: you)? to|i'd like(?: you)? to|i need(?: you)? to|"
    r"we want to|we need to|let's|go(?: ahead)? and|go|temporarily|for now|permanently|maybe)[\s,]+)*"
)


def _naming(*patterns: str) -> re.Pattern[str]:
    """One of the patterns; each `what` in them becomes a group of its own, as names may not repeat."""
    count = itertools.count(1)
    return re.compile(
        re.sub(r"\(\?P<what>", lambda _: f"(?P<what_{next(count)}>", "|".join(patterns)), re.IGNORECASE
    )


def _order(verbs: str, *apart: str) -> re.Pattern[str]:
    """An order that opens the message: `verb target`, or as in `apart` ("switch it off")."""
    inner = "|".join((rf"(?:{verbs})\s+{_TARGET}", *apart))
    return _naming(rf"^\W*{_LEAD}(?:{inner})")


_UNDO = re.compile(
    r"\bundo\b|\broll(?:ed|ing)? ?(?:it |that |this |them )?back\b|\brevert\b|"
    r"\b(?:go|switch|change|return|get|take (?:it|me)|put (?:it|things)|set it|bring it) (?:me )?back to "
    r"(?:the )?(?:version|v\d|previous|old|last|earlier|way|how|what)|"
    r"\b(?:restore|bring back|back to|return to|use) (?:the )?(?:version \w+|v\d+|"
    r"(?:previous|earlier|last|old|former|original) (?:version|one|state))|"
    r"\btake back (?:the|my|that|this|what)\b|\b(?:take|put) (?:that|this|it|my last change|the last "
    r"change)(?: \w+)? back\b|"
    r"\b(?:the )?previous version\b(?! (?:look|did|had|was|of|us))|"
    r"\bi want (?:the )?(?:old|previous) (?:one|version|agent|report) back\b",
    re.IGNORECASE,
)
_VERSIONS = re.compile(
    r"\b(?:which|what) versions?\b|\b(?:show|list|see|give|view)(?: me| us)?(?: (?:the|all|its|all the|my))* "
    r"(?:[\w'-]+ ){0,4}?(?:versions?|history|change ?log|past changes)\b|\bversion history\b|"
    r"\b(?:history|versions) of\b|"
    r"\bwhat (?:has |have |was |were |did )?(?:been )?(?:i |we |somebody |ana |they )?changed? "
    r"(?:in|since|between|last|recently)(?: \w+){0,3} version|\bhow many versions\b|"
    r"\bwho changed (?:it|this|that|the|my)\b|\bwhen was (?:it|this|my|the) .{0,30}changed\b",
    re.IGNORECASE,
)
_SHARE = re.compile(
    r"\bshare (?:it|this|that|the|my|our|these|both)\b(?!\s+(?:(?:\w+ )?(?:to|in|on) (?:slack|#)))|"
    r"\b(?:give|grant)\s+(?:[\w'@.-]+\s+){1,4}?access\b|"
    r"\b(?:let|allow)\s+(?:[\w'-]+\s+){1,4}?(?:to )?(?:use|run|have|see|copy) "
    r"(?:it|this|that|the|my|our)\b(?! (?:field|column))|"
    r"\bmake (?:it|(?:this|that|my|the|our)(?: [\w' -]{1,40}?)?) (?:available|accessible|visible) (?:to|for) "
    r"(?!everyone|everybody|the public|the world|(?:our|my) (?:customers|clients))|"
    r"\b(?:invite|add) (?:[\w'@.-]+ ){1,4}(?:to|as (?:an? )?(?:user|editor|viewer)) "
    r"(?:this|that|my|the) (?:\w+ ){0,4}?agent\b",
    re.IGNORECASE,
)
_PUBLISH = re.compile(
    r"\bpublish\b|\boffer (?:this|it|that|my \w+|the \w+)(?: \w+){0,3} to (?:our|my|all)\b|"
    r"\b(?:in|into|to|on) the (?:public |skill |shared |community )*(?:library|marketplace|catalog(?:ue)?)\b|"
    r"\bmake (?:it|(?:this|that|my|the|our)(?: [\w' -]{1,40}?)?) (?:public|(?:available|accessible) (?:to|"
    r"for) "
    r"(?:everyone|everybody|the public|the world|(?:our|my|all) (?:\w+ )?(?:customers|clients)))\b|"
    r"\broll (?:it|this|that) out to\b|\brelease (?:it|this|that|(?:my|the|this) [\w' -]{1,40}?) (?:to|"
    r"for) (?:our|all|my|the) (?:\w+ )?"
    r"(?:customers|clients|hospitals|partners|public|users|companies|schools|stores|shops|clinics|world)\b|"
    r"\brelease (?:it|this|that) (?:to|for)\b|\boffer (?:it|this|that|[\w' -]{1,40}?) to (?:our|all|my) \w+",
    re.IGNORECASE,
)
_STATUS = re.compile(
    r"^\W*(?:status|state)\W*$|\b(?:list|show|see|which are|what are)(?: me)? (?:all )?(?:of )?"
    r"(?:my |the |our )(?:\w+ )?(?:agents|automations)\b|\b(?:list|show)(?: me)? (?:all )?agents\b|"
    r"\bwhich (?:one )?of (?:my|our|the|these) (?:agents|automations|reports|digests)\b|\b(?:what|which|"
    r"how many) (?:agents|automations)\b|\bwhat (?:have (?:i|we) got|do (?:i|we) have|is|are)(?: currently|"
    r" actually)? (?:running|live|active|switched on|up and running)\b|"
    r"\bmy agents\b\W*$|"
    r"\b(?:what|everything|all|anything|something|which ones?)(?:'s| is| are| that's| that is| that are) "
    r"(?:running|active|"
    r"paused|switched on|live)\b|"
    r"\b(?:what's|what is|how's|how is|show(?: me)?|give me|check)(?: the| me)? (?:the |my )?status\b|"
    r"\bis (?:it|my [\w' -]{1,40}|the [\w' -]{1,40}) (?:still )?(?:running|on|active|live|switched on|"
    r"working|"
    r"paused)\b|\bwhen (?:does|will|is|did) (?:it|the (?:next|agent|report|last)|my)\b|\bwhen (?:does|will|"
    r"do|did) (?:the|our|this|that) [\w' -]{2,40}? (?:next )?(?:run|go|come|start|arrive|fire)\b|\b(?:are|"
    r"do) (?:all (?:of )?)?(?:my|our|the) (?:[\w' -]{1,30} )?(?:agents|automations|"
    r"reports)\b.{0,20}\b(?:running|run|work|working|active|on|ok|fine)\b|\bdo (?:i|we) have (?:any |some "
    r")?(?:\w+ ){0,2}?(?:agents|automations)\b|\bwhat (?:went|goes|is|was) wrong (?:with|in)\b|\b(?:next|"
    r"last) run\b|"
    r"\bdid (?:it|my [\w' -]{1,40}?|the [\w' -]{1,40}?) (?:run|work|fail|succeed|go out|finish)\b|"
    r"\bhas (?:it|my [\w' -]{1,40}?|the [\w' -]{1,40}?) (?:already |just |ever )?(?:been )?(?:run|sent|"
    r"posted|finished|gone out)\b|"
    r"\bhave (?:it|my [\w' -]{1,40}?|the [\w' -]{1,40}?) (?:already |just |ever )?(?:been "
    r")(?:run|sent|posted|finished|gone out)\b|"
    r"\bwhen (?:was|is) the (?:last|next) (?:time|run)\b|\b(?:is|are) (?:everything|all) (?:ok|okay|fine|"
    r"alright|good|well) with\b|"
    r"\bhow did (?:\w+(?:'s)? )*?(?:run|report|digest|test) go\b|\b(?:how|what) (?:was|happened (?:in|with|"
    r"to|during)) (?:the |my )?(?:last|latest|today's|yesterday's|this morning's|last night's)\b|"
    r"\bwhat(?:'s| is) (?:going on|up|happening|wrong) with (?:it|my|the)\b|\bany (?:problems|errors|"
    r"trouble|news) with\b|"
    r"\bhow (?:is|are|did) (?:it|my|the) ?(?:[\w'-]+ ){0,5}?(?:doing|going|go|running)\b|"
    r"(?<!update the )(?<!change the )(?<!set the )(?<!report the )(?<!track the )(?<!and )"
    r"\bstatus of\b|"
    r"\bwhy (?:did|has|have|is|was|are|does|do)(?:n't| not)? (?:it|my|the|our|that|this)\b.*\b(?:r[ua]n|"
    r"fail|failed|failing|stop|stopped|arrived?|arriving|work|working|come|sent|posted|running|late|empty|"
    r"missing|broken|quiet)\b",
    re.IGNORECASE,
)
_DETAILS = _naming(
    rf"\bwhat (?:exactly |really )?(?:does|do|will) {_TARGET} (?:exactly |actually |really )?do\b",
    rf"\b(?:describe|explain)(?: to me)? {_TARGET}",
    rf"\b(?:show|give|tell)(?: me)? (?:the )?(?:details?|settings|set-?up|configuration|more)"
    rf"(?: of| about| for) {_TARGET}",
    rf"\bhow is {_TARGET} set up\b",
    rf"\bwhat (?:is|are) {_TARGET} (?:actually |really )?doing\b",
    rf"\btell me (?:more )?about {_TARGET}",
)
_RENAME = _order(
    r"re-?name|re-?title",
    rf"(?:change|set) the (?:name|title) of {_TARGET} to",
    r"(?:change|set) (?P<what>its|my [\w' -]{1,40}?'s|the [\w' -]{1,40}?'s) (?:name|title) to",
    rf"(?:call|name) {_TARGET} (?=(?-i:[A-Z])|\"|')",
    r"give (?P<what>it|this|my [\w' -]{1,40}?|the [\w' -]{1,40}?) (?:a|another) "
    r"(?:new |different |better |other )?(?:name|title)",
)
_PAUSE = _order(
    r"pause|suspend|disable|deactivate|halt|freeze|mute|switch off|turn off|shut off|stop(?: running)?",
    rf"(?:switch|turn|shut) {_TARGET} off",
    rf"put {_TARGET} on hold",
)
_RESUME = _order(
    r"resume|un-?pause|re-?activate|activate|enable|re-?enable|switch on|turn on|un-?archive|restart",
    rf"(?:switch|turn) {_TARGET} (?:back )?on",
    rf"(?:start|fire|spin|bring) {_TARGET} (?:back )?(?:up )?(?:again|back)",
)
_ARCHIVE = _order(
    r"archive|delete|remove|get rid of|trash|bin|retire|throw away|discard|scrap|drop|erase",
    rf"throw {_TARGET} away",
)
_RUN = re.compile(
    rf"^\W*{_LEAD}(?:run|start|execute|launch|trigger|kick off|fire up|fire|rerun|re-run|"
    rf"(?:do|make|give me|start) (?:an?|another|one)(?: quick| more| new| fresh)? run (?:of|for|"
    rf"with))\s+(?P<what>.+?)\W*$",
    re.IGNORECASE,
)
_NO_RUN = re.compile(
    r"\b(?:every|each|daily|weekdays|when(?:ever)?|if|once|as soon|test|preview|over|again|on (?:mon|tues|"
    r"wednes|"
    r"thurs|fri))|\d(?:am|pm|:)|\bwith\b|\b(?:from scratch|something|afresh)\b",
    re.IGNORECASE,
)
_PART = re.compile(r"\s+(?:from|off)\s+|\s+(?:field|column|row|entry|grouping)\b", re.IGNORECASE)
_WHOLE: tuple[tuple[Command, re.Pattern[str]], ...] = (
    (Command.VERSIONS, _VERSIONS),
    (Command.UNDO, _UNDO),
    (Command.PUBLISH, _PUBLISH),
    (Command.SHARE, _SHARE),
)
_ORDERS: tuple[tuple[Command, re.Pattern[str]], ...] = (
    (Command.RENAME, _RENAME),
    (Command.PAUSE, _PAUSE),
    (Command.RESUME, _RESUME),
    (Command.ARCHIVE, _ARCHIVE),
    (Command.DETAILS, _DETAILS),
)


def read_command(message: str) -> tuple[Command, str] | None:
    """A command and what it names; plans ("run it every Monday") and tests ("run the test") are none."""
    text = normalise(message[:LONGEST_MESSAGE])
    for command, pattern in _WHOLE:
        if pattern.search(text):
            return command, text
    for command, pattern in _ORDERS:
        if (match := pattern.search(text)) and not _PART.match(text[match.end() :]):
            return command, next(found for found in match.groupdict().values() if found)
    if _STATUS.search(text):
        return Command.STATUS, text
    match = _RUN.search(text)
    if match is None or _NO_RUN.search(match["what"]) or DAY.search(match["what"]):
        return None
    return Command.RUN, match["what"]
