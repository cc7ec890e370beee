"""Where a step sends or writes, and which things it is about."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Mapping, Sequence, cast  # noqa: UP035 - Python 3.9 reads this too

from sandbox_kit.entries import Json, read
from sandbox_kit.found import entries_of
from sandbox_kit.skill import Refused, Request
from sandbox_kit.windows import Span, moment_of

__all__ = ["listed", "located", "number_of", "place_of", "things_of"]

MOST = 200
"""Things that one run changes or comments on."""


def place_of(request: Request) -> str:
    """The setting `place`: an id, or a name where there is no id or the name is what the service goes by."""
    given: Any = request.config.get("place")
    if isinstance(given, dict):
        place = cast("Json", given)
        name, known = str(place.get("name") or "").strip(), str(place.get("id") or "").strip()
        given = name if name.startswith(("#", "@")) or not known else known
    if not isinstance(given, str) or not given.strip():
        raise Refused("Say where: the setting `place` needs the id or the name of a place.")
    return given.strip()


def listed(text: str) -> list[str]:
    """`a, b and c` as a list."""
    parts = re.split(r"[,;\s]+(?:and\s+)?", text.strip())
    return [part for part in parts if part]


def things_of(request: Request) -> list[Json]:
    """What is changed or commented on. `Refused` for more than anybody can have meant."""
    things = entries_of(request)
    if len(things) > MOST:
        raise Refused(
            f"{len(things)} entries are meant, and at most {MOST} are changed at once. Narrow it down."
        )
    return things


def located(request: Request, readings: Sequence[Mapping[str, Any]], where: str) -> list[Json]:
    """The things of `things_of` that lie in that place, as they are there now."""
    things = things_of(request)
    if not things:
        return []
    moments = [moment_of(thing.get("at")) for thing in things]
    known = [moment for moment in moments if moment]
    after = min(known) - timedelta(minutes=1) if len(known) == len(moments) else None
    given: Any = request.config.get("place")
    place: Json = {**(cast("Json", given) if isinstance(given, dict) else {}), "id": where}
    there, _ = read(readings, [place], Span(after))
    by_id = {_plain(entry["id"]): entry for entry in there}
    return [by_id[key] for key in dict.fromkeys(_plain(thing["id"]) for thing in things) if key in by_id]


def number_of(thing: Mapping[str, Any]) -> int:
    """The number of an issue or pull request."""
    fields: Json = thing.get("fields") or {}
    given = str(fields.get("number") or thing.get("id") or "")
    found = re.fullmatch(r"(?:.*#)?(\d{1,10})", given.strip())
    if found is None:
        raise Refused(f"This is no issue and no pull request: {str(thing.get('title'))[:80]!r}.")
    return int(found[1])


def _plain(identity: Any) -> str:
    """An id as services write it both ways, with and without dashes."""
    return str(identity).replace("-", "").casefold()
