"""Writes rows, or a report, of the step before as a Markdown table, as bullets or as CSV."""

import csv
import io
import json
import re
from urllib.parse import quote

from sandbox_kit.skill import Refused, run

ROOM = 500_000  # bytes of the text in the answer
NOT_SHOWN = ("id",)


def main(request):
    config = request.config
    form = config.get("format") or "table"
    if form not in FORMS:
        raise Refused(f"The format {str(form)[:80]!r} is not known. It can be {', '.join(FORMS)}.")
    rows = rows_of(request.input)
    columns = chosen_columns(config.get("columns"), rows, is_linked=form != "csv")
    head, lines = FORMS[form](rows, columns) if rows else ([], [])
    if config.get("title") and form != "csv":
        head = [f"# {escaped(str(config['title']))}", "", *head]
    path = "report.csv" if form == "csv" else "report.md"
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(joined([*head, *lines]))

    fit = fitting(head, lines)
    report = joined([*head, *fit]) if rows else "There is nothing to show.\n"
    message = f"{len(rows)} {'row' if len(rows) == 1 else 'rows'} written as {form}."
    if len(fit) < len(rows):
        note = f"Only the first {len(fit)} of {len(rows)} rows are shown here; the file holds all."
        report, message = report + (f"\n*{note}*\n" if form != "csv" else ""), f"{message} {note}"
    return {
        "output": {"report": report, "items": len(rows)},
        "message": message,
        "artifacts": [{"path": path, "title": "Report"}] if rows else [],
        "status": "ok" if rows else "empty",
    }


def joined(lines):
    return "".join(f"{line}\n" for line in lines)


def fitting(head, lines):
    """As many lines, from the first, as the answer has room for."""
    room = ROOM - len(joined(head).encode())
    for count, line in enumerate(lines):
        room -= len(line.encode()) + 1
        if room < 0:
            return lines[:count]
    return lines


# --- rows ---------------------------------------------------------------------------------------------------


def rows_of(given):
    """The rows of the step before as flat objects."""
    rows, report = given.get("rows"), given.get("report")
    if isinstance(rows, list):
        return [flat(row) for row in rows]
    if isinstance(report, str):
        return rows_of_report(report)
    held = ", ".join(sorted(given))[:200] or "nothing"
    raise Refused(f"The step before must give `rows` (a list) or `report` (text). It gave {held}.")


def flat(row):
    if not isinstance(row, dict):
        return {"value": row}
    fields = row.get("fields")
    if not isinstance(fields, dict):
        return row
    return {**{name: value for name, value in row.items() if name != "fields"}, **fields}


def rows_of_report(report):
    """Each line of a Markdown text as a row with its section; each line of a table with its own columns."""
    rows, section, table = [], "", None
    for line in map(str.strip, report.splitlines()):
        titled = re.fullmatch(r"#{1,6}\s+(.*)", line)
        if line.startswith("|"):
            cells = [unmarked(cell) for cell in re.split(r"(?<!\\)\|", line)[1:]]
            if table is None:
                table = cells
            elif not re.fullmatch(r"[|\s:-]+", line):
                rows.append({name: cell for name, cell in zip(table, cells) if name})  # noqa: B905 - old Pythons
            continue
        table = None
        if titled:
            section = unmarked(titled[1])
        elif line:
            rows.append({"section": section, "text": unmarked(line)})
    return rows if any(row.get("section") for row in rows) else [without_section(row) for row in rows]


def without_section(row):
    return {name: value for name, value in row.items() if name != "section" or value}


def unmarked(text):
    """Markdown as the plain text it shows; a link becomes its words and its address."""
    text = re.sub(r"^([-*+]|\d+[.)])\s+", "", text.strip())
    text = re.sub(r"(?<!\\)\[((?:\\.|[^\[\]\\])*)\]\(([^()\s]*)\)", r"\1 (\2)", text)
    return re.sub(r"\\([!-/:-@\[-`{-~])|\*\*|(?<!\\)[*`]", lambda found: found[1] or "", text)


def chosen_columns(wanted, rows, is_linked):
    """The wanted columns; without any, all there are. An address that the title links to needs no column."""
    if wanted:
        columns = wanted if isinstance(wanted, list) else [wanted]
        if not all(isinstance(name, str) for name in columns):
            raise Refused("The setting `columns` must be a list of texts.")
        return columns
    names = list({name: None for row in rows for name in row if name not in NOT_SHOWN})
    return [name for name in names if not (is_linked and name == "url" and "title" in names)]


# --- forms --------------------------------------------------------------------------------------------------


def as_table(rows, columns):
    head = ["| " + " | ".join(heading(name) for name in columns) + " |", "|" + " --- |" * len(columns)]
    return head, ["| " + " | ".join(cell(row, name) or "—" for name in columns) + " |" for row in rows]


def as_bullets(rows, columns):
    return [], [bullet(row, columns) for row in rows]


def bullet(row, columns):
    filled = [(name, cell(row, name)) for name in columns if cell(row, name)]
    if not filled:
        return "- —"
    (_, first), *others = filled
    details = " · ".join(f"{heading(name)}: {text}" for name, text in others)
    return f"- **{first}**" + (f" — {details}" if details else "")


def as_csv(rows, columns):
    return [csv_line(columns)], [csv_line([plain(row.get(name)) for name in columns]) for row in rows]


def csv_line(cells):
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([defused(cell) for cell in cells])  # both get quoted
    return text.getvalue()[:-2]


def defused(text):
    """A spreadsheet takes what begins like this for a formula; a number is none."""
    is_number = re.fullmatch(r"[-+]?\d+(\.\d+)?", text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) and not is_number else text


FORMS = {"table": as_table, "bullets": as_bullets, "csv": as_csv}


def heading(name):
    """A name as people write it: `edited_at` becomes Edited at, a field of somebody's own stays."""
    words = name.replace("_", " ").capitalize() if re.fullmatch(r"[a-z][a-z0-9_]*", name) else name
    return escaped(words)


def cell(row, name):
    text, url = escaped(plain(row.get(name))), row.get("url")
    if name == "title" and text and isinstance(url, str) and url.startswith(("https://", "http://")):
        return f"[{text}]({quote(url, safe=':/?#@!$&*+,;=%~-._')})"
    return text


def plain(value):
    """A value as text for people."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(plain, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def escaped(text):
    """Text from elsewhere as plain words: one line, no Markdown of its own."""
    text = re.sub(r"([\\`*_\[\]<>#|~!])", r"\\\1", " ".join(text.split()))
    return re.sub(r"^([-+]|\d+[.)])(?=\s)", r"\\\1", text)


run(main)
