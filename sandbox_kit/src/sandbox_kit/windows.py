"""Time windows as people write them in a skill's settings, in the agent's time zone."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo
from typing import Any, Mapping, Optional, Tuple  # noqa: UP035 - Python 3.9 reads this too
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sandbox_kit.skill import Refused

WINDOWS = "last_week, this_week, today, yesterday, or a number of days or weeks such as last_7_days"


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
