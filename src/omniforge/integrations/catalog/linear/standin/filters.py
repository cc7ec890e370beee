"""Which rows a filter of Linear's kind lets through."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from omniforge.integrations.catalog.linear.standin.world import UUID, World, invalid, schema

Json = dict[str, Any]


def matches(world: World, viewer: str, type_name: str, row: Json | None, where: Json) -> bool:
    """Whether a row (or None, where a relation is empty) fits. `viewer` is the id of who asks."""
    if "null" in where:
        if (row is None) is not bool(where["null"]):
            return False
        where = {key: value for key, value in where.items() if key != "null"}
    if row is None:
        return not where
    return all(_fits(world, viewer, type_name, row, key, wanted) for key, wanted in where.items())


def _fits(world: World, viewer: str, type_name: str, row: Json, key: str, wanted: Any) -> bool:  # noqa: PLR0917
    if wanted is None:
        return True
    if key in ("and", "or"):
        each = (matches(world, viewer, type_name, row, one) for one in wanted)
        return all(each) if key == "and" else any(each)
    kind = schema().types[type_name][key].type.base
    if kind.endswith("Connection"):
        rows = world.related(type_name, row, key)
        return _some(world, viewer, kind.removesuffix("Connection"), rows, wanted)
    if kind in schema().types:
        return matches(world, viewer, kind, cast("Json | None", world.value(type_name, row, key)), wanted)
    if key == "id":
        wanted = _known_ids(world, type_name, wanted)
    value = row["id"] == viewer if key == "isMe" else world.value(type_name, row, key)
    return _compare(value, wanted, world.now(), is_time=kind in ("DateTime", "TimelessDate"))


def _some(world: World, viewer: str, kind: str, rows: list[Json], wanted: Json) -> bool:
    """`some`, `every`, `length`, `null`; other fields have to fit one of the things."""
    each = dict(wanted)
    some, every = each.pop("some", None), each.pop("every", None)
    length, null = each.pop("length", None), each.pop("null", None)
    return (
        (some is None or any(matches(world, viewer, kind, one, some) for one in rows))
        and (every is None or all(matches(world, viewer, kind, one, every) for one in rows))
        and (length is None or _compare(len(rows), length, world.now()))
        and (null is None or (not rows) is null)
        and (not each or any(matches(world, viewer, kind, one, each) for one in rows))
    )


def _known_ids(world: World, type_name: str, wanted: Json) -> Json:
    """Ids in a comparison have to be UUIDs; those of issues may be identifiers."""
    made: Json = {}
    for name, given in wanted.items():
        listed = cast("list[str]", given if isinstance(given, list) else [given])
        known: list[str] = []
        for one in listed:
            if type_name == "Issue" and UUID.fullmatch(one.lower()) is None:
                found = world.find("Issue", one)
                known.append(found["id"] if found else one)
            elif UUID.fullmatch(one.lower()) is None:
                raise invalid("id must be a UUID.")
            else:
                known.append(world.known_id(type_name, one.lower()))
        made[name] = known if isinstance(given, list) else known[0]
    return made


TEXT_TESTS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda value, part: part in value,
    "startsWith": lambda value, part: value.startswith(part),
    "endsWith": lambda value, part: value.endswith(part),
    "containsIgnoreCase": lambda value, part: part.casefold() in value.casefold(),
    "containsIgnoreCaseAndAccent": lambda value, part: part.casefold() in value.casefold(),
    "startsWithIgnoreCase": lambda value, part: value.casefold().startswith(part.casefold()),
    "eqIgnoreCase": lambda value, part: value.casefold() == part.casefold(),
}
ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "lt": lambda value, other: value < other,
    "lte": lambda value, other: value <= other,
    "gt": lambda value, other: value > other,
    "gte": lambda value, other: value >= other,
}


def _compare(value: Any, wanted: Json, now: datetime, *, is_time: bool = False) -> bool:
    def read(one: Any) -> Any:
        if isinstance(one, list):
            return [read(inner) for inner in cast("list[Any]", one)]
        return _moment(one, now) if is_time and isinstance(one, str) else one

    return all(other is None or _is(read(value), name, read(other)) for name, other in wanted.items())


def _is(value: Any, name: str, other: Any) -> bool:
    negated = {"neq": "eq", "nin": "in", "neqIgnoreCase": "eqIgnoreCase"}.get(name)
    if negated is None and name.startswith("not"):
        negated = name[3].lower() + name[4:]
    if negated is not None:
        return not _is(value, negated, other)
    match name:
        case "eq":
            return value == other
        case "in":
            return value in other
        case "null":
            return (value is None) is other
        case _ if value is None:
            return False
        case _ if name in ORDERS:
            return ORDERS[name](value, other)
        case _:
            return TEXT_TESTS[name](str(value), str(other))


def _moment(given: str, now: datetime) -> datetime:
    """A time, a day, or `P…` counted from now, as far as days and weeks go."""
    sign = -1 if given.startswith("-") else 1
    period = given.lstrip("-")
    if period.startswith("P"):
        number = int("".join(letter for letter in period if letter.isdigit()) or 0)
        return now + sign * timedelta(days=number * (7 if period.endswith("W") else 1))
    moment = datetime.fromisoformat(given)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
