"""Versions of public skills: three numbers, and when one of them may be taken instead of another (pure)."""

from __future__ import annotations

import re
from typing import NamedTuple

from omniforge.core.errors import Invalid

PATTERN = r"(?:0|[1-9][0-9]{0,5})\.(?:0|[1-9][0-9]{0,5})\.(?:0|[1-9][0-9]{0,5})"
_VERSION = re.compile(PATTERN)


class Version(NamedTuple):
    """Compares by its numbers."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    def next_patch(self) -> Version:
        return self._replace(patch=self.patch + 1)


def parse(text: str) -> Version:
    """`Invalid` unless it is three numbers with points, such as 1.4.0."""
    if not _VERSION.fullmatch(text):
        rule = "three numbers such as 1.4.0"
        field = {"field": "version", "value": text[:40], "rule": rule}
        raise Invalid(f"{text[:40]!r} is no version: it has to be {rule}.", fields=[field])
    return Version(*map(int, text.split(".")))
