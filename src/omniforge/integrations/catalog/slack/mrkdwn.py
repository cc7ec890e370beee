"""Markdown as Slack's own markup, in which nothing from outside can call people or channels. Pure."""

from __future__ import annotations

import re

LONGEST_TEXT = 40_000
"""Characters Slack keeps of a message; it cuts off the rest without a word."""

FENCE = "```"
HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.+?)[ \t#]*")
BULLET = re.compile(r"([ \t]*)[-*+][ \t]+(.*)")
RULE = re.compile(r" {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*")
PIECES = re.compile(
    r"(?P<code>`[^`\n]+`)"
    r"|\\(?P<literal>[\\`*_{}\[\]<>()#+\-.!|~&])"
    r"|!?\[(?P<label>(?:\\.|[^\[\]\\\n]){1,500})\]\((?P<target>(?:https?://|mailto:)[^\s()<>]{1,2000})\)"
    r"|<(?P<bare>https?://[^\s<>]{1,2000})>"
    r"|\*\*\*(?P<both>(?:\\.|[^*\\\n]){1,1000})\*\*\*"
    r"|\*\*(?P<bold>(?:\\.|[^*\\\n]){1,1000})\*\*"
    r"|(?<![\w*])\*(?P<italic>(?:\\.|[^*\\\s])(?:\\.|[^*\\\n]){0,998})\*(?![\w*])"
    r"|~~(?P<struck>(?:\\.|[^~\\\n]){1,1000})~~"
)


def escaped(words: str) -> str:
    """Words that are shown as they are: Slack gives a meaning to these three only."""
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mrkdwn(markdown: str) -> str:
    """Markdown as Slack writes it; headings become bold, tables fixed-width text."""
    lines: list[str] = []
    fenced, table = False, False
    for line in markdown.replace("\r\n", "\n").split("\n"):
        opens = line.lstrip().startswith(FENCE)
        in_table = not fenced and not opens and line.startswith("|")
        if in_table != table:
            lines.append(FENCE)
            table = in_table
        if opens:
            fenced = not fenced
            lines.append(FENCE)
        elif fenced or in_table:
            lines.append(escaped(_without_escapes(line) if in_table else line))
        else:
            lines.append(_line(line))
    if table or fenced:
        lines.append(FENCE)
    return "\n".join(lines).strip("\n")


def _line(line: str) -> str:
    if RULE.fullmatch(line):
        return "———"
    if found := HEADING.fullmatch(line):
        words = _inline(found[1]).replace("*", "")
        return f"*{words}*"
    if found := BULLET.fullmatch(line):
        return f"{found[1]}• {_inline(found[2])}"
    if line.startswith("> "):
        return f"> {_inline(line[2:])}"
    return _inline(line)


def _inline(words: str) -> str:
    parts: list[str] = []
    end = 0
    for found in PIECES.finditer(words):
        parts.append(escaped(words[end : found.start()]))
        parts.append(_piece(found))
        end = found.end()
    return "".join([*parts, escaped(words[end:])])


def _piece(found: re.Match[str]) -> str:
    given = found[found.lastgroup or 0]
    match found.lastgroup:
        case "target":
            label = escaped(_without_escapes(found["label"])).replace("|", "¦")
            return f"<{_address(given)}|{label}>"
        case "bare":
            return f"<{_address(given)}>"
        case "both":
            return f"*_{_inline(given)}_*"
        case "bold":
            return f"*{_inline(given)}*"
        case "italic":
            return f"_{_inline(given)}_"
        case "struck":
            return f"~{_inline(given)}~"
        case _:
            return escaped(given)


def _address(given: str) -> str:
    return escaped(given).replace("|", "%7C")


def _without_escapes(words: str) -> str:
    return re.sub(r"\\([\\`*_{}\[\]<>()#+\-.!|~&])", r"\1", words)
