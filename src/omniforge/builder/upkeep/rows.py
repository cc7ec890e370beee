"""What going back would change, as rows of plain words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from omniforge.agents.content import AgentContent
from omniforge.agents.version_schemas import Change, Difference, FileChange
from omniforge.builder.understanding.cron_words import read_back

Row = tuple[str, str, str]
"""Label, now, then."""
_TIMES = ("trigger_type", "schedule", "timezone", "event_config")
_MOST = 300


def when_words(content: AgentContent) -> str:
    event = content.event_config
    if event is not None:
        return f"as soon as it happens ({event.event} in {event.integration})"
    if content.schedule is None:
        return "whenever you ask"
    return read_back(content.schedule, content.timezone)


def compared_rows(forward: Difference, now: AgentContent, then: AgentContent) -> tuple[Row, ...]:
    """forward: what was changed from then to now, which going back would change back."""
    rows: list[Row] = []
    if when_words(now) != when_words(then):
        rows.append(("When", when_words(now), when_words(then)))
    rows += [
        (_label(change.field), _words(change.after), _words(change.before))
        for change in forward.settings
        if change.field.split(".")[0] not in _TIMES
    ]
    for skill in forward.skills:
        label = f"Step '{skill.key}'"
        match skill.change:
            case Change.CHANGED:
                gone, come = _texts(skill.files)
                rows.append((label, come or "as it is now", gone or "as it was then"))
            case Change.ADDED:
                rows.append((label, "is there", "is not there"))
            case Change.REMOVED:
                rows.append((label, "is not there", "is there"))
    return tuple(rows)


def _label(field: str) -> str:
    """`skills.notion-report.config.databases` as "Databases of 'notion-report'"."""
    parts = field.split(".")
    if parts[0] == "skills" and len(parts) > 2:
        return f"{_plain(parts[-1])} of '{parts[1]}'"
    return _plain(parts[-1])


def _plain(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _words(value: Any) -> str:
    match value:
        case None | "" | [] | {}:
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(_words(one) for one in cast("Sequence[Any]", value))[:_MOST]
        case dict():
            place = cast("dict[str, Any]", value)
            named = place.get("name") or place.get("id")
            return str(named or ", ".join(f"{key} {_words(part)}" for key, part in place.items()))[:_MOST]
        case _:
            return str(value).replace("_", " ")[:_MOST] if isinstance(value, str) else str(value)


def _texts(files: Sequence[FileChange]) -> tuple[str, str]:
    """Lines of the instructions that went and came; of other files only that they differ."""
    gone: list[str] = []
    come: list[str] = []
    for file in files:
        if file.path != "SKILL.md":
            continue
        gone += [line[1:].strip() for line in file.lines if line.startswith("-")]
        come += [line[1:].strip() for line in file.lines if line.startswith("+")]
    return " / ".join(filter(None, gone))[:_MOST], " / ".join(filter(None, come))[:_MOST]
