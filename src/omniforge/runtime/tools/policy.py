"""What a step may call and what it may change outside: allow-list and effect lock (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from omniforge.core.errors import Fatal, Forbidden
from omniforge.runtime.tools.origins import Origins
from omniforge.runtime.tools.protocol import Target
from omniforge.skills.allowed_tools import AllowedTools, ToolRule
from omniforge.skills.document import Document

DEFAULT_GRANT = (
    *("Read", "Write", "Edit", "Glob", "Grep", "Document"),
    *("State", "Inbox", "Ask", "Skill"),
)
"""What every skill may call unless its allow-list narrows it; an agent's integrations come on top."""


class ToolRefused(Forbidden):
    """The skill's allow-list or the agent's grant does not hold this tool."""

    code = "tool_not_allowed"


class EffectNotApproved(Fatal):
    """A write or send that nobody approved; it was not sent."""

    code = "effect_not_approved"


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """`granted` by the agent (names, or `notion.*`), narrowed by `allows` (the skill's allow-list)."""

    granted: Sequence[str]
    allows: Callable[[str, str], bool] | None = None
    listed: Sequence[str] = ()
    forbids: AllowedTools | None = None
    """The skill's `disallowed-tools`."""
    rules: AllowedTools | None = None
    """What `allows` was made from, to tell which tools it is about at all."""
    caller: ToolPolicy | None = None
    """Of the skill that called this one: what it may not use, this one may not either."""

    @classmethod
    def of(cls, document: Document, granted: Sequence[str], caller: ToolPolicy | None = None) -> ToolPolicy:
        """What a skill's front matter leaves of a grant."""
        allowed = document.allowed_tools
        return cls(
            granted=granted,
            allows=None if allowed is None else allowed.matches,
            listed=[] if allowed is None else [str(item) for item in allowed],
            forbids=document.disallowed_tools,
            rules=allowed,
            caller=caller,
        )

    def check(self, skill: str, tool: str, subject: str) -> None:
        """Raise `ToolRefused`, naming what is allowed and what to change."""
        self._check_own(skill, tool, subject)
        if self.caller is not None:
            self.caller.check(f"that calls {skill}", tool, subject)

    def _check_own(self, skill: str, tool: str, subject: str) -> None:
        if not any(_matches(name, tool) for name in self.granted):
            raise ToolRefused(
                f"The agent does not grant {tool} to its skills; it grants {', '.join(self.granted)}.",
                skill=skill,
                tool=tool,
                granted=list(self.granted),
            )
        if self.allows is not None and not self.allows(tool, subject):
            raise ToolRefused(
                f"The skill {skill} may not use {tool} this way; its allowed-tools are "
                f"{', '.join(self.listed) or 'none'}. Add it there to allow it.",
                skill=skill,
                tool=tool,
                allowed=list(self.listed),
            )
        if self.forbids is not None and self.forbids.matches(tool, subject):
            raise ToolRefused(
                f"The skill {skill} may not use {tool} this way: it stands in its disallowed-tools.",
                skill=skill,
                tool=tool,
                disallowed=[str(item) for item in self.forbids],
            )

    def offers(self, tool: str) -> bool:
        """Whether a skill should be told about a tool at all."""
        return any(_matches(name, tool) for name in self.granted)

    def is_usable(self, tool: str) -> bool:
        """Whether some call of a tool could pass."""
        listed = self.rules is None or any(ToolRule(rule.tool).matches(tool) for rule in self.rules)
        forbidden = self.forbids is not None and ToolRule(tool) in self.forbids.rules
        mine = self.offers(tool) and listed and not forbidden
        return mine and (self.caller is None or self.caller.is_usable(tool))


def _matches(name: str, tool: str) -> bool:
    if name.endswith(".*"):
        return tool.startswith(name[:-1])
    return name == tool


@dataclass(slots=True)
class EffectLock:
    """Lets through only effects of the approved manifest, each at most as often as its cap says.

    Manifest entries: `{"tool", "destination": {"integration", "connection", "resource", "name"}, "cap"}`. A
    destination that follows the data has `any_of` (resources) or `within` (a container) for a resource.
    """

    manifest: Sequence[Mapping[str, Any]]
    origins: Origins = field(default_factory=Origins)
    used: dict[int, int] = field(default_factory=dict[int, int])

    def give_back(self, ticket: int) -> None:
        """The effect let through under this ticket is known not to have happened."""
        self.used[ticket] -= 1

    def count(self, tool: str, target: Target | None) -> int | None:
        """Count an effect under the first entry that has room for it; None when there is none."""
        for index, entry in enumerate(self.manifest):
            if entry.get("tool") != tool or not self._is_same(entry.get("destination") or {}, target):
                continue
            if self.used.get(index, 0) < int(entry.get("cap", 1)):
                self.used[index] = self.used.get(index, 0) + 1
                return index
        return None

    def pass_through(self, tool: str, target: Target | None) -> int:
        """Count the effect and return its ticket, or raise before anything leaves the process."""
        index = self.count(tool, target)
        if index is not None:
            return index
        where = target.name if target else "an unnamed place"
        places: list[Mapping[str, Any]] = [entry.get("destination") or {} for entry in self._writes()]
        approved = ", ".join(dict.fromkeys(str(place.get("name")) for place in places))
        more = "" if target is None or not self._is_known(tool, target) else " as often as it did already"
        raise EffectNotApproved(
            f"I stopped before {tool} changed {where}{' once more' if more else ''}: "
            + (
                f"you approved {approved}{more or ' only'}."
                if approved
                else "no change outside was approved."
            ),
            tool=tool,
            destination=target.shown() if target else None,
            approved=[dict(entry) for entry in self._writes()],
        )

    def _writes(self) -> list[Mapping[str, Any]]:
        return [entry for entry in self.manifest if entry.get("access") != "read"]

    def _is_known(self, tool: str, target: Target) -> bool:
        """Whether only the cap stands in the way."""
        return any(
            entry.get("tool") == tool and self._is_same(entry.get("destination") or {}, target)
            for entry in self.manifest
        )

    def _is_same(self, approved: Mapping[str, Any], target: Target | None) -> bool:
        if target is None or approved.get("integration") != target.integration:
            return False
        if approved.get("connection") not in (None, target.connection):
            return False
        if "any_of" in approved:
            return target.resource in approved["any_of"]
        if "within" in approved:
            return self.origins.holds(str(approved["within"]), target.resource)
        return approved.get("resource") == target.resource
