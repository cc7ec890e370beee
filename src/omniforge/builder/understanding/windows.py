"""Which time a report covers: last week, last 7 days, since Monday … as a short name."""

from __future__ import annotations

import re
from dataclasses import dataclass

from omniforge.builder.understanding.text import NUMBER_WORDS

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NAMED = {
    "last_week": "last week (Monday to Sunday)",
    "this_week": "this week so far",
    "last_month": "last month",
    "this_month": "this month so far",
    "yesterday": "yesterday",
    "today": "today so far",
    "all": "everything, whenever it was changed",
}
LONGEST_DAYS = 366

_NUMBER = r"\d{1,3}|" + "|".join(w for w in NUMBER_WORDS if w not in ("zero", "a", "an"))
_PATTERN = re.compile(
    rf"""\b(?:(?:in|from|over|during|for|of|within|on)\s+)?(?:the\s+)?(?:
    (?P<since>since|from)\s+(?:last\s+)?(?P<day>{"|".join(DAYS)})\b(?!\s+(?:to|through|until|till|-))
        (?:\s+on(?:wards?)?)?
    | (?:last|past|previous|preceding|prior)\s+(?P<n>{_NUMBER})\s+(?:(?:calendar|working|business)\s+)?
        (?P<unit>hours?|days?|weeks?|months?)
    | (?:last|past|previous)\s+(?P<loose>fortnight|24h|day(?!\s+(?:of|in|each|every)))
    | (?P<past_week>past)\s+week
    | (?P<past_month>past)\s+month
    | (?:last|previous|preceding|prior)\s+(?:calendar\s+|working\s+)?(?P<last>week|month)(?:'s)?
    | (?:week|month)\s+(?P<ago>before|just\s+(?:past|gone|ended)|that\s+(?:just\s+)?ended)
    | (?:this|current|the\s+current)\s+(?P<this>week|month)(?:'s)?(?:\s+so\s+far)?
    | (?P<todate>week|month)[\s-]to[\s-]date
    | (?P<single>yesterday|today)(?:'s)?
    | (?P<all>all[\s-]time|no\s+time\s+limit|any\s+time(?!\s+(?:the\s+|our\s+|a\s+)?[a-z]+\s+[a-z]+s\b)
        |everything\s+ever
        |(?:regardless|independent)\s+of\s+(?:the\s+)?(?:date|time|when))
    )(?![\w])""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class WindowFound:
    window: str
    start: int
    end: int


def find_window(text: str) -> WindowFound | None:
    """The first time span named in normalised text; spans over a year do not count."""
    for match in _PATTERN.finditer(text):
        if window := _window(match):
            return WindowFound(window, match.start(), match.end())
    return None


def _window(match: re.Match[str]) -> str | None:
    if match["since"]:
        return f"since_{match['day'].lower()}"
    if match["n"]:
        raw = match["n"].lower()
        count = int(raw) if raw.isdecimal() else NUMBER_WORDS[raw]
        unit = match["unit"].lower().rstrip("s")
        days = {"hour": -(-count // 24), "day": count, "week": 7 * count, "month": 30 * count}[unit]
        return f"last_{days}_days" if 1 <= days <= LONGEST_DAYS else None
    if match["loose"]:
        return "last_14_days" if match["loose"].lower() == "fortnight" else "last_1_days"
    if match["past_week"]:
        return "last_7_days"
    if match["past_month"]:
        return "last_30_days"
    if match["last"]:
        return f"last_{match['last'].lower()}"
    if match["ago"]:
        return "last_month" if match.group().lower().lstrip("the ").startswith("month") else "last_week"
    if span := match["this"] or match["todate"]:
        return f"this_{span.lower()}"
    return match["single"].lower() if match["single"] else "all"


def window_words(window: str) -> str:
    """`last_7_days` as people say it."""
    if window in NAMED:
        return NAMED[window]
    if match := re.fullmatch(r"last_(\d+)_days", window):
        return "the last 24 hours" if match[1] == "1" else f"the last {match[1]} days"
    return f"since {window.removeprefix('since_').capitalize()}"


def day_words(name: str) -> str:
    """A stretch of days that a date is tested against: `this_week` is the whole week, `report` the time that
    the report covers."""
    if name == "report":
        return "the time covered"
    if match := re.fullmatch(r"next_(\d+)_days", name):
        return f"the next {match[1]} days"
    if name in ("today", "tomorrow", "this_week", "next_week", "this_month", "next_month"):
        return name.replace("_", " ")
    return window_words(name)
