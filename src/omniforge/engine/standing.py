"""Where a run stands for the changes that meet it: which it takes, and what they make of it (pure)."""

from __future__ import annotations

from dataclasses import dataclass

from omniforge.engine.events import storable
from omniforge.engine.records import Change
from omniforge.engine.state import RunStatus


@dataclass(slots=True)  # not frozen: that triples what making one costs
class Standing:
    """The columns of a run that change, but for its epoch, which only whoever takes it over raises.

    Nobody changes one: there is another after each change.
    """

    status: RunStatus
    is_open: bool
    epoch: int
    error: str | None = None
    request: str | None = None
    wake_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None

    def takes(self, change: Change) -> bool:
        """Whether the change is allowed now, as its documentation says; `answers` is not looked at here."""
        if change.epoch is not None and change.epoch != self.epoch:
            return False
        if change.status is not None:
            if change.reopen is not None:
                return not self.is_open and self.finished_at == change.reopen
            return self.is_open
        if change.request is not None or change.epoch is not None:
            return self.is_open
        return True

    def after(self, change: Change) -> Standing:
        """What the run is after a change that it takes."""
        status = change.status
        if status is None:
            request = self.request if change.request is None else change.request or None
            return Standing(
                self.status,
                self.is_open,
                self.epoch,
                self.error,
                request,
                self.wake_at,
                self.started_at,
                self.finished_at,
            )
        is_over = status.is_over
        error, request, finished_at = self.error, self.request, self.finished_at
        if change.reopen is not None:
            error, finished_at = None, None
        elif change.error is not None:
            error = storable(change.error)
        if is_over:
            request, finished_at = None, change.at
        elif change.request is not None:
            request = change.request or None
        started_at = self.started_at
        if status is RunStatus.RUNNING and started_at is None:
            started_at = change.at
        return Standing(
            status, not is_over, self.epoch, error, request, change.wake_at, started_at, finished_at
        )
