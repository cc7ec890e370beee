"""Where a process kills itself: named places, reached from outside the product's code."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Any

import omniforge.engine
from chaos.outside import Outside, Told

_ENGINE = str(Path(omniforge.engine.__file__).parent)


class Boundary(StrEnum):
    BEFORE_COMMIT = "before_commit"
    MID_COMMIT = "mid_commit"
    COMMIT_SENT = "commit_sent"
    """PostgreSQL: it has been carried out there, and its answer never arrives."""
    AFTER_COMMIT = "after_commit_before_answer"
    BEFORE_HANDLER = "before_handler"
    INSIDE_HANDLER = "inside_handler"
    AFTER_HANDLER = "after_handler_before_checkpoint"
    DURING_RECOVERY = "during_recovery"
    APPLYING = "applying_to_tables"
    """SQLite: inside the transaction that brings the tables up to date."""
    CHECKPOINT = "checkpoint_of_the_log"
    """SQLite: while the write-ahead log is copied into the database."""
    BEFORE_START = "start_before_durable"
    AFTER_START = "start_after_durable"
    PARKED = "while_parked"
    AT_A_LINE = "at_a_line_of_the_engine"
    AT_REST = "at_rest"
    FROM_OUTSIDE = "at_a_random_instant"


SQLITE_ONLY = frozenset({Boundary.APPLYING, Boundary.CHECKPOINT, Boundary.AT_REST})
POSTGRES_ONLY = frozenset({Boundary.COMMIT_SENT})
MOST_PASSED = {
    Boundary.BEFORE_COMMIT: 25,
    Boundary.MID_COMMIT: 12,
    Boundary.COMMIT_SENT: 12,
    Boundary.AFTER_COMMIT: 25,
    Boundary.BEFORE_HANDLER: 15,
    Boundary.INSIDE_HANDLER: 15,
    Boundary.AFTER_HANDLER: 15,
    Boundary.DURING_RECOVERY: 1_500,
    Boundary.APPLYING: 400,
    Boundary.BEFORE_START: 3,
    Boundary.AFTER_START: 3,
    Boundary.AT_A_LINE: 30_000,
}
"""How often a place may be passed at most before it is deadly; 1 where nothing stands."""


class Death:
    """Ends the process when it passes `boundary` for the `count`-th time."""

    def __init__(self, boundary: Boundary, count: int, outside: Outside) -> None:
        self.boundary = boundary
        self.left = count
        self.outside = outside

    def passes(self, boundary: Boundary) -> bool:
        """Whether this is the moment."""
        if boundary is not self.boundary:
            return False
        self.left -= 1
        return self.left <= 0

    def at(self, boundary: Boundary) -> None:
        if self.passes(boundary):
            self.come()

    def come(self) -> None:
        self.outside.tell(Told.KILLED, self.boundary.value)
        os.kill(os.getpid(), signal.SIGKILL)

    def come_within(self, seconds: float) -> None:
        """Out of another thread, whatever this one does then."""
        timer = threading.Timer(random.uniform(0, seconds), self.come)
        timer.daemon = True
        timer.start()

    def watch_lines(self) -> None:
        """Count the lines of the engine's code as they are executed, in every thread."""

        def line(_frame: FrameType, event: str, _arg: Any) -> Any:
            if event == "line":
                self.at(self.boundary)
            return line

        def call(frame: FrameType, _event: str, _arg: Any) -> Any:
            return line if frame.f_code.co_filename.startswith(_ENGINE) else None

        threading.settrace(call)
        sys.settrace(call)
