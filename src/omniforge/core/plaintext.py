"""Text out of what pages, feeds and mail are written in: charsets that are believed, HTML to words (pure)."""

from __future__ import annotations

import codecs
import re
from html.parser import HTMLParser

CHARSETS = (
    *("utf-8", "utf-16", "utf-32", "ascii", "iso8859", "cp125", "koi8", "gb", "big5", "euc_"),
    *("shift_jis", "iso2022", "mac-"),
)
BLOCKS = frozenset(
    (
        *("address", "article", "aside", "blockquote", "br", "div", "dl", "dt", "dd", "fieldset", "figure"),
        *("footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol"),
        *("p", "pre", "section", "table", "tr", "ul"),
    )
)
SILENT = frozenset(("script", "style", "head", "template", "noscript"))
VOID = frozenset(("br", "hr"))


def charset_of(declared: str | None) -> str:
    """What a page says it is written in, if pages are; Python also knows codecs that take minutes."""
    try:
        name = codecs.lookup(declared or "utf-8").name
    except (LookupError, ValueError):
        return "utf-8"
    return name if name.startswith(CHARSETS) else "utf-8"


def text_of_html(html: str) -> str:
    """The words of a page, a line per block; scripts and styles left out."""
    reader = _Words()
    reader.feed(html)
    reader.close()
    lines = (re.sub(r"[^\S\n]+", " ", line).strip() for line in "".join(reader.parts).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in SILENT:
            self._silent += 1
        elif tag in BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in BLOCKS and tag not in VOID:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)
