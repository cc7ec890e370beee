"""Entries and things as Markdown that people read: bullets, tables or sentences, in groups or not."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Iterable, Mapping, Sequence, cast  # noqa: UP035 - Python 3.9 reads this too
from urllib.parse import quote

from sandbox_kit.entries import Json, counted, is_empty, value_of
from sandbox_kit.windows import Span

__all__ = ["detail_lines", "escaped", "linkable", "linked", "report_text", "saved", "shown"]

LONGEST_VALUE = 600
ROOM = 400_000
"""Characters of a report; more is left out, and said so."""


def report_text(
    title: str,
    entries: Sequence[Json],
    layout: Mapping[str, Any],
    span: Span,
    *,
    places: Sequence[str] = (),
    cut: Sequence[str] = (),
) -> str:
    """A whole report. `layout`: `fields` shown, `group` (a field or None), `format` (bullets, table, plain)
    and `ordered`, whether the groups follow the order of the entries rather than their names.
    """
    many = counted(entries) + (f" from {escaped(', '.join(places))}" if places else "")
    lines = [f"# {escaped(title)}", "", f"{_capital(span.words)} · {many}", ""]
    if not entries:
        lines += ["Nothing changed in this time." if span.after else "There is nothing.", ""]
    room, left = ROOM, 0
    for heading, members in _groups(entries, layout):
        head, body = _body(members, layout)
        kept = _fitting(body, room)
        room -= sum(len(line) + 1 for line in kept)
        left += len(body) - len(kept)
        if kept:
            lines += [*([f"## {escaped(heading)}", ""] if heading else []), *head, *kept, ""]
    if left:
        lines += [f"*{counted(left, 'more entry is', 'more entries are')} not shown here.*", ""]
    if cut:
        lines += [
            f"*Not everything could be read from {escaped(', '.join(cut))}: this report is incomplete.*",
            "",
        ]
    if span.note:
        lines += [f"*{escaped(span.note)}*", ""]
    return "\n".join(lines)


def saved(text: str, title: str, path: str = "report.md") -> list[Json]:
    """The text as a file of the step, for its list of `artifacts`."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return [{"path": path, "title": title}]


def _fitting(lines: Sequence[str], room: int) -> list[str]:
    kept: list[str] = []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            return kept
        kept.append(line)
    return kept


def _groups(entries: Sequence[Json], layout: Mapping[str, Any]) -> list[tuple[str, list[Json]]]:
    """(heading, entries): as the entries come when they were put in order, else by name; the rest last."""
    field = layout.get("group")
    if not entries or not field:
        return [("", list(entries))] if entries else []
    groups: dict[str, list[Json]] = {}
    for entry in entries:
        value = value_of(entry, str(field))
        many = cast("list[Any]", value) if isinstance(value, list) else [] if is_empty(value) else [value]
        groups.setdefault(", ".join(map(_word, many)), []).append(entry)
    names = list(groups) if layout.get("ordered") else sorted(groups, key=str.casefold)
    names = [name for name in names if name] + [name for name in names if not name]
    return [(name or f"No {field}", groups[name]) for name in names]


def _body(entries: Sequence[Json], layout: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Lines that stand above the entries, and one for each entry."""
    fields = [str(field) for field in layout.get("fields") or ()]
    form = layout.get("format")
    if form == "table":
        names = [escaped(name) for name in ("Entry", *map(_label, fields))]
        return [_row(names), "|" + " --- |" * len(names)], [_cells(entry, fields) for entry in entries]
    if form == "plain":
        return [], [f"{_sentence(entry, fields)}\n" for entry in entries]
    return [], [_bullet(entry, fields) for entry in entries]


def _cells(entry: Json, fields: Sequence[str]) -> str:
    cells = [linked(entry), *(shown(value_of(entry, field)) for field in fields)]
    return _row([cell or "\u2013" for cell in cells])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _bullet(entry: Json, fields: Sequence[str]) -> str:
    more = _details(entry, fields)
    return f"- **{linked(entry)}**" + (f" — {' · '.join(more)}" if more else "")


def _sentence(entry: Json, fields: Sequence[str]) -> str:
    more = _details(entry, fields)
    return linked(entry) + (f". {'. '.join(more)}." if more else ".")


def _details(entry: Json, fields: Iterable[str]) -> list[str]:
    pairs = [(field, shown(value_of(entry, field))) for field in fields]
    return [f"{escaped(_label(field))}: {text}" for field, text in pairs if text]


def detail_lines(fields: Mapping[str, Any]) -> list[str]:
    """One line a field that has something in it."""
    pairs = [(str(name), shown(value)) for name, value in fields.items()]
    return [f"- **{escaped(_label(name))}:** {text}" for name, text in pairs if text]


def _label(field: str) -> str:
    """`updated_at` as people read it; names with capitals or spaces stay as they are."""
    return _capital(field.replace("_", " ")) if re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", field) else field


def linked(entry: Mapping[str, Any]) -> str:
    """The title of something that has a `title` and a `url`, as a link where that can be opened."""
    title = escaped(str(entry.get("title") or "Untitled"))
    address = linkable(entry.get("url"))
    return f"[{title}]({address})" if address else title


def linkable(url: Any) -> str:
    """An address that can be opened, safe inside a link; empty for anything else."""
    address = str(url or "")
    return quote(address, safe=":/?#@!$&*+,;=%~-._") if address.startswith(("https://", "http://")) else ""


def shown(value: Any) -> str:
    """A value as words; empty when there is none."""
    if is_empty(value):
        return ""
    values = cast("list[Any]", value) if isinstance(value, list) else [value]
    words = ", ".join(map(_word, values))
    return (
        linkable(words) if words.startswith(("https://", "http://")) and " " not in words else escaped(words)
    )


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _date_words(str(value))


def _date_words(text: str) -> str:
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)(?:T\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))?", text)
    try:
        day = datetime.fromisoformat(found[1]) if found else None
    except ValueError:
        return text
    return f"{day.day} {day:%b %Y}" if day else text


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def escaped(text: str) -> str:
    """Text from elsewhere as plain words: one line, no Markdown of its own."""
    text = " ".join(text.split())
    if len(text) > LONGEST_VALUE:
        text = text[:LONGEST_VALUE].rsplit(" ", 1)[0] + " …"
    text = re.sub(r"([\\`*_\[\]<>#|~!])", r"\\\1", text)
    return re.sub(r"^([-+]|\d+[.)])(?=\s)", r"\\\1", text)
