"""The design of a spec: which parts it may have and what they look like. Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from omniforge.board.importing.documents import DESIGN_REF, MAX_TEXT, Flaw, Json
from omniforge.board.importing.values import Wrong, anything, one_line, text

MINIMUM = ("architecture", "data_model", "api_spec")
MOST = 500


def read_design(given: Any) -> tuple[Json | None, list[Wrong]]:
    """The design with the parts that were said, and every mistake in it."""
    if not isinstance(given, dict):
        return None, [Wrong("an object with architecture, data_model and api_spec")]
    values = {name: value for name, value in cast("Json", given).items() if value is not None}
    wrongs = [
        Wrong(f"there is no such part; known are {', '.join(PARTS)}", field=name[:100])
        for name in values.keys() - PARTS.keys()
    ]
    wrongs += [
        Wrong("is missing", field=name, code=Flaw.MISSING_FIELD) for name in MINIMUM if name not in values
    ]
    made: Json = {}
    for name in PARTS.keys() & values.keys():
        try:
            made[name] = PARTS[name](values[name])
        except Wrong as wrong:
            wrongs.append(Wrong(str(wrong), field=f"{name}{wrong.field}", code=wrong.code))
    kept = {name: made[name] for name in PARTS if name in made}
    return kept, sorted(wrongs, key=lambda wrong: wrong.field)


def _ref(value: Any) -> str:
    ref = one_line(value, 100)
    if not DESIGN_REF.fullmatch(ref):
        raise Wrong("a ref is written like DESIGN-SEARCH-001", code=Flaw.BAD_REF)
    return ref


def _strings(value: Any) -> list[str]:
    return [text(each, 5_000) for each in _list(value)]


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Wrong("a list")
    items = cast("list[Any]", value)
    if len(items) > MOST:
        raise Wrong(f"at most {MOST}, not {len(items)}")
    return items


def _rows(
    value: Any, needed: dict[str, Callable[[Any], Any]], optional: dict[str, Callable[[Any], Any]]
) -> list[Json]:
    """A list of objects with these fields."""
    forms = needed | optional
    rows: list[Json] = []
    for index, each in enumerate(_list(value)):
        if not isinstance(each, dict):
            raise Wrong(f"an object with {', '.join(forms)}", field=f"[{index}]")
        row = {name: part for name, part in cast("Json", each).items() if part is not None}
        if missing := [name for name in needed if name not in row]:
            raise Wrong(f"{missing[0]} is missing", field=f"[{index}]", code=Flaw.MISSING_FIELD)
        if unknown := sorted(row.keys() - forms.keys()):
            raise Wrong(
                f"there is no such field; known are {', '.join(forms)}", field=f"[{index}].{unknown[0][:80]}"
            )
        made: Json = {}
        for name in (name for name in forms if name in row):
            try:
                made[name] = forms[name](row[name])
            except Wrong as wrong:
                raise Wrong(str(wrong), field=f"[{index}].{name}{wrong.field}", code=wrong.code) from None
        rows.append(made)
    return rows


def _anything(value: Any) -> Any:
    """Text, or whatever shape a request or an answer is described by."""
    return text(value, MAX_TEXT) if isinstance(value, str) else anything(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong("true or false")
    return value


def _any_item(value: Any) -> list[Any]:
    return [_anything(each) for each in _list(value)]


_long = partial(text, longest=MAX_TEXT)
_short = partial(one_line, longest=500)
_sentence = partial(text, longest=5_000)
_duties = {"duties": _strings}
_field_form: dict[str, Callable[[Any], Any]] = {"nullable": _flag, "default": _anything}
_fields = partial(_rows, needed={"name": _short, "type": _short}, optional=_field_form)
PARTS: dict[str, Callable[[Any], Any]] = {
    "ref": _ref,
    "architecture": _long,
    "components": partial(_rows, needed={"name": _short}, optional={"layer": _sentence, **_duties}),
    "data_model": _long,
    "data_models": partial(_rows, needed={"name": _short}, optional={"table": _short, "fields": _fields}),
    "api_spec": partial(
        _rows,
        needed={"method": _short, "endpoint": _short},
        optional={
            "description": _sentence,
            "auth": _anything,
            "request": _anything,
            "response": _anything,
            "errors": _anything,
        },
    ),
    "errors": _any_item,
    "sequences": _any_item,
    "config": _any_item,
    "notes": _long,
}
"""In the order in which a design is read."""
