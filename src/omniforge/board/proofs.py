"""The proofs of an installation's board: what was run, made, said and reported, put together."""

from __future__ import annotations

from omniforge.board.artifacts import Artifacts
from omniforge.board.checks import Checks
from omniforge.board.receipts import Receipts
from omniforge.board.reports import Reports
from omniforge.core.clock import Clock
from omniforge.db import Database
from omniforge.engine.artifacts import ArtifactStore
from omniforge.engine.events import EventLog


class Proofs:
    """Every room of proofs by its name. `kept` is where whole outputs of commands lie."""

    def __init__(self, db: Database, events: EventLog, clock: Clock, kept: ArtifactStore) -> None:
        self.checks = Checks(db, events, clock, kept)
        self.receipts = Receipts(db, events, clock, kept)
        self.artifacts = Artifacts(db, events, clock)
        self.reports = Reports(db, events, clock)
