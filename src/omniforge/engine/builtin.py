"""The step kind that the engine does itself: waiting for a moment or for somebody's input."""

from __future__ import annotations

from datetime import datetime, timedelta

from omniforge.core.clock import Clock, rfc3339
from omniforge.core.errors import Fatal
from omniforge.engine.active import Handler, StepCall
from omniforge.engine.state import StepResult, Waiting


def wait_step(clock: Clock) -> Handler:
    """args: `seconds`, or `until` (RFC 3339, may come from inputs), or `for: input` with a `question`."""

    async def wait(call: StepCall) -> StepResult | Waiting:
        now = clock.now()
        if call.woken:
            return StepResult(output={"at": rfc3339(now)})
        if call.step.args.get("for") == "input":
            return Waiting("input", {"question": call.step.args.get("question")})
        until = _moment(call, now)
        if until <= now:
            return StepResult(output={"at": rfc3339(now)})
        return Waiting("time", {}, until)

    return wait


def _moment(call: StepCall, now: datetime) -> datetime:
    seconds = call.step.args.get("seconds")
    if seconds is not None:
        return now + timedelta(seconds=float(seconds))
    text = call.inputs.get("until", call.step.args.get("until"))
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise Fatal(f"{text!r} is no time such as 2026-11-21T10:00:00Z.", code="bad_time") from error
    if moment.tzinfo is None:
        raise Fatal(f"{text!r} does not say its zone; write Z or +01:00 behind it.", code="bad_time")
    return moment
