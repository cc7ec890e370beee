"""A schedule read back in words, and the next times it fires."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from cron_descriptor import get_description  # pyright: ignore[reportMissingTypeStubs]
from cronsim import CronSim, CronSimError

from omniforge.builder.understanding.text import listed
from omniforge.core.errors import Invalid

WEEKDAYS: tuple[str, ...] = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
DAY_NAMES: dict[str, str] = dict(
    zip(WEEKDAYS, ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"), strict=True)
)
MONTH_NAMES = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def next_times(cron: str, timezone: str, now: datetime, count: int = 2) -> list[datetime]:
    """The next local times after `now` (aware). A time the clock skips fires at the first instant after it,
    a doubled one at its first occurrence only. Invalid when the plan never fires."""
    try:
        plan = CronSim(cron, now.astimezone(ZoneInfo(timezone)))
        return [next(plan) for _ in range(count)]
    except (CronSimError, StopIteration) as error:
        raise Invalid(
            f"The plan {cron!r} never fires.", fields=[{"field": "schedule", "value": cron}]
        ) from error


def moment_words(moment: datetime, timezone: str) -> str:
    """`Monday, 23 November 2026 at 08:30 (Europe/Berlin)`."""
    local = moment.astimezone(ZoneInfo(timezone))
    return f"{local:%A}, {local.day} {local:%B %Y} at {local:%H:%M} ({timezone})"


def time_words(hour: int, minute: int) -> str:
    """`8:30 in the morning`, `16:00`-like times in words that leave no doubt."""
    if (hour, minute) == (0, 0):
        return "midnight (0:00)"
    if (hour, minute) == (12, 0):
        return "noon (12:00)"
    if hour < 12:
        return f"{hour}:{minute:02} in the {'morning' if hour > 3 else 'night'}"
    part = "afternoon" if hour < 18 else "evening"
    return f"{hour - 12 or 12}:{minute:02} in the {part} ({hour}:{minute:02})"


def read_back(cron: str, timezone: str | None) -> str:
    """`every Monday at 8:30 in the morning (Europe/Berlin)`."""
    minute, hour, day, month, weekday = cron.split()
    zone = f" ({timezone})" if timezone else ""
    when = _time_part(minute, hour)
    if when is None:
        text = str(get_description(cron))
        return text[:1].lower() + text[1:] + zone
    if when.startswith("every") and (day, month, weekday) == ("*", "*", "*"):
        return when + zone
    days = _day_part(day, month, weekday)
    return f"{when}, {days}{zone}" if when.startswith("every") else f"{days} {when}{zone}"


def _time_part(minute: str, hour: str) -> str | None:
    if minute.isdecimal() and all(h.isdecimal() for h in hour.split(",")):
        return "at " + listed(time_words(int(h), int(minute)) for h in hour.split(","))
    step = minute.removeprefix("*/")
    if hour == "*" and step != minute:
        return f"every {step} minutes"
    if minute == "0" and hour == "*":
        return "every hour"
    if minute == "0" and hour.startswith("*/"):
        return f"every {hour[2:]} hours"
    first, dash, last = hour.partition("-")
    if dash and first.isdecimal() and last.isdecimal():
        often = "every hour" if minute == "0" else f"every {step} minutes" if step != minute else None
        return f"{often} from {first}:00 to {last}:{'00' if minute == '0' else '59'}" if often else None
    return None


def _day_part(day: str, month: str, weekday: str) -> str:
    if (day, weekday) == ("*", "*"):
        return "every day"
    if day == "*":
        return _weekday_part(weekday)
    days = "on the " + listed(ordinal(int(d)) for d in day.split(",") if d.isdecimal())
    if month == "*":
        return f"{days} of each month"
    if month.startswith("*/"):
        return f"{days} of every {ordinal(int(month[2:]))} month"
    return f"{days} of " + listed(MONTH_NAMES[int(m) - 1] for m in month.split(",") if m.isdecimal())


def _weekday_part(weekday: str) -> str:
    if weekday == "MON-FRI":
        return "every weekday (Monday to Friday)"
    if weekday == "SAT,SUN":
        return "every Saturday and Sunday"
    names = [
        " to ".join(DAY_NAMES.get(edge, edge) for edge in part.split("-")) for part in weekday.split(",")
    ]
    return "every " + listed(names)


def ordinal(n: int) -> str:
    suffix = "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{suffix}"
