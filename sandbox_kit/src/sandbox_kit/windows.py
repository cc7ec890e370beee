"""Time windows as people write them in a skill's settings, in the agent's time zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any, Mapping, Optional, Tuple  # noqa: UP035 - Python 3.9 reads this too
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sandbox_kit.skill import Refused, Request

WINDOWS = "last_week, this_week, today, yesterday, or a number of days or weeks such as last_7_days"
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True)
class Span:
    """From `after` (included) to `before` (excluded); None is no bound. `note`: what to know of its days."""

    after: datetime | None = None
    before: datetime | None = None
    note: str = ""

    @property
    def words(self) -> str:
        """`changed 16 November 2026 to 22 November 2026`."""
        if self.after is None or self.before is None:
            return "whenever it was changed"
        return f"changed {span_words(self.after, self.before)}"

    def holds(self, moment: datetime | None) -> bool:
        """Whether something of that time is meant; what has no time always is."""
        if moment is None:
            return True
        late = self.before is not None and moment >= self.before
        return not late and (self.after is None or moment >= self.after)


def span_of(request: Request, default: str = "all") -> Span:
    """What the setting `window` means at this moment, in the agent's time zone.

    Beside `WINDOWS`: this_month, last_month, since_monday (any weekday), all; last_1_days is 24 hours.
    """
    zone, note = zone_of(request.context)
    now = datetime.fromisoformat(request.context["now"].replace("Z", "+00:00")).astimezone(zone)
    window = "_".join(re.split(r"[\s_-]+", str(request.config.get("window") or default).strip().lower()))
    if window == "all":
        return Span(note=note)
    if window in ("last_1_days", "last_24_hours"):
        return Span(now - timedelta(hours=24), now, note)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if window in ("this_month", "last_month"):
        first = today.replace(day=1)
        if window == "this_month":
            return Span(first, now, note)
        return Span((first - timedelta(days=1)).replace(day=1), first, note)
    if window.startswith("since_") and window[6:] in WEEKDAYS:
        back = (today.weekday() - WEEKDAYS.index(window[6:])) % 7
        return Span(today - timedelta(days=back), now, note)
    after, before = window_bounds(window, now)
    return Span(after, before, note)


def moment_of(value: Any) -> datetime | None:
    """A time as services write it; None for anything else, and for a time without a zone."""
    try:
        moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def zone_of(context: Mapping[str, Any]) -> Tuple[Optional[tzinfo], str]:  # noqa: UP006, UP045
    """The agent's time zone; without zone data here, the offset that `now` carries and a note about it."""
    name = context.get("timezone") or "UTC"
    try:
        return ZoneInfo(name), ""
    except (ZoneInfoNotFoundError, ValueError, OSError):
        moment = datetime.fromisoformat(context["now"].replace("Z", "+00:00"))
        note = f"Days are counted in {moment.tzname()}, because the zone {name} is not known here."
        return moment.tzinfo, note


def window_bounds(window: str, now: datetime) -> Tuple[datetime, datetime]:  # noqa: UP006
    """First moment (included) and last moment (excluded). Days keep their hour whatever the clocks do.

    `Refused` for words that are none of `WINDOWS`.
    """
    words = " ".join(re.split(r"[\s_-]+", window.strip().lower()))
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    monday = today - timedelta(days=today.weekday())
    spans = {
        "last week": (monday - timedelta(days=7), monday),
        "this week": (monday, now),
        "yesterday": (today - timedelta(days=1), today),
        "today": (today, now),
    }
    if words in spans:
        return spans[words]
    match = re.fullmatch(r"(?:(?:the )?(?:last|past) )?([1-9]\d{0,2}) (day|week)s?", words)
    if match is None:
        raise Refused(f"The time window {window[:80]!r} is not known. It can be {WINDOWS}.")
    return today - timedelta(days=int(match[1]) * (7 if match[2] == "week" else 1)), now


def span_words(after: datetime, before: datetime) -> str:
    """`16 November 2026 to 22 November 2026`."""
    last = before - timedelta(microseconds=1)
    return f"{after.day} {after:%B %Y} to {last.day} {last:%B %Y}"
