"""Two values side by side, the one record that fits, and the decision that follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, cast

from sandbox_kit.documents import is_empty
from sandbox_kit.given import TOLD, Json, carried, flat, label_of, merged, records_of, results_of, value_of
from sandbox_kit.layout import escaped
from sandbox_kit.skill import Refused
from sandbox_kit.values import Amount, amount_of, date_of, is_same, plain_number, shown

MOST_CANDIDATES = 20


# --- comparing ----------------------------------------------------------------------------------------------


def compared(given: Mapping[str, Any], left: str, right: str, names: tuple[str, str] = ("", "")) -> Json:
    """The difference of two fields, the first in `left_from`, the second in `right_from`, or else both in all
    that was given. `names`: what they are called for people."""
    sides = (_side(given, "left_from", left), _side(given, "right_from", right))
    called = (names[0] or label_of(left), names[1] or label_of(right))
    for (value, _), name in zip(sides, called):  # noqa: B905 - Python 3.9
        if is_empty(value):
            raise Refused(f"There is nothing to compare: {name} was not found.")
    (first, first_unit), (second, second_unit) = sides
    amounts = amount_of(first), amount_of(second)
    days = date_of(first), date_of(second)
    if amounts[0] is not None and amounts[1] is not None:
        result = _numbers(amounts[0], amounts[1], (first_unit, second_unit))
    elif days[0] is not None and days[1] is not None:
        result = _dates(days[0], days[1])
    else:
        same = is_same(first, second)
        result = {"left": first, "right": second, "difference": None, "variance_percent": None, "equal": same}
    shown_sides = (f"{called[0]}: {_shown(result, 'left')}.", f"{called[1]}: {_shown(result, 'right')}.")
    said = " ".join([*shown_sides, _told(result)])
    output = {**result, "comparison": said, "report": f"{escaped(said)}\n"}
    no_percent = result["equal"] is False and result["left"] == 0
    note = " It cannot be put in percent, because the first value is 0." if no_percent else ""
    return {"output": output, "message": said + note, "status": "flag" if no_percent else "ok"}


def _side(given: Mapping[str, Any], place: str, name: str) -> tuple[Any, str]:
    """The value of a side and its unit, if that is known beside it."""
    own: Any = given[place] if place in given else merged(given)
    if not isinstance(own, dict):
        return None, ""
    side = cast("Json", own)
    units: Any = side.get("units")
    unit: Any = value_of(cast("Json", units), name) if isinstance(units, dict) else None
    return value_of(side, name), str(unit or "")


def _numbers(left: Amount, right: Amount, units: tuple[str, str]) -> Json:
    one, other = left.unit or units[0], right.unit or units[1]
    if one and other and one != other:
        raise Refused(f"{one} and {other} cannot be compared with each other.")
    difference = right.number - left.number
    variance = None
    if left.number != 0:
        variance = plain_number(abs(difference) / abs(left.number) * Decimal(100))
    elif difference == 0:
        variance = 0
    return {
        "left": plain_number(left.number),
        "right": plain_number(right.number),
        "unit": one or other,
        "difference": plain_number(difference),
        "variance_percent": variance,
        "equal": difference == 0,
    }


def _dates(left: date, right: date) -> Json:
    days = (right - left).days
    sides = {"left": left.isoformat(), "right": right.isoformat(), "unit": "days"}
    return {**sides, "difference": days, "variance_percent": None, "equal": days == 0}


def _shown(result: Json, side: str) -> str:
    return shown(result[side], "" if result.get("unit") == "days" else str(result.get("unit") or ""))


def _told(result: Json) -> str:
    difference = result["difference"]
    if result["equal"]:
        return "They are the same."
    if difference is None:
        return "They differ."
    unit = str(result.get("unit") or "")
    if unit == "days":
        days = "1 day" if abs(difference) == 1 else f"{abs(difference)} days"
        return f"{days} {'later' if difference > 0 else 'earlier'}."
    variance = result["variance_percent"]
    percent = "" if variance is None else f" ({variance:.1f} %)" if variance >= 0.05 else " (less than 0.1 %)"
    return f"{shown(abs(difference), unit)} {'more' if difference > 0 else 'less'}{percent}."


# --- matching -----------------------------------------------------------------------------------------------


def matched(given: Mapping[str, Any], records: Any, by: Mapping[str, str], missing: str) -> Json:
    """The one of `records` whose fields `by` (key → name) are those of what was given.

    None: the run ends here, with `missing` as the word. Several: none of them is taken, all are listed.
    """
    sought = merged(given)
    wanted = {key: value_of(sought, name) for key, name in by.items()}
    known = _candidates(records, list(by.values()))
    absent = [label_of(name) for key, name in by.items() if wanted[key] is None]
    words = ", ".join(f"{label_of(name)} {shown(wanted[key])}" for key, name in by.items())
    if absent:
        why = f"{', '.join(absent)} was not found in what was given."
        return _ended(missing, why, wanted)
    fitting = [
        record
        for record in known
        if all(is_same(value_of(record, name), wanted[key]) for key, name in by.items())
    ]
    if not fitting:
        counted = f"{len(known)} {'record' if len(known) == 1 else 'records'}"
        return _ended(missing, f"Looked for {words} in {counted}.", wanted)
    facts: Json = {
        "found": len(fitting) == 1,
        "matches": len(fitting),
        "by": wanted,
        "sought": carried(sought),
    }
    if len(fitting) > 1:
        told = f"{len(fitting)} records have {words}: which one is meant?"
        shown_records = [carried(record) for record in fitting[:MOST_CANDIDATES]]
        output: Json = {**facts, "record": None, "candidates": shown_records, "report": f"{escaped(told)}\n"}
        return {"output": output, "message": told, "status": "flag"}
    told = f"Found the record with {words}."
    record = {name: value for name, value in fitting[0].items() if name not in TOLD or name == "units"}
    output = {**carried(record), **facts, "record": record, "candidates": [], "report": f"{escaped(told)}\n"}
    return {"output": output, "message": told}


def _candidates(records: Any, by: Sequence[str]) -> list[Json]:
    """Records to look through; a document that was read is one record, whatever tables it has."""
    if isinstance(records, dict):
        whole = flat(cast("Json", records))
        if all(value_of(whole, name) is not None for name in by):
            return [whole]
    return [flat(record) for record in records_of(records)]


def _ended(missing: str, why: str, wanted: Json) -> Json:
    told = f"{missing.strip().rstrip('.') or 'No matching record found'}. {why}"
    facts: Json = {"found": False, "matches": 0, "by": wanted, "record": None, "candidates": []}
    return {"output": {**facts, "report": f"{escaped(told)}\n"}, "message": told, "status": "stop"}


def records_for(given: Mapping[str, Any], name: str) -> tuple[Any, Json]:
    """The records to look through, and what they are looked through for.

    The records are those given under this name; without any, the first of several results is looked through
    for the others. Objects that a run was given are results as well.
    """
    run: Any = given.get("run") if isinstance(given.get("run"), dict) else {}
    places: list[Json] = [dict(given), run, merged(given)]
    held: Any = next(
        (one[name] for one in places if one.get(name) == [] or not is_empty(one.get(name))), None
    )
    rest = {key: value for key, value in given.items() if key not in (name, "run")}
    if held is not None:
        objects: list[Any] = [value for value in rest.values() if isinstance(value, dict)]
        return held, rest if "results" in rest or not objects else {"results": [rest, *objects]}
    results = [result for _, result in results_of(given)]
    if len(results) < 2:
        raise Refused(f"There is nothing to look through: give a list of records as `{name}`.")
    return results[0], {"results": results[1:]}


# --- deciding -----------------------------------------------------------------------------------------------


def decided(given: Mapping[str, Any], verdict: str, reason: str, only_if: str = "") -> Json:
    """A decision with its reason: the words given for it, what was found before, and the condition."""
    found = merged(given)
    rule = "" if not only_if.strip() or is_same(only_if, reason) else f"Rule: {only_if}"
    sentences = [one.strip().rstrip(".") for one in (reason, _grounds(found), rule)]
    because = " ".join(f"{one}." for one in sentences if one)
    head = label_of(verdict) or "Decided"
    report = f"**{escaped(head)}**" + (f": {escaped(because)}" if because else "")
    output = {**carried(found), "verdict": verdict, "decision": verdict, "reason": because}
    text = f"{head}: {because}" if because else head
    return {"output": {**output, "text": text, "report": f"{report}\n"}, "message": text}


def _grounds(found: Mapping[str, Any]) -> str:
    """What was found before that a decision can rest on, and the record it is about."""
    texts = [found.get(name) for name in ("comparison", "reason", "message")]
    said = next((one for one in texts if isinstance(one, str) and one.strip()), "")
    problems: Any = found.get("problems")
    if not said and isinstance(problems, list):
        said = " ".join(map(str, cast("list[Any]", problems)[:5])) or "Everything is there."
    by: Any = found.get("by")
    sought = cast("Json", by) if isinstance(by, dict) else {}
    about = ", ".join(
        f"{label_of(name)} {shown(value)}" for name, value in sought.items() if value is not None
    )
    return f"{about}: {said}" if about and said else said
