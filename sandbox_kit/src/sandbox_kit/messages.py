"""Messages out of what earlier steps wrote: in full or shortened, within the room that a service has."""

from __future__ import annotations

import re
from typing import Any, Mapping, Sequence  # noqa: UP035 - Python 3.9 reads this too

from sandbox_kit.entries import Json
from sandbox_kit.found import carried, entries_of, filled, happened, known, nothing_found, results
from sandbox_kit.layout import detail_lines, escaped, linkable
from sandbox_kit.skill import Refused, Request

__all__ = [
    "ELSEWHERE",
    "fitted",
    "message_of",
    "one_line",
    "said",
    "shortened",
    "subject_of",
    "text_of",
    "whole_of",
]

TEXTS = ("report", "text", "message", "summary")  # the fullest first
ELSEWHERE = "The whole report is in the agent's inbox in OmniForge."
CUT = f"*Shortened: there is no more room in one message. {ELSEWHERE}*"
LEAD_LINES = 3  # of a text, before its first section
FIRST_ENTRIES = 3  # of each section
MOST_SECTIONS = 12
SHORT = 600  # characters of a summary's line
LONGEST_SUBJECT = 200


def message_of(request: Request, wanted: Mapping[str, Any]) -> str:
    """What to send; empty when there is nothing to tell.

    wanted: `content` (full, summary, summary_and_link, text), `text` with `{field}` names, `urgent`, `always`
    (also when nothing was found), and `room`, the characters that the service takes.
    """
    if nothing_found(request) and not wanted.get("always"):
        return ""
    text, content = str(wanted.get("text") or ""), wanted.get("content")
    whole = whole_of(request)
    if text and content == "text":
        parts = [filled(text, known(request))]
    elif text:
        parts = [filled(text, known(request)), whole]
    elif not whole:
        raise Refused("There is nothing to send: no step before this one wrote a text.")
    else:
        parts = [whole if content == "full" else summary_of(request, whole)]
        if content == "summary_and_link":
            parts.append(_link(request))
    if wanted.get("urgent"):
        parts.insert(0, "🔴 **Urgent**")
    return fitted([part for part in parts if part.strip()], int(wanted.get("room") or 30_000))


def whole_of(request: Request) -> str:
    """The texts of everything this step needs, one under the other; without any, what happened."""
    texts = [text_of(result) for result in results(request)]
    whole = "\n\n".join(text for text in texts if text)
    if whole:
        return whole
    event = happened(request)
    if event is None:
        return ""
    return "\n".join(
        [f"**{escaped(event['title'] or 'Something happened')}**", "", *detail_lines(event["fields"])]
    )


def text_of(result: Mapping[str, Any]) -> str:
    """What one step wrote for people."""
    for key in TEXTS:
        value = result.get(key)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return ""


def said(request: Request, message: str, where: str) -> Json:
    """The result of a step that sent a message, or had none to send: the whole text stays the result."""
    whole = whole_of(request) or message
    output: Json = {**carried(request), "text": whole, "sent": message, "to": where, "posted": bool(message)}
    if not message:
        return {"output": output, "message": "There was nothing to send.", "status": "empty"}
    return {"output": output, "message": f"Sent to {where}."}


def subject_of(request: Request, message: str) -> str:
    """One line: the title that an earlier step gave, else the beginning of the message."""
    titles = [result.get("title") for result in results(request)]
    happening = happened(request)
    given = next((one for one in titles if isinstance(one, str) and one.strip()), "")
    beginning = re.sub(r"[*_`#\[\]\\]", "", message.strip().partition("\n")[0])
    return one_line(given or (happening["title"] if happening else "") or beginning) or "From OmniForge"


def one_line(text: str) -> str:
    """A text as a title: one line of plain characters."""
    plain = "".join(c if c.isprintable() else " " for c in text.strip()[:2_000])
    return " ".join(plain.split())[:LONGEST_SUBJECT]


def summary_of(request: Request, whole: str) -> str:
    given = [result.get("summary") for result in results(request)]
    summaries = [one.strip() for one in given if isinstance(one, str) and one.strip()]
    return "\n\n".join(summaries) or shortened(whole)


def _link(request: Request) -> str:
    """An address of the whole; else where it is found."""
    found = [result.get(key) for result in results(request) for key in ("link", "url")]
    entries = entries_of(request)
    found += [entries[0]["url"]] if len(entries) == 1 else []
    address = next((linkable(one) for one in found if linkable(one)), "")
    return f"[Whole report]({address})" if address else ELSEWHERE


def shortened(whole: str) -> str:
    """The beginning, then each section with its number of entries and the first of them."""
    lead, sections = _taken_apart(whole)
    lines = lead[:LEAD_LINES]
    for section in sections[:MOST_SECTIONS]:
        name, entries = section["name"], section["entries"]
        if name or lines:
            lines.append("")
        if name:
            lines += [f"**{name}**" + (f" ({len(entries)})" if entries else "")]
        lines += [line[:SHORT] for line in [*section["head"], *entries[:FIRST_ENTRIES]]]
        if len(entries) > FIRST_ENTRIES:
            lines.append(f"… and {len(entries) - FIRST_ENTRIES} more")
    if len(sections) > MOST_SECTIONS:
        lines += ["", f"… and {len(sections) - MOST_SECTIONS} more sections"]
    return "\n".join(lines).strip()


def _taken_apart(whole: str) -> tuple[list[str], list[Json]]:
    """The lines before the first section, and the sections with the entries of their lists and tables. What
    is listed before any heading is a section without a name; `head` are the first two lines of a table.
    """
    lead: list[str] = []
    sections: list[Json] = []
    for line in (part.rstrip() for part in whole.splitlines()):
        if re.match(r"#{2,6} ", line):
            sections.append({"name": line.lstrip("# ").replace("*", ""), "head": [], "entries": []})
        elif re.match(r"([-*+]|\d+[.)]) |\|", line):
            if not sections:
                sections.append({"name": "", "head": [], "entries": []})
            section = sections[-1]
            section["entries"].append(line)
            if re.fullmatch(r"[|\s:-]+", line) and len(section["entries"]) > 1:
                section["head"], section["entries"] = section["entries"], []
        elif line.strip() and not sections:
            lead.append(line[:SHORT])
    return lead, sections


def fitted(parts: Sequence[str], room: int) -> str:
    """The parts with a free line between them; when they are too long, the longest is cut at a line's end."""
    message = "\n\n".join(parts)
    if size(message) <= room:
        return message
    longest = max(range(len(parts)), key=lambda at: size(parts[at]))
    left = room - sum(size(part) + 2 for at, part in enumerate(parts) if at != longest) - len(CUT) - 2
    kept, lines = 0, list[str]()
    for line in parts[longest].splitlines():
        kept += size(line) + 1
        if kept > left:
            break
        lines.append(line)
    short = "\n".join(lines) or parts[longest][: left // 5]
    return "\n\n".join([*parts[:longest], short, *parts[longest + 1 :], CUT])


def size(words: str) -> int:
    """How long a strict service finds it: three signs are written as several."""
    return len(words) + 4 * words.count("&") + 3 * (words.count("<") + words.count(">"))
