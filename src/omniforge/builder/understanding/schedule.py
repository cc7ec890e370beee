"""When something shall happen: words to a plan of five cron fields and a zone, or the question that is left."""

# ruff: noqa: E501 - patterns and sentences are easier to read and compare in one piece

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from omniforge.builder.understanding.clock import PART_TIMES, TimeOfDay, find_times, part_of_day
from omniforge.builder.understanding.cron_words import WEEKDAYS, next_times, read_back, time_words
from omniforge.builder.understanding.days import (
    DAY,
    Days,
    correct_days,
    find_days,
    find_weekdays,
    weekday_field,
)
from omniforge.builder.understanding.text import NUMBER_WORDS, blank, has_phrase, normalise
from omniforge.builder.understanding.windows import find_window
from omniforge.builder.understanding.zones import find_zone
from omniforge.core.errors import Invalid

Event = Literal["on_demand", "scheduled", "event_driven"]
Origin = Literal["said", "derived", "default", "found"]

DEFAULT_TIME = (9, 0)
LEAD_MINUTES = 30
EXAMPLE = "every Monday at 8:30"


class Schedule(BaseModel):
    """`cron` has five fields when `event` is scheduled, else it is empty. `notes` say what was derived or assumed."""

    model_config = ConfigDict(frozen=True)

    cron: str = ""
    timezone: str | None = None
    event: Event = "scheduled"
    origin: Origin = "said"
    words_used: str = ""
    notes: tuple[str, ...] = ()
    time_said: bool = True


class Unclear(BaseModel):
    """What is missing or not possible, with an example; `offer` is a plan to take with a yes."""

    model_config = ConfigDict(frozen=True)

    question: str
    offer: Schedule | None = None


_ON_DEMAND = re.compile(
    r"\bon[\s-]demand\b|\bmanual(?:ly)?\b|\bby hand\b|\bad[\s-]?hoc\b|\b(?:no|without a|not on a) (?:fixed )?(?:schedule|plan)\b|"
    r"\b(?:only |just )?when(?:ever)? i (?:ask|say|want|need|tell|request|call|run|trigger)\b|\bif i ask\b|"
    r"\b(?:only )?(?:on|by|upon) request\b|\bwhen asked\b|\bi'll (?:run|start|trigger) it (?:myself|when)\b",
    re.IGNORECASE,
)
_EVENT = re.compile(
    r"\b(?:when(?:ever)?|as soon as|each time|every time|any time|the moment|once|if)\b[^.;]{0,60}?\b(?:new\b|"
    r"(?:is|are|gets?) (?:added|created|changed|updated|posted|moved|assigned)|(?:appears?|arrives?|comes in|shows up)\b|"
    r"(?:someone|somebody|anyone|anybody|a client|a customer) \w+s\b|(?:adds|posts|creates|changes|updates|mentions|comments)\b|"
    r"changes\b|becomes\b)|"
    r"\b(?:for|on|with|after) (?:each|every|any) new\b|\bon (?:each|every) (?:change|update)\b",
    re.IGNORECASE,
)
_VAGUE = re.compile(
    r"\d\s?-?ish\b|\b(?:sometimes?|occasionally|now and then|once in a while|from time to time|every so often|"
    r"every now and then|regularly|often|frequently|periodically|rarely|whenever possible|at some point|soon)\b|"
    r"\b(?:around|about|roughly|approximately|circa|some time|sometime) (?:at )?(?=\d|noon|midday|lunch|one|two|three|four|five|"
    r"six|seven|eight|nine|ten|eleven|twelve)",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"\b(?:every|each) (?:other|second|2nd|third|3rd|alternate|alternating) (?P<unit>\w+)|\balternate (?P<unit2>\w+)|"
    r"\bevery (?P<n>two|three|four|five|six|[2-9]|\d\d) (?P<unit3>weeks?|days?|fortnights?)\b|"
    r"\b(?P<bi>bi-?weekly|fortnightly|every fortnight|once a fortnight)\b",
    re.IGNORECASE,
)
_MONTH_END = re.compile(
    r"\b(?:last|final) (?:\w+ )?day of (?:the|each|every|a) month|\b(?:end of (?:the|each|every|a) month|month[\s-]?end)\b|"
    r"\blast day (?:each|every) month\b",
    re.IGNORECASE,
)
_NTH_DAY = re.compile(
    r"\b(?:first|second|third|fourth|last|1st|2nd|3rd|4th) (?:week\s?day|(?:working|business) day|mon(?:day)?|tue(?:sday)?|wed(?:nesday)?|"
    r"thu(?:rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?) (?:of|in|each|every)(?: (?:the|each|every|a))? ?month\b|"
    r"\b(?:first|second|third|fourth|last) \w+day (?:of the|of each|of every) month",
    re.IGNORECASE,
)
_ONCE = re.compile(
    r"\bin (?:\d+|an?|one|two|three|four|five|six|half an?) (?:minutes?|hours?|days?|weeks?)\b|\btomorrow\b|\btonight\b|"
    r"\b(?:next|this|coming|on the coming) (?:mon|tues?|wednes|thurs?|fri|satur|sun)(?:day)?\b|\bjust once\b|\bonly once\b|"
    r"\bone time\b|\bright now\b|\bright away\b|\bimmediately\b|\blater today\b|\bnext (?:week|month)\b",
    re.IGNORECASE,
)
_EVERY_MINUTES = re.compile(
    r"\b(?:every|each) (?:(?P<n>\d+|one|two|three|five|ten|fifteen|twenty|thirty) )?(?P<unit>minutes?|mins?|hours?|hrs?)\b|"
    r"\b(?P<half>every half(?:[\s-]an)?[\s-]hour|half[\s-]hourly)\b|\b(?P<quarter>every quarter(?: of an)? hour)\b|"
    r"\b(?P<hourly>hourly|once an hour|each full hour)\b",
    re.IGNORECASE,
)
_OFFICE = re.compile(
    r"\b(?:business|office|working|work) ?hours\b|\bduring the work(?:ing)? ?day\b", re.IGNORECASE
)
_TIMES_A = re.compile(
    r"\b(twice|two times|2x|three times|3x|four times) (?:a|per|each|every) ?(day|week|month)|\btwice (daily|weekly)\b",
    re.I,
)
_PART = r"(?:\*|\d{1,2}(?:-\d{1,2})?)(?:/\d{1,2})?"
_NUMBERS = rf"{_PART}(?:,{_PART})*"
_CRON = re.compile(
    rf"(?<![\w*/,-])({_NUMBERS} {_NUMBERS} {_NUMBERS} (?:{_NUMBERS}|[A-Za-z,-]{{3,}}) (?:{_NUMBERS}|[A-Za-z,-]{{3,}}))(?![\w*/,-])"
)
_LEAD = re.compile(
    r"(?:(?P<amount>\d{1,3}|half an?|a quarter(?: of an)?|an?|one|two|three|five|ten|fifteen|twenty|thirty|forty[- ]five|sixty)\s+"
    r"(?P<unit>minutes?|mins?|hours?|hrs?)\s+|half an hour\s+)?(?P<rel>before|ahead of|prior to|in time for|earlier than|by|for)\s+"
    r"(?P<gap>(?:[\w']+\s+){0,5}?)$",
    re.IGNORECASE,
)
_AFTERWARD = re.compile(r"\b(?:after|following) (?:\w+ ){0,4}$", re.IGNORECASE)
_MEETING = r"meetings?|stand[\s-]?ups?|calls?|sync|syncs|review|check[\s-]?in|appointment|session|huddle|all[\s-]hands|1:1|retro|planning"
_BEFORE_MEETING = re.compile(
    rf"\b(?:before|ahead of|prior to|in time for)\b[^.;,]{{0,40}}\b(?:{_MEETING})\b", re.IGNORECASE
)
_BEFORE_THAT = re.compile(r"\b(?:before|ahead of) (?:that|it|then)\b", re.IGNORECASE)
_RECURS = re.compile(
    r"\b(?:every|each|daily|weekly|monthly|hourly|nightly|weekdays?|weekends?|(?:mon|tues|wednes|thurs|fri|satur|sun)days|"
    r"twice|per (?:day|week|month)|a (?:day|week|month)|mornings|evenings|schedule[ds]?|quarterly|yearly|(?:of|in) (?:the|each|every) month)\b",
    re.IGNORECASE,
)
_NOT_A_PLAN = re.compile(
    r"\b(?:weekly|daily|monthly|quarterly|yearly|annual|hourly)\s+(?:\w+\s+){0,3}?(?:reports?|summar\w+|digests?|overviews?|updates?|"
    r"reviews?|recaps?|round-?ups?|brief\w*|status|meetings?|stand-?ups?|newsletters?|agents?|bullet\w*|list)\b",
    re.IGNORECASE,
)


def read_schedule(
    message: str, *, base: Schedule | None = None, expected: bool = False
) -> Schedule | Unclear | None:
    """The plan a message names; None when it speaks of no time at all.

    `base` is the plan so far: a new time keeps its days and new days keep its time. `expected`: the message
    answers the question when, so that a lone "9" or "Monday" counts.
    """
    raw = normalise(message)
    text = correct_days(raw)
    while window := find_window(text):
        text = blank(text, window.start, window.end)
    zone_found = find_zone(text, expected=expected)
    zone = zone_found.zone if zone_found else (base.timezone if base else None)
    if zone_found:
        text = blank(text, zone_found.start, zone_found.end)
    found = _special(text, zone) or _interval(text, zone) or _planned(text, zone, base, expected=expected)
    if found is None:
        return _only_zone(zone_found is not None, zone, base)
    if zone_found and zone_found.zone is None and isinstance(found, Schedule):
        return Unclear(
            question="Which city's time shall I use? For example: 'Berlin' or 'New York'.", offer=found
        )
    return found.model_copy(update={"words_used": raw[:200]}) if isinstance(found, Schedule) else found


def suggested(
    weekday: str = "MON", time: tuple[int, int] = DEFAULT_TIME, zone: str | None = None
) -> Schedule:
    """A plan we propose."""
    cron = f"{time[1]} {time[0]} * * {weekday}"
    return Schedule(cron=cron, timezone=zone, origin="default", time_said=False)


def _only_zone(named: bool, zone: str | None, base: Schedule | None) -> Schedule | Unclear | None:
    if not named:
        return None
    if zone is None:
        return Unclear(question="Which city's time shall I use? For example: 'Berlin' or 'New York'.")
    return base.model_copy(update={"timezone": zone}) if base else None


def _special(text: str, zone: str | None) -> Schedule | Unclear | None:
    """Everything that is not a plan of days and times."""
    if _ON_DEMAND.search(text):
        return Schedule(event="on_demand", time_said=False)
    if _EVENT.search(text):
        return Schedule(event="event_driven", time_said=False)
    if match := _CRON.search(text):
        return _literal(match.group(1), zone)
    if _VAGUE.search(text) and not (_BEFORE_MEETING.search(text)):
        if re.search(r"\d|\b(?:around|about|roughly|approximately)\b", text):
            return Unclear(question="I need one exact time. For example: 'every Monday at 8:30'.")
        if _RECURS.search(text) is None:
            return Unclear(question=f"I'm not sure about the time. For example: '{EXAMPLE}'.")
    if match := _OTHER.search(text):
        return _not_every(text, match, zone)
    if _NTH_DAY.search(text):
        return Unclear(
            question="A plan can't follow 'the first Monday of the month'. The nearest I can do: every week on that "
            "day, or a fixed day of the month, for example 'the 1st of each month at 9:00'.",
        )
    if _MONTH_END.search(text):
        return Unclear(
            question="Months end on different days, so I can't plan the last one. The nearest I can do: the 28th, or "
            "the 1st of the next month. Which one? I'd take the 1st of each month at 9:00.",
            offer=Schedule(cron=f"{_clock(text)} 1 * *", timezone=zone, origin="default"),
        )
    if match := _TIMES_A.search(text):
        return _times_a(text, match, zone)
    if _ONCE.search(text) and not _RECURS.search(text):
        return Unclear(
            question="That would be one single run, not a plan. I can set it up to run whenever you ask for it, or "
            f"repeat it, for example '{EXAMPLE}'. I'd take: when you ask.",
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
        question=f"A plan can't skip every other {'day' if unit.startswith('day') else unit.rstrip('s')}. The nearest I can "
        f"do is {read_back(offer.cron, None)}, or running whenever you ask. Shall it be {read_back(offer.cron, None)}?",
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


def _interval(text: str, zone: str | None) -> Schedule | Unclear | None:
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


def _planned(
    text: str, zone: str | None, base: Schedule | None, *, expected: bool
) -> Schedule | Unclear | None:
    """Days and times of day."""
    text = _NOT_A_PLAN.sub(lambda m: "," + " " * (len(m.group()) - 1), text)
    recurs = _RECURS.search(text) is not None
    changing = base is not None and has_phrase(
        text, ("make it", "make that", "change", "instead", "move", "rather", "at", "shift", "set", "not")
    )
    text = _new_value(text)
    before_meeting = _BEFORE_MEETING.search(text) is not None
    context = recurs or expected or changing or before_meeting
    days = find_days(text, expected=expected)
    times = find_times(text, bare=expected and days is None)
    part = part_of_day(text)
    if not times and before_meeting and base is None:
        return Unclear(
            question="What time is that meeting? For example: 'it starts at 9:00'; I'd be ready 30 minutes before."
        )
    if days is None and not times:
        if before_meeting:
            return Unclear(
                question="What time is that meeting? For example: 'it starts at 9:00'; I'd be ready 30 minutes before."
            )
        if not (part and (expected or changing)):
            return None
    if not context and not (days and (times or part)) and not (times and expected):
        return None
    if days and not recurs and not expected and not changing and not times and not part:
        return None
    if bad := next((t for t in times if t.hour is None), None):
        return Unclear(question=f"I can't read '{bad.words}' as a time of day. For example: '8:30' or '4pm'.")
    return _assembled(text, days, times, part=part_of_day(text), zone=zone, base=base)


def _new_value(text: str) -> str:
    """ "Tuesday instead of Monday", "from 9 to 10", "not Monday but Tuesday": only what is wanted now stays."""
    text = re.sub(
        r"\b(?:instead of|rather than|not on|not at)\s+(?:on |at )?[\w:]+(?:\s?[ap]m)?",
        ",",
        text,
        flags=re.IGNORECASE,
    )
    text = re.sub(r"\bnot\s+[\w:]+(?:\s?[ap]m)?,?\s+but\b", ",", text, flags=re.IGNORECASE)
    return re.sub(
        r"\b(?:change|move|shift)\b(.*?)\bfrom\s+[\w:]+(?:\s?[ap]m)?\s+to\b",
        r",\1 at",
        text,
        flags=re.IGNORECASE,
    )


def _assembled(
    text: str,
    days: Days | None,
    times: list[TimeOfDay],
    *,
    part: str | None,
    zone: str | None,
    base: Schedule | None,
) -> Schedule | Unclear:
    moments = _moments(text, times)
    if isinstance(moments, Unclear):
        return moments
    clock, notes, derived = moments
    old = base.cron.split() if base and base.cron and base.event == "scheduled" else None
    said = bool(clock)
    if not clock and old and days and not part:
        minute, hour = old[0], old[1]
        said = base.time_said if base else False
    elif not clock:
        at = PART_TIMES[part] if part else DEFAULT_TIME
        minute, hour = str(at[1]), str(at[0])
        notes = (*notes, f"{time_words(*at)} is my suggestion")
    else:
        if len({m for _, m in clock}) > 1:
            offer = f"{clock[0][1]} {','.join(str(h) for h, _ in clock)}"
            return Unclear(
                question="One plan can have several hours, but only with the same minutes. The nearest I can do is "
                f"{read_back(f'{offer} * * *', None)}. Is that fine?",
                offer=Schedule(cron=f"{offer} {_fields(days, old)}", timezone=zone, origin="default"),
            )
        minute, hour = str(clock[0][1]), ",".join(str(h) for h in sorted({h for h, _ in clock}))
    month_days = [int(d) for d in (days.day if days else "").split(",") if d.isdecimal()]
    if any(d > 28 or d < 1 for d in month_days):
        return Unclear(
            question="Not every month has that day. The nearest I can do: the 28th, or the 1st of the next month. "
            "Which one? I'd take the 28th.",
            offer=Schedule(cron=f"{minute} {hour} 28 * *", timezone=zone, origin="default"),
        )
    if days is None and old is None:
        notes = (*notes, "every day, as no day was named")
    if days and days.assumed:
        notes = (*notes, "the day is my suggestion")
    return Schedule(
        cron=f"{minute} {hour} {_fields(days, old)}",
        timezone=zone,
        origin="derived" if derived else "said",
        notes=notes,
        time_said=said,
    )


def _fields(days: Days | None, old: list[str] | None) -> str:
    if days:
        return f"{days.day} {days.month} {days.weekday}"
    return " ".join(old[2:]) if old else "* * *"


def _moments(
    text: str, times: list[TimeOfDay]
) -> tuple[list[tuple[int, int]], tuple[str, ...], bool] | Unclear:
    """Times as (hour, minute), what to say about them, and whether one was derived from a meeting."""
    clock: list[tuple[int, int]] = []
    notes: tuple[str, ...] = ()
    leads = [_lead(text, t) for t in times]
    if None in leads:  # a time said as such counts, the meeting beside it does not
        times, leads = (
            [t for t, lead in zip(times, leads, strict=True) if lead is None],
            [None] * leads.count(None),
        )
    for time, lead in zip(times, leads, strict=True):
        hour, minute = time.hour or 0, time.minute
        if _AFTERWARD.search(text[max(0, time.start - 60) : time.start]):
            return Unclear(
                question=f"How long after {hour}:{minute:02}? Tell me the time itself, for example 'at 10:00'."
            )
        if time.open and lead is None:
            return Unclear(
                question=f"Is that {time_words(hour + 12, minute)} or {time_words(hour, minute)}? For example: '{hour}pm'.",
            )
        if lead is not None:
            hour = hour + 12 if time.open else hour
            total = hour * 60 + minute - lead
            if total < 0:
                return Unclear(
                    question=f"That would be the evening before. Tell me the exact time, for example '{EXAMPLE}'."
                )
            notes = (*notes, f"{lead} minutes before {hour}:{minute:02}")
            hour, minute = divmod(total, 60)
        elif time.assumed or hour in (0, 12):
            notes = (*notes, time_words(hour, minute))
        clock.append((hour, minute))
    return clock, notes, any(lead is not None for lead in leads)


def _lead(text: str, time: TimeOfDay) -> int | None:
    """Minutes to be ready ahead of this time, when the words say before, by, or for a meeting."""
    match = _LEAD.search(text[max(0, time.start - 120) : time.start])
    is_meeting = re.match(rf"\s*(?:[\w-]+\s+){{0,2}}(?:{_MEETING})\b", text[time.end :], re.IGNORECASE)
    if match is None:
        return LEAD_MINUTES if is_meeting and _BEFORE_THAT.search(text) else None
    if (
        match["rel"].lower() == "for"
        and not is_meeting
        and not re.search(_MEETING, match["gap"], re.IGNORECASE)
    ):
        return None
    if re.search(r"\bat\b", match["gap"]) and not re.search(_MEETING, match["gap"], re.IGNORECASE):
        return None
    if DAY.fullmatch(match["gap"].strip() or "-") and match["rel"].lower() == "for":
        return None
    words = match.group().lower()
    if "half an hour" in words:
        return 30
    if not match["amount"]:
        return LEAD_MINUTES
    raw = match["amount"].lower().replace("-", " ")
    if raw.startswith("half"):
        return 30
    if raw.startswith("a quarter"):
        return 15
    extra = {"forty five": 45, "sixty": 60}
    count = int(raw) if raw.isdecimal() else extra.get(raw) or NUMBER_WORDS[raw]
    return count * (60 if match["unit"].lower().startswith("h") else 1)
