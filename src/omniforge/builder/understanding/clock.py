"""Times of day in words: 9, 9am, 8:30, 16:00, noon, half past eight, eight in the evening."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HOUR = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
_HOURS = {word: n for n, word in enumerate(_HOUR.split("|"), 1)}
_MINUTE_WORDS = {
    "oh five": 5, "ten": 10, "fifteen": 15, "twenty": 20, "twenty five": 25, "thirty": 30, "forty": 40,
    "forty five": 45, "fifty": 50, "quarter": 15, "half": 30, "five": 5, "twenty-five": 25, "forty-five": 45,
}  # fmt: skip
_PAST = r"(?<!from )(?<!between )(?:quarter|half|five|ten|twenty|twenty[- ]five|[0-5]?[05])"
_UNIT = (
    r"(?!\s*(?:-|/|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|years?|times?|x\b|items?|%|st\b|nd\b|"
    r"rd\b|th\b|"
    r"databases?|fields?|rows?|bullets?|lines?|reports?(?!\s(?:the|our|my|all|on|what|which|any|how)\b)|"
    r"clients?|projects?|entries)|\d|[:.]\d)"
)
_TIME = re.compile(
    rf"""(?<![\w.:/-])(?:
    (?:a\s)?(?P<past>{_PAST})(?:\sminutes?)?\s(?P<way>past|to|after|before|till)\s
        (?P<past_hour>1[0-2]|0?[1-9]|noon|midday|midnight|{_HOUR})
        \b(?![:.]\d)(?:\s?(?P<past_half>[ap])\.?m\b\.?)?
    | (?P<hour>\d{{1,2}})(?:[:.h]|(?=\d\d\s?[ap]\.?m))(?P<minute>\d\d)(?!\d|[:.]\d)
        (?:\s?(?P<half>[ap])\.?m\b\.?)?
    | (?P<plain>\d{{1,2}}|{_HOUR})\s?(?P<plain_half>[ap])\.?m\b\.?
    | (?P<oclock>\d{{1,2}}|{_HOUR})\s?o'?\s?clock
    | (?:12\s)?(?P<named>noon|midday|midnight|lunch\s?time|lunch|first\sthing(?:\sin\sthe\s(?:morning|day))?
        |(?:the\s)?(?:end|close)\sof\s(?:(?:the\s)?(?:business|working|work)?\s?(?:day|play)|business|work)
        |eod|cob|cop)\b
    | (?P<army>(?:0\d|1\d|2[0-3])[0-5]\d)(?=\s?(?:hours\b|hrs\b|h\b)|(?<=0\d\d\d)(?!\d)
        |(?<=at\s\d\d\d\d)(?!\d)|(?<=by\s\d\d\d\d)(?!\d)|(?<=@\s\d\d\d\d)(?!\d))
        (?!\d|[.,:]\d)
        (?:\s?(?:hours|hrs|h)\b)?
    | (?<!every\s)(?<!in\s)(?<!last\s)(?<!past\s)(?P<plain_h>[01]?\d|2[0-3])h(?![\w/])
    | (?P<halfway>half)\s(?P<half_hour>1[0-2]|[1-9]|{_HOUR})\b(?!\s?(?:hour|of|the|minutes|days|\d|o'))
        (?:\s?(?P<half_half>[ap])\.?m\b\.?)?
    | (?P<spoken>{_HOUR})[\s-]
        (?P<spoken_minute>oh\sfive|fifteen|twenty(?:[\s-]five)?|thirty|forty(?:[\s-]five)?|fifty)
        \b(?!\s?(?:minutes|days))
    | (?P<bare>\d{{1,2}}|{_HOUR})\b{_UNIT}
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_PART = re.compile(r"\b(mornings?|afternoons?|evenings?|nights?|tonight|nightly)\b", re.IGNORECASE)
_LEADS_BARE = re.compile(
    r"(?:\b(?:day|daily|times|hours):|\bsay,?|\blike,?|\bat|\bby|\bbefore|@|\bfrom|\bbetween|\baround|"
    r"\babout|\bmake (?:it|that)|"
    r"\b(?:time|hour)(?: (?:is|should|must|shall|be|to)){1,2}|\bto|\bit's|\bfor|"
    r"\btill|\buntil)\s*$",
    re.IGNORECASE,
)
_JOINS = re.compile(r"^\s*(?:,|/|&|-|,?\s*and(?: at)?|to|until|till|through|or|,\s*at)\s*$", re.IGNORECASE)
NEAR = 40
MOST_TIMES = 48
PART_TIMES = {"morning": (9, 0), "afternoon": (14, 0), "evening": (18, 0), "night": (20, 0)}


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """`hour` is None when the words name no time of any day (25:00). `open`: morning or afternoon unknown."""

    hour: int | None
    minute: int
    start: int
    end: int
    open: bool = False
    assumed: bool = False
    words: str = ""


def find_times(text: str, *, bare: bool = False) -> list[TimeOfDay]:
    """Every time in the text. A lone number counts after "at" and such, in a list, or when `bare`."""
    times: list[TimeOfDay] = []
    for match in _TIME.finditer(text):
        if len(times) == MOST_TIMES:
            break
        if match["bare"] and not bare and not _is_time(text, match, times):
            continue
        times.append(_time(text, match))
    return times


def part_of_day(text: str) -> str | None:
    """morning, afternoon, evening or night, when the text names one."""
    match = _PART.search(text)
    return _part(match) if match else None


def _part(match: re.Match[str]) -> str:
    word = match.group(1).lower().rstrip("s")
    return "night" if word in ("tonight", "nightly") else word


def _is_time(text: str, match: re.Match[str], earlier: list[TimeOfDay]) -> bool:
    before, after = text[max(0, match.start() - NEAR) : match.start()], text[match.end() : match.end() + NEAR]
    if _LEADS_BARE.search(before):
        return True
    if earlier and _JOINS.match(text[earlier[-1].end : match.start()]):
        return True
    return (
        re.match(r"\s*(?:in the (?:morning|afternoon|evening)|at night|sharp)\b", after, re.IGNORECASE)
        is not None
    )


def _number(word: str) -> int:
    return (
        int(word)
        if word.isdecimal()
        else {"noon": 12, "midday": 12, "midnight": 0}.get(word.lower()) or _HOURS.get(word.lower(), 0)
    )


def _time(text: str, match: re.Match[str]) -> TimeOfDay:
    spot = (match.start(), match.end())
    words = match.group().strip()
    if named := match["named"]:
        return TimeOfDay(_named_hour(named.lower()), 0, *spot, words=words)
    if army := match["army"]:
        return TimeOfDay(int(army[:2]), int(army[2:]), *spot, words=words)
    minute, half, shift = 0, None, 0
    if match["past"]:
        raw = match["past"].lower().replace("-", " ")
        amount = int(raw) if raw.isdecimal() else _MINUTE_WORDS[raw]
        hour, half = _number(match["past_hour"]), match["past_half"]
        if match["way"].lower() in ("to", "before", "till"):
            shift = -1 if amount else 0
            amount = (60 - amount) % 60
        minute = amount
    elif match["plain_h"]:
        return TimeOfDay(int(match["plain_h"]), 0, *spot, words=words)
    elif match["halfway"]:
        hour, minute, half = _number(match["half_hour"]), 30, match["half_half"]
    elif match["hour"]:
        hour, minute, half = int(match["hour"]), int(match["minute"]), match["half"]
    elif match["spoken"]:
        hour = _number(match["spoken"])
        minute = _MINUTE_WORDS[re.sub(r"[\s-]+", " ", match["spoken_minute"].lower())]
    else:
        hour = _number(match["plain"] or match["oclock"] or match["bare"])
        half = match["plain_half"]
    if minute > 59 or hour > 23:
        return TimeOfDay(None, 0, *spot, words=words)
    exact = (match["hour"] or match["bare"] or "").startswith("0")
    hour_of_day, is_open, assumed = _on_the_day(hour, half, _nearest_part(text, match), exact=exact)
    return TimeOfDay((hour_of_day + shift) % 24, minute, *spot, is_open, assumed, words)


def _named_hour(named: str) -> int:
    if named == "midnight":
        return 0
    if named.startswith("first"):
        return 8
    return 12 if named.startswith(("noon", "mid", "lunch")) else 17


def _nearest_part(text: str, match: re.Match[str]) -> str | None:
    parts = list(_PART.finditer(text))
    if not parts:
        return None
    behind = next((p for p in parts if p.start() >= match.end()), None)
    between = text[match.end() : behind.start()] if behind else ""
    if (
        behind
        and re.search(r"\d|\b(?:and|,)\s+(?:at\s+)?\w+ (?:in the|at)\s*$", between)
        and re.match(r"\s*(?:,|and|&|at)", between)
    ):
        parts.remove(behind)  # it belongs to the time that stands between
    if not parts:
        return None
    return _part(min(parts, key=lambda p: min(abs(p.start() - match.end()), abs(match.start() - p.end()))))


def _on_the_day(hour: int, half: str | None, part: str | None, *, exact: bool) -> tuple[int, bool, bool]:
    """Hour of the day, whether it stays open, whether it was assumed to be in the morning."""
    if half:
        if hour > 12:
            return hour, False, False
        return hour % 12 + (12 if half.lower() == "p" else 0), False, False
    if hour > 12 or hour == 0 or exact:
        return hour, False, False
    if part in ("afternoon", "evening"):
        return hour % 12 + 12, False, False
    if part == "night":
        return (0 if hour == 12 else hour + 12 if hour > 5 else hour), False, False
    if part == "morning":
        return hour % 12, False, False
    return hour, hour < 6, hour != 12
