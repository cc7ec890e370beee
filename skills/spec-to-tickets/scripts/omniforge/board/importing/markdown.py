"""Markdown read into the JSON form of a spec, with the line of every part. Pure.

Headings of level 2 to 4 open an item (`REQ-…: title`, `TKT-…: title`, `TSK-…: title`); below one stand
`Key: value` lines, text, EARS sentences, and `- [ ]` items as criteria. `# Design` holds `Architecture`,
`Data model` and `API`. What cannot be said so stands in a fenced block named `omniforge`, as the JSON fields
of the item above it. A fenced `sh` block of a task is what is run for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn, cast

from omniforge.board.importing.documents import MAX_SENTENCE, Flaw, Json, Place, Problem, Source
from omniforge.board.importing.phrases import KEYS, LISTS, criterion_of, ears_of, ref_of, value_of
from omniforge.board.importing.works import work_of_lines

_HEADING = re.compile(r"(#{1,6})[ \t]+(.*)")
_ITEM = re.compile(r"(REQ|TKT|TSK)-([^\s:]*)[ \t]*:?[ \t]*(.*)")
_DESIGN = re.compile(r"(?i)(?:(DESIGN-[^\s:]*)[ \t]*:?.*|design)")
_CRITERION = re.compile(r"[ \t]*[-*+][ \t]+\[[ xX]\](?:[ \t]+(.*))?")
_BULLET = re.compile(r"[ \t]*[-*+][ \t]+(.*)")
_KEY = re.compile(
    r"[ \t]*(?:[-*+][ \t]+)?(?:\*\*|__)?([A-Za-z][A-Za-z ]{1,20})(?:\*\*|__)?:(?:\*\*|__)?[ \t]*(.*)"
)
_FENCE = re.compile(r"[ \t]{0,3}(`{3,}|~{3,})[ \t]*([A-Za-z]*)")
_META = re.compile(r"([A-Za-z_-]{1,40})[ \t]*:[ \t]*(.*)")
_RULE = frozenset(" \t|:+-")
LIST_OF = {"REQ": "requirements", "TKT": "tickets", "TSK": "tasks"}
SECTION_NAMES = frozenset({"requirements", "tickets", "tasks", "spec"})
DESIGN_PARTS = {
    "architecture": "architecture",
    "data model": "data_model",
    "api": "api_spec",
    "api spec": "api_spec",
    "notes": "notes",
}
OWN_BLOCK = "omniforge"
SHELL = frozenset({"sh", "bash", "shell"})


@dataclass(slots=True)
class _Open:
    """What the lines below belong to: an item, the design, or the spec itself."""

    kind: str
    index: int
    level: int
    fields: Json
    lines: list[str] = field(default_factory=list[str])
    part: str = ""
    """Of a design: where its text goes."""
    listing: str = ""
    """The list that bullets below a `Key:` line belong to."""
    in_criterion: bool = False


def read_markdown(text: str, path: str | None = None) -> Source:
    """Any text gives a source; what is wrong with it is in its problems."""
    reader = _Reader(path)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff").split("\n")
    first = reader.front_matter(lines)
    for number, line in enumerate(lines[first:], first + 1):
        reader.take(number, line)
    return reader.finish(len(lines))


class _Reader:
    """One pass over the lines."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.source = Source()
        self.head: Json = {}
        self.loose = _Open("spec", 0, 1, self.head)
        self.open = self.loose
        self.ticket = ""
        self.fence: tuple[str, str, int] | None = None
        self.block: list[str] = []
        self.in_comment = False

    # --- the parts of a document ---------------------------------------------------------------------------

    def front_matter(self, lines: list[str]) -> int:
        """Read what stands between `---` lines at the top; the number of lines it takes."""
        if lines[0].strip() != "---":
            return 0
        end = next((n for n, line in enumerate(lines[1:200], 1) if line.strip() in ("---", "...")), 0)
        for number, line in enumerate(lines[1:end], 2):
            found = _META.fullmatch(line.strip())
            name = found[1].lower() if found else ""
            value = _unquoted(found[2]) if found else ""
            if name in ("spec", "title", "description") and value:
                self.head["title" if name == "spec" and "title" not in self.head else name] = value
                self.source.lines["spec", 0, name] = number
        self.head.pop("spec", None)
        return end + 1 if end else 0

    def take(self, number: int, line: str) -> None:
        if self.fence is not None:
            self._inside_fence(line)
            return
        start = line.lstrip(" \t")[:1]
        if self.in_comment or (start == "<" and line.lstrip().startswith("<!--")):
            self.in_comment = "-->" not in line
            return
        if start in ("`", "~") and (fence := _FENCE.match(line)):
            self.fence = (fence[1], fence[2].lower(), number)
            self.block = []
            if self._is_work():
                self._says_work(number)
            elif fence[2].lower() != OWN_BLOCK:
                self.open.lines.append(line)
            return
        if start == "#" and line.startswith("#") and (heading := _HEADING.fullmatch(line.rstrip())):
            self._heading(number, line, len(heading[1]), heading[2].strip())
        elif self.open.kind in LIST_OF.values():
            self._item_line(number, line, start)
        elif self.open.kind == "design":
            self._design_line(number, line)
        else:
            self.open.lines.append(line)

    def finish(self, count: int) -> Source:
        if self.fence is not None:
            if self.fence[1] == OWN_BLOCK:
                self._own_block(self.fence[2])
            self.fence = None
        self._close()
        if description := _joined(self.loose.lines):
            said = self.head.get("description")
            self.head["description"] = f"{said}\n\n{description}" if said else description
        self.head |= self.head.pop("\0block", {})
        design: Json = self.source.content.get("design", {})
        for name in ("architecture", "data_model", "notes"):
            if name in design:
                design[name] = "\n\n".join(design[name])
        design |= design.pop("\0block", {})
        if self.head:
            self.source.content["spec"] = self.head
            self.source.places["spec", 0] = Place(self.path, 1 if count else None)
        return self.source

    def _inside_fence(self, line: str) -> None:
        mark, info, number = cast("tuple[str, str, int]", self.fence)
        closes = line.strip().startswith(mark) and not line.strip().strip(mark[0])
        if self._is_work():
            if not closes:
                self.open.fields.setdefault("commands", []).append(line)
        elif info != OWN_BLOCK:
            self.open.lines.append(line)
        elif not closes:
            self.block.append(line)
        else:
            self._own_block(number)
        if closes:
            self.fence = None

    def _is_work(self) -> bool:
        """Whether the block that is open holds commands of a task."""
        return self.open.kind == "tasks" and self.fence is not None and self.fence[1] in SHELL

    def _says_work(self, number: int) -> None:
        self.source.lines.setdefault(("tasks", self.open.index, "work"), number)
        self.open.in_criterion, self.open.listing = False, ""
        self.open.fields.setdefault("commands", [])

    def _own_block(self, number: int) -> None:
        """The fields of an item as JSON; they go before what its lines say."""
        try:
            given = json.loads("\n".join(self.block), parse_constant=_refuse)
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict):
            self._problem(number, "this block holds no JSON object", "block")
            return
        self.open.fields.setdefault("\0block", {}).update(cast("Json", given))

    # --- headings ------------------------------------------------------------------------------------------

    def _heading(self, number: int, line: str, level: int, title: str) -> None:
        if 2 <= level <= 4 and (item := _ITEM.fullmatch(title)):
            self._open_item(number, level, item)
        elif level <= 2 and (design := _DESIGN.fullmatch(title)):
            self._open_design(number, level, design[1])
        elif self.open.kind == "design" and level > self.open.level:
            self._design_heading(number, line, title)
        elif self.open.kind in LIST_OF.values() and level > self.open.level:
            self.open.lines.append(line)
            self.open.listing, self.open.in_criterion = "", False
        else:
            self._open_loose(line, level, title)

    def _open_item(self, number: int, level: int, item: re.Match[str]) -> None:
        self._close()
        kind = LIST_OF[item[1]]
        ref = f"{item[1]}-{item[2]}"
        items = self.source.content.setdefault(kind, [])
        fields: Json = {"ref": ref, "title": item[3].strip()}
        items.append(fields)
        self.open = _Open(kind, len(items) - 1, level, fields)
        self.source.places[kind, len(items) - 1] = Place(self.path, number)
        if kind == "tickets":
            self.ticket = ref
        elif kind == "tasks" and self.ticket:
            fields["ticket"] = self.ticket

    def _open_design(self, number: int, level: int, ref: str | None) -> None:
        self._close()
        fields = self.source.content.setdefault("design", {})
        if ref:
            fields["ref"] = ref.upper()
        self.open = _Open("design", 0, level, fields)
        self.source.places.setdefault(("design", 0), Place(self.path, number))

    def _open_loose(self, line: str, level: int, title: str) -> None:
        self._close()
        self.open = self.loose
        if title.lower() in SECTION_NAMES or (level == 1 and title == self.head.get("title")):
            return
        if level == 1 and "title" not in self.head:
            self.head["title"] = title
        else:
            self.loose.lines.append(line)

    def _close(self) -> None:
        """Put the text of what was open where it belongs."""
        here, fields = self.open, self.open.fields
        if here is self.loose:
            return
        if here.kind == "design":
            self._close_part()
        elif here.kind == "requirements":
            condition, action = ears_of(_joined(here.lines))
            fields |= {name: said for name, said in (("condition", condition), ("action", action)) if said}
        elif description := _joined(here.lines):
            fields["description"] = description
        if here.kind == "tasks":
            work_of_lines(fields)
        if here.kind != "design":
            fields |= fields.pop("\0block", {})

    # --- lines of an item ----------------------------------------------------------------------------------

    def _item_line(self, number: int, line: str, start: str) -> None:
        here = self.open
        if start in ("-", "*", "+") and (criterion := _CRITERION.fullmatch(line)):
            here.listing, here.in_criterion = "", True
            criteria = here.fields.setdefault("criteria", [])
            criteria.append(criterion[1] or "")
            self.source.lines[here.kind, here.index, f"criteria[{len(criteria) - 1}]"] = number
            self._finish_criterion()
            return
        if here.in_criterion and line[:1] in (" ", "\t") and line.strip() and start not in ("-", "*", "+"):
            self._continue_criterion(line.strip())
            return
        here.in_criterion = False
        if here.listing and (bullet := _BULLET.fullmatch(line)):
            here.fields[here.listing] += value_of(here.listing, bullet[1])
            return
        if ":" in line[:60] and (key := _KEY.fullmatch(line.rstrip())):
            name = KEYS[here.kind].get(" ".join(key[1].lower().split()))
            if name is not None:
                self._key_line(number, name, key[2])
                return
        if line.strip():
            here.listing = ""
        here.lines.append(line)

    def _key_line(self, number: int, name: str, value: str) -> None:
        here = self.open
        here.listing = name if name in LISTS and not value.strip() else ""
        self.source.lines[here.kind, here.index, name] = number
        if name in LISTS:
            here.fields.setdefault(name, []).extend(value_of(name, value))
        elif name in here.fields and (here.kind, name) != ("tasks", "ticket"):
            self._problem(number, "this is said twice", name, here.fields["ref"])
        else:
            here.fields[name] = value_of(name, value)
            if name in ("skill", "inputs"):
                self.source.lines.setdefault((here.kind, here.index, "work"), number)

    def _finish_criterion(self) -> None:
        criteria: list[Any] = self.open.fields["criteria"]
        criteria[-1] = criterion_of(cast("str", criteria[-1]))

    def _continue_criterion(self, more: str) -> None:
        """A line that goes on with the criterion above it."""
        criteria: list[Any] = self.open.fields["criteria"]
        last = cast("Json", criteria[-1])
        if "check" in last:  # its end was said already
            self.open.in_criterion = False
            self.open.lines.append(more)
            return
        if len(last["text"]) <= MAX_SENTENCE:  # longer ones are refused as they are
            criteria[-1] = criterion_of(f"{last['text']} {more}")

    # --- the design ----------------------------------------------------------------------------------------

    def _design_heading(self, number: int, line: str, title: str) -> None:
        name = DESIGN_PARTS.get(title.lower().rstrip(":"))
        if name is None:
            self.open.lines.append(line)
        else:
            self._open_part(number, name)

    def _design_line(self, number: int, line: str) -> None:
        if ":" in line[:40] and not self.open.part and (key := _KEY.fullmatch(line.rstrip())):
            name = DESIGN_PARTS.get(key[1].lower().strip())
            if name is not None:
                self._open_part(number, name)
                self.open.lines.append(key[2])
                self._close_part()
                return
        self.open.lines.append(line)

    def _open_part(self, number: int, name: str) -> None:
        self._close_part()
        self.open.part = name
        self.source.lines["design", 0, name] = number
        self.open.fields.setdefault(name, [])

    def _close_part(self) -> None:
        """The text so far belongs to the part that is open; before the first one, to the notes."""
        here = self.open
        text, name = _joined(here.lines), here.part or "notes"
        here.lines, here.part = [], ""
        if not text:
            return
        if name == "api_spec":
            rest = _joined(line for line in text.split("\n") if not line.lstrip().startswith("|"))
            here.fields.setdefault("api_spec", []).extend(table_rows(text))
            name, text = "notes", "" if rest.lower() in ("", "none", "none.") else rest
        if text:
            here.fields.setdefault(name, []).append(text)

    def _problem(self, number: int, message: str, name: str, ref: str = "") -> None:
        ref = ref or str(self.open.fields.get("ref", ""))
        place = Place(self.path, number)
        self.source.problems.append(Problem(Flaw.BAD_VALUE, ref_of(ref), message, name, place))


def table_rows(text: str) -> Iterable[Json]:
    """Rows of a table of method, endpoint and more; without a header in that order."""
    names = ["method", "endpoint", "description"]
    for line in text.split("\n"):
        if not line.lstrip().startswith("|") or not set(line) - _RULE:
            continue
        cells = [cell.strip().strip("`").strip() for cell in line.strip().strip("|").split("|")]
        if "method" in (lowered := [cell.lower() for cell in cells]):
            names = lowered
            continue
        yield {name: cell for name, cell in zip(names, cells, strict=False) if name and cell}


def _joined(lines: Iterable[str]) -> str:
    return "\n".join(line.rstrip() for line in lines).strip()


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _unquoted(value: str) -> str:
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        if value[0] == '"':
            try:
                return str(json.loads(value))
            except ValueError:
                pass
        return value[1:-1]
    return value
