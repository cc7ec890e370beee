"""The manifest of effects that activation approves: what, where, how often, and only if what (pure)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from omniforge.agents.readings import digest

Json = dict[str, Any]

EACH_CAP = 200
"""How often one run may repeat an effect that its test showed more than once, or that follows the data."""
BOUND_NEEDED = "needed"

_WORDS = (
    (r"""steps\[["']([\w-]+)["']\]""", r"steps.\1"),
    (
        r"steps\.([\w-]+)\.output\.entries\.exists\(entry, (?:\"\w+\" in entry\.values && )+\((.*?)\)\)",
        r"for something in '\1', \2",
    ),
    (r"entry\.values\.", ""),
    (
        r"\(\"[^\"]+\" in input\.event\.item\.fields \? input\.event\.item\.fields\[\"([^\"]+)\"\].*?null\)",
        r"\1",
    ),
    (r"input\.event\.item\.", ""),
    (r"steps\.([\w-]+)\.output\.([\w.]+)", r"\2 of '\1'"),
    (r"steps\.([\w-]+)\.(output|status)", r"the \2 of '\1'"),
    (r"\binput\.([\w.]+)", r"the \1 it is started with"),
    (r"\bsize\(([^()]*)\)", r"the number of \1"),
    (r"\s*&&\s*", ", and "),
    (r"\s*\|\|\s*", ", or "),
    (r"\s*==\s*", " is "),
    (r"\s*!=\s*", " is not "),
    (r"\s*>=\s*", " is at least "),
    (r"\s*<=\s*", " is at most "),
    (r"\s*>\s*", " is more than "),
    (r"\s*<\s*", " is less than "),
    (r"!", "not "),
)
"""Parts of CEL conditions in words."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one run showed: its effects in order, the hosts it read from, and when its effects only happen.

    real: whether the data it met are real ones; what sample data decide says nothing about real ones.
    """

    effects: Sequence[Json] = ()
    reads: Sequence[Json] = ()
    """Reads outside integrations: `{"step", "tool", "host"}`."""
    only_if: Mapping[str, str] = field(default_factory=dict[str, str])
    """Step → condition in words; under `""` for every other step. Empty: they happen in any case."""
    real: bool = False


def manifest_of(sightings: Sequence[Sighting], settings: Any = None) -> list[Json]:
    """The distinct effects, in order: where each may go and how often in one run.

    settings: JSON in which containers have their names beside their ids.
    """
    found: dict[str, Json] = {}
    conditions: dict[str, list[str] | None] = {}
    for sighting in sightings:
        counts: Counter[str] = Counter()
        for effect in sighting.effects:
            entry = _entry(effect, sighting, settings)
            key = _key(entry)
            known = found.setdefault(key, entry)
            counts[key] += 1
            _widen(known, entry, counts[key])
            condition = sighting.only_if.get(str(effect["step"]), sighting.only_if.get("", ""))
            _note_condition(conditions, key, condition)
        for read in sighting.reads:
            entry = _read_entry(read)
            found.setdefault(_key(entry), entry)
            _note_condition(conditions, _key(entry), sighting.only_if.get("", ""))
    for key, entry in found.items():
        when = conditions[key]
        entry["only_if"] = None if when is None else "; or ".join(when)
        entry["words"] = words_of(entry)
    return list(found.values())


def words_of(entry: Mapping[str, Any]) -> str:
    """One effect in plain words: "posts to #team-updates, once"."""
    place: Json = entry["destination"] or {}
    said = str(entry["summary"])
    name = str(place.get("name") or "")
    if name and name not in said and name != place.get("resource"):
        said += f" ({name})"
    if entry["access"] != "read" and entry["tool"] != "Inbox":
        said += ", once" if entry["cap"] == 1 else f", at most {entry['cap']} times in one run"
    if place.get("bound") == BOUND_NEEDED and not place["any_of"]:
        said += "; the data decide where, so say where it may go"
    elif "any_of" in place:
        said += f"; only to {', '.join(place['any_of'][:5])}{' …' if len(place['any_of']) > 5 else ''}"
    return said + (f"; only if {entry['only_if']}" if entry["only_if"] else "")


def unbounded(manifest: Sequence[Json]) -> list[Json]:
    """The entries for which somebody has to say where they may go."""
    return [entry for entry in manifest if _needs_bound(entry)]


def bounded(manifest: Sequence[Json], bounds: Sequence[tuple[str, str, Sequence[str]]]) -> list[Json]:
    """The manifest with these bounds, each `(step, tool, places)`, put where they are needed."""
    given = {(step, tool): sorted(set(places)) for step, tool, places in bounds}
    made: list[Json] = []
    for entry in manifest:
        places = given.get((str(entry["step"]), str(entry["tool"])))
        if places and _needs_bound(entry):
            where = {**entry["destination"], "any_of": places, "name": ", ".join(places[:5])}
            entry = {**entry, "destination": {**where, "bound": "given"}}  # noqa: PLW2901
            entry["words"] = words_of(entry)
        made.append(entry)
    return made


def _needs_bound(entry: Mapping[str, Any]) -> bool:
    place: Json = entry["destination"] or {}
    return place.get("bound") == BOUND_NEEDED


def in_words(condition: str) -> str:
    """A CEL condition as people say it, as far as it is simple: `steps.compare.output.variance > 2`."""
    said = condition
    for pattern, words in _WORDS:
        said = re.sub(pattern, words, said)
    return " ".join(said.split())


def _entry(effect: Json, sighting: Sighting, settings: Any) -> Json:
    place: Json | None = effect["destination"]
    origin: Json = effect.get("origin") or {}
    entry: Json = {name: effect[name] for name in ("step", "tool", "access")}
    entry |= {"destination": place, "cardinality": "one", "cap": 1, "per": None}
    entry |= {"fields": list(effect.get("fields") or ()), "summary": effect["summary"], "only_if": None}
    whose = {name: (place or {}).get(name) for name in ("integration", "connection")}
    match origin.get("from"):
        case "within":
            container = str(origin["container"])
            name = _name_of(container, settings) or container
            entry["destination"] = {**whose, "within": container, "name": f"what lies in {name}"}
            entry |= {"cardinality": "each", "cap": EACH_CAP, "per": name}
        case "data":
            entry["destination"] = {**whose, "any_of": [], "name": "a place that the data decide"}
            entry |= {"cardinality": "each", "cap": EACH_CAP}
            if sighting.real and place is not None:
                entry["destination"] |= {"any_of": [place["resource"]], "name": place["name"]}
            else:
                entry["destination"]["bound"] = BOUND_NEEDED
        case _:
            pass
    return entry


def _key(entry: Json) -> str:
    """What makes two sightings the same effect: what, and where, but not which of several places."""
    place: Json | None = entry["destination"]
    where = place
    if place is not None and "any_of" in place:
        where = {"integration": place["integration"], "connection": place["connection"], "any_of": True}
    return digest([entry["step"], entry["tool"], entry["access"], where])


def _widen(known: Json, entry: Json, count: int) -> None:
    """One more sighting of an effect: more fields, more places, and how often it was seen in one run."""
    fields: set[str] = {*known["fields"], *entry["fields"]}
    known["fields"] = sorted(fields)
    if count > 1:
        known |= {"cardinality": "each", "cap": max(EACH_CAP, count, known["cap"])}
    seen: Json = entry["destination"] or {}
    if seen.get("any_of"):
        place: Json = known["destination"]
        places: set[str] = {*place["any_of"], *seen["any_of"]}
        place["any_of"] = sorted(places)
        place["name"] = ", ".join(place["any_of"][:5])
        place.pop("bound", None)


def _note_condition(conditions: dict[str, list[str] | None], key: str, condition: str) -> None:
    """None once it was seen to happen in any case."""
    if not condition:
        conditions[key] = None
        return
    known = conditions.setdefault(key, [])
    if known is not None and condition not in known:
        known.append(condition)


def _read_entry(read: Json) -> Json:
    return {
        "step": read["step"],
        "tool": read["tool"],
        "access": "read",
        "destination": {"host": read["host"], "name": read["host"]},
        "cardinality": "each",
        "cap": 0,
        "per": None,
        "fields": [],
        "summary": f"reads from {read['host']}",
        "only_if": None,
    }


def _name_of(container: str, settings: Any) -> str | None:
    """The name that stands beside this id anywhere in the settings."""
    if isinstance(settings, Mapping):
        known = cast("Mapping[str, Any]", settings)
        if known.get("id") == container and isinstance(known.get("name"), str):
            return str(known["name"])
        inner: list[Any] = list(known.values())
    elif isinstance(settings, list):
        inner = cast("list[Any]", settings)
    else:
        return None
    return next((name for value in inner if (name := _name_of(container, value))), None)
