"""What can be wrong with a skill somebody asks for or writes."""

from __future__ import annotations

from omniforge.core.errors import Conflict, Invalid, NotFound, OmniForgeError


class SkillNotFound(NotFound):
    """No root has a loadable skill of this name; `details["near"]` has at most three that are close."""

    code = "skill_not_found"

    @classmethod
    def here(cls, name: str) -> SkillNotFound:
        return cls(f"There is no skill {name[:64]!r} here.", name=name[:64], near=[])


class SkillInvalid(Invalid):
    """The SKILL.md breaks rules; `details["diagnostics"]` has all of them."""

    code = "skill_invalid"


class SkillChanged(Conflict):
    """Somebody else wrote this skill in between; `details["current"]` is its hash."""

    code = "version_conflict"

    @classmethod
    def meanwhile(cls, name: str, current: str | None) -> SkillChanged:
        message = f"The skill {name} was changed meanwhile; look at what is there now and try again."
        return cls(message, name=name, current=current)


class SkillDamaged(OmniForgeError):
    """Stored bytes do not have the hash they are stored under. They are never used."""

    code = "skill_damaged"
