"""What looking at a skill's files brought up, with the place (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

MAX_PER_KIND = 5
MAX_IN_ALL = 200


class Weight(StrEnum):
    """How much a finding should make somebody hesitate."""

    HIGH = "high"
    MEDIUM = "medium"
    NOTE = "note"


_ORDER = (Weight.HIGH, Weight.MEDIUM, Weight.NOTE)


@dataclass(frozen=True, slots=True)
class Finding:
    """`line` counts from 1 in the file `path`."""

    code: str
    path: str
    line: int
    message: str
    weight: Weight = Weight.MEDIUM

    def as_json(self) -> dict[str, str | int]:
        return {**asdict(self), "weight": self.weight.value}


def texts(files: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    """Path and text of every file, bytes that are no UTF-8 replaced; what is plainly binary left out."""
    for path in sorted(files):
        data = files[path]
        if b"\0" not in data[:8192]:
            yield path, data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")


def condensed(findings: Iterable[Finding]) -> list[Finding]:
    """The heaviest first; of one kind in one file the first few, and how many more there are."""
    by_kind: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        by_kind.setdefault((finding.code, finding.path), []).append(finding)
    kept: list[Finding] = []
    for group in by_kind.values():
        kept += group[:MAX_PER_KIND]
        if len(group) > MAX_PER_KIND:
            last = group[MAX_PER_KIND]
            more = f"{len(group) - MAX_PER_KIND} more places like these."
            kept.append(Finding(last.code, last.path, last.line, more, last.weight))
    kept.sort(key=lambda finding: (_ORDER.index(finding.weight), finding.path, finding.line))
    return kept[:MAX_IN_ALL]
