"""Everything that decides whether tickets go on: gates, approvals, waivers, setbacks, put together."""

from __future__ import annotations

from omniforge.board import approval_effects as effects
from omniforge.board.approvals import LEAVES, Approvals
from omniforge.board.artifacts import Artifacts
from omniforge.board.blocking import Blocking
from omniforge.board.gate_runs import GateRuns
from omniforge.board.gate_standing import GateStandings
from omniforge.board.gate_trees import GateTrees, Repositories
from omniforge.board.gate_views import GateViews, status_of
from omniforge.board.gates import Gates, HostArtifacts
from omniforge.board.moves import Moves, system_actor
from omniforge.board.receipts import Receipts
from omniforge.board.setbacks import Setbacks
from omniforge.board.shapes.gates import GateStatus, Waive
from omniforge.board.spec_life import SpecLife
from omniforge.board.tasks import Tasks
from omniforge.board.waivers import Waivers
from omniforge.core.actor import Actor
from omniforge.core.clock import Clock
from omniforge.db import Database
from omniforge.engine.artifacts import ArtifactStore
from omniforge.engine.events import EventLog
from omniforge.runs.service import RunService


class Judging:
    """Made before the moves, which ask its `gates` and `setbacks`; `connect` tells it of them. Without `runs`
    nothing is run, and without `handovers` nobody puts the hand-over document together.

    auditor: the command that audits dependencies in this installation, in place of the usual ones.
    """

    def __init__(
        self,
        db: Database,
        events: EventLog,
        clock: Clock,
        repositories: Repositories,
        kept: ArtifactStore,
        *,
        runs: RunService | None = None,
        handovers: HostArtifacts | None = None,
        auditor: str | None = None,
    ) -> None:
        self.db, self.events, self.clock = db, events, clock
        self.moves: Moves | None = None
        tasks = Tasks(events, clock)
        self.trees = GateTrees(repositories, auditor)
        self.standings = GateStandings(self.trees, clock, hands_over=handovers is not None)
        self.approvals = Approvals(db, events, clock, tasks)
        self.receipts, self.artifacts = Receipts(db, events, clock, kept), Artifacts(db, events, clock)
        self.gates = Gates(
            db,
            events,
            self.standings,
            self.approvals,
            GateRuns(runs) if runs is not None else None,
            handovers,
            self.receipts,
        )
        self.setbacks = Setbacks(events, tasks, Blocking(tasks))
        self.waivers = Waivers(db, self.standings, self.approvals)
        self.views = GateViews(db, self.gates)

    def connect(
        self, moves: Moves, *, life: SpecLife | None = None, reviews: effects.TicketReviews | None = None
    ) -> None:
        """What answers and setbacks do to tickets and specs. Tasks add theirs to `approvals.effects`."""
        self.moves, self.setbacks.regress = moves, moves.regress
        known = self.approvals.effects
        known["gate_check"] = effects.of_gate_check(moves)
        if life is not None:
            known["spec"] = effects.of_spec(life)
        if reviews is not None:
            known["ticket"] = effects.of_ticket(reviews, self.events, moves)

    async def waive(self, actor: Actor, ticket_id: str, given: Waive) -> GateStatus:
        """Set a failed check aside; how the gate stands then, before the ticket goes on through it."""
        told = status_of(*await self.waivers.waive(actor, ticket_id, given))
        if self.moves is not None:
            await self.moves.advance_ticket(system_actor(actor.tenant_id, "advance"), ticket_id)
        return told

    def follow(self) -> None:
        self.events.subscribe("board.approvals", LEAVES, self.approvals.hear)
