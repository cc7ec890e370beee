"""A check that failed, such as types or tests: another attempt that is shown what the check said (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from omniforge.engine.recovery.decision import Again, AskPerson, Decision, Move
from omniforge.engine.recovery.history import UNNAMED_CHECK, check_of
from omniforge.engine.recovery.policy import Failure
from omniforge.engine.recovery.retry import Case

FIXES: Mapping[str, int] = MappingProxyType({"types": 3, "tests": 2})
"""How many fix attempts each check is worth."""
OTHER_FIXES = 2
MOST_FIXES = 6
"""Over all checks of one step."""
LONGEST_FEEDBACK = 6_000
"""Characters; the beginning and the end are kept, the middle goes."""
_SAID = ("output", "stdout", "stderr")


def fix(case: Case) -> Decision:
    """`details["check"]` of the failure names the check, `output`, `stdout` and `stderr` are what it said."""
    check = check_of(case.failure)
    done, allowed = case.history.fixes.get(check, 0), FIXES.get(check, OTHER_FIXES)
    called = "check" if check == UNNAMED_CHECK else f"check of {check}"
    if done >= allowed or sum(case.history.fixes.values()) >= MOST_FIXES:
        return AskPerson(
            f"The {called} still fails after {done} attempts to fix it; a person has to look at it."
        )
    reason = f"The {called} failed; the next attempt is shown what it said (fix {done + 1} of {allowed})."
    hints = case.hints(fix=check, feedback=said_by(case.failure))
    return Again(case.wait(0.0), reason, hints, Move.FIX)


def said_by(failure: Failure) -> str:
    """What the check printed, else the failure's message, cut to a length that a model can read."""
    parts = [str(failure.details[name]) for name in _SAID if failure.details.get(name)]
    return shortened("\n".join(parts) or failure.message)


def shortened(text: str) -> str:
    if len(text) <= LONGEST_FEEDBACK:
        return text
    mark = "\n[…]\n"
    start = LONGEST_FEEDBACK // 4
    return text[:start] + mark + text[start + len(mark) - LONGEST_FEEDBACK :]
