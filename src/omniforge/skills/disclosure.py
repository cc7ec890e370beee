"""What a model gets to see of skills, level by level: names first, the text when used, files on demand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from omniforge.skills import folders
from omniforge.skills.allowed_tools import AllowedTools
from omniforge.skills.resolver import Skill

MAX_LISTING = 8_000


def listing(skills: Iterable[Skill], uses: Mapping[str, int] | None = None) -> str:
    """Level 1: one line per skill, at most 8,000 characters, by priority, then use, then name.

    Left out: skills with `disable-model-invocation`. What does not fit is found by searching.
    """
    counts = uses or {}
    shown = sorted(
        (skill for skill in skills if not skill.document.is_hidden_from_model),
        key=lambda skill: (-skill.document.priority, -counts.get(skill.name, 0), skill.name),
    )
    lines: list[str] = []
    room = MAX_LISTING - len(_more(len(shown)))
    for skill in shown:
        line = _line(skill)
        if len(line) + 1 > room:
            lines.append(_more(len(shown) - len(lines)))
            break
        room -= len(line) + 1
        lines.append(line)
    return "\n".join(lines)


def _line(skill: Skill) -> str:
    tags = f" [{', '.join(skill.document.tags)}]" if skill.document.tags else ""
    return " ".join(f"- {skill.name}: {skill.description}{tags}".split())


def _more(count: int) -> str:
    return f"({count} more: look for them with Skill(search))"


@dataclass(frozen=True, slots=True)
class Activation:
    """Level 2, given as the result of the tool. `allowed_tools` None: whatever the agent is granted."""

    name: str
    body: str
    base_path: str
    allowed_tools: AllowedTools | None


def activate(skill: Skill) -> Activation:
    return Activation(skill.name, skill.document.body, str(skill.base), skill.document.allowed_tools)


def read_file(skill: Skill, path: str) -> bytes:
    """Level 3: one file under the skill's folder, or NotFound; links and hidden files are not there."""
    return folders.read_inside(skill.root.base, (*skill.root.steps, *_inner(skill)), path)


def _inner(skill: Skill) -> tuple[str, ...]:
    return skill.base.relative_to(skill.root.path).parts
