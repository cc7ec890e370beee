"""Collects the issues of Linear teams and projects in a stretch of time and writes a summary in Markdown."""

import difflib
import json
from datetime import datetime

from sandbox_kit.layout import escaped, linked
from sandbox_kit.skill import Refused, ToolError, call, run
from sandbox_kit.windows import span_words, window_bounds, zone_of

MOMENTS = ("updated", "created", "completed")
GROUPS = {
    "state": "No state",
    "assignee": "Nobody",
    "priority": "No priority",
    "project": "No project",
    "team": "No team",
    "label": "No label",
}  # what stands over issues without a value
STATE_ORDER = ("completed", "started", "unstarted", "triage", "backlog", "canceled", "duplicate")
PRIORITY_ORDER = ("Urgent", "High", "Medium", "Low", "No priority")
LONGEST_TITLE = 300
MOST_LABELS = 20
ROOM = 250_000  # characters of rows in the answer; the report needs at most twice as much again
READS = (10_000, 2_000, 500, 100, 20)


def main(request):
    zone, zone_note = zone_of(request.context)
    now = datetime.fromisoformat(request.context["now"].replace("Z", "+00:00")).astimezone(zone)
    window = request.input.get("timeframe") or request.config.get("window") or "last_week"
    after, before = window_bounds(str(window), now)
    by = one_of(request.config, "by", MOMENTS)
    group = one_of(request.config, "group_by", tuple(GROUPS))
    states, highlight = texts(request.config, "states"), texts(request.config, "highlight")
    sources = chosen_sources(request.config)
    names = [source["name"] for source in sources]

    found, cut = read_sources(sources, by, states, after, before)
    rows = fitting(in_order(found, highlight))
    notes = [zone_note]
    if cut:
        notes.append(f"Not everything could be read from {', '.join(cut)}: this report is incomplete.")
    if len(rows) < len(found):
        notes.append(f"Only the first {len(rows)} of {len(found)} issues are shown.")

    span, counted = span_words(after, before), f"{len(found)} {'issue' if len(found) == 1 else 'issues'} {by}"
    numbers = [f"{state}: {count}" for state, count in state_counts(found)]
    head = [f"# Linear: {escaped(', '.join(names))}", "", " · ".join([span, counted, *numbers]), ""]
    middle = body(rows, group, highlight) if found else [f"No issue was {by} in this time.", ""]
    report = "\n".join([*head, *middle, *(f"*{escaped(note)}*\n" for note in notes if note)])
    with open("report.md", "w", encoding="utf-8") as file:
        file.write(report)
    return {
        "output": {
            "report": report,
            "items": len(found),
            "sources": names,
            "rows": rows,
            "truncated": bool(cut) or len(rows) < len(found),
        },
        "message": f"{counted} in {', '.join(names)}, {span}.",
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


def one_of(config, name, known):
    """A setting that is one of a few words; the first when it is left out."""
    value = config.get(name) or known[0]
    if value not in known:
        raise Refused(f"The setting `{name}` cannot be {str(value)[:80]!r}. It can be {', '.join(known)}.")
    return value


# --- finding ------------------------------------------------------------------------------------------------


def chosen_sources(config):
    """`{"argument", "id", "name"}` of each team and project, once; a name has to mean exactly one."""
    found = {}
    for setting, word, argument in (("teams", "team", "team_id"), ("projects", "project", "project_id")):
        wanted = config.get(setting) or []
        wanted = wanted if isinstance(wanted, list) else [wanted]
        for one in wanted:
            known = one if is_known(one) else find(word, str(one).strip())
            source = {"argument": argument, "id": known["id"], "name": known["name"]}
            found.setdefault((argument, known["id"]), source)
    if not found:
        raise Refused("Say what to read: the setting `teams` or `projects` must be a list of names or ids.")
    return list(found.values())


def is_known(wanted):
    return isinstance(wanted, dict) and all(isinstance(wanted.get(key), str) for key in ("id", "name"))


def find(word, wanted):
    everything = call("linear.list_teams")["teams"] if word == "team" else named_projects(wanted)
    same = called(wanted, everything)
    if len(same) == 1:
        return same[0]
    if same:
        ids = ", ".join(one["id"] for one in same)
        raise Refused(f"{len(same)} {word}s are called {wanted!r}. Give the id of the one you mean: {ids}.")
    hint = near_names(wanted, [one["name"] for one in everything], word)
    raise Refused(f"There is no {word} called {wanted[:200]!r} in this Linear. {hint}")


def named_projects(wanted):
    """Projects with the name in theirs; all of them when there is none, which takes longer."""
    found = call("linear.list_projects", search=wanted[:200])["projects"]
    return found if called(wanted, found) else call("linear.list_projects")["projects"]


def called(wanted, things):
    """Those of exactly this id, key or name or, when there is none, of this name in another case."""
    exact = [one for one in things if wanted in (one["id"], one.get("key"), one["name"])]
    word = wanted.casefold()
    return exact or [
        one for one in things if word in (one["name"].casefold(), (one.get("key") or "").casefold())
    ]


def near_names(wanted, names, word):
    by_word = {name.casefold(): repr(name) for name in names}
    near = difflib.get_close_matches(wanted.casefold(), by_word, n=3, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(by_word[one] for one in near)}?"
    if names:
        return f"It has {', '.join(list(by_word.values())[:5])}{' and more' if len(by_word) > 5 else ''}."
    return f"No {word} of it can be seen by us."


# --- reading ------------------------------------------------------------------------------------------------


def read_sources(sources, by, states, after, before):
    """All issues as rows, each once, and the names of teams and projects that hold more."""
    rows, cut = {}, []
    for source in sources:
        asked = {source["argument"]: source["id"], f"{by}_after": after.isoformat(), "states": states}
        answer = in_parts({**asked, f"{by}_before": before.isoformat()})
        for issue in answer["issues"]:
            rows.setdefault(issue["id"], row_of(issue))
        cut += [source["name"]] if answer["truncated"] else []
    return list(rows.values()), cut


def in_parts(asked):
    """The latest issues; fewer of them when they are too long to be handed over at once."""
    for limit in READS[:-1]:
        try:
            return call("linear.read_issues", **asked, limit=limit)
        except ToolError as error:
            if error.code != "result_too_large":
                raise
    return call("linear.read_issues", **asked, limit=READS[-1])


def row_of(issue):
    kept = (
        "identifier",
        "url",
        "state",
        "state_type",
        "priority",
        "assignee",
        "team",
        "project",
        "due",
        "updated_at",
    )
    return {
        "title": clipped(issue["title"] or "Untitled"),
        **{name: issue[name] for name in kept},
        "labels": issue["labels"][:MOST_LABELS],
    }


def clipped(text):
    return text if len(text) <= LONGEST_TITLE else text[:LONGEST_TITLE].rsplit(" ", 1)[0] + " …"


# --- choosing and ordering ----------------------------------------------------------------------------------


def in_order(rows, highlight):
    """Highlighted issues first, otherwise as they were read: the latest first."""

    def weight(row):
        held = [*row["labels"], row["priority"], row["state"]]
        return min(place(value, highlight) for value in held)

    return sorted(rows, key=weight)


def place(value, highlight):
    """Where a value stands among the highlighted ones; after all of them when it is none."""
    word = str(value).casefold()
    return next((at for at, one in enumerate(highlight) if one.casefold() == word), len(highlight))


def fitting(rows):
    """As many rows, from the first, as an answer has room for."""
    room = ROOM
    for count, row in enumerate(rows):
        room -= len(json.dumps(row))
        if room < 0:
            return rows[:count]
    return rows


def state_counts(rows):
    """How many issues are in each state, in the order of work."""
    counts = {}
    for row in sorted(rows, key=state_place):
        counts[row["state"]] = counts.get(row["state"], 0) + 1
    return counts.items()


def state_place(row):
    known = row["state_type"] in STATE_ORDER
    return STATE_ORDER.index(row["state_type"]) if known else len(STATE_ORDER), row["state"].casefold()


def grouped(rows, group, highlight):
    """(heading, rows) pairs: highlighted values first, then in their own order, the empty one last."""
    groups = {}
    for row in rows:
        values = row["labels"] if group == "label" else [row[group]]
        for value in values or [None]:
            empty = not value or value == GROUPS[group]
            key = (empty, place(value, highlight), own_place(row, value, group))
            groups.setdefault(key, (value or GROUPS[group], []))[1].append(row)
    return [groups[key] for key in sorted(groups)]


def own_place(row, value, group):
    """Where a group stands by itself: states in the order of work, priorities by weight, others by name."""
    if group == "state":
        return state_place(row)
    weight = PRIORITY_ORDER.index(value) if group == "priority" and value in PRIORITY_ORDER else 0
    return weight, str(value).casefold()


# --- writing ------------------------------------------------------------------------------------------------


def body(rows, group, highlight):
    lines = []
    for heading, members in grouped(rows, group, highlight):
        lines += [f"## {escaped(heading)}", "", *(bullet(row, group) for row in members), ""]
    return lines


def bullet(row, group):
    pairs = [
        ("state", row["state"]),
        ("assignee", row["assignee"]),
        ("priority", row["priority"] if row["priority"] != GROUPS["priority"] else None),
        ("project", row["project"]),
        ("due", f"due {row['due']}" if row["due"] else None),
        ("label", ", ".join(row["labels"])),
    ]
    details = " · ".join(escaped(text) for name, text in pairs if text and name != group)
    named = {"title": f"{row['identifier']} {row['title']}", "url": row["url"]}
    return f"- **{linked(named)}**" + (f" — {details}" if details else "")


run(main)
