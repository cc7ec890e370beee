"""Time zones as people name them: a place, "CET", "Pacific". Always a place, never a fixed offset."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

_PLACES = {
    "pacific": "America/Los_Angeles",
    "mountain": "America/Denver",
    "central european": "Europe/Berlin",
    "central": "America/Chicago",
    "eastern european": "Europe/Helsinki",
    "eastern": "America/New_York",
    "atlantic": "America/Halifax",
    "british": "Europe/London",
    "uk": "Europe/London",
    "england": "Europe/London",
    "germany": "Europe/Berlin",
    "german": "Europe/Berlin",
    "france": "Europe/Paris",
    "spain": "Europe/Madrid",
    "italy": "Europe/Rome",
    "switzerland": "Europe/Zurich",
    "austria": "Europe/Vienna",
    "netherlands": "Europe/Amsterdam",
    "ireland": "Europe/Dublin",
    "japan": "Asia/Tokyo",
    "australia": "Australia/Sydney",
    "portugal": "Europe/Lisbon",
    "sweden": "Europe/Stockholm",
    "norway": "Europe/Oslo",
    "denmark": "Europe/Copenhagen",
    "finland": "Europe/Helsinki",
    "poland": "Europe/Warsaw",
    "belgium": "Europe/Brussels",
    "greece": "Europe/Athens",
    "scotland": "Europe/London",
    "wales": "Europe/London",
    "korea": "Asia/Seoul",
    "california": "America/Los_Angeles",
    "texas": "America/Chicago",
    "florida": "America/New_York",
    "east coast": "America/New_York",
    "west coast": "America/Los_Angeles",
    "india": "Asia/Kolkata",
    "indian": "Asia/Kolkata",
    "china": "Asia/Shanghai",
    "new zealand": "Pacific/Auckland",
    "san francisco": "America/Los_Angeles",
    "seattle": "America/Los_Angeles",
    "san diego": "America/Los_Angeles",
    "portland": "America/Los_Angeles",
    "la": "America/Los_Angeles",
    "nyc": "America/New_York",
    "boston": "America/New_York",
    "miami": "America/New_York",
    "atlanta": "America/New_York",
    "philadelphia": "America/New_York",
    "washington": "America/New_York",
    "dallas": "America/Chicago",
    "houston": "America/Chicago",
    "austin": "America/Chicago",
    "montreal": "America/Toronto",
    "munich": "Europe/Berlin",
    "hamburg": "Europe/Berlin",
    "cologne": "Europe/Berlin",
    "frankfurt": "Europe/Berlin",
    "geneva": "Europe/Zurich",
    "barcelona": "Europe/Madrid",
    "milan": "Europe/Rome",
    "manchester": "Europe/London",
    "edinburgh": "Europe/London",
    "mumbai": "Asia/Kolkata",
    "delhi": "Asia/Kolkata",
    "new delhi": "Asia/Kolkata",
    "bangalore": "Asia/Kolkata",
    "bengaluru": "Asia/Kolkata",
    "beijing": "Asia/Shanghai",
    "kiev": "Europe/Kyiv",
    "rio": "America/Sao_Paulo",
}
_ABBREVIATIONS = {
    "utc": "UTC",
    "gmt": "Europe/London",
    "bst": "Europe/London",
    "wet": "Europe/Lisbon",
    "west": "Europe/Lisbon",
    "cet": "Europe/Berlin",
    "cest": "Europe/Berlin",
    "mez": "Europe/Berlin",
    "mesz": "Europe/Berlin",
    "eet": "Europe/Helsinki",
    "eest": "Europe/Helsinki",
    "msk": "Europe/Moscow",
    "ist": "Asia/Kolkata",
    "sgt": "Asia/Singapore",
    "hkt": "Asia/Hong_Kong",
    "jst": "Asia/Tokyo",
    "kst": "Asia/Seoul",
    "aest": "Australia/Sydney",
    "aedt": "Australia/Sydney",
    "aet": "Australia/Sydney",
    "awst": "Australia/Perth",
    "nzst": "Pacific/Auckland",
    "nzdt": "Pacific/Auckland",
    "pt": "America/Los_Angeles",
    "pst": "America/Los_Angeles",
    "pdt": "America/Los_Angeles",
    "mt": "America/Denver",
    "mst": "America/Denver",
    "mdt": "America/Denver",
    "ct": "America/Chicago",
    "cst": "America/Chicago",
    "cdt": "America/Chicago",
    "et": "America/New_York",
    "est": "America/New_York",
    "edt": "America/New_York",
    "akst": "America/Anchorage",
    "hst": "Pacific/Honolulu",
    "brt": "America/Sao_Paulo",
}
_REGIONS = (
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
)
_BEFORE = re.compile(
    r"(?:\d|[ap]\.?m\.?|noon|midnight|o'clock|sharp|morning|afternoon|evening|zone|days?|mon|tues?|wed|"
    r"thurs?|fri|sat|sun|weekends?|month|(?:i'm|i am|we're|we are|live|"
    r"based|"
    r"located|team is|office is|everyone is|everybody is) (?:in|on|at))[\s,(]*(?:is |to |in |on |of |at |"
    r": ?|= ?|as )*$",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r"\s*(?:(?:standard|daylight|summer|winter|local) )?(?:time|tz|timezone|hours)\b", re.IGNORECASE
)
_IANA = re.compile(r"\b[A-Za-z]{2,}(?:/[A-Za-z_+-]{2,}){1,2}(?![\w/])")
_OFFSET = re.compile(r"\b(?:utc|gmt)\s?[+-]\s?\d{1,2}(?::?\d\d)?\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ZoneFound:
    """`zone` is an IANA name; None when only an offset was given, which names no place."""

    zone: str | None
    start: int
    end: int


@cache
def known_zones() -> dict[str, str]:
    """Every IANA name by its lower-case form."""
    names = (resources.files("tzdata") / "zones").read_text(encoding="ascii").split()
    return {name.lower(): name for name in names}


@cache
def _cities() -> dict[str, str]:
    cities: dict[str, str] = {}
    for name in sorted(known_zones().values()):
        if name.split("/")[0] in _REGIONS:
            cities.setdefault(name.rsplit("/", 1)[-1].replace("_", " ").lower(), name)
    return cities | _PLACES | _ABBREVIATIONS


@cache
def _pattern() -> re.Pattern[str]:
    names = sorted(_cities(), key=len, reverse=True)
    return re.compile(rf"(?<![\w/])(?:{'|'.join(re.escape(n) for n in names)})(?![\w/'])", re.IGNORECASE)


def find_zone(text: str, *, expected: bool = False) -> ZoneFound | None:
    """The zone named in normalised text. A city counts after a time, before "time", or when asked for."""
    if match := _OFFSET.search(text):
        return ZoneFound(None, match.start(), match.end())
    for match in _IANA.finditer(text):
        if zone := known_zones().get(match.group().lower()):
            return ZoneFound(zone, match.start(), match.end())
    for match in _pattern().finditer(text):
        before, after = text[max(0, match.start() - 40) : match.start()], _AFTER.match(text, match.end())
        alone = expected and len(text.split()) <= len(match.group().split()) + 4
        if alone or after or _BEFORE.search(before) or match.group().upper() == "UTC":
            return ZoneFound(
                _cities()[match.group().lower()], match.start(), after.end() if after else match.end()
            )
    return None
