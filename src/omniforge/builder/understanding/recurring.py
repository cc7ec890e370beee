"""Plans that are no list of days and times: intervals, events, on demand, and what a plan cannot do."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from omniforge.builder.understanding.clock import find_times
from omniforge.builder.understanding.cron_words import MONTH_NAMES, WEEKDAYS, next_times, read_back
from omniforge.builder.understanding.days import DAY, find_month_days, find_weekdays, weekday_field
from omniforge.builder.understanding.happenings import is_event
from omniforge.builder.understanding.on_demand import ON_DEMAND
from omniforge.builder.understanding.plan import DEFAULT_TIME, EXAMPLE, Schedule, Unclear
from omniforge.builder.understanding.text import NUMBER_WORDS, blank
from omniforge.core.errors import Invalid

HOURS_A_DAY = 24
_SAY = f"For example: '{EXAMPLE}'."
_NTH = {
    "first": 1,
    "1st": 1,
    "second": 8,
    "2nd": 8,
    "third": 15,
    "3rd": 15,
    "fourth": 22,
    "4th": 22,
    "last": 28,
}
_NEARLY = re.compile(r"\d|~|\b(?:around|about|roughly|approximately|or so|or thereabouts)\b", re.IGNORECASE)
_HOURS = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
_VAGUE = re.compile(
    rf"(?:\d|\b(?:{_HOURS}|noon|midday|lunch))\s?-?ish\b|\b(?:sometimes?|occasionally|(?:every )?now and "
    rf"(?:then|again)(?=\s*(?:$|[,.;!?]))|"
    r"(?:every )?once in a while|from time to time|every so often|regularly|often|frequently|periodically|"
    r"rarely|"
    r"whenever possible|at some point|soon|some ?time|at some stage|or so|or thereabouts|or something|"
    r"give or take|some (?:day|evening|morning|afternoon|night|weekday|mondays?|tuesdays?|wednesdays?|"
    r"thursdays?|fridays?|saturdays?|sundays?)|one of these days|any day|whatever day|more or less|"
    r"not too (?:early|late)|early-?ish|late-?ish|once or twice|every (?:few|couple of) \w+|a few times)\b|"
    rf"\b(?:around|about|roughly|approximately|circa|approx) (?:at )?(?=\d|noon|midday|lunch|midnight|"
    rf"{_HOURS})|~\s?(?=\d)",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"\b(?:every|each) (?:other|second|2nd|third|3rd|alternate|alternating) (?P<unit>\w+)|"
    r"\balternate (?P<unit2>\w+)|"
    r"\bevery (?P<n>two|three|four|five|six|seven|eight|nine|ten|twelve|fourteen|[2-9]|\d\d) "
    r"(?P<unit3>weeks?|days?|fortnights?)\b|"
    r"\b(?P<bi>bi-?weekly|fortnightly|every fortnight|once a fortnight)\b",
    re.IGNORECASE,
)
_MONTH_END = re.compile(
    r"\b(?:last|final) (?:\w+ )?day of (?:the|each|every|a) month|\b(?:end of (?:the|each|every|a) month|"
    r"month[\s-]?end)\b|"
    r"\blast day (?:each|every) month\b",
    re.IGNORECASE,
)
_PART_OR = re.compile(
    r"\b(?P<one>mornings?|afternoons?|evenings?|nights?)(?: time)? or (?:\w+ ){0,2}?"
    r"(?P<other>mornings?|afternoons?|evenings?|nights?)\b",
    re.IGNORECASE,
)
_NTH_DAY = re.compile(
    r"\b(?:on )?(?:even|odd) (?:days|dates|weeks|weekdays)\b|\b(?:every|each) (?:last|first|final) (?:mon|"
    r"tues|wednes|thurs|fri|satur|sun)day\b|"
    r"\b(?:first|second|third|fourth|last|1st|2nd|3rd|4th) (?:week\s?day|(?:working|business) day|"
    r"mon(?:day)?|tue(?:sday)?|wed(?:nesday)?|"
    r"thu(?:rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?) (?:of|in|each|every)(?: (?:the|each|every|"
    r"a))? ?month\b|"
    r"\b(?:first|second|third|fourth|last) \w+day (?:of the|of each|of every) month",
    re.IGNORECASE,
)
_WEEK_END = re.compile(
    r"\b(?:at|by|towards|before) the end of (?:the|this|my) (?:working |work )?week\b", re.IGNORECASE
)
_MONTHS = "|".join(MONTH_NAMES)
_DATED = re.compile(
    rf"\b(?:(?:the )?\d{{1,2}}(?:st|nd|rd|th|\\.)?(?: of)? (?:{_MONTHS})|(?:{_MONTHS}) (?:the "
    rf")?\d{{1,2}}(?:st|nd|rd|th)?)\b(?![:.]\d)",
    re.IGNORECASE,
)
_YEARLY = re.compile(r"\b(?:every|each|yearly|annually|once a|a year|per year)\b", re.IGNORECASE)
_ONCE = re.compile(
    r"\bin (?:\d+|an?|one|two|three|four|five|six|half an?) (?:minutes?|hours?|days?|weeks?)\b|"
    r"\btomorrow\b|\btonight\b|"
    r"\b(?:next|this|coming|on the coming) (?:mon|tues?|wednes|thurs?|fri|satur|sun)(?:day)?\b|"
    r"\bjust once\b|\bonly once\b|"
    r"\bone time\b|\bright now\b|\bright away\b|\bimmediately\b|\blater today\b|\bnext (?:week|month)\b",
    re.IGNORECASE,
)
_HOURLY_STEP = re.compile(
    r"\b(?:every|each) (?P<word>other|second|2nd|third|3rd|fourth|4th|sixth|6th) hour\b", re.IGNORECASE
)
_STEPS = {
    "other": 2,
    "second": 2,
    "2nd": 2,
    "third": 3,
    "3rd": 3,
    "fourth": 4,
    "4th": 4,
    "sixth": 6,
    "6th": 6,
}
_EVERY_MINUTES = re.compile(
    r"\b(?:every|each) (?:(?P<n>\d+|one|two|three|four|five|six|eight|ten|twelve|fifteen|twenty|thirty|"
    r"forty-five|"
    r"sixty|ninety) )?(?P<unit>(?:full |single )?(?:minutes?|mins?|hours?|hrs?))\b(?! and a half)|"
    r"\b(?P<half>every half(?:[\s-]an)?[\s-]hour|half[\s-]hourly)\b|"
    r"\b(?P<quarter>every quarter(?: of an)?[\s-]hour)\b|"
    r"\b(?P<often>once|twice|two times|three times|four times|six times|[2346] times|[2346]x) (?:an|per|"
    r"every|each) hour\b|"
    r"\b(?P<hourly>hourly|once an hour|each full hour)\b",
    re.IGNORECASE,
)
_HALF_MORE = re.compile(
    r"\bevery (?:(?:an )?hour and a half|one and a half hours|1\.5 hours)\b", re.IGNORECASE
)
_PER_HOUR = {"once": 1, "twice": 2, "two": 2, "three": 3, "four": 4, "six": 6}
_AT_MINUTE = re.compile(
    r"(?:\b(?P<amount>a quarter|quarter|half|five|ten|twenty|twenty[- ]five|[0-5]?\d)(?: minutes?| mins?)? "
    r"(?P<way>past|after|to|before)\b(?!\s+(?:\d|one|two|three|four|five|six|seven|eight|nine|ten|eleven|"
    r"twelve|noon|"
    r"midnight))|(?<!\d):(?P<minute>[0-5]\d)\b|\bon the (?P<on>half|quarter)(?: hour)?\b|\bminute "
    r"(?P<nth>\d{1,2})\b)",
    re.IGNORECASE,
)
_MINUTES = {"quarter": 15, "half": 30, "five": 5, "ten": 10, "twenty": 20, "twenty five": 25}
_SPAN_OF_HOURS = re.compile(r"(?<![\w:.-])(?P<first>1?\d|2[0-3])\s?-\s?(?P<last>1?\d|2[0-3])(?![\w:.%-])")
_OFFICE = re.compile(
    r"\b(?:business|office|working|work) ?hours\b|\bduring the work(?:ing)? ?day\b", re.IGNORECASE
)
_TIMES_A = re.compile(
    r"\b(?P<n>twice|thrice|(?:two|three|four|five|six|\d{1,2})(?: times|x)|several times|[2-6]x) (?:a |an "
    r"|per |each |every )?"
    r"(?P<per>day|daily|week|weekly|month|monthly)\b",
    re.IGNORECASE,
)
_PART = r"(?:\*|\d{1,2}(?:-\d{1,2})?)(?:/\d{1,2})?"
_NUMBERS = rf"{_PART}(?:,{_PART})*"
_CRON = re.compile(
    rf"(?<![\w*/,-])({_NUMBERS} {_NUMBERS} {_NUMBERS} (?:{_NUMBERS}|[A-Za-z,-]{{3,}}) (?:{_NUMBERS}|"
    rf"[A-Za-z,-]{{3,}}))(?![\w*/,-])"
)
MEETING = (
    r"meetings?|stand[\s-]?ups?|calls?|sync|syncs|review|check[\s-]?in|appointment|session|huddle|"
    r"all[\s-]hands|"
    r"1:1|retro|planning"
)
BEFORE_MEETING = re.compile(
    rf"\b(?:before|ahead of|prior to|in time for)\b[^.;,]{{0,40}}\b(?:{MEETING})\b", re.IGNORECASE
)
RECURS = re.compile(
    r"\b(?:every|each|daily|weekly|monthly|hourly|nightly|weekdays?|weekends?|(?:mon|tues|wednes|thurs|fri|"
    r"satur|sun)days|"
    r"twice|per (?:day|week|month|quarter|year)|a (?:day|week|month|quarter|year)|mornings|on the "
    r"\d{1,2}(?:st|nd|rd|th),?(?: and)?(?: on)?(?: the)? \d{1,2}(?:st|nd|rd|th)|evenings|schedule[ds]?|"
    r"quarterly|yearly|"
    r"(?:of|in) (?:the|each|every) month)\b",
    re.IGNORECASE,
)


def special_plan(text: str, zone: str | None) -> Schedule | Unclear | None:
    """Everything that is not a plan of days and times."""
    if ON_DEMAND.search(text):
        return Schedule(event="on_demand", time_said=False)
    if is_event(text):
        return Schedule(event="event_driven", time_said=False)
    if match := _CRON.search(text):
        return _literal(match.group(1), zone)
    if vague := _vague(text):
        return vague
    if (match := _OTHER.search(text)) and not _HOURLY_STEP.search(text):
        return _not_every(text, match, zone)
    if impossible := _impossible(text, zone):
        return impossible
    if match := _TIMES_A.search(text):
        return _times_a(text, match, zone)
    if _ONCE.search(text) and not RECURS.search(text):
        return Unclear(
            question="That would be one single run, not a plan. I can set it up to run whenever you ask for "
            f"it, or repeat it, for example '{EXAMPLE}'. I'd take: when you ask.",
            offer=Schedule(event="on_demand", origin="default", time_said=False),
        )
    return None


_SOME_TIMES = re.compile(
    r"\b(?:(?:a )?(?:few|couple of|several|some) times (?:a|per|each|every) (?:day|week|month)|either "
    r"(?:at )?(?:\d{1,2}|[a-z]+) or (?:at )?\d{1,2}\b)",
    re.IGNORECASE,
)


def _vague(text: str) -> Unclear | None:
    """ "Around nine", "8:30ish", "sometimes", "morning or evening"."""
    if _SOME_TIMES.search(text):
        return Unclear(question=f"I need exact days and times. {_SAY}")
    if match := _PART_OR.search(text):
        return Unclear(question=f"Which one shall it be, {match['one']} or {match['other']}? {_SAY}")
    vague = _VAGUE.search(text)
    if vague is None or BEFORE_MEETING.search(text):
        return None
    rest = text[: vague.start()] + text[vague.end() :]
    exact = re.search(r"\b\d{1,2}:\d\d\b", rest) and re.match(r"(?:around|about)", vague.group(), re.I)
    if exact and not re.match(r"\s*\d", text[vague.end() :]):
        return None
    if _NEARLY.search(text) or DAY.search(rest):
        return Unclear(question=f"I need one exact time. {_SAY}")
    return None if RECURS.search(rest) else Unclear(question=f"I'm not sure about the time. {_SAY}")


def _impossible(text: str, zone: str | None) -> Unclear | None:
    """What no plan of this kind can say, with the nearest it can."""
    if match := _NTH_DAY.search(text):
        day = next((n for word, n in _NTH.items() if re.search(rf"\b{word}\b", match.group(), re.I)), 1)
        offer = Schedule(cron=f"{_clock(text)} {day} * *", timezone=zone, origin="default")
        return Unclear(
            question=f"A plan can't follow '{match.group().strip()}'. The nearest I can do is "
            f"{_told(offer)}, or every week on that day. Shall it be {_told(offer)}?",
            offer=offer,
        )
    if _MONTH_END.search(text):
        return Unclear(
            question="Months end on different days, so I can't plan the last one. The nearest I can do: the "
            "28th, or the 1st of the next month. Which one? I'd take the 1st of each month at 9:00.",
            offer=Schedule(cron=f"{_clock(text)} 1 * *", timezone=zone, origin="default"),
        )
    if _WEEK_END.search(text) and not RECURS.search(text):
        offer = Schedule(cron=f"{_clock(text, (17, 0))} * * FRI", timezone=zone, origin="default")
        return Unclear(question=f"Is that {_told(offer)}? Or name another day.", offer=offer)
    if (match := _DATED.search(text)) and not _YEARLY.search(text):
        return Unclear(
            question=f"{match.group().strip().capitalize()} comes once a year. Shall it run every year, only "
            f"when you ask, or on a plan? {_SAY}"
        )
    return None


def _told(plan: Schedule) -> str:
    return read_back(plan.cron, None)


def _clock(text: str, default: tuple[int, int] = DEFAULT_TIME) -> str:
    """The minute and hour fields of the first plain time in the text, or of the default."""
    hour, minute = next(((t.hour, t.minute) for t in find_times(text) if t.hour is not None), default)
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
    said = match["unit"] or match["unit2"] or match["unit3"] or "week"
    unit = said.lower()
    days = find_weekdays(text)
    if unit.startswith("day") and not days:
        offer = Schedule(cron=f"{_clock(text)} * * MON,WED,FRI", timezone=zone, origin="default")
    elif unit.startswith("month"):
        offer = Schedule(cron=f"{_clock(text)} 1 * *", timezone=zone, origin="default")
    else:
        offer = Schedule(
            cron=f"{_clock(text)} * * {weekday_field(days) if days else 'MON'}",
            timezone=zone,
            origin="default",
        )
    return Unclear(
        question=f"A plan can't skip every other {'day' if unit.startswith('day') else said.rstrip('s')}. "
        f"The nearest I can do is {read_back(offer.cron, None)}, or running whenever "
        f"you ask. Shall it be {read_back(offer.cron, None)}?",
        offer=offer,
    )


_HOURS_OF = {2: "9,16", 3: "9,13,17", 4: "9,12,15,18", 5: "8,10,12,14,16", 6: "8,10,12,14,16,18"}
_DAYS_OF = {2: "MON,THU", 3: "MON,WED,FRI", 4: "MON-THU", 5: "MON-FRI", 6: "MON-SAT"}


def _times_a(text: str, match: re.Match[str], zone: str | None) -> Schedule | Unclear | None:
    """ "Twice a day": at which two times?"""
    word = match["n"].lower().split()[0].rstrip("x")
    wanted = {"twice": 2, "thrice": 3, "several": 3}.get(word) or (
        int(word) if word.isdecimal() else NUMBER_WORDS[word]
    )
    per = match["per"].lower()
    if per.startswith("da"):
        if wanted < 2 or len([t for t in find_times(text) if t.hour is not None]) >= wanted:
            return None
        offer = Schedule(
            cron=f"0 {_HOURS_OF.get(wanted, _HOURS_OF[6])} * * *", timezone=zone, origin="default"
        )
        return Unclear(
            question=f"At which {wanted} times? I'd take {read_back(offer.cron, None)}.", offer=offer
        )
    if per.startswith("week"):
        if wanted < 2 or len(find_weekdays(text)) >= wanted:
            return None
        chosen = _DAYS_OF.get(wanted, "*")
        offer = Schedule(cron=f"{_clock(text)} * * {chosen}", timezone=zone, origin="default")
        return Unclear(
            question=f"On which {wanted} days? I'd take {read_back(offer.cron, None)}.", offer=offer
        )
    if len(find_month_days(text)) >= wanted:
        return None
    offer = Schedule(cron=f"{_clock(text)} 1,15 * *", timezone=zone, origin="default")
    return Unclear(
        question=f"On which days of the month? I'd take {read_back(offer.cron, None)}.", offer=offer
    )


def interval(text: str, zone: str | None) -> Schedule | Unclear | None:
    """Every 15 minutes, every hour in business hours, every 2 hours from 8 to 18, ten past every hour."""
    if match := _HALF_MORE.search(text):
        return _uneven(90, zone, of_hour=False)
    match = _EVERY_MINUTES.search(text) or _HOURLY_STEP.search(text)
    if match is None:
        return None
    count, of_hour = _step(match)
    if of_hour and count == HOURS_A_DAY:
        return None
    if count not in _even(of_hour=of_hour):
        return _uneven(count, zone, of_hour=of_hour)
    rest = text[: match.start()] + "," + text[match.end() :]
    at_minute = _AT_MINUTE.search(rest) if of_hour else None
    if at_minute:
        rest = blank(rest, at_minute.start(), at_minute.end())
    times = [t.hour for t in find_times(rest) if t.hour is not None]
    if not times and (span := _SPAN_OF_HOURS.search(rest)):
        times = [int(span["first"]), int(span["last"])]
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
    if at_minute:
        cron = f"{_minute(at_minute)} {cron.split(' ', 1)[1]}"
    notes = (
        ("business hours are 9:00 to 17:00, Monday to Friday",) if _OFFICE.search(rest) and not times else ()
    )
    return Schedule(cron=cron, timezone=zone, notes=notes)


def _step(match: re.Match[str]) -> tuple[int, bool]:
    """How many, and whether hours (not minutes) are counted."""
    said = match.groupdict()
    if word := said.get("word"):
        return _STEPS[word.lower()], True
    if said.get("half"):
        return 30, False
    if said.get("quarter"):
        return 15, False
    if often := said.get("often"):
        first = often.lower().split()[0].rstrip("x")
        times = int(first) if first.isdecimal() else _PER_HOUR[first]
        return (60 // times, False) if times > 1 else (1, True)
    raw = (said.get("n") or "1").lower()
    extra = {"sixty": 60, "ninety": 90}
    count = int(raw) if raw.isdecimal() else extra.get(raw) or NUMBER_WORDS[raw]
    of_hour = bool(said.get("hourly")) or "h" in (said.get("unit") or "").lower()
    return (count // 60, True) if not of_hour and count and count % 60 == 0 else (count, of_hour)


def _even(*, of_hour: bool) -> list[int]:
    whole = HOURS_A_DAY if of_hour else 60
    return [n for n in range(1, whole + 1) if whole % n == 0]


def _uneven(count: int, zone: str | None, *, of_hour: bool) -> Unclear:
    near = min(_even(of_hour=of_hour), key=lambda n: (abs(n - count), n))
    offer = Schedule(cron=_every(near, of_hour, "*"), timezone=zone, origin="default")
    unit = "hours" if of_hour else "minutes"
    return Unclear(
        question=f"{count} {unit} don't divide evenly. Shall it be {read_back(offer.cron, None)}?",
        offer=offer,
    )


def _minute(match: re.Match[str]) -> int:
    """The minute of the hour in "at ten past", "on the half hour", ":15"."""
    if raw := match["minute"] or match["nth"]:
        return int(raw) % 60
    if match["on"]:
        return _MINUTES[match["on"].lower()]
    amount = match["amount"].lower().replace("-", " ").removeprefix("a ")
    minutes = int(amount) if amount.isdecimal() else _MINUTES[amount]
    return minutes % 60 if match["way"].lower() in ("past", "after") else (60 - minutes) % 60


def _every(count: int, of_hour: bool, hours: str) -> str:
    if of_hour:
        return f"0 {hours if count == 1 else f'{hours}/{count}'} * * *"
    return (
        f"*/{count} {hours} * * *" if count not in (1, 60) else f"{'*' if count == 1 else '0'} {hours} * * *"
    )
