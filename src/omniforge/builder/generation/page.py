"""The SKILL.md of a part: front matter, prerequisites, numbered steps, and what happens in trouble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from omniforge.builder.generation.templates import filled


@dataclass(frozen=True, slots=True)
class Page:
    """`description` is one line of at most 80 characters of our own words (letters, digits, simple marks):
    nothing from elsewhere. All other texts may hold texts from elsewhere only through `short` or `quoted`."""

    name: str
    description: str
    tools: Sequence[str]
    intro: str
    steps: Sequence[str]
    when: str
    prerequisites: Sequence[str] = ()
    trouble: Sequence[str] = ()

    def written(self) -> bytes:
        tools = "".join(f"\n  - {tool}" for tool in self.tools) or " []"
        return filled(
            "SKILL.md.template",
            NAME=self.name,
            DESCRIPTION=self.description,
            TOOLS=tools,
            HEADING=self.name.replace("-", " ").capitalize(),
            INTRO=self.intro,
            PREREQUISITES=_bullets(self.prerequisites or ["Nothing but what the steps before it found."]),
            WHEN=self.when,
            STEPS="\n".join(f"{n}. {step}" for n, step in enumerate(self.steps, 1)),
            TROUBLE=_bullets(self.trouble or ["What cannot be done ends the run and says why."]),
        ).encode()


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
