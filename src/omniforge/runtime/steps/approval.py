"""Step kind `approval`: waits for a person's yes."""

from __future__ import annotations

from omniforge.engine.active import StepCall
from omniforge.engine.state import Waiting


async def ask_for_approval(call: StepCall) -> Waiting:
    """args: `{"question": text, "details"?: object}`. The answer's `approved` is the step's output."""
    question = str(call.step.args.get("question", "May this go on?"))
    return Waiting("approval", {"question": question, "details": call.step.args.get("details")})
