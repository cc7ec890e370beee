"""What the task is, as the host tells it: read leniently, since a newer host may tell more."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, cast

Json = dict[str, Any]


@dataclass(frozen=True)
class Brief:
    """`told` is all of it. Without a limit the host ends what takes too long."""

    told: Json
    work: Json
    deliverables: list[Json]
    minutes: float | None
    turns: int
    allowed_tools: list[str]
    owned_files: list[str]

    @property
    def attempt(self) -> int:
        return int(self.told.get("attempt") or 1)

    @property
    def title(self) -> str:
        return str(self.told.get("title") or "the task")


def read_brief(told: Json) -> Brief:
    bounds = object_in(told, "constraints")
    minutes = bounds.get("time_limit_minutes")
    return Brief(
        told=told,
        work=object_in(told, "work") or {"kind": "agent"},
        deliverables=[item for item in list_in(told, "deliverables") if isinstance(item, dict)],
        minutes=float(minutes) if isinstance(minutes, int | float) and minutes > 0 else None,
        turns=int(bounds.get("max_turns") or 50),
        allowed_tools=[str(name) for name in list_in(bounds, "allowed_tools")],
        owned_files=[str(glob) for glob in list_in(bounds, "owned_files")],
    )


def object_in(told: Json, name: str) -> Json:
    value = told.get(name)
    return cast("Json", value) if isinstance(value, dict) else {}


def list_in(told: Json, name: str) -> list[Any]:
    value = told.get(name)
    return cast("list[Any]", value) if isinstance(value, list) else []


def as_text(brief: Brief) -> str:
    """The task as its agent reads it."""
    told, parts = brief.told, [f"# {brief.title}"]
    if kind := told.get("type"):
        parts.append(f"Kind of work: {kind}")
    if text := told.get("description"):
        parts.append(str(text))
    if criteria := list_in(told, "criteria"):
        parts.append("## It is done when\n" + "\n".join(f"- {_said(one)}" for one in criteria))
    if feedback := list_in(told, "feedback"):
        said = "\n\n".join(_fed_back(one) for one in feedback)
        parts.append(f"## What earlier attempts met, and what people said about them\n{said}")
    if context := object_in(told, "context"):
        parts.append("## Around it\n" + json.dumps(context, ensure_ascii=False, indent=1))
    if brief.deliverables:
        paths = "\n".join(f"- {item.get('path')}" for item in brief.deliverables)
        parts.append(f"## Files that were put there for you\n{paths}")
    if brief.owned_files:
        parts.append("## Change only these files\n" + "\n".join(f"- {glob}" for glob in brief.owned_files))
    return "\n\n".join(parts)


def _fed_back(value: Any) -> str:
    """What people said as it is; what an earlier attempt printed as data, since anything may stand in it."""
    if not isinstance(value, dict):
        return str(value)
    entry = cast("Json", value)
    text = str(entry.get("text") or "")
    if entry.get("kind") != "attempt":
        return f"From {entry.get('by') or 'a person'}: {text}"
    about = f"Attempt {entry.get('attempt')} ended as {entry.get('outcome')} ({entry.get('error_code')})"
    return f"{about}:\n{as_data(text, 'earlier attempt')}"


def as_data(text: str, origin: str) -> str:
    """Text that is no instruction, between marks that it cannot hold itself."""
    mark = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]
    while mark in text:
        mark = hashlib.sha256(mark.encode()).hexdigest()[:12]
    return f'<data origin="{origin}" mark="{mark}">\n{text}\n</data {mark}>'


def _said(value: Any) -> str:
    if isinstance(value, dict):
        fields = cast("Json", value)
        check = object_in(fields, "check")
        command = check.get("command")
        text = str(fields.get("text") or fields.get("message") or "")
        told = f"{text} (checked by: {command})" if command else text
        return told or json.dumps(fields, ensure_ascii=False)
    return str(value)
