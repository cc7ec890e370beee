"""Values as a service wants them, rows out of what was found, and what a step that wrote tells."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Mapping, Sequence, cast  # noqa: UP035 - Python 3.9 reads this too

from sandbox_kit.entries import Json, counted, entry_of, is_empty, told
from sandbox_kit.found import carried, filled, known, results
from sandbox_kit.layout import detail_lines, escaped, linkable
from sandbox_kit.messages import whole_of
from sandbox_kit.skill import Refused, Request

__all__ = ["body_of", "changed", "made", "rows_found", "typed", "types_of", "unneeded", "with_title"]

LISTS = ("list", "multi_select", "people", "relation")
MOST_ROWS = 1_000
INNER = ("text", "title", "items", "entries", "read", "truncated", "report", "sent", "to", "posted")
"""What steps tell about themselves, not about what they found."""


def types_of(fields: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Name → type, as a service describes its fields."""
    return {str(field["name"]): str(field["type"]) for field in fields}


def typed(
    wanted: Mapping[str, str],
    request: Request,
    types: Mapping[str, str] | None = None,
    thing: Mapping[str, Any] | None = None,
) -> Json:
    """The values with their `{field}` names filled in, and as their types want them; empty ones are left out.

    Without `types` a value that is one `{field}` keeps its own type. `Refused` for a field that is not there.
    """
    names, values = known(request, thing), dict[str, Any]()
    for name, template in wanted.items():
        if types is None:
            whole = re.fullmatch(r"\{([^{}]+)\}", template.strip())
            given: Any = names.get(whole[1]) if whole else None
            value = filled(template, names) if given is None else given
            values[name] = value
            continue
        field = _name_in(name, types)
        value = _as_type(filled(template, names).strip(), types[field], field)
        if not is_empty(value):
            values[field] = value
    return values


def _name_in(name: str, types: Mapping[str, str]) -> str:
    if name in types:
        return name
    same = [one for one in types if _key(one) == _key(name)]
    if not same:
        raise Refused(f"There is no field called {name[:80]!r} there. There is: {', '.join(types)[:500]}.")
    return same[0]


def _key(name: str) -> str:
    return " ".join(re.split(r"[\s_-]+", name.strip().casefold()))


def _as_type(text: str, kind: str, name: str) -> Any:
    if not text:
        return None
    if kind == "number":
        found = re.search(r"-?\d+(?:\.\d+)?", text.replace(",", ""))
        if found is None:
            raise Refused(f"{name[:80]!r} takes a number, and {text[:80]!r} is none.")
        return float(found[0]) if "." in found[0] else int(found[0])
    if kind == "checkbox":
        return text.casefold() in ("yes", "true", "1", "x", "done", "checked", "on")
    if kind == "date":
        return _date(text, name)
    if kind in LISTS:
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind in ("select", "status"):
        return text.replace(",", " ")[:100].strip()
    return text.casefold().replace(" ", "_") if kind == "word" else text


def _date(text: str, name: str) -> str:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).date().isoformat()
    except ValueError:
        raise Refused(f"{name[:80]!r} takes a date such as 2026-11-30, not {text[:80]!r}.") from None


def body_of(request: Request, notes: Mapping[str, str]) -> str:
    """What the steps before wrote, and a line for each value that has no field of its own there."""
    return "\n".join([whole_of(request), *detail_lines(typed(notes, request))]).strip()


def with_title(values: Mapping[str, Any], types: Mapping[str, str], title: str) -> Json:
    """The values, and the title in the field that holds it there, unless a value is meant for that."""
    field = next((name for name, kind in types.items() if kind == "title"), None)
    return {**({field: title} if field else {}), **values}


def rows_found(request: Request, values: Mapping[str, Any]) -> list[Json]:
    """One row of the values; without any, one for each entry found before, else one of what was found."""
    if values:
        return [{name: _cell(value) for name, value in values.items()}]
    for result in reversed(results(request)):
        entries: Any = result.get("entries")
        if isinstance(entries, list) and entries:
            found = cast("list[Json]", entries)[:MOST_ROWS]
            return [
                {"Title": one["title"], **{k: _cell(v) for k, v in one["fields"].items()}} for one in found
            ]
    names = known(request)
    row = {str(name): _cell(value) for name, value in names.items() if name not in INNER}
    if len(row) > 1 or "title" in names:
        return [{**({"title": names["title"]} if names.get("title") else {}), **row}]
    raise Refused("There is nothing to write down: no step before this one found values.")


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return ", ".join(map(str, cast("list[Any]", value)))
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def unneeded(request: Request) -> Json:
    """The result of a step that had nothing to write down."""
    output: Json = {"text": whole_of(request), "items": 0, "entries": []}
    return {"output": output, "message": "There was nothing to add.", "status": "empty"}


def made(request: Request, answer: Any, title: str, where: str) -> Json:
    """The result of a step that made something: what it is about stays its text."""
    thing = cast("Json", answer) if isinstance(answer, dict) else {}
    inside: Any = thing.get("json")
    thing = cast("Json", inside) if isinstance(inside, dict) else thing
    entry = entry_of({**thing, "title": title, "place": where})
    address, named, whole = linkable(entry["url"]), escaped(title) or "an entry", whole_of(request)
    line = f"Created [{named}]({address})." if address else f"Created {named}."
    text = f"{whole}\n\n{line}" if whole else line
    own: Json = {"id": entry["id"], "url": entry["url"], "title": title, "text": text, "items": 1}
    output = {**carried(request), **own}
    return {"output": {**output, "entries": told([entry])}, "message": f"Created {title or 'an entry'}."}


def changed(request: Request, things: Sequence[Json]) -> Json:
    """The result of a step that changed things."""
    line = f"Changed {counted(things)}."
    named = "\n".join(f"- {escaped(thing['title'] or thing['id'])}" for thing in things[:50])
    text = f"{line}\n\n{named}" if named else line
    output: Json = {**carried(request), "entries": told(things), "items": len(things), "text": text}
    if not things:
        return {"output": output, "message": "There was nothing to change.", "status": "empty"}
    return {"output": output, "message": line}
