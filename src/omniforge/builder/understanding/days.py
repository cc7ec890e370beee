"""Days in words: weekdays, ranges, lists, weekends, days of the month. Names become cron fields."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches

from omniforge.builder.understanding.cron_words import MONTH_NAMES, WEEKDAYS

_DAY = (
    r"mon(?:day)?s?|tue(?:s|sday|sdays)?|wed(?:s|nesday|nesdays)?|thu(?:r|rs|rsday|rsdays)?|fri(?:day)?s?|"
    r"sat(?:urday)?s?|sun(?:day)?s?"
)
DAY = re.compile(rf"(?<![\w.])(?:{_DAY})(?![\w]|\.com)", re.IGNORECASE)
_RANGE = re.compile(rf"\b({_DAY})\.?\s*(?:-|to|through|thru|till|until)\s*({_DAY})\b", re.IGNORECASE)
_WORKDAYS = re.compile(
    r"\b(?:(?-i:M\s?-\s?F)|week-?nights?|week\s?-?days?|work(?:ing|\s)?-?\s?days?|business\s?days?|"
    r"school\s?days?|"
    r"during the week)\b",
    re.IGNORECASE,
)
_WEEKEND = re.compile(r"\bweek-?ends?\b", re.IGNORECASE)
_EXCEPT = re.compile(
    r"\b(?:except|but not|excluding|apart from|not on|other than|without|(?<=day )but|(?<=days )but|"
    r"(?<=daily )but|"
    r"save)(?: for| on)?\b(.*)$",
    re.IGNORECASE,
)
_EVERY_DAY = re.compile(
    r"\b(?:every ?day|each day|daily|every single day|all days|(?:every|each) (?:morning|afternoon|evening|"
    r"night)|every 24 hours|"
    r"seven days a week|nightly|once a day|a day|per day|mornings|evenings|afternoons|(?:once|twice|"
    r"\w+ times) daily)\b",
    re.IGNORECASE,
)
_FULL_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
]
_MONTH_DAY = re.compile(
    rf"(?<![\w:.])(?:(?P<number>\d{{1,2}})(?:st|nd|rd|th)|"
    rf"(?P<word>{'|'.join(_ORDINALS)}))(?![\w])(?!\s+(?:{_DAY}|"
    r"week|two|three|one|thing|few)\b)",
    re.IGNORECASE,
)
_QUARTER = r"quarter(?:ly|s)?(?!\s*(?:past|to|till|before|after|of an?|hour|-hour)\b)"
_MONTH_CUE = re.compile(
    rf"\bmonth(?:ly|s)?\b|\b{_QUARTER}\b|\byear(?:ly|s)?\b|\bannual(?:ly)?\b", re.IGNORECASE
)
_ON_THE_DAYS = re.compile(
    r"\bon the (?:\d{1,2}(?:st|nd|rd|th)|first|fifteenth)"
    r"(?:(?:,| and(?: on)?(?: the)?|, and(?: the)?|,? the|,) (?:\d{1,2}(?:st|nd|rd|th)|first|fifteenth))*"
    r"(?=\s*(?:$|[,.;]|at\b|@|in the|every|each|around|\d|of\b))",
    re.IGNORECASE,
)
_WEEK_PART = re.compile(
    r"\b(?P<part>end|start|beginning|middle) of (?:the|each|every|a) (?:working |work |business )?week\b",
    re.I,
)
_OF_WEEK = {"end": "FRI", "start": "MON", "beginning": "MON", "middle": "WED"}
_MONTH = re.compile(rf"\b({'|'.join(MONTH_NAMES)})\b", re.IGNORECASE)
_DATE = re.compile(
    rf"\b(?:{'|'.join(MONTH_NAMES)}) (\d{{1,2}})\b(?![:.]\d)|"
    rf"\b(\d{{1,2}})\.? (?:of )?(?:{'|'.join(MONTH_NAMES)})\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Days:
    """Cron fields for days; `assumed` when the words left the day to us ("weekly")."""

    day: str = "*"
    month: str = "*"
    weekday: str = "*"
    assumed: bool = False


def correct_days(text: str) -> str:
    """Misspelt weekdays put right ("wendesday"); other words stay."""

    def fixed(match: re.Match[str]) -> str:
        word = match.group().lower()
        if len(word) < 6 or DAY.fullmatch(word) or word in ("today", "midday", "yesterday", "someday"):
            return match.group()
        plural = word.endswith("s")
        close = get_close_matches(word.rstrip("s"), _FULL_DAYS, n=1, cutoff=0.82)
        return close[0] + "s" * plural if close else match.group()

    return re.sub(r"\b[a-z]*d[a-z]*y[a-z]?s?\b", fixed, text, flags=re.IGNORECASE)


def weekday_of(word: str) -> str:
    return word[:3].upper()


def find_weekdays(text: str) -> list[str]:
    """The weekdays meant, in order of the week; the empty list when none is named."""
    without = _EXCEPT.search(text)
    named = _named(text[: without.start()] if without else text)
    if without and (gone := _named(without.group(1))):
        base = named or set(WEEKDAYS)
        named = base - gone
    return [day for day in WEEKDAYS if day in named]


def _named(text: str) -> set[str]:
    named: set[str] = set()
    for first, last in _RANGE.findall(text):
        start, end = WEEKDAYS.index(weekday_of(first)), WEEKDAYS.index(weekday_of(last))
        span = range(start, end + 1 if end >= start else end + 8)
        named |= {WEEKDAYS[i % 7] for i in span}
    named |= {weekday_of(match.group()) for match in DAY.finditer(text)}
    if _WORKDAYS.search(text):
        named |= set(WEEKDAYS[:5])
    if _WEEKEND.search(text):
        named |= set(WEEKDAYS[5:])
    return named


def weekday_field(days: list[str]) -> str:
    """`MON-FRI`, `SAT,SUN`, `MON,THU`, `*`."""
    if len(days) == 7:
        return "*"
    places = [WEEKDAYS.index(day) for day in days]
    if len(places) > 2 and places[-1] - places[0] == len(places) - 1:
        return f"{days[0]}-{days[-1]}"
    return ",".join(days)


def find_month_days(text: str) -> list[int]:
    """Days of the month named in a text that speaks of months; sorted, impossible ones included."""
    found = {
        int(m["number"]) if m["number"] else _ORDINALS.index(m["word"].lower()) + 1
        for m in _MONTH_DAY.finditer(text)
    }
    found |= {int(before or after) for before, after in _DATE.findall(text)}
    if re.search(r"\b(?:start|beginning) of (?:the|each|every|a) (?:month|quarter)\b", text, re.IGNORECASE):
        found.add(1)
    if re.search(r"\bmid(?:dle of (?:the|each|every) |-)month\b", text, re.IGNORECASE):
        found.add(15)
    return sorted(found)


def find_days(text: str, *, expected: bool = False) -> Days | None:
    """Days of the week or the month; None when the text names none."""
    monthly = _MONTH_CUE.search(text)
    months = [name.lower() for name in _MONTH.findall(text)]
    asked = expected and re.search(r"^\W*(?:on )?(?:the )?\d{1,2}(?:st|nd|rd|th)\b", text) is not None
    month_days = find_month_days(text) if monthly or months or asked or _ON_THE_DAYS.search(text) else []
    if monthly or months or month_days:
        month = ",".join(str([m.lower() for m in MONTH_NAMES].index(name) + 1) for name in months) or "*"
        if re.search(rf"\b{_QUARTER}\b", text, re.IGNORECASE):
            month = "1,4,7,10"
        elif re.search(r"\b(?:year(?:ly)?|annual(?:ly)?)\b", text, re.IGNORECASE) and not months:
            month = "1"
        if (
            months
            or month_days
            or month != "*"
            or re.search(r"\bmonthly\b|\b(?:every|each|a|per|once a) (?:month|quarter|year)", text, re.I)
        ):
            return Days(",".join(map(str, month_days or [1])), month, "*", assumed=not month_days)
    if named := find_weekdays(text):
        return Days(weekday=weekday_field(named))
    if week := _WEEK_PART.search(text):
        return Days(weekday=_OF_WEEK[week["part"].lower()], assumed=True)
    if _EVERY_DAY.search(text):
        return Days()
    if re.search(r"\bweekly\b|\b(?:every|each|once a|once per) week\b", text, re.IGNORECASE):
        return Days(weekday="MON", assumed=True)
    return None
