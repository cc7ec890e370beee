"""How work ends: with a result or with a question to people; and the body that tells a result."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox_kit.worker.telemetry import cut
from sandbox_kit.worker.tree import Change

Json = dict[str, Any]
MOST_FILES = 2_000
MOST_ARTIFACTS = 50
LONGEST_SUMMARY = 9_000
"""Characters; the other side takes ten kilobytes, of which a character may be several."""
LONGEST_NOTES = 20_000
LARGEST_ARTIFACT = 100_000
LARGEST = 1_000_000
FAILED = "worker_failed"
CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True)
class Outcome:
    """`error_code` only with status `failed`."""

    status: str
    summary: str
    notes: str = ""
    error_code: str | None = None
    tests: Json | None = None
    artifacts: list[Json] = field(default_factory=list[Json])


@dataclass(frozen=True)
class Question:
    """What only a person can answer; the attempt ends with it."""

    reason: str
    text: str
    context: Json | None = None


def failed(summary: str, notes: str = "", code: str = FAILED) -> Outcome:
    return Outcome("failed", summary, notes, code)


def result_body(
    outcome: Outcome, changes: Sequence[Change], attempt: int, masked: Callable[[str], str]
) -> Json:
    """Within the bounds of what is taken, without secrets."""
    files = [change.shown() for change in changes[:MOST_FILES]]
    notes = outcome.notes
    if len(changes) > MOST_FILES:
        notes = f"{notes}\n{len(changes) - MOST_FILES} further changed files are not listed.".strip()
    body: Json = {
        "status": outcome.status,
        "summary": within(masked(outcome.summary).strip() or "There is nothing to say.", LONGEST_SUMMARY),
        "files_changed": files,
        "commits": [],
        "artifacts": [],
        "notes": within(masked(notes), LONGEST_NOTES),
        "attempt": attempt,
    }
    if outcome.tests is not None:
        body["tests"] = outcome.tests
    if outcome.error_code is not None and outcome.status == "failed":
        body["error_code"] = outcome.error_code if CODE.fullmatch(outcome.error_code) else FAILED
    _fill(files, LARGEST - size_of({**body, "files_changed": []}))
    room = LARGEST - size_of(body)
    body["artifacts"] = [one for one in outcome.artifacts if size_of(one) <= LARGEST_ARTIFACT]
    _fill(body["artifacts"], room, MOST_ARTIFACTS)
    return body


def size_of(value: Any) -> int:
    """Bytes of a JSON value, at most: characters are counted in their longest spelling."""
    return len(json.dumps(value)) + 2


def _fill(items: list[Json], room: int, most: int | None = None) -> None:
    """Keep the first items that have room together."""
    sizes = itertools.accumulate(size_of(item) for item in items)
    del items[sum(1 for size in sizes if size <= room) :]
    del items[most if most is not None else len(items) :]


def within(text: str, most: int) -> str:
    """Cut in its middle until it has at most so many bytes."""
    length = most
    while len(text.encode("utf-8", "replace")) > most:
        length = length * 3 // 4
        text = cut(text, length)
    return text
