"""The public library as the conversation looks through it: what does a step already, and who made it."""

from __future__ import annotations

from dataclasses import dataclass

from omniforge.builder.exchange import SkillSeen
from omniforge.core.actor import Actor
from omniforge.skills.library.service import LibraryService


@dataclass(frozen=True, slots=True)
class LibrarySuggestions:
    """Suggests only skills that are named after what the step does: `post` finds `slack-poster`."""

    library: LibraryService

    async def search_skills(
        self, actor: Actor, words: str, integrations: tuple[str, ...]
    ) -> tuple[SkillSeen, ...]:
        """words: the operation first, then what the person said about it."""
        operation = words.casefold().partition(" ")[0]
        found = await self.library.suggest(actor, words, integrations)
        return tuple(
            SkillSeen(
                name=skill.name,
                title=skill.name.replace("-", " ").title(),
                author=skill.author,
                used=skill.uses,
                version=skill.version,
                description=skill.description,
            )
            for skill in found
            if operation and any(part.startswith(operation) for part in skill.name.split("-"))
        )
