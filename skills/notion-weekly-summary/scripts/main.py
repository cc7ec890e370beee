"""Collects what changed in Notion databases over a stretch of time and writes a summary in Markdown."""

import difflib
import json
import re
from datetime import datetime

from sandbox_kit.layout import escaped, linked
from sandbox_kit.skill import Refused, ToolError, call, run
from sandbox_kit.windows import span_words, window_bounds, zone_of

MOST_FIELDS = 6
LONGEST_VALUE = 600
MOST_VALUES = 50
ROOM = 250_000  # characters of rows in the answer; the report needs at most twice as much again
READS = (10_000, 2_000, 500, 100, 20)


def main(request):
    zone, zone_note = zone_of(request.context)
    now = datetime.fromisoformat(request.context["now"].replace("Z", "+00:00")).astimezone(zone)
    window = request.input.get("timeframe") or request.config.get("window") or "last_week"
    after, before = window_bounds(str(window), now)
    fields, highlight = texts(request.config, "fields"), texts(request.config, "highlight")
    group = request.config.get("group_by") or ""
    if not isinstance(group, str):
        raise Refused("The setting `group_by` must be a text.")
    databases = chosen_databases(request.config.get("databases"))
    names = [database["name"] for database in databases]
    group = group or ("database" if len(databases) > 1 else "")

    found, cut = read_databases(databases, after, before)
    notes = [zone_note, *unknown_field_notes(found, [*fields, group])]
    fields = fields or filled_fields(found, group)
    rows = fitting([kept(row, [*fields, group]) for row in in_order(found, highlight)])
    if cut:
        notes.append(f"Not everything could be read from {', '.join(cut)}: this report is incomplete.")
    if len(rows) < len(found):
        notes.append(f"Only the first {len(rows)} of {len(found)} entries are shown.")

    span, counted = span_words(after, before), f"{len(found)} {'entry' if len(found) == 1 else 'entries'}"
    head = [f"# What changed in {escaped(', '.join(names))}", "", f"{span} · {counted}", ""]
    middle = body(rows, fields, group, highlight) if found else ["Nothing changed in this time.", ""]
    report = "\n".join([*head, *middle, *(f"*{escaped(note)}*\n" for note in notes if note)])
    with open("report.md", "w", encoding="utf-8") as file:
        file.write(report)
    is_cut = bool(cut) or len(rows) < len(found)
    return {
        "output": {
            "report": report,
            "items": len(found),
            "databases": names,
            "rows": rows,
            "truncated": is_cut,
        },
        "message": f"{counted} changed in {', '.join(names)}, {span}.",
        "artifacts": [{"path": "report.md", "title": "Summary"}],
        "status": "ok" if found else "empty",
    }


# --- settings -----------------------------------------------------------------------------------------------


def texts(config, name):
    """A setting that is a list of texts; a single text will do."""
    value = config.get(name) or []
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in values):
        raise Refused(f"The setting `{name}` must be a list of texts.")
    return values


# --- reading ------------------------------------------------------------------------------------------------


def chosen_databases(wanted):
    """`{"id", "name"}` of each, once; a name has to mean exactly one."""
    wanted = [wanted] if isinstance(wanted, str) else wanted
    if not isinstance(wanted, list) or not wanted:
        raise Refused("Say which databases to read: the setting `databases` must be a list of names or ids.")
    found = {}
    for one in wanted:
        database = one if is_known(one) else find_database(str(one).strip())
        found.setdefault(database["id"], database)
    return list(found.values())


def is_known(wanted):
    return isinstance(wanted, dict) and all(isinstance(wanted.get(key), str) for key in ("id", "name"))


def find_database(wanted):
    if wanted.startswith("https://") or re.fullmatch(r"[0-9a-fA-F]{32}", wanted.replace("-", "")):
        return call("notion.describe_database", database_id=wanted)
    same, everything = [], []
    for search in (wanted[:200], ""):  # looking through everything takes long, and is done only when needed
        everything = call("notion.list_databases", search=search)["databases"]
        same = called(wanted, everything)
        if same:
            break
    if len(same) == 1:
        return same[0]
    if same:
        ids = ", ".join(database["id"] for database in same)
        raise Refused(f"{len(same)} databases are called {wanted!r}. Give the id of the one you mean: {ids}.")
    hint = near_names(wanted, [database["name"] for database in everything])
    raise Refused(f"There is no database called {wanted[:200]!r} in this Notion. {hint}")


def near_names(wanted, names):
    by_word = {name.casefold(): repr(name) for name in names}
    near = difflib.get_close_matches(wanted.casefold(), by_word, n=3, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(by_word[word] for word in near)}?"
    if names:
        return f"It has {', '.join(list(by_word.values())[:5])}{' and more' if len(by_word) > 5 else ''}."
    return "No database of it is shared with us."


def called(name, databases):
    """Those of exactly this name or, when there is none, of this name in another case."""
    exact = [database for database in databases if database["name"] == name]
    return exact or [database for database in databases if database["name"].casefold() == name.casefold()]


def read_databases(databases, after, before):
    """All rows, each with the name of its database, and the databases that hold more."""
    rows, cut = [], []
    for database in databases:
        answer = query(database["id"], after, before, *READS)
        rows += [{**row, "database": database["name"]} for row in answer["rows"]]
        cut += [database["name"]] if answer["truncated"] else []
    return rows, cut


def query(database_id, after, before, limit, *smaller):
    """The latest changes; fewer of them when they are too long to be handed over at once."""
    try:
        return call(
            "notion.query_database",
            database_id=database_id,
            edited_after=after.isoformat(),
            edited_before=before.isoformat(),
            sort={"field": "edited_at", "direction": "descending"},
            limit=limit,
        )
    except ToolError as error:
        if error.code != "result_too_large" or not smaller:
            raise
        return query(database_id, after, before, *smaller)


# --- choosing and ordering ----------------------------------------------------------------------------------


def value_of(row, field):
    return row["fields"].get(field, row["database"] if field == "database" else None)


def as_list(value):
    return value if isinstance(value, list) else [] if is_empty(value) else [value]


def is_empty(value):
    return value is None or value in ("", [])


def filled_fields(rows, group):
    """Some fields to show when nobody chose: not the heading, nor what every row says besides."""
    names = {}
    for row in rows:
        said = (None, "", [], row["title"], row["edited_at"], row["created_at"])
        names.update({name: None for name, value in row["fields"].items() if value not in said})
    return [name for name in names if name != group][:MOST_FIELDS]


def unknown_field_notes(rows, fields):
    known = {"", "database", *(name for row in rows for name in row["fields"])}
    return [f"No entry has a field called {name}." for name in fields if rows and name not in known]


def in_order(rows, highlight):
    """Highlighted rows first, otherwise as they were read: the latest first."""

    def weight(row):
        return min((place(value, highlight) for value in row["fields"].values()), default=len(highlight))

    return sorted(rows, key=weight)


def place(value, highlight):
    """Where a value stands among the highlighted ones; after all of them when it is none."""
    held = {str(one).casefold() for one in as_list(value)}
    return next((at for at, one in enumerate(highlight) if one.casefold() in held), len(highlight))


def kept(row, fields):
    """What goes on from a row: bounded in size, so that one long page does not crowd out the others."""
    values = {name: value_of(row, name) for name in fields if name in row["fields"]}
    return {
        "title": clipped(row["title"] or "Untitled"),
        "url": row["url"],
        "database": row["database"],
        "edited_at": row["edited_at"],
        "fields": {name: clipped(value) for name, value in values.items()},
    }


def clipped(value):
    if isinstance(value, list):
        return [clipped(str(one)) for one in value[:MOST_VALUES]]
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        return value[:LONGEST_VALUE].rsplit(" ", 1)[0] + " …"
    return value


def fitting(rows):
    """As many rows, from the first, as an answer has room for."""
    room = ROOM
    for count, row in enumerate(rows):
        room -= len(json.dumps(row))
        if room < 0:
            return rows[:count]
    return rows


def grouped(rows, group, highlight):
    """(heading, rows) pairs: highlighted values first, then by name, rows without a value last."""
    groups = {}
    for row in rows:
        value = value_of(row, group)
        key = (is_empty(value), place(value, highlight), shown(value).casefold())
        groups.setdefault(key, (shown(value) or f"No {escaped(group)}", []))[1].append(row)
    return [groups[key] for key in sorted(groups)]


# --- writing ------------------------------------------------------------------------------------------------


def body(rows, fields, group, highlight):
    if not group:
        return [*(bullet(row, fields) for row in rows), ""]
    shown_fields = [field for field in fields if field != group]
    lines = []
    for heading, members in grouped(rows, group, highlight):
        lines += [f"## {heading}", "", *(bullet(row, shown_fields) for row in members), ""]
    return lines


def bullet(row, fields):
    pairs = [(field, shown(value_of(row, field))) for field in fields]
    details = " · ".join(f"{escaped(field)}: {text}" for field, text in pairs if text)
    return f"- **{linked(row)}**" + (f" — {details}" if details else "")


def shown(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    return escaped(", ".join(map(str, as_list(value))))


run(main)
