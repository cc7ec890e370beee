"""What the engine does with the plan of an attempt, step by step. Every step may be done again."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from omniforge.board.examining import Verdict
from omniforge.board.outfitting import Outfitting
from omniforge.board.planner import StepKind
from omniforge.board.settling import Settling
from omniforge.board.standing import terminal_result
from omniforge.board.store.tasks import AttemptRow
from omniforge.engine.active import Handler, StepCall
from omniforge.engine.state import StepResult, Waiting

LOOK_AGAIN = timedelta(seconds=30)
"""Somebody tells when there is something; should that be lost, it is seen after this."""
WAITS_FOR = "worker"


class AttemptSteps:
    def __init__(self, outfitting: Outfitting, settling: Settling) -> None:
        self.outfitting, self.settling = outfitting, settling
        self.db, self.clock = settling.db, settling.clock

    def handlers(self) -> dict[str, Handler]:
        return {
            StepKind.SPAWN: self.spawn,
            StepKind.WORK: self.work,
            StepKind.VERIFY: self.verify,
            StepKind.SETTLE: self.settle,
            StepKind.ADVANCE: self.advance,
        }

    async def spawn(self, call: StepCall) -> StepResult:
        return StepResult(output={"alive": await self.outfitting.outfit(*_which(call))})

    async def work(self, call: StepCall) -> StepResult | Waiting:
        """Waits for a result, or for the end of the attempt, without a place in the engine."""
        _, task_id, attempt = _which(call)
        async with self.db.read() as session:
            result = await terminal_result(session, task_id, attempt)
            where = (AttemptRow.task_id == task_id, AttemptRow.attempt == attempt)
            outcome = await session.scalar(select(AttemptRow.outcome).where(*where))
        if result is None and outcome is None:
            about = {"task_id": task_id, "attempt": attempt}
            return Waiting(WAITS_FOR, about, self.clock.now() + LOOK_AGAIN)
        return StepResult(output={"result_id": result.id if result else None, "outcome": outcome})

    async def verify(self, call: StepCall) -> StepResult:
        verdict = await self.settling.examine(*_which(call))
        return StepResult(output={"verdict": verdict.to_json() if verdict else None})

    async def settle(self, call: StepCall) -> StepResult:
        said = call.inputs.get("verdict")
        verdict = Verdict.from_json(said) if said else None
        settled = verdict is not None and await self.settling.settle(*_which(call), verdict)
        return StepResult(output={"settled": settled})

    async def advance(self, call: StepCall) -> StepResult:
        tenant_id, task_id, _ = _which(call)
        advance = await self.settling.advance(tenant_id, task_id)
        hops = [status.value for status in advance.hops] if advance else []
        reason = advance.reason.value if advance and advance.reason else None
        return StepResult(output={"hops": hops, "reason": reason})


def _which(call: StepCall) -> tuple[str, str, int]:
    said = call.run.input
    return call.run.tenant_id, str(said["task_id"]), int(said["attempt"])
