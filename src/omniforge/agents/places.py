"""Places of a person inside an agent's settings: found, and left out of a copy for somebody else (pure).

A place is where something is read from or sent to: a database, a channel, a repository, a mailbox. In what
skills are given it stands as `{id, name}`, as text under a telling name, or as text of a telling form.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from omniforge.agents.content import AgentContent, SkillReference

Json = dict[str, Any]

_TELLING = re.compile(
    r"(?:^|_)(?:databases?|pages?|channels?|boards?|repo(?:sitorie|sitory)?s?|recipients?|workspaces?|"
    r"calendars?|sheets?|mailbox(?:es)?|assignees?|e?mails?)$|(?:^|_)ids?$",
    re.IGNORECASE,
)
_FORM = re.compile(
    r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[^@\s]+@[^@\s]+\.[a-z]{2,}|[CDGUW][A-Z0-9]{8,}|"
    r"#[\w-]+",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Left:
    """One place left out: the key of the skill's use, where in it, what it is called there, and its names.

    shape: how places stand there: `places` and `place` as `{id, name}`, `ids` and `id`, `name` as `#name`.
    """

    skill: str
    path: tuple[str, ...]
    what: str
    names: tuple[str, ...]
    titles: tuple[str, ...]
    """What people call them; their ids where they have no name there."""
    shape: str

    def as_json(self) -> Json:
        return {"skill": self.skill, "path": list(self.path), "what": self.what, "shape": self.shape}


def shaped(shape: str, places: Sequence[Json], text: str = "") -> Any:
    """Places, or a text that was typed, as they stand where they were left out."""
    match shape:
        case "places":
            return [dict(place) for place in places]
        case "place":
            return dict(places[0]) if places else {"id": text, "name": text}
        case "ids":
            return [place["id"] for place in places] or [text]
        case "name":
            name = str(places[0]["name"]) if places else text
            return name if name.startswith("#") else f"#{name}"
        case _:
            return places[0]["id"] if places else text


def without_places(content: AgentContent) -> tuple[AgentContent, list[Left]]:
    """The content with every place left out, and what was left out."""
    left: list[Left] = []
    skills: list[SkillReference] = []
    for use in content.skills:
        parts: dict[str, Any] = {}
        for part in ("config", "inputs"):
            given = cast("Json", getattr(use, part))
            parts[part] = {
                name: _emptied(use.key, (part, name), value, left) for name, value in given.items()
            }
        skills.append(use.model_copy(update=parts))
    changes: dict[str, Any] = {"skills": skills}
    event = content.event_config
    if event is not None and event.resource is not None:
        changes["event_config"] = event.model_copy(update={"resource": None})
        left.append(
            Left(
                "", ("event_config", "resource"), "place to watch", (event.resource,), (event.resource,), "id"
            )
        )
    return content.model_copy(update=changes), left


def still_to_choose(content: AgentContent, asked: Sequence[Json]) -> list[Json]:
    """Those of the places left out that nobody has filled in since."""
    uses = {use.key: use.model_dump(mode="json") for use in content.skills}
    whole = content.model_dump(mode="json")
    found: list[Json] = []
    for entry in asked:
        here: Any = uses.get(str(entry["skill"])) if entry["skill"] else whole
        if here is None:
            continue  # the skill is not part of it any more
        for name in entry["path"]:
            here = _part(here, name)
        if not here:
            found.append(entry)
    return found


def chosen(content: AgentContent, entry: Json, value: Any) -> AgentContent:
    """The content with a place filled in where one was left out."""
    whole = content.model_dump(mode="json")
    here: Any = whole
    if entry["skill"]:
        here = next(use for use in whole["skills"] if use["key"] == entry["skill"])
    *way, last = entry["path"]
    for name in way:
        here = _part(here, name)
    if isinstance(here, list):
        here[int(last)] = value
    else:
        here[last] = value
    return AgentContent.model_validate(whole)


def _emptied(skill: str, path: tuple[str, ...], value: Any, left: list[Left]) -> Any:
    name = path[-1]
    match value:
        case {"id": str(), **_rest} if value["id"]:
            left.append(Left(skill, path, _kind(name, [value]), _names(value), (_title(value),), "place"))
            return None
        case dict():
            parts = cast("Json", value)
            return {key: _emptied(skill, (*path, key), part, left) for key, part in parts.items()}
        case list() if any(_is_place(name, item) for item in cast("list[Any]", value)):
            items = cast("list[Any]", value)
            names = tuple(n for item in items for n in _names(item))
            shape = "places" if any(isinstance(item, dict) for item in items) else "ids"
            titles = tuple(_title(item) for item in items)
            left.append(Left(skill, path, _kind(name, items), names, titles, shape))
            return [item for item in items if not _is_place(name, item)]
        case list():
            items = cast("list[Any]", value)
            return [_emptied(skill, (*path, str(n)), item, left) for n, item in enumerate(items)]
        case str() if _is_place(name, value):
            shape = "name" if value.startswith("#") else "id"
            left.append(Left(skill, path, _words(name), (value,), (value,), shape))
            return ""
        case _:
            return value


def _part(here: Any, name: str) -> Any:
    match here:
        case dict():
            return cast("Json", here).get(name)
        case list() if name.isdecimal() and int(name) < len(cast("list[Any]", here)):
            return here[int(name)]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return None


def _is_place(name: str, value: Any) -> bool:
    if isinstance(value, dict):
        return bool(cast("Json", value).get("id"))
    if not isinstance(value, str) or not value or value.startswith("${"):
        return False
    return _TELLING.search(name) is not None or _FORM.fullmatch(value) is not None


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, dict):
        place = cast("Json", value)
        return tuple(str(place[key]) for key in ("id", "name") if place.get(key))
    return (str(value),)


def _title(value: Any) -> str:
    return _names(value)[-1] if isinstance(value, dict) else str(value)


def _kind(name: str, items: Sequence[Any]) -> str:
    """What is to be chosen: by the kind of what stood there, else by the name it stood under."""
    kinds = {str(cast("Json", item).get("kind") or "") for item in items if isinstance(item, dict)}
    if len(kinds) != 1 or not (kind := kinds.pop()):
        return _words(name)
    if len(items) == 1 and not name.endswith("s"):
        return kind
    return f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"


def _words(name: str) -> str:
    """`database_ids` as people say it: databases."""
    plain = re.sub(r"_?(ids?)$", "", name).replace("_", " ").strip() or "place"
    return plain + "s" if name.endswith("ids") and not plain.endswith("s") else plain
