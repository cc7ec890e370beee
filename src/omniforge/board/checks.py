"""Commands that prove something: run by the host in a sandbox, each leaving a receipt."""

from __future__ import annotations

import re
import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from omniforge.board.coverage import ReportUnreadable, read_coverage
from omniforge.board.log import board_event
from omniforge.board.store.evidence import ReceiptRow
from omniforge.core.clock import Clock, new_id
from omniforge.core.redaction import redacted
from omniforge.db import Database
from omniforge.engine.artifacts import ArtifactStore
from omniforge.engine.events import Event, EventLog
from omniforge.sandboxes.workspaces import OUTPUT_KEPT, Execution

Execute = Callable[[Sequence[str], str, float], Awaitable[Execution]]
"""argv, folder below the workspace, seconds → how it ended. What it raises is no result of the check."""
ReadFile = Callable[[str], Awaitable[bytes | None]]
"""A file of the workspace as it is now; None where there is no regular file of that path."""

TAIL_BYTES = 8 * 1024
REMOVE_SECONDS = 30.0
OURS = "[omniforge]"
"""Begins what we add to the tail of an output."""
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")


class Defined(Protocol):
    """A check as a gate or a criterion defines it; `fields` are those of kind command."""

    @property
    def key(self) -> str: ...
    @property
    def fields(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class CoverageWanted:
    report: str
    format: str
    minimum: float


@dataclass(frozen=True, slots=True)
class CommandCheck:
    """A command with every default filled in. `shown` is the form that receipts hold and are found by."""

    key: str
    argv: tuple[str, ...]
    shown: str
    cwd: str = "."
    timeout_seconds: float = 600.0
    expect_exit: int = 0
    coverage: CoverageWanted | None = None

    @classmethod
    def of(cls, check: Defined) -> CommandCheck:
        fields = check.fields
        command: str | list[str] = fields["command"]
        is_line = isinstance(command, str)
        wanted = fields.get("coverage")
        return cls(
            key=check.key,
            argv=("/bin/sh", "-c", command) if is_line else tuple(command),
            shown=command if is_line else shlex.join(command),
            cwd=fields.get("cwd") or ".",
            timeout_seconds=float(fields.get("timeout_seconds") or 600),
            expect_exit=fields.get("expect_exit") or 0,
            coverage=CoverageWanted(**wanted) if wanted else None,
        )


@dataclass(frozen=True, slots=True)
class CheckSubject:
    """What a check is about: a ticket in one entry of a status; with a task, the attempt of it."""

    tenant_id: str
    project_id: str
    ticket_id: str
    phase_entry: int
    task_id: str | None = None
    attempt: int | None = None
    from_status: str | None = None


class Checks:
    """`kept` is where whole outputs go."""

    def __init__(self, db: Database, events: EventLog, clock: Clock, kept: ArtifactStore) -> None:
        self.db, self.events, self.clock, self.kept = db, events, clock, kept

    async def run_command(
        self,
        actor_by: str,
        check: Defined,
        *,
        execute: Execute,
        about: CheckSubject,
        tree_hash: str,
        image: str,
        read_file: ReadFile,
    ) -> ReceiptRow:
        """Run it, and leave a receipt with its event, whatever came out.

        tree_hash, image: of what it runs on. A coverage report that lay there before is removed first, so
        that only what the command itself wrote can count.
        """
        command = CommandCheck.of(check)
        wanted = command.coverage
        is_clear = wanted is None or await _clear(wanted.report, execute, read_file)
        started = self.clock.now()
        execution = await execute(command.argv, command.cwd, command.timeout_seconds)
        percent, notes = None, _notes(command, execution)
        if wanted is not None and is_clear:
            percent, note = await _coverage(wanted, read_file)
            notes += [note] if note else []
        elif wanted is not None:
            notes.append(f"An old coverage report at {wanted.report} could not be removed.")
        output = execution.output[:OUTPUT_KEPT]
        reference = await self.kept.put(about.tenant_id, output) if output else None
        receipt = ReceiptRow(
            id=new_id("rcp"),
            tenant_id=about.tenant_id,
            ticket_id=about.ticket_id,
            task_id=about.task_id,
            attempt=about.attempt,
            from_status=about.from_status,
            phase_entry=about.phase_entry,
            check_key=command.key,
            command=command.shown,
            cwd=command.cwd,
            exit_code=execution.exit_code,
            passed=not notes,
            output_hash=execution.output_hash,
            output_tail=tail_of(output, [*notes, *_remarks(execution)]),
            output_ref=reference,
            tree_hash=tree_hash,
            image=image[:200],
            coverage_percent=percent,
            started_at=started,
            duration_ms=max(round(execution.seconds * 1000), 0),
            run_by=actor_by,
        )
        async with self.db.transaction() as session:
            session.add(receipt)
            await session.flush()
            await self.events.append(session, about.tenant_id, self._recorded(receipt, about))
        return receipt

    def _recorded(self, receipt: ReceiptRow, about: CheckSubject) -> Event:
        told = ("check_key", "passed", "exit_code", "tree_hash", "duration_ms")
        return board_event(
            "receipt.recorded",
            receipt.id,
            self.clock.now(),
            receipt.run_by,
            project_id=about.project_id,
            ticket_id=about.ticket_id,
            task_id=about.task_id,
            receipt_id=receipt.id,
            **{name: getattr(receipt, name) for name in told},
        )


def _notes(command: CommandCheck, execution: Execution) -> list[str]:
    """Why it did not pass, as far as the command itself tells."""
    if execution.timed_out:
        return [f"It was ended after {command.timeout_seconds:g} seconds."]
    if execution.exit_code != command.expect_exit:
        return [f"It ended with exit code {execution.exit_code}; {command.expect_exit} was expected."]
    return []


def _remarks(execution: Execution) -> list[str]:
    return [f"Only the first {OUTPUT_KEPT} bytes of the output were kept."] if execution.truncated else []


async def _clear(report: str, execute: Execute, read_file: ReadFile) -> bool:
    """Whether nothing lies where the report will be."""
    await execute(("rm", "-f", "--", report), ".", REMOVE_SECONDS)
    return await read_file(report) is None


async def _coverage(wanted: CoverageWanted, read_file: ReadFile) -> tuple[float | None, str | None]:
    """Percent as far as it is known, and why it is not enough."""
    report = await read_file(wanted.report)
    if report is None:
        return None, f"It left no coverage report at {wanted.report}."
    try:
        percent = read_coverage(report, wanted.format)
    except ReportUnreadable as flaw:
        return None, f"The coverage report at {wanted.report} could not be read: {flaw}."
    if percent < wanted.minimum:
        return percent, f"Coverage is {percent:.2f} %; at least {wanted.minimum:g} % is wanted."
    return percent, None


def tail_of(output: bytes, notes: Sequence[str] = ()) -> str:
    """The end of an output as text of at most 8 KB, our notes on it below."""
    added = "".join(f"\n{OURS} {note}" for note in notes)
    room = TAIL_BYTES - len(added.encode())
    text = plain_text(output[-4 * TAIL_BYTES :]).encode()
    return (text[-room:].decode("utf-8", "ignore") + added).removeprefix("\n")


def plain_text(output: bytes) -> str:
    """As people can read it: without colours, control characters and what looks like a secret."""
    text = output.decode("utf-8", "replace").replace("\r\n", "\n")
    return redacted(_CONTROL.sub("", _ESCAPES.sub("", text)))
