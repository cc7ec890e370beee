"""What the board refuses, each with its code. `details` say what could be done instead."""

from __future__ import annotations

from omniforge.core.errors import Conflict, Invalid, OmniForgeError


class IllegalMove(Conflict):
    """The workflow has no such edge."""

    code = "illegal_move"


class TicketBlocked(Conflict):
    code = "ticket_blocked"


class NotApproved(Conflict):
    """People have not looked at this ticket yet, or said no."""

    code = "not_approved"


class NotPendingReview(Conflict):
    code = "not_pending_review"


class WipLimitReached(Conflict):
    """The column is full; `details`: limit, count."""

    code = "wip_limit"


class GatePending(Conflict):
    """Not everything that has to be shown was shown; `details`: readiness, criteria."""

    code = "gate_pending"


class GateNoGo(Conflict):
    code = "gate_no_go"


class DuplicateTicket(Conflict):
    """Something much like it is there; `details`: candidates, highest_similarity."""

    code = "duplicate_ticket"


class DependencyCycle(Conflict):
    """`details.cycle` is the way round, first and last alike."""

    code = "dependency_cycle"


class TaskNotReady(Conflict):
    code = "task_not_ready"


class TaskFinished(Conflict):
    code = "task_finished"


class TaskHasSandbox(Conflict):
    code = "task_has_sandbox"


class PhaseClosed(Conflict):
    """The ticket has passed that phase; a regress opens it again."""

    code = "phase_closed"


class LateResult(Conflict):
    """Another attempt counts by now; `details`: task_status, current_attempt, your_attempt."""

    code = "late_result"


class UseResults(Conflict):
    """A worker said that it is done where only its results count."""

    code = "use_results"


class UseReview(Conflict):
    """A worker said that it cannot go on where it has to ask a question."""

    code = "use_review"


class PreconditionFailed(Conflict):
    code = "precondition_failed"


class NameTaken(Conflict):
    code = "name_taken"


class VersionConflict(Conflict):
    """Somebody changed it meanwhile; `details.version` is the current one."""

    code = "version_conflict"


class TicketRequired(Invalid):
    """Several tickets could be meant; `details` lists them."""

    code = "ticket_required"


class InvalidSpec(Invalid):
    """`details`: problems `[{code, ref, field?, message, path?, line?}]` and warnings."""

    code = "invalid_spec"


class GitHubFailed(OmniForgeError):
    """GitHub did not answer, or not with what was asked for; `details.said` are its own words."""

    status = 502
    code = "github_error"
