"""When a schedule fires: five cron fields in a zone of the tz database (pure).

Fields are wall-clock times. One that does not exist (clocks go forward) fires at the first instant after the
gap; one that comes twice fires the first time only. A `*` or a step in the hour field means "every so many
hours" and follows elapsed time instead. Where day and weekday are both restricted either is enough; one that
begins with `*` (`*/2`) has to match as well, as in every cron. cronsim alone treats the clock changes so only
when neither minute nor hour begins with `*`, so it is used here for plain enumeration.
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
MAX_TOLD = 100
"""Missed fires that are told one by one."""
_VALUE = r"(?:[0-9]{1,2}|[A-Z]{3})"
_TERM = rf"(?:\*|{_VALUE}(?:-{_VALUE})?)(?:/[0-9]{{1,2}})?"
_FIELD = re.compile(rf"{_TERM}(?:,{_TERM})*")
EXAMPLE = "'30 8 * * MON' for Mondays at 8:30"
_DAY = timedelta(days=1)
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
        next(CronSim(_plain(cron), datetime(2000, 1, 1)))  # noqa: DTZ001 - wall-clock time
    except CronSimError as error:
        raise ValueError(f"{str(error)[:1].lower()}{str(error)[1:]}; e.g. {EXAMPLE}") from error
    except StopIteration:
        raise ValueError("a date that comes: this one never does") from None


def fires_after(cron: str, zone: str, after: datetime) -> Iterator[datetime]:
    """The fires later than `after`, ascending, in UTC. `cron` and `zone` have been checked."""
    place, cron = zone_of(zone), _plain(cron)
    hour = cron.split()[1]
    follow = _elapsed if "*" in hour or "/" in hour else _wall_clock
    return follow(cron, place, after.astimezone(UTC))


def _plain(cron: str) -> str:
    """As cronsim takes it: a week may end with Sunday as well (`FRI-SUN`)."""
    return re.sub(r"(?<!SUN)-SUN\b", "-7", cron.upper())


def _wall_clock(cron: str, place: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Every wall-clock time once: the first time it comes, or else when the clocks have gone past it."""
    last = after
    for wall in CronSim(cron, after.astimezone(place).replace(tzinfo=None)):
        at = wall.replace(tzinfo=place).astimezone(UTC)
        if at.astimezone(place).replace(tzinfo=None) != wall:  # left out: read with the offset after the gap
            at = _change(place, wall.replace(tzinfo=place, fold=1).astimezone(UTC), at)
        if at > last:
            last = at
            yield at


def _elapsed(cron: str, place: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Every real minute at which the wall clock shows such a time, from change to change of the clocks."""
    begin = after + _TICK
    while True:
        offset = _offset(place, begin)
        end = begin + _DAY
        changes = _offset(place, end) != offset
        if changes:
            end = _change(place, begin, end)
        at = None
        for wall in CronSim(cron, begin.replace(tzinfo=None) + offset - _TICK):
            at = (wall - offset).replace(tzinfo=UTC)
            if at >= end:
                break
            yield at
        else:
            return
        # Until shortly before the next such time nothing matches, whatever the clocks do in between.
        begin = end if changes else max(end, at - 2 * _DAY)


def _offset(place: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(place).utcoffset() or timedelta()


def _change(place: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first instant, to the second, with another offset than `before`; it is not later than `after`."""
    low, high, offset = int(before.timestamp()), int(after.timestamp()), _offset(place, before)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(place, datetime.fromtimestamp(middle, UTC)) == offset:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)


def next_fire(cron: str, zone: str, after: datetime) -> datetime | None:
    """The first fire later than `after`; None when there is none in the next fifty years."""
    return next(fires_after(cron, zone, after), None)


def upcoming(cron: str, zone: str, after: datetime, count: int) -> list[datetime]:
    """The next fires, in the schedule's own zone."""
    place = zone_of(zone)
    return [at.astimezone(place) for at in islice(fires_after(cron, zone, after), count)]


def describe(cron: str) -> str:
    """The schedule in words: "At 08:30 on Monday"."""
    return CronSim(_plain(cron), datetime(2000, 1, 1)).explain()  # noqa: DTZ001 - only described


@dataclass(frozen=True, slots=True)
class Missed:
    """A fire that is not run, and why; or `count` of them from this one on, too many to tell one by one."""

    at: datetime
    reason: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class DueFires:
    """What to run now and what not, each oldest first; and what comes next."""

    run: tuple[datetime, ...]
    missed: tuple[Missed, ...]
    next: datetime | None

    @property
    def dropped(self) -> int:
        """How many are not run; of more than MAX_COUNTED so many at least."""
        return sum(missed.count for missed in self.missed)


@lru_cache(maxsize=1024)
def due_fires(  # noqa: PLR0917 - a schedule and what there is to know of it
    cron: str, zone: str, policy: MisfirePolicy, since: datetime, now: datetime, grace: int | None = None
) -> DueFires:
    """Decide about every fire from `since` (the stored next fire, itself one) up to `now`.

    grace: seconds after which a fire is not run whatever the policy says. Remembered for a while: of the
    schedules that are due together, many are the same.
    """
    counted, upcoming = _counted(cron, zone, since, now)
    oldest = since if grace is None else max(since, now - timedelta(seconds=grace))
    if len(counted) > MAX_COUNTED:
        run = tuple(_chosen_of_many(cron, zone, policy, oldest, now))
        return DueFires(run, (Missed(since, f"More than {MAX_COUNTED} were missed.", MAX_COUNTED),), upcoming)
    late = [at for at in counted if now - at > LATE and at >= oldest]
    prompt = [at for at in counted if now - at <= LATE and at >= oldest]
    match policy:
        case MisfirePolicy.SKIP:
            chosen = prompt
        case MisfirePolicy.ONCE:
            chosen = [*late[-1:], *prompt]
        case MisfirePolicy.ALL:
            chosen = [*late[: max(0, MAX_CATCH_UP - len(prompt))], *prompt]
    if len(chosen) == len(counted):
        return DueFires(tuple(chosen), (), upcoming)
    kept = set(chosen)
    missed = [at for at in counted if at not in kept]
    return DueFires(tuple(chosen), tuple(_told(missed, oldest, policy, grace)), upcoming)


def _told(
    missed: Sequence[datetime], oldest: datetime, policy: MisfirePolicy, grace: int | None
) -> Iterator[Missed]:
    """The newest one by one, with the reason; those before them together."""
    first = len(missed) - MAX_TOLD
    if first > 1:
        yield Missed(missed[0], f"Missed, among {len(missed)}.", first)
    for at in missed[first if first > 1 else 0 :]:
        too_old = f"It was later than {grace} seconds, this agent's limit."
        yield Missed(at, too_old if at < oldest else _REASONS[policy])


_REASONS = {
    MisfirePolicy.SKIP: "It was late by more than a minute, and this agent leaves out late fires.",
    MisfirePolicy.ONCE: "It was late by more than a minute; the latest one that was missed ran for it.",
    MisfirePolicy.ALL: f"More than {MAX_CATCH_UP} were late; the oldest of them ran.",
}


def _chosen_of_many(
    cron: str, zone: str, policy: MisfirePolicy, oldest: datetime, now: datetime
) -> list[datetime]:
    """What runs of more fires than one counts."""
    prompt = list(_until(cron, zone, max(oldest, now - LATE) - _TICK, now))
    match policy:
        case MisfirePolicy.SKIP:
            return prompt
        case MisfirePolicy.ONCE:
            latest = _latest(cron, zone, now - LATE)
            return [latest, *prompt] if latest >= oldest else prompt
        case MisfirePolicy.ALL:
            late = _until(cron, zone, oldest - _TICK, now - LATE - _TICK)
            return [*islice(late, MAX_CATCH_UP - len(prompt)), *prompt]


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


def _latest(cron: str, zone: str, before: datetime) -> datetime:
    """The latest fire before a moment, of a schedule that has many: looked for in growing windows."""
    window = timedelta(hours=1)
    while True:
        found = list(_until(cron, zone, before - window, before - _TICK))
        if found:
            return found[-1]
        window *= 4
