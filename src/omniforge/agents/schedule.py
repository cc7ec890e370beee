"""When a schedule fires: five cron fields in a zone of the tz database (pure).

Fields are wall-clock times. One that does not exist (clocks go forward) fires at the first instant after the
gap; one that comes twice fires the first time only. A `*` or a step in the hour field means "every so many
hours" and follows elapsed time instead. cronsim alone does this only when neither minute nor hour begins with
`*`, so it is used here for plain enumeration and the clock changes are treated by us.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

LATE = timedelta(seconds=60)
MAX_CATCH_UP = 100
MAX_COUNTED = 10_000
_VALUE = r"(?:[0-9]{1,2}|[A-Z]{3})"
_TERM = rf"(?:\*|{_VALUE}(?:-{_VALUE})?)(?:/[0-9]{{1,2}})?"
_FIELD = re.compile(rf"{_TERM}(?:,{_TERM})*")
EXAMPLE = "'30 8 * * MON' for Mondays at 8:30"
_MINUTE = timedelta(minutes=1)
_TICK = timedelta(microseconds=1)


class MisfirePolicy(StrEnum):
    """What becomes of fires that are late by more than LATE."""

    ONCE = "once"
    """One run, for the latest that was missed."""
    SKIP = "skip"
    ALL = "all"
    """Each of them, oldest first, at most MAX_CATCH_UP."""


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """A zone by its tz database name; ValueError for anything else."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("a place of the tz database, such as 'Europe/Berlin', or 'UTC'") from None


def check_cron(cron: str) -> None:
    """ValueError, saying what is allowed, unless it has five fields and fires at all."""
    fields = cron.upper().split()
    if len(fields) != 5:
        raise ValueError(f"five fields: minute hour day month weekday, e.g. {EXAMPLE}")
    if not all(_FIELD.fullmatch(part) for part in fields):
        raise ValueError(f"numbers, names, lists, ranges and steps only, e.g. {EXAMPLE}")
    try:
        next(CronSim(" ".join(fields), datetime(2000, 1, 1)))  # noqa: DTZ001 - wall-clock time
    except CronSimError as error:
        raise ValueError(f"{str(error)[:1].lower()}{str(error)[1:]}; e.g. {EXAMPLE}") from error
    except StopIteration:
        raise ValueError("a date that comes: this one never does") from None


def fires_after(cron: str, zone: str, after: datetime) -> Iterator[datetime]:
    """The fires later than `after`, ascending, in UTC. `cron` and `zone` have been checked."""
    place, cron = zone_of(zone), cron.upper()
    last = after.astimezone(UTC)
    hour = cron.split()[1]
    if "*" in hour or "/" in hour:
        # The seconds field turns off cronsim's own treatment of clock changes: it then counts real time.
        found = (at.astimezone(UTC) for at in CronSim(f"0 {cron}", last.astimezone(place)))
    else:
        local = last.astimezone(place).replace(tzinfo=None)
        found = (_instant(at, place) for at in CronSim(cron, local))
    for at in found:
        if at > last:
            last = at
            yield at


def _instant(local: datetime, place: ZoneInfo) -> datetime:
    """The first instant with this wall-clock time; the first after the gap when there is none."""
    while True:
        at = local.replace(tzinfo=place).astimezone(UTC)
        if at.astimezone(place).replace(tzinfo=None) == local:
            return at
        local += _MINUTE


def next_fire(cron: str, zone: str, after: datetime) -> datetime | None:
    """The first fire later than `after`; None when there is none in the next fifty years."""
    return next(fires_after(cron, zone, after), None)


def upcoming(cron: str, zone: str, after: datetime, count: int) -> list[datetime]:
    """The next fires, in the schedule's own zone."""
    place = zone_of(zone)
    return [at.astimezone(place) for at in islice(fires_after(cron, zone, after), count)]


def describe(cron: str) -> str:
    """The schedule in words: "At 08:30 on Monday"."""
    return CronSim(cron.upper(), datetime(2000, 1, 1)).explain()  # noqa: DTZ001 - only described


@dataclass(frozen=True, slots=True)
class DueFires:
    """What to run now, oldest first; how many are dropped (None: too many to count); what comes next."""

    run: tuple[datetime, ...]
    dropped: int | None
    next: datetime | None


@lru_cache(maxsize=1024)
def due_fires(cron: str, zone: str, policy: MisfirePolicy, since: datetime, now: datetime) -> DueFires:
    """Decide about every fire from `since` (the stored next fire, itself one) up to `now`.

    Remembered for a while: of the schedules that are due together, many are the same.
    """
    counted, upcoming = _counted(cron, zone, since, now)
    complete = len(counted) <= MAX_COUNTED
    late = [at for at in counted if now - at > LATE]
    prompt = [at for at in counted if now - at <= LATE] if complete else _recent(cron, zone, now)
    match policy:
        case MisfirePolicy.SKIP:
            chosen = prompt
        case MisfirePolicy.ONCE:
            latest = late[-1:] if complete else [_latest(cron, zone, now - LATE)]
            chosen = [*latest, *prompt]
        case MisfirePolicy.ALL:
            room = max(0, MAX_CATCH_UP - len(prompt))
            chosen = [*late[:room], *prompt]
    return DueFires(tuple(chosen), len(counted) - len(chosen) if complete else None, upcoming)


def _counted(
    cron: str, zone: str, since: datetime, now: datetime
) -> tuple[Sequence[datetime], datetime | None]:
    """The fires from `since` up to `now`, one more than MAX_COUNTED at most, and the first one later."""
    counted: list[datetime] = []
    for at in fires_after(cron, zone, since - _TICK):
        if at > now:
            return counted, at
        counted.append(at)
        if len(counted) > MAX_COUNTED:
            return counted, next_fire(cron, zone, now)
    return counted, None


def _until(cron: str, zone: str, after: datetime, end: datetime) -> Iterator[datetime]:
    for at in fires_after(cron, zone, after):
        if at > end:
            return
        yield at


def _recent(cron: str, zone: str, now: datetime) -> list[datetime]:
    return list(_until(cron, zone, now - LATE - _TICK, now))


def _latest(cron: str, zone: str, before: datetime) -> datetime:
    """The latest fire before a moment, of a schedule that has many: looked for in growing windows."""
    window = timedelta(hours=1)
    while True:
        found = list(_until(cron, zone, before - window, before - _TICK))
        if found:
            return found[-1]
        window *= 4
