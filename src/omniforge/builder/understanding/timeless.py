"""A wish without its times and days."""

from __future__ import annotations

import re

from omniforge.builder.understanding.clock import TimeOfDay, find_times
from omniforge.builder.understanding.days import DAY

_CLOCK_WORDS = re.compile(
    r"(?<!#)\b(?:(?:on |at |in |by |from |before |around |during |until )?(?:the |my |our )?(?:every|"
    r"each)(?: single)?\s+(?:\w+day|"
    r"day|morning|evening|afternoon|night|week|month|quarter|year|hour|minute|\d+ (?:minutes?|hours?)|"
    r"half hour|"
    r"weekday|weekend|workday|working day|business day|other \w+)s?(?: morning| evening| afternoon| night)?|"
    r"(?:on )?(?:mon|tues|wednes|thurs|fri|satur|sun)days?(?: and (?:mon|tues|wednes|thurs|fri|satur|"
    r"sun)days?)*"
    r"(?: morning| evening| afternoon| night)?s?|(?:on )?week(?:days|ends)|daily|hourly|nightly|"
    r"(?:once|twice|three times) (?:a|per) (?:day|week|month|hour)|(?:in the|every|each) (?:morning|"
    r"evening|afternoon)|"
    r"(?:before|by|at|towards|around) (?:the )?(?:month[ -]?end|(?:end|start|beginning|close) of (?:the |"
    r"each |every |this )?(?:month|week|day|quarter|year|business|play))|"
    r"(?:before|after|for|ahead of|in time for) (?:our|the|my|every|each)(?: \w+){0,3}? (?:meeting|"
    r"stand-?up|call|sync|check-in|shift|retro|all-hands)s?(?=\s*(?:,|$))|"
    r"(?:at|by) the (?:end|start|beginning|close) of (?:every|each|the|my|our|a) (?:\w+ )?(?:day|shift|"
    r"week|month|quarter|sprint|year|term|semester|lesson|workday)|"
    r"before (?:i|we) (?:\w+ ){1,6}?\w+(?=,)|"
    r"at (?:noon|midnight|lunchtime)|first thing(?: in the morning)?|everyday|by hand|manually|"
    r"automatically)\b",
    re.IGNORECASE,
)


def without_schedule(text: str) -> str:
    """The text without times and days: when it runs is another question."""
    recurs = _CLOCK_WORDS.search(text) is not None or DAY.search(text) is not None
    for time in reversed(find_times(text)):
        if _is_amount(text, time, recurs=recurs):
            continue
        before = re.sub(r"\b(?:at|by|before|around|from|until|till|@|and|,)\s*$", "", text[: time.start])
        text = f"{before.rstrip(' ,')} {text[time.end :].lstrip()}"
    return re.sub(r"\s+", " ", _CLOCK_WORDS.sub(" ", text)).strip()


_VERDICT = re.compile(
    r"%|percent|\b(?:approve|reject|review|accept|decline|variance|difference)", re.IGNORECASE
)


def _is_amount(text: str, time: TimeOfDay, *, recurs: bool) -> bool:
    """A number that could be a time of day, but is one of money or percents, or stands without any day."""
    plain = not re.search(
        r":|[ap]\.?m\b|clock|noon|mid|half|quarter|end|close|thing|lunch", time.words, re.IGNORECASE
    )
    money = re.match(r"\s*(?:(?:and|to|-|or)\s*(?:less than\s*)?)?\d*[\d.,]*\s?(?:%|percent|[€$£]|dollars|"
                     r"euros?\b)",
                     text[time.end :], re.IGNORECASE)  # fmt: skip
    told = re.search(r"\b(?:at|by)\s*(?:\d{1,2}\s*(?:,|and|&)\s*)*$", text[: time.start], re.IGNORECASE)
    clock = told is not None and not _VERDICT.search(text) and (time.hour or 0) > 0
    return plain and (money is not None or not (recurs or clock))
