"""Plans that are no list of days and times: intervals, events, on demand, and what a plan cannot do."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from omniforge.builder.understanding.clock import find_times
from omniforge.builder.understanding.cron_words import WEEKDAYS, next_times, read_back
from omniforge.builder.understanding.days import find_weekdays, weekday_field
from omniforge.builder.understanding.plan import DEFAULT_TIME, EXAMPLE, Schedule, Unclear
from omniforge.builder.understanding.text import NUMBER_WORDS
from omniforge.core.errors import Invalid

_ON_DEMAND = re.compile(
    r"\bon[\s-]demand\b|\b(?:run|start|trigger)\b[^.;,]{0,20}\b(?:manually|by hand)\b|^\W*(?:manual(?:ly)?|"
    r"by hand)\W*$|\bad[\s-]?hoc\b|\b(?:no|without a|"
    r"not on a) (?:fixed )?(?:schedule|plan)\b|"
    r"\b(?:only |just )?when(?:ever)? i (?:ask|say|want|need|tell|request|call|run|trigger)\b|\bif i ask\b|"
    r"\b(?:only )?(?:on|by|upon) request\b|\bwhen asked\b|\bi'll (?:run|start|trigger) it (?:myself|when)\b",
    re.IGNORECASE,
)
_EVENT = re.compile(
    r"\b(?:when(?:ever)?|as soon as|each time|every time|any time|the moment|once|"
    r"if)\b[^.;]{0,60}?\b(?:new\b|"
    r"(?:is|are|gets?) (?:added|created|changed|updated|posted|moved|assigned)|(?:appears?|arrives?|"
    r"comes in|shows up)\b|"
    r"(?:someone|somebody|anyone|anybody|a client|a customer) \w+s\b|(?:adds|posts|creates|changes|updates|"
    r"mentions|comments)\b|"
    r"changes\b|becomes\b)|"
    r"\b(?:for|on|with|after) (?:each|every|any) new\b|\bon (?:each|every) (?:change|update)\b",
    re.IGNORECASE,
)
_VAGUE = re.compile(
    r"\d\s?-?ish\b|\b(?:sometimes?|occasionally|now and then|once in a while|from time to time|"
    r"every so often|"
    r"every now and then|regularly|often|frequently|periodically|rarely|whenever possible|at some point|"
    r"soon)\b|"
    r"\b(?:around|about|roughly|approximately|circa|some time|sometime) (?:at )?(?=\d|noon|midday|lunch|"
    r"one|two|three|four|five|"
    r"six|seven|eight|nine|ten|eleven|twelve)",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"\b(?:every|each) (?:other|second|2nd|third|3rd|alternate|alternating) (?P<unit>\w+)|"
    r"\balternate (?P<unit2>\w+)|"
    r"\bevery (?P<n>two|three|four|five|six|[2-9]|\d\d) (?P<unit3>weeks?|days?|fortnights?)\b|"
    r"\b(?P<bi>bi-?weekly|fortnightly|every fortnight|once a fortnight)\b",
    re.IGNORECASE,
)
_MONTH_END = re.compile(
    r"\b(?:last|final) (?:\w+ )?day of (?:the|each|every|a) month|\b(?:end of (?:the|each|every|a) month|"
    r"month[\s-]?end)\b|"
    r"\blast day (?:each|every) month\b",
    re.IGNORECASE,
)
_NTH_DAY = re.compile(
    r"\b(?:first|second|third|fourth|last|1st|2nd|3rd|4th) (?:week\s?day|(?:working|business) day|"
    r"mon(?:day)?|tue(?:sday)?|wed(?:nesday)?|"
    r"thu(?:rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?) (?:of|in|each|every)(?: (?:the|each|every|"
    r"a))? ?month\b|"
    r"\b(?:first|second|third|fourth|last) \w+day (?:of the|of each|of every) month",
    re.IGNORECASE,
)
_ONCE = re.compile(
    r"\bin (?:\d+|an?|one|two|three|four|five|six|half an?) (?:minutes?|hours?|days?|weeks?)\b|"
    r"\btomorrow\b|\btonight\b|"
    r"\b(?:next|this|coming|on the coming) (?:mon|tues?|wednes|thurs?|fri|satur|sun)(?:day)?\b|"
    r"\bjust once\b|\bonly once\b|"
    r"\bone time\b|\bright now\b|\bright away\b|\bimmediately\b|\blater today\b|\bnext (?:week|month)\b",
    re.IGNORECASE,
)
_EVERY_MINUTES = re.compile(
    r"\b(?:every|each) (?:(?P<n>\d+|one|two|three|five|ten|fifteen|twenty|thirty) )?(?P<unit>minutes?|"
    r"mins?|hours?|hrs?)\b|"
    r"\b(?P<half>every half(?:[\s-]an)?[\s-]hour|half[\s-]hourly)\b|"
    r"\b(?P<quarter>every quarter(?: of an)? hour)\b|"
    r"\b(?P<hourly>hourly|once an hour|each full hour)\b",
    re.IGNORECASE,
)
_OFFICE = re.compile(
    r"\b(?:business|office|working|work) ?hours\b|\bduring the work(?:ing)? ?day\b", re.IGNORECASE
)
_TIMES_A = re.compile(
    r"\b(twice|two times|2x|three times|3x|four times) (?:a|per|each|every) ?(day|week|month)|"
    r"\btwice (daily|weekly)\b",
    re.I,
)
_PART = r"(?:\*|\d{1,2}(?:-\d{1,2})?)(?:/\d{1,2})?"
_NUMBERS = rf"{_PART}(?:,{_PART})*"
_CRON = re.compile(
    rf"(?<![\w*/,-])({_NUMBERS} {_NUMBERS} {_NUMBERS} (?:{_NUMBERS}|[A-Za-z,-]{{3,}}) (?:{_NUMBERS}|"
    rf"[A-Za-z,-]{{3,}}))(?![\w*/,-])"
)
MEETING = (
    r"meetings?|stand[\s-]?ups?|calls?|sync|syncs|review|check[\s-]?in|appointment|session|huddle|all[\s-]hands|"
    r"1:1|retro|planning"
)
BEFORE_MEETING = re.compile(
    rf"\b(?:before|ahead of|prior to|in time for)\b[^.;,]{{0,40}}\b(?:{MEETING})\b", re.IGNORECASE
)
RECURS = re.compile(
    r"\b(?:every|each|daily|weekly|monthly|hourly|nightly|weekdays?|weekends?|(?:mon|tues|wednes|thurs|fri|"
    r"satur|sun)days|"
    r"twice|per (?:day|week|month)|a (?:day|week|month)|mornings|evenings|schedule[ds]?|quarterly|yearly|"
    r"(?:of|in) (?:the|each|every) month)\b",
    re.IGNORECASE,
)


def special_plan(text: str, zone: str | None) -> Schedule | Unclear | None:
    """Everything that is not a plan of days and times."""
    if _ON_DEMAND.search(text):
        return Schedule(event="on_demand", time_said=False)
    if _EVENT.search(text):
        return Schedule(event="event_driven", time_said=False)
    if match := _CRON.search(text):
        return _literal(match.group(1), zone)
    if _VAGUE.search(text) and not (BEFORE_MEETING.search(text)):
        if re.search(r"\d|\b(?:around|about|roughly|approximately)\b", text):
            return Unclear(question="I need one exact time. For example: 'every Monday at 8:30'.")
        if RECURS.search(text) is None:
            return Unclear(question=f"I'm not sure about the time. For example: '{EXAMPLE}'.")
    if match := _OTHER.search(text):
        return _not_every(text, match, zone)
    if _NTH_DAY.search(text):
        return Unclear(
            question="A plan can't follow 'the first Monday of the month'. The nearest I can do: every week "
            "on that day, or a fixed day of the month, for example 'the 1st of each month at 9:00'.",
        )
    if _MONTH_END.search(text):
        return Unclear(
            question="Months end on different days, so I can't plan the last one. The nearest I can do: the "
            "28th, or the 1st of the next month. Which one? I'd take the 1st of each month at 9:00.",
            offer=Schedule(cron=f"{_clock(text)} 1 * *", timezone=zone, origin="default"),
        )
    if match := _TIMES_A.search(text):
        return _times_a(text, match, zone)
    if _ONCE.search(text) and not RECURS.search(text):
        return Unclear(
            question="That would be one single run, not a plan. I can set it up to run whenever you ask for "
            f"it, or repeat it, for example '{EXAMPLE}'. I'd take: when you ask.",
            offer=Schedule(event="on_demand", origin="default", time_said=False),
        )
    return None


def _clock(text: str) -> str:
    """The minute and hour fields of the first plain time in the text, or of the usual default."""
    hour, minute = next(((t.hour, t.minute) for t in find_times(text) if t.hour is not None), DEFAULT_TIME)
    return f"{minute} {hour}"


def _literal(fields: str, zone: str | None) -> Schedule | Unclear:
    minute, hour, day, month, weekday = fields.split()
    numbers = {str(i): name for i, name in enumerate(("SUN", *WEEKDAYS))}
    weekday = re.sub(r"(?<![/\d])[0-7](?!\d)", lambda m: numbers[m.group()], weekday).upper()
    cron = " ".join((minute, hour, day, month, weekday))
    try:
        next_times(cron, "UTC", datetime(2026, 1, 1, tzinfo=UTC), 1)
    except Invalid:
        return Unclear(question=f"I can't read that as a time. For example: '{EXAMPLE}'.")
    return Schedule(cron=cron, timezone=zone)


def _not_every(text: str, match: re.Match[str], zone: str | None) -> Unclear:
    unit = (match["unit"] or match["unit2"] or match["unit3"] or "week").lower()
    days = find_weekdays(text)
    if unit.startswith("day") and not days:
        offer = Schedule(cron=f"{_clock(text)} * * MON,WED,FRI", timezone=zone, origin="default")
    elif unit.startswith("month"):
        offer = Schedule(cron=f"{_clock(text)} 1 * *", timezone=zone, origin="default")
    elif unit.startswith("hour"):
        return Unclear(question="Say it as a number, for example 'every 2 hours'.")
    else:
        offer = Schedule(
            cron=f"{_clock(text)} * * {weekday_field(days) if days else 'MON'}",
            timezone=zone,
            origin="default",
        )
    return Unclear(
        question=f"A plan can't skip every other {'day' if unit.startswith('day') else unit.rstrip('s')}. "
        f"The nearest I can do is {read_back(offer.cron, None)}, or running whenever "
        f"you ask. Shall it be {read_back(offer.cron, None)}?",
        offer=offer,
    )


def _times_a(text: str, match: re.Match[str], zone: str | None) -> Schedule | Unclear | None:
    per = (match.group(2) or match.group(3)).lower()
    wanted = {"twice": 2, "two": 2, "2x": 2, "three": 3, "3x": 3, "four": 4}[
        (match.group(1) or "twice").split()[0].lower()
    ]
    times = [t for t in find_times(text) if t.hour is not None]
    if per in ("day", "daily"):
        if len(times) >= wanted:
            return None
        hours = {2: "9,16", 3: "9,13,17", 4: "9,12,15,18"}[wanted]
        offer = Schedule(cron=f"0 {hours} * * *", timezone=zone, origin="default")
        return Unclear(
            question=f"At which {wanted} times? I'd take {read_back(offer.cron, None)}.", offer=offer
        )
    if per in ("week", "weekly") and len(find_weekdays(text)) < wanted:
        chosen = {2: "MON,THU", 3: "MON,WED,FRI", 4: "MON-THU"}[wanted]
        offer = Schedule(cron=f"{_clock(text)} * * {chosen}", timezone=zone, origin="default")
        return Unclear(
            question=f"On which {wanted} days? I'd take {read_back(offer.cron, None)}.", offer=offer
        )
    return None


def interval(text: str, zone: str | None) -> Schedule | Unclear | None:
    """Every 15 minutes, every hour during business hours, every 2 hours from 8 to 18."""
    match = _EVERY_MINUTES.search(text)
    if match is None:
        return None
    if match["half"]:
        count, of_hour = 30, False
    elif match["quarter"]:
        count, of_hour = 15, False
    else:
        raw = (match["n"] or "1").lower()
        count = int(raw) if raw.isdecimal() else NUMBER_WORDS[raw]
        of_hour = bool(match["hourly"]) or (match["unit"] or "").lower().startswith("h")
    allowed = [n for n in range(1, 25 if of_hour else 61) if (24 if of_hour else 60) % n == 0]
    if count not in allowed:
        near = min(allowed, key=lambda n: (abs(n - count), n))
        offer = Schedule(cron=_every(near, of_hour, "*"), timezone=zone, origin="default")
        unit = "hours" if of_hour else "minutes"
        return Unclear(
            question=f"{count} {unit} don't divide evenly. Shall it be {read_back(offer.cron, None)}?",
            offer=offer,
        )
    rest = text[: match.start()] + "," + text[match.end() :]
    times = [t.hour for t in find_times(rest) if t.hour is not None]
    hours = "*"
    if _OFFICE.search(rest):
        hours = "9-17"
    if len(times) == 2 and re.search(r"\b(?:between|from)\b|-", rest):
        first, last = times
        last = last + 12 if last <= first and last < 12 else last
        hours = f"{first}-{last}"
    days = find_weekdays(rest)
    weekday = weekday_field(days) if days else "MON-FRI" if _OFFICE.search(rest) else "*"
    cron = _every(count, of_hour, hours).rsplit(" ", 1)[0] + f" {weekday}"
    notes = (
        ("business hours are 9:00 to 17:00, Monday to Friday",) if _OFFICE.search(rest) and not times else ()
    )
    return Schedule(cron=cron, timezone=zone, notes=notes)


def _every(count: int, of_hour: bool, hours: str) -> str:
    if of_hour:
        return f"0 {hours if count == 1 else f'{hours}/{count}'} * * *"
    return (
        f"*/{count} {hours} * * *" if count not in (1, 60) else f"{'*' if count == 1 else '0'} {hours} * * *"
    )
