"""The attempts of phases as rows, each with its event; the newest that passed is a phase's checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from omniforge.board import changes
from omniforge.board.generation.phases import ATTEMPTS, after
from omniforge.board.spec_life import ChangeType, SpecLife, spec_event
from omniforge.board.store.specs import PhaseRunRow, SpecRow
from omniforge.board.vocabulary import SpecPhase
from omniforge.core.clock import new_id

Json = dict[str, Any]
EVALUATOR = "system:evaluator"
RUNNING, PASSED, FAILED = "running", "passed", "failed"
DISCARDED, REFUSED = "Discarded: ", "Not approved: "
"""How the reason begins why something is no checkpoint any more that had passed."""


class Checkpoints:
    """Everything here happens in the caller's transaction, which has locked the spec's row."""

    def __init__(self, life: SpecLife) -> None:
        self.life = life

    async def begin(
        self, session: AsyncSession, spec: SpecRow, phase: SpecPhase, attempt: int, run_id: str
    ) -> PhaseRunRow:
        row = PhaseRunRow(
            id=new_id("phase"),
            tenant_id=spec.tenant_id,
            spec_id=spec.id,
            phase=phase.value,
            attempt=attempt,
            status=RUNNING,
            run_id=run_id,
            output=None,
            reasons=[],
            turns=0,
            started_at=self.life.clock.now(),
        )
        session.add(row)
        await self.move(session, spec, phase)
        await self._tell(session, spec, row, "spec.phase_started")
        return row

    async def move(self, session: AsyncSession, spec: SpecRow, phase: SpecPhase) -> None:
        """Say how far the spec has come."""
        if changed := changes.apply(spec, {"current_phase": phase}):
            await self.life.changed(session, EVALUATOR, spec, changed, ChangeType.PHASE_CHANGED)

    async def passed(self, session: AsyncSession, spec: SpecRow, row: PhaseRunRow) -> None:
        """This output is the phase's checkpoint from now on."""
        row.status, row.ended_at = PASSED, self.life.clock.now()
        await self._tell(session, spec, row, "spec.phase_passed", checkpoint_id=row.id)

    @staticmethod
    async def discard_later(session: AsyncSession, row: PhaseRunRow) -> None:
        """A phase is generated again: what later phases of other runs made is no checkpoint any more."""
        later = after(SpecPhase(row.phase))
        for other in await rows_of(session, row.spec_id, phases=later, status=PASSED):
            if other.run_id != row.run_id:
                other.status = FAILED
                other.reasons = [f"{DISCARDED}{row.phase} is generated again."]

    async def failed(
        self,
        session: AsyncSession,
        spec: SpecRow,
        row: PhaseRunRow,
        reasons: Iterable[str],
        *,
        final: bool | None = None,
    ) -> None:
        """`final` None: when it was the last attempt that there may be."""
        row.status, row.reasons, row.ended_at = FAILED, list(reasons), self.life.clock.now()
        is_final = row.attempt >= ATTEMPTS if final is None else final
        told: Json = {"reasons": [reason[:500] for reason in row.reasons[:50]], "final": is_final}
        await self._tell(session, spec, row, "spec.phase_failed", **told)

    async def _tell(
        self, session: AsyncSession, spec: SpecRow, row: PhaseRunRow, type_: str, **payload: Any
    ) -> None:
        told = {"phase": row.phase, "attempt": row.attempt, **payload}
        await session.flush()
        event = spec_event(type_, spec, self.life.clock.now(), EVALUATOR, **told)
        await self.life.append(session, spec, event)


def has_passed(row: PhaseRunRow) -> bool:
    """Whether it was a checkpoint once: what it held may be part of the spec."""
    return row.status == PASSED or any(reason.startswith((DISCARDED, REFUSED)) for reason in row.reasons)


async def rows_of(
    session: AsyncSession,
    spec_id: str,
    *,
    run_id: str | None = None,
    phases: Sequence[SpecPhase] | None = None,
    status: str | None = None,
) -> list[PhaseRunRow]:
    """Attempts of a spec, oldest first."""
    query = select(PhaseRunRow).where(PhaseRunRow.spec_id == spec_id)
    if run_id is not None:
        query = query.where(PhaseRunRow.run_id == run_id)
    if phases is not None:
        query = query.where(PhaseRunRow.phase.in_([phase.value for phase in phases]))
    if status is not None:
        query = query.where(PhaseRunRow.status == status)
    return list(await session.scalars(query.order_by(PhaseRunRow.started_at, PhaseRunRow.attempt)))


async def checkpoints_of(session: AsyncSession, spec_id: str) -> dict[SpecPhase, PhaseRunRow]:
    """The newest attempt that passed, by phase and in the order of the phases."""
    found = {SpecPhase(row.phase): row for row in await rows_of(session, spec_id, status=PASSED)}
    return {phase: found[phase] for phase in SpecPhase if phase in found}
