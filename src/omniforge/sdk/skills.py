"""One use of a skill in an agent, and where its files lie on this computer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, JsonValue, ValidationError

from omniforge.agents.content import LATEST, ErrorStrategy, SkillReference, SkillSource
from omniforge.core.config import shipped
from omniforge.core.errors import Invalid, NotFound
from omniforge.core.shapes import mistakes
from omniforge.skills import place, resolver
from omniforge.skills.admission import check_skill
from omniforge.skills.document import SKILL_FILE
from omniforge.skills.errors import SkillNotFound
from omniforge.skills.resolver import Root, RootKind, Skill

OWN = frozenset({RootKind.PROJECT, RootKind.PERSONAL})


class SkillRef(SkillReference):
    """A skill of the agent.

    source: `custom` for one of your own (by `path`, or by its name in `.omniforge/skills`, `.claude/skills`
    or your home) or one that comes with OmniForge; `public` for one of the public library.
    order: skills run by it, one after the other; 0 takes the place in the agent's list.
    needs, when, inputs: see the guide on building agents.
    """

    order: int = Field(default=0, ge=0, le=10_000)
    path: Path | None = Field(default=None, exclude=True)
    """Folder with the skill's SKILL.md."""

    def __init__(
        self,
        name: str = "",
        *,
        path: Path | str | None = None,
        source: SkillSource | str = SkillSource.CUSTOM,
        order: int = 0,
        config: Mapping[str, JsonValue] | None = None,
        key: str = "",
        version: str = LATEST,
        needs: Iterable[str] | None = None,
        when: str | None = None,
        inputs: Mapping[str, JsonValue] | None = None,
        error_strategy: ErrorStrategy | str = ErrorStrategy.STOP,
        max_retries: int = 3,
        timeout_seconds: int = 300,
    ) -> None:
        folder = None if path is None else Path(path).resolve()
        name = name or (folder.name if folder else "")
        given: dict[str, Any] = {
            "name": name,
            "path": folder,
            "source": source,
            "order": order,
            "config": dict(config or {}),
            "key": key or name,
            "version": version,
            "needs": None if needs is None else list(needs),
            "when": when,
            "inputs": dict(inputs or {}),
            "error_strategy": error_strategy,
            "max_retries": max_retries,
            "timeout_seconds": timeout_seconds,
        }
        try:
            super().__init__(**given)
        except ValidationError as error:
            fields = mistakes(error.errors(include_url=False, include_context=False))
            first = fields[0]
            raise Invalid(f"SkillRef: {first['field']}: {first['rule']}.", fields=fields) from None

    @classmethod
    def of(cls, given: Self | str | Mapping[str, Any]) -> SkillRef:
        """From a name, or from what `to_dict` gave."""
        match given:
            case SkillRef():
                return given
            case str():
                return cls(given)
            case _:
                return cls(**given)


def find(reference: SkillRef, project: Path, home: Path) -> Skill | None:
    """The skill a reference means on this computer; None when it is not here. `Invalid` for a bad folder."""
    if reference.path is not None:
        root = Root(RootKind.PROJECT, reference.path.parent)
        try:
            found = resolver.resolve(reference.path.name, [root])
        except SkillNotFound as error:
            message = f"There is no skill in {reference.path}: a skill is a folder with a {SKILL_FILE}."
            raise NotFound(message, code=error.code, path=str(reference.path), **error.details) from error
        if reference.name != found.name:
            message = f"The folder {reference.path} holds the skill {found.name}, not {reference.name}."
            raise Invalid(message, code="skill_invalid", path=str(reference.path))
        return found
    ladder = resolver.local_ladder(project, home, shipped("skills"))
    try:
        return resolver.resolve(reference.name, ladder, source=reference.source.value)
    except SkillNotFound:
        return None  # the installation it runs in may have it


def own_files(references: Iterable[SkillRef], project: Path, home: Path) -> dict[str, Mapping[str, bytes]]:
    """The files of every skill that is this person's own, checked, by name."""
    files: dict[str, Mapping[str, bytes]] = {}
    for reference in references:
        found = find(reference, project, home)
        if found is not None and found.root.kind in OWN:
            files[reference.name] = place.read(found)
            check_skill(reference.name, files[reference.name])
    return files


def services_of(references: Iterable[SkillRef], project: Path, home: Path, known: Iterable[str]) -> list[str]:
    """The integrations whose tools the skills name, as far as the skills are on this computer."""
    catalog, named = set(known), set[str]()
    for reference in references:
        found = find(reference, project, home)
        for rule in (found.document.allowed_tools or ()) if found is not None else ():
            named.add(str(rule).partition(".")[0])
    return sorted(named & catalog)
