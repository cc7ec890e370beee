"""Collects what happened in GitHub repositories over a stretch of time and writes a summary in Markdown."""

import difflib
import json
import re
from datetime import datetime

from sandbox_kit.layout import escaped, linked
from sandbox_kit.skill import Refused, ToolError, call, run
from sandbox_kit.windows import span_words, window_bounds, zone_of

KINDS = {
    "releases": "Releases",
    "merged_pulls": "Merged pull requests",
    "opened_pulls": "Opened pull requests",
    "closed_pulls": "Pull requests closed without merging",
    "closed_issues": "Closed issues",
    "opened_issues": "Opened issues",
}
LONGEST_TITLE = 300
MOST_LABELS = 20
ROOM = 250_000  # characters of rows in the answer; the report needs at most twice as much again
READS = (2_000, 500, 100, 20)


def main(request):
    zone, zone_note = zone_of(request.context)
    now = datetime.fromisoformat(request.context["now"].replace("Z", "+00:00")).astimezone(zone)
    window = request.input.get("timeframe") or request.config.get("window") or "last_week"
    after, before = window_bounds(str(window), now)
    show = chosen_kinds(request.config)
    highlight = texts(request.config, "highlight")
    names = chosen_repositories(request.config.get("repositories"))

    found, cut = read_repositories(names, show, after, before)
    found = in_order(found, names, show, highlight)
    rows = fitting(found)
    notes = [zone_note]
    if cut:
        notes.append(f"Not everything could be read from {', '.join(cut)}: this report is incomplete.")
    if len(rows) < len(found):
        notes.append(f"Only the first {len(rows)} of {len(found)} entries are shown.")

    span, counted = span_words(after, before), f"{len(found)} {'entry' if len(found) == 1 else 'entries'}"
    numbers = [f"{KINDS[kind]}: {count}" for kind, count in counts(found, show)]
    head = [f"# GitHub activity in {escaped(', '.join(names))}", "", " · ".join([span, *numbers]), ""]
    middle = body(rows, names, show) if found else ["Nothing happened in this time.", ""]
    report = "\n".join([*head, *middle, *(f"*{escaped(note)}*\n" for note in notes if note)])
    with open("report.md", "w", encoding="utf-8") as file:
        file.write(report)
    return {
        "output": {
            "report": report,
            "items": len(found),
            "repositories": names,
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


def chosen_kinds(config):
    show = list(dict.fromkeys(texts(config, "show"))) or list(KINDS)
    unknown = [kind for kind in show if kind not in KINDS]
    if unknown:
        raise Refused(f"The setting `show` cannot hold {unknown[0][:80]!r}. It can hold {', '.join(KINDS)}.")
    return show


# --- finding ------------------------------------------------------------------------------------------------


def chosen_repositories(wanted):
    """`owner/name` of each, once; a name alone has to mean exactly one."""
    wanted = [wanted] if isinstance(wanted, str) else wanted
    if not isinstance(wanted, list) or not wanted:
        raise Refused("Say which repositories to read: the setting `repositories` must be a list of names.")
    found = {}
    for one in wanted:
        name = one.get("id") if isinstance(one, dict) else one
        name = full_name(str(name or "").strip())
        found.setdefault(name.casefold(), name)
    return list(found.values())


def full_name(wanted):
    bare = re.sub(r"^(https?://)?(www\.)?github\.com/", "", wanted).removesuffix(".git").strip("/")
    parts = bare.split("/")
    if len(parts) == 2 or wanted != bare:
        return "/".join(parts[:2])
    everything = call("github.list_repositories")["repositories"]
    same = [one["name"] for one in everything if one["name"].rpartition("/")[2].casefold() == bare.casefold()]
    if len(same) == 1:
        return same[0]
    if same:
        raise Refused(f"{len(same)} repositories are called {wanted!r}. Say which one: {', '.join(same)}.")
    hint = near_names(bare, [one["name"] for one in everything])
    raise Refused(f"There is no repository called {wanted[:200]!r} in this GitHub. {hint}")


def near_names(wanted, names):
    by_word = {name.rpartition("/")[2].casefold(): name for name in names}
    near = difflib.get_close_matches(wanted.casefold(), by_word, n=3, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(by_word[word] for word in near)}?"
    if names:
        return f"It has {', '.join(names[:5])}{' and more' if len(names) > 5 else ''}."
    return "No repository of it is shared with us."


# --- reading ------------------------------------------------------------------------------------------------


def read_repositories(names, show, after, before):
    """Everything that happened, as rows, and the repositories that hold more than was read."""
    rows, cut = [], []
    for name in names:
        truncated = False
        for found, more in read_repository(name, show, after.isoformat()):
            truncated |= more
            rows += [row for thing in found for row in row_of(name, thing, show, (after, before))]
        cut += [name] if truncated else []
    return rows, cut


def read_repository(name, show, after):
    """Lists of (thing, its title, what happened to it in order), and whether there is more. What happened in
    the window was updated in it or later; only what is to be shown is read.
    """
    if "releases" in show:
        found = in_parts(
            lambda limit: call("github.list_releases", repository=name, published_after=after, limit=limit)
        )
        listed = [(one, one["name"], [("releases", one["published_at"])]) for one in found["releases"]]
        yield listed, found["truncated"]
    if any(kind.endswith("pulls") for kind in show):
        found = in_parts(
            lambda limit: call("github.list_pull_requests", repository=name, updated_after=after, limit=limit)
        )
        yield [(one, one["title"], steps_of_pull(one)) for one in found["pull_requests"]], found["truncated"]
    if any(kind.endswith("issues") for kind in show):
        found = in_parts(
            lambda limit: call("github.list_issues", repository=name, updated_after=after, limit=limit)
        )
        yield [(one, one["title"], steps_of_issue(one)) for one in found["issues"]], found["truncated"]


def in_parts(read):
    """The latest of a list; fewer of it when it is too long to be handed over at once."""
    for limit in READS[:-1]:
        try:
            return read(limit)
        except ToolError as error:
            if error.code != "result_too_large":
                raise
    return read(READS[-1])


def steps_of_pull(one):
    over = ("merged_pulls", one["merged_at"]) if one["merged_at"] else ("closed_pulls", one["closed_at"])
    return [("opened_pulls", one["created_at"]), over]


def steps_of_issue(one):
    return [("opened_issues", one["created_at"]), ("closed_issues", one["closed_at"])]


def row_of(name, found, show, window):
    """One row for the last that happened to a thing in the window, none when nothing did."""
    thing, title, steps = found
    within = [(kind, at) for kind, at in steps if kind in show and at and window[0] <= moment(at) < window[1]]
    for kind, at in within[-1:]:
        yield {
            "title": clipped(title or "Untitled"),
            "url": thing["url"],
            "repository": name,
            "kind": kind,
            "number": thing.get("number"),
            "author": thing["author"],
            "at": at,
            "labels": thing.get("labels", [])[:MOST_LABELS],
        }


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


# --- choosing and ordering ----------------------------------------------------------------------------------


def in_order(rows, names, show, highlight):
    """By repository and kind as asked for, then highlighted labels first, then the latest first."""

    def weight(row):
        held = {label.casefold() for label in row["labels"]}
        first = (at for at, label in enumerate(highlight) if label.casefold() in held)
        return names.index(row["repository"]), show.index(row["kind"]), next(first, len(highlight))

    latest = sorted(rows, key=lambda row: moment(row["at"]), reverse=True)
    return sorted(latest, key=weight)


def clipped(text):
    return text if len(text) <= LONGEST_TITLE else text[:LONGEST_TITLE].rsplit(" ", 1)[0] + " …"


def fitting(rows):
    """As many rows, from the first, as an answer has room for."""
    room = ROOM
    for count, row in enumerate(rows):
        room -= len(json.dumps(row))
        if room < 0:
            return rows[:count]
    return rows


# --- writing ------------------------------------------------------------------------------------------------


def counts(rows, show):
    """How many there are of each kind there is something of."""
    kinds = [row["kind"] for row in rows]
    return [(kind, kinds.count(kind)) for kind in show if kind in kinds]


def body(rows, names, show):
    lines = []
    for name in names:
        inside = [row for row in rows if row["repository"] == name]
        lines += [f"## {escaped(name)}", ""] if len(names) > 1 else []
        lines += [] if inside else ["Nothing happened in this time.", ""]
        for kind in show:
            members = [row for row in inside if row["kind"] == kind]
            if members:
                lines += [f"{'###' if len(names) > 1 else '##'} {KINDS[kind]}", "", *map(bullet, members), ""]
    return lines


def bullet(row):
    number = f" #{row['number']}" if row["number"] else ""
    labels = f" · {', '.join(escaped(label) for label in row['labels'])}" if row["labels"] else ""
    author = f" — {escaped(row['author'])}" if row["author"] else ""
    return f"- **{linked(row)}**{number}{author}{labels}"


run(main)
