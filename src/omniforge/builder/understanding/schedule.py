"""When something shall happen: words to a plan of five cron fields and a zone, or a question."""

from __future__ import annotations

import re
from itertools import pairwise

from omniforge.builder.understanding.clock import PART_TIMES, TimeOfDay, find_times, part_of_day
from omniforge.builder.understanding.cron_words import read_back, time_words
from omniforge.builder.understanding.days import DAY, Days, correct_days, find_days
from omniforge.builder.understanding.plan import (
    DEFAULT_TIME,
    EXAMPLE,
    LEAD_MINUTES,
    Event,
    Origin,
    Schedule,
    Unclear,
    suggested,
)
from omniforge.builder.understanding.recurring import BEFORE_MEETING, MEETING, RECURS, interval, special_plan
from omniforge.builder.understanding.spelling import corrected
from omniforge.builder.understanding.text import LONGEST_MESSAGE, NUMBER_WORDS, blank, has_phrase, normalise
from omniforge.builder.understanding.windows import find_window
from omniforge.builder.understanding.zones import find_zone

__all__ = ["Event", "Origin", "Schedule", "Unclear", "read_schedule", "suggested"]

_LEAD = re.compile(
    r"(?:(?P<amount>\d{1,3}|half an?|a quarter(?: of an)?|an?|one|two|three|five|ten|fifteen|twenty|thirty|"
    r"forty[- ]five|sixty)\s+"
    r"(?P<unit>minutes?|mins?|hours?|hrs?)\s+|half an hour\s+)?(?P<rel>before|ahead of|prior to|"
    r"in time for|earlier than|by|for)\s+"
    r"(?P<gap>(?:[\w']+\s+){0,5}?)$",
    re.IGNORECASE,
)
_AFTERWARD = re.compile(r"\b(?:after|following) (?:\w+ ){0,4}$", re.IGNORECASE)
_BEFORE_THAT = re.compile(r"\b(?:before|ahead of) (?:that|it|then)\b", re.IGNORECASE)
_WHICH_MEETING = (
    "What time is that meeting? For example: 'it starts at 9:00'; I'd be ready 30 minutes before."
)
_NOT_A_PLAN = re.compile(
    r"\b(?:weekly|daily|monthly|quarterly|yearly|annual|hourly)\s+(?:\w+\s+){0,3}?(?:reports?|summar\w+|"
    r"digests?|overviews?|updates?|"
    r"reviews?|recaps?|round-?ups?|brief\w*|status|meetings?|stand-?ups?|newsletters?|agents?|bullet\w*|"
    r"list|ones?)\b",
    re.IGNORECASE,
)


def read_schedule(
    message: str, *, base: Schedule | None = None, expected: bool = False
) -> Schedule | Unclear | None:
    """The plan a message names; None when it speaks of no time at all.

    `base` is the plan so far: a new time keeps its days and new days keep its time. `expected`: the message
    answers the question when, so that a lone "9" or "Monday" counts.
    """
    raw = normalise(message[:LONGEST_MESSAGE])
    text = correct_days(corrected(raw))
    while window := find_window(text):
        text = blank(text, window.start, window.end)
    zone_found = find_zone(text, expected=expected)
    zone = zone_found.zone if zone_found else (base.timezone if base else None)
    if zone_found:
        text = blank(text, zone_found.start, zone_found.end)
    found = special_plan(text, zone) or interval(text, zone) or _planned(text, zone, base, expected=expected)
    if found is None:
        return _only_zone(zone_found is not None, zone, base)
    if zone_found and zone_found.zone is None and isinstance(found, Schedule):
        return Unclear(
            question="Which city's time shall I use? For example: 'Berlin' or 'New York'.", offer=found
        )
    return found.model_copy(update={"words_used": raw[:200]}) if isinstance(found, Schedule) else found


def _only_zone(named: bool, zone: str | None, base: Schedule | None) -> Schedule | Unclear | None:
    if not named:
        return None
    if zone is None:
        return Unclear(question="Which city's time shall I use? For example: 'Berlin' or 'New York'.")
    return base.model_copy(update={"timezone": zone}) if base else None


def _planned(
    text: str, zone: str | None, base: Schedule | None, *, expected: bool
) -> Schedule | Unclear | None:
    """Days and times of day."""
    text = _NOT_A_PLAN.sub(lambda m: "," + " " * (len(m.group()) - 1), text)
    recurs = RECURS.search(text) is not None
    changing = base is not None and has_phrase(
        text,
        (
            "make it",
            "make that",
            "change",
            "instead",
            "move",
            "rather",
            "at",
            "shift",
            "set",
            "not",
            "should be",
        ),
    )
    text = _wanted_now(text)
    before_meeting = BEFORE_MEETING.search(text) is not None
    context = recurs or expected or changing or before_meeting
    if choice := _undecided(text):
        return choice
    days = find_days(text, expected=expected)
    times = find_times(text, bare=expected and days is None)
    part = part_of_day(text)
    if not times and before_meeting and base is None:
        return Unclear(question=_WHICH_MEETING)
    if days is None and not times:
        if before_meeting:
            return Unclear(question=_WHICH_MEETING)
        if not (part and (expected or changing)):
            return None
    if not context and not (days and (times or part)) and not (times and expected):
        return None
    if days and not recurs and not expected and not changing and not times and not part:
        return None
    if bad := next((t for t in times if t.hour is None), None):
        return Unclear(question=f"I can't read '{bad.words}' as a time of day. For example: '8:30' or '4pm'.")
    return _assembled(text, days, times, part=part_of_day(text), zone=zone, base=base)


_OR = re.compile(
    rf"(?P<one>{DAY.pattern})\s*(?:,?\s*or|/or)\s+(?:on |maybe |perhaps )?(?P<other>{DAY.pattern})",
    re.IGNORECASE,
)
_DAY_WORD = re.compile(
    rf"{DAY.pattern}|\b(?:week-?days?|week-?ends?|workdays?|every ?day|daily)\b", re.IGNORECASE
)
_BETWEEN = re.compile(r"\b(?:between|from|anytime)\s*$", re.IGNORECASE)


def _undecided(text: str) -> Unclear | None:
    """Two days or two times of which one is meant, a span of time, or days that each have their own time."""
    if match := _OR.search(text):
        return Unclear(question=f"Which one shall it be, {match['one']} or {match['other']}? "
                                f"For example: 'every {match['one'].rstrip('s')} at 8:30'.")  # fmt: skip
    times = find_times(text)
    for one, other in pairwise(times):
        between = text[one.end : other.start].strip().lower()
        if between in ("or", "or at", ", or", "or maybe", "or perhaps", "or even"):
            return Unclear(
                question=f"Which one shall it be, {one.words} or {other.words}? For example: '{EXAMPLE}'."
            )
        spans = between in ("-", "to", "until", "till", "and") and _BETWEEN.search(text[: one.start])
        if (spans or between == "-") and len(times) == 2:
            return Unclear(
                question=f"I need one exact time between {one.words} and {other.words}. For example: "
                f"'{EXAMPLE}'. "
                "Or shall it run every hour in between?"
            )
    spots = sorted(
        [(t.start, "time") for t in times] + [(m.start(), "day") for m in _DAY_WORD.finditer(text)]
    )
    order = [kind for at, (_, kind) in enumerate(spots) if not at or spots[at - 1][1] != kind]
    if len(order) > 3 and len({(t.hour, t.minute) for t in times}) > 1:
        return Unclear(
            question="One agent has one plan, with the same time on all of its days. Which of these shall "
            "I take? "
            "For the other one I can make a second agent."
        )
    return None


def _wanted_now(text: str) -> str:
    """ "Tuesday instead of Monday", "not Monday but Tuesday", "from 9 to 10": what is wanted now stays."""
    text = re.sub(
        r"\b(?:instead of|rather than|not on|not at)\s+(?:on |at )?[\w:]+(?:\s?[ap]m)?",
        ",",
        text,
        flags=re.IGNORECASE,
    )
    text = re.sub(r"\bnot\s+[\w:]+(?:\s?[ap]m)?(?:,?\s+but\b|\s*[,;]|\s+-)", ",", text, flags=re.IGNORECASE)
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
                question="One plan can have several hours, but only with the same minutes. The nearest I "
                "can do is "
                f"{read_back(f'{offer} * * *', None)}. Is that fine?",
                offer=Schedule(cron=f"{offer} {_fields(days, old)}", timezone=zone, origin="default"),
            )
        minute, hour = str(clock[0][1]), ",".join(str(h) for h in sorted({h for h, _ in clock}))
    month_days = [int(d) for d in (days.day if days else "").split(",") if d.isdecimal()]
    if any(d > 28 or d < 1 for d in month_days):
        return Unclear(
            question="Not every month has that day. The nearest I can do: the 28th, or the 1st of the next "
            "month. "
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
                question=f"How long after {hour}:{minute:02}? Tell me the time itself, "
                "for example 'at 10:00'."
            )
        if time.open and lead is None:
            return Unclear(
                question=f"Is that {time_words(hour + 12, minute)} or {time_words(hour, minute)}? "
                f"For example: '{hour}pm'.",
            )
        if lead is not None:
            hour = hour + 12 if time.open else hour
            total = hour * 60 + minute - lead
            if total < 0:
                return Unclear(
                    question=f"That would be the evening before. Tell me the exact time, "
                    f"for example '{EXAMPLE}'."
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
    is_meeting = re.match(rf"\s*(?:[\w-]+\s+){{0,2}}(?:{MEETING})\b", text[time.end :], re.IGNORECASE)
    if match is None:
        return LEAD_MINUTES if is_meeting and _BEFORE_THAT.search(text) else None
    if (
        match["rel"].lower() == "for"
        and not is_meeting
        and not re.search(MEETING, match["gap"], re.IGNORECASE)
    ):
        return None
    if re.search(r"\bat\b", match["gap"]) and not re.search(MEETING, match["gap"], re.IGNORECASE):
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
