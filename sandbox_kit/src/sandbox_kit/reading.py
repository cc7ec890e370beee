"""One thing read in full and written up, and what stands at a public address, whatever form it has."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser
from typing import Any, Callable, Iterable, Mapping, Sequence, cast  # noqa: UP035 - Python 3.9 reads this too

from sandbox_kit.entries import Json, entry_of, is_empty, rows_of, told, value_of
from sandbox_kit.layout import detail_lines, escaped, linkable, report_text
from sandbox_kit.skill import ToolError
from sandbox_kit.windows import Span

__all__ = ["brief_text", "brief_title", "fetched", "if_there"]

MOST_LINKED = 10
MOST_SAID = 20
MOST_COLUMNS = 6
LONGEST_TEXT = 20_000
_ID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}")
_INNER = ("text", "said", "comments", "review", "truncated", "number", "channel", "state_type", "issue")


def brief_title(entry: Mapping[str, Any]) -> str:
    return str(entry.get("title") or "What happened")


def if_there(look: Callable[[], Any]) -> Json | None:
    """What was read; None when it is not there any more."""
    try:
        found: Any = look()
    except ToolError as error:
        if error.code != "resource_not_found":
            raise
        return None
    return cast("Json", found) if isinstance(found, dict) else {}


def brief_text(
    entry: Mapping[str, Any],
    page: Mapping[str, Any] | None,
    include: Sequence[str],
    read_linked: Callable[[str], Any] | None = None,
) -> str:
    """A document about one thing. `page`: the thing read in full, empty where what is known is all there is,
    None when it is gone; `include`: names of fields, none for all.

    What a field points to is read with `read_linked` and named by its title.
    """
    gone, page = page is None, page or {}
    full = entry_of(page) if page else dict(entry)
    fields = {name: value for name, value in full["fields"].items() if _tells(name, value, full)}
    text, said = str(page.get("text") or full["fields"].get("text") or "").strip(), _said(page)
    wanted, missing = fields, list[str]()
    if include:
        wanted = {name: value_of({**full, "fields": fields}, name) for name in include}
        missing = [name for name, value in wanted.items() if is_empty(value)]
        missing = [name for name in missing if not _mentions(text, name)]
    if read_linked is not None:
        wanted = {name: _named(value, read_linked) for name, value in wanted.items()}
    title, address = escaped(brief_title(full)), linkable(full.get("url"))
    lines = [f"# [{title}]({address})" if address else f"# {title}", "", *detail_lines(wanted), ""]
    if text and text != full.get("title"):
        lines += ["## Notes", "", re.sub(r"^#{1,4} ", "### ", text[:LONGEST_TEXT], flags=re.M), ""]
    if said:
        lines += ["## What was said", "", *said, ""]
    if missing:
        lines += [f"*There is nothing about {escaped(', '.join(missing))} here.*", ""]
    if gone:
        lines += ["*It is not there any more: this is what was told when it happened.*", ""]
    return "\n".join(lines)


def _tells(name: str, value: Any, entry: Mapping[str, Any]) -> bool:
    """Whether a field says more than the title and the sections of a document do."""
    return name not in _INNER and not name.endswith("_id") and value != entry.get("title")


def _mentions(text: str, name: str) -> bool:
    return name.casefold() in text.casefold()


def _said(page: Mapping[str, Any]) -> list[str]:
    found: Any = page.get("said") or page.get("comments")
    listed = cast("list[Any]", found) if isinstance(found, list) else []
    comments = [cast("Json", one) for one in listed[-MOST_SAID:] if isinstance(one, dict)]
    return [
        f"- **{escaped(str(one.get('author') or 'Somebody'))}:** {escaped(str(one.get('text') or ''))}"
        for one in comments
    ]


def _named(value: Any, read_linked: Callable[[str], Any]) -> Any:
    """Ids of other pages as the titles of these."""
    many: list[Any] = cast("list[Any]", value) if isinstance(value, list) else [value]
    ids = [one for one in many if isinstance(one, str) and _ID.fullmatch(one)]
    if not ids or len(ids) != len(many):
        return cast("Any", value)
    more = [f"and {len(ids) - MOST_LINKED} more"] if len(ids) > MOST_LINKED else []
    return [*(entry_of(read_linked(one))["title"] or one for one in ids[:MOST_LINKED]), *more]


def fetched(answer: Mapping[str, Any], title: str) -> Json:
    """What stands at an address as an output: a list as entries, one thing as its fields, a page as text."""
    headers: Any = answer.get("headers")
    kind = str(cast("Json", headers).get("content-type") or "") if isinstance(headers, dict) else ""
    rows = _table(str(answer.get("text") or "")) if "csv" in kind else rows_of(answer, _list_in(answer))
    single: Any = answer.get("json")
    if isinstance(single, dict) and rows == [single]:
        text = "\n".join([f"# {escaped(title)}", "", *detail_lines(cast("Json", single)), ""])
        return {**cast("Json", single), "title": title, "text": text, "items": 1}
    if "text" in answer and "csv" not in kind:
        text = plain_page(str(answer["text"]))[:LONGEST_TEXT]
        return {"title": title, "text": text, "items": int(bool(text.strip()))}
    entries = [entry_of(row) for row in rows]
    columns = list(dict.fromkeys(name for entry in entries for name in entry["fields"] if name != "title"))
    shown = [name for name in columns if name not in ("id", "text", "name")][:MOST_COLUMNS]
    text = report_text(title, entries, {"fields": shown, "ordered": True}, Span())
    return {"title": title, "text": text, "items": len(entries), "entries": told(entries)}


def _list_in(answer: Mapping[str, Any]) -> str:
    return "json" if "json" in answer else "entries"


def _table(text: str) -> list[Json]:
    lines = io.StringIO(text)
    dialect = csv.excel_tab if "\t" in text.partition("\n")[0] else csv.excel
    rows: Iterable[Mapping[str, Any]] = csv.DictReader(lines, dialect=dialect)
    return [{str(name): value for name, value in row.items() if name} for row in rows]


class _Words(HTMLParser):
    """The words of a page; scripts, styles and forms say nothing."""

    SILENT = ("script", "style", "noscript", "svg", "template", "head")
    BLOCKS = ("p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "section", "article", "table", "ul")

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.silent += tag in self.SILENT
        if tag in self.BLOCKS:
            self.parts.append("\n- " if tag == "li" else "\n")

    def handle_endtag(self, tag: str) -> None:
        self.silent = max(0, self.silent - (tag in self.SILENT))
        if tag in self.BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.parts.append(" ".join(data.split()) + " " if data.strip() else "")


def plain_page(text: str) -> str:
    """A web page as words; any other text as it is."""
    if not re.search(r"<(?:!doctype html|html|body|p|div)\b", text[:5_000], re.I):
        return text
    words = _Words()
    words.feed(text)
    lines = [line.strip() for line in "".join(words.parts).splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
