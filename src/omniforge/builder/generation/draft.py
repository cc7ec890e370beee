"""An outline to an agent: its settings, its references to skills, and the files of those. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from omniforge.builder.generation import records
from omniforge.builder.generation.acting import write_create, write_post, write_update
from omniforge.builder.generation.flow import condition_of, marks_of
from omniforge.builder.generation.folder import SkillFiles
from omniforge.builder.generation.follow import write_follow
from omniforge.builder.generation.looking import write_brief, write_fetch
from omniforge.builder.generation.report import write_report
from omniforge.builder.generation.services import TITLES, can
from omniforge.builder.generation.templates import short
from omniforge.builder.outline import (
    Brief,
    Create,
    Fetch,
    Follow,
    Keep,
    Outline,
    Part,
    Post,
    Report,
    Update,
)
from omniforge.builder.understanding.schedule import Schedule
from omniforge.builder.understanding.text import listed
from omniforge.core.errors import Invalid

Json = dict[str, Any]

NAME = re.compile(r"[a-z](?:-?[a-z0-9])*")
LONGEST_NAME = 64
LONGEST_DESCRIPTION = 1_000
RESERVED = frozenset(
    {
        "skill",
        "agent",
        "tool",
        "system",
        "admin",
        "root",
        "true",
        "false",
        "null",
        "yes",
        "no",
        "on",
        "off",
        "y",
        "n",
    }
)
"""What no skill is called: words of ours, and words that a front matter reads as something else."""
RETRIES, SECONDS = 3, 300


@dataclass(frozen=True, slots=True)
class AgentDraft:
    """Everything needed to save a draft agent. `skill_files`: skill name → path in its folder → bytes."""

    name: str
    description: str
    trigger_type: str
    schedule: str | None
    timezone: str
    integrations: tuple[str, ...]
    skills: tuple[Json, ...]
    skill_files: dict[str, dict[str, bytes]] = field(default_factory=dict[str, dict[str, bytes]])
    event_config: Json | None = None


def build_draft(
    outline: Outline,
    *,
    name: str,
    timezone: str,
    schedule: Schedule | None = None,
    description: str | None = None,
    keep_names: Mapping[str, str] | None = None,
) -> AgentDraft:
    """The draft for a complete outline. `keep_names`: part → the name that its skill has already.

    Equal arguments give equal bytes, and a part whose own lines did not change keeps the bytes of its files.
    Invalid when something needed is missing, naming the part.
    """
    if not outline.parts:
        raise Invalid("There is nothing to do yet.", fields=[{"field": "parts", "rule": "at least one"}])
    if outline.starts is not None and not (outline.starts.service and outline.starts.event):
        raise Invalid(
            "What it should wait for is still open.", fields=[{"field": "starts", "rule": "an event"}]
        )
    kept = keep_names or {}
    references: list[Json] = []
    files: dict[str, dict[str, bytes]] = {}
    services: dict[str, None] = dict.fromkeys([outline.starts.service] if outline.starts else [])
    for order, part in enumerate(outline.parts, 1):
        _check(part, outline, order)
        if isinstance(part.does, Keep):
            references.append(_kept(part, part.does, order, outline))
            services |= dict.fromkeys([part.service] if part.service else [])
            continue
        skill = _skill_name(kept.get(part.key, part.key), files)
        written = _write(part.model_copy(update={"key": skill}), part, outline, name)
        files[skill] = written.files
        references.append(_reference(part, skill, order, written, outline))
        services |= dict.fromkeys([*([part.service] if part.service else []), *_services(written.tools)])
    plan = schedule or Schedule(event="on_demand")
    scheduled = outline.starts is None and plan.event == "scheduled"
    return AgentDraft(
        name=name,
        description=_description(outline) if description is None else description[:LONGEST_DESCRIPTION],
        trigger_type="event_driven" if outline.starts else "scheduled" if scheduled else "on_demand",
        schedule=plan.cron if scheduled else None,
        timezone=timezone,
        integrations=tuple(services),
        skills=tuple(references),
        skill_files=files,
        event_config=_event_config(outline),
    )


def _check(part: Part, outline: Outline, order: int) -> None:
    earlier = {one.key for one in outline.parts[: order - 1]}
    unknown = [need for need in part.needs if need not in earlier]
    if unknown or part.key in earlier:
        rule = "keys of earlier parts, each once" if unknown else "unique"
        raise Invalid(
            "The steps do not fit together.", fields=[{"field": part.key, "value": unknown, "rule": rule}]
        )
    if not can(part.does.operation, part.service):
        title = TITLES.get(part.service or "", part.service or "nothing")
        raise Invalid(
            f"{title} cannot be used for this step.",
            code="not_supported",
            fields=[{"field": part.key, "value": part.service, "rule": str(part.does.operation)}],
        )


def _write(named: Part, part: Part, outline: Outline, title: str) -> SkillFiles:
    """The skill of a part. `named` bears the skill's name as its key, `part` the outline's."""
    does = part.does
    match does:
        case Report():
            return write_report(named, does, _title(part, outline, title), marks_of(part, outline))
        case Brief():
            return write_brief(named, does, outline)
        case Fetch():
            return write_fetch(named, does, outline)
        case Post():
            return write_post(named, does, outline)
        case Create():
            return write_create(named, does, outline)
        case Update():
            return write_update(named, does, outline)
        case Follow():
            return write_follow(named, does, outline)
        case _:
            return records.write_skill(named, outline, title)


def _title(part: Part, outline: Outline, title: str) -> str:
    """One report bears the agent's name; of several each says whose it is."""
    reports = [one for one in outline.parts if isinstance(one.does, Report)]
    return title if len(reports) == 1 else f"{title}: {TITLES[part.service or '']}"


def _skill_name(wanted: str, taken: Mapping[str, object]) -> str:
    """Invalid for what no skill can be called, and for what one is called already."""
    if NAME.fullmatch(wanted) is None or len(wanted) > LONGEST_NAME or wanted in RESERVED or wanted in taken:
        rule = "lower-case words with hyphens between them, at most 64 characters, unique"
        raise Invalid(
            "A step cannot be called that.", fields=[{"field": "key", "value": wanted[:80], "rule": rule}]
        )
    return wanted


def _reference(part: Part, skill: str, order: int, written: SkillFiles, outline: Outline) -> Json:
    reference: Json = {
        "name": skill,
        "key": part.key,
        "source": "custom",
        "version": "latest",
        "order": order,
        "needs": list(part.needs),
        "config": dict(written.config),
        "error_strategy": "retry" if written.tools else "stop",
        "max_retries": RETRIES,
        "timeout_seconds": SECONDS,
    }
    if written.inputs:
        reference["inputs"] = dict(written.inputs)
    when = condition_of(part, outline)
    return {**reference, "when": when} if when else reference


def _kept(part: Part, does: Keep, order: int, outline: Outline) -> Json:
    reference: Json = {
        "name": does.skill,
        "key": part.key,
        "source": does.source,
        "version": does.version,
        "order": order,
        "needs": list(part.needs),
        "config": dict(does.config),
        "error_strategy": "retry",
        "max_retries": RETRIES,
        "timeout_seconds": SECONDS,
    }
    when = condition_of(part, outline)
    return {**reference, "when": when} if when else reference


def _services(tools: tuple[str, ...]) -> list[str]:
    return [tool.partition(".")[0] for tool in tools if "." in tool]


def _event_config(outline: Outline) -> Json | None:
    starts = outline.starts
    if starts is None:
        return None
    config: Json = {"integration": starts.service, "event": starts.event}
    if starts.place is not None and (starts.place.id or starts.place.name):
        config["resource"] = starts.place.id or starts.place.name
    return {**config, "interval_minutes": starts.interval_minutes}


_VERBS = {
    "report": "Reports what is in", "brief": "Writes a briefing about", "fetch": "Reads", "post": "Sends to",
    "create": "Adds to", "update": "Changes entries in", "summarise": "Summarises what was found",
    "transform": "Puts what was found in another form", "compare": "Compares what was found",
    "extract": "Reads fields out of documents", "fill": "Fills in a form", "match": "Finds the right record",
    "check": "Checks what was found", "decide": "Notes a decision", "follow": "Judges what was found",
    "keep": "Uses a skill from the library",
}  # fmt: skip


def _description(outline: Outline) -> str:
    """One sentence a part, of our own words and of names."""
    said = [f"{_VERBS[str(part.does.operation)]}{_where(part)}." for part in outline.parts]
    return " ".join(dict.fromkeys(said))[:LONGEST_DESCRIPTION]


def _where(part: Part) -> str:
    place = getattr(part.does, "place", None)
    places = getattr(part.does, "places", None) or ([place] if place else [])
    names = listed(short(one.name or one.id) for one in places[:6])
    title = TITLES.get(part.service or "", "")
    return f" {names} ({title})" if names and title else f" {title}" if title else ""
