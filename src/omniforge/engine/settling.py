"""How a drive ends: the run is over, waits, or is paused. Undoes what has to be undone first."""

from __future__ import annotations

from omniforge.core.clock import Clock, rfc3339
from omniforge.engine.active import ActiveRun, Fenced
from omniforge.engine.changes import ENGINE, Draft, leftovers
from omniforge.engine.events import Event
from omniforge.engine.journal import Journal
from omniforge.engine.records import Change
from omniforge.engine.saga import Saga
from omniforge.engine.state import RunStatus, StepStatus, final_status


async def settle_run(run: ActiveRun, journal: Journal, saga: Saga, clock: Clock) -> RunStatus:
    """Write how a run stands of which nothing is under way any more. `Fenced` when it is somebody else's."""
    draft = Draft(run, clock.now())
    waiting = run.progress.waiting()
    if run.is_to_pause and run.progress.unfinished:
        draft.status, draft.request = RunStatus.PAUSED, ""
        draft.tell("run.paused", {"reason": run.pausing})
    elif waiting and (not run.ending or run.is_to_pause):
        moments = [wake for key in waiting if (wake := run.progress.states[key].wake_at) is not None]
        draft.status, draft.wake_at = RunStatus.WAITING, min(moments, default=None)
        reasons = {key: run.progress.states[key].reason for key in waiting}
        draft.tell("run.waiting", {"waiting_for": reasons, "until": draft.wake_at})
    else:
        status, error = RunStatus.CANCELLED, None
        if run.failure is not None and (run.cancelled_by is None or _is_being_undone(run)):
            status, error = await saga.end_failed(run)
            draft = Draft(run, clock.now())
        elif run.cancelled_by is None:
            status = final_status(run.plan, run.progress.states)
        left = StepStatus.SKIPPED if run.stopped is not None else StepStatus.CANCELLED
        leftovers(draft, run.progress.left_over(), left, status.value)
        draft.end(status, error, run.cancelled_by)
    if not await journal.write(draft):
        raise Fenced(f"run {run.record.id} is over, or another writer drives it")
    run.status = draft.status or run.status
    return run.status


def _is_being_undone(run: ActiveRun) -> bool:
    """Undoing that has begun is brought to its end, also when somebody cancels the run meanwhile."""
    begun = (StepStatus.COMPENSATING, StepStatus.COMPENSATED)
    return any(state.status in begun for state in run.progress.states.values())


async def end_damaged(journal: Journal, clock: Clock, run_id: str, tenant_id: str, epoch: int) -> bool:
    """End a run whose plan does not hold: nothing of it can be driven, and it must not wait for ever."""
    now = clock.now()
    error = {"code": "plan_damaged", "message": "The stored plan of this run is missing or damaged."}
    payload = {"status": RunStatus.FAILED.value, "error": error}
    change = Change(
        run_id,
        tenant_id,
        epoch=epoch,
        status=RunStatus.FAILED,
        error=error,
        at=rfc3339(now),
        events=[Event("run.finished", f"run:{run_id}", now, ENGINE, payload, run_id)],
    )
    return await journal.write(change)
