"""What artifacts hold: of diffs and receipts by the host, of a worker's words, of an upload. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from omniforge.board.diffs import Change
from omniforge.board.store.evidence import ReceiptRow
from omniforge.board.store.tasks import TaskRow
from omniforge.board.vocabulary import ArtifactType, PhaseId
from omniforge.engine.events import storable
from omniforge.sandboxes.texts import is_relative

Json = dict[str, Any]
HOST_MADE = (
    ArtifactType.CODE_CHANGES,
    ArtifactType.TEST_RESULTS,
    ArtifactType.TEST_EVIDENCE,
    ArtifactType.TEST_COVERAGE,
)
"""Nobody else's word for these is taken."""
MAX_FILES = 1_000
"""Changed files that are listed one by one."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What is to be kept. `phase` is where in the workflow it shows something."""

    type: ArtifactType
    phase: PhaseId
    content: Json | None
    path: str = ""
    task_id: str | None = None


def of_attempt(
    task: TaskRow,
    base: str | None,
    head: str | None,
    changes: Sequence[Change],
    receipts: Sequence[ReceiptRow],
) -> list[Sent]:
    """What the host itself saw of an attempt: its diff, and what its commands showed. Stored by the host."""
    phase = PhaseId(task.phase_id)
    diff = [Sent(ArtifactType.CODE_CHANGES, phase, code_changes(base, head, changes), task_id=task.id)]
    return (diff if changes else []) + of_receipts(phase, receipts, task.id)


def of_receipts(phase: PhaseId, receipts: Sequence[ReceiptRow], task_id: str | None = None) -> list[Sent]:
    """What commands have shown, of a task or of a gate. Stored by the host."""
    return [Sent(kind, phase, content, task_id=task_id) for kind, content in evidence_of(receipts)]


def of_worker(task: TaskRow, artifacts: Sequence[Json]) -> list[Sent]:
    """Artifacts `{type, path?, content?}` of a worker's result. Types that only the host makes, and words
    that are no type, become `other`."""
    made: list[Sent] = []
    for one in artifacts:
        said, path, content = str(one.get("type")), one.get("path"), one.get("content")
        kind = ArtifactType(said) if said in list(ArtifactType) else ArtifactType.OTHER
        if kind in HOST_MADE or kind != said:
            kind, content = ArtifactType.OTHER, {"type": said[:64], "content": content}
        kept = path if isinstance(path, str) and is_relative(path) else ""
        made.append(Sent(kind, PhaseId(task.phase_id), as_object(content), kept, task.id))
    return made


def code_changes(base: str | None, head: str | None, changes: Sequence[Change]) -> Json:
    """The diff of an attempt: every file up to a limit, all lines counted."""
    return {
        "base": base,
        "head": head,
        "files_changed": len(changes),
        "lines_added": sum(one.lines_added for one in changes),
        "lines_removed": sum(one.lines_removed for one in changes),
        "files": [one.shown() for one in changes[:MAX_FILES]],
    }


def evidence_of(receipts: Sequence[ReceiptRow]) -> list[tuple[ArtifactType, Json]]:
    """Verdicts, the receipts they rest on, and coverage as far as it was measured."""
    if not receipts:
        return []
    verdicts = [
        {"check_key": one.check_key, "command": one.command, "passed": one.passed, "exit_code": one.exit_code}
        for one in receipts
    ]
    passed = sum(one.passed for one in receipts)
    results = {"total": len(receipts), "passed": passed, "failed": len(receipts) - passed, "checks": verdicts}
    told = ("check_key", "output_hash", "tree_hash", "image", "duration_ms")
    evidence = [{"receipt_id": one.id, **{name: getattr(one, name) for name in told}} for one in receipts]
    made: list[tuple[ArtifactType, Json]] = [
        (ArtifactType.TEST_RESULTS, results),
        (ArtifactType.TEST_EVIDENCE, {"receipts": evidence}),
    ]
    measured = [one for one in receipts if one.coverage_percent is not None]
    if measured:
        coverage = [
            {"check_key": one.check_key, "percent": one.coverage_percent, "receipt_id": one.id}
            for one in measured
        ]
        made.append(
            (ArtifactType.TEST_COVERAGE, {"percent": measured[-1].coverage_percent, "checks": coverage})
        )
    return made


def as_object(content: Any) -> Json | None:
    """As rows hold it: a text as `{text}`, an object as it is, anything else as `{value}`."""
    match content:
        case None | dict():
            return content  # pyright: ignore[reportUnknownVariableType] - JSON
        case str():
            return {"text": content}
        case _:
            return {"value": content}


def canonical(content: Json | None) -> bytes:
    return storable(content).encode()
