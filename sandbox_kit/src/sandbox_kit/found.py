"""What earlier steps found and what started the run, and texts that name it as `{field}`."""

from __future__ import annotations

import re
from typing import Any, Mapping, cast  # noqa: UP035 - Python 3.9 reads this too

from sandbox_kit.entries import Json, entry_of, is_empty
from sandbox_kit.skill import Refused, Request

__all__ = ["carried", "entries_of", "filled", "happened", "known", "nothing_found", "results"]

_NAMED = re.compile(r"\{([^{}\n]{1,120})\}")
LONGEST_VALUE = 4_000


def results(request: Request) -> list[Json]:
    """The outputs of what this step needs, in order; those that were left out are missing."""
    given: Any = request.input.get("results")
    if not isinstance(given, list):
        return [request.input] if request.input else []
    return [cast("Json", one) for one in cast("list[Any]", given) if isinstance(one, dict)]


def happened(request: Request) -> Json | None:
    """What started the run, as an entry; None when nothing did but a person or a plan."""
    given: Any = request.input.get("run") if "run" in request.input else request.input
    event: Any = cast("Json", given).get("event") if isinstance(given, dict) else None
    if not isinstance(event, dict):
        return None
    told = cast("Json", event)
    item: Any = told.get("item")
    if isinstance(item, dict) and isinstance(cast("Json", item).get("data"), dict):
        item = {"title": told.get("type"), **cast("Json", item)["data"]}  # delivered: what counts is inside
    row = cast("Json", item) if isinstance(item, dict) else {"title": str(item)}
    if isinstance(row.get("issue"), dict):
        row = {**row, **cast("Json", row["issue"])}  # a comment is about its issue
    resource = {"id": told.get("resource")}
    return entry_of({**row, "id": row.get("id") or told.get("id")}, {"at": "at"}, resource)


def entries_of(request: Request) -> list[Json]:
    """The entries that this step is about: those chosen for it, else what the step before found."""
    chosen: Any = request.input.get("about")
    if chosen is None:
        with_some = [one for one in results(request) if isinstance(one.get("entries"), list) or one.get("id")]
        chosen = with_some[-1] if with_some else "event"
    if isinstance(chosen, dict):
        thing = cast("Json", chosen)
        listed: Any = thing.get("entries")
        if isinstance(listed, list):
            return [cast("Json", one) for one in cast("list[Any]", listed) if isinstance(one, dict)]
        return [entry_of(thing)] if thing.get("id") else []
    event = happened(request) if chosen == "event" else None
    return [event] if event else []


def nothing_found(request: Request) -> bool:
    """Whether every result before this step that counts its entries has none."""
    found = results(request)
    counts = [result["items"] for result in found if isinstance(result.get("items"), int)]
    return bool(counts) and not any(counts)


def carried(request: Request) -> Json:
    """What a step that only tells or writes passes on: where it was read, and how much was found."""
    found = results(request)
    passed = {key: one[key] for one in found for key in ("title", "items", "truncated") if key in one}
    read = [place for one in found if isinstance(one.get("read"), list) for place in one["read"]]
    return {**passed, "read": list(dict.fromkeys(map(str, read)))} if read else passed


def known(request: Request, entry: Mapping[str, Any] | None = None) -> Json:
    """Every name that a text may use: nearer results over farther ones, and an `entry` over everything."""
    names: Json = {}
    run: Any = request.input.get("run")
    if isinstance(run, dict):
        names.update({name: value for name, value in cast("Json", run).items() if name != "event"})
    about = entry or happened(request)
    if about:
        names.update({**about["fields"], **{key: about[key] for key in ("id", "title", "url")}})
    earlier: Any = request.input.get("earlier")
    for result in [*(cast("list[Any]", earlier) if isinstance(earlier, list) else []), *results(request)]:
        if isinstance(result, dict):
            names.update({k: v for k, v in cast("Json", result).items() if v is not None})
    if entry:
        names.update({**entry["fields"], **{key: entry[key] for key in ("id", "title", "url")}})
    names["date"] = request.context.get("date", "")
    return names


def filled(text: str, names: Mapping[str, Any], *, strict: bool = True) -> str:
    """The text with each `{field}` as its value. `Refused` for a name that nothing before gave, unless it
    is not `strict`, when the name stays as it is.
    """
    same = {_key(name): value for name, value in names.items()}

    def value(found: re.Match[str]) -> str:
        name = _key(found[1])
        if name in same:
            return _words(same[name])
        here: Any = same
        for part in name.split("."):
            here = cast("Json", here).get(part) if isinstance(here, dict) else None
        if here is not None:
            return _words(here)
        if strict and re.fullmatch(r"[\w .-]+", name):
            there = ", ".join(sorted(map(str, names))[:20]) or "nothing"
            raise Refused(f"Nothing before this step is called {found[1][:80]!r}. There is: {there}.")
        return found[0]

    return _NAMED.sub(value, text)


def _key(name: str) -> str:
    return " ".join(re.split(r"[\s_-]+", name.strip().casefold()))


def _words(value: Any) -> str:
    if is_empty(value):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    if isinstance(value, list):
        return ", ".join(map(_words, cast("list[Any]", value)))
    if isinstance(value, dict):
        thing = cast("Json", value)
        return str(thing.get("title") or thing.get("name") or "")
    return str(value)[:LONGEST_VALUE]
