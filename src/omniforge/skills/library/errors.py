"""What can be wrong with publishing, deciding about and using a public skill."""

from __future__ import annotations

from collections.abc import Sequence

from omniforge.core.errors import Conflict, Invalid
from omniforge.skills.errors import SkillNotFound
from omniforge.skills.findings import Finding


class NotPublishable(Invalid):
    """Others would see what is not theirs; `details["findings"]` has every place."""

    code = "not_publishable"

    @classmethod
    def because(cls, findings: Sequence[Finding]) -> NotPublishable:
        first = findings[0]
        more = f" And {len(findings) - 1} more." if len(findings) > 1 else ""
        return cls(
            f"{first.path}, line {first.line}: {first.message}{more}",
            findings=[finding.as_json() for finding in findings],
            fields=[
                {"field": f"files[{item.path}]:{item.line}", "value": None, "rule": item.message}
                for item in findings
            ],
        )


class VersionTaken(Conflict):
    """A version has to be higher than all before it; `details["highest"]` is the highest there is."""

    code = "version_not_higher"


class NothingWaits(Conflict):
    """There is no version that waits for a decision."""

    code = "not_pending"


class SkillWithdrawn(SkillNotFound):
    """It was withdrawn: agents that use it go on, new ones cannot take it."""

    code = "skill_withdrawn"


def no_public_skill(name: str) -> SkillNotFound:
    return SkillNotFound(f"There is no public skill {name[:64]!r}.", name=name[:64], near=[])


def no_such_version(name: str, version: str, latest: str) -> SkillNotFound:
    message = f"The public skill {name} has no version {version[:24]}. The newest one is {latest}."
    return SkillNotFound(message, name=name, near=[], latest=latest)
