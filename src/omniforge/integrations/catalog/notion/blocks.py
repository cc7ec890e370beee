"""Notion's blocks as Markdown, and Markdown as blocks. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from omniforge.integrations.catalog.notion.shapes import MOST_PARTS, Json, plain_text, rich_text
from omniforge.integrations.loose import items, mapping, text

PREFIXES = {
    "paragraph": "",
    "heading_1": "# ",
    "heading_2": "## ",
    "heading_3": "### ",
    "heading_4": "#### ",
    "bulleted_list_item": "- ",
    "numbered_list_item": "1. ",
    "toggle": "- ",
    "quote": "> ",
    "callout": "> ",
}
LIST_KINDS = frozenset({"bulleted_list_item", "numbered_list_item", "to_do", "toggle"})
TRANSPARENT = frozenset({"column_list", "column", "synced_block", "table"})
"""Blocks that show only what is inside them."""
LINKED = frozenset({"bookmark", "embed", "image", "file", "pdf", "video", "audio", "link_preview"})

MOST_BLOCKS = 100
"""Most blocks Notion takes in one request."""
MOST_BYTES = 300_000
"""Notion takes 500 KB in one request; property values go along with the first."""

NUMBERED = re.compile(r"\d{1,6}[.)] ")
BOLD = re.compile(r"\*\*([^*]{1,2000})\*\*")


def markdown(blocks: Sequence[Json], depth: int = 0) -> str:
    """Blocks with their `children` filled in, as Markdown; nested list items are indented."""
    lines: list[str] = []
    previous = ""
    for block in blocks:
        kind = text(block.get("type"))
        written = _block(block, kind, depth)
        if not written:
            continue
        if lines and not (kind == previous and (kind in LIST_KINDS or kind == "table_row")):
            lines.append("")
        lines.append(written)
        previous = kind
    return "\n".join(lines)


def _block(block: Json, kind: str, depth: int) -> str:
    inside = items(block.get("children"))
    if kind in TRANSPARENT:
        return markdown(inside, depth)
    line = _line(block, kind)
    pad = "  " * depth
    written = "\n".join(pad + part for part in line.split("\n")) if line else ""
    below = markdown(inside, depth + 1 if kind in LIST_KINDS else depth) if inside else ""
    gap = "\n" if kind in LIST_KINDS else "\n\n"
    return gap.join(part for part in (written, below) if part)


def _line(block: Json, kind: str) -> str:
    content = mapping(block.get(kind))
    match kind:
        case "to_do":
            return f"- [{'x' if content.get('checked') is True else ' '}] {_styled(content)}"
        case "code":
            return f"```{text(content.get('language'))}\n{plain_text(content.get('rich_text'))}\n```"
        case "divider":
            return "---"
        case "equation":
            return f"$${text(content.get('expression'))}$$"
        case "child_page" | "child_database":
            return f"[{text(content.get('title'))}]"
        case "table_row":
            cells = content.get("cells")
            rows: list[object] = cells if isinstance(cells, list) else []  # pyright: ignore[reportUnknownVariableType]
            return "| " + " | ".join(plain_text(cell) for cell in rows) + " |"
        case _ if kind in LINKED:
            return _link(content)
        case _:
            words = _styled(content)
            prefix = PREFIXES.get(kind, "")
            return prefix + words.replace("\n", "\n" + prefix if prefix == "> " else "\n") if words else ""


def _styled(content: Json) -> str:
    return "".join(_part(part) for part in items(content.get("rich_text")))


def _part(part: Json) -> str:
    words = plain_text([part])
    look = mapping(part.get("annotations"))
    core = words.strip()
    if not core:
        return words
    if look.get("code") is True:
        styled = f"`{core}`"
    else:
        styled = f"~~{core}~~" if look.get("strikethrough") is True else core
        styled = f"*{styled}*" if look.get("italic") is True else styled
        styled = f"**{styled}**" if look.get("bold") is True else styled
    href = text(part.get("href"))
    return words.replace(core, f"[{styled}]({href})" if href else styled, 1)


def _link(content: Json) -> str:
    address = text(content.get("url"))
    for place in ("external", "file"):
        address = address or text(mapping(content.get(place)).get("url"))
    caption = plain_text(content.get("caption")) or text(content.get("name")) or address
    return f"[{caption}]({address})" if address else ""


def blocks_of(source: str) -> list[Json]:
    """Markdown as a flat list of blocks: headings, lists, to-dos, quotes, code, dividers, paragraphs."""
    parsed = _parsed(source.replace("\r\n", "\n").split("\n"))
    return [part for block in parsed for part in _fitting(block)]


def _fitting(block: Json) -> Iterator[Json]:
    """The block, or several of its kind when its text is more than Notion takes in one."""
    kind = text(block.get("type"))
    content = mapping(block.get(kind))
    if "rich_text" not in content:
        yield block
        return
    for parts in _cut(items(content["rich_text"]), MOST_PARTS):
        yield {**block, kind: {**content, "rich_text": parts}}


def batches(blocks: Sequence[Json]) -> list[list[Json]]:
    """The blocks in requests that Notion takes: so many at most, and so many bytes. There is a first one."""
    return _cut(blocks, MOST_BLOCKS)


def _cut(parts: Sequence[Json], most: int) -> list[list[Json]]:
    cut: list[list[Json]] = [[]]
    size = 0
    for part in parts:
        length = len(json.dumps(part))
        if cut[-1] and (len(cut[-1]) == most or size + length > MOST_BYTES):
            cut.append([])
            size = 0
        cut[-1].append(part)
        size += length
    return cut


def _parsed(lines: list[str]) -> Iterator[Json]:
    paragraph: list[str] = []
    position = 0
    while position < len(lines):
        line = lines[position]
        position += 1
        stripped = line.strip()
        block = _single(stripped)
        if stripped and block is None and not stripped.startswith("```"):
            paragraph.append(stripped)
            continue
        if paragraph:
            yield _made("paragraph", "\n".join(paragraph))
            paragraph = []
        if stripped.startswith("```"):
            end = next((i for i in range(position, len(lines)) if lines[i].strip() == "```"), len(lines))
            yield _code("\n".join(lines[position:end]))
            position = end + 1
        elif block is not None:
            yield block
    if paragraph:
        yield _made("paragraph", "\n".join(paragraph))


def _single(line: str) -> Json | None:
    """The block a line makes by itself; None when it is part of a paragraph, or empty."""
    if line in ("---", "***", "___"):
        return {"object": "block", "type": "divider", "divider": {}}
    for level in (3, 2, 1):
        if line.startswith("#" * level + " "):
            return _made(f"heading_{level}", line[level + 1 :])
    for sign, checked in (("- [ ] ", False), ("- [x] ", True), ("- [X] ", True)):
        if line.startswith(sign):
            made = _made("to_do", line[len(sign) :])
            made["to_do"]["checked"] = checked
            return made
    if line.startswith(("- ", "* ")):
        return _made("bulleted_list_item", line[2:])
    if line.startswith("> "):
        return _made("quote", line[2:])
    if number := NUMBERED.match(line):
        return _made("numbered_list_item", line[number.end() :])
    return None


def _made(kind: str, words: str) -> Json:
    return {"object": "block", "type": kind, kind: {"rich_text": _rich(words)}}


def _code(words: str) -> Json:
    return {
        "object": "block",
        "type": "code",
        "code": {"rich_text": rich_text(words), "language": "plain text"},
    }


def _rich(words: str) -> list[Json]:
    parts: list[Json] = []
    position = 0
    for match in BOLD.finditer(words):
        parts += rich_text(words[position : match.start()])
        parts += [{**part, "annotations": {"bold": True}} for part in rich_text(match.group(1))]
        position = match.end()
    return parts + rich_text(words[position:])
