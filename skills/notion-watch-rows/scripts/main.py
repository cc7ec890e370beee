"""Writes a briefing about one row of a Notion database: the one an event is about, or the latest."""

import re
from contextlib import suppress
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sandbox_kit.layout import escaped, linked
from sandbox_kit.skill import Refused, ToolError, call, run

HAPPENED = {"row.created": "New row", "row.updated": "Changed row"}
MOST_RELATED = 10
LONGEST_TEXT = 20_000
LONGEST_VALUE = 600


def main(request):
    config = request.config
    event = request.input.get("event")
    row_id = row_of(event) if event else latest_row(config)
    if row_id is None:
        return nothing("The database has no rows yet.")
    try:
        row = call("notion.read_page", page_id=row_id)
    except ToolError as error:
        if error.code != "resource_not_found":
            raise
        return nothing("The row is gone, or is no longer shared with us.")
    fields = chosen_fields(row, config.get("fields"))
    related, more = related_rows(row, event, config)
    briefing = "\n".join(written(row, fields, related, more, event, request.context, config))
    with open("briefing.md", "w", encoding="utf-8") as file:
        file.write(briefing)
    title = row["title"] or "Untitled"
    return {
        "output": {
            "report": briefing,
            "id": row["id"],
            "title": title,
            "url": row["url"],
            "fields": fields,
            "event": event["type"] if event else None,
            "related": [{"title": one["title"], "url": one["url"]} for one in related],
        },
        "message": f"Briefing about {title}.",
        "artifacts": [{"path": "briefing.md", "title": f"Briefing: {title}"[:200]}],
    }


def nothing(why):
    return {"output": {"report": "", "related": []}, "message": why, "status": "empty"}


# --- reading ------------------------------------------------------------------------------------------------


def row_of(event):
    if not isinstance(event, dict) or not isinstance(event.get("id"), str) or not event["id"]:
        raise Refused("The input `event` has to name a row: an object with its `id`.")
    return event["id"]


def latest_row(config):
    if not config.get("database"):
        raise Refused(
            "Nothing says which row: start this with an event, or set `database` for its latest row."
        )
    answer = call(
        "notion.query_database",
        database_id=database_id(config["database"]),
        sort={"field": "created_at", "direction": "descending"},
        limit=1,
    )
    return answer["rows"][0]["id"] if answer["rows"] else None


def database_id(wanted):
    """An id or address as it is; a name has to mean exactly one database."""
    if not isinstance(wanted, str):
        raise Refused("The setting `database` must be a name or an id.")
    wanted = wanted.strip()
    if wanted.startswith("https://") or re.fullmatch(r"[0-9a-fA-F]{32}", wanted.replace("-", "")):
        return wanted
    known = call("notion.list_databases", search=wanted[:200])["databases"]
    same = [one for one in known if one["name"].casefold() == wanted.casefold()]
    if len(same) == 1:
        return same[0]["id"]
    if same:
        ids = ", ".join(one["id"] for one in same)
        raise Refused(f"{len(same)} databases are called {wanted!r}. Give the id of the one you mean: {ids}.")
    names = ", ".join(repr(one["name"]) for one in call("notion.list_databases")["databases"][:5])
    raise Refused(f"There is no database called {wanted[:200]!r} in this Notion. It has: {names or 'none'}.")


def related_rows(row, event, config):
    """Other rows with the same value in one field, and whether there are more of them."""
    field = config.get("related_by")
    if not field:
        return [], False
    if field not in row["fields"]:
        raise Refused(f"The row has no field {field!r}. It has: {', '.join(row['fields'])}.")
    value = row["fields"][field]
    value = value[0] if isinstance(value, list) and value else value
    place = config.get("database") or (event or {}).get("resource")
    if value in (None, "", []) or not place:
        return [], False
    answer = call(
        "notion.query_database",
        database_id=database_id(place),
        filters=[{"field": field, "op": "equals", "value": value}],
        sort={"field": "edited_at", "direction": "descending"},
        limit=MOST_RELATED + 1,
    )
    others = [one for one in answer["rows"] if one["id"] != row["id"]]
    return others[:MOST_RELATED], len(others) > MOST_RELATED or answer["truncated"]


def chosen_fields(row, wanted):
    if not wanted:
        return {
            name: value for name, value in row["fields"].items() if value not in (None, "", [], row["title"])
        }
    wanted = wanted if isinstance(wanted, list) else [wanted]
    if missing := [name for name in wanted if name not in row["fields"]]:
        raise Refused(f"The row has no field {missing[0]!r}. It has: {', '.join(row['fields'])}.")
    return {name: row["fields"][name] for name in wanted}


# --- writing ------------------------------------------------------------------------------------------------


def written(row, fields, related, more, event, context, config):  # noqa: PLR0917 - everything a page shows
    yield f"# {linked(row)}"
    yield ""
    yield happened(row, event, context)
    yield ""
    for name, value in fields.items():
        yield f"- **{escaped(name)}:** {shown(value) or 'empty'}"
    text = "" if config.get("text") is False else row["text"].strip()
    if text:
        yield from ("", "## Text", "", text[:LONGEST_TEXT])
    if related:
        yield from ("", f"## Also about {shown(row['fields'][config['related_by']])}", "")
        yield from (f"- {linked(one)}" for one in related)
    if more or row["truncated"] or len(text) > LONGEST_TEXT:
        yield from ("", "*There is more than is shown here.*")
    yield ""


def happened(row, event, context):
    word = HAPPENED.get((event or {}).get("type"), "Latest row")
    moment = (event or {}).get("at") or row["created_at"]
    try:
        at = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    except (AttributeError, ValueError):
        return f"{word}."
    with suppress(ZoneInfoNotFoundError, ValueError, OSError):  # without zone data, in the zone it came with
        at = at.astimezone(ZoneInfo(context.get("timezone") or "UTC"))
    return f"{word}, {at.day} {at:%B %Y, %H:%M}."


def shown(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return escaped(", ".join(str(one) for one in value))
    text = escaped("" if value is None else str(value))
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE].rsplit(" ", 1)[0] + " …"


run(main)
