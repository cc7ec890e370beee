"""Results and records for people: what matters of texts, and records with other fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sandbox_kit.arithmetic import compute
from sandbox_kit.documents import TEXT_KEYS, is_empty, plain_text
from sandbox_kit.given import LISTS, TOLD, Json, carried, flat, label_of, records_of, results_of, value_of
from sandbox_kit.layout import escaped
from sandbox_kit.sentences import Entry, clipped, entries_of, telling
from sandbox_kit.values import key_of, shown

MOST_ROWS = 200
MOST_CELLS = 12
LONGEST_CELL = 200


# --- summarising --------------------------------------------------------------------------------------------


def summarised(given: Mapping[str, Any], sentences: int, names: Sequence[str] = ()) -> Json:
    """The telling sentences of each source, word for word; several sources each under their name.

    Sources are the results of the steps called `names`; without any, the texts and lists the run was given.
    """
    sources = [(name, *source_text(one)) for name, one in _sources(given, names)]
    sources = [source for source in sources if source[1].strip()]
    blocks: list[str] = []
    taken = looked_at = 0
    for name, text, is_ours in sources:
        entries = entries_of(plain_text(text))
        chosen = telling(entries, sentences)
        taken, looked_at = taken + len(chosen), looked_at + len(entries)
        if len(sources) > 1:
            blocks += [f"## {escaped(label_of(name) or 'Without a name')}", ""]
        blocks += [*_written(chosen, is_ours=is_ours), ""]
    report = "\n".join(blocks).strip() + "\n" if taken else "There is nothing to sum up.\n"
    told = f"Kept {taken} of {looked_at} sentences and entries"
    told += f" from {len(sources)} sources." if len(sources) > 1 else "."
    sourced = [name for name, _, _ in sources if name]
    return {
        "output": {
            "report": report,
            "text": report,
            "summary": report,
            "items": taken,
            "sources": sourced,
        },
        "message": told,
        "status": "ok" if taken else "empty",
    }


def _sources(given: Mapping[str, Any], names: Sequence[str]) -> list[tuple[str, Any]]:
    results: list[tuple[str, Any]] = list(results_of(given, names))
    if names or len(results) != 1:
        return results
    held: list[tuple[str, Any]] = [
        (name, value) for name, value in results[0][1].items() if name not in ("event", "run")
    ]
    whole = [one for one in held if isinstance(one[1], (dict, list)) or " " in str(one[1]).strip()]
    return whole or results


def source_text(given: Any) -> tuple[str, bool]:
    """The text of a result or document, and whether it is Markdown of ours: what a step wrote for people,
    else its text, its entries, or its fields."""
    if isinstance(given, str):
        return given, False
    if isinstance(given, list):
        return _bullets(records_of(given)), False
    if not isinstance(given, Mapping):
        return "", False
    thing = cast("Mapping[str, Any]", given)
    for name in ("report", *sorted(TEXT_KEYS)):
        text: Any = thing.get(name)
        if isinstance(text, str) and text.strip():
            return text, name == "report"
    if any(isinstance(thing.get(name), list) and thing[name] for name in LISTS):
        return _bullets(records_of(thing)), False
    pairs = [(name, value) for name, value in carried(thing).items() if not is_empty(value)]
    return "\n".join(f"- {label_of(name)}: {shown(value)}" for name, value in pairs), False


def _bullets(records: Sequence[Json]) -> str:
    lines: list[str] = []
    for record in records:
        named = {
            name: value
            for name, value in record.items()
            if not is_empty(value) and not isinstance(value, dict)
        }
        title = named.pop("title", None) or named.pop("name", None)
        told = [
            f"{label_of(name)}: {shown(value)}" for name, value in named.items() if name not in ("id", "url")
        ]
        lines.append(f"- {' — '.join([*([str(title)] if title else []), ' · '.join(told[:MOST_CELLS])])}")
    return "\n".join(lines)


def _written(entries: Sequence[Entry], *, is_ours: bool) -> list[str]:
    """Each entry as it stands there, below the heading it had. Marks of other people's texts stay marks."""
    lines: list[str] = []
    section = ""
    for entry in entries:
        if entry.section != section:
            section = entry.section
            lines += [*([""] if lines else []), f"### {section if is_ours else escaped(section)}", ""]
        text = clipped(entry.text)
        lines.append(f"- {text if is_ours else escaped(text)}")
    return lines


# --- transforming -------------------------------------------------------------------------------------------


def transformed(
    given: Mapping[str, Any],
    rename: Mapping[str, str],
    keep: Sequence[str],
    compute_fields: Mapping[str, str],
) -> Json:
    """Records with other fields: computed, then renamed, then only those to keep. Of one record alone the
    fields stand at the top as well."""
    records = [record for _, result in results_of(given) for record in _records_in(result)]
    rows: list[Json] = []
    gaps: dict[str, None] = {}
    for record in records:
        row, missing = _row(record, rename, keep, compute_fields)
        rows.append(row)
        gaps.update(dict.fromkeys(missing))
    told = f"{len(rows)} {'record' if len(rows) == 1 else 'records'} worked out."
    if gaps:
        told += f" Not everywhere: {', '.join(map(label_of, gaps))}."
    single = {key_of(name): value for name, value in rows[0].items()} if len(rows) == 1 else {}
    return {
        "output": {**single, "rows": rows, "items": len(rows), "missing": list(gaps), "report": _table(rows)},
        "message": told,
        "status": "ok" if rows else "empty",
    }


def _records_in(result: Mapping[str, Any]) -> list[Json]:
    """A result's list of records; without one, its fields are one record."""
    if any(isinstance(result.get(name), list) and result[name] for name in LISTS):
        return records_of(result)
    if isinstance(result.get("items"), int):
        return []
    texts = [value for name, value in result.items() if name in TEXT_KEYS and isinstance(value, str)]
    own = {
        name: value
        for name, value in flat(result).items()
        if name not in TOLD and not isinstance(value, dict)
    }
    return [own] if own else records_of(texts[0]) if texts else []


def _row(
    record: Mapping[str, Any],
    rename: Mapping[str, str],
    keep: Sequence[str],
    compute_fields: Mapping[str, str],
) -> tuple[Json, list[str]]:
    row = flat(record)
    missing: list[str] = []
    for name, formula in compute_fields.items():
        row[name] = compute(formula, row)
        missing += [name] if row[name] is None else []
    for old, name in rename.items():
        own = next((one for one in row if key_of(one) == key_of(old)), None)
        if own is None:
            missing.append(old)
        else:
            row = {
                name if one == own else one: value for one, value in row.items() if one == own or one != name
            }
    if not keep:
        return row, missing
    kept = {name: row[name] if name in row else value_of(row, name) for name in keep}
    return kept, [*missing, *(name for name in keep if kept[name] is None and name not in missing)]


def _table(rows: Sequence[Json]) -> str:
    columns = {name: None for row in rows for name, value in row.items() if not isinstance(value, dict)}
    names = list(columns)[:MOST_CELLS]
    if not rows or not names:
        return "There is nothing to show.\n"
    head = ["| " + " | ".join(escaped(label_of(name)) for name in names) + " |", "|" + " --- |" * len(names)]
    lines = ["| " + " | ".join(_cell(row.get(name)) for name in names) + " |" for row in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        lines += ["", f"*Only the first {MOST_ROWS} of {len(rows)} are shown here.*"]
    return "\n".join([*head, *lines]) + "\n"


def _cell(value: Any) -> str:
    return escaped(clipped(shown(value), LONGEST_CELL)) or "—"
