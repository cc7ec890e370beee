"""Notion's nested property values as plain values, and plain values as property values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from omniforge.core.errors import Invalid
from omniforge.integrations.loose import items, mapping, text

Json = dict[str, Any]

READ_ONLY = frozenset(
    {
        "created_by",
        "created_time",
        "formula",
        "last_edited_by",
        "last_edited_time",
        "rollup",
        "unique_id",
        "verification",
        "button",
        "files",
    }
)
TEXT_CHUNK = 2000
"""Longest text content Notion takes in one rich text object."""
MOST_PARTS = 100
"""Most objects Notion takes in one list: parts of a text, options, people, related pages."""
LONGEST = {"url": 2000, "email": 200, "phone_number": 200}
LONGEST_OPTION = 100


def plain_text(rich: Any) -> str:
    """The words of a rich text list, without looks."""
    return "".join(_words(part) for part in items(rich))


def _words(part: Json) -> str:
    return text(part.get("plain_text")) or text(mapping(part.get("text")).get("content"))


def plain_value(prop: Json) -> Any:  # noqa: C901, PLR0912 - one line per type
    """One property value of a page as text, number, bool, list of text, or None."""
    kind = text(prop.get("type"))
    value = prop.get(kind)
    match kind:
        case "title" | "rich_text":
            return plain_text(value)
        case "select" | "status":
            return mapping(value).get("name")
        case "multi_select":
            return [text(option.get("name")) for option in items(value)]
        case "people":
            return [_person(person) for person in items(value)]
        case "created_by" | "last_edited_by":
            return _person(mapping(value))
        case "date":
            return mapping(value).get("start")
        case "relation":
            return [text(page.get("id")) for page in items(value)]
        case "files":
            return [text(file.get("name")) for file in items(value)]
        case "formula":
            return _nested(mapping(value))
        case "rollup":
            return _rollup(mapping(value))
        case "unique_id":
            return _unique_id(mapping(value))
        case "verification":
            return mapping(value).get("state")
        case "checkbox":
            return value is True
        case _:
            return value if isinstance(value, str | int | float) else None


def plain_fields(properties: Any) -> Json:
    """Every property of a page by name, plain."""
    return {name: plain_value(mapping(prop)) for name, prop in mapping(properties).items()}


def title_of(page: Json) -> str:
    """The page's title, whatever its title property is called."""
    for prop in mapping(page.get("properties")).values():
        if mapping(prop).get("type") == "title":
            return plain_text(mapping(prop).get("title"))
    return ""


def is_cut(properties: Any) -> bool:
    """Whether a value of the page holds more than Notion put into this answer."""
    return any(mapping(prop).get("has_more") is True for prop in mapping(properties).values())


def described_fields(properties: Any) -> list[Json]:
    """The fields of a data source: `{name, type, options?}`, title first, then by name."""
    fields: list[Json] = []
    for name, raw in mapping(properties).items():
        schema = mapping(raw)
        kind = text(schema.get("type"))
        field: Json = {"name": name, "type": kind}
        if kind in ("select", "multi_select", "status"):
            options = items(mapping(schema.get(kind)).get("options"))
            field["options"] = [text(option.get("name")) for option in options]
        fields.append(field)
    return sorted(fields, key=lambda f: (f["type"] != "title", str(f["name"]).lower()))


def _person(person: Json) -> str:
    return text(person.get("name")) or text(person.get("id"))


def _nested(value: Json) -> Any:
    kind = text(value.get("type"))
    inner = value.get(kind)
    return mapping(inner).get("start") if kind == "date" else inner


def _rollup(value: Json) -> Any:
    if value.get("type") == "array":
        return [plain_value(element) for element in items(value.get("array"))]
    return _nested(value)


def _unique_id(value: Json) -> str | None:
    number = value.get("number")
    if number is None:
        return None
    prefix = text(value.get("prefix"))
    return f"{prefix}-{number}" if prefix else str(number)


def rich_text(content: str) -> list[Json]:
    """Text as rich text objects, cut where Notion wants it cut."""
    chunks = [content[i : i + TEXT_CHUNK] for i in range(0, len(content), TEXT_CHUNK)]
    return [{"type": "text", "text": {"content": chunk}} for chunk in chunks]


def property_values(fields: Mapping[str, Any], schema: Json, people: Mapping[str, str]) -> Json:
    """Plain values as property values for writing.

    `schema` maps names to property objects (of a data source or of a page), `people` names to user ids.
    Invalid lists every field that does not exist, cannot be written, or does not fit.
    """
    mistakes: list[Json] = []
    values: Json = {}
    for name, value in fields.items():
        kind = text(mapping(schema.get(name)).get("type"))
        if not kind:
            rule = f"one of: {', '.join(schema)}"
            mistakes.append({"field": name, "value": repr(value)[:200], "rule": rule})
        elif kind in READ_ONLY:
            mistakes.append(
                {"field": name, "value": repr(value)[:200], "rule": f"{kind} is filled by Notion"}
            )
        else:
            try:
                values[name] = {kind: _written(kind, value, people)}
            except (TypeError, ValueError) as error:
                mistakes.append({"field": name, "value": repr(value)[:200], "rule": str(error)})
    if mistakes:
        names = ", ".join(str(m["field"]) for m in mistakes)
        raise Invalid(f"These fields cannot be written to Notion: {names}.", fields=mistakes)
    return values


def holds(prop: Json, written: Json) -> bool:
    """Whether a page's property has the value of one made by `property_values`."""
    return _comparable(prop) == _comparable({"type": next(iter(written), ""), **written})


def _comparable(prop: Json) -> Any:
    kind = text(prop.get("type"))
    match kind:
        case "people" | "relation":
            return sorted(text(one.get("id")) for one in items(prop.get(kind)))
        case "multi_select":
            return sorted(text(one.get("name")) for one in items(prop.get(kind)))
        case _:
            return plain_value(prop)


def _written(kind: str, value: Any, people: Mapping[str, str]) -> Any:
    match kind:
        case "title" | "rich_text":
            return rich_text(_within("" if value is None else str(value), TEXT_CHUNK * MOST_PARTS))
        case "select" | "status":
            return {"name": _option(value)} if value is not None else None
        case "multi_select":
            return [{"name": _option(name)} for name in _strings(value)]
        case "people":
            return [{"object": "user", "id": person_id(name, people)} for name in _strings(value)]
        case "relation":
            return [{"id": page} for page in _strings(value)]
        case "date":
            return {"start": _string(value)} if value is not None else None
        case "checkbox":
            if not isinstance(value, bool):
                raise TypeError("true or false")
            return value
        case "number":
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise TypeError("a number")
            return value
        case _:
            return _within(_string(value), LONGEST.get(kind, TEXT_CHUNK)) if value is not None else None


def person_id(name: str, people: Mapping[str, str]) -> str:
    """The user id behind a name; an id stays what it is. ValueError when nobody has that name."""
    if name in people.values():
        return name
    for known, user_id in people.items():
        if known.casefold() == name.casefold():
            return user_id
    raise ValueError(f"nobody in the workspace is called {name!r}")


def _within(words: str, longest: int) -> str:
    if len(words) > longest:
        raise ValueError(f"at most {longest} characters")
    return words


def _option(value: Any) -> str:
    name = _string(value)
    if "," in name or not 1 <= len(name) <= LONGEST_OPTION:
        raise ValueError(f"a text without commas, at most {LONGEST_OPTION} characters")
    return name


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a text")
    return value


def _strings(value: Any) -> list[str]:
    if value is None:
        return []
    listed = cast("list[Any]", value) if isinstance(value, list) else [value]
    if len(listed) > MOST_PARTS:
        raise ValueError(f"at most {MOST_PARTS} of them")
    return [_string(item) for item in listed]
