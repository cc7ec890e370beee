"""Where a write's address comes from: written down before, read from a known place, or made up (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

from omniforge.runtime.tools.protocol import Json, Target

_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")


class Origin(StrEnum):
    FIXED = "fixed"
    """It stands in the agent's settings or in the skill's files."""
    WITHIN = "within"
    """A read of a container that is fixed gave it: a row of a database, say."""
    DATA = "data"
    """It came from anywhere else."""


@dataclass(slots=True)
class Origins:
    """`text` is everything that was written down before the step began, `seen` what reads gave: container →
    ids of the items in it, as the service told them.
    """

    text: str = ""
    seen: dict[str, set[str]] = field(default_factory=dict[str, set[str]])

    @classmethod
    def of_texts(cls, texts: Sequence[str]) -> Origins:
        return cls(_UUID.sub(lambda found: plain(found[0]), "\n".join(texts).lower()))

    def note_read(self, container: str | None, result: Mapping[str, Any]) -> None:
        """Remember which items a read of a container listed.

        Only each item's own `id` counts: what stands deeper is what people wrote there.
        """
        if container is None:
            return
        for value in result.values():
            if isinstance(value, list):
                for item in cast("list[Any]", value):
                    if isinstance(item, dict) and isinstance(item.get("id"), str):  # pyright: ignore[reportUnknownMemberType]
                        self.remember(container, cast("Json", item)["id"])

    def remember(self, container: str, item: str) -> None:
        self.seen.setdefault(plain(container), set()).add(plain(item))

    def holds(self, container: str, resource: str) -> bool:
        return plain(resource) in self.seen.get(plain(container), ())

    def of(self, target: Target | None) -> Json:
        """`{"from": "fixed" | "data"}`, or `{"from": "within", "container": id}`."""
        if target is None:
            return {"from": Origin.DATA.value}
        if self._is_written(target.resource) or self._is_written(target.name):
            return {"from": Origin.FIXED.value}
        for container in sorted(self.seen):
            if self.holds(container, target.resource) and self._is_written(container):
                return {"from": Origin.WITHIN.value, "container": container}
        return {"from": Origin.DATA.value}

    def _is_written(self, name: str) -> bool:
        word = re.escape(plain(name))
        return bool(name) and re.search(rf"(?<![0-9a-z_]){word}(?![0-9a-z_])", self.text) is not None


def plain(name: str) -> str:
    """Lower case; a UUID without its dashes, as services write them both ways."""
    small = name.lower()
    return small.replace("-", "") if _UUID.fullmatch(small) else small
