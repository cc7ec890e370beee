"""An answer not in the form asked for: the same again naming the errors, then anew, then in part (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from omniforge.engine.recovery.decision import Again, Decision, GiveUp, Move
from omniforge.engine.recovery.fix import shortened
from omniforge.engine.recovery.policy import Failure
from omniforge.engine.recovery.retry import Case

REFORMATS = 2
FRESH_ATTEMPTS = 1


def repair(case: Case) -> Decision:
    """Coercion comes first and is the handler's (`coerce`); this is about what it could not do.

    `details` of the failure may list what is wrong: `problems` (texts) or `fields` (`{field, value, rule}`).
    """
    history = case.history
    feedback = problems_of(case.failure)
    done = history.made(Move.REFORMAT)
    if done < REFORMATS:
        told = "The answer is not in the agreed form; it is asked for again, naming the errors"
        reason = f"{told} ({done + 1} of {REFORMATS})."
        return Again(case.wait(0.0), reason, case.hints(reformat=True, feedback=feedback), Move.REFORMAT)
    if history.made(Move.FRESH) < FRESH_ATTEMPTS:
        reason = f"{REFORMATS} repairs did not bring the answer into the agreed form; the step starts anew."
        return Again(case.wait(0.0), reason, case.hints(feedback=feedback), Move.FRESH)
    if case.allows_partial and not history.made(Move.PARTIAL):
        reason = "Warning: the answer stays incomplete; the step takes the part of it that can be read."
        return Again(case.wait(0.0), reason, case.hints(partial=True, feedback=feedback), Move.PARTIAL)
    return GiveUp(
        f"The answer never came in the agreed form, in {case.count} attempts. {case.failure.message}"
    )


def problems_of(failure: Failure) -> str:
    """What was wrong, one problem a line."""
    problems = [str(problem) for problem in _list(failure.details.get("problems"))]
    problems += [_of_field(field) for field in _list(failure.details.get("fields"))]
    reason = failure.details.get("reason")
    if not problems:
        problems = [failure.message, *([str(reason)] if reason else [])]
    return shortened("\n".join(f"- {problem}" for problem in problems))


def _of_field(field: Any) -> str:
    if not isinstance(field, Mapping):
        return str(field)
    given = cast("Mapping[str, Any]", field)
    return f"{given.get('field', '?')}: {given.get('rule', '?')} (given: {str(given.get('value'))[:200]!r})"


def _list(value: Any) -> Iterable[Any]:
    return cast("Iterable[Any]", value) if isinstance(value, list | tuple) else ()
