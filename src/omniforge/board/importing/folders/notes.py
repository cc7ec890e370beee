"""What the readers of other formats share: headings, front matter, refs made of numbers. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from omniforge.board.importing.documents import Doubt, Json, Place, Problem, Source

Folder = Sequence[tuple[str, str]]
"""Paths and texts."""
HEADING = re.compile(r"(#{1,6})[ \t]+(.*\S)")
_FIELD = re.compile(r"([A-Za-z_]{1,40}):[ \t]*(.*)")
_PATH = re.compile(r"(?<![\w/.-])(?:[\w.-]{1,100}/){1,20}[\w.-]{1,100}\.\w{1,10}")
_DOMAIN = re.compile(r"[A-Z0-9]{2,12}")


@dataclass(slots=True)
class Section:
    """A heading and the lines below it, up to the next heading of any level. `line` counts from 1."""

    level: int
    title: str
    line: int
    lines: list[str] = field(default_factory=list[str])

    @property
    def text(self) -> str:
        return "\n".join(self.lines).strip()


@dataclass(slots=True)
class Made:
    """A source while it is put together of another format."""

    source: Source = field(default_factory=Source)

    def add(self, kind: str, item: Json, place: Place) -> None:
        """One more requirement, ticket or task."""
        items: list[Json] = self.source.content.setdefault(kind, [])
        self.source.places[kind, len(items)] = place
        items.append(item)

    def leave(self, message: str, place: Place) -> None:
        """Something that is not taken over."""
        self.source.warnings.append(Problem(Doubt.NOT_TAKEN_OVER, "", message, place=place))


def name_of(path: str) -> str:
    return PurePosixPath(path.replace("\\", "/")).name.lower()


def parent_of(path: str) -> str:
    """Name of the folder a file lies in."""
    return PurePosixPath(path.replace("\\", "/")).parent.name


def sections(text: str) -> list[Section]:
    """A text by its headings; what stands before the first one has level 0. Fenced code holds no headings."""
    found, fence = [Section(0, "", 1)], ""
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        bare = line.strip()
        if bare.startswith(("```", "~~~")) and (not fence or bare.startswith(fence)):
            fence = "" if fence else bare[:3]
        heading = None if fence or not line.startswith("#") else HEADING.fullmatch(line.rstrip())
        if heading is None:
            found[-1].lines.append(line)
        else:
            found.append(Section(len(heading[1]), heading[2].strip(" #"), number))
    return found


def below(parts: Sequence[Section], wanted: str) -> str:
    """The text below the first heading of this name, with the deeper headings in it."""
    start = next((n for n, part in enumerate(parts) if part.title.lower().startswith(wanted)), None)
    if start is None:
        return ""
    lines = [*parts[start].lines]
    for part in parts[start + 1 :]:
        if part.level <= parts[start].level:
            break
        lines += [f"{'#' * part.level} {part.title}", *part.lines]
    return "\n".join(lines).strip()


def front(text: str) -> tuple[dict[str, Any], str]:
    """Fields of a front matter (texts, or lists of texts), and the rest of the file."""
    lines = text.replace("\r\n", "\n").split("\n")
    if lines[0].strip() != "---":
        return {}, text
    end = next((n for n, line in enumerate(lines[1:], 1) if line.strip() == "---"), 0)
    fields: dict[str, Any] = {}
    last = ""
    for line in lines[1:end]:
        if found := _FIELD.fullmatch(line.rstrip()):
            last = found[1].lower()
            fields[last] = _value(found[2])
        elif last and line.lstrip().startswith("- "):
            before = fields[last]
            fields[last] = [*(before if isinstance(before, list) else []), _bare(line.lstrip()[2:])]
        elif last and isinstance(fields[last], str) and line.startswith(" "):
            fields[last] = f"{fields[last].strip('>|-')} {line.strip()}".strip()
    return fields, "\n".join(lines[end + 1 :]) if end else text


def _value(text: str) -> Any:
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        return [bare for part in text[1:-1].split(",") if (bare := _bare(part))]
    return _bare(text)


def _bare(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def listed(value: Any) -> list[str]:
    """A field that is a list, or one text."""
    return [str(each) for each in value] if isinstance(value, list) else [value] if value else []  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def paths_in(text: str) -> list[str]:
    """Paths of files that a sentence names."""
    return list(dict.fromkeys(_PATH.findall(text)))


def domain_of(title: str) -> str:
    """The first word of a title as refs have it."""
    words = _DOMAIN.findall(title.upper().replace("-", " "))
    return next((word for word in words if not word.isdigit()), "SPEC")


def ticket_ref(number: int) -> str:
    return f"TKT-{number:03d}"


def task_ref(ticket: int, part: int = 0) -> str:
    """A number that stays the same however many others come and go."""
    return f"TSK-{ticket:03d}{part:02d}"
